"""Before anything else is imported: what the libraries are told, and a quicker `import gradio`."""

import gc
import inspect
import os
import sys
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
def without_garbage_collection() -> Iterator[None]:
    """What is made in this block stays: the garbage collector never looks at it, which saves a tenth of the start."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def quick_import() -> Iterator[None]:
    """Gradio is imported in this block without what only editors and language models need.

    It does not rewrite the .pyi files of its own components: they serve editors, and reading, parsing and comparing
    them is a third of the import (`python -m benchmarks.startup`). Gradio skips a class whose source file is not known;
    inside the block that is what it is told of its own classes. Two modules are not to be found, and gradio and httpx
    do without: the package `mcp`, which Spaces have, a seventh of the import, unless GRADIO_MCP_SERVER asks for it; and
    httpx's command line, a thirtieth.
    """
    getfile = inspect.getfile

    def unknown_to_gradio(of: Any) -> str:
        if inspect.isclass(of) and of.__module__.startswith("gradio."):
            raise OSError("not needed")
        return getfile(of)

    wants_mcp = os.environ.get("GRADIO_MCP_SERVER", "").lower() == "true"
    hidden = {"httpx._main", *(() if wants_mcp else ("mcp",))} - sys.modules.keys()
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # an import of it fails
    try:
        with patch.object(inspect, "getfile", unknown_to_gradio), without_garbage_collection():
            yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)


@contextmanager
def quick_build() -> Iterator[None]:
    """A page is built in this block without its server; `launch` makes that, with a configuration of its own.

    Gradio would set the routes up twice before, and put the configuration of all components together thrice: a sixth of
    the start.
    """
    from gradio import Blocks
    from gradio.routes import App

    with patch.object(App, "create_app", lambda *_, **__: None), patch.object(Blocks, "get_config_file", lambda _: {}):
        yield
