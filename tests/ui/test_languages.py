"""Tabs, buttons and first lines: all of them in every language, and only those."""

import importlib

import gradio as gr
import pytest

from tasks.ui.page import languages


@pytest.fixture(scope="module")
def app() -> gr.Blocks:
    built: gr.Blocks = importlib.import_module("app").build_app()
    return built


def test_every_text_has_every_language() -> None:
    for english, texts in languages.TEXTS.items():
        assert len(texts) == len(languages.LANGUAGES) and all(texts), english


def test_every_tab_and_lead_is_translated(app: gr.Blocks) -> None:
    texts = [str(block.label) for block in app.blocks.values() if isinstance(block, gr.Tab)]
    for block in app.blocks.values():
        if isinstance(block, gr.HTML) and isinstance(block.value, str):
            texts += [found[1] for found in languages.LEAD.finditer(block.value)]
    assert len(texts) > 50
    assert [text for text in texts if text not in languages.TEXTS] == []


def test_marks_stand_for_texts(app: gr.Blocks) -> None:
    with gr.Blocks() as page, gr.Tab("Diffusion"):
        gr.HTML("<div class='lab-intro'><p>Not known.</p></div>")
        go = gr.Button("Generate")
        other = gr.Button("Something else")
    texts = languages.translate(page).translations_dict
    assert other.value == "Something else"
    assert texts["de"][go.value.key] == "Erzeugen" and texts["en"][go.value.key] == "Generate"
    assert texts["de"]["common.complete"] == "Fertig"  # else screen readers hear the key
    (html,) = (block for block in page.blocks.values() if isinstance(block, gr.HTML))
    assert html.value == "<div class='lab-intro'><p>Not known.</p></div>"
