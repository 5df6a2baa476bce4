"""What the page offers to try detection on is made as it says."""

from pathlib import Path

import numpy as np
import pytest

from tasks.core.video.reader import open_video
from tasks.detection import sample_scenes
from tasks.detection.tab import examples


def test_a_sheet_of_digits() -> None:
    digits = np.zeros((sample_scenes.DIGITS, 28, 28), np.uint8)
    empty = sample_scenes.digit_sheet(digits, seed=1)
    digits[:, 6:22, 12:16] = 255
    written = sample_scenes.digit_sheet(digits, seed=1)
    assert written.shape == (720, 960, 3) and written.dtype == np.uint8
    np.testing.assert_array_equal(written, sample_scenes.digit_sheet(digits, seed=1))
    height, width = 720 // sample_scenes.ROWS, 960 // sample_scenes.COLUMNS
    for place in range(sample_scenes.DIGITS):  # each place has its digit, dark on light
        top, left = place // sample_scenes.COLUMNS * height, place % sample_scenes.COLUMNS * width
        cell = np.s_[top : top + height, left : left + width]
        assert empty[cell].mean() - written[cell].mean() > 2


@pytest.mark.parametrize("size_hw", [(1080, 810), (720, 960), (100, 900)])
def test_the_view_moves_within_the_image(size_hw: tuple[int, int]) -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (*size_hw, 3), np.uint8)
    frames = list(sample_scenes.moving_view(rgb, 6))
    assert [frame.shape for frame in frames] == [(480, 640, 3)] * 6
    assert np.abs(frames[0].astype(int) - frames[3]).mean() > 1  # it moves


def test_clips_can_be_opened_and_are_cleared_up() -> None:
    for file in examples.clip_of_a_street():
        with open_video(file) as video:
            assert (video.info.width, video.info.height, video.info.frames) == (640, 480, 60)
    assert not Path(file).exists()


def test_the_sheet_brings_its_detector() -> None:
    sheet, model = examples.digits_to_find()
    assert sheet.shape == (720, 960, 3) and model == "digits"
