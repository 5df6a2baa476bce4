"""Denoising and enhancement: noise taken out, pictures enlarged, JPEG's traces removed.

`Denoiser` is `train/denoiser.py`'s network, `Enhancer` that of `train/enhancer.py`. Both work in tiles: a photo of any
size, in bounded memory, with a step after each tile.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from tasks import compute, weights
from tasks.images import ImageError, ImageLike, to_rgb
from tasks.networks.denoiser_unet import DenoiserUNet
from tasks.noise_level import estimate_sigma
from tasks.tiles import SIDE, TileStep, in_tiles

MAX_SIGMA = 100.0  # grey levels; trained on 0 to 55, and without biases the network goes beyond
OPPONENT = np.array(
    [[1 / 3, 1 / 3, 1 / 3], [0.5, 0.0, -0.5], [0.25, -0.5, 0.25]], np.float32
)  # RGB -> brightness and two colour differences, of BM3D's colour version (Dabov et al. 2007)
OPPONENT_GAIN = np.sqrt((OPPONENT**2).sum(1))  # what it makes of noise that is the same in R, G and B


class Denoiser:
    """Takes noise out of grey and colour pictures. `card` says what it was trained on.

    A colour picture is handled as brightness and two colour differences. Averaging three channels leaves 1/sqrt(3) of
    the noise in the brightness, which shows the detail; the grey network takes that out. The network for colour then
    sees the picture with that brightness, and what it makes of the colour differences counts. Where it is not there,
    each of them goes through the grey one as a picture of its own, which takes longer and is as good (train/LOG.md).
    """

    def __init__(
        self, network: nn.Module, card: weights.Card | None = None, colour: nn.Module | None = None,
        colour_card: weights.Card | None = None,
    ):  # fmt: skip
        self.network, self.card = ready(network), card
        self.colour, self.colour_card = None if colour is None else ready(colour), colour_card

    @classmethod
    def load(cls, folder: Path = weights.FOLDER) -> "Denoiser":
        """Raises WeightsError where a network or its card is missing or damaged; that for colour may be missing."""
        has_colour = (folder / "denoiser_colour.json").is_file()
        colour = weights.load("denoiser_colour", DenoiserUNet, folder) if has_colour else (None, None)
        return cls(*weights.load("denoiser", DenoiserUNet, folder), *colour)

    def denoise(self, image: ImageLike, sigma: float | None = None) -> Image.Image:
        """A picture without its noise: of the same size, grey where it was grey, else RGB.

        Args:
            sigma: standard deviation of the noise in grey levels of 255, 0 to 100; None = estimate it.
        Raises:
            ImageError: no usable picture, or sigma out of its range.
        """
        return to_picture(self.denoise_array(to_array(image), sigma))

    def denoise_array(self, x: np.ndarray, sigma: float | None = None) -> np.ndarray:
        """float32 (H, W) or (H, W, 3) in [0, 1] -> the same without its noise, clipped, not rounded.

        Values outside [0, 1], as noise makes them, are welcome. Raises ImageError.
        """
        *_, last = self.steps(x, sigma)
        return from_planes(last.out)

    def steps(self, x: np.ndarray, sigma: float | None = None, side: int = SIDE) -> Iterator[TileStep]:
        """As `denoise_array`, tile by tile; `from_planes(step.out)` is the picture. Raises ImageError."""
        checked(x)
        if sigma is None:
            sigma = self.estimate(x)
        if not 0 <= sigma <= MAX_SIGMA:  # NaN fails
            raise ImageError(f"Sigma lies between 0 and {MAX_SIGMA:g} grey levels; {sigma:g} came.")
        if x.ndim == 3 and self.colour is not None:
            mean = x.mean((0, 1), dtype=np.float64).astype(np.float32)
            return in_tiles(to_planes(x), lambda planes: self._run_in_colour(planes, sigma, mean), side)
        gains = OPPONENT_GAIN if x.ndim == 3 else np.ones(1, np.float32)
        maps = torch.from_numpy(gains.astype(np.float32) * sigma / 255).to(compute.device())[:, None, None, None]
        return in_tiles(to_planes(x), lambda planes: run(self.network, planes, maps), side)

    def estimate(self, x: np.ndarray) -> float:
        """Sigma of the noise in float32 (H, W) or (H, W, 3), in grey levels of 255; of all planes together."""
        checked(x)
        planes = to_planes(x)
        gains = OPPONENT_GAIN if len(planes) == 3 else np.ones(1)
        found = [estimate_sigma(plane) / gain for plane, gain in zip(planes, gains, strict=True)]
        return min(float(np.sqrt(np.mean(np.square(found)))), MAX_SIGMA)

    def _run_in_colour(self, planes: np.ndarray, sigma: float, mean: np.ndarray) -> np.ndarray:
        """`mean` (3,): the whole picture's, which the network does not see, so that one colour stays that colour."""
        assert self.colour is not None
        told = torch.full((1, 1, 1, 1), sigma / 255, device=compute.device())
        brightness = run(self.network, planes[:1], told * float(OPPONENT_GAIN[0]))
        rgb = (from_opponent(np.concatenate([brightness, planes[1:]])) - mean).transpose(2, 0, 1)
        restored = to_planes(restore(self.colour, rgb[None], told)[0].transpose(1, 2, 0) + mean)
        return np.concatenate([brightness, restored[1:]])


def ready(network: nn.Module) -> nn.Module:
    """To be used, on the device there is."""
    return network.eval().to(compute.device()).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def run(network: nn.Module, planes: np.ndarray, maps: Tensor) -> np.ndarray:
    """float32 (P, h, w), each plane a picture of its own, and maps (P or 1, M, 1, 1) -> float32 (P, h, w)."""
    return restore(network, planes[:, None], maps)[:, 0]


@torch.inference_mode()
def restore(network: nn.Module, pictures: np.ndarray, maps: Tensor) -> np.ndarray:
    """float32 (B, C, h, w) and maps (B or 1, M, 1, 1) -> float32 (B, C, h, w).

    In bf16 where the processor has it: half the time, 0.004 dB (shared with training's measures, so it is in them).
    """
    x = torch.from_numpy(np.ascontiguousarray(pictures)).to(compute.device())
    bf16 = compute.bf16_is_native()
    with torch.autocast(compute.device().type, torch.bfloat16, enabled=bf16):
        return np.asarray(network(x, maps.expand(len(x), -1, -1, -1)).float().cpu().numpy())


# -- pictures, arrays, planes ----------------------------------------------------------------------------------------


def to_array(image: ImageLike) -> np.ndarray:
    """Any picture as float32 in [0, 1]: (H, W) where R = G = B everywhere, else (H, W, 3). Raises ImageError."""
    rgb = np.asarray(to_rgb(image))
    is_grey = bool((rgb[..., 0] == rgb[..., 1]).all() and (rgb[..., 1] == rgb[..., 2]).all())
    return (rgb[..., 0] if is_grey else rgb).astype(np.float32) / 255


def to_picture(x: np.ndarray) -> Image.Image:
    """float (H, W) or (H, W, 3) -> 8-bit picture, clipped and rounded."""
    return Image.fromarray((x.clip(0, 1) * 255).round().astype(np.uint8))


def checked(x: np.ndarray) -> np.ndarray:
    """The array, unchanged. Raises ImageError where it is no finite float (H, W) or (H, W, 3)."""
    fits = isinstance(x, np.ndarray) and np.issubdtype(x.dtype, np.floating)
    if not fits or not (x.ndim == 2 or (x.ndim == 3 and x.shape[2] == 3)) or min(x.shape[:2]) < 8:
        came = f"{x.dtype} {x.shape}" if isinstance(x, np.ndarray) else type(x).__name__
        raise ImageError(f"A float array (H, W) or (H, W, 3), 8 px or more a side, is needed; {came} came.")
    if not np.isfinite(x).all():
        raise ImageError("The array holds NaN or infinite values. Replace them, for example with numpy.nan_to_num.")
    return x


def to_planes(x: np.ndarray) -> np.ndarray:
    """(H, W) -> (1, H, W); RGB (H, W, 3) -> brightness and two colour differences around 0.5, (3, H, W)."""
    if x.ndim == 2:
        return x[None].astype(np.float32)
    planes = np.einsum("pc,hwc->phw", OPPONENT, x.astype(np.float32))
    planes[1:] += 0.5
    return planes


def from_planes(planes: np.ndarray) -> np.ndarray:
    """The inverse of `to_planes`, clipped to [0, 1]."""
    return planes[0].clip(0, 1) if len(planes) == 1 else from_opponent(planes).clip(0, 1)


def from_opponent(planes: np.ndarray) -> np.ndarray:
    """The inverse of `to_planes` in colour: (3, H, W) -> float32 (H, W, 3), not clipped."""
    offset = np.array([0, 0.5, 0.5], np.float32)
    rgb = np.einsum("cp,hwp->hwc", np.linalg.inv(OPPONENT), planes.transpose(1, 2, 0) - offset)
    return rgb.astype(np.float32)


# -- enhancement -----------------------------------------------------------------------------------------------------

TASKS = ("x2", "x3", "x4", "JPEG")  # the enhancer's maps: one of them is 1, the others are 0
SCALES = (2, 3, 4)
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R 601, as JPEG has it


class Enhancer:
    """Enlarges pictures and takes JPEG's traces out of them, with one network for all of it, as DnCNN-3 has.

    Super-resolution sees the brightness only: what it adds goes to R, G and B alike, so that colours stay as they are.
    JPEG keeps colour differences at half the size, as a rule, so there they go through the network, too.
    """

    def __init__(self, network: nn.Module, card: weights.Card | None = None):
        self.network, self.card = ready(network), card

    @classmethod
    def load(cls, folder: Path = weights.FOLDER) -> "Enhancer":
        """Raises WeightsError where `enhancer.safetensors` or its card is missing or damaged."""
        return cls(*weights.load("enhancer", DenoiserUNet, folder))

    def super_resolve(self, image: ImageLike, scale: int) -> Image.Image:
        """A picture of 2, 3 or 4 times the width and height, grey where it was grey, else RGB. Raises ImageError."""
        *_, last = self.super_resolve_steps(to_array(image), scale)
        return to_picture(last.out)

    def deblock(self, image: ImageLike) -> Image.Image:
        """The picture without JPEG's blocks and rings, at its size. Raises ImageError."""
        *_, last = self.deblock_steps(to_array(image))
        return to_picture(last.out)

    def super_resolve_steps(self, x: np.ndarray, scale: int, side: int = SIDE) -> Iterator[TileStep]:
        """float32 (h, w) or (h, w, 3) in [0, 1] -> steps whose `out` is (h scale, w scale[, 3]). Raises ImageError."""
        if scale not in SCALES:
            raise ImageError(f"Pictures are enlarged 2, 3 or 4 times; {str(scale)[:20]} came.")
        larger = enlarged(checked(x), scale)
        return self._steps(larger, TASKS.index(f"x{scale}"), side)

    def deblock_steps(self, x: np.ndarray, side: int = SIDE) -> Iterator[TileStep]:
        """float32 (H, W) or (H, W, 3) in [0, 1] -> steps whose `out` has its shape. Raises ImageError."""
        for step in self._steps(checked(x), TASKS.index("JPEG"), side):
            if step.done == step.total and x.ndim == 3:
                step.out = (step.out + self._colours_of_jpeg(x, side)).clip(0, 1)
            yield step

    def _colours_of_jpeg(self, x: np.ndarray, side: int) -> np.ndarray:
        """What has to be added to RGB (H, W, 3) for its colour differences: smooth, and of no brightness."""
        differences = x[..., ::2] - (x @ LUMA)[..., None]  # R - Y, B - Y
        half = enlarged(differences, 0.5).transpose(2, 0, 1) + np.float32(0.5)
        *_, last = in_tiles(half, lambda planes: run(self.network, planes, self._maps(TASKS.index("JPEG"))), side)
        added = torch.from_numpy(last.out - half)[None]
        red, blue = nn.functional.interpolate(added, x.shape[:2], mode="bilinear")[0].numpy()
        green = -(LUMA[0] * red + LUMA[2] * blue) / LUMA[1]
        return np.stack([red, green, blue], 2)

    def _steps(self, x: np.ndarray, task: int, side: int) -> Iterator[TileStep]:
        luma = (x @ LUMA if x.ndim == 3 else x)[None].astype(np.float32)
        for step in in_tiles(luma, lambda planes: run(self.network, planes, self._maps(task)), side):
            if step.done == step.total:  # colours only now: no copy of the picture for each tile
                added = (step.out - luma)[0]
                out = x + (added[..., None] if x.ndim == 3 else added)
                yield TileStep(step.done, step.total, out.clip(0, 1).astype(np.float32))
            else:
                yield step

    def _maps(self, task: int) -> Tensor:
        """(1, 4, 1, 1)."""
        maps = torch.zeros(1, len(TASKS), 1, 1, device=compute.device())
        maps[0, task] = 1
        return maps


def enlarged(x: np.ndarray, scale: float) -> np.ndarray:
    """float32 (H, W) or (H, W, C) -> `scale` times the size, bicubic as MATLAB's imresize (a = -0.5), not clipped.

    `scale` below 1 reduces, with the kernel widened against aliasing.
    """
    planes = torch.from_numpy(np.ascontiguousarray(np.atleast_3d(x).transpose(2, 0, 1), np.float32))[None]
    size = [round(x.shape[0] * scale), round(x.shape[1] * scale)]
    larger = nn.functional.interpolate(planes, size, mode="bicubic", antialias=True, align_corners=False)[0]
    out = larger.permute(1, 2, 0).numpy()
    return np.ascontiguousarray(out[..., 0] if x.ndim == 2 else out)
