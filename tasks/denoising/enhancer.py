"""Super-resolution and JPEG repair: `Enhancer` runs the network of train/enhancer.py in tiles.

Enhancer.load().super_resolve("photo.jpg", 3).save("larger.png")
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from tasks.core import device, weights
from tasks.core.images import ImageError, ImageLike
from tasks.core.tiling import SIDE, TileStep, map_tiles
from tasks.denoising.jpeg_quality import (
    BLOCK,
    JpegGrid,
    dct,
    find_grid,
    jpeg_grid,
    scaled,
    to_blocks,
)
from tasks.denoising.planes import (
    check_array,
    prepare_network,
    restore,
    to_array_and_alpha,
    to_image,
)
from tasks.networks.denoiser_unet import DenoiserUNet

TASKS = ("x2", "x3", "x4", "JPEG")  # the enhancer's maps: one of them is 1, the others are 0
SCALES = (2, 3, 4)
# How far a coefficient of the DCT may move, in steps of the quantisation table, at these qualities,
# and the share of the colours' correction; measured by benchmarks/jpeg_repair.py. The true value is
# half a step away at most, near 0 more often than not.
KNOTS = (20, 30, 40, 50, 65, 75, 85, 100)
LIMITS = (0.5, 0.25, 0.12, 0.1, 0.06, 0.045, 0.03, 0.02)
COLOUR_SHARES = (1.0, 1.0, 0.6, 0.4, 0.0, 0.0, 0.0, 0.0)
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R 601, as JPEG has it


class Enhancer:
    """Enlarges images and removes JPEG artefacts with one network for all tasks, as DnCNN-3.

    Super-resolution changes the brightness only, R, G and B alike, so that colours stay as they
    are. JPEG usually stores colour differences at half the size; `deblock` restores them too.
    """

    def __init__(self, network: nn.Module, card: weights.Card | None = None):
        self.network, self.card = prepare_network(network), card

    @classmethod
    def load(cls, folder: Path = weights.FOLDER) -> "Enhancer":
        """Raises WeightsError where `enhancer.safetensors` or its card is missing or damaged."""
        return cls(*weights.load("enhancer", DenoiserUNet, folder))

    def super_resolve(self, image: ImageLike, scale: int) -> Image.Image:
        """2, 3 or 4 times the width and height; grey where the input is grey, RGBA where it has
        transparency. Raises ImageError.
        """
        x, alpha = to_array_and_alpha(image)
        *_, last = self.super_resolve_steps(x, scale)
        return to_image(last.out, None if alpha is None else enlarged(alpha, scale))

    def deblock(self, image: ImageLike, grid: JpegGrid | None = None) -> Image.Image:
        """The image without JPEG's blocks and rings, same size, transparency kept.

        Args:
            grid: how it was compressed; None: as its file says, or its pixels.
        Raises:
            ImageError: no usable image.
        """
        x, alpha = to_array_and_alpha(image)
        *_, last = self.deblock_steps(x, grid=grid or jpeg_grid(image))
        return to_image(last.out, alpha)

    def super_resolve_steps(
        self, x: np.ndarray, scale: int, side: int = SIDE
    ) -> Iterator[TileStep]:
        """float32 (h, w[, 3]) in [0, 1] -> steps whose `out` is (h scale, w scale[, 3]).

        Raises:
            ImageError: an unusable array or scale.
        """
        if scale not in SCALES:
            raise ImageError(f"Images are enlarged 2, 3 or 4 times; {str(scale)[:20]} came.")
        larger = enlarged(check_array(x), scale)
        return self._steps(larger, TASKS.index(f"x{scale}"), side)

    def deblock_steps(
        self, x: np.ndarray, side: int = SIDE, grid: JpegGrid | None = None
    ) -> Iterator[TileStep]:
        """float32 (H, W[, 3]) in [0, 1] -> steps whose `out` has its shape.

        The better the quality, the less may change, so that a good JPEG does not get worse. Pixels
        that tell of no JPEG stay as they are.

        Args:
            grid: how the image was compressed; None: found in its pixels.
        Raises:
            ImageError: an unusable array.
        """
        luma = check_array(x) @ LUMA if x.ndim == 3 else check_array(x)
        grid = grid or find_grid(luma)
        if grid is None:
            yield TileStep(1, 1, x.clip(0, 1).astype(np.float32))
            return
        for step in self._steps(x, TASKS.index("JPEG"), side):
            if step.done == step.total:
                step.out = self._restrained(x, step.out, grid, side)
            yield step

    def _restrained(self, x: np.ndarray, out: np.ndarray, grid: JpegGrid, side: int) -> np.ndarray:
        """The network's brightness within the table's limits, and its share of the colours."""
        if grid.quality > KNOTS[0]:
            added = (out - x) @ LUMA if x.ndim == 3 else out - x
            added = _limited(added, grid)
            out = x + (added[..., None] if x.ndim == 3 else added)
        share = float(np.interp(grid.quality, KNOTS, COLOUR_SHARES))
        if x.ndim == 3 and share > 0:
            out = out + share * self._chroma_residual(x, side)
        return np.asarray(out.clip(0, 1), np.float32)

    def _chroma_residual(self, x: np.ndarray, side: int) -> np.ndarray:
        """The correction of the colour differences as RGB (H, W, 3), of zero brightness."""
        differences = x[..., ::2] - (x @ LUMA)[..., None]  # R - Y, B - Y
        half = enlarged(differences, 0.5).transpose(2, 0, 1) + np.float32(0.5)
        maps = self._maps(TASKS.index("JPEG"))
        *_, last = map_tiles(half, lambda planes: restore(self.network, planes, maps), side)
        added = torch.from_numpy(last.out - half)[None]
        red, blue = nn.functional.interpolate(added, x.shape[:2], mode="bilinear")[0].numpy()
        green = -(LUMA[0] * red + LUMA[2] * blue) / LUMA[1]
        return np.stack([red, green, blue], 2)

    def _steps(self, x: np.ndarray, task: int, side: int) -> Iterator[TileStep]:
        luma = (x @ LUMA if x.ndim == 3 else x)[None].astype(np.float32)
        maps = self._maps(task)
        for step in map_tiles(luma, lambda planes: restore(self.network, planes, maps), side):
            if step.done == step.total:  # colours at the end: no copy of the image for each tile
                added = (step.out - luma)[0]
                out = x + (added[..., None] if x.ndim == 3 else added)
                yield TileStep(step.done, step.total, out.clip(0, 1).astype(np.float32))
            else:
                yield step

    def _maps(self, task: int) -> Tensor:
        """(1, 4, 1, 1)."""
        maps = torch.zeros(1, len(TASKS), 1, 1, device=device.best())
        maps[0, task] = 1
        return maps


def _limited(added: np.ndarray, grid: JpegGrid) -> np.ndarray:
    """float32 (H, W), changes of brightness, no coefficient of a block above its limit."""
    height, width = added.shape
    before = (-grid.top % BLOCK, -grid.left % BLOCK)
    around = [(n, -(n + size) % BLOCK) for n, size in zip(before, added.shape, strict=True)]
    blocks = dct(to_blocks(np.pad(added, around, "edge")))
    steps = np.array(scaled(grid.quality), np.float32).reshape(BLOCK, BLOCK) / 255
    most = steps * np.float32(np.interp(grid.quality, KNOTS, LIMITS))
    inside = dct(blocks.clip(-most, most), inverse=True).swapaxes(1, 2)
    whole = inside.reshape(height + sum(around[0]), width + sum(around[1]))
    return whole[before[0] : before[0] + height, before[1] : before[1] + width]


def enlarged(x: np.ndarray, scale: float) -> np.ndarray:
    """float32 (H, W[, C]) -> `scale` times the size, bicubic as MATLAB's imresize (a = -0.5).

    Not clipped. `scale` below 1 reduces, with the kernel widened against aliasing.
    """
    planes = torch.from_numpy(
        np.ascontiguousarray(np.atleast_3d(x).transpose(2, 0, 1), np.float32)
    )[None]
    size = [round(x.shape[0] * scale), round(x.shape[1] * scale)]
    larger = nn.functional.interpolate(
        planes, size, mode="bicubic", antialias=True, align_corners=False
    )[0]
    out = larger.permute(1, 2, 0).numpy()
    return np.ascontiguousarray(out[..., 0] if x.ndim == 2 else out)
