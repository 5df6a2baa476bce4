"""Road scenes: a class for every pixel, by train/segmentation.py's U-Net.

    Segmenter.load().segment("street.jpg")            uint8 (H, W), class ids at the picture's own size
    Segmenter.load().look("street.jpg").shares()      {"Road": 0.31, ...}

A picture is padded, never stretched. One larger than LOOKED px is reduced before the network looks at it, because the
streets that it learnt from were 480 px wide; `longest=None` keeps all pixels and goes over them in tiles.
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

from tasks import compute, weights
from tasks.classification import normalise
from tasks.images import ImageError, ImageLike, to_rgb
from tasks.networks.unet import UNet
from tasks.networks.unet_lite0 import UNetLite0
from tasks.segmentation_engine import Engine, engine_for

CLASSES = ("Sky", "Building", "Pole", "Road", "Pavement", "Tree", "Sign", "Fence", "Car", "Pedestrian", "Bicyclist")
PALETTE = np.array([
    (128, 199, 242), (201, 134, 94), (255, 214, 10), (116, 96, 158), (240, 142, 196), (76, 163, 84),
    (255, 140, 26), (150, 104, 72), (46, 92, 214), (230, 30, 62), (0, 190, 178),
], np.uint8)  # fmt: skip
"""A colour for each class, uint8 (11, 3)."""
ARCHITECTURES: dict[str, type[nn.Module]] = {"segmentation": UNetLite0, "segmentation_unet": UNet}
"""The bundled networks, by their cards' names."""

STRIDE = 32  # px; both sides of what the network gets are multiples of it
MIN_SIDE = 32  # px of a picture
LOOKED = 640  # px of the longer side to which larger pictures are reduced
TILE, OVERLAP = 640, 96  # px; of two tiles that overlap each gives its own half
ONE_SIZE, THREE_SIZES = (1.0,), (0.75, 1.0, 1.25)  # of the picture, at which it is looked at
MAX_TILED = 12_000_000  # px; a picture larger than that is reduced even where all pixels are asked for


@dataclass(frozen=True)
class Scene:
    """What a network made of a picture.

    Args:
        class_id: uint8 (H, W) at the picture's own size.
        confidence: float32 (h, w) in [0, 1], of the best class, at the size that the network looked at.
        entropy: float32 (h, w) in [0, 1], of all classes' probabilities; 1: it does not know at all. (0, 0) where
            `look` was not asked for it.
    """

    class_id: np.ndarray
    confidence: np.ndarray
    entropy: np.ndarray
    class_names: tuple[str, ...]
    palette: np.ndarray
    speed_ms: dict[str, float] = field(default_factory=dict)

    def shares(self) -> dict[str, float]:
        """Each class's share of the pixels, the largest first; all classes are there."""
        counts = np.bincount(self.class_id.ravel(), minlength=len(self.class_names)) / self.class_id.size
        return {self.class_names[i]: float(counts[i]) for i in np.argsort(-counts, kind="stable")}

    def colours(self) -> np.ndarray:
        """The classes as colours, uint8 (H, W, 3)."""
        return self.palette[self.class_id]

    def over(self, rgb: np.ndarray, opacity: float = 0.55) -> np.ndarray:
        """The colours over the picture, uint8 (H, W, 3); `opacity` of the colours, 0 to 1."""
        return cv2.addWeighted(rgb, 1 - opacity, self.colours(), opacity, 0)


class Segmenter:
    """Gives every pixel a class. `class_names` are its classes, `card` says what it was trained on."""

    CLASSES: ClassVar[tuple[str, ...]] = CLASSES
    PALETTE: ClassVar[np.ndarray] = PALETTE

    def __init__(
        self, network: nn.Module, class_names: tuple[str, ...], card: weights.Card | None = None,
        engine: Engine | None = None,
    ):  # fmt: skip
        network = network.eval().requires_grad_(False).to(compute.device())
        self.network, self.card, self.class_names = network, card, class_names
        self.palette = PALETTE if class_names == CLASSES else palette_of(len(class_names))
        self.engine = engine or engine_for(network)

    @classmethod
    def load(cls, name: str = "segmentation", folder: Path = weights.FOLDER) -> "Segmenter":
        """The network that is shipped; `name`: one of ARCHITECTURES. Raises WeightsError: missing, damaged, unknown."""
        if not isinstance(name, str) or name not in ARCHITECTURES:
            raise weights.WeightsError(
                f"There is no segmenter {str(name)[:40]!r} here; there are {', '.join(ARCHITECTURES)}."
            )
        network, card = weights.load(name, ARCHITECTURES[name], folder)
        return cls(network, tuple(card.classes), card)

    def segment(self, image: ImageLike, flip: bool = True, scales: Sequence[float] = ONE_SIZE) -> np.ndarray:
        """Class ids, uint8 (H, W), at the input's own size; `flip` and `scales` as for `look`. Raises ImageError."""
        return self.look(image, flip=flip, scales=scales, entropy=False).class_id

    def look(
        self, image: ImageLike, flip: bool = True, longest: int | None = LOOKED, scales: Sequence[float] = ONE_SIZE,
        entropy: bool = True,
    ) -> Scene:  # fmt: skip
        """Classes, confidence and uncertainty.

        Args:
            image: any picture that `images.to_rgb` takes, of at least 32 px.
            flip: look at the mirror image, too, and average: a little better, twice the work.
            longest: px of the longer side to which a larger picture is reduced first; None: all pixels, in tiles.
            scales: look at the picture in each of these sizes and average, such as THREE_SIZES.
            entropy: whether it is wanted; a camera's frame does without and saves a tenth of its time.
        Raises:
            ImageError: no usable picture, or `longest` too small.
        """
        rgb = np.asarray(to_rgb(image, min_side=MIN_SIDE))
        with compute.stopwatch() as ms:
            small = reduced(rgb, longest)
            class_id, confidence, unsure = self._look(small, flip, scales, tuple(rgb.shape[:2]), entropy)
        return Scene(class_id, confidence, unsure, self.class_names, self.palette, {"all": ms()})

    def _look(
        self, rgb: np.ndarray, flip: bool, scales: Sequence[float], size_hw: tuple[int, ...], with_entropy: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(classes at `size_hw`, confidence, entropy): tile by tile, so that memory does not grow with the picture."""
        high, wide = rgb.shape[:2]
        class_id = np.empty((high, wide), np.uint8)
        confidence = np.empty((high, wide), np.float32)
        entropy = np.empty((high, wide) if with_entropy else (0, 0), np.float32)
        whole = np.empty((len(self.class_names), high, wide), np.float32) if size_hw != (high, wide) else None
        for rows, columns, p in self._tiles(rgb, flip, scales):
            best = p.max(0)
            class_id[rows, columns], confidence[rows, columns] = best.indices.numpy(), best.values.numpy()
            if with_entropy:
                entropy[rows, columns] = uncertainty(p).numpy()
            if whole is not None:
                whole[:, rows, columns] = p.numpy()
        if whole is not None:
            class_id = enlarged_classes(whole, (size_hw[0], size_hw[1]))
        return class_id, confidence, entropy

    def _tiles(
        self, rgb: np.ndarray, flip: bool, scales: Sequence[float]
    ) -> Iterator[tuple[slice, slice, Tensor]]:  # fmt: skip
        """(rows, columns, probabilities (C, rows, columns)), which together cover the picture."""
        for top, bottom, rows in spans(rgb.shape[0]):
            for left, right, columns in spans(rgb.shape[1]):
                p = torch.from_numpy(self.probabilities_of(rgb[top:bottom, left:right], flip, scales))
                inner = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
                yield rows, columns, p[:, inner[0], inner[1]]

    def probabilities_of(
        self, rgb: np.ndarray, flip: bool = False, scales: Sequence[float] = ONE_SIZE
    ) -> np.ndarray:  # fmt: skip
        """uint8 (H, W, 3), looked at at `scales` times its size -> float32 (C, H, W), each pixel's probabilities."""
        looks = [self._at_size(rgb, flip, scale) for scale in scales]
        return looks[0] if len(looks) == 1 else np.asarray(np.mean(looks, 0))  # a camera's frame is not copied

    def _at_size(self, rgb: np.ndarray, flip: bool, scale: float) -> np.ndarray:
        """As `probabilities_of`, at one scale."""
        if scale != 1:
            high, wide = rgb.shape[:2]
            size = max(1, round(wide * scale)), max(1, round(high * scale))
            way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            seen = torch.from_numpy(self._at_size(cv2.resize(rgb, size, interpolation=way), flip, 1))[None]
            fine = nn.functional.interpolate(seen, (high, wide), mode="bilinear", align_corners=False)
            return np.asarray(fine[0].numpy())
        high, wide = rgb.shape[:2]
        batch = padded(rgb)[None]
        p = self.engine.infer(np.concatenate([batch, batch[:, :, ::-1]]) if flip else batch)
        p = (p[0] + p[1, :, :, ::-1]) / 2 if flip else p[0]
        return p[:, :high, :wide]

    def probabilities(self, image: ImageLike, flip: bool = True) -> np.ndarray:
        """float32 (C, h, w) at the size that the network looks at, at most LOOKED px. Raises ImageError."""
        return self.probabilities_of(reduced(np.asarray(to_rgb(image, min_side=MIN_SIDE)), LOOKED), flip)

    @torch.inference_mode()
    def maps(self, image: ImageLike, cut: Collection[int] = ()) -> dict[str, np.ndarray]:
        """What the network makes of a picture at each scale: "encoder 1/2" ... "decoder 1/2" -> float32 (c, h, w).

        "probabilities" (C, h, w) are without the padding, the others with it. The picture is reduced to LOOKED px.

        Args:
            cut: the scales whose skip connections carry zeros.
        Raises:
            ImageError: no usable picture.
        """
        rgb = reduced(np.asarray(to_rgb(image, min_side=MIN_SIDE)), LOOKED)
        x = torch.from_numpy(padded(rgb)).permute(2, 0, 1)[None].to(compute.device()).float() / 255  # (1, 3, H, W)
        maps: dict[str, Tensor] = self.network.maps(normalise(x), cut)  # type: ignore[operator]
        p = maps.pop("logits").softmax(1)[..., : rgb.shape[0], : rgb.shape[1]]
        return {name: m[0].float().cpu().numpy() for name, m in {**maps, "probabilities": p}.items()}


def uncertainty(p: Tensor) -> Tensor:
    """Entropy of probabilities (C, ...), as a share of its maximum log C: 0, one class is sure, to 1."""
    return torch.special.entr(p).sum(0) / np.log(len(p))


def padded(rgb: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3) -> its last row and column repeated until both sides are multiples of STRIDE."""
    return np.pad(rgb, ((0, -rgb.shape[0] % STRIDE), (0, -rgb.shape[1] % STRIDE), (0, 0)), mode="edge")


def reduced(rgb: np.ndarray, longest: int | None) -> np.ndarray:
    """The picture with a longer side of at most `longest` px, its proportions kept. Raises ImageError: below 32 px."""
    high, wide = rgb.shape[:2]
    if longest is None:
        scale = min(1.0, (MAX_TILED / (high * wide)) ** 0.5)
    elif longest >= MIN_SIDE:
        scale = min(1.0, longest / max(high, wide))
    else:
        raise ImageError(f"The longer side that is looked at has at least {MIN_SIDE} px; {longest} came.")
    if scale == 1.0:
        return rgb
    return cv2.resize(rgb, (max(1, round(wide * scale)), max(1, round(high * scale))), interpolation=cv2.INTER_AREA)


def spans(side: int) -> list[tuple[int, int, slice]]:
    """Tiles along a side of so many px: (first px, last px + 1, the part of it that this tile is asked for)."""
    if side <= TILE:
        return [(0, side, slice(0, side))]
    n = -(-(side - OVERLAP) // (TILE - OVERLAP))
    starts = [round(i * (side - TILE) / (n - 1)) for i in range(n)]
    seams = [0, *((a + TILE + b) // 2 for a, b in itertools.pairwise(starts)), side]
    return [(s, s + TILE, slice(seams[i], seams[i + 1])) for i, s in enumerate(starts)]


def enlarged_classes(p: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """The class that is most probable after bilinear enlargement: float32 (C, h, w) -> uint8 (H, W).

    Class by class in 16 bits, so that a picture of 64 megapixels takes 400 MB and not 3 GB.
    """
    class_id, best = np.zeros(size_hw, np.uint8), np.zeros(size_hw, np.uint16)
    for c, plane in enumerate(p):
        fine = cv2.resize((plane * 65535).round().astype(np.uint16), size_hw[::-1], interpolation=cv2.INTER_LINEAR)
        class_id[fine > best] = c
        np.maximum(best, fine, out=best)
    return class_id


def palette_of(n: int) -> np.ndarray:
    """Colours that can be told apart for any number of classes, uint8 (n, 3)."""
    hues = [(i * 67) % 180 for i in range(n)]
    hsv = np.array([[(hue, 170 + 60 * (i % 2), 150 + 50 * (i % 3)) for i, hue in enumerate(hues)]], np.uint8)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0]
