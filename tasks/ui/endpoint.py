"""Public endpoints on hidden components, and the one place that reads what programs send.

Programs send numbers as text, fractions for whole numbers, words for flags. By the type hints of
the endpoint's function each is read as what it says, or refused in a sentence.
"""

import functools
import inspect
import math
import re
import types
import typing
from abc import ABCMeta
from collections.abc import Callable
from typing import Any

import gradio as gr

from tasks.core.images import ImageError
from tasks.ui.errors import report_errors, report_errors_in_steps
from tasks.ui.fields import parse_int

NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
FLAGS = {"true": True, "yes": True, "on": True, "1": True} | {
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


def endpoint(function: Callable[..., Any], inputs: list[Any], outputs: Any) -> None:
    """Publish a function under its own name, with its docstring."""
    wrap = report_errors_in_steps if inspect.isgeneratorfunction(function) else report_errors
    gr.Button(visible=False).click(
        wrap(read_arguments(function)),
        inputs,
        outputs,
        api_name=function.__name__,
        api_description=function.__doc__,
    )


def read_arguments(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, called with what its type hints ask for. Raises ImageError."""
    parameters = inspect.signature(function).parameters
    kinds = {name: _kind(parameter.annotation) for name, parameter in parameters.items()}

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        named = dict(zip(parameters, args, strict=False)) | kwargs
        return function(**{name: read(value, kinds[name], name) for name, value in named.items()})

    return wrapper


def read(value: Any, kind: type | None, name: str) -> Any:
    """A value as int, float or bool, whatever says the same; None and "" are None.

    Raises ImageError.
    """
    if kind is None or value is None:
        return value
    if isinstance(value, str) and not value.strip():
        return None
    if kind is bool:
        return parse_flag(value, name)
    if isinstance(value, str) and NUMBER.fullmatch(value) and len(value) < 40:
        value = float(value)
    if kind is int:
        return parse_int(value, name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
        raise ImageError(f"{name} is a number; {str(value)[:20]!r} came.")
    return value


def parse_flag(value: Any, name: str) -> bool:
    """Of true, 1, "yes", ... Raises ImageError."""
    said = str(value).strip().lower() if isinstance(value, bool | int | str) else ""
    if said not in FLAGS:
        raise ImageError(f"{name} is true or false; {str(value)[:20]!r} came.")
    return FLAGS[said]


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond floats
        return False


def _kind(annotation: Any) -> type | None:
    """bool, int or float, of a type hint that may allow None; None: nothing to read."""
    inner = [annotation]
    if isinstance(annotation, types.UnionType):
        inner = [part for part in typing.get_args(annotation) if part is not types.NoneType]
    return inner[0] if len(inner) == 1 and inner[0] in (bool, int, float) else None


def _as_sent(self: Any, payload: Any) -> Any:
    return payload


def _undigested(component: Any) -> Any:
    """A component that hands on what was sent: gradio's own rounds, or fails on text."""
    return ABCMeta.__new__(
        type(component),
        f"Sent{component.__name__}",
        (component,),
        {"preprocess": _as_sent, "as_sent": True, "is_template": True, "__module__": __name__},
    )


_SentNumber, _SentCheckbox = _undigested(gr.Number), _undigested(gr.Checkbox)


def number(value: float | None, name: str) -> Any:
    """A hidden input for an int or a float."""
    return _SentNumber(value, label=name, visible=False)


def flag(value: bool, name: str) -> Any:
    """A hidden input for true or false."""
    return _SentCheckbox(value, label=name, visible=False)
