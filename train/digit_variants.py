"""MNIST test digits as people would send them: pens, places, papers, cameras.

They measure the robustness of the digit classifier. Each variant takes a digit, uint8 (28, 28),
bright on black, and a numpy generator, and returns an image as it would be uploaded: uint8 (H, W)
or (H, W, 3).
"""

from collections.abc import Callable

import cv2
import numpy as np

Variant = Callable[[np.ndarray, np.random.Generator], np.ndarray]
SIDE = 280  # px of the drawing pad


def pen(digit: np.ndarray, size: int, width: float = 1.0) -> np.ndarray:
    """The digit redrawn with a pen of another width: float32 (size, size) in [0, 1].

    Args:
        size: px of the side that MNIST's 28 px become.
        width: 1 = as written; below 1 only the middle of each stroke, above 1 wider.
    """
    field = cv2.resize(digit.astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
    field = cv2.GaussianBlur(field, (0, 0), size / 90)
    solid = (field > 110).astype(np.uint8)
    if width < 1:  # redraw along the strokes' middle lines
        half = float(cv2.distanceTransform(solid, cv2.DIST_L2, 5).max()) * width
        level = half - cv2.distanceTransform(1 - thinned(solid), cv2.DIST_L2, 5)
    else:
        inside = cv2.distanceTransform(solid, cv2.DIST_L2, 5)
        outside = cv2.distanceTransform(1 - solid, cv2.DIST_L2, 5)
        level = inside - outside + float(np.percentile(inside[inside > 0], 90)) * (width - 1)
    return np.clip(level + 0.5, 0, 1).astype(np.float32)


def thinned(solid: np.ndarray) -> np.ndarray:
    """The one pixel wide middle lines of uint8 (H, W) strokes of 0 and 1 (Zhang and Suen 1984)."""
    image = np.pad(solid, 1).astype(bool)
    while True:
        before = image.copy()
        for first in (True, False):
            n, e, s, w = image[:-2, 1:-1], image[1:-1, 2:], image[2:, 1:-1], image[1:-1, :-2]
            ring = [n, image[:-2, 2:], e, image[2:, 2:], s, image[2:, :-2], w, image[:-2, :-2]]
            count = sum(p.astype(np.uint8) for p in ring)
            turns = sum(
                (~a & b).astype(np.uint8) for a, b in zip(ring, ring[1:] + ring[:1], strict=True)
            )
            corner = ~(n & e & s) & ~(e & s & w) if first else ~(n & e & w) & ~(n & s & w)
            image[1:-1, 1:-1] &= ~((count >= 2) & (count <= 6) & (turns == 1) & corner)
        if (image == before).all():
            return image[1:-1, 1:-1].astype(np.uint8)


def place(ink: np.ndarray, x: int, y: int, side: int = SIDE) -> np.ndarray:
    """Ink on an empty square: float32 (side, side)."""
    canvas = np.zeros((side, side), np.float32)
    h, w = min(ink.shape[0], side - y), min(ink.shape[1], side - x)
    canvas[y : y + h, x : x + w] = ink[:h, :w]
    return canvas


def dark_on_white(ink: np.ndarray) -> np.ndarray:
    return ((1 - ink) * 255).round().astype(np.uint8)


def _centred(digit: np.ndarray, width: float, size: int = 200) -> np.ndarray:
    return place(pen(digit, size, width), (SIDE - size) // 2, (SIDE - size) // 2)


def _corner(digit: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    size = int(rng.integers(60, 80))
    x, y = rng.integers(0, SIDE - size, 2) // 8 + rng.integers(0, 2, 2) * (SIDE - size) * 7 // 8
    return dark_on_white(place(pen(digit, size), int(x), int(y)))


def _gradient(rng: np.random.Generator, depth: float) -> np.ndarray:
    """A lamp from one side and a fall-off to the edges: float32 (SIDE, SIDE), at most 1."""
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    angle = rng.uniform(0, 2 * np.pi)
    slope = (x * np.cos(angle) + y * np.sin(angle)) / np.sqrt(2)
    return (1 - depth * (0.5 + 0.5 * slope) - 0.08 * (x * x + y * y)).astype(np.float32)


def _shaded(digit: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    ink = _centred(digit, rng.uniform(0.5, 1.2), int(rng.integers(130, 230)))
    light = 235 * _gradient(rng, rng.uniform(0.3, 0.55))
    return (light * (1 - 0.75 * ink)).clip(0, 255).astype(np.uint8)


def _noisy(digit: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    grey = 215 - 160 * _centred(digit, rng.uniform(0.6, 1.2))
    return (grey + rng.normal(0, 22, grey.shape)).clip(0, 255).astype(np.uint8)


def _jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    _, coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_UNCHANGED))


def _photo(digit: np.ndarray, rng: np.random.Generator, spacing: int, squared: bool) -> np.ndarray:
    """Ballpoint on ruled or squared paper: tilted lines, lamp light, blur, noise, JPEG."""
    size = int(rng.integers(110, 190))
    x, y = rng.integers(10, SIDE - size - 10, 2)
    ink = place(pen(digit, size, rng.uniform(0.45, 1.0)), int(x), int(y))
    lines = np.zeros((SIDE, SIDE), np.float32)
    tilt = np.tan(np.radians(rng.uniform(-2, 2)))
    for at in range(int(rng.integers(0, spacing)) - spacing, SIDE + spacing, spacing):
        rise = round(tilt * SIDE)
        cv2.line(lines, (0, at), (SIDE, at + rise), 1.0, 1, cv2.LINE_AA)
        if squared:
            cv2.line(lines, (at, 0), (at - rise, SIDE), 1.0, 1, cv2.LINE_AA)
    paper = np.array([240, 238, 228], np.float32) * _gradient(rng, rng.uniform(0.1, 0.4))[..., None]
    blue = np.array([0.55, 0.7, 0.95], np.float32)
    image = paper * (1 - lines[..., None] * (1 - blue) * rng.uniform(0.5, 0.9))
    colour = np.array(rng.choice([[0.2, 0.25, 0.55], [0.15, 0.15, 0.15]]), np.float32)
    image *= 1 - ink[..., None] * (1 - colour)
    image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.2)) + rng.normal(0, 5, image.shape)
    return _jpeg(image.clip(0, 255).astype(np.uint8), int(rng.integers(55, 90)))


VARIANTS: dict[str, Variant] = {
    "as MNIST has them": lambda d, rng: d,
    "drawn on the pad": lambda d, rng: dark_on_white(_centred(d, 1.0)),
    "thin pen": lambda d, rng: dark_on_white(_centred(d, 0.2)),
    "thick pen": lambda d, rng: dark_on_white(_centred(d, 1.5)),
    "small, in a corner": _corner,
    "fills the frame": lambda d, rng: dark_on_white(place(pen(d, 370)[45:325, 45:325], 0, 0)),
    "white on black": lambda d, rng: 255 - dark_on_white(_centred(d, 1.0)),
    "shaded paper": _shaded,
    "noisy camera": _noisy,
    "photo, ruled paper": lambda d, rng: _photo(d, rng, int(rng.integers(28, 45)), squared=False),
    "photo, squared paper": lambda d, rng: _photo(d, rng, int(rng.integers(22, 36)), squared=True),
}


def render(name: str, digits: np.ndarray, seed: int = 0) -> list[np.ndarray]:
    """Render digits, uint8 (N, 28, 28), in the named variant; the same for the same seed."""
    rng = np.random.default_rng([seed, list(VARIANTS).index(name)])
    return [VARIANTS[name](digit, rng) for digit in digits]
