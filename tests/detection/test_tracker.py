"""The tracker and the camera's motion: numbers that stay, votes, counts, pans, obstacles, cuts."""

import cv2
import numpy as np
import pytest

from tasks.detection.camera_motion import CameraMotion
from tasks.detection.detector import Detections
from tasks.detection.tracker import PATIENCE_S, Tracker, ious, one_box_an_object

NAMES = ("cat", "dog")
Box = tuple[float, float, float, float]
FPS = 10


def boxes(*xyxy: Box, kind: int = 0, confidence: float = 0.9) -> Detections:
    n = len(xyxy)
    return Detections(
        np.array(xyxy, np.float32).reshape(n, 4),
        np.full(n, confidence, np.float32),
        np.full(n, kind, np.int64),
        NAMES,
    )


def ids(found: Detections) -> list[int]:
    assert found.track_id is not None
    return [int(i) for i in found.track_id]


class Wall:
    """A wall with marks all over, larger than the view, and objects on it."""

    def __init__(self, seed: int = 0, size_wh: tuple[int, int] = (1600, 480)):
        rng = np.random.default_rng(seed)
        coarse = rng.integers(0, 255, (size_wh[1] // 16, size_wh[0] // 16, 3), np.uint8)
        self.rgb = cv2.resize(coarse, size_wh, interpolation=cv2.INTER_NEAREST)

    def view(self, left: int, *objects: Box) -> tuple[np.ndarray, Detections]:
        """The 640 px from `left` on, and what a detector finds of `objects` there."""
        shown = []
        for x1, y1, x2, y2 in objects:
            box = (max(0, x1 - left), y1, min(640, x2 - left), y2)
            if box[2] - box[0] > (x2 - x1) / 3:
                shown.append(box)
        return self.rgb[:, left : left + 640], boxes(*shown)


def test_an_object_keeps_its_number() -> None:
    tracker = Tracker()
    for t in range(20):
        found = tracker.update(boxes((10 + 3 * t, 10, 60 + 3 * t, 80), (300, 20, 380, 90)))
        assert ids(found) == [1, 2]
    assert tracker.counts() == {0: 2}


def test_visitors_do_not_mix() -> None:
    here, there = Tracker(), Tracker()
    for t in range(10):
        a = here.update(boxes((10 + 3 * t, 10, 60 + 3 * t, 80)))
        b = there.update(boxes((10, 10, 60, 80), (200, 10, 260, 80), (400, 10, 460, 80)))
        assert ids(a) == [1] and ids(b) == [1, 2, 3]


def test_an_unsure_box_keeps_a_track_alive_and_starts_none() -> None:
    tracker = Tracker()
    box = (10, 10, 60, 80)
    assert len(tracker.update(boxes(box, confidence=0.2), 0.5)) == 0
    for _ in range(3):
        tracker.update(boxes(box), 0.5)
    for _ in range(10):
        assert len(tracker.update(boxes(box, confidence=0.2), 0.5)) == 0
    assert ids(tracker.update(boxes(box), 0.5)) == [1]
    assert len(tracker.update(boxes(box), 0.95)) == 0  # a higher threshold acts on the next frame


def test_the_tracker_forgets() -> None:
    tracker = Tracker()
    rng = np.random.default_rng(0)
    for t in range(300):
        x, y = rng.uniform(0, 3000, 2)
        tracker.update(boxes((x, y, x + 30, y + 30)), seconds=t)
    inside = tracker._bot_sort
    assert len(inside.tracked_stracks) + len(inside.lost_stracks) < 20
    assert len(inside.removed_stracks) == 0 and len(tracker._lives) < 20
    assert tracker.counts() == {}  # nothing was seen twice


def test_the_class_is_a_vote_over_the_life() -> None:
    tracker = Tracker()
    for t in range(12):
        found = tracker.update(boxes((10, 10, 60, 80), kind=int(t % 4 == 3)))
    assert found.labels == ["cat"] and tracker.counts() == {0: 1}


def test_two_classes_in_one_place_are_one_object() -> None:
    both = Detections(
        np.array([(10, 10, 60, 80), (11, 10, 61, 80), (200, 10, 260, 80)], np.float32),
        np.array([0.5, 0.8, 0.4], np.float32),
        np.array([0, 1, 0], np.int64),
        NAMES,
    )
    left = one_box_an_object(both)
    assert left.labels == ["dog", "cat"] and left.confidence.tolist() == pytest.approx([0.8, 0.4])


@pytest.mark.parametrize(("frames", "confidence"), [(2, 0.9), (12, 0.4)])
def test_what_is_seen_briefly_or_never_surely_does_not_count(
    frames: int, confidence: float
) -> None:
    tracker = Tracker()
    for _ in range(frames):
        found = tracker.update(boxes((10, 10, 60, 80), confidence=confidence))
    assert ids(found) == [1] and tracker.counts() == {}  # but it is shown


@pytest.mark.parametrize(("gap_s", "tracks"), [(PATIENCE_S - 1, 1), (PATIENCE_S + 1, 2)])
def test_an_obstacle_is_waited_for(gap_s: float, tracks: int) -> None:
    tracker, box = Tracker(), (100, 10, 160, 80)
    for t in range(10):
        tracker.update(boxes(box), seconds=t / FPS)
    back = 10 + round(gap_s * FPS)
    for t in range(10, back):
        tracker.update(boxes(), seconds=t / FPS)
    for t in range(back, back + 10):
        tracker.update(boxes(box), seconds=t / FPS)
    assert tracker.counts() == {0: tracks}


def test_a_pan_away_and_back_gives_each_object_one_number() -> None:
    """Objects leave the view at its edge, bit by bit, and return after seconds."""
    wall, tracker = Wall(), Tracker()
    objects: list[Box] = [(60 + 220 * n, 150, 150 + 220 * n, 260) for n in range(7)]
    lefts = [*range(0, 900, 25), *range(900, 0, -25)]
    for t, left in enumerate(lefts):
        rgb, found = wall.view(left, *objects)
        tracker.update(found, rgb=rgb, seconds=t / FPS)
    assert tracker.counts() == {0: 7}


def test_a_cut_ends_all_tracks() -> None:
    tracker, box = Tracker(), (100, 10, 160, 80)
    for t in range(20):
        rgb, found = Wall(seed=t // 10).view(0, box)
        shown = tracker.update(found, rgb=rgb, seconds=t / FPS)
    assert ids(shown) == [2] and tracker.counts() == {0: 2}


def test_another_frame_size_is_a_cut_and_nothing_worse() -> None:
    tracker = Tracker()
    for size in ((480, 640), (240, 320), (8, 8)):
        for _ in range(7):
            tracker.update(boxes((1, 1, 6, 6)), rgb=np.zeros((*size, 3), np.uint8))
    assert tracker.counts() == {0: 3}


@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (12, -7), (-40, 3)])
def test_the_shift_of_the_view(dx: int, dy: int) -> None:
    rgb, camera = Wall().rgb, CameraMotion()
    nothing = np.zeros((0, 4), np.float32)
    camera.update(rgb[40:440, 200:840], nothing)
    warp, likeness = camera.update(rgb[40 - dy : 440 - dy, 200 - dx : 840 - dx], nothing)
    np.testing.assert_allclose(warp, [[1, 0, dx], [0, 1, dy]], atol=1.5)
    assert likeness > 0.9


def test_zoom_and_turn_of_the_view() -> None:
    rgb, camera = Wall().rgb, CameraMotion()
    nothing = np.zeros((0, 4), np.float32)
    turned = cv2.getRotationMatrix2D((320, 240), 4, 1.1)
    camera.update(rgb[:, :640], nothing)
    warp, likeness = camera.update(cv2.warpAffine(rgb, turned, (640, 480)), nothing)
    np.testing.assert_allclose(warp[:, :2], turned[:, :2], atol=0.01)
    assert likeness > 0.8


@pytest.mark.parametrize("level", [0, 128, 255])
def test_blank_frames_do_not_move(level: int) -> None:
    camera = CameraMotion()
    for _ in range(2):
        motion = camera.update(np.full((90, 160, 3), level, np.uint8), np.zeros((0, 4), np.float32))
    assert motion.likeness == 1
    np.testing.assert_array_equal(motion.warp, np.eye(2, 3))


def test_intersection_over_union() -> None:
    a = np.array([(0, 0, 2, 2), (5, 5, 5, 9)], np.float64)
    b = np.array([(1, 0, 3, 2), (0, 0, 2, 2), (8, 8, 9, 9)], np.float64)
    np.testing.assert_allclose(ious(a, b), np.array([(1 / 3, 1, 0), (0, 0, 0)]))


def test_a_frame_without_boxes_among_others() -> None:
    """Nothing passes the threshold, or no class is ticked."""
    tracker, rgb = Tracker(), np.full((240, 320, 3), 128, np.uint8)
    none = boxes()
    for t, found in enumerate([boxes((10, 10, 60, 80))] * 3 + [none] * 3):
        tracked = tracker.update(found, 0.5, rgb, t / 25)
        assert len(tracked) == len(found)
