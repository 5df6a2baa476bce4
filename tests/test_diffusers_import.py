"""Diffusers is imported by one thread at a time, whoever of the first visitors needs it."""

import subprocess
import sys
from pathlib import Path

from tests.tiny_pipeline import tiny

ROOT = Path(__file__).resolve().parent.parent
FIRST_USE = """
import sys, threading
from tasks import text_to_image
from tasks.diffusion import scheduler
from tasks.networks.diffusion_unet import DiffusionUNet

def digits():
    DiffusionUNet(widths=(8, 16), layers=1)
    scheduler("unipc", 4)
    return "network and sampler"

def words():
    text_to_image.TextToImage.load(sys.argv[1])
    return "pipeline"

calls = [digits, words] * 2
start = threading.Barrier(len(calls))
said = []  # printed once all are done: lines of threads that print at the same time run into each other

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


def test_four_first_visitors_at_once(tmp_path: Path) -> None:
    """Without `import_diffusers` two of them meet an ImportError: UNet2DModel is not there yet."""
    tiny(tmp_path / "words").save_pretrained(tmp_path / "tiny", safe_serialization=True)
    done = subprocess.run(
        [sys.executable, "-c", FIRST_USE, str(tmp_path / "tiny")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == ["network and sampler"] * 2 + ["pipeline"] * 2, done.stderr
