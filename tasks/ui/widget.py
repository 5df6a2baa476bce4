"""Widgets: a `gr.HTML` from <stem>.html, .css and .js, with widget.css and widget.js before them.

Arrays and files travel as base64; widget.js has the page's side of it.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import numpy as np

from tasks.core.images import ImageError

HERE = Path(__file__).parent


class Files(NamedTuple):
    """A widget's three files; "" for one that is not there."""

    html: str
    css: str
    js: str


def load(folder: Path, stem: str) -> Files:
    """<stem>.html, <stem>.css and <stem>.js of a folder."""
    paths = (folder / f"{stem}.{end}" for end in Files._fields)
    return Files(*(p.read_text(encoding="utf-8") if p.is_file() else "" for p in paths))


def widget(
    *parts: tuple[Path, str],
    elem_id: str,
    functions: Sequence[Callable[..., Any]] = (),
    marks: dict[str, str] | None = None,
) -> gr.HTML:
    """A widget of one or more parts, each (folder, stem).

    Args:
        parts: styles and scripts are joined in this order, behind widget.css and widget.js; the
            first HTML is the page.
        functions: called in the script as `server.<name>`.
        marks: what replaces `<!-- name -->` in the HTML.
    """
    files = [load(*part) for part in ((HERE, "widget"), *parts)]
    html = next(f.html for f in files if f.html)
    for name, text in (marks or {}).items():
        html = html.replace(f"<!-- {name} -->", text)
    return gr.HTML(
        html_template=html,
        css_template="\n".join(f.css for f in files),
        js_on_load="\n".join(f.js for f in files),
        server_functions=list(functions),
        elem_id=elem_id,
    )


DRAWING_PAD = (HERE, "drawing_pad")
"""The part that every drawing pad has."""


def encode_base64(data: bytes | np.ndarray) -> str:
    """Bytes, or an array's bytes, as `decodeBase64` of the page reads them."""
    raw = data if isinstance(data, bytes) else np.ascontiguousarray(data).tobytes()
    return base64.b64encode(raw).decode()


def decode_base64(text: object) -> bytes:
    """Raises ImageError."""
    try:
        return base64.b64decode(text, validate=True)  # type: ignore[arg-type]
    except (binascii.Error, TypeError, ValueError) as error:
        raise ImageError("The image is not valid base64.") from error


def data_url(data: bytes, mime: str = "image/png") -> str:
    """A file as a URL that carries it."""
    return f"data:{mime};base64,{encode_base64(data)}"
