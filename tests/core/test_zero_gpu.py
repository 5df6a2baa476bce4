"""On a ZeroGPU Space diffusion runs in another process that has the GPU; the results are the same.

The stand-in for ZeroGPU here does what its decorator does at Hugging Face: a forked process for
the call, arguments and results pickled, a main process that reports CUDA and has none.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.core import weights
from tests.conftest import ROOT

SPACES = """
import functools, multiprocessing, os, pickle
import torch

torch.cuda.is_available = lambda: True  # as in the main process of ZeroGPU
CALLS = []

def GPU(duration):
    def decorated(task):
        @functools.wraps(task)
        def wrapper(*args, **kwargs):
            CALLS.append((task.__name__, duration))
            sent, context = pickle.dumps((args, kwargs)), multiprocessing.get_context("fork")
            ours, theirs = context.Pipe()
            def work():
                torch.cuda.is_available = lambda: False  # there it would have a GPU
                args, kwargs = pickle.loads(sent)
                for value in task(*args, **kwargs):
                    theirs.send((os.getpid(), value))
                theirs.send(None)
            process = context.Process(target=work)
            process.start()
            while (got := ours.recv()) is not None:
                CALLS.append(got[0])
                yield got[1]
            process.join()
        return wrapper
    return decorated
"""
PROGRAM = """
import json, os, sys
import numpy as np
if os.environ.get("SPACES_ZERO_GPU"):
    import spaces
from tasks.core import device
from tasks.diffusion import DiffusionGenerator
from tasks.diffusion.restore import inpaint

generator = DiffusionGenerator.load("mnist")
name = device.best().type
made = [step.x_t.tolist() for step in generator.steps(2, 5, 3, n_steps=2)]
hidden = np.zeros((28, 28), bool)
hidden[:14] = True
*_, last = inpaint(generator, np.zeros((28, 28), np.uint8), hidden, 1, 0, n_steps=2, repeats=1)
calls = spaces.CALLS if "spaces" in sys.modules else []
result = {"device": name, "made": made, "filled": last.x_t.tolist(), "pid": os.getpid()}
print(json.dumps({**result, "calls": calls}))
"""


def run(folder: Path, **environment: str) -> dict:  # type: ignore[type-arg]
    (folder / "spaces.py").write_text(SPACES)
    path = os.pathsep.join([str(folder), str(ROOT)])
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path, **environment}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict = json.loads(done.stdout.splitlines()[-1])  # type: ignore[type-arg]
    return found


@pytest.mark.skipif(not hasattr(os, "fork"), reason="ZeroGPU forks, which this system cannot")
@pytest.mark.skipif(
    not (weights.FOLDER / "diffusion_mnist.json").is_file(), reason="no diffusion model here"
)
def test_diffusion_goes_to_the_process_with_the_gpu_and_makes_the_same(tmp_path: Path) -> None:
    plain, there = run(tmp_path), run(tmp_path, SPACES_ZERO_GPU="true")
    assert plain["calls"] == []
    assert there["device"] == "cpu", "the main process has no GPU"
    assert [call for call in there["calls"] if isinstance(call, list)] == [
        ["run_on_gpu", 60],
        ["run_on_gpu", 60],
    ]
    workers = {call for call in there["calls"] if isinstance(call, int)}
    assert len(workers) == 2 and there["pid"] not in workers
    assert there["made"] == plain["made"] and there["filled"] == plain["filled"]


def test_the_camera_never_asks_for_a_gpu() -> None:
    for name in ("detection", "segmentation", "classification", "denoising", "gan"):
        for path in (ROOT / "tasks" / name).rglob("*.py"):
            assert "zero_gpu" not in path.read_text(encoding="utf-8")
