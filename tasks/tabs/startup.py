"""Before anything else is imported: what the libraries are told, and a quicker `import gradio`."""

import gc
import inspect
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from tasks import compute


def set_environment() -> None:
    """What whoever starts the app has not set otherwise."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    # gradio imports matplotlib, which writes a list of fonts
    os.environ.setdefault("MPLCONFIGDIR", os.path.join(tempfile.gettempdir(), "image-lab-matplotlib"))
    # One thread a model, asleep when idle: several visitors share the cores, and a drawn digit is answered three times
    # sooner than with two threads that spin while they wait (benchmarks/results/pen.csv).
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if compute.is_zero_gpu():
        import spaces  # noqa: F401  it has to be there before torch


@contextmanager
def without_interface_files() -> Iterator[None]:
    """While gradio is imported in this block it does not rewrite the .pyi files of its own components.

    They serve editors only, and reading, parsing and comparing them is a third of the import
    (`python -m benchmarks.startup`). Gradio skips a class whose source file is not known; inside the block that is
    what it is told of its own classes. What is imported stays: the garbage collector does not look at it, now or later,
    which saves another tenth.
    """
    getfile = inspect.getfile

    def unknown_to_gradio(of: Any) -> str:
        if inspect.isclass(of) and of.__module__.startswith("gradio."):
            raise OSError("not needed")
        return getfile(of)

    gc.disable()
    with patch.object(inspect, "getfile", unknown_to_gradio):
        yield
    gc.freeze()
    gc.enable()
