"""Links to results: opening #diffusion/generate?model=mnist&steps=25&seed=7 sets the fields and
starts, so that the same settings and seed give the same image again.

    link_results(output, begin, {"seed": seed, "steps": n_steps})

`begin` takes the fields' values in this order and returns the output's value. A hidden component
reads the page's address when its tab is opened or the address changes.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import gradio as gr
from gradio.components import Component

from tasks.core.images import ImageError
from tasks.ui.errors import report_errors
from tasks.ui.send_to import link_of

SCRIPT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
Refresh = Callable[[dict[str, Any]], dict[str, Any]]


def query(settings: Mapping[str, Any]) -> str:
    """Settings as the part of a link behind "?"; an empty one is left out."""
    return urlencode({key: value for key, value in settings.items() if value not in (None, "")})


def parse(field: Component, name: str, text: str) -> Any:
    """The text of a link as the field's value. Raises ImageError."""
    if isinstance(field, gr.Slider | gr.Number):
        try:
            value = float(text)
        except ValueError as error:
            raise ImageError(
                f"In the link {name} is a number; {text[:30]!r} came. Without it the link works."
            ) from error
        return int(value) if value.is_integer() else value
    values = [value for _, value in getattr(field, "choices", None) or []]
    return next((value for value in values if str(value) == text), text)


def link_results(
    output: Component,
    begin: Callable[..., Any],
    fields: Mapping[str, Component],
    refresh: Refresh | None = None,
) -> None:
    """Let links start `begin`.

    Args:
        output: of `begin`; the links are those to its tab.
        fields: by their name in the link; one that a link leaves out keeps its first value.
        refresh: the named values -> updates of fields whose choices depend on them.
    """
    first = {name: field.value for name, field in fields.items()}

    def open_link(asked: Any) -> list[Any]:
        given = asked if isinstance(asked, dict) else {}
        values = {
            name: parse(field, name, str(given[name])) if name in given else first[name]
            for name, field in fields.items()
        }
        updates = {name: gr.update(value=value) for name, value in values.items()}
        updates |= refresh(values) if refresh else {}
        return [*(updates[name] for name in fields), begin(*values.values())]

    place = {"place": link_of(output), "names": list(fields)}
    opener = gr.HTML(
        html_template="",
        js_on_load=SCRIPT.replace('"PLACE"', json.dumps(place)),
        elem_id=f"{output.elem_id}-link",
        visible="hidden",
    )
    opener.submit(
        report_errors(open_link),
        opener,
        [*fields.values(), output],
        api_visibility="private",
        show_progress="hidden",
    )
