"""What several tests share: the real data sets where there are any, the real app in a process of
its own."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.app_process import end, free_port

ROOT = Path(__file__).resolve().parent.parent


SLOW = ("test_hosting", "test_kill_and_resume", "test_two_processes", "test_replicas")
"""Files of minutes: environments installed anew, processes killed, several servers."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test unit, app or browser by where it lies and what it asks for."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if item.path.parent.name == "browser":
            item.add_marker("browser")
        elif item.path.parent.name == "server" or "app_url" in fixtures:
            item.add_marker("app")
        else:
            item.add_marker("unit")
        if "data_dir" in fixtures:
            item.add_marker("data")
        if item.path.stem in SLOW:
            item.add_marker("slow")


def find_data() -> Path | None:
    """The folder with the real data sets: IMAGE_LAB_DATA, else ../shared/data, else None."""
    for folder in (os.environ.get("IMAGE_LAB_DATA"), ROOT.parent / "shared" / "data"):
        if folder and Path(folder).is_dir():
            return Path(folder)
    return None


@pytest.fixture(scope="session")
def data_dir() -> Path:
    folder = find_data()
    if folder is None:
        pytest.skip("no real data: set IMAGE_LAB_DATA to a folder with MNIST/raw and CIFAR-10")
    return folder


@pytest.fixture(scope="session")
def coco_yolo() -> Path:
    """A real YOLO of COCO's 80 classes: IMAGE_LAB_YOLO, else the OpenVINO export beside the shared
    data."""
    named = os.environ.get("IMAGE_LAB_YOLO")
    folder = (
        Path(named) if named else ROOT.parent / "shared" / "weights" / "yolo11n_int8_openvino_model"
    )
    if not folder.exists():
        pytest.skip("no COCO YOLO: set IMAGE_LAB_YOLO to a .pt file or an OpenVINO folder")
    return folder


@contextmanager
def app_with(folder: Path, **environment: str) -> Iterator[str]:
    """`python app.py` as a user starts it, on a free port; its log, in `folder`, is shown if it
    does not come up."""
    port = free_port()
    log = folder / "log.txt"
    env = {
        **os.environ,
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_TEMP_DIR": str(folder / "gradio"),
        "IMAGE_LAB_FETCH": "0",  # the default network stays the bundled one
        **environment,
    }
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "app.py"], cwd=ROOT, env=env, stdout=out, stderr=out
        )
    url = f"http://127.0.0.1:{port}/"
    try:
        for _ in range(300):
            if process.poll() is not None:
                pytest.fail(f"app.py ended with {process.returncode}:\n{log.read_text()}")
            try:
                urllib.request.urlopen(url, timeout=2).close()
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        else:
            pytest.fail(f"app.py does not answer:\n{log.read_text()}")
        yield url
    finally:
        end(process)


@pytest.fixture(scope="session")
def app_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app, one for all tests that need nothing special of it."""
    with app_with(tmp_path_factory.mktemp("app")) as url:
        yield url


@pytest.fixture(autouse=True)
def _trainings_compute_in_fp32(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tests of trainings ask for the last bit, or for gradients to a percent: the same on every
    processor."""
    if request.node.path.parent.name == "train":
        from tasks.core import device

        monkeypatch.setattr(device, "bf16_is_native", lambda: False)
