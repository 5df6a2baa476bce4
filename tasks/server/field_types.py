"""Fields of the page take only what the page sends: no list for one choice, no text for a number.

Gradio hands a list on for a single choice, and fails with a traceback where it rounds what is no
number. Here both are refused in a sentence, once for all fields.
"""

from typing import Any

import gradio as gr


def refuse_other_types(page: gr.Blocks) -> None:
    """Let each choice and number of a page refuse what it cannot be.

    The numbers of endpoints read texts, too (ui/endpoint.py).
    """
    for field in page.blocks.values():
        if getattr(field, "as_sent", False):
            continue
        if isinstance(field, gr.Dropdown | gr.Radio) and not getattr(field, "multiselect", False):
            _checked(field, (str, int, float), "One choice is needed")
        elif isinstance(field, gr.Number | gr.Slider):
            _checked(field, (int, float), "A number is needed")


def _checked(field: Any, types: tuple[type, ...], needed: str) -> None:
    preprocess = field.preprocess

    def checked(value: Any) -> Any:
        if value is not None and not isinstance(value, types):
            kind = {"dict": "an object", "list": "a list", "str": "a text"}
            came = kind.get(type(value).__name__, type(value).__name__)
            raise gr.Error(f"{needed} for “{field.label}”; {came} came.", print_exception=False)
        return preprocess(value)

    field.preprocess = checked
