"""The made-up photos: a function of seed and index, boxes as tight as the ink, sizes as promised,
no stray digit."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from train import data
from train.common.synthetic import printed_digits
from train.detector import camera, scenes, sheets
from train.detector.data import SERIES, split
from train.detector.scenes import MIN_SIDE, Scene, scene

DIGITS = printed_digits(60, 0)
N = 120


@pytest.fixture(scope="module")
def many() -> list[Scene]:
    return [scene(DIGITS, i, 3) for i in range(N)]


def sides(s: Scene) -> np.ndarray:
    """The longer side of each box."""
    return (s.xyxy[:, 2:] - s.xyxy[:, :2]).max(1)


def test_a_scene_is_a_function_of_seed_and_index(many: list[Scene]) -> None:
    scene(DIGITS, 99, 4)  # another one between must not matter
    np.random.default_rng(0)
    again = scene(DIGITS, 7, 3)
    for name in ("image", "xyxy", "class_id"):
        np.testing.assert_array_equal(getattr(again, name), getattr(many[7], name))
    assert not np.array_equal(many[7].image, many[8].image)
    assert not np.array_equal(many[7].image, scene(DIGITS, 7, 4).image)


def test_shapes_sizes_and_share_of_digit_free_scenes(many: list[Scene]) -> None:
    counts = np.array([len(s.class_id) for s in many])
    for s in many:
        assert s.image.shape == (320, 320, 3) and s.image.dtype == np.uint8
        assert s.xyxy.dtype == np.float32 and s.xyxy.shape == (len(s.class_id), 4)
        assert s.class_id.dtype == np.int64 and set(s.class_id) <= set(range(10))
        assert (
            (s.xyxy >= 0).all() and (s.xyxy <= 320).all() and (s.xyxy[:, 2:] > s.xyxy[:, :2]).all()
        )
    assert counts.max() <= 12 and counts.max() >= 8
    assert 0.08 <= (counts == 0).mean() <= 0.35
    longest = np.concatenate([sides(s) for s in many])
    assert longest.min() >= MIN_SIDE and longest.min() < 18
    assert 100 < longest.max() <= 165
    assert len(np.unique(np.concatenate([s.class_id for s in many]))) == 10


def test_digits_hardly_overlap(many: list[Scene]) -> None:
    for s in many:
        area = (s.xyxy[:, 2:] - s.xyxy[:, :2]).prod(1)
        for i in range(len(area)):
            for j in range(i):
                low, high = (
                    np.maximum(s.xyxy[i, :2], s.xyxy[j, :2]),
                    np.minimum(s.xyxy[i, 2:], s.xyxy[j, 2:]),
                )
                assert (high - low).clip(0).prod() <= 0.15 * min(area[i], area[j])


def alone(s: Scene) -> list[int]:
    """The digits whose box, a little enlarged, touches no other's."""
    grown = s.xyxy + np.array([-2, -2, 2, 2])
    return [
        i
        for i, box in enumerate(grown)
        if sheets.is_free(tuple(box), [tuple(b) for b in np.delete(grown, i, 0)])
    ]


def test_boxes_are_as_tight_as_the_ink() -> None:
    checked = 0
    for index in range(40):
        drawn, ink = scenes.draw(DIGITS, np.random.default_rng(index), 320)
        outside = ink.copy()
        for x1, y1, x2, y2 in drawn.xyxy:
            outside[
                int(y1 - 0.5) : int(np.ceil(y2 + 0.5)), int(x1 - 0.5) : int(np.ceil(x2 + 0.5))
            ] = 0
        assert outside.max(initial=0) <= 0.1  # no ink outside
        for i in alone(drawn):
            x1, y1, x2, y2 = drawn.xyxy[i]
            top, left = max(0, int(y1) - 2), max(0, int(x1) - 2)
            rows, cols = np.nonzero(ink[top : int(y2) + 3, left : int(x2) + 3] > 0.5)
            tight = np.array(
                [cols.min() + left, rows.min() + top, cols.max() + left + 1, rows.max() + top + 1]
            )
            np.testing.assert_allclose(drawn.xyxy[i], tight, atol=1.0)
            checked += 1
    assert checked > 50


def test_the_box_follows_the_warp() -> None:
    """An ink square under a known shift: its box to a fraction of a pixel."""
    alpha = np.zeros((20, 30), np.float32)
    alpha[5:9, 10:16] = 1
    alpha[4, 10:16] = 0.25
    assert scenes.tight_box(alpha) == (10, 4.75, 16, 9)
    moved = cv2.warpAffine(alpha, np.array([[1, 0, 0.5], [0, 1, 0]]), (30, 20))
    np.testing.assert_allclose(scenes.tight_box(moved), (10.5, 4.75, 16.5, 9), atol=0.02)


def test_ink_shows_in_the_picture() -> None:
    """Every digit stands out from what is around it, also after the camera: nothing is labelled
    that cannot be seen."""
    weak = n = 0
    for index in range(60):
        rng = np.random.default_rng(index)
        drawn, ink = scenes.draw(DIGITS, rng, 320)
        photo = camera.photograph(rng, drawn.image, float(sides(drawn).min(initial=40))).astype(
            np.float32
        )
        for x1, y1, x2, y2 in drawn.xyxy.round().astype(int):
            window = (slice(max(0, y1 - 2), y2 + 2), slice(max(0, x1 - 2), x2 + 2))
            cover = ink[window]
            if (cover > 0.7).any() and (cover < 0.05).any():
                contrast = np.abs(
                    photo[window][cover > 0.7].mean(0) - photo[window][cover < 0.05].mean(0)
                ).max()
                weak += contrast < 25
                n += 1
    assert n > 100 and weak <= 0.01 * n


def test_a_digit_of_one_class_makes_boxes_of_that_class() -> None:
    sevens = DIGITS.part(DIGITS.labels == 7)
    found = np.concatenate([scene(sevens, i, 0).class_id for i in range(20)])
    assert len(found) > 10 and (found == 7).all()


@pytest.mark.parametrize("size", [96, 192, 320, 416])
def test_other_sizes(size: int) -> None:
    for index in range(8):
        s = scene(DIGITS, index, 0, size)
        assert s.image.shape == (size, size, 3) and (s.xyxy <= size).all()


def test_no_digit_is_printed() -> None:
    assert not set("0123456789") & set(sheets.PROSE + sheets.UNLIKE_DIGITS)
    assert not set("OoIlSsZzBbqgG9") & set(sheets.UNLIKE_DIGITS)
    assert len(sheets.print_bank()["lines"]) == len(sheets.print_bank()["words"]) == 70


@pytest.mark.parametrize("kind", list(sheets.KINDS))
def test_every_ink_shows_on_every_sheet(kind: str) -> None:
    grey = np.array([0.3, 0.59, 0.11])
    dark = kind in ("chalkboard", "dark")
    for colour in sheets.KINDS[kind][1]:
        blank = sheets.Sheet(np.full((8, 8, 3), colour, np.uint8), kind, dark)
        assert all(abs(grey @ np.array(ink) - grey @ np.array(colour)) > 60 for ink in blank.inks)


def test_the_test_scenes_show_test_digits_only(data_dir: Path) -> None:
    """Training, validation and test draw from three sets without a common picture."""
    digits, test = data.mnist(data_dir, train=True), data.mnist(data_dir, train=False)
    fit_set, val_set = split(digits)
    assert (len(fit_set), len(val_set), len(test)) == (55_000, 5_000, 10_000)
    train_digits, val_digits, test_digits = (
        {i.tobytes() for i in s.images} for s in (fit_set, val_set, test)
    )
    assert (
        not train_digits & test_digits
        and not train_digits & val_digits
        and not val_digits & test_digits
    )
    assert len({0, *SERIES.values()}) == 3
