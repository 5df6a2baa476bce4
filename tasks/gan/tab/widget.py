"""The GAN's widgets: HTML and script of a name, on the digits.css and digits.js that they share."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from tasks.ui import widget as shared

HERE = Path(__file__).parent


def widget(
    name: str, elem_id: str, functions: Sequence[Callable[..., Any]], **marks: str
) -> gr.HTML:
    """`name`.html with each `<!-- mark -->` replaced; the script calls `functions`."""
    pad = [shared.DRAWING_PAD] if name == "discriminator" else []
    parts = (*pad, (HERE, "digits"), (HERE, name))
    return shared.widget(*parts, elem_id=elem_id, functions=functions, marks=marks)
