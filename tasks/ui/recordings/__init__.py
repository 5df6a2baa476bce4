"""What sub-tabs open with: results of the app's own models, recorded once, replaced by the
visitor's first action.

    python -m docs.record_examples        writes the files of this folder

Gradio's components get theirs by `outputs` when the page is built; widgets fetch them when they are
first seen (`recording` in widget.js). Nothing is computed for either.
"""

import json
from pathlib import Path
from typing import Any

import gradio as gr

FOLDER = Path(__file__).parent


def serve() -> None:
    """Let the page fetch the files; called before components are built from them."""
    gr.set_static_paths([FOLDER])


def outputs(name: str, n: int) -> list[Any]:
    """The values of the `n` components that show a result; None for each without a recording."""
    try:
        values = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))["outputs"]
    except (OSError, ValueError, KeyError, TypeError):
        return [None] * n
    return [_with_paths(value) for value in values] if len(values) == n else [None] * n


def _with_paths(value: Any) -> Any:
    """A recorded value; {"file": name} becomes the file's path."""
    if isinstance(value, dict):
        if value.keys() == {"file"}:
            return str(FOLDER / value["file"])
        return {key: _with_paths(part) for key, part in value.items()}
    return [_with_paths(part) for part in value] if isinstance(value, list) else value
