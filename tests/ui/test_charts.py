"""Charts: round numbers along the axes, points at their place, escaped texts, nothing for
nothing."""

from itertools import pairwise

import pytest

from tasks.ui.charts import Axis, Dot, Mark, Point, Series, chart, place

EVIL = "<script>alert('x')</script>\"&"
STEP, SCORE = Axis("step"), Axis("accuracy, %")


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (0.0, 1.0),
        (1.0, 0.0),
        (-1.0, 1.0),
        (0.1, 4.14),
        (97.9, 99.6),
        (99.999, 100.001),
        (-1e-9, 3e-9),
        (0.0, 123456.0),
        (-4e9, 7e9),
        (1e12, 1.5e12),
    ],
)
def test_numbers_are_few_round_and_inside(low: float, high: float) -> None:
    numbers = Axis("", low, high).numbers()
    low, high = sorted((low, high))
    slack = 1e-6 * (high - low)
    assert 3 <= len(numbers) <= 8
    assert all(low - slack <= number <= high + slack for number in numbers)
    (step,) = {f"{b - a:.4g}" for a, b in pairwise(numbers)}
    mantissa = f"{float(step):e}".partition("e")[0].rstrip("0").rstrip(".")
    assert mantissa in ("1", "2", "2.5", "5")


def test_numbers_of_a_logarithmic_axis() -> None:
    assert Axis("", 1, 60, log=True).numbers() == [1, 2, 5, 10, 20, 50]


@pytest.mark.parametrize(
    ("x", "point", "expected"),
    [
        (Axis("", 0, 10), (5, 0), (50, 100)),
        (Axis("", 1000, 0), (750, 1), (25, 0)),
        (Axis("", 1, 100, log=True), (10, 0.5), (50, 50)),
        (Axis("", 0, 10), (11, 2), (100, 0)),  # outside: at the edge
    ],
)
def test_points_stand_at_their_place(x: Axis, point: Point, expected: Point) -> None:
    assert place(x, Axis("", 0, 1), point) == expected


def test_no_points_no_chart() -> None:
    assert chart([], STEP, SCORE) == chart([Series("ours", [])], STEP, SCORE) == ""


def test_a_series_without_points_is_left_out() -> None:
    html = chart([Series("ours", [(1, 2), (3, 4)]), Series("theirs", [])], STEP, SCORE)
    assert html.count("<polyline") == 1 and "theirs" not in html


@pytest.mark.parametrize("points", [[(5.0, 99.0)], [(1.0, 99.0), (2.0, 99.0)]])
def test_series_without_extent_are_drawn(points: list[Point]) -> None:
    html = chart([Series("ours", points)], STEP, SCORE)
    assert "<polyline" in html and "nan" not in html


def test_all_parts_are_drawn_and_escaped() -> None:
    html = chart(
        [Series(EVIL, [(0, 0), (1, 1)], kind="points", labels=[EVIL]), Series("b", [(0, 1)])],
        Axis(EVIL),
        Axis(EVIL),
        marks=[Mark("x", 0.5, EVIL), Mark("y", 0.5, "chance")],
        dots=[Dot("red"), Dot("blue")],
        legend=[(EVIL, "red")],
    )
    assert "<script" not in html and html.count("&lt;script") >= 7
    assert html.count("class='dot'") == 2 and html.count("<title>") == 3 and "chance" in html


def test_long_lines_have_few_hover_points() -> None:
    assert (
        30 <= chart([Series("a", [(i, i) for i in range(500)])], STEP, SCORE).count("<title>") <= 60
    )
