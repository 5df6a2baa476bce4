"""Photos of one or a few handwritten digits, drawn as they are needed, with the ink's true mask.

Against train/detector's scenes: digits from a fifteenth of the frame to nearly all of it, pens from
half a percent of the digit's height to a fifth, ink of any colour on paper of any colour, rings and
boxes around digits, fingers and things at the rim, hard shadows, sheets smaller than the frame, and
scenes with letters and shapes instead of digits, where no ink is to be found.

    python -m train.ink.scenes contact.png    48 scenes, and the masks below them, to look at
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from train import data
from train.detector import sheets
from train.detector.camera import photograph
from train.detector.scenes import FINE, MARGIN, OUTSIDE, outline
from train.digit_variants import thinned

SIDE = 256  # px of a scene
TRACE = 1.8  # px, the least width of a stroke in the mask: a hairline is to be found whole
FIELD = FINE * (28 + 2 * MARGIN)  # px of a digit's distance fields


@dataclass(frozen=True)
class Written:
    """Two fields of a digit in MNIST px: signed distance to its edge, distance to its ridge."""

    edge: np.ndarray  # float32 (FIELD, FIELD), inside positive
    ridge: np.ndarray  # float32 (FIELD, FIELD), 0 on the middle line
    box: tuple[
        float, float, float, float
    ]  # of the ink, x1, y1, x2, y2, MNIST px from the fields' corner


class Digits:
    """Digits of MNIST's format with their fields, made when first asked for."""

    def __init__(self, digits: data.ImageSet):
        self.images, self.labels = digits.images, digits.labels
        self._made: dict[int, Written] = {}

    def __len__(self) -> int:
        return len(self.images)

    def at(self, i: int) -> Written:
        if i not in self._made:
            edge = outline(self.images[i])
            solid = (edge > 0).astype(np.uint8)
            if not solid.any():
                solid[FIELD // 2, FIELD // 2] = 1
            ridge = cv2.distanceTransform(1 - thinned(solid), cv2.DIST_L2, 5) / FINE
            x, y, w, h = (v / FINE for v in cv2.boundingRect(solid))
            self._made[i] = Written(edge.astype(np.float32), ridge, (x, y, x + w, y + h))
        return self._made[i]


@dataclass
class Page:
    """A flat sheet while it is written on, and the mask of its digits' ink."""

    pixels: np.ndarray  # uint8 (h, w, 3)
    mask: np.ndarray  # float32 (h, w) in [0, 1]
    inks: tuple[sheets.Colour, ...]
    taken: list[sheets.Rect]  # where something stands
    kind: str = "plain"


def scene(digits: Digits, seed: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """A photo, uint8 (SIDE, SIDE, 3) RGB, and the share of each pixel that ink covers, float32.

    Both are functions of the digits and the seed.
    """
    rng = np.random.default_rng(seed)
    fills = rng.random() < 0.6
    if fills:
        h, w = (int(v) for v in rng.uniform(1.0, 1.15, 2) * SIDE)
    else:
        h, w = (int(v) for v in rng.uniform(0.4, 1.0, 2) * SIDE)
    page = new_page(rng, h, w)
    thinnest = float(SIDE)
    if rng.random() < 0.86:
        thinnest = write_digits(rng, page, digits)
    else:
        draw_others(rng, page, large=True)
    if rng.random() < 0.35:
        add_clutter(rng, page)
    image, mask = lay_down(rng, page, fills)
    add_things_at_the_rim(rng, image, mask)
    if rng.random() < 0.12:
        return (255 - image if rng.random() < 0.3 else image), mask  # drawn on a computer
    if rng.random() < 0.3:
        cast_shadow(rng, image)
    photo = photograph(rng, image, float(np.clip(10 * thinnest, 10, 60)))
    return (255 - photo if rng.random() < 0.03 else photo), mask


# -- the sheet -------------------------------------------------------------------------------------


def new_page(rng: np.random.Generator, h: int, w: int) -> Page:
    """Paper or a board of train/detector's, or card of any colour with ink of another."""
    mask = np.zeros((h, w), np.float32)
    if rng.random() < 0.6:
        sheet = sheets.new_sheet(rng, h, w)
        return Page(sheet.pixels, mask, sheet.inks, [], sheet.kind)
    paper = any_colour(rng)
    inks = [ink for ink in (any_colour(rng) for _ in range(40)) if differ(ink, paper)]
    blotches: np.ndarray = cv2.resize(
        rng.normal(0, rng.uniform(0, 3), (5, 5)).astype(np.float32), (w, h)
    )
    grain = sheets.grain_at(rng, h, w)[..., 0] * np.float32(rng.uniform(0, 3))
    pixels = sheets.coloured(blotches + grain, np.array(paper, np.float32))
    return Page(pixels, mask, tuple(inks) or ((0, 0, 0),), [])


def any_colour(rng: np.random.Generator) -> sheets.Colour:
    """RGB; strong colours as often as greys and pale ones."""
    hue, saturation = rng.uniform(0, 180), rng.uniform(0, 255) * (rng.random() < 0.75)
    value = rng.uniform(20, 255)
    pixel = np.array([[[hue, saturation, value]]], np.uint8)
    r, g, b = cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0].tolist()
    return r, g, b


def differ(a: sheets.Colour, b: sheets.Colour) -> bool:
    """Whether one is legible on the other, by brightness or by colour."""
    return float(np.abs(np.subtract(a, b)).sum()) > 130


# -- what stands on it -----------------------------------------------------------------------------


def write_digits(rng: np.random.Generator, page: Page, digits: Digits) -> float:
    """One digit, or a row of two to five, perhaps ringed or boxed; returns the pen's width, px."""
    h, w = page.mask.shape
    n = 1 if rng.random() < 0.8 else int(rng.integers(2, 6))
    low, high = (0.035 * SIDE, 0.88 * min(h, w)) if n == 1 else (0.1 * SIDE, min(0.6 * h, w / n))
    height = float(np.exp(rng.uniform(np.log(min(low, high)), np.log(high))))
    chosen = [digits.at(int(rng.integers(len(digits)))) for _ in range(n)]
    scales = [height / max(d.box[3] - d.box[1], 0.8 * (d.box[2] - d.box[0]), 1.0) for d in chosen]
    wide = [(d.box[2] - d.box[0]) * k for d, k in zip(chosen, scales, strict=True)]
    gap = height * rng.uniform(0.12, 0.5)
    width = sum(wide) + gap * (n - 1)
    x = rng.uniform(0.02, 0.98) * max(0.0, w - width)
    y = rng.uniform(0.02, 0.98) * max(0.0, h - height)
    page.taken.append((x - 4, y - 4, x + width + 4, y + height + 4))
    ink = page.inks[rng.integers(len(page.inks))]
    if rng.random() < 0.3:
        enclose(rng, page, (x, y, x + width, y + height), ink)
    pen = new_pen(rng, height)
    for digit, k, across in zip(chosen, scales, wide, strict=True):
        _write(rng, page, digit, k, (x + across / 2, y + height / 2), ink, pen)
        x += across + gap
    return pen or 0.1 * height


def new_pen(rng: np.random.Generator, height: float) -> float | None:
    """Width of the pen, px; None: as it was written."""
    if rng.random() < 0.35:
        return None
    return float(max(0.5, np.exp(rng.uniform(np.log(0.006), np.log(0.16))) * height))


def _write(
    rng: np.random.Generator,
    page: Page,
    digit: Written,
    scale: float,
    at: tuple[float, float],
    ink: sheets.Colour,
    pen: float | None,
) -> None:
    """Draw a digit with the middle of its ink at `at`, `scale` px of the page a px of MNIST."""
    h, w = page.mask.shape
    angle, shear = rng.normal(0, 0.12), rng.normal(0, 0.08)
    c, s = np.cos(angle), np.sin(angle)
    turn = scale / FINE * np.array([[c, -s], [s, c]]) @ np.array([[1, shear], [0, 1]])
    middle = FINE * np.array([(digit.box[0] + digit.box[2]) / 2, (digit.box[1] + digit.box[3]) / 2])
    matrix = np.column_stack([turn, np.array(at) - turn @ middle])
    edge = scale * cv2.warpAffine(digit.edge, matrix, (w, h), borderValue=OUTSIDE)
    if pen is None:
        level = edge + scale * rng.uniform(-0.4, 0.8)
        alpha, true = (level + 0.5).clip(0, 1), (np.maximum(level, edge) + 0.5).clip(0, 1)
    elif rng.random() < 0.05:  # outline letters: what they enclose is the digit
        level = pen / 2 - np.abs(edge)
        alpha, true = (level + 0.5).clip(0, min(1.0, pen)), (edge + 0.5).clip(0, 1)
    else:
        ridge = scale * cv2.warpAffine(digit.ridge, matrix, (w, h), borderValue=-OUTSIDE)
        alpha = (pen / 2 - ridge + 0.5).clip(0, min(1.0, pen))
        true = (max(pen, TRACE) / 2 - ridge + 0.5).clip(0, 1)
    np.maximum(page.mask, true.astype(np.float32), out=page.mask)
    strength = np.float32(rng.uniform(0.75, 1.0))
    if rng.random() < 0.15:  # chalk and pencil leave the sheet's grain open
        grain = sheets.grain_at(rng, h, w)[..., 0]
        alpha = alpha * (1 + np.float32(0.25) * grain).clip(0.4, 1)
    sheets.blend(page.pixels, alpha.astype(np.float32) * strength, ink)


def enclose(rng: np.random.Generator, page: Page, box: sheets.Rect, ink: sheets.Colour) -> None:
    """A ring, a printed box, a row of boxes or a line below the digits: not their ink."""
    x1, y1, x2, y2 = box
    colour = ink if rng.random() < 0.6 else page.inks[rng.integers(len(page.inks))]
    room = rng.uniform(0.12, 0.6) * (y2 - y1) + 2
    wide = max(1, round(float(rng.uniform(0.004, 0.06)) * (y2 - y1)))
    low, high = (round(x1 - room), round(y1 - room)), (round(x2 + room), round(y2 + room))
    what = rng.random()
    if what < 0.45:
        centre = (round((x1 + x2) / 2), round((y1 + y2) / 2))
        grown = (1 + rng.uniform(0, 0.5)) * np.array([x2 - x1 + room, y2 - y1 + room]) / 1.5
        axes = (max(2, round(float(grown[0]))), max(2, round(float(grown[1]))))
        start = float(rng.uniform(0, 360))
        sweep = 360 if rng.random() < 0.7 else rng.uniform(300, 400)
        turned = float(rng.normal(0, 15))
        cv2.ellipse(
            page.pixels, centre, axes, turned, start, start + sweep, colour, wide, cv2.LINE_AA
        )
    elif what < 0.85:
        cv2.rectangle(page.pixels, low, high, colour, wide, cv2.LINE_AA)
        for k in range(int(rng.integers(0, 3))):
            step = (k + 1) * (high[0] - low[0])
            cv2.rectangle(
                page.pixels, (low[0] + step, low[1]), (high[0] + step, high[1]), colour, wide
            )
    else:
        cv2.line(page.pixels, (low[0], high[1]), high, colour, wide, cv2.LINE_AA)


def draw_others(rng: np.random.Generator, page: Page, large: bool) -> None:
    """Letters, signs, words and shapes where nothing stands yet; perhaps nothing at all."""
    h, w = page.mask.shape
    ink = page.inks[rng.integers(len(page.inks))]
    what = rng.random()
    if large and what < 0.2:
        return
    if large and what < 0.45:
        height = float(rng.uniform(0.2, 0.8)) * h
        letter = _letter(rng)
        width = letter.shape[1] * height / letter.shape[0]
        x, y = rng.uniform(0, 1) * max(0.0, w - width), rng.uniform(0, 1) * (h - height)
        sheets.stamp(page.pixels, letter, x, y, height, ink, page.taken)
    elif what < 0.75:
        for _ in range(int(rng.integers(1, 14))):
            colour = any_colour(rng)
            centre = (int(rng.integers(w)), int(rng.integers(h)))
            axes = (int(rng.uniform(3, 0.25 * w)), int(rng.uniform(3, 0.25 * h)))
            rect = (
                centre[0] - axes[0],
                centre[1] - axes[1],
                centre[0] + axes[0],
                centre[1] + axes[1],
            )
            if not sheets.is_free(rect, page.taken):
                continue
            fill = -1 if rng.random() < 0.7 else int(rng.integers(1, 6))
            if rng.random() < 0.5:
                cv2.rectangle(page.pixels, rect[:2], rect[2:], colour, fill, cv2.LINE_AA)
            else:
                cv2.ellipse(page.pixels, centre, axes, 0, 0, 360, colour, fill, cv2.LINE_AA)
    else:
        sheet = sheets.Sheet(page.pixels, page.kind, False)
        pen = float(rng.uniform(1, 8))
        sheets.add_scribbles(rng, sheet, page.taken, int(rng.integers(1, 6)), ink, pen)


def _letter(rng: np.random.Generator) -> np.ndarray:
    """A large printed word's mask, or its first letters."""
    words = sheets.print_bank()["words"]
    mask = words[rng.integers(len(words))]
    gaps = np.flatnonzero(mask[:, 4:].max(0) == 0) + 4
    end = int(gaps[0]) if len(gaps) and rng.random() < 0.7 else mask.shape[1]
    return mask[:, :end]


def add_clutter(rng: np.random.Generator, page: Page) -> None:
    """Print, scribbles or shapes beside the digits."""
    sheet = sheets.Sheet(page.pixels, page.kind, False)
    if rng.random() < 0.5:
        sheets.add_print(rng, sheet, page.taken, text=False)
    else:
        draw_others(rng, page, large=False)


# -- before the camera -----------------------------------------------------------------------------


def lay_down(rng: np.random.Generator, page: Page, fills: bool) -> tuple[np.ndarray, np.ndarray]:
    """The page in the frame, seen slightly from the side: (image, mask)."""
    h, w = page.mask.shape
    corners = np.array([(0, 0), (w, 0), (w, h), (0, h)], np.float32)
    slack = 0.02 if fills else 0.07
    moved = corners + rng.normal(0, slack, (4, 2)) * min(h, w)
    if fills:
        moved = corners * (SIDE / np.array([w, h])) + rng.normal(0, 0.01, (4, 2)) * SIDE
        moved = SIDE / 2 + (moved - SIDE / 2) * 1.03
        frame = np.full((SIDE, SIDE, 3), np.median(page.pixels, (0, 1)), np.uint8)
    else:
        c, s = np.cos(rng.normal(0, 0.12)), np.sin(rng.normal(0, 0.12))
        moved = (moved - (w / 2, h / 2)) @ np.array([[c, s], [-s, c]])
        free = np.maximum(0, SIDE - np.array([w, h]))
        moved += np.array([w, h]) / 2 + rng.uniform(-0.1, 1.1, 2) * free
        frame = sheets.new_table(rng, SIDE)
    matrix = cv2.getPerspectiveTransform(corners, moved.astype(np.float32))
    if fills:
        cv2.warpPerspective(
            page.pixels, matrix, (SIDE, SIDE), frame, cv2.INTER_LINEAR, cv2.BORDER_REPLICATE
        )
    else:
        cv2.warpPerspective(
            page.pixels, matrix, (SIDE, SIDE), frame, cv2.INTER_LINEAR, cv2.BORDER_TRANSPARENT
        )
    return frame, cv2.warpPerspective(page.mask, matrix, (SIDE, SIDE))


def add_things_at_the_rim(rng: np.random.Generator, image: np.ndarray, mask: np.ndarray) -> None:
    """A finger or a thing that reaches into the frame; what it hides is no longer ink."""
    for _ in range(int(rng.integers(1, 3)) if rng.random() < 0.2 else 0):
        along = rng.uniform(0, SIDE)
        start = np.array([[along, -10], [along, SIDE + 10], [-10, along], [SIDE + 10, along]])[
            rng.integers(4)
        ]
        inward = np.array([SIDE / 2, SIDE / 2]) + rng.normal(0, 60, 2) - start
        end = start + inward / np.linalg.norm(inward) * rng.uniform(20, 90)
        thick = int(rng.uniform(12, 60))
        points = tuple(int(v) for v in start), tuple(int(v) for v in end)
        over = np.zeros_like(mask)
        cv2.line(over, points[0], points[1], 1.0, thick, cv2.LINE_AA)
        over = cv2.GaussianBlur(over, (0, 0), rng.uniform(0.5, 2))
        if (over * mask).sum() > 0.02 * mask.sum():
            continue
        skin = np.array([[232, 190, 160], [198, 140, 105], [120, 80, 60]])[rng.integers(3)]
        colour = skin if rng.random() < 0.7 else np.array(any_colour(rng))
        shade = np.linspace(0.85, 1.1, SIDE, dtype=np.float32)[None, :, None]
        base = image.astype(np.float32)
        cover = over[..., None]
        image[:] = (base + cover * (colour * shade - base)).clip(0, 255)


def cast_shadow(rng: np.random.Generator, image: np.ndarray) -> None:
    """A band or a half of the frame in shadow, its edge sharp or soft."""
    angle = rng.uniform(0, np.pi)
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j].astype(np.float32)
    across = np.cos(angle) * x + np.sin(angle) * y
    soft = float(rng.uniform(0.01, 0.12))
    first = rng.uniform(-0.9, 0.9)
    lit = 1 / (1 + np.exp(-((across - first) / soft).clip(-30, 30)))
    if rng.random() < 0.6:
        tilt = across + rng.uniform(-0.4, 0.4) * (np.cos(angle) * y - np.sin(angle) * x)
        last = first - rng.uniform(0.3, 1.2)
        lit = np.maximum(lit, 1 / (1 + np.exp(((tilt - last) / soft).clip(-30, 30))))
    depth = rng.uniform(0.2, 0.65)
    image[:] = image * (1 - depth * (1 - lit))[..., None]


# -- contact sheet ---------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, help="where the PNG goes")
    parser.add_argument("--data", type=Path, default=data.default_data_dir())
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(arguments)
    digits = Digits(data.mnist(args.data, train=True))
    made = [scene(digits, (args.seed, i)) for i in range(48)]
    rows = []
    for i in range(0, 48, 12):
        rows.append(np.hstack([image for image, _ in made[i : i + 12]]))
        masks = [
            np.repeat((255 * mask).astype(np.uint8)[..., None], 3, 2)
            for _, mask in made[i : i + 12]
        ]
        rows.append(np.hstack(masks))
    cv2.imwrite(str(args.file), np.vstack(rows)[..., ::-1])


if __name__ == "__main__":
    main()
