"""Photos of digits by kind, for measuring: what `scenes.py` mixes, one thing at a time.

Written apart from the scenes of the training, with digits of other writers. Each kind takes a
digit, uint8 (28, 28), bright on black, and a numpy generator, and returns what a person would send:
uint8 (H, W, 3), or (H, W, 4) with transparency.
"""

from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from train.digit_variants import pen

Kind = Callable[[np.ndarray, np.random.Generator], np.ndarray]
H, W = 480, 640  # px
PAPER = np.array([236, 233, 224], np.float32)
PENS = np.array([[30, 32, 36], [28, 40, 130], [52, 54, 60], [20, 24, 80]], np.float32)


def placed(digit: np.ndarray, size: int, x: int, y: int, width: float = 1.0) -> np.ndarray:
    """Share of each pixel that ink covers, float32 (H, W): MNIST's 28 px are `size` px here."""
    canvas = np.zeros((H, W), np.float32)
    ink = pen(digit, size, width)
    canvas[y : y + size, x : x + size] = ink[: H - y, : W - x]
    return canvas


def anywhere(digit: np.ndarray, rng: np.random.Generator, low: int, high: int) -> np.ndarray:
    """A digit of `low` to `high` px (of its 28) somewhere on the paper."""
    size = int(rng.integers(low, high))
    x, y = int(rng.integers(0, W - size)), int(rng.integers(0, H - size))
    return placed(digit, size, x, y, rng.uniform(0.5, 1.1))


def lit(rng: np.random.Generator) -> np.ndarray:
    """A lamp from one side, float32 (H, W, 1), at most 1."""
    y, x = np.mgrid[-1 : 1 : H * 1j, -1 : 1 : W * 1j]
    angle, depth = rng.uniform(0, 2 * np.pi), rng.uniform(0.05, 0.35)
    slope = (x * np.cos(angle) + y * np.sin(angle)) / 1.5
    return (1 - depth * (0.5 + 0.5 * slope) - 0.06 * (x * x + y * y)).astype(np.float32)[..., None]


def taken(scene: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A scene, float32 (H, W, 3), as a telephone records it: blur, noise, JPEG."""
    scene = cv2.GaussianBlur(scene, (0, 0), rng.uniform(0.3, 1.0))
    noisy = (scene + rng.normal(0, rng.uniform(1, 4), scene.shape)).clip(0, 255).astype(np.uint8)
    _, coded = cv2.imencode(".jpg", noisy[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    back = cv2.imdecode(coded, cv2.IMREAD_COLOR)
    assert back is not None
    return back[..., ::-1]


def written(
    ink: np.ndarray,
    rng: np.random.Generator,
    paper: np.ndarray = PAPER,
    pen_rgb: np.ndarray | None = None,
) -> np.ndarray:
    """Ink on paper by lamp light: float32 (H, W, 3)."""
    colour = PENS[rng.integers(len(PENS))] if pen_rgb is None else pen_rgb
    return (paper + ink[..., None] * (colour - paper)) * lit(rng)


def _sheet(digit: np.ndarray, rng: np.random.Generator, edges: bool) -> np.ndarray:
    size = int(rng.integers(90, 190))
    scene = written(placed(digit, size, (W - size) // 2, (H - size) // 2, rng.uniform(0.5, 1)), rng)
    desk = np.array([[58, 40, 28], [38, 38, 44], [110, 76, 50], [80, 84, 90]], np.float32)
    table = desk[rng.integers(4)] + rng.normal(0, 5, (H, W, 1))
    corners = np.array([(0.2, 0.12), (0.8, 0.12), (0.8, 0.88), (0.2, 0.88)]) * (W, H)
    if edges:  # two sides of the sheet lie outside the frame
        corners[[1, 2], 0], corners[[2, 3], 1] = W + 40, H + 40
    corners += rng.normal(0, 14, (4, 2))
    mask = np.zeros((H, W), np.float32)
    cv2.fillConvexPoly(mask, corners.astype(np.int32), 1.0, cv2.LINE_AA)
    return taken(table + mask[..., None] * (scene - table), rng)


def _shadow(digit: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    scene = written(anywhere(digit, rng, 180, 330), rng)
    y, x = np.mgrid[-1 : 1 : H * 1j, -1 : 1 : W * 1j]
    angle = rng.uniform(0, np.pi)
    across = np.cos(angle) * x + np.sin(angle) * y - rng.uniform(-0.4, 0.4)
    lit_by = 1 / (1 + np.exp(-across / rng.uniform(0.01, 0.04)))
    return taken(scene * (1 - rng.uniform(0.3, 0.5) * (1 - lit_by))[..., None], rng)


def _ringed(digit: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    size = int(rng.integers(150, 230))
    x, y = int(rng.integers(90, W - size - 90)), int(rng.integers(60, H - size - 60))
    ink = placed(digit, size, x, y, rng.uniform(0.5, 1))
    axes = int(size * rng.uniform(0.5, 0.58)), int(size * rng.uniform(0.52, 0.62))
    centre = x + size // 2, y + size // 2
    cv2.ellipse(ink, centre, axes, 0, 0, 360, 1.0, int(rng.integers(3, 7)), cv2.LINE_AA)
    return taken(written(ink, rng), rng)


def _boxed(digit: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    size = int(rng.integers(150, 240))
    x, y = int(rng.integers(80, W - size - 80)), int(rng.integers(50, H - size - 50))
    ink = placed(digit, size, x, y, rng.uniform(0.5, 1))
    off = int(rng.integers(0, 12))
    cv2.rectangle(
        ink,
        (x - off, y - off),
        (x + size + off, y + size + off),
        0.9,
        int(rng.integers(2, 5)),
        cv2.LINE_AA,
    )
    return taken(written(ink, rng), rng)


def _finger(digit: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    size = int(rng.integers(180, 280))
    scene = written(placed(digit, size, (W - size) // 2, (H - size) // 2, rng.uniform(0.5, 1)), rng)
    left, top = rng.random() < 0.5, rng.random() < 0.5
    end = (60 if left else W - 60), (60 if top else H - 60)
    mask = np.zeros((H, W), np.float32)
    cv2.line(
        mask,
        (-80 if left else W + 80, -20 if top else H + 20),
        end,
        1.0,
        int(rng.integers(70, 120)),
    )
    cover = np.asarray(cv2.GaussianBlur(mask, (0, 0), 2))[..., None]
    skin = np.array([[225, 178, 150], [150, 100, 72]], np.float32)[rng.integers(2)]
    return taken(scene + cover * (skin - scene), rng)


def _things(digit: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    size = int(rng.integers(180, 260))
    scene = written(placed(digit, size, (W - size) // 2, (H - size) // 2, rng.uniform(0.5, 1)), rng)
    for _ in range(int(rng.integers(1, 4))):
        colour = rng.integers(20, 220, 3).tolist()
        x = int(rng.choice([0, W])) + int(rng.integers(-30, 30))
        y = int(rng.integers(0, H))
        cv2.ellipse(scene, (x, y), tuple(rng.integers(30, 75, 2).tolist()), 0, 0, 360, colour, -1)
    return taken(scene, rng)


def _thin(digit: np.ndarray, rng: np.random.Generator, share: float) -> np.ndarray:
    size = 420
    solid = pen(digit, size)
    ys = np.flatnonzero((solid > 0.5).any(1))
    field = cv2.distanceTransform((pen(digit, size, 0.01) < 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    half = share * (ys[-1] - ys[0] + 1) / 2
    ink = np.zeros((H, W), np.float32)
    x = int(rng.integers(0, W - size))
    ink[30 : 30 + size, x : x + size] = (half - field + 0.5).clip(0, min(1.0, 2 * half))
    return taken(written(ink, rng), rng)


def _tiny(digit: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return taken(written(anywhere(digit, rng, 30, 50), rng), rng)


def _same_brightness(digit: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    pairs = [
        ((200, 60, 50), (60, 120, 75)),
        ((60, 110, 70), (190, 55, 50)),
        ((190, 70, 160), (60, 130, 120)),
    ]
    paper, ink = (np.array(c, np.float32) for c in pairs[rng.integers(3)])
    luma = np.array([0.299, 0.587, 0.114], np.float32)
    ink = ink + float(luma @ paper - luma @ ink)
    return taken(written(anywhere(digit, rng, 200, 320), rng, paper, ink), rng)


def _transparent(digit: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    alpha = anywhere(digit, rng, 200, 400)
    return np.dstack([np.full((H, W, 3), 255, np.uint8), (255 * alpha).astype(np.uint8)])


def _outline(digit: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    solid = (anywhere(digit, rng, 280, 400) > 0.5).astype(np.uint8)
    grown = cv2.morphologyEx(solid, cv2.MORPH_GRADIENT, np.ones((5, 5), np.uint8))
    return taken(written(grown.astype(np.float32), rng), rng)


KINDS: dict[str, Kind] = {
    "sheet on a dark desk": lambda d, rng: _sheet(d, rng, edges=False),
    "desk at two edges": lambda d, rng: _sheet(d, rng, edges=True),
    "edge of a shadow": _shadow,
    "ringed": _ringed,
    "in a printed box": _boxed,
    "finger in the corner": _finger,
    "things at the rim": _things,
    "pen of 1 % of the height": lambda d, rng: _thin(d, rng, 0.01),
    "pen of 0.8 % of the height": lambda d, rng: _thin(d, rng, 0.008),
    "tiny in a page": _tiny,
    "as bright as its paper": _same_brightness,
    "white on transparent": _transparent,
    "outline letters": _outline,
}


def several(digits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A number: uint8 (N, 28, 28), N from 2 to 5 -> a photo."""
    size = int(rng.integers(80, W // (len(digits) + 1)))
    step = int(size * rng.uniform(0.72, 0.95))
    ink = np.zeros((H, W), np.float32)
    x = int(rng.integers(5, W - size - step * (len(digits) - 1)))
    y = int(rng.integers(5, H - size - 5))
    for k, digit in enumerate(digits):
        ink = np.maximum(ink, placed(digit, size, x + k * step, y, 0.8))
    return taken(written(ink, rng), rng)


def without_digits(rng: np.random.Generator) -> np.ndarray:
    """A letter, coloured shapes, or an empty sheet."""
    what = rng.integers(3)
    scene = written(np.zeros((H, W), np.float32), rng)
    if what == 0:
        letter = str(rng.choice(list("AEFHKMNRTWXY")))
        image = Image.fromarray(scene.clip(0, 255).astype(np.uint8))
        font = ImageFont.load_default(int(rng.integers(150, 350)))
        ImageDraw.Draw(image).text((int(rng.integers(40, 300)), 40), letter, (20, 20, 30), font)
        scene = np.asarray(image, np.float32)
    elif what == 1:
        for _ in range(int(rng.integers(4, 15))):
            x, y = int(rng.integers(W)), int(rng.integers(H))
            a, b = rng.integers(20, 90, 2).tolist()
            colour = rng.integers(20, 240, 3).tolist()
            if rng.random() < 0.5:
                cv2.rectangle(scene, (x, y), (x + a, y + b), colour, -1)
            else:
                cv2.ellipse(scene, (x, y), (a, b), 0, 0, 360, colour, -1)
    return taken(scene, rng)
