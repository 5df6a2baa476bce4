"""Large images in tiles: which tiles, whose boxes stay, and what a detector of one size finds."""

from collections.abc import Sequence

import numpy as np
import pytest

from tasks.detection import tiles
from tasks.detection.detector import Detections
from tasks.detection.tiles import detect_in_tiles, one_box_an_object, would_help

NAMES = ("square", "circle")


class SeesLarge:
    """Finds white squares whose side is at least 12 px of its 320 px input."""

    name, class_names, sizes, default_size = "sees large", NAMES, (320,), 320

    def __init__(self) -> None:
        self.calls = 0

    def check(
        self, confidence: float, iou: float, classes: Sequence[int] | None, size: int | None
    ) -> int:
        return 320

    def detect_array(
        self,
        rgb: np.ndarray,
        confidence: float = 0.25,
        iou: float = 0.7,
        classes: Sequence[int] | None = None,
        size: int | None = None,
    ) -> Detections:
        import cv2

        self.calls += 1
        n, _, stats, _ = cv2.connectedComponentsWithStats((rgb[..., 0] > 127).astype(np.uint8))
        boxes = [
            (x, y, x + w, y + h)
            for x, y, w, h, _ in stats[1:n]
            if min(w, h) * 320 / max(rgb.shape[:2]) >= 12
        ]
        return Detections(
            np.array(boxes, np.float32).reshape(-1, 4),
            np.linspace(0.9, 0.5, len(boxes), dtype=np.float32),
            np.zeros(len(boxes), np.int64),
            NAMES,
            speed_ms={"inference": 1.0},
        )


def picture(
    height: int, width: int, side: int, every: int
) -> tuple[np.ndarray, set[tuple[int, int]]]:
    """White squares in a grid on black; the places of their corners."""
    rgb, corners = np.zeros((height, width, 3), np.uint8), set()
    for y in range(30, height - side, every):
        for x in range(30, width - side, every):
            rgb[y : y + side, x : x + side] = 255
            corners.add((x, y))
    return rgb, corners


@pytest.mark.parametrize("size_hw", [(3000, 4000), (600, 6000)])
def test_small_squares_are_found_once_each(size_hw: tuple[int, int]) -> None:
    rgb, corners = picture(*size_hw, side=30, every=170)
    detector = SeesLarge()
    assert len(detector.detect_array(rgb)) == 0
    found = detect_in_tiles(detector, rgb)  # type: ignore[arg-type]
    got = {(int(x), int(y)) for x, y in found.xyxy[:, :2]}
    assert got == corners and len(found) == len(corners)
    assert found.speed_ms["inference"] == detector.calls - 1 <= tiles.MAX_TILES


def test_a_large_square_is_one_box() -> None:
    rgb, _ = picture(2000, 2000, side=1500, every=5000)
    found = detect_in_tiles(SeesLarge(), rgb)  # type: ignore[arg-type]
    assert found.xyxy.tolist() == [[30, 30, 1530, 1530]]


def test_a_small_image_is_one_tile() -> None:
    assert list(tiles.tiles((300, 400), 320)) == [(0, 0, 400, 300)]


@pytest.mark.parametrize("size_hw", [(3000, 4000), (500, 20_000), (20_000, 20_000), (700, 701)])
def test_tiles_cover_the_image_and_are_not_too_many(size_hw: tuple[int, int]) -> None:
    some = list(tiles.tiles(size_hw, 320))
    assert 1 <= len(some) <= tiles.MAX_TILES
    for left, top, right, bottom in some:
        assert 0 <= left < right <= size_hw[1] and 0 <= top < bottom <= size_hw[0]


def test_what_lies_in_another_class_stays() -> None:
    """A person in a bus; a part of a bus does not."""
    boxes = np.array([(0, 0, 100, 100), (10, 10, 40, 90), (0, 0, 100, 45)], np.float32)
    sure = np.array([0.9, 0.8, 0.7], np.float32)
    assert one_box_an_object(boxes, sure, np.array([0, 1, 0])).tolist() == [0, 1]


def some(side: float) -> Detections:
    box = np.array([[0, 0, side, side]], np.float32)
    return Detections(box, np.ones(1, np.float32), np.zeros(1, np.int64), NAMES)


def test_when_tiles_are_offered() -> None:
    nothing = Detections(
        np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), NAMES
    )
    assert would_help(nothing, (3000, 4000), 320) and would_help(some(100), (3000, 4000), 320)
    assert not would_help(some(1000), (3000, 4000), 320) and not would_help(
        nothing, (480, 640), 320
    )
