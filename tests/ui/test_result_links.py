"""Links to results: settings out of an address and into one, the same image for the same link."""

from typing import Any
from urllib.parse import parse_qs

import gradio as gr
import pytest

from tasks.core.images import ImageError
from tasks.ui.page import result_links


def fields() -> dict[str, Any]:
    return {
        "model": gr.Dropdown([("Digits", "mnist"), ("Photos", "cifar10")], value="mnist"),
        "steps": gr.Dropdown([5, 10, 25], value=25),
        "guidance": gr.Slider(0, 6, 1.5, step=0.1),
        "seed": gr.Number(0, precision=0),
    }


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("model", "cifar10", "cifar10"),
        ("steps", "10", 10),
        ("guidance", "2.5", 2.5),
        ("guidance", "2", 2),
        ("seed", "123", 123),
        ("model", "none of them", "none of them"),  # `begin` says what is wrong with it
    ],
)
def test_texts_become_values(name: str, text: str, value: Any) -> None:
    parsed = result_links.parse(fields()[name], name, text)
    assert parsed == value and type(parsed) is type(value)


def test_what_is_no_number_has_a_sentence() -> None:
    with pytest.raises(ImageError, match="seed is a number; 'seven' came"):
        result_links.parse(fields()["seed"], "seed", "seven")


def test_a_link_says_what_was_set() -> None:
    text = result_links.query({"class": "one of each", "seed": 7, "guidance": 1.5, "a": None})
    assert parse_qs(text) == {"class": ["one of each"], "seed": ["7"], "guidance": ["1.5"]}


def test_a_link_starts_with_its_settings() -> None:
    started: list[tuple[Any, ...]] = []

    def begin(*values: Any) -> dict[str, Any]:
        started.append(values)
        return {"run": "1"}

    with gr.Blocks() as page, gr.Tabs(), gr.Tab("Diffusion", id="diffusion"):
        shown = fields()
        output = gr.HTML(elem_id="player")
        result_links.link_results(output, begin, shown)
    (event,) = page.fns.values()
    assert event.fn is not None
    answer = event.fn({"steps": "10", "seed": "7", "at": 1})
    assert started == [("mnist", 10, 1.5, 7)]  # what the link leaves out keeps its first value
    assert [update["value"] for update in answer[:-1]] == ["mnist", 10, 1.5, 7]
    assert answer[-1] == {"run": "1"}
    (opener,) = (block for block in page.blocks.values() if block.elem_id == "player-link")
    assert '"#diffusion"' in opener.js_on_load
