"""tasks/tabs/startup.py: what gradio is told of its own classes, and nobody else of anything."""

import inspect
import os
import subprocess
import sys

import gradio
import pytest

from tasks import weights
from tasks.tabs.startup import quick_import
from tasks.weights import ROOT


def test_only_gradios_classes_are_hidden() -> None:
    with quick_import():
        with pytest.raises(OSError, match="not needed"):
            inspect.getfile(gradio.Image)
        assert inspect.getfile(weights.Card).endswith("weights.py")
    assert inspect.getfile(gradio.Image).endswith("image.py")


def test_gradio_imported_so_is_whole_and_asks_for_no_source() -> None:
    code = (
        "from pathlib import Path; read = []; real = Path.read_text\n"
        "Path.read_text = lambda p, *a, **k: (read.append(p.name), real(p, *a, **k))[1]\n"
        "from tasks.tabs.startup import quick_import\n"
        "with quick_import():\n    import gradio\n"
        "assert gradio.Image().upload and gradio.Blocks().queue, 'events are missing'\n"
        "print([name for name in read if name.endswith(('.py', '.pyi'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("wanted", [False, True])
def test_what_language_models_need_is_imported_only_if_asked_for(wanted: bool) -> None:
    code = (
        "import sys\nfrom tasks.tabs.startup import quick_import\nwith quick_import():\n    import gradio\n"
        "print('mcp' in sys.modules, hasattr(gradio.mcp.GradioMCPServer, 'StreamableHTTPSessionManager'))\n"
        "import mcp"
    )
    env = {**os.environ, "GRADIO_MCP_SERVER": str(wanted)}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(wanted)] * 2
