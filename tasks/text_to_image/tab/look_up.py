"""What a pipeline needs, shown before anything is downloaded; the download with its progress."""

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr

if TYPE_CHECKING:
    from tasks.text_to_image.files import Pipeline


def look_up(source: Any) -> tuple[str, dict[str, Any]]:
    """A pipeline's facts as HTML, and the download button, visible if something is missing."""
    from tasks.text_to_image import hub

    found = hub.look_up(parse_name(source))
    size = sum(found.missing.values())
    offer = gr.update(visible=found.folder is None, value=f"Download {size / 1e6:,.0f} MB")
    return facts_html(found), offer


def download(source: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Download what `look_up` has named; progress as HTML."""
    from tasks.text_to_image import hub

    found = hub.look_up(parse_name(source))
    for received, total in hub.download(found):
        text = f"{received / 1e6:,.0f} of {total / 1e6:,.0f} MB"
        bar = (
            f"<progress max='{max(1, total)}' value='{received}' aria-label='{text}' "
            "style='width:100%;accent-color:var(--lab-accent)'></progress>"
        )
        yield f"<p>Downloading: {text}</p>{bar}", gr.update(interactive=False)
    found = hub.look_up(found.source)
    yield facts_html(found), gr.update(visible=False, interactive=True)


def facts_html(found: "Pipeline") -> str:
    """Class and parameters, bytes to download, memory, licence."""
    from huggingface_hub import constants

    from tasks.text_to_image import pipeline

    files = "nothing, its files are here"
    if found.folder is None:
        size = sum(found.missing.values())
        files = f"{size / 1e6:,.0f} MB, into {constants.HF_HUB_CACHE}"
    memory = f"about {found.memory / 1e9:.1f} GB"
    free = pipeline.free_memory()
    if free is not None:
        fits = "" if found.memory <= free else ": it does not fit here"
        memory += f"; {free / 1e9:.1f} GB are free{fits}"
    facts = {
        "Pipeline": f"{found.kind}, {found.parameters / 1e6:,.1f} million parameters",
        "Downloads": files,
        "Memory": memory,
        "Licence": found.licence,
    }
    rows = "".join(f"<dt>{key}</dt><dd>{escape(text)}</dd>" for key, text in facts.items() if text)
    return f"<div class='lab-card'><dl>{rows}</dl></div>"


def parse_name(source: Any) -> str:
    """A pipeline's name as typed, without spaces around it."""
    return source.strip() if isinstance(source, str) else ""
