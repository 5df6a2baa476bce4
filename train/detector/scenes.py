"""Synthetic photos of handwritten digits with their boxes, drawn as they are needed.

MNIST digits are written with a pen on a sheet (sheets.py) among print and scribbles, and the sheet
is photographed (camera.py): perspective, light, shadow, blur, noise, JPEG. A scene is a pure
function of (digits, index, seed, size).

    python -m train.detector.scenes contact.png    40 scenes with their boxes, to look at
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
from train.detector.sheets import Colour, Rect

MIN_SIDE = 12.0  # px, the longer side of the smallest digit's box
DIGIT_FREE = 0.15  # share of scenes without a digit
FINE = 4  # a digit's outline is kept at 4 times MNIST's resolution
MARGIN = 4  # MNIST px around the 28, for thicker pens
OUTSIDE = -8.0  # distance given to what lies beyond


@dataclass(frozen=True)
class Scene:
    """A photo and its digits."""

    image: np.ndarray  # uint8 (H, W, 3) RGB
    xyxy: np.ndarray  # float32 (N, 4), px, the tight boxes of the ink
    class_id: np.ndarray  # int64 (N,), the digits

    def without_image(self) -> "Scene":
        """For keeping thousands: the truth alone."""
        return Scene(np.zeros((0, 0, 3), np.uint8), self.xyxy, self.class_id)


@dataclass(frozen=True)
class Placed:
    """A digit on the sheet."""

    image: np.ndarray  # uint8 (28, 28)
    class_id: int
    to_frame: np.ndarray  # (3, 3), from px of the digit to px of the frame
    scale: float  # px of the frame a px of the digit
    corners: Rect  # in the frame
    on_sheet: Rect


def scene(digits: data.ImageSet, index: int, seed: int, size: int = 320) -> Scene:
    """Scene `index` of the series `seed`: `size` x `size` px, 0 to 12 of the digits."""
    rng = np.random.default_rng((seed, index))
    drawn, _ = draw(digits, rng, size)
    sides = (drawn.xyxy[:, 2:] - drawn.xyxy[:, :2]).max(1)
    smallest = float(sides.min()) if len(sides) else rng.uniform(MIN_SIDE, 80)
    return Scene(photograph(rng, drawn.image, smallest), drawn.xyxy, drawn.class_id)


def draw(digits: data.ImageSet, rng: np.random.Generator, size: int) -> tuple[Scene, np.ndarray]:
    """(scene before light and camera, share of each pixel that ink covers, float32 (H, W))."""
    coverage = np.zeros((size, size), np.float32)
    if rng.random() < 0.02:  # no sheet at all
        table = sheets.new_table(rng, size)
        return Scene(table, np.zeros((0, 4), np.float32), np.zeros(0, np.int64)), coverage
    to_frame, sheet = _pose(rng, size)
    ink = sheet.inks[rng.integers(len(sheet.inks))]
    width = float(np.exp(rng.uniform(np.log(1.6), np.log(9)))) * size / 320  # of the pen, px
    placed = [] if rng.random() < DIGIT_FREE else _lay_out(digits, rng, to_frame, sheet, size)

    taken = [p.on_sheet for p in placed]
    if sheet.kind == "printed" or rng.random() < 0.3:
        sheets.add_print(rng, sheet, taken, sheet.kind == "printed")
    if rng.random() < 0.55:
        sheets.add_scribbles(rng, sheet, taken, int(rng.integers(1, 7)), ink, width)
    corners = np.array([(0, 0), (size, 0), (size, size), (0, size)], float)
    edge = _project(np.linalg.inv(to_frame), corners)
    fills = (edge >= 1).all() and (edge <= np.array(sheet.pixels.shape[1::-1]) - 2).all()
    frame = np.zeros((size, size, 3), np.uint8) if fills else sheets.new_table(rng, size)
    cv2.warpPerspective(
        sheet.pixels, to_frame, (size, size), frame, cv2.INTER_LINEAR, cv2.BORDER_TRANSPARENT
    )

    boxes = []
    for p in placed:
        colour = ink if rng.random() < 0.8 else sheet.inks[rng.integers(len(sheet.inks))]
        boxes.append(_write(rng, frame, coverage, p, colour, width, sheet.dark))
    xyxy = np.array(boxes, np.float32).reshape(-1, 4)
    return Scene(frame, xyxy, np.array([p.class_id for p in placed], np.int64)), coverage


def _pose(rng: np.random.Generator, size: int) -> tuple[np.ndarray, sheets.Sheet]:
    """A sheet before a pinhole camera: (sheet px -> frame px, the sheet)."""
    is_smaller = rng.random() < 0.35  # the table around the sheet is seen, too
    h, w = (rng.uniform(0.6, 0.95, 2) if is_smaller else rng.uniform(1.1, 1.4, 2)) * size
    sheet = sheets.new_sheet(rng, round(h), round(w))
    roll, pitch, yaw = rng.normal(0, (0.15, 0.25, 0.25)).clip((-0.4, -0.6, -0.6), (0.4, 0.6, 0.6))
    tilt = cv2.Rodrigues(np.array([pitch, yaw, 0.0]))[0]
    turn = tilt @ cv2.Rodrigues(np.array([0.0, 0.0, roll]))[0]
    focal = rng.uniform(1.1, 2.5) * size
    shift = rng.normal(0, 0.04 if is_smaller else 0.08, 2) * size
    camera = np.array([[focal, 0, size / 2 + shift[0]], [0, focal, size / 2 + shift[1]], [0, 0, 1]])
    centred = np.array([[1, 0, -w / 2], [0, 1, -h / 2], [0, 0, 1]])
    return camera @ np.column_stack([turn[:, 0], turn[:, 1], (0, 0, focal)]) @ centred, sheet


# -- digits ----------------------------------------------------------------------------------------


def outline(image: np.ndarray) -> np.ndarray:
    """A digit of MNIST, uint8 (28, 28), as signed distance to the edge of its ink, inside positive.

    It can be enlarged, thinned and thickened: float32 (36 * FINE, 36 * FINE) in MNIST px, with
    MARGIN px of room on each side.
    """
    padded = np.pad(image, MARGIN)
    large = cv2.resize(padded, None, fx=FINE, fy=FINE, interpolation=cv2.INTER_CUBIC)
    ink = (cv2.GaussianBlur(large, (0, 0), 0.4 * FINE) > 100).astype(np.uint8)
    inside = cv2.distanceTransform(ink, cv2.DIST_L2, 3)
    distance = inside - cv2.distanceTransform(1 - ink, cv2.DIST_L2, 3)
    return cv2.GaussianBlur(distance, (0, 0), 0.25 * FINE) / np.float32(FINE)


def _lay_out(
    digits: data.ImageSet,
    rng: np.random.Generator,
    to_frame: np.ndarray,
    sheet: sheets.Sheet,
    size: int,
) -> list[Placed]:
    """1 to 12 digits, a few anywhere or rows of numbers; those that do not fit are left out."""
    placed: list[Placed] = []
    rows = rng.random() < 0.5
    n = int(rng.integers(1, 13)) if rows else int(rng.choice([1, 1, 2, 3, 4, 5, 6, 8]))
    low, high = (1.25 * MIN_SIDE, 0.3 * size) if rows else (1.7 * MIN_SIDE, 0.5 * size)
    base = np.exp(rng.uniform(np.log(low), np.log(high)))
    back = np.linalg.inv(to_frame)
    for _ in range(4 * n):
        if len(placed) == n:
            break
        at = rng.uniform(0.04, 0.96, 2) * size
        slope, left = rng.normal(0, 0.06), int(rng.integers(2, 7)) if rows else 1
        side = base * np.exp(rng.normal(0, 0.1 if rows else 0.4))  # frame px
        for _ in range(min(left, n - len(placed))):  # one number, or one digit
            which = int(rng.integers(len(digits)))
            image, class_id = digits.images[which], int(digits.labels[which])
            length = side * rng.uniform(0.88, 1.12)
            p = _place(image, class_id, rng, at, length, slope, to_frame, back)
            if p is None or not _fits(p, placed, sheet, size):
                break
            placed.append(p)
            x1, y1, x2, y2 = p.on_sheet
            step = (x2 - x1) * rng.uniform(1.08, 1.5) + 0.12 * side
            x, y = (x1 + x2) / 2 + step, (y1 + y2) / 2 + slope * step
            at = _project(to_frame, np.array([[x, y]]))[0]
    return placed


def _place(
    image: np.ndarray,
    class_id: int,
    rng: np.random.Generator,
    at: np.ndarray,
    side: float,
    slope: float,
    to_frame: np.ndarray,
    back: np.ndarray,
) -> Placed | None:
    """The digit with the middle of its ink at frame px `at`, about `side` frame px long."""
    around = _project(back, at + np.array([(0, 0), (1, 0), (0, 1)]))
    per_px = float(np.sqrt(abs(np.linalg.det(around[1:] - around[0]))))  # sheet px a frame px, here
    x1, y1, w, h = cv2.boundingRect((image > 90).astype(np.uint8))
    x2, y2 = x1 + w, y1 + h
    k = side * per_px / max(w, h)
    angle, shear, aspect = rng.normal(slope, 0.09), rng.normal(0, 0.08), np.exp(rng.normal(0, 0.06))
    c, s = np.cos(angle), np.sin(angle)
    linear = k * np.array([[c, -s], [s, c]]) @ np.array([[aspect, shear], [0, 1]])
    on_sheet = np.eye(3)
    on_sheet[:2, :2] = linear
    on_sheet[:2, 2] = around[0] - linear @ ((x1 + x2) / 2, (y1 + y2) / 2)
    matrix = to_frame @ on_sheet
    ink = np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)], float)
    if not np.isfinite(matrix).all():
        return None
    return Placed(image, class_id, matrix, k / per_px, _around(matrix, ink), _around(on_sheet, ink))


def _fits(p: Placed, placed: list[Placed], sheet: sheets.Sheet, size: int) -> bool:
    """Whether the digit is inside frame and sheet, legible, and hardly overlaps another."""
    x1, y1, x2, y2 = p.corners
    h, w = sheet.pixels.shape[:2]
    a, b, c, d = p.on_sheet
    long_enough = 1.12 * MIN_SIDE <= max(x2 - x1, y2 - y1) <= size / 2
    in_frame = min(x1, y1) >= 4 and max(x2, y2) <= size - 4
    on_sheet = min(a, b) >= 4 and c <= w - 4 and d <= h - 4
    if not (long_enough and in_frame and on_sheet):
        return False
    for other in placed:
        u1, v1, u2, v2 = other.corners
        shared = max(0.0, min(x2, u2) - max(x1, u1)) * max(0.0, min(y2, v2) - max(y1, v1))
        if shared > 0.05 * min((x2 - x1) * (y2 - y1), (u2 - u1) * (v2 - v1)):
            return False
    return True


def _write(
    rng: np.random.Generator,
    frame: np.ndarray,
    coverage: np.ndarray,
    p: Placed,
    ink: Colour,
    width: float,
    chalk: bool,
) -> Rect:
    """Write the digit into the frame with a pen `width` px wide; the tight box of its ink."""
    size, field = len(frame), outline(p.image)
    pen = 2 * float(field[field > 0].mean())  # half the width of its stroke
    natural = 2 * pen * p.scale
    # px; within what stays legible
    want = max(1.5, 0.6 * natural, min(width, 1.25 * natural, 4.2 * p.scale))
    small = max(p.corners[2] - p.corners[0], p.corners[3] - p.corners[1]) < 1.5 * MIN_SIDE
    thinner = 0.0 if small else pen - want / (2 * p.scale)
    margin = int(max(0.0, -thinner) * p.scale) + 3
    x1, y1 = (max(0, int(v) - margin) for v in p.corners[:2])
    x2, y2 = (min(size, int(v) + margin + 1) for v in p.corners[2:])
    shift = np.array([[1, 0, -x1], [0, 1, -y1], [0, 0, 1]])
    offset = 0.5 / FINE - MARGIN - 0.5
    to_digit = np.array([[1 / FINE, 0, offset], [0, 1 / FINE, offset], [0, 0, 1]])
    field = cv2.warpPerspective(
        field,
        shift @ p.to_frame @ to_digit,
        (x2 - x1, y2 - y1),
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=OUTSIDE,
    )
    alpha = ((field - np.float32(thinner)) * np.float32(p.scale) + np.float32(0.5)).clip(0, 1)
    np.maximum(coverage[y1:y2, x1:x2], alpha, out=coverage[y1:y2, x1:x2])
    box = tight_box(alpha)
    strength = np.float32(rng.uniform(0.8, 1.0))
    if chalk or rng.random() < 0.2:  # chalk and pencil leave the sheet's grain open
        grain = sheets.grain_at(rng, *alpha.shape)[..., 0]
        alpha = alpha * (1 + np.float32(0.25) * grain).clip(0.4, 1)
    sheets.blend(frame[y1:y2, x1:x2], alpha * strength, ink)
    return (box[0] + x1, box[1] + y1, box[2] + x1, box[3] + y1)


def tight_box(alpha: np.ndarray) -> Rect:
    """The box of ink, to a fraction of a pixel: a half covered outermost row is half a row."""

    def ends(profile: np.ndarray) -> tuple[float, float]:
        inked = np.flatnonzero(profile > 0.1)
        first, last = int(inked[0]), int(inked[-1])
        return first + 1 - float(profile[first]), last + float(profile[last])

    (x1, x2), (y1, y2) = ends(alpha.max(0)), ends(alpha.max(1))
    return x1, y1, x2, y2


def _project(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(n, 2) points through a homography."""
    mapped = points @ matrix[:, :2].T + matrix[:, 2]
    return mapped[:, :2] / mapped[:, 2:]


def _around(matrix: np.ndarray, points: np.ndarray) -> Rect:
    mapped = _project(matrix, points)
    (x1, y1), (x2, y2) = mapped.min(0).tolist(), mapped.max(0).tolist()
    return x1, y1, x2, y2


# -- contact sheet ---------------------------------------------------------------------------------


def contact_sheet(
    digits: data.ImageSet, seed: int, n: int, columns: int = 8, boxes: bool = True
) -> np.ndarray:
    """The first n scenes of a series with their boxes and classes; uint8 RGB."""
    tiles = []
    for index in range(n):
        s = scene(digits, index, seed)
        for box, class_id in zip(s.xyxy, s.class_id, strict=True) if boxes else []:
            x1, y1, x2, y2 = (round(float(v)) for v in box)
            cv2.rectangle(s.image, (x1 - 1, y1 - 1), (x2, y2), (255, 0, 255), 1)
            corner = (x1, max(10, y1 - 3))
            cv2.putText(
                s.image, str(class_id), corner, cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 0, 255), 1
            )
        tiles.append(cv2.copyMakeBorder(s.image, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=(0, 0, 0)))
    blank = [np.zeros_like(tiles[0])] * (-n % columns)
    return np.vstack([np.hstack((tiles + blank)[i : i + columns]) for i in range(0, n, columns)])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, help="where the PNG goes")
    parser.add_argument(
        "--data", type=Path, default=data.default_data_dir(), help="folder with MNIST"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-n", type=int, default=40)
    args = parser.parse_args(arguments)
    sheet = contact_sheet(data.mnist(args.data, train=True), args.seed, args.n)
    cv2.imwrite(str(args.file), sheet[..., ::-1])


if __name__ == "__main__":
    main()
