"""How the camera moved from one frame to the next.

The motion is a similarity: shift, turn and zoom. Of three guesses (none, phase correlation, corners
followed by Lucas-Kanade's optical flow from there) the one that fits the frame best is kept. What
lies outside the objects decides, where it has any texture: objects move by themselves.
"""

from typing import NamedTuple

import cv2
import numpy as np

SIDE = 224  # px of the longer side on which the motion is estimated
CORNERS = 200  # that are followed at most
LEAST_CORNERS = 8  # fewer say nothing about a turn or a zoom
BLUR = 2.0  # px; what is finer is noise and the pixels' raster
WIDE = 41  # px; what is coarser is light and shade
BLOCK = 16  # px
TEXTURE = 3.0  # grey levels of standard deviation of a block that shows anything
AROUND = 4  # px around an object that count as its own
FLAT = 5.0  # grey levels of standard deviation outside the objects; with less they must do
DARK = 1.0  # the same of the whole frame; with less there is nothing to see
SURE = 0.92  # likeness from which a motion is trusted that the objects alone tell
OVERLAP = 0.25  # least share of the frame that both show
ZOOM = (0.6, 1.6)  # of one frame to the next; what lies beyond is a wrong estimate
STILL = np.eye(2, 3)


class Motion(NamedTuple):
    """From the frame before to this one."""

    warp: np.ndarray  # float64 (2, 3): pixels of the frame before -> pixels of this one
    likeness: float  # of the two whole frames after it, as `likeness` has it


class _View(NamedTuple):
    """A frame, small."""

    grey: np.ndarray  # uint8 (H, W)
    details: np.ndarray  # float32 (H, W), without noise and without light and shade
    outside: np.ndarray  # float32 (H, W), 1 outside the objects, 0 in them


class CameraMotion:
    """Call it once a frame, in order."""

    def __init__(self) -> None:
        self._before: _View | None = None
        self._size_hw = (0, 0)

    def update(self, rgb: np.ndarray, xyxy: np.ndarray) -> Motion:
        """The motion since the last call.

        Args:
            rgb: uint8 (H, W, 3). A frame of another size than the one before has likeness -1.
            xyxy: float (N, 4), the objects in it, px.
        """
        height, width = rgb.shape[:2]
        scale = min(1.0, SIDE / max(height, width))
        size_wh = max(1, round(width * scale)), max(1, round(height * scale))
        small = cv2.resize(rgb, size_wh, interpolation=cv2.INTER_AREA)
        view = _view(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), xyxy * scale)
        before, self._before = self._before, view
        size_before, self._size_hw = self._size_hw, (height, width)
        if before is None:
            return Motion(STILL.copy(), 1.0)
        if size_before != (height, width):
            return Motion(STILL.copy(), -1.0)
        warp, like = _estimate(before, view)
        warp[:, 2] *= width / size_wh[0], height / size_wh[1]
        return Motion(warp, like)


def _view(grey: np.ndarray, xyxy: np.ndarray) -> _View:
    blurred = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), BLUR)
    outside = np.ones(grey.shape, np.float32)
    for left, top, right, bottom in np.round(xyxy).astype(int):
        outside[
            max(0, top - AROUND) : bottom + AROUND + 1, max(0, left - AROUND) : right + AROUND + 1
        ] = 0
    return _View(grey, blurred - cv2.blur(blurred, (WIDE, WIDE)), outside)


def _estimate(before: _View, view: _View) -> tuple[np.ndarray, float]:
    """(warp, likeness after it) of the best guess."""
    contrast = [v.details.std() for v in (before, view)]
    if min(contrast) < DARK:  # nothing to see, in the dark or before a wall
        return STILL.copy(), 1.0 if max(contrast) < 3 * DARK else 0.0
    whole = [v._replace(outside=np.ones_like(v.outside)) for v in (before, view)]
    textured = all(_std(v) > FLAT for v in (before, view))
    if not textured:  # the objects themselves are all there is
        before, view = whole[0], whole[1]
    a, b = (v.details * v.outside for v in (before, view))
    (dx, dy), _ = cv2.phaseCorrelate(a, b, cv2.createHanningWindow(a.shape[::-1], cv2.CV_32F))
    shift = np.array([[1, 0, dx], [0, 1, dy]], np.float64)
    guesses = [(likeness(before, view, guess), guess) for guess in (STILL, shift)]
    start = max(guesses, key=lambda guess: guess[0])[1]
    followed = _follow(before, view, start)
    if followed is not None:
        guesses.append((likeness(before, view, followed), followed))
    like, warp = max(guesses, key=lambda guess: guess[0])
    if not textured and like < SURE:
        warp = STILL
    return warp.copy(), likeness(whole[0], whole[1], warp)


def _std(view: _View) -> float:
    outside = view.details[view.outside > 0]
    return float(outside.std()) if outside.size > view.details.size / 10 else 0.0


def _follow(before: _View, view: _View, guess: np.ndarray) -> np.ndarray | None:
    """The similarity that most corners of the frame before followed, starting from `guess`."""
    mask = before.outside.astype(np.uint8)
    corners = cv2.goodFeaturesToTrack(before.grey, CORNERS, 0.01, 4, mask=mask)
    if corners is None or len(corners) < LEAST_CORNERS:
        return None
    start = (corners + guess[:, 2]).astype(np.float32)
    found, status, _ = cv2.calcOpticalFlowPyrLK(
        before.grey,
        view.grey,
        corners,
        start,
        winSize=(15, 15),
        maxLevel=2,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )
    good = status.ravel().astype(bool)
    if good.sum() < LEAST_CORNERS:
        return None
    warp, _ = cv2.estimateAffinePartial2D(
        corners[good], found[good], method=cv2.RANSAC, ransacReprojThreshold=2.0
    )
    if warp is None or not ZOOM[0] < np.hypot(warp[0, 0], warp[1, 0]) < ZOOM[1]:
        return None
    return np.asarray(warp, np.float64)


def likeness(before: _View, view: _View, warp: np.ndarray) -> float:
    """How alike a frame and the one before, laid on it, are outside the objects of both.

    The mean of the correlations, [0, 1], of all blocks that have texture in one of the frames: what
    passes in front changes its own blocks only. -1 where the frames hardly meet.
    """
    height, width = view.grey.shape
    size = (width, height)
    both = cv2.warpAffine(before.outside, warp, size) * view.outside
    if both.sum() < OVERLAP * view.outside.sum():
        return -1.0
    x, y = cv2.warpAffine(before.details, warp, size) * both, view.details * both
    grid = (max(1, width // BLOCK), max(1, height // BLOCK))
    xx, yy, xy, n = (
        cv2.resize(v, grid, interpolation=cv2.INTER_AREA) for v in (x * x, y * y, x * y, both)
    )
    textured = (n > 0.3) & (np.maximum(xx, yy) > TEXTURE**2 * n)
    if not textured.any():
        return 0.0
    correlation = xy[textured] / np.sqrt(xx[textured] * yy[textured] + 1e-6)
    return float(correlation.clip(0, 1).mean())
