"""Something for a detector to look at, made here: a sheet of digits, and clips in which the view wanders."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from tasks.video_writer import VideoWriter

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
    chance = np.random.default_rng(seed)
    height, width = SHEET_HW
    paper = np.full((height, width, 3), (250, 250, 245), np.float32)
    paper[::RULE] = paper[:, ::RULE] = (214, 224, 236)
    ink = np.array(INKS[chance.integers(len(INKS))], np.float32)
    cell_h, cell_w = height // ROWS, width // COLUMNS
    for place, digit in enumerate(digits):
        side = int(chance.integers(90, min(cell_h, cell_w) - 8))
        large = cv2.resize(digit, (side, side), interpolation=cv2.INTER_CUBIC)
        slant = cv2.getRotationMatrix2D((side / 2, side / 2), float(chance.uniform(-12, 12)), 1)
        alpha = cv2.warpAffine(large, slant, (side, side), flags=cv2.INTER_LINEAR)[..., None].astype(np.float32) / 255
        alpha = np.clip(1.6 * alpha - 0.2, 0, 1)  # a pen has a sharper edge than 28 px
        top = place // COLUMNS * cell_h + int(chance.integers(cell_h - side))
        left = place % COLUMNS * cell_w + int(chance.integers(cell_w - side))
        area = paper[top : top + side, left : left + side]
        area[:] = alpha * ink + (1 - alpha) * area
    light = np.linspace(1, 0.86, width, dtype=np.float32)[None, :, None]
    return (paper * light + chance.normal(0, 2, paper.shape)).clip(0, 255).round().astype(np.uint8)


def wander(rgb: np.ndarray, frames: int) -> Iterator[np.ndarray]:
    """uint8 (480, 640, 3) each: a 4:3 view that goes round once over uint8 (H, W, 3)."""
    height, width = rgb.shape[:2]
    wide = round(0.9 * min(width, height * 4 / 3))
    high = wide * 3 // 4
    for t in range(frames):
        angle = 2 * np.pi * t / frames
        left = round((width - wide) * (0.5 - 0.5 * np.cos(angle)))
        top = round((height - high) * (0.5 - 0.25 * np.sin(angle)))
        yield cv2.resize(rgb[top : top + high, left : left + wide], VIEW_WH, interpolation=cv2.INTER_AREA)


def clip(rgb: np.ndarray, file: Path, seconds: int = 4) -> Path:
    """A video in which the view wanders over a picture; `file` without suffix -> where it is."""
    with VideoWriter(file, *VIEW_WH, FPS) as out:
        for frame in wander(rgb, seconds * FPS):
            out.write(frame)
    return out.path
