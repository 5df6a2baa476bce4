"""A card in the page: escaped texts, both curves, a card that is missing."""

from dataclasses import replace
from pathlib import Path

import gradio as gr
import pytest

from tasks.core import weights
from tasks.ui import model_card
from tests.core.test_weights import CARD

EVIL = "<script>alert('x')</script>\"&"


def test_a_hostile_card_is_escaped() -> None:
    hostile = replace(
        CARD,
        architecture=EVIL,
        paper=EVIL,
        limits=EVIL,
        metrics=[weights.Metric(EVIL, 1.0, EVIL, EVIL, 3, EVIL)],
        data=dict.fromkeys(CARD.data, EVIL),
        training={**dict.fromkeys(CARD.training, EVIL), "minutes": 1.5},
    )
    html = model_card.card_html(hostile)
    assert "<script" not in html and html.count("&lt;script") >= 10


def test_a_card_shows_its_figures_and_its_textbook() -> None:
    curve = [{"step": 1.0, "val_accuracy": 0.5}, {"step": 2.0, "val_accuracy": 0.75}]
    html = model_card.card_html(replace(CARD, curve=curve, tables={"textbook": {"curve": curve}}))
    assert "98.77 %" in html and "n = 10,000" in html and "python -m train.small" in html
    assert "this network" in html and "textbook" in html and html.count("<polyline") == 2


def test_a_missing_card_is_said_in_its_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    read = weights.read_card
    monkeypatch.setattr(weights, "read_card", lambda name: read(name, tmp_path))
    with gr.Blocks() as page:
        assert model_card.show_card("nothing") is None
    texts = [block.value for block in page.blocks.values() if isinstance(block, gr.Markdown)]
    assert len(texts) == 1 and "nothing.json is missing" in str(texts[0])
