"""Links to tabs and sub-tabs (#detection/live): the script for the page's head."""

import json
from pathlib import Path
from typing import Any

import gradio as gr

SCRIPT = Path(__file__).with_suffix(".js")


def tabs_of(app: gr.Blocks) -> list[dict[str, Any]]:
    """Each tab of the page with its sub-tabs: {"id", "label", "tabs": [{"id", "label"}]}."""
    tabs = [block for block in app.blocks.values() if isinstance(block, gr.Tab)]

    def tab_around(block: Any) -> gr.Tab | None:
        parent = block.parent
        while parent is not None and not isinstance(parent, gr.Tab):
            parent = parent.parent
        return parent

    def described(tab: gr.Tab) -> dict[str, Any]:
        return {"id": str(tab.id), "label": str(tab.label)}

    return [
        {**described(tab), "tabs": [described(sub) for sub in tabs if tab_around(sub) is tab]}
        for tab in tabs
        if tab_around(tab) is None
    ]


def script_of(app: gr.Blocks) -> str:
    """The script element that makes the links work."""
    tabs = json.dumps(tabs_of(app)).replace("<", "\\u003c")
    script = SCRIPT.read_text(encoding="utf-8").replace('"TABS"', tabs, 1)
    return f"<script>{script}</script>"
