"""Diffusers is imported, and networks are built, by one thread at a time."""

import subprocess
import sys
import threading
from pathlib import Path

import accelerate

from tasks.core import model_cache
from tasks.gan.generator import GanGenerator
from tests.text_to_image.tiny_pipeline import tiny

ROOT = Path(__file__).resolve().parent.parent.parent
FIRST_USE = """
import sys, threading
from tasks import text_to_image
from tasks.diffusion import DiffusionGenerator
from tasks.gan import GanGenerator

def digits():
    return f"diffusion {DiffusionGenerator.load('mnist').generate(1, 0, n_steps=1).shape}"

def latent():
    return f"gan {GanGenerator.load().generate(1, 0).shape}"

def words():
    text_to_image.TextToImage.load(sys.argv[1])
    return "pipeline"

calls = [digits, latent, words] * 2
start = threading.Barrier(len(calls))
said = []  # printed at the end: threads that print at the same time mix their lines

def use(call):
    start.wait()
    try:
        said.append(call())
    except Exception as error:
        said.append(f"{type(error).__name__} {error}")

threads = [threading.Thread(target=use, args=(call,)) for call in calls]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("\\n".join(sorted(said)))
"""


def test_six_first_visitors_at_once(tmp_path: Path) -> None:
    """Both errors have occurred: UNet2DModel is not there yet (`import_diffusers`), and a network
    that is built while diffusers loads a pipeline has no memory for its tensors: "Cannot copy out
    of meta tensor" (`model_cache.BUILDING`)."""
    tiny(tmp_path / "words").save_pretrained(tmp_path / "tiny", safe_serialization=True)
    done = subprocess.run(
        [sys.executable, "-c", FIRST_USE, str(tmp_path / "tiny")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    expected = ["diffusion (1, 28, 28)"] * 2 + ["gan (1, 28, 28)"] * 2 + ["pipeline"] * 2
    assert done.stdout.splitlines() == expected, done.stderr


def test_a_network_is_not_built_while_another_thread_has_tensors_without_memory() -> None:
    inside, loaded = threading.Event(), []

    def visitor() -> None:
        inside.wait()
        loaded.append(GanGenerator.load())

    thread = threading.Thread(target=visitor)
    thread.start()
    with model_cache.BUILDING, accelerate.init_empty_weights():
        inside.set()
        thread.join(0.5)
        assert not loaded  # it waits
    thread.join()
    assert loaded[0].generate(2, 0).any()
