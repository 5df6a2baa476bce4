"""Images for denoising, super-resolution and JPEG deblocking: readers, crops, noise.

`DIR/restoration/` holds the usual sets as Zhang et al. published them (github.com/cszn/DnCNN):
`Train400`, 400 grey images of 180 x 180 px cut from the Berkeley Segmentation Dataset, for
training; `BSD68`, `Set5`, `classic5` for tests only. `DIR/coco128/` (128 photos of COCO train2017)
is used reduced to less than half, which leaves nothing of JPEG.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

ABOUT = {
    "name": "Train400 (Berkeley Segmentation Dataset) and COCO128, reduced",
    "url": "https://github.com/cszn/DnCNN",
    "licence": "research use (BSDS); COCO's photos under their Flickr licences",
}
HELD_OUT = 20  # images of Train400 for the validation curve
SCALES = (1.0, 0.9, 0.8, 0.7)  # of Train400, as DnCNN's authors reduce it
REDUCED = 0.42  # of COCO's photos, saved as JPEG: 640 px become 269


def images(root: Path, name: str) -> list[np.ndarray]:
    """uint8 (H, W), or (H, W, 3) for Set5, in the order of their names.

    Raises:
        FileNotFoundError: the set is not there; says where it can be had.
    """
    folder = root / "restoration" / name
    files = (
        sorted(p for p in folder.glob("*") if p.suffix.lower() in (".png", ".bmp", ".jpg"))
        if folder.is_dir()
        else []
    )
    if not files:
        raise FileNotFoundError(f"{folder} holds no images; {name} is in {ABOUT['url']}")
    return [np.asarray(Image.open(file)) for file in files]


def reduced_photos(root: Path) -> list[np.ndarray]:
    """COCO128 at 0.42 of its size in grey, uint8 (H, W); none where it is not there."""
    return [_reduced(file) for file in sorted((root / "coco128").rglob("*.jpg"))]


def _reduced(file: Path) -> np.ndarray:
    with Image.open(file) as opened:
        photo = opened.convert("L")
        size = (round(photo.width * REDUCED), round(photo.height * REDUCED))
        return np.asarray(photo.resize(size, Image.Resampling.BICUBIC))


def split(train400: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """(for training, for validation): every 20th image is held out."""
    apart = max(2, len(train400) // HELD_OUT)
    held = range(apart // 2, len(train400), apart)[:HELD_OUT]
    return [p for i, p in enumerate(train400) if i not in held], [train400[i] for i in held]


def count(train400: list[np.ndarray], photos: list[np.ndarray]) -> str:
    """How many images are trained on, for a card."""
    return f"{len(train400) - HELD_OUT} images of Train400, {len(photos)} photos of COCO128 reduced"


class Crops:
    """Random square crops, rotated and mirrored, of images and of their reduced copies.

    Args:
        images: images to train on; copies of them in SCALES are drawn less often the smaller they
            are.
        photos: more images, from which a share of the crops comes.
        share: that share.
    """

    def __init__(self, images: list[np.ndarray], photos: list[np.ndarray], share: float = 0.15):
        self.images: list[Tensor] = []
        chances: list[float] = []
        for scale in SCALES:
            self.images += [_planes(_scaled(image, scale)) for image in images]
            chances += [(1 - share) * scale**6 / len(images)] * len(images)
        self.images += [_planes(photo) for photo in photos]
        chances += [share * sum(s**6 for s in SCALES) / max(1, len(photos))] * len(photos)
        self.chances = torch.tensor(chances)
        self.sides = torch.tensor([min(image.shape[1:]) for image in self.images])

    def draw(self, n: int, side: int, generator: torch.Generator | None = None) -> Tensor:
        """float32 (n, 1 or 3, side, side) in [0, 1]; images smaller than `side` are left out."""
        chances = self.chances * (self.sides >= side)
        which = torch.multinomial(chances, n, replacement=True, generator=generator).tolist()
        turns = torch.randint(8, (n,), generator=generator).tolist()
        corners = torch.rand(n, 2, generator=generator).tolist()
        out = torch.empty(n, len(self.images[0]), side, side)
        for k, (i, turn, (down, right)) in enumerate(zip(which, turns, corners, strict=True)):
            image = self.images[i]
            y = int(down * (image.shape[1] - side + 1))
            x = int(right * (image.shape[2] - side + 1))
            crop = torch.rot90(image[:, y : y + side, x : x + side], turn % 4, (1, 2))
            out[k] = crop.flip(2) if turn >= 4 else crop
        return out / 255


def _scaled(image: np.ndarray, scale: float) -> np.ndarray:
    if scale == 1:
        return image
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


def _planes(image: np.ndarray) -> Tensor:
    """uint8 (H, W[, 3]) -> uint8 (1 or 3, H, W)."""
    return torch.from_numpy(np.atleast_3d(image).transpose(2, 0, 1).copy())


def seeded_noise(shape: tuple[int, ...], sigma: float, seed: int) -> np.ndarray:
    """White Gaussian noise, float32, of `sigma` grey levels in a range of [0, 1].

    Neither clipped nor rounded.
    """
    return (np.random.default_rng(seed).standard_normal(shape) * sigma / 255).astype(np.float32)
