"""Weights fetched at the start: with a network, without one, and what the list says of it."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tasks import models
from tasks.core import downloads
from tasks.core.weights import WeightsError
from tasks.detection import background, checkpoints
from tests.conftest import free_port


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache, a network of which nothing is known, nothing of the server's own."""
    monkeypatch.setenv("IMAGE_LAB_CACHE", str(tmp_path))
    monkeypatch.delenv("IMAGE_LAB_YOLO", raising=False)
    monkeypatch.delenv("IMAGE_LAB_FETCH", raising=False)
    monkeypatch.setattr(downloads, "_reachable", None)
    monkeypatch.setattr(models, "PRELOADED", tmp_path / "preloaded")
    return tmp_path


def names() -> list[str]:
    return [str(choice["name"]) for choice in models.detector_choices()]


def run() -> None:
    thread = background.start()
    assert thread is not None
    thread.join(20)
    assert not background.is_fetching()


def test_with_a_network_it_becomes_the_default(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(name: str) -> Path:
        file = cache / f"{name}.pt"
        file.write_bytes(b"weights")
        return file

    asked: list[tuple[Path, str]] = []
    monkeypatch.setattr(downloads, "ask", lambda: True)
    monkeypatch.setattr(checkpoints, "download", download)
    monkeypatch.setattr(
        checkpoints, "exported", lambda file, to="openvino": asked.append((file, to))
    )
    assert names()[0] == "everyday"
    run()
    first = models.detector_choices()[0]
    assert (first["name"], first["download"]) == ("yolo11n", False) and "here" in str(
        first["title"]
    )
    file = cache / "yolo11n.pt"
    assert asked == [(file, "openvino"), (file, "onnx")]  # ready for the first visitor
    assert len(names()) == len(set(names()))
    assert background.start() is None  # nothing more to do


def test_without_a_network_the_list_says_so(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "SERVER", "unused")
    monkeypatch.setattr(
        background.downloads, "ask", lambda: network_answers(f"http://127.0.0.1:{free_port()}")
    )
    run()
    choices = {c["name"]: c for c in models.detector_choices()}
    assert names()[0] == "everyday" and not choices["everyday"]["offline"]
    assert choices["yolo11n"]["offline"] and "no network" in str(choices["yolo11n"]["title"])


network_answers = downloads.ask


def test_a_failed_download_leaves_the_bundled_one(
    cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(name: str) -> Path:
        raise WeightsError("YOLO11n is not here yet and could not be downloaded.")

    monkeypatch.setattr(downloads, "ask", lambda: True)
    monkeypatch.setattr(checkpoints, "download", broken)
    run()
    assert names()[0] == "everyday" and "not here yet" in caplog.text


def test_it_asks_nobody_where_it_must_not(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGE_LAB_FETCH", "0")
    assert background.start() is None and downloads.is_reachable() is None


def test_weights_of_the_build_are_found(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = cache / "preloaded"
    folder.mkdir()
    (folder / "yolo11n.pt").write_bytes(b"weights")
    monkeypatch.setattr(checkpoints, "PRELOADED", folder)
    assert models.is_downloaded("yolo11n") and names()[0] == "yolo11n"
    assert checkpoints.download("yolo11n") == folder / "yolo11n.pt"


class Refusing(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_response(404)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


def test_any_answer_is_a_network(cache: Path) -> None:
    server = HTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.handle_request, daemon=True).start()
    assert downloads.ask(f"http://127.0.0.1:{server.server_port}")
    server.server_close()
    assert (
        not downloads.ask(f"http://127.0.0.1:{free_port()}") and downloads.is_reachable() is False
    )
