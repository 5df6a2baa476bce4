"""A card in the page: round ticks, escaped texts, names of curves beside each other, a card that is missing."""

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import gradio as gr
import pytest

from tasks import weights
from tasks.tabs import card
from tests.test_weights import CARD

EVIL = "<script>alert('x')</script>\"&"
RANGES = [
    (0.0, 1.0), (-1.0, 1.0), (0.1, 4.14), (97.9, 99.6), (98.35, 99.55), (99.999, 100.001), (10.0, 87.4), (0.0, 7.0),
    (-1e-9, 3e-9), (1e-12, 2.5e-12), (0.0, 123456.0), (-4e9, 7e9), (1e12, 1.5e12),
]  # fmt: skip


@pytest.mark.parametrize(("low", "high"), RANGES)
def test_ticks_are_few_round_and_inside(low: float, high: float) -> None:
    ticks = card._ticks(low, high)
    assert 3 <= len(ticks) <= 7
    slack = 1e-6 * (high - low)
    assert all(low - slack <= tick <= high + slack for tick in ticks)
    (step,) = {f"{b - a:.4g}" for a, b in pairwise(ticks)}
    mantissa = f"{float(step):e}".partition("e")[0].rstrip("0").rstrip(".")
    assert mantissa in ("1", "2", "2.5", "5")
    assert all(abs(tick / float(step) - round(tick / float(step))) < 1e-6 for tick in ticks)


def names(svg: str) -> dict[str, float]:
    """Each curve's name -> the height at which it stands."""
    found = re.findall(r"<text x='[\d.]+' y='([\d.]+)' style='fill:[^']*'>([^<]*)</text>", svg)
    return {name: float(y) for y, name in found}


def test_no_points_no_picture() -> None:
    assert card.learning_curves({}, "step", "%") == card.learning_curves({"ours": []}, "step", "%") == ""


def test_a_curve_without_points_is_left_out() -> None:
    svg = card.learning_curves({"ours": [(1, 2), (3, 4)], "theirs": []}, "step", "%")
    assert list(names(svg)) == ["ours"] and svg.count("<polyline") == 1


@pytest.mark.parametrize("points", [[(5.0, 99.0)], [(1.0, 99.0), (2.0, 99.0)]], ids=["one point", "flat"])
def test_curves_without_extent_are_drawn(points: card.Curve) -> None:
    svg = card.learning_curves({"ours": points}, "step", "%")
    assert "<polyline" in svg and "nan" not in svg


def test_texts_of_curves_are_escaped() -> None:
    svg = card.learning_curves({EVIL: [(0, 0), (1, 1)]}, EVIL, EVIL)
    assert "<script" not in svg and "&lt;script" in svg


@pytest.mark.parametrize("last", [(9.0, 9.0, 9.0), (9.0, 8.9, 9.1), (0.0, 0.2, 0.1)])
def test_names_of_curves_that_end_together_do_not_overlap(last: tuple[float, float, float]) -> None:
    curves = {name: [(0.0, 0.0), (0.5, 10.0), (1.0, y)] for name, y in zip("abc", last, strict=True)}
    heights = sorted(names(card.learning_curves(curves, "step", "%")).values())
    assert len(heights) == 3
    assert all(b - a >= 12.9 for a, b in pairwise(heights))
    assert heights[-1] <= 230  # of the picture


def test_a_hostile_card_is_escaped() -> None:
    hostile = replace(
        CARD,
        architecture=EVIL, paper=EVIL, limits=EVIL,
        metrics=[weights.Metric(EVIL, 1.0, EVIL, EVIL, 3, EVIL)],
        data=dict.fromkeys(CARD.data, EVIL),
        training={**dict.fromkeys(CARD.training, EVIL), "minutes": 1.5},
    )  # fmt: skip
    html = card.card_html(hostile)
    assert "<script" not in html and html.count("&lt;script") >= 10


def test_a_card_shows_its_figures_and_its_textbook() -> None:
    curve = [{"step": 1.0, "val_accuracy": 0.5}, {"step": 2.0, "val_accuracy": 0.75}]
    html = card.card_html(replace(CARD, curve=curve, tables={"textbook": {"curve": curve}}))
    assert "98.77 %" in html and "n = 10,000" in html and "python -m train.small" in html
    assert list(names(html)) == ["ours", "textbook"]


def test_a_missing_card_is_said_in_its_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    read = weights.read_card
    monkeypatch.setattr(weights, "read_card", lambda name: read(name, tmp_path))
    with gr.Blocks() as page:
        assert card.show_card("nothing") is None
    texts = [block.value for block in page.blocks.values() if isinstance(block, gr.Markdown)]
    assert len(texts) == 1 and "nothing.json is missing" in str(texts[0])
