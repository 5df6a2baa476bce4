"""The surroundings of the digits in a scene: paper and boards, print, scribbles, the table.

Everything is drawn here, no image is read: textures are noise, print is letters in matplotlib's and
Pillow's fonts, scribbles are strokes. No digit is ever printed, and no scribble looks like one.
"""

import functools
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]  # RGB
Rect = tuple[float, float, float, float]  # x1, y1, x2, y2

LIGHT_INKS: tuple[Colour, ...] = (
    (235, 235, 230),
    (240, 225, 120),
    (240, 170, 180),
    (160, 220, 240),
    (170, 235, 170),
)
DARK_INKS: tuple[Colour, ...] = (
    *((25, 25, 28),) * 3,  # black ink is the most common
    (30, 45, 140),
    (20, 60, 170),
    (45, 50, 90),
    (170, 30, 35),
    (130, 25, 40),
    (15, 95, 50),
    (90, 40, 120),
    (80, 55, 35),
    (70, 70, 75),  # a pencil
)
KINDS = {  # how often, and the colours a sheet of this kind may have
    "plain": (20, ((250, 250, 247), (240, 238, 232), (228, 228, 232), (252, 246, 228))),
    "tinted": (
        11,
        ((250, 240, 150), (190, 220, 245), (250, 205, 215), (200, 235, 195), (250, 215, 160)),
    ),
    "ruled": (17, ((250, 250, 248), (252, 246, 224), (240, 240, 240))),
    "squared": (13, ((250, 250, 248), (245, 245, 238))),
    "printed": (12, ((252, 252, 250), (238, 234, 224), (246, 246, 246))),
    "whiteboard": (13, ((246, 248, 250), (232, 238, 240))),
    "kraft": (4, ((196, 164, 122), (208, 180, 140))),
    "chalkboard": (6, ((38, 62, 50), (44, 48, 50), (30, 50, 42))),
    "dark": (4, ((30, 30, 34), (36, 40, 70), (60, 34, 40))),
}
# Strokes of letters and signs that no one takes for a digit, in a unit square, y down.
LETTERS: dict[str, list[list[tuple[float, float]]]] = {
    "A": [[(0, 1), (0.5, 0), (1, 1)], [(0.2, 0.62), (0.8, 0.62)]],
    "E": [[(0.9, 0), (0, 0), (0, 1), (0.9, 1)], [(0, 0.5), (0.7, 0.5)]],
    "F": [[(0.9, 0), (0, 0), (0, 1)], [(0, 0.5), (0.7, 0.5)]],
    "H": [[(0, 0), (0, 1)], [(1, 0), (1, 1)], [(0, 0.5), (1, 0.5)]],
    "K": [[(0, 0), (0, 1)], [(0.9, 0), (0, 0.55), (0.95, 1)]],
    "M": [[(0, 1), (0.1, 0), (0.5, 0.7), (0.9, 0), (1, 1)]],
    "N": [[(0, 1), (0, 0), (1, 1), (1, 0)]],
    "R": [[(0, 1), (0, 0), (0.8, 0.1), (0.8, 0.4), (0, 0.5), (0.9, 1)]],
    "T": [[(0, 0), (1, 0)], [(0.5, 0), (0.5, 1)]],
    "W": [[(0, 0), (0.25, 1), (0.5, 0.3), (0.75, 1), (1, 0)]],
    "X": [[(0, 0), (1, 1)], [(1, 0), (0, 1)]],
    "+": [[(0, 0.5), (1, 0.5)], [(0.5, 0), (0.5, 1)]],
    "=": [[(0, 0.35), (1, 0.35)], [(0, 0.65), (1, 0.65)]],
    "#": [[(0.3, 0), (0.2, 1)], [(0.8, 0), (0.7, 1)], [(0, 0.3), (1, 0.3)], [(0, 0.7), (1, 0.7)]],
    "tick": [[(0, 0.6), (0.35, 1), (1, 0)]],
    "star": [[(0.2, 1), (0.5, 0), (0.8, 1), (0, 0.38), (1, 0.38), (0.2, 1)]],
    "house": [
        [(0, 1), (0, 0.45), (0.5, 0), (1, 0.45), (1, 1), (0, 1)],
        [(0.4, 1), (0.4, 0.65), (0.6, 0.65), (0.6, 1)],
    ],
    "arrow": [[(0, 0.5), (1, 0.5)], [(0.7, 0.25), (1, 0.5), (0.7, 0.75)]],
    "envelope": [[(0, 0.2), (1, 0.2), (1, 0.8), (0, 0.8), (0, 0.2), (0.5, 0.55), (1, 0.2)]],
}
FONTS = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSerif",
    "DejaVuSerif-Italic",
    "DejaVuSansMono",
    "STIXGeneral",
    "cmr10",
)
SCRIBBLES = {  # how often
    "letters": 0.44,
    "zigzag": 0.1,
    "spiral": 0.08,
    "loops": 0.12,
    "tangle": 0.1,
    "underline": 0.08,
    "smiley": 0.08,
}
PROSE = "abcdefghijklmnopqrstuvwxyzaaeeeeiioorrnnttsslletaoin"
# for large print: no O, I, l, S, Z, B, b, g, q
UNLIKE_DIGITS = "ACDEFHJKMNPRTUVWXYacdefhkmnprtuvwxy"


@functools.cache
def grain() -> np.ndarray:
    """float32 (640, 640, 3), standard normal; always the same."""
    return np.random.default_rng(0).standard_normal((640, 640, 3), dtype=np.float32)


def grain_at(rng: np.random.Generator, h: int, w: int) -> np.ndarray:
    """A window of the grain, float32 (h, w, 3), h and w up to 640; larger ones are enlarged."""
    if max(h, w) > 640:
        return cv2.resize(grain(), (w, h))
    y, x = rng.integers(0, 641 - h), rng.integers(0, 641 - w)
    return grain()[y : y + h, x : x + w]


@functools.cache
def print_bank() -> dict[str, list[np.ndarray]]:
    """Printed "lines" of small words and large "words": uint8 masks, 32 and 56 px high.

    Always the same.
    """
    import matplotlib

    rng = np.random.default_rng(1)
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    bank: dict[str, list[np.ndarray]] = {"lines": [], "words": []}
    for i in range(140):
        small = i < 70
        height = 26 if small else 46
        name = FONTS[i % (len(FONTS) + 1) - 1] if i % (len(FONTS) + 1) else None
        font = (
            ImageFont.truetype(str(folder / f"{name}.ttf"), height)
            if name
            else ImageFont.load_default(height)
        )
        letters = list(PROSE if small else UNLIKE_DIGITS)
        words = ["".join(rng.choice(letters, rng.integers(2, 9))) for _ in range(6 if small else 1)]
        text = (
            " ".join(word.capitalize() if rng.random() < 0.3 else word for word in words)
            if small
            else words[0]
        )
        width = int(font.getlength(text)) + 4
        image = Image.new("L", (width, int(1.25 * height)), 0)
        ImageDraw.Draw(image).text((2, 0), text, 255, font)
        bank["lines" if small else "words"].append(np.array(image))
    return bank


@dataclass(frozen=True)
class Sheet:
    """An empty sheet: uint8 (h, w, 3) RGB, to be written on with light inks where it is dark."""

    pixels: np.ndarray
    kind: str
    dark: bool

    @property
    def inks(self) -> tuple[Colour, ...]:
        return LIGHT_INKS if self.dark else DARK_INKS[:9] if self.kind == "kraft" else DARK_INKS


def new_sheet(rng: np.random.Generator, h: int, w: int) -> Sheet:
    """A sheet of paper or a board, with its lines, frame or smudges."""
    names = list(KINDS)
    share = np.array([KINDS[name][0] for name in names], float)
    kind = names[rng.choice(len(names), p=share / share.sum())]
    colours = KINDS[kind][1]
    colour = np.array(colours[rng.integers(len(colours))], np.float32) + rng.normal(0, 4, 3)
    dark = kind in ("chalkboard", "dark")
    amount = rng.uniform(2, 7) if kind in ("kraft", "chalkboard") else rng.uniform(0.3, 2.5)
    blotches: np.ndarray = cv2.resize(
        rng.normal(0, rng.uniform(0.5, 3), (5, 5)).astype(np.float32), (w, h)
    )
    if kind in ("chalkboard", "whiteboard"):  # what the sponge left, in broad strokes
        smudge: np.ndarray = cv2.resize(
            rng.normal(0, 1, (9, 4)).astype(np.float32), (w, h), interpolation=cv2.INTER_CUBIC
        )
        blotches += smudge * (5 if dark else 2.5)
    fine = grain_at(rng, h, w)[..., 0]
    pixels = coloured(cv2.scaleAdd(fine, amount, blotches), colour)
    if kind in ("ruled", "squared"):
        _rule(rng, pixels, kind == "squared")
    if kind in ("whiteboard", "chalkboard") and rng.random() < 0.6:
        frame = (180, 182, 186) if kind == "whiteboard" else (120, 84, 50)
        cv2.rectangle(pixels, (0, 0), (w - 1, h - 1), frame, int(rng.integers(6, 16)))
    return Sheet(pixels, kind, dark)


def coloured(field: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """A colour, RGB (3,), plus a brightness field, float32 (h, w); uint8 (h, w, 3)."""
    return cv2.add(cv2.merge([field] * 3), np.array([*colour, 0.0]), dtype=cv2.CV_8U)


def _rule(rng: np.random.Generator, pixels: np.ndarray, squared: bool) -> None:
    """Notebook lines with a margin, or squares."""
    h, w = pixels.shape[:2]
    step = rng.uniform(9, 30) if squared else rng.uniform(14, 40)
    ink = np.array(
        [(150, 180, 220), (170, 170, 175), (190, 160, 200), (140, 190, 180)][rng.integers(4)]
    )
    colour = tuple(int(c) for c in ink + rng.integers(-15, 30))
    wide = 2 if step > 24 and rng.random() < 0.4 else 1
    for y in np.arange(rng.uniform(2, 40), h, step):
        cv2.line(pixels, (0, int(16 * y)), (16 * w, int(16 * y)), colour, wide, cv2.LINE_AA, 4)
    for x in np.arange(rng.uniform(0, step), w, step) if squared else []:
        cv2.line(pixels, (int(16 * x), 0), (int(16 * x), 16 * h), colour, wide, cv2.LINE_AA, 4)
    if rng.random() < (0.2 if squared else 0.6):
        x = int(rng.uniform(0.06, 0.2) * w)
        cv2.line(pixels, (x, 0), (x, h), (220, 120, 130), wide, cv2.LINE_AA)


def new_table(rng: np.random.Generator, size: int) -> np.ndarray:
    """Wood, cloth, stone or a plain surface, sometimes with things on it; uint8 RGB."""
    kind = rng.integers(4)
    value = rng.uniform(30, 215)
    tint = np.array([1.0, rng.uniform(0.7, 0.95), rng.uniform(0.45, 0.85)])  # warm
    base = value * (tint if rng.random() < 0.6 else rng.uniform(0.85, 1.0, 3))
    cells = {0: (3, 40), 1: (4, 4), 2: (60, 60), 3: (3, 3)}[int(kind)]
    cells = cells[::-1] if rng.random() < 0.5 else cells
    field: np.ndarray = cv2.resize(
        rng.normal(0, 1, cells).astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC
    )
    field *= rng.uniform(3, 14)
    if kind == 1:  # cloth: a check of two stripes
        period = rng.uniform(6, 40)
        stripe = np.sign(
            np.sin(np.arange(size, dtype=np.float32) * (2 * np.pi / period))
        ) * np.float32(12)
        field += stripe[None] + stripe[:, None]
    field += grain_at(rng, size, size)[..., 1] * np.float32(rng.uniform(1, 6))
    table = coloured(field, base)
    for _ in range(rng.integers(0, 5) if rng.random() < 0.5 else 0):
        colour = tuple(int(c) for c in rng.integers(10, 245, 3))
        centre = tuple(int(c) for c in rng.integers(0, size, 2))
        axes = tuple(int(c) for c in rng.uniform(0.03, 0.3, 2) * size)
        if rng.random() < 0.5:
            cv2.ellipse(
                table, centre, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA
            )
        else:
            corners = cv2.boxPoints((centre, axes, float(rng.uniform(0, 90))))
            cv2.fillConvexPoly(table, corners.astype(np.int32), colour, cv2.LINE_AA)
    return table


def is_free(rect: Rect, taken: list[Rect]) -> bool:
    """Whether no rectangle of `taken` touches `rect`."""
    x1, y1, x2, y2 = rect
    return not any(x1 < c and a < x2 and y1 < d and b < y2 for a, b, c, d in taken)


def add_print(rng: np.random.Generator, sheet: Sheet, taken: list[Rect], text: bool) -> None:
    """Printed clutter where nothing else is: lines of text, large words, forms, tables, bars."""
    h, w = sheet.pixels.shape[:2]
    bank = print_bank()
    for _ in range(rng.integers(4, 10) if text else rng.integers(1, 4)):
        ink = sheet.inks[rng.integers(len(sheet.inks))]
        x, y = rng.uniform(0, w), rng.uniform(0, h)
        what = rng.random()
        if what < 0.6:  # a paragraph
            height = float(np.exp(rng.uniform(np.log(7), np.log(20))))
            for i in range(rng.integers(1, 8)):
                mask = bank["lines"][rng.integers(len(bank["lines"]))]
                stamp(sheet.pixels, mask, x, y + 1.3 * i * height, height, ink, taken)
        elif what < 0.8:
            mask = bank["words"][rng.integers(len(bank["words"]))]
            height = float(np.exp(rng.uniform(np.log(18), np.log(90))))
            stamp(sheet.pixels, mask, x, y, height, ink, taken)
        else:
            _form(rng, sheet.pixels, x, y, ink, taken)


def stamp(
    pixels: np.ndarray,
    mask: np.ndarray,
    x: float,
    y: float,
    height: float,
    ink: Colour,
    taken: list[Rect],
) -> None:
    """Print a mask `height` px high where it fits on the sheet and nothing else is."""
    width = round(mask.shape[1] * height / mask.shape[0])
    x1, y1 = int(x), int(y)
    y2, x2 = min(y1 + round(height), pixels.shape[0]), min(x1 + width, pixels.shape[1])
    if x2 - x1 < 8 or y2 - y1 < round(height) or not is_free((x1, y1, x2, y2), taken):
        return
    taken.append((x1, y1, x2, y2))
    small = cv2.resize(mask, (width, y2 - y1), interpolation=cv2.INTER_AREA)[:, : x2 - x1]
    blend(pixels[y1:y2, x1:x2], small.astype(np.float32) / 255, ink)


def blend(region: np.ndarray, alpha: np.ndarray, ink: Colour) -> None:
    """Lay ink over a region, uint8 (h, w, 3), in place; alpha float32 (h, w) in [0, 1]."""
    cover = cv2.merge([alpha] * 3)
    base = region.astype(np.float32)
    region[:] = base + cover * (np.array(ink, np.float32) - base) + np.float32(0.5)


def _form(
    rng: np.random.Generator, pixels: np.ndarray, x: float, y: float, ink: Colour, taken: list[Rect]
) -> None:
    """Boxes in a row, a table, an ellipse or bars."""
    kind, wide = rng.integers(4), int(rng.integers(1, 3))
    cell = rng.uniform(14, 50, 2)
    rows, cols = (1, rng.integers(1, 8)) if kind == 0 else rng.integers(1, 6, 2)
    x2, y2 = int(x + cols * cell[0]), int(y + rows * cell[1])
    x1, y1 = int(x), int(y)
    if not is_free((x1, y1, x2, y2), taken):
        return
    taken.append((x1, y1, x2, y2))
    if kind == 2:
        centre = ((x1 + x2) // 2, (y1 + y2) // 2)
        axes = (max(2, (x2 - x1) // 2), max(2, (y2 - y1) // 2))
        cv2.ellipse(pixels, centre, axes, 0, 0, 360, ink, -1, cv2.LINE_AA)
    elif kind == 3:
        for bar in np.arange(x1, x2, 4):
            if rng.random() < 0.6:
                cv2.rectangle(pixels, (int(bar), y1), (int(bar + rng.integers(0, 3)), y2), ink, -1)
    else:
        for i in range(int(rows) + 1):
            level = round(y1 + i * cell[1])
            cv2.line(pixels, (x1, level), (x2, level), ink, wide, cv2.LINE_AA)
        for j in range(int(cols) + 1):
            across = round(x1 + j * cell[0])
            cv2.line(pixels, (across, y1), (across, y2), ink, wide, cv2.LINE_AA)


def add_scribbles(
    rng: np.random.Generator, sheet: Sheet, taken: list[Rect], n: int, ink: Colour, width: float
) -> None:
    """Handwriting without digits, by the digits' pen or another: letters, drawings, loops."""
    h, w = sheet.pixels.shape[:2]
    for _ in range(n):
        size = float(np.exp(rng.uniform(np.log(14), np.log(110))))
        kind = rng.choice(list(SCRIBBLES), p=list(SCRIBBLES.values()))
        strokes = _strokes(rng, str(kind), size)
        low = np.min([s.min(0) for s in strokes], 0)
        high = np.max([s.max(0) for s in strokes], 0)
        at = rng.uniform(0, 1, 2) * (np.array([w, h]) - (high - low)) - low
        rect = (*(low + at - 3).tolist(), *(high + at + 3).tolist())
        if not is_free(rect, taken):
            continue
        taken.append(rect)
        colour = ink if rng.random() < 0.7 else sheet.inks[rng.integers(len(sheet.inks))]
        thick = max(1, round(min(width * rng.uniform(0.7, 1.3), size / 9)))
        lines = [np.round(16 * (s + at)).astype(np.int32) for s in strokes]
        cv2.polylines(sheet.pixels, lines, False, colour, thick, cv2.LINE_AA, 4)


def _strokes(rng: np.random.Generator, kind: str, size: float) -> list[np.ndarray]:
    """Float (n, 2) points of each stroke, about `size` px high."""
    if kind == "letters":
        names = list(LETTERS)
        strokes: list[np.ndarray] = []
        for i in range(rng.integers(1, 5)):
            shape = np.array([rng.uniform(0.6, 1.0), 1]) * size
            for corners in LETTERS[names[rng.integers(len(names))]]:
                wobbly = np.array(corners) + rng.normal(0, 0.04, (len(corners), 2))
                strokes.append(wobbly * shape + (i * 1.15 * size, 0))
        return strokes
    t = np.linspace(0, 1, 60)
    if kind == "zigzag":
        teeth = int(rng.integers(5, 12))
        points = np.stack([np.linspace(0, rng.uniform(1, 3), teeth), np.arange(teeth) % 2], 1)
        return [(points + rng.normal(0, 0.06, points.shape)) * size]
    if kind == "spiral":
        angle, radius = 2 * np.pi * rng.uniform(2.5, 5) * t, 0.5 * t
        return [np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1) * size]
    if kind == "loops":  # eeee, in one stroke
        turns = rng.integers(4, 9)
        angle = 2 * np.pi * turns * np.linspace(0, 1, 14 * turns)
        return [
            np.stack([0.25 * angle / np.pi + 0.3 * np.cos(angle), 0.5 * np.sin(angle)], 1) * size
        ]
    if kind == "underline":
        length = size * rng.uniform(1.5, 4)
        return [np.stack([t * length, 0.03 * size * np.sin(2 * np.pi * (t + rng.random()))], 1)]
    if kind == "smiley":
        ring = np.stack([np.cos(2 * np.pi * t), np.sin(2 * np.pi * t)], 1)
        mouth = 0.55 * ring[3:27]
        eyes = [0.08 * ring + (side, -0.3) for side in (-0.35, 0.35)]
        return [0.5 * size * part for part in (ring, mouth, *eyes)]
    points = rng.uniform(0, 1, (int(rng.integers(10, 18)), 1, 2)).astype(np.float32)  # a tangle
    return [
        cv2.resize(points, (1, 8 * len(points)), interpolation=cv2.INTER_CUBIC)[:, 0].astype(float)
        * size
    ]
