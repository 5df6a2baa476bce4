"""Synthetic scenes for detectors: a sheet of digits, and clips with a moving view."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from tasks.core.video.writer import VideoWriter

SHEET_HW = (720, 960)  # px
VIEW_WH = (640, 480)  # px of a clip
FPS = 15
INKS = ((25, 25, 28), (30, 45, 140), (20, 60, 170), (15, 95, 50))  # RGB, on white paper
RULE = 40  # px between the lines of the paper
COLUMNS, ROWS = 5, 3  # places on the sheet, one digit each
DIGITS = COLUMNS * ROWS


def digit_sheet(digits: np.ndarray, seed: int) -> np.ndarray:
    """Digits written on squared paper, in light that falls from the left.

    Args:
        digits: uint8 (DIGITS, 28, 28), white on black.
        seed: of sizes, places, slant and ink.
    Returns:
        uint8 (720, 960, 3).
    """
    rng = np.random.default_rng(seed)
    height, width = SHEET_HW
    paper = np.full((height, width, 3), (250, 250, 245), np.float32)
    paper[::RULE] = paper[:, ::RULE] = (214, 224, 236)
    ink = np.array(INKS[rng.integers(len(INKS))], np.float32)
    for digit, place in zip(digits, _places(rng), strict=True):
        side = place.side
        large = cv2.resize(digit, (side, side), interpolation=cv2.INTER_CUBIC)
        rotation = cv2.getRotationMatrix2D((side / 2, side / 2), place.degrees, 1)
        alpha = (
            cv2.warpAffine(large, rotation, (side, side), flags=cv2.INTER_LINEAR)[..., None].astype(
                np.float32
            )
            / 255
        )
        alpha = np.clip(1.6 * alpha - 0.2, 0, 1)  # a pen has a sharper edge than 28 px
        area = paper[place.top : place.top + side, place.left : place.left + side]
        area[:] = alpha * ink + (1 - alpha) * area
    light = np.linspace(1, 0.86, width, dtype=np.float32)[None, :, None]
    return (paper * light + rng.normal(0, 2, paper.shape)).clip(0, 255).round().astype(np.uint8)


class _Place(NamedTuple):
    """Where a digit is written; px and degrees."""

    left: int
    top: int
    side: int
    degrees: float


def _places(rng: np.random.Generator) -> list[_Place]:
    cell_h, cell_w = SHEET_HW[0] // ROWS, SHEET_HW[1] // COLUMNS
    places = []
    for place in range(DIGITS):
        side = int(rng.integers(90, min(cell_h, cell_w) - 8))
        degrees = float(rng.uniform(-12, 12))
        top = place // COLUMNS * cell_h + int(rng.integers(cell_h - side))
        left = place % COLUMNS * cell_w + int(rng.integers(cell_w - side))
        places.append(_Place(left, top, side, degrees))
    return places


def digit_centres(seed: int) -> np.ndarray:
    """Where the digits of `digit_sheet` of this seed lie: float64 (DIGITS, 2), x and y in px."""
    rng = np.random.default_rng(seed)
    rng.integers(len(INKS))  # the ink comes first
    return np.array([(p.left + p.side / 2, p.top + p.side / 2) for p in _places(rng)])


def moving_view(rgb: np.ndarray, frames: int) -> Iterator[np.ndarray]:
    """A 4:3 view that moves in a circle over uint8 (H, W, 3); uint8 (480, 640, 3) each."""
    height, width = rgb.shape[:2]
    wide = round(0.9 * min(width, height * 4 / 3))
    high = wide * 3 // 4
    for t in range(frames):
        angle = 2 * np.pi * t / frames
        left = round((width - wide) * (0.5 - 0.5 * np.cos(angle)))
        top = round((height - high) * (0.5 - 0.25 * np.sin(angle)))
        yield cv2.resize(
            rgb[top : top + high, left : left + wide], VIEW_WH, interpolation=cv2.INTER_AREA
        )


def clip(rgb: np.ndarray, file: Path, seconds: int = 4) -> Path:
    """A video of `moving_view`; `file` without suffix -> its path with suffix."""
    with VideoWriter(file, *VIEW_WH, FPS) as out:
        for frame in moving_view(rgb, seconds * FPS):
            out.write(frame)
    return out.path
