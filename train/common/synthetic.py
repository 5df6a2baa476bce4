"""Synthetic stand-ins for the data sets, for `--smoke` and tests: learnable in seconds."""

import numpy as np

from train.data import ImageSet

ABOUT = {"url": "train/common/synthetic.py", "licence": "none", "split": "synthetic"}


def clock_hands(n: int, seed: int = 0) -> ImageSet:
    """The hand of a clock at ten hours, instead of MNIST: uint8 (n, 28, 28)."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, n)
    y, x = np.mgrid[-14:14, -14:14] + 0.5
    angle = (labels * 2 * np.pi / 10)[:, None, None]
    along = x * np.cos(angle) + y * np.sin(angle)
    across = x * np.sin(angle) - y * np.cos(angle)
    hands = (np.abs(across) < 2) & (along > 0) & (along < 10)
    images = hands * rng.integers(180, 255, (n, 1, 1))
    return ImageSet(images.astype(np.uint8), labels, {"name": "clock hands", **ABOUT})


def printed_digits(n: int, seed: int) -> ImageSet:
    """The digits of a plain font, shifted a little, instead of MNIST: uint8 (n, 28, 28)."""
    from PIL import Image, ImageDraw, ImageFont

    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 10
    font = ImageFont.load_default(22)
    images = []
    for label in labels:
        image = Image.new("L", (28, 28), 0)
        corner = (8 + rng.normal(), 2 + rng.normal())
        ImageDraw.Draw(image).text(corner, str(label), 255, font)
        images.append(np.array(image))
    about = {"name": "printed digits", **ABOUT}
    return ImageSet(np.stack(images), labels.astype(np.int64), about)


def striped_photos(n: int, seed: int) -> ImageSet:
    """Each class a colour and a stripe pattern under noise, instead of CIFAR-10.

    uint8 (n, 32, 32, 3).
    """
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 10
    x = np.arange(32)
    stripes = 60 * np.sin(x[None, None, :, None] * (1 + labels[:, None, None, None]) / 4)
    colours = np.random.default_rng(0).integers(60, 196, (10, 3))[labels][:, None, None]
    images = (colours + stripes + rng.normal(0, 20, (n, 32, 32, 3))).clip(0, 255).astype(np.uint8)
    return ImageSet(images, labels.astype(np.int64), {"name": "striped photos", **ABOUT})


def textures(n: int, side: int = 96, seed: int = 0) -> list[np.ndarray]:
    """Soft blobs with edges, stripes and fine texture, instead of photographs.

    uint8 (side, side) each.
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    images = []
    for _ in range(n):
        a, b, c, d = rng.uniform(2, 12, 4)
        image = 0.5 + 0.2 * np.sin(a * x + b * y) + 0.15 * np.sign(np.sin(c * x - d * y))
        image += 0.1 * ((x - rng.random()) ** 2 + (y - rng.random()) ** 2 < 0.1)
        images.append((255 * image.clip(0, 1)).astype(np.uint8))
    return images


def road_scenes(n: int, seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Sky over a road with a box on it, instead of CamVid.

    Returns:
        n images, uint8 (64, 96, 3), and their masks, uint8 (64, 96): 0 sky, 1 road, 2 box, 255 not
        labelled.
    """
    rng = np.random.default_rng(seed)
    colours = np.zeros((256, 3), np.float32)
    colours[:3] = (120, 180, 240), (90, 90, 90), (200, 40, 40)
    images, masks = [], []
    for _ in range(n):
        mask = np.zeros((64, 96), np.uint8)
        mask[int(rng.integers(20, 40)) :] = 1
        y, x = rng.integers(20, 44), rng.integers(4, 70)
        mask[y : y + 16, x : x + 20] = 2
        mask[:2, :2] = 255
        image = colours[mask] + rng.normal(0, 12, (64, 96, 3))
        images.append(image.clip(0, 255).astype(np.uint8))
        masks.append(mask)
    return images, masks
