"""The generators' widgets: HTML, style and script of a name, on the shared digits.js; arrays as base64."""

import base64
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

HERE = Path(__file__).parent


def widget(name: str, functions: Sequence[Callable[..., Any]], **marks: str) -> gr.HTML:
    """`name`.html with each `<!-- mark -->` filled, its style and script; `functions` are called as server.f."""
    page = (HERE / f"{name}.html").read_text(encoding="utf-8")
    for mark, text in marks.items():
        page = page.replace(f"<!-- {mark} -->", text)
    own = [(HERE / file).read_text(encoding="utf-8") for file in ("digits.js", f"{name}.js")]
    return gr.HTML(
        html_template=page,
        css_template=(HERE / "gan_widgets.css").read_text(encoding="utf-8"),
        js_on_load="\n".join(own),
        server_functions=list(functions),
        elem_id=name.replace("_", "-"),
    )


def to_base64(array: np.ndarray) -> str:
    """Its bytes; uint8 or float32 as the page reads them."""
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
