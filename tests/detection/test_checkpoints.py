"""From a name to a detector through Ultralytics' own downloader, a server that misbehaves, a race.

The server is local and gives weights of YOLO11n's architecture as random as they were made.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tasks import models
from tasks.core import device, openvino
from tasks.core.weights import WeightsError
from tasks.detection import checkpoints, engines
from tasks.detection.detector import Detector
from tests.conftest import ROOT, free_port

BASE = "https://github.com/ultralytics/assets/releases/download"


@pytest.fixture(scope="module")
def random_pt(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    from ultralytics import YOLO

    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("yolo") / "random.pt"
    YOLO("yolo11n.yaml", task="detect").save(str(file))
    return file.read_bytes()


class Server(ThreadingHTTPServer):
    """Gives `body` for every address; `answers`: bytes that each request gets before the line is
    cut, None: all.
    """

    daemon_threads = True

    def __init__(self, body: bytes, status: int = 200, answers: tuple[int | None, ...] = (None,)):
        super().__init__(("127.0.0.1", 0), Handler)
        self.body, self.status, self.answers, self.asked = body, status, answers, list[str]()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        served = self.server
        n = min(len(served.asked), len(served.answers) - 1)
        served.asked.append(self.path)
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        body = served.body[start:]
        self.send_response(206 if start else served.status)
        self.send_header("Content-Length", str(len(body)))
        if start:
            self.send_header(
                "Content-Range", f"bytes {start}-{len(served.body) - 1}/{len(served.body)}"
            )
        self.end_headers()
        self.wfile.write(body[: served.answers[n]])

    def log_message(self, *args: object) -> None:
        pass


Serve = Callable[..., Server]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Serve]:
    """serve(body, ...) -> a server that Ultralytics takes for GitHub; the cache is `tmp_path`."""
    import ultralytics.utils.downloads as theirs

    download, servers = theirs.safe_download, list[Server]()

    def serve(*args: Any, **kwargs: Any) -> Server:
        server = Server(*args, **kwargs)
        servers.append(server)
        redirect(server.url)
        return server

    def redirect(to: str) -> None:
        def elsewhere(url: str, **kwargs: Any) -> Path:
            assert url.startswith(BASE)
            return download(url.replace(BASE, to), **kwargs)

        monkeypatch.setattr(theirs, "safe_download", elsewhere)

    redirect(f"http://127.0.0.1:{free_port()}")  # nobody listens there
    monkeypatch.setenv("IMAGE_LAB_CACHE", str(tmp_path))
    monkeypatch.setattr(theirs.time, "sleep", lambda seconds: None)  # before it tries again
    monkeypatch.setattr(theirs, "is_online", lambda: True)
    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def test_from_the_name_to_boxes_and_downloaded_once(
    serve: Serve, random_pt: bytes, tmp_path: Path
) -> None:
    server = serve(random_pt)
    assert not models.is_downloaded("yolo11n")
    image = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    detector = Detector.load("yolo11n")
    assert (
        detector.name == "yolo11n"
        and len(detector.class_names) == 80
        and models.is_downloaded("yolo11n")
    )
    first = detector.detect(image, confidence=0.0, size=320)
    assert len(first) > 0
    if isinstance(detector.engine, engines.OpenVinoEngine):
        kinds = sorted(p.suffix or p.name.partition("-")[2][12:] for p in tmp_path.iterdir())
        assert kinds == ["-openvino", ".pt"]  # and no half file
    again = Detector.load("yolo11n").detect(image, confidence=0.0, size=320)
    np.testing.assert_array_equal(first.xyxy, again.xyxy)
    assert [path.rpartition("/")[2] for path in server.asked] == ["yolo11n.pt"]


def test_a_line_that_breaks_once_is_taken_up_again(serve: Serve, random_pt: bytes) -> None:
    server = serve(random_pt, answers=(1_000_000, None))
    assert checkpoints.download("yolo11n").read_bytes() == random_pt
    assert len(server.asked) == 2


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no such file": ({"status": 404, "body": b"x" * 200_000}, "no network, or its server"),
    "the line breaks each time": ({"answers": (1_000_000, 1_000)}, "no network, or its server"),
    "a log-in page": ({"body": b"<html>" * 40_000}, "what arrived is damaged"),
    "a short answer": ({"body": b"<html>"}, "no network, or its server"),
    "damaged on its way": ({"body": b"PK" + bytes(300_000)}, "what arrived is damaged"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_failed_download_is_a_sentence_and_leaves_nothing(
    serve: Serve, random_pt: bytes, tmp_path: Path, name: str
) -> None:
    changed, said = REFUSED[name]
    serve(**{"body": random_pt} | changed)
    with pytest.raises(
        WeightsError, match=f"YOLO11n is not here yet .*{said}.* bundled detector works without"
    ):
        Detector.load("yolo11n")
    assert list(tmp_path.iterdir()) == []
    serve(random_pt)
    assert checkpoints.download("yolo11n").is_file()  # and the next try works


@pytest.mark.usefixtures("serve")
def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no network, or its server does not answer"):
        Detector.load("yolo26n")
    assert list(tmp_path.iterdir()) == []


def test_without_a_network(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ultralytics.utils.downloads as theirs

    monkeypatch.setattr(theirs, "is_online", lambda: False)
    with pytest.raises(WeightsError, match="no network"):
        Detector.load("yolo11n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("when", ["before", "while it arrives"])
def test_a_full_disk_is_called_so(
    serve: Serve, random_pt: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    import ultralytics.utils.downloads as theirs

    serve(random_pt)
    if when == "before":
        monkeypatch.setattr(theirs.shutil, "disk_usage", lambda path: (10**9, 10**9, 1000))
    else:

        class Full:
            def __init__(self, *args: object, **kwargs: object) -> None: ...

            def __enter__(self) -> "Full":
                raise OSError(28, "No space left on device")

            def __exit__(self, *error: object) -> None: ...

        monkeypatch.setattr(theirs, "TQDM", Full)
    with pytest.raises(WeightsError, match="disk is full"):
        Detector.load("yolo11n")
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_written(
    serve: Serve, random_pt: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("IMAGE_LAB_CACHE", str(tmp_path / "file"))
    serve(random_pt)
    with pytest.raises(WeightsError, match="could not be downloaded: the server may not write"):
        Detector.load("yolo11n")


def test_an_export_that_fails_leaves_pytorch(
    random_pt: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(*args: object) -> Path:
        raise OSError(28, "No space left on device")

    (tmp_path / "y.pt").write_bytes(random_pt)
    monkeypatch.setattr(engines, "exported", full)
    engine = engines.load_engine(tmp_path / "y.pt")
    assert isinstance(engine, engines.TorchEngine)
    if openvino.is_installed() and device.best().type == "cpu":
        assert "runs on PyTorch" in caplog.text


FIRST_USE = """
import sys, threading, time
from pathlib import Path

def dawdle(event, args):  # so that the threads meet while they import
    if event == "import" and str(args[0]).startswith("ultralytics"):
        time.sleep(0.01)

sys.addaudithook(dawdle)
from tasks.detection import checkpoints, engines

load = lambda: engines.load_engine(Path("missing.pt"))
fetch = lambda: checkpoints.download("yolo11n")
calls = [load, fetch] * 2
start = threading.Barrier(len(calls))
# printed once all are done: lines of threads that print at the same time run into each other
said = []

def use(call):
    start.wait()
    try:
        call()
    except Exception as error:
        said.append(f"{type(error).__name__} {error}")

threads = [threading.Thread(target=use, args=(call,)) for call in calls]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("\\n".join(said))
"""


def test_four_first_visitors_at_once(tmp_path: Path) -> None:
    """Without `import_ultralytics` they meet an ImportError, or a deadlock of Python's import
    locks.
    """
    nowhere = f"http://127.0.0.1:{free_port()}"
    env = {
        **os.environ,
        "IMAGE_LAB_CACHE": str(tmp_path),
        "YOLO_OFFLINE": "true",
        "HTTPS_PROXY": nowhere,
    }
    done = subprocess.run(
        [sys.executable, "-c", FIRST_USE],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    # Ultralytics greets, too
    said = sorted(line[:40] for line in done.stdout.splitlines() if "Error" in line)
    yolo11n, missing = (
        "WeightsError YOLO11n is not here yet and",
        "WeightsError missing.pt is not there; a ",
    )
    assert said == [yolo11n, yolo11n, missing, missing], done.stderr
