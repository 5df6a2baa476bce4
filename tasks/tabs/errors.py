"""The one place that turns what went wrong into a sentence in the page."""

import functools
import html
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr
from gradio.utils import get_upload_folder

from tasks import disk
from tasks.compute import BusyError
from tasks.disk import DiskError
from tasks.images import ImageError, NoInkError
from tasks.weights import WeightsError

log = logging.getLogger("image_lab")
Function = TypeVar("Function", bound=Callable[..., Any])

EXPECTED = (BusyError, DiskError, ImageError, NoInkError, WeightsError)
BUG = "Something went wrong here. It has been logged; the next picture will work."


def sentence(error: Exception) -> str:
    """What the visitor is told, as plain text; a bug is logged with its traceback and told as BUG."""
    if isinstance(error, EXPECTED):
        return str(error)
    log.error("unexpected error", exc_info=error)
    what = disk.trouble(error)
    return disk.sentence(what) if what else BUG


def answering(function: Function) -> Function:
    """Wrap a handler of a gradio event: expected errors and bugs become a `gr.Error` with one sentence."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            disk.check_room(Path(get_upload_folder()))  # where gradio puts what the function returns
            return function(*args, **kwargs)
        except gr.Error:
            raise
        except Exception as error:
            text = html.escape(sentence(error), quote=False)  # gradio shows it as HTML
            raise gr.Error(text, print_exception=False) from error

    return wrapper  # type: ignore[return-value]


def answering_steps(function: Function) -> Function:
    """As `answering`, for a generator: an event that shows its result in steps."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            disk.check_room(Path(get_upload_folder()))
            yield from function(*args, **kwargs)
        except gr.Error:
            raise
        except Exception as error:
            raise gr.Error(html.escape(sentence(error), quote=False), print_exception=False) from error

    return wrapper  # type: ignore[return-value]


def answering_json(function: Function) -> Function:
    """Wrap a server function of a `gr.HTML` widget: errors come back as {"error": sentence}, plain text."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            return {"error": sentence(error), "hint": isinstance(error, NoInkError)}

    return wrapper  # type: ignore[return-value]
