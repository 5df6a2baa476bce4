"""The pictures of denoising, super-resolution and JPEG deblocking: readers, crops, damage, and what is made up.

`DIR/restoration/` holds the usual sets as Zhang et al. published them (github.com/cszn/DnCNN): `Train400`, 400 grey
pictures of 180 x 180 px cut from the Berkeley Segmentation Dataset, for training; `BSD68`, `Set5`, `classic5` for tests
only. `DIR/coco128/` (128 photos of COCO train2017) is used reduced to less than half, which leaves nothing of JPEG.
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
ABOUT_COLOUR = {
    "name": "COCO128 and CamVid, reduced",
    "url": "https://cocodataset.org",
    "licence": "COCO's photos under their Flickr licences; CamVid for research and education",
}
HELD_OUT = 20  # pictures of Train400, or photos in colour, for the validation curve
SCALES = (1.0, 0.9, 0.8, 0.7)  # of Train400, as DnCNN's authors reduce it
REDUCED = 0.42  # of COCO's photos, saved as JPEG: 640 px become 269


def pictures(root: Path, name: str) -> list[np.ndarray]:
    """uint8 (H, W), or (H, W, 3) for Set5, in the order of their names.

    Raises:
        FileNotFoundError: the set is not there; says where it can be had.
    """
    folder = root / "restoration" / name
    files = (
        sorted(p for p in folder.glob("*") if p.suffix.lower() in (".png", ".bmp", ".jpg")) if folder.is_dir() else []
    )
    if not files:
        raise FileNotFoundError(f"{folder} holds no pictures; {name} is in {ABOUT['url']}")
    return [np.asarray(Image.open(file)) for file in files]


def reduced_photos(root: Path, colour: bool = False) -> list[np.ndarray]:
    """COCO128 at 0.42 of its size, uint8 (H, W), or (H, W, 3) in `colour`; none where it is not there."""
    return [_reduced(file, colour) for file in sorted((root / "coco128").rglob("*.jpg"))]


def reduced_streets(root: Path) -> list[np.ndarray]:
    """CamVid's training pictures at 0.42 of their size, uint8 (H, W, 3); none where they are not there."""
    return [_reduced(file, True) for file in sorted((root / "camvid" / "train").glob("*.[jp][pn]g"))]


def _reduced(file: Path, colour: bool) -> np.ndarray:
    with Image.open(file) as opened:
        photo = opened.convert("RGB" if colour else "L")
        size = (round(photo.width * REDUCED), round(photo.height * REDUCED))
        return np.asarray(photo.resize(size, Image.Resampling.BICUBIC))


def split(train400: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """(for training, for validation): every 20th picture is held out."""
    apart = max(2, len(train400) // HELD_OUT)
    held = range(apart // 2, len(train400), apart)[:HELD_OUT]
    return [p for i, p in enumerate(train400) if i not in held], [train400[i] for i in held]


class Crops:
    """Random square crops, turned and mirrored, of pictures and of their reduced copies that are large enough.

    Args:
        own: pictures to train on, all grey or all in colour; copies of them in SCALES are drawn less often the
            smaller they are.
        others: pictures that a share of the crops comes from.
        share: that share.
    """

    def __init__(self, own: list[np.ndarray], others: list[np.ndarray], share: float = 0.15):
        self.pictures: list[Tensor] = []
        chances: list[float] = []
        for scale in SCALES:
            self.pictures += [_planes(_scaled(picture, scale)) for picture in own]
            chances += [(1 - share) * scale**6 / len(own)] * len(own)
        self.pictures += [_planes(picture) for picture in others]
        chances += [share * sum(s**6 for s in SCALES) / max(1, len(others))] * len(others)
        self.chances = torch.tensor(chances)
        self.sides = torch.tensor([min(picture.shape[1:]) for picture in self.pictures])

    def draw(self, n: int, side: int) -> Tensor:
        """float32 (n, 1 or 3, side, side) in [0, 1], drawn from torch's global generator."""
        which = torch.multinomial(self.chances * (self.sides >= side), n, replacement=True).tolist()
        turns = torch.randint(8, (n,)).tolist()
        where = torch.rand(n, 2).tolist()
        out = torch.empty(n, len(self.pictures[0]), side, side)
        for k, (i, turn, (down, right)) in enumerate(zip(which, turns, where, strict=True)):
            picture = self.pictures[i]
            y, x = int(down * (picture.shape[1] - side + 1)), int(right * (picture.shape[2] - side + 1))
            crop = torch.rot90(picture[:, y : y + side, x : x + side], turn % 4, (1, 2))
            out[k] = crop.flip(2) if turn >= 4 else crop
        return out / 255


def _scaled(picture: np.ndarray, scale: float) -> np.ndarray:
    if scale == 1:
        return picture
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))


def _planes(picture: np.ndarray) -> Tensor:
    """uint8 (H, W[, 3]) -> uint8 (1 or 3, H, W)."""
    planes = np.atleast_3d(picture).transpose(2, 0, 1)
    return torch.from_numpy(planes.copy())


def seeded_noise(shape: tuple[int, ...], sigma: float, seed: int) -> np.ndarray:
    """White Gaussian noise, float32, of `sigma` grey levels in a range of [0, 1]; neither clipped nor rounded."""
    return (np.random.default_rng(seed).standard_normal(shape) * sigma / 255).astype(np.float32)


def made_up(n: int, side: int = 96, seed: int = 0) -> list[np.ndarray]:
    """Stand-ins for photographs: soft blobs with edges, stripes and fine texture, uint8 (side, side)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    out = []
    for _ in range(n):
        a, b, c, d = rng.uniform(2, 12, 4)
        picture = 0.5 + 0.2 * np.sin(a * x + b * y) + 0.15 * np.sign(np.sin(c * x - d * y))
        picture += 0.1 * ((x - rng.random()) ** 2 + (y - rng.random()) ** 2 < 0.1)
        out.append((255 * picture.clip(0, 1)).astype(np.uint8))
    return out
