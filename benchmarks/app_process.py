"""The app as a user starts it, in a process of its own, for as long as a benchmark needs it."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.core.weights import ROOT


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def wait_for(url: str, seconds: float = 60) -> float:
    """Seconds until the address answers 200. Raises TimeoutError."""
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                if answer.status == 200:
                    return time.perf_counter() - start
        except (urllib.error.URLError, OSError):
            time.sleep(0.02)
    raise TimeoutError(f"{url} did not answer within {seconds} s")


def end(process: "subprocess.Popen[bytes]") -> None:
    """Ask it to end, and make it where it does not."""
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def running_app() -> Iterator[str]:
    """`with running_app() as url:` -> the page's address; the process ends with the block."""
    with running_app_process() as (url, _):
        yield url


def resident_mb(pid: int) -> float:
    """Megabytes of memory that a process holds at this moment, by `ps`."""
    said = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True
    )
    return int(said.stdout) / 1024


def peak_mb(pid: int) -> float:
    """The most that it held at any moment (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]


@contextmanager
def running_app_process(**environment: str) -> Iterator[tuple[str, int]]:
    """As `running_app`, with the id of the process, which gets the variables given."""
    with starting_app(**environment) as (url, pid, _):
        wait_for(url)
        yield url, pid


@contextmanager
def starting_app(**environment: str) -> Iterator[tuple[str, int, float]]:
    """The app from its first moment on, with the time of that moment by `time.monotonic`."""
    port = free_port()
    env = {**os.environ, **environment, "GRADIO_SERVER_PORT": str(port)}
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "app.py"], cwd=ROOT, env=env, stdout=subprocess.DEVNULL
    )
    try:
        yield f"http://127.0.0.1:{port}/", process.pid, began
    finally:
        end(process)
