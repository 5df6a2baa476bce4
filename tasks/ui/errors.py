"""Errors as the page shows them: the one place that turns an exception into a message."""

import functools
import html
import inspect
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr
from gradio.utils import get_upload_folder

from tasks.core import disk_errors, model_cache
from tasks.core.disk_errors import DiskError
from tasks.core.images import ImageError, NoDigitError
from tasks.core.scheduling import BusyError
from tasks.core.weights import WeightsError

log = logging.getLogger("image_lab")
Function = TypeVar("Function", bound=Callable[..., Any])

EXPECTED = (BusyError, DiskError, ImageError, NoDigitError, WeightsError)
BUG = "Something went wrong here. It has been logged; the next image will work."


def describe_error(error: Exception) -> str:
    """The message for the visitor, as plain text.

    A bug is logged with its traceback; the visitor reads BUG.
    """
    if isinstance(error, EXPECTED):
        return str(error)
    log.error("unexpected error", exc_info=error)
    what = disk_errors.describe(error)
    return disk_errors.sentence(what) if what else BUG


def report_errors(function: Function) -> Function:
    """Wrap a handler of a gradio event: expected errors and bugs become a `gr.Error`."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with _as_gradio_errors():
            return function(*args, **kwargs)

    @functools.wraps(function)
    async def waiting_wrapper(*args: Any, **kwargs: Any) -> Any:
        with _as_gradio_errors():
            return await function(*args, **kwargs)

    return waiting_wrapper if inspect.iscoroutinefunction(function) else wrapper  # type: ignore[return-value]


def report_errors_in_steps(function: Function) -> Function:
    """As `report_errors`, for a generator: a handler that shows its result in steps."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with _as_gradio_errors():
            yield from function(*args, **kwargs)

    return wrapper  # type: ignore[return-value]


@contextmanager
def _as_gradio_errors() -> Iterator[None]:
    try:
        # where gradio saves what the function returns
        disk_errors.check_room(Path(get_upload_folder()))
        yield
    except gr.Error:
        raise
    except Exception as error:
        text = html.escape(describe_error(error), quote=False)  # gradio shows it as HTML
        raise gr.Error(text, print_exception=False) from error


def return_errors(function: Function) -> Function:
    """Wrap a server function of a widget: errors are returned as {"error": plain text}.

    It never waits for a model that another visitor's call loads: "again" lets widget.js ask later.
    """

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            with model_cache.without_waiting():
                return function(*args, **kwargs)
        except model_cache.LoadingError as error:
            return {"error": describe_error(error), "again": True}
        except Exception as error:
            return {"error": describe_error(error), "hint": isinstance(error, NoDigitError)}

    return wrapper  # type: ignore[return-value]
