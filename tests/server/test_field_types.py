"""Choices and numbers of the page refuse what no page sends, in a sentence."""

from typing import Any

import gradio as gr
import pytest

from tasks.server.field_types import refuse_other_types
from tasks.ui.endpoint import number


@pytest.fixture
def page() -> gr.Blocks:
    with gr.Blocks() as page:
        gr.Dropdown(["a", "b"], label="Letter")
        gr.Radio([("One", 1), ("Two", 2)], label="Count")
        gr.Number(0, label="Seed", precision=0)
        gr.Slider(0, 10, label="Steps")
        gr.Dropdown(["a", "b"], multiselect=True, label="Letters")
        number(1, "of an endpoint")
    refuse_other_types(page)
    return page


def field(page: gr.Blocks, label: str) -> Any:
    return next(f for f in page.blocks.values() if getattr(f, "label", "") == label)


@pytest.mark.parametrize("label", ["Letter", "Count", "Seed", "Steps"])
@pytest.mark.parametrize("value", [["a"], [], {"a": 1}, [[1]]])
def test_lists_and_objects_are_refused(page: gr.Blocks, label: str, value: Any) -> None:
    with pytest.raises(gr.Error, match=f"needed for “{label}”; an? (list|object) came"):
        field(page, label).preprocess(value)


@pytest.mark.parametrize("label", ["Seed", "Steps"])
def test_a_text_is_no_number(page: gr.Blocks, label: str) -> None:
    with pytest.raises(gr.Error, match="A number is needed"):
        field(page, label).preprocess("7")


@pytest.mark.parametrize(
    ("label", "value"),
    [
        ("Letter", "a"),
        ("Count", 2),
        ("Seed", 7),
        ("Seed", None),
        ("Steps", 3),
        ("Letters", ["a"]),
        ("of an endpoint", "7"),
    ],
)
def test_what_a_page_sends_is_handed_on(page: gr.Blocks, label: str, value: Any) -> None:
    assert field(page, label).preprocess(value) == value
