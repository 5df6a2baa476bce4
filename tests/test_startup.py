"""tasks/tabs/startup.py: what gradio is told of its own classes, and nobody else of anything."""

import inspect
import subprocess
import sys

import gradio
import pytest

from tasks import weights
from tasks.tabs.startup import without_interface_files
from tasks.weights import ROOT


def test_only_gradios_classes_are_hidden() -> None:
    with without_interface_files():
        with pytest.raises(OSError, match="not needed"):
            inspect.getfile(gradio.Image)
        assert inspect.getfile(weights.Card).endswith("weights.py")
    assert inspect.getfile(gradio.Image).endswith("image.py")


def test_gradio_imported_so_is_whole_and_asks_for_no_source() -> None:
    code = (
        "from pathlib import Path; read = []; real = Path.read_text\n"
        "Path.read_text = lambda p, *a, **k: (read.append(p.name), real(p, *a, **k))[1]\n"
        "from tasks.tabs.startup import without_interface_files\n"
        "with without_interface_files():\n    import gradio\n"
        "assert gradio.Image().upload and gradio.Blocks().queue, 'events are missing'\n"
        "print([name for name in read if name.endswith(('.py', '.pyi'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "[]"
