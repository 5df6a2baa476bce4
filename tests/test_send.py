"""The tabs that "Send to" names are in the page, and so is what it puts pictures into."""

import importlib
import re
from pathlib import Path

import gradio as gr
import pytest

from tasks.tabs import send

SCRIPT = (Path(send.__file__).parent / "send.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def app() -> gr.Blocks:
    built: gr.Blocks = importlib.import_module("app").build_app()
    return built


def test_every_target_is_in_the_page(app: gr.Blocks) -> None:
    ids = {block.elem_id for block in app.blocks.values()}
    named = re.findall(r"(?:into|fold|show): '#([\w-]+)'", SCRIPT)
    assert len(named) > 12 and set(named) <= ids
    tabs = {block.label: block for block in app.blocks.values() if isinstance(block, gr.Tab)}
    ways = re.findall(r"tabs: \['([^']+)', '([^']+)'\]", SCRIPT)
    assert len(ways) == 12
    for outer, inner in ways:
        assert outer in tabs
        inside = [b for b in app.blocks.values() if isinstance(b, gr.Tab) and b.label == inner]
        assert any(_is_within(block, tabs[outer]) for block in inside), f"{outer} has no tab {inner}"


def test_every_menu_shows_at_a_picture_that_is_there(app: gr.Blocks) -> None:
    ids = {block.elem_id for block in app.blocks.values()}
    pages = [str(block.value) for block in app.blocks.values() if isinstance(block, gr.HTML)]
    pages += [file.read_text(encoding="utf-8") for file in Path(send.__file__).parent.glob("*.html")]
    menus = re.findall(r'<send-to kind="(\w+)" of="#([\w-]+) ', "\n".join(pages))
    assert len(menus) > 8 and {kind for kind, _ in menus} == {"digit", "photo"}
    assert {name for _, name in menus} <= ids


def _is_within(block: gr.blocks.Block, outer: gr.blocks.Block) -> bool:
    parent = block.parent
    return parent is not None and (parent is outer or _is_within(parent, outer))
