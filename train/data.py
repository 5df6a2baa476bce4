"""The data sets as arrays in memory, with their source, licence and split.

`--data DIR` (default: the environment variable IMAGE_LAB_DATA, else `data/`) is a folder with
torchvision's layout: `DIR/MNIST/raw/...`, `DIR/cifar-10-batches-py/...`; torchvision downloads what
is missing there. CIFAR-10 is also read from `DIR/cifar10-jpeg.tar.xz`, a copy as JPEG files
(`train/<class>/0001.jpg`), which is not bit-equal.
"""

import os
import tarfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image

CIFAR10_CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)

HELD_OUT = 2000  # training images for validation


def default_data_dir() -> Path:
    return Path(os.environ.get("IMAGE_LAB_DATA", "data"))


@dataclass(frozen=True)
class ImageSet:
    """Images with labels: uint8 (N, H, W) or (N, H, W, 3), int64 (N,)."""

    images: np.ndarray
    labels: np.ndarray
    about: dict[str, str]

    def __len__(self) -> int:
        return len(self.labels)

    def part(self, index: np.ndarray | slice) -> "ImageSet":
        return ImageSet(self.images[index], self.labels[index], self.about)


def mnist(root: Path, train: bool) -> ImageSet:
    """MNIST (LeCun, Cortes, Burges 1998): 60,000 / 10,000 digits, bright on black.

    uint8 (N, 28, 28).
    """
    from torchvision.datasets import MNIST

    raw = root / "MNIST" / "raw"
    here = raw.is_dir() and any(raw.glob("*-ubyte*"))
    digits = MNIST(str(root), train=train, download=not here)
    about = {
        "name": "MNIST",
        "url": "http://yann.lecun.com/exdb/mnist/",
        "licence": "CC BY-SA 3.0",
        "split": "train" if train else "test",
    }
    return ImageSet(digits.data.numpy(), digits.targets.numpy(), about)


def cifar10(root: Path, train: bool) -> ImageSet:
    """CIFAR-10 (Krizhevsky 2009): 50,000 / 10,000 photos of ten classes, uint8 (N, 32, 32, 3)."""
    about = {
        "name": "CIFAR-10",
        "url": "https://www.cs.toronto.edu/~kriz/cifar.html",
        "licence": "for research, cite Krizhevsky 2009",
        "split": "train" if train else "test",
    }
    archive = root / "cifar10-jpeg.tar.xz"
    if archive.is_file() and not (root / "cifar-10-batches-py").is_dir():
        images, labels = _cifar10_from_archive(archive, "train" if train else "test")
        about["name"] = "CIFAR-10, stored as JPEG"
    else:
        from torchvision.datasets import CIFAR10

        here = (root / "cifar-10-batches-py").is_dir()
        photos = CIFAR10(str(root), train=train, download=not here)
        images, labels = photos.data, np.asarray(photos.targets)
    return ImageSet(images, labels.astype(np.int64), about)


def _cifar10_from_archive(archive: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    photos: dict[str, tuple[np.ndarray, int]] = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            parts = Path(member.name).parts
            if len(parts) < 3 or parts[-3] != split or not member.name.endswith(".jpg"):
                continue
            file = tar.extractfile(member)
            if file is not None:
                with Image.open(BytesIO(file.read())) as image:
                    pixels = np.asarray(image.convert("RGB"))
                photos[member.name] = (pixels, CIFAR10_CLASSES.index(parts[-2]))
    names = sorted(photos)  # an order that does not depend on how the archive was packed
    return np.stack([photos[n][0] for n in names]), np.array([photos[n][1] for n in names])


def hold_out(data: ImageSet, n: int, seed: int = 0) -> tuple[ImageSet, ImageSet]:
    """Split off `n` images for validation, the same ones for every training: (rest, held out)."""
    order = np.random.default_rng(seed).permutation(len(data))
    return data.part(np.sort(order[n:])), data.part(np.sort(order[:n]))


def n_held_out(n: int, at_most: int = HELD_OUT) -> int:
    """How many of n training images are held out: at most a fifth."""
    return min(at_most, n // 5)


def train_and_val(data: ImageSet, at_most: int = HELD_OUT) -> tuple[ImageSet, ImageSet]:
    """(for training, for validation)."""
    return hold_out(data, n_held_out(len(data), at_most))


class Shuffled:
    """The indices of the batch at any step: epoch after epoch, each in its own order.

    There is no state to save. Several processes share a batch: process `rank` of `world` takes
    every world-th index.
    """

    def __init__(self, n: int, batch: int, seed: int):
        self.n, self.batch, self.seed = n, min(batch, n), seed
        self.per_epoch = n // self.batch
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.long)

    def at(self, step: int, rank: int = 0, world: int = 1) -> torch.Tensor:
        """int64 (batch / world,): a pure function of the seed and the step (0, 1, 2, ...)."""
        epoch, k = divmod(step, self.per_epoch)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
            self._epoch, self._order = epoch, torch.randperm(self.n, generator=generator)
        return self._order[k * self.batch : (k + 1) * self.batch][rank::world]
