"""Road scenes: a class for every pixel, by a U-Net of train/segmentation.

    Segmenter.load().segment("street.jpg")               uint8 (H, W), class ids at the image's size
    Segmenter.load().predict("street.jpg").shares()      {"Road": 0.31, ...}

An image is padded, never stretched. One larger than INPUT_SIDE px is reduced first, because the
training images were 480 px wide; `longest=None` keeps all pixels and works in tiles.
"""

import itertools
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from tasks.core import device, tiling, weights
from tasks.core.device import stopwatch
from tasks.core.images import ImageError, ImageLike, to_rgb
from tasks.networks.efficientnet_lite import normalise
from tasks.networks.unet import UNet
from tasks.networks.unet_lite0 import UNetLite0
from tasks.segmentation.engines import Engine, engine_for

CLASS_COLOURS = {
    "Sky": (128, 199, 242),
    "Building": (201, 134, 94),
    "Pole": (255, 214, 10),
    "Road": (116, 96, 158),
    "Pavement": (240, 142, 196),
    "Tree": (76, 163, 84),
    "Sign": (255, 140, 26),
    "Fence": (150, 104, 72),
    "Car": (46, 92, 214),
    "Pedestrian": (230, 30, 62),
    "Bicyclist": (0, 190, 178),
}
CLASSES = tuple(CLASS_COLOURS)
PALETTE = np.array(list(CLASS_COLOURS.values()), np.uint8)
"""A colour for each class, uint8 (11, 3)."""
NETWORKS: dict[str, type[nn.Module]] = {"segmentation": UNetLite0, "segmentation_unet": UNet}
"""The bundled networks, by the names of their cards."""

STRIDE = 32  # px; both sides of the network's input are multiples of it
MIN_SIDE = 32  # px of an image
INPUT_SIDE = 640  # px of the longer side to which larger images are reduced
TILE, OVERLAP = 640, 96  # px of tiles, and of what two neighbours share at least
ONE_SCALE, THREE_SCALES = (1.0,), (0.75, 1.0, 1.25)
MAX_TILED = 12_000_000  # px; a larger image is reduced even with `longest=None`


@dataclass(frozen=True)
class Scene:
    """The segmentation of one image.

    Args:
        class_id: uint8 (H, W) at the image's own size.
        confidence: float32 (h, w) in [0, 1], probability of the best class, at the input's size.
        entropy: float32 (h, w) in [0, 1], of all classes' probabilities; 1: all are equally likely.
            (0, 0) where `predict` was not asked for it.
    """

    class_id: np.ndarray
    confidence: np.ndarray
    entropy: np.ndarray
    class_names: tuple[str, ...]
    palette: np.ndarray
    speed_ms: dict[str, float] = field(default_factory=dict)

    def shares(self) -> dict[str, float]:
        """Each class's share of the pixels, the largest first; every class is listed."""
        n = len(self.class_names)
        shares = np.bincount(self.class_id.ravel(), minlength=n) / self.class_id.size
        return {self.class_names[i]: float(shares[i]) for i in np.argsort(-shares, kind="stable")}

    def overlay(self, rgb: np.ndarray, opacity: float = 0.55) -> np.ndarray:
        """The class colours over the image, uint8 (H, W, 3); `opacity` of the colours, 0 to 1."""
        return cv2.addWeighted(rgb, 1 - opacity, self.palette[self.class_id], opacity, 0)


class Segmenter:
    """Gives every pixel a class. `class_names` are its classes, `card` describes its training."""

    CLASSES: ClassVar[tuple[str, ...]] = CLASSES
    PALETTE: ClassVar[np.ndarray] = PALETTE

    def __init__(
        self,
        network: nn.Module,
        class_names: tuple[str, ...],
        card: weights.Card | None = None,
        engine: Engine | None = None,
    ):
        network = network.eval().requires_grad_(False).to(device.best())
        self.network, self.card, self.class_names = network, card, class_names
        self.palette = PALETTE if class_names == CLASSES else make_palette(len(class_names))
        self.engine = engine or engine_for(network)

    @classmethod
    def load(cls, name: str = "segmentation", folder: Path = weights.FOLDER) -> "Segmenter":
        """A bundled network, one of NETWORKS.

        Raises:
            WeightsError: unknown name, file missing or damaged.
        """
        if not isinstance(name, str) or name not in NETWORKS:
            known = ", ".join(NETWORKS)
            raise weights.WeightsError(
                f"There is no segmenter {str(name)[:40]!r} here; there are {known}."
            )
        network, card = weights.load(name, NETWORKS[name], folder)
        return cls(network, tuple(card.classes), card)

    def segment(
        self, image: ImageLike, flip: bool = True, scales: Sequence[float] = ONE_SCALE
    ) -> np.ndarray:
        """Class ids, uint8 (H, W), at the image's size; arguments as for `predict`.

        Raises:
            ImageError: no usable image.
        """
        return self.predict(image, flip=flip, scales=scales, entropy=False).class_id

    def predict(
        self,
        image: ImageLike,
        flip: bool = True,
        longest: int | None = INPUT_SIDE,
        scales: Sequence[float] = ONE_SCALE,
        entropy: bool = True,
    ) -> Scene:
        """Classes, confidence and uncertainty.

        Args:
            image: any image that `images.to_rgb` takes, of at least 32 px.
            flip: test-time augmentation, average with the mirrored image: slightly better, twice
                the work.
            longest: px of the longer side to which a larger image is reduced first; None: all
                pixels, in tiles.
            scales: test-time augmentation, average over these sizes, such as THREE_SCALES.
            entropy: compute it; leaving it out saves a tenth of a camera frame's time.
        Raises:
            ImageError: no usable image, or `longest` too small.
        """
        rgb = np.asarray(to_rgb(image, min_side=MIN_SIDE))
        size_hw = (rgb.shape[0], rgb.shape[1])
        with stopwatch() as ms:
            small = shrink(rgb, longest)
            maps = self._predict_tiles(small, flip, scales, size_hw, entropy)
        return Scene(*maps, self.class_names, self.palette, {"all": ms()})

    def _predict_tiles(
        self,
        rgb: np.ndarray,
        flip: bool,
        scales: Sequence[float],
        size_hw: tuple[int, int],
        with_entropy: bool,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(classes at `size_hw`, confidence, entropy); memory does not grow with the image."""
        height, width = rgb.shape[:2]
        class_id = np.empty((height, width), np.uint8)
        confidence = np.empty((height, width), np.float32)
        entropy = np.empty((height, width) if with_entropy else (0, 0), np.float32)
        resized = size_hw != (height, width)
        n = len(self.class_names) if resized else 0
        probabilities = np.empty((n, height, width), np.float32)
        for place, p in self._tiles(rgb, flip, scales):
            best = p.max(0)
            class_id[place], confidence[place] = best.indices.numpy(), best.values.numpy()
            if with_entropy:
                entropy[place] = normalised_entropy(p).numpy()
            if resized:
                probabilities[:, *place] = p.numpy()
        if resized:
            class_id = upsample_classes(probabilities, size_hw)
        return class_id, confidence, entropy

    def _tiles(
        self, rgb: np.ndarray, flip: bool, scales: Sequence[float]
    ) -> Iterator[tuple[tuple[slice, slice], Tensor]]:
        """((rows, columns), probabilities (C, rows, columns)) that together cover the image."""
        sides = (tiling.windows(n, TILE, OVERLAP) for n in rgb.shape[:2])
        for rows, columns in itertools.product(*sides):
            tile = rgb[rows.start : rows.stop, columns.start : columns.stop]
            p = torch.from_numpy(self.probabilities_of_array(tile, flip, scales))
            yield (rows.keep, columns.keep), p[:, rows.inner, columns.inner]

    def probabilities_of_array(
        self, rgb: np.ndarray, flip: bool = False, scales: Sequence[float] = ONE_SCALE
    ) -> np.ndarray:
        """uint8 (H, W, 3) -> probabilities float32 (C, H, W), averaged over `scales`."""
        maps = [self._at_scale(rgb, flip, scale) for scale in scales]
        # a camera's frame is not copied
        return maps[0] if len(maps) == 1 else np.asarray(np.mean(maps, 0))

    def _at_scale(self, rgb: np.ndarray, flip: bool, scale: float) -> np.ndarray:
        height, width = rgb.shape[:2]
        if scale != 1:
            size_wh = max(1, round(width * scale)), max(1, round(height * scale))
            method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            resized = cv2.resize(rgb, size_wh, interpolation=method)
            x = torch.from_numpy(self._at_scale(resized, flip, 1))[None]
            x = nn.functional.interpolate(x, (height, width), mode="bilinear", align_corners=False)
            return np.asarray(x[0].numpy())
        batch = pad_to_stride(rgb)[None]
        p = self.engine.infer(np.concatenate([batch, batch[:, :, ::-1]]) if flip else batch)
        p = (p[0] + p[1, :, :, ::-1]) / 2 if flip else p[0]
        return p[:, :height, :width]

    def probabilities(self, image: ImageLike, flip: bool = True) -> np.ndarray:
        """float32 (C, h, w) at the input's size, at most INPUT_SIDE px. Raises ImageError."""
        rgb = np.asarray(to_rgb(image, min_side=MIN_SIDE))
        return self.probabilities_of_array(shrink(rgb, INPUT_SIDE), flip)

    @torch.inference_mode()
    def maps(self, image: ImageLike, cut: Collection[int] = ()) -> dict[str, np.ndarray]:
        """Feature maps of each scale: "encoder 1/2" ... "decoder 1/2" -> float32 (c, h, w).

        "probabilities" (C, h, w) are without the padding, the others with it. The image is
        reduced to INPUT_SIDE px.

        Args:
            cut: the scales whose skip connections carry zeros.
        Raises:
            ImageError: no usable image.
        """
        rgb = shrink(np.asarray(to_rgb(image, min_side=MIN_SIDE)), INPUT_SIDE)
        # (1, 3, H, W)
        x = (
            torch.from_numpy(pad_to_stride(rgb)).permute(2, 0, 1)[None].to(device.best()).float()
            / 255
        )
        maps: dict[str, Tensor] = self.network.maps(normalise(x), cut)  # type: ignore[operator]
        p = maps.pop("logits").softmax(1)[..., : rgb.shape[0], : rgb.shape[1]]
        return {
            name: m[0].float().cpu().numpy() for name, m in {**maps, "probabilities": p}.items()
        }


def normalised_entropy(p: Tensor) -> Tensor:
    """Entropy of probabilities (C, ...) divided by log C: 0 where one class is certain, to 1."""
    return torch.special.entr(p).sum(0) / np.log(len(p))


def pad_to_stride(rgb: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3), its last row and column repeated until both sides are multiples of 32."""
    below, right = -rgb.shape[0] % STRIDE, -rgb.shape[1] % STRIDE
    return np.pad(rgb, ((0, below), (0, right), (0, 0)), mode="edge")


def shrink(rgb: np.ndarray, longest: int | None) -> np.ndarray:
    """The image with a longer side of at most `longest` px, its proportions kept.

    Raises:
        ImageError: `longest` is below 32 px.
    """
    height, width = rgb.shape[:2]
    if longest is None:
        scale = min(1.0, (MAX_TILED / (height * width)) ** 0.5)
    elif longest >= MIN_SIDE:
        scale = min(1.0, longest / max(height, width))
    else:
        raise ImageError(
            f"The longer side of the network's input has at least {MIN_SIDE} px; {longest} came."
        )
    if scale == 1.0:
        return rgb
    size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(rgb, size_wh, interpolation=cv2.INTER_AREA)


def upsample_classes(p: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """The most probable class after bilinear upsampling: float32 (C, h, w) -> uint8 (H, W).

    Class by class in 16 bits, so that an image of 64 megapixels takes 400 MB and not 3 GB.
    """
    class_id, best = np.zeros(size_hw, np.uint8), np.zeros(size_hw, np.uint16)
    for c, plane in enumerate(p):
        coarse = (plane * 65535).round().astype(np.uint16)
        fine = cv2.resize(coarse, size_hw[::-1], interpolation=cv2.INTER_LINEAR)
        class_id[fine > best] = c
        np.maximum(best, fine, out=best)
    return class_id


def make_palette(n: int) -> np.ndarray:
    """Distinguishable colours for any number of classes, uint8 (n, 3)."""
    hsv = [((i * 67) % 180, 170 + 60 * (i % 2), 150 + 50 * (i % 3)) for i in range(n)]
    return cv2.cvtColor(np.array([hsv], np.uint8), cv2.COLOR_HSV2RGB)[0]
