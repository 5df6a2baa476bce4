"""Large images in tiles, so that small objects are large enough for the network.

Akyon et al. 2022, slicing aided inference (arXiv 2202.06934), over several scales: the whole image,
then tiles of ever smaller sides, each scaled to the network's input. What a tile's edge cuts is
left to the tile beside it, which overlaps, or to the larger one.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import numpy as np

from tasks.core.tiling import windows
from tasks.detection.detector import Detections
from tasks.detection.tracker import ious

if TYPE_CHECKING:
    from tasks.detection.detector import Detector

FINEST = 2.0  # px of the image for a px of the input in the smallest tiles
STEP = 2.0  # from the sides of one scale's tiles to the next
OVERLAP = 0.25  # of neighbouring tiles, share of their side
MAX_TILES = 120  # of one image; the finest scales are left out where there would be more
LARGE = 2.5  # times the input's side; a smaller image gains nothing
SMALL = 24  # px of the input; smaller objects are often missed
EDGE = 2.0  # px of the image
SAME = 0.6  # IoU of two boxes of one object, whatever their classes
PART = 0.75  # share of a box that lies in a more confident one of its class: it is a part of it


def detect_in_tiles(
    detector: "Detector",
    rgb: np.ndarray,
    confidence: float = 0.25,
    iou: float = 0.7,
    classes: Sequence[int] | None = None,
    size: int | None = None,
    turn: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Detections:
    """As `Detector.detect_array`, of a large image: uint8 (H, W, 3).

    Args:
        turn: held for each tile, so that others are served between two of them.
    """
    size = detector.check(confidence, iou, classes, size)
    parts, last = [], None
    for left, top, right, bottom in tiles(rgb.shape[:2], size):
        tile = np.ascontiguousarray(rgb[top:bottom, left:right])
        with turn():
            last = detector.detect_array(tile, confidence, iou, classes, size)
        keep = _whole(last.xyxy, (left, top, right, bottom), rgb.shape[:2])
        parts.append((last.xyxy[keep] + [left, top, left, top], last, keep))
    assert last is not None
    xyxy = np.concatenate([boxes for boxes, _, _ in parts]).astype(np.float32)
    sure = np.concatenate([found.confidence[keep] for _, found, keep in parts])
    kinds = np.concatenate([found.class_id[keep] for _, found, keep in parts])
    chosen = one_box_an_object(xyxy, sure, kinds)
    stages = {k: sum(found.speed_ms.get(k, 0.0) for _, found, _ in parts) for k in last.speed_ms}
    return Detections(
        xyxy[chosen],
        sure[chosen],
        kinds[chosen],
        last.class_names,
        None,
        stages,
        sum(found.prepared_ms for _, found, _ in parts),
        last.precision,
    )


def tiles(size_hw: tuple[int, int], size: int) -> Iterator[tuple[int, int, int, int]]:
    """(left, top, right, bottom) of the whole image, then of ever smaller tiles."""
    height, width = size_hw
    yield 0, 0, width, height
    side, n = max(height, width) / STEP, 1
    while side >= FINEST * size / np.sqrt(STEP):
        step = round(side)
        rows, columns = (windows(v, step, round(OVERLAP * step)) for v in (height, width))
        n += len(rows) * len(columns)
        if n > MAX_TILES:
            return
        for row in rows:
            for column in columns:
                yield column.start, row.start, column.stop, row.stop
        side /= STEP


def would_help(found: Detections, size_hw: tuple[int, int], size: int) -> bool:
    """Whether the image is so large against the input that small objects are probably missed."""
    longer = max(size_hw)
    if longer < LARGE * size:
        return False
    if not len(found):
        return True
    sides = np.sqrt(np.prod(found.xyxy[:, 2:] - found.xyxy[:, :2], axis=1)) * size / longer
    return bool(np.median(sides) < SMALL)


def _whole(
    xyxy: np.ndarray, tile: tuple[int, int, int, int], size_hw: tuple[int, int]
) -> np.ndarray:
    """bool (N,): the boxes, in px of the tile, that no inner edge of the tile may have cut."""
    left, top, right, bottom = tile
    height, width = size_hw
    keep = np.ones(len(xyxy), bool)
    keep &= (left == 0) | (xyxy[:, 0] > EDGE)
    keep &= (top == 0) | (xyxy[:, 1] > EDGE)
    keep &= (right == width) | (xyxy[:, 2] < right - left - EDGE)
    keep &= (bottom == height) | (xyxy[:, 3] < bottom - top - EDGE)
    return keep


def one_box_an_object(xyxy: np.ndarray, confidence: np.ndarray, class_id: np.ndarray) -> np.ndarray:
    """Indices of the boxes that stay, most confident first, of what several tiles found."""
    order, chosen = np.argsort(-confidence, kind="stable"), list[int]()
    area = np.prod(xyxy[:, 2:] - xyxy[:, :2], axis=1)
    for i in order:
        if chosen:
            kept = xyxy[chosen]
            low = np.maximum(kept[:, :2], xyxy[i, :2])
            both = np.prod((np.minimum(kept[:, 2:], xyxy[i, 2:]) - low).clip(0), axis=1)
            alike = ious(xyxy[i : i + 1], kept)[0] > SAME
            part = (class_id[chosen] == class_id[i]) & (both > PART * max(area[i], 1e-6))
            if (alike | part).any():
                continue
        chosen.append(int(i))
    return np.array(chosen, np.int64)
