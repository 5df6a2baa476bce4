"""The app in another process, with its log and its memory: this repository, or a copy to damage.

with served(tmp_path) as app:
    assert app.call("classify_digit", app.upload(image)) == (True, [{...}])
"""

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.app_process import end
from tests.conftest import ROOT, free_port

TIMEOUT_S = 120.0  # s for an answer on busy cores
CLOSED_PORT = "http://127.0.0.1:9"
OFFLINE = {
    "HTTP_PROXY": CLOSED_PORT,
    "HTTPS_PROXY": CLOSED_PORT,
    "http_proxy": CLOSED_PORT,
    "https_proxy": CLOSED_PORT,
    "HF_ENDPOINT": CLOSED_PORT,
    "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
    "YOLO_OFFLINE": "true",
}
"""Environment variables that simulate a machine without a network."""


@dataclass
class Served:
    """A running app."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    temporary: Path

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def rss(self) -> int:
        """Bytes of memory of the app and its children."""
        own = psutil.Process(self.process.pid)
        return int(own.memory_info().rss) + sum(child.memory_info().rss for child in own.children())

    def request(
        self, path: str, body: bytes | None = None, kind: str = "application/json"
    ) -> tuple[int, bytes]:
        """(status, body) of a GET, or of a POST where there is a body.

        `path` without the slash in front.
        """
        asked = urllib.request.Request(
            self.url + path, data=body, headers={"Content-Type": kind} if body else {}
        )
        try:
            with urllib.request.urlopen(asked, timeout=TIMEOUT_S) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def upload(self, *files: Path | tuple[str, bytes]) -> dict[str, Any]:
        """Send files as the page does: the first one as a value for `call`.

        AssertionError: refused.
        """
        boundary = secrets.token_hex(8)
        parts = b""
        for file in files:
            name, content = file if isinstance(file, tuple) else (file.name, file.read_bytes())
            disposition = f'form-data; name="files"; filename="{name}"'
            head = f"--{boundary}\r\nContent-Disposition: {disposition}\r\n\r\n"
            parts += head.encode() + content + b"\r\n"
        body = parts + f"--{boundary}--\r\n".encode()
        status, answer = self.request(
            "gradio_api/upload", body, f"multipart/form-data; boundary={boundary}"
        )
        assert status == 200, (status, answer)
        return {"path": json.loads(answer)[0], "meta": {"_type": "gradio.FileData"}}

    def call(self, name: str, *data: Any) -> tuple[bool, Any]:
        """A named endpoint through the queue: (True, its outputs) or (False, the error)."""
        status, answer = self.request(
            f"gradio_api/call/{name}", json.dumps({"data": data}).encode()
        )
        assert status == 200, (status, answer)
        _, stream = self.request(f"gradio_api/call/{name}/{json.loads(answer)['event_id']}")
        lines = [
            line for line in stream.decode().splitlines() if line.startswith(("event: ", "data: "))
        ]
        kind, answer = (
            lines[-2].removeprefix("event: "),
            json.loads(lines[-1].removeprefix("data: ")),
        )
        return kind == "complete", answer if kind == "complete" else answer and answer["error"]

    def server_function(self, elem_id: str, name: str, data: Any) -> Any:
        """A function that a widget calls as `server.name(data)`."""
        config = json.loads(self.request("config")[1])
        (component,) = (
            c["id"] for c in config["components"] if c["props"].get("elem_id") == elem_id
        )
        body = {"data": data, "component_id": component, "fn_name": name, "session_hash": "test"}
        status, answer = self.request("gradio_api/component_server", json.dumps(body).encode())
        assert status == 200, (status, answer)
        return json.loads(answer)

    def wait_until_ready(self) -> None:
        """Until the models are loaded, or one of them has failed."""
        until = time.monotonic() + TIMEOUT_S
        while self.server_function("header", "readiness", None)["state"] == "starting":
            assert time.monotonic() < until, self.said()
            time.sleep(0.2)


@contextlib.contextmanager
def served(
    folder: Path,
    root: Path = ROOT,
    command: Sequence[str] = ("app.py",),
    before: Sequence[str] = (),
    **variables: str,
) -> Iterator[Served]:
    """Start it, wait for its page, and end it.

    Args:
        folder: where its log and its temporary folder lie.
        root: the app's folder.
        command: for Python.
        before: a program that starts Python, with its arguments.
    """
    port, log, temporary = free_port(), folder / "log.txt", folder / "tmp"
    temporary.mkdir(exist_ok=True)
    environment = {
        **os.environ,
        **OFFLINE,
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_TEMP_DIR": str(temporary),
        "IMAGE_LAB_CACHE": str(folder / "cache"),
        "TORCH_HOME": str(folder / "torch"),
        "HF_HOME": str(folder / "hf"),
        "PYTHONUNBUFFERED": "1",
        **variables,
    }
    with log.open("ab") as out:
        process = subprocess.Popen(
            [*before, sys.executable, *command], cwd=root, env=environment, stdout=out, stderr=out
        )
    app = Served(f"http://127.0.0.1:{port}/", process, log, temporary)
    try:
        _wait(app)
        yield app
    finally:
        end(process)


def _wait(app: Served) -> None:
    until = time.monotonic() + TIMEOUT_S
    while time.monotonic() < until:
        assert app.process.poll() is None, app.said()
        with contextlib.suppress(urllib.error.URLError, OSError):
            urllib.request.urlopen(app.url, timeout=5).close()
            return
        time.sleep(0.1)
    raise AssertionError(f"app.py does not answer:\n{app.said()}")


def copied(to: Path) -> Path:
    """A copy of what the app needs; the weights are links, which a test may replace."""
    shutil.copytree(ROOT / "tasks", to / "tasks", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "benchmarks" / "results", to / "benchmarks" / "results")
    shutil.copy(ROOT / "app.py", to / "app.py")
    (to / "weights").mkdir()
    for file in (ROOT / "weights").iterdir():
        (to / "weights" / file.name).symlink_to(file)
    return to
