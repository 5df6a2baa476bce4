"""Any image of a handwritten digit in MNIST's 28x28 format.

In MNIST each digit is scaled to fit 20x20 px with its shape kept, and its centre of mass is set in
the middle of 28x28 (LeCun et al. 1998, section III). Before that the strokes have to be found: the
paper's brightness is fitted by a smooth surface, the strokes are darker or brighter than it, and
ruled lines and specks are left out.
"""

import cv2
import numpy as np

from tasks.core.images import ImageLike, NoDigitError, to_grey

WORK = 320  # px, longer side at which strokes are found
BOX, SIDE = 20, 28  # px of MNIST
MIN_STROKE = 2.2  # px after scaling; thinner strokes are widened to it, as MNIST's pens were thick
SAMPLES = 2000  # pixels that the paper's brightness is fitted to
MIN_CONTRAST = 22  # grey levels between paper and strokes


def extract_digit(source: ImageLike) -> np.ndarray:
    """The digit in an image, in MNIST's format: uint8 (28, 28), bright strokes on black.

    A 28x28 image on black, as MNIST's own, is returned unchanged.

    Raises:
        ImageError: not a usable image.
        NoDigitError: the image is empty, or its contrast is too low.
    """
    grey = to_grey(source)
    if grey.shape == (SIDE, SIDE) and _is_mnist_like(grey):
        return grey
    return centre_by_mass(_crop(stroke_map(grey)))


def _is_mnist_like(grey: np.ndarray) -> bool:
    border = np.concatenate(
        [grey[:2].ravel(), grey[-2:].ravel(), grey[:, :2].ravel(), grey[:, -2:].ravel()]
    )
    return bool(grey.max() > 60 and np.median(grey) == 0 and border.mean() < 20)


def stroke_map(grey: np.ndarray) -> np.ndarray:
    """The digit's strokes: float32 in [0, 1], at most WORK px a side.

    Args:
        grey: uint8 (H, W), dark strokes on light paper or light on dark.
    """
    shrink = 1.0 if WORK // 2 < max(grey.shape) <= WORK else WORK / max(grey.shape)
    size_wh = (max(1, round(grey.shape[1] * shrink)), max(1, round(grey.shape[0] * shrink)))
    way = cv2.INTER_AREA if shrink < 1 else cv2.INTER_CUBIC
    work = cv2.resize(grey, size_wh, interpolation=way).astype(np.float32)

    paper = _paper(work)
    departure = work - paper
    noise = 1.4826 * float(np.median(np.abs(departure - np.median(departure))))
    dark = _strength(-departure, noise)
    light = _strength(departure, noise)
    departure = -departure if dark >= light else departure
    contrast = max(dark, light)
    if contrast < max(MIN_CONTRAST, 3.5 * noise):
        raise NoDigitError(
            "No digit was found: the image is empty or its strokes are too faint. "
            "Write a larger one."
        )

    smooth = cv2.GaussianBlur(departure, (0, 0), 1.0 + min(1.5, noise / 12))
    threshold = max(0.42 * contrast, 3.0 * noise, 0.6 * MIN_CONTRAST)
    binary = _without_rules((smooth > threshold).astype(np.uint8))
    binary = _digit_parts(binary)
    if not binary.any():
        raise NoDigitError(
            "No digit was found: only lines or specks. Write one larger, near the middle."
        )
    near = cv2.dilate(binary, np.ones((3, 3), np.uint8))
    strokes = np.clip((smooth - 0.25 * contrast) / (0.55 * contrast), 0, 1) * near
    return strokes.astype(np.float32)


def centre_by_mass(strokes: np.ndarray) -> np.ndarray:
    """A digit scaled to fit 20x20, its centre of mass in the middle of uint8 (28, 28).

    Args:
        strokes: float32 (h, w) in [0, 1], cropped to the digit.
    """
    h, w = strokes.shape
    scale = BOX / max(h, w)
    strokes = _thicken(strokes, scale)
    size_wh = (max(1, round(w * scale)), max(1, round(h * scale)))
    small: np.ndarray = cv2.resize(
        strokes, size_wh, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    )
    small = small / max(
        float(np.percentile(small[small > 0.05], 95)) if (small > 0.05).any() else 1.0, 1e-3
    )
    small = small.clip(0, 1)
    y, x = np.mgrid[: small.shape[0], : small.shape[1]]
    mass = small.sum()
    top = round(SIDE / 2 - 0.5 - float((y * small).sum() / mass))
    left = round(SIDE / 2 - 0.5 - float((x * small).sum() / mass))
    top = min(max(top, 0), SIDE - small.shape[0])
    left = min(max(left, 0), SIDE - small.shape[1])
    digit = np.zeros((SIDE, SIDE), np.float32)
    digit[top : top + small.shape[0], left : left + small.shape[1]] = small
    return (digit * 255).round().astype(np.uint8)


def _paper(work: np.ndarray) -> np.ndarray:
    """The paper's brightness: a quadratic surface, fitted to the pixels that are nearest to it."""
    h, w = work.shape
    y, x = np.linspace(-1, 1, h, dtype=np.float32), np.linspace(-1, 1, w, dtype=np.float32)
    step = max(1, round((h * w / SAMPLES) ** 0.5))
    here = np.s_[step // 2 :: step]
    ys, xs = (v.ravel() for v in np.meshgrid(y[here], x[here], indexing="ij"))
    a = np.stack([np.ones_like(xs), xs, ys, xs * xs, xs * ys, ys * ys], 1)
    b = work[here, here].ravel()
    distance = np.abs(b - np.median(b))
    near = distance <= max(6.0, float(np.median(distance)))
    for _ in range(6):
        surface, *_ = np.linalg.lstsq(a[near], b[near], rcond=None)
        distance = np.abs(b - a @ surface)
        near = distance <= max(4.0, 2.5 * float(np.median(distance)))
    one, by_x, by_y, by_xx, by_xy, by_yy = surface
    columns = (one + by_y * y + by_yy * y * y)[:, None] + (by_xy * y)[:, None] * x
    return columns + by_x * x + by_xx * x * x


def _strength(departure: np.ndarray, noise: float) -> float:
    """Contrast of the strokes if they are on this side of the paper: a high percentile."""
    above = departure[departure > max(12.0, 3 * noise)]
    if above.size < 0.0006 * departure.size:
        return 0.0
    return float(np.percentile(above, 96))


def _without_rules(binary: np.ndarray) -> np.ndarray:
    """Strokes without the lines of ruled paper; their crossings with the digit stay.

    A line is thin, straight and goes from edge to edge.
    """
    for transpose in (False, True):
        b = np.ascontiguousarray(binary.T) if transpose else binary
        w = b.shape[1]
        if b.any(0).mean() <= 0.8:  # a fifth of the columns is empty: no line from edge to edge
            continue
        # bridges the steps of a slightly tilted line
        tall = cv2.dilate(b, np.ones((3, 1), np.uint8))
        runs = cv2.morphologyEx(tall, cv2.MORPH_OPEN, np.ones((1, max(9, w // 7)), np.uint8))
        n, labels, stats, _ = cv2.connectedComponentsWithStats(runs, connectivity=8)
        rules = [
            i
            for i in range(1, n)
            if stats[i, cv2.CC_STAT_WIDTH] > 0.8 * w and _mean_height(stats[i]) < 0.06 * w
        ]
        if rules:
            lines = np.isin(labels, rules).astype(np.uint8)
            thickness = max(
                3, int(np.median(lines.sum(0)[lines.sum(0) > 0]) / max(1, len(rules))) | 1
            )
            without = b & (1 - lines)
            bridge: np.ndarray = cv2.morphologyEx(
                without, cv2.MORPH_CLOSE, np.ones((2 * thickness + 3, 3), np.uint8)
            )
            b = without | (bridge & lines & b)
        binary = np.ascontiguousarray(b.T) if transpose else b
    return binary


def _mean_height(stats: np.ndarray) -> float:
    return float(stats[cv2.CC_STAT_AREA]) / float(stats[cv2.CC_STAT_WIDTH])


def _digit_parts(binary: np.ndarray) -> np.ndarray:
    """The largest stroke, and those that are large enough and near enough to belong to it."""
    n, labels, stats, _ = cv2.connectedComponentsWithStats(binary, connectivity=8)
    if n <= 1:
        return np.zeros_like(binary)
    area = stats[:, cv2.CC_STAT_AREA].astype(np.float64)
    extent = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
    weight = area * extent
    weight[0] = 0
    main = int(weight.argmax())
    reach = 0.35 * extent[main]
    keep = [main]
    for i in range(1, n):
        if i != main and area[i] > 0.05 * area[main] and _gap(stats[i], stats[main]) < reach:
            keep.append(i)
    return np.isin(labels, keep).astype(np.uint8)


def _gap(a: np.ndarray, b: np.ndarray) -> float:
    """Distance between two bounding boxes, px."""
    dx = max(a[0] - (b[0] + b[2]), b[0] - (a[0] + a[2]), 0)
    dy = max(a[1] - (b[1] + b[3]), b[1] - (a[1] + a[3]), 0)
    return float(np.hypot(dx, dy))


def _crop(strokes: np.ndarray) -> np.ndarray:
    ys, xs = np.nonzero(strokes > 0.3)
    if not len(ys):
        raise NoDigitError("No digit was found: it is too faint. Write one larger or darker.")
    return strokes[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]


def _thicken(strokes: np.ndarray, scale: float) -> np.ndarray:
    """Widen strokes that would be thinner than MIN_STROKE px after scaling."""
    solid = (strokes > 0.5).astype(np.uint8)
    depth = cv2.distanceTransform(
        cv2.copyMakeBorder(solid, 1, 1, 1, 1, cv2.BORDER_CONSTANT), cv2.DIST_L2, 3
    )
    ridge = depth[(depth > 0) & (depth >= cv2.dilate(depth, np.ones((3, 3), np.uint8)))]
    if not ridge.size:
        return strokes
    width = (2 * float(np.median(ridge)) - 1) * scale
    missing = round((MIN_STROKE - width) / scale)
    if missing < 1:
        return strokes
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (missing + 1, missing + 1))
    return cv2.dilate(strokes, ellipse)
