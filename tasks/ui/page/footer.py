"""The foot of the page: source, documents, models, API, licence.

AGPL-3.0, section 13: whoever runs a changed version offers its source. IMAGE_LAB_SOURCE is the
address of the repository that this server runs; a Hugging Face Space knows its own.
"""

import os
from html import escape

import gradio as gr

HISTORY = (
    "<section class='lab-history' aria-label='Earlier results of this tab' hidden>"
    "<h2>Earlier results <small>in this page only</small></h2><ol></ol></section>"
)
LICENCE = "https://www.gnu.org/licenses/agpl-3.0.html"


def source() -> str | None:
    """The address of this app's source."""
    space = os.environ.get("SPACE_ID")
    own = f"https://huggingface.co/spaces/{space}/tree/main" if space else None
    return os.environ.get("IMAGE_LAB_SOURCE") or own


def footer_html() -> str:
    address = source()
    links = {
        "Source": address,
        "Docs": f"{address.removesuffix('/tree/main')}/tree/main/docs" if address else None,
        "Models": "#about",
        "API": "?view=api",
        "Licence: AGPL-3.0": LICENCE,
    }
    listed = "".join(
        f"<a href='{escape(link, quote=True)}'>{title}</a>" for title, link in links.items() if link
    )
    note = "" if address else "<span>Source: ask whoever runs this server.</span>"
    keys = "<button type='button' class='lab-keys'>Keys</button>"
    return f"<nav class='lab-foot' aria-label='About this app'>{listed}{keys}{note}</nav>"


def build_footer() -> None:
    gr.HTML(HISTORY + footer_html(), padding=False)
