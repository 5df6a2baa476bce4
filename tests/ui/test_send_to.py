"""What "Send to" names is on the page: its targets, the links to their tabs, the menus' images."""

import importlib
import re
from pathlib import Path

import gradio as gr
import pytest

from tasks.ui import send_to
from tasks.ui.page import links

ROOT = Path(send_to.__file__).parents[1]


@pytest.fixture(scope="module")
def app() -> gr.Blocks:
    built: gr.Blocks = importlib.import_module("app").build_app()
    return built


def test_every_target_is_an_output_in_its_order(app: gr.Blocks) -> None:
    (sender,) = (block for block in app.blocks.values() if block.elem_id == "send-to")
    (event,) = (fn for fn in app.fns.values() if (sender._id, "submit") in fn.targets)
    assert [block.elem_id for block in event.outputs] == [t.elem_id for t in send_to.TARGETS]
    assert event.js and event.fn is None
    ids = re.findall(r'"id": "([\w-]+)"', str(sender.js_on_load))  # type: ignore[attr-defined]
    assert ids == [t.elem_id for t in send_to.TARGETS]


def test_every_link_leads_to_a_tab(app: gr.Blocks) -> None:
    known = {f"#{tab['id']}/{sub['id']}" for tab in links.tabs_of(app) for sub in tab["tabs"]}
    inputs = {block.elem_id: block for block in app.blocks.values()}
    found = {send_to.link_of(inputs[target.elem_id]) for target in send_to.TARGETS}
    assert len(found) == len(send_to.TARGETS) and found <= known


def test_every_menu_shows_at_an_image_that_is_there(app: gr.Blocks) -> None:
    ids = {block.elem_id for block in app.blocks.values()}
    pages = [str(block.value) for block in app.blocks.values() if isinstance(block, gr.HTML)]
    pages += [file.read_text(encoding="utf-8") for file in ROOT.rglob("*.html")]
    menus = re.findall(r'<send-to kind="(\w+)" of="#([\w-]+) ', "\n".join(pages))
    assert len(menus) > 8 and {kind for kind, _ in menus} == {"digit", "photo"}
    assert {name for _, name in menus} <= ids
