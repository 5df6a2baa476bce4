"""A quicker `import gradio`."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch


@contextmanager
def without_interface_files() -> Iterator[None]:
    """While gradio is imported in this block it does not rewrite the .pyi files of its own components.

    They serve editors only, and reading, parsing and comparing them is a third of the import
    (`python -m benchmarks.startup`). Gradio skips a class whose source file is not known; inside the block that is
    what it is told of its own classes.
    """
    getfile = inspect.getfile

    def unknown_to_gradio(of: Any) -> str:
        if inspect.isclass(of) and of.__module__.startswith("gradio."):
            raise OSError("not needed")
        return getfile(of)

    with patch.object(inspect, "getfile", unknown_to_gradio):
        yield
