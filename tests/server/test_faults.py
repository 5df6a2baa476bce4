"""What breaks around the app: files, disk, network, clock, locks, its own code. One tab suffers,
with one sentence.

Here single functions are asked; `test_faults_app.py` does the same to a whole process. Damaged
weights are in `test_weights.py`, downloads that fail in `test_yolo_files.py` and
`test_downloads.py`.
"""

import ast
import errno
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest

from tasks.classification.tab import digits, photos
from tasks.core import disk_errors, downloads, model_cache, scheduling, weights
from tasks.detection.tab import live
from tasks.gan.tab import steer
from tasks.ui.errors import report_errors, report_errors_in_steps, return_errors
from tasks.ui.jobs import Frame, JobQueue
from tests import hostile
from tests.conftest import ROOT

PLACE = {"x": 0, "y": 0, "mix": 0.5, "from": "3", "to": "8", "seed": 1}
FULL = OSError(errno.ENOSPC, "No space left on device", "/somewhere/secret")
READ_ONLY = OSError(errno.EROFS, "Read-only file system", "/somewhere/secret")


# -- the clock -----------------------------------------------------------------------------------

CLOCKS = {
    "time.time",
    "time.time_ns",
    "time.localtime",
    "time.gmtime",
    "datetime.now",
    "datetime.utcnow",
    "date.today",
}


@pytest.mark.parametrize("folder", ["tasks", "train"])
def test_nothing_is_timed_by_a_clock_that_can_jump(folder: str) -> None:
    asked = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and any(
                clock.endswith(f".{node.attr}") for clock in CLOCKS
            ):
                name = ".".join(ast.unparse(node).split(".")[-2:])
                asked |= {f"{path.name}: {name}"} if name in CLOCKS else set()
    assert not asked


@pytest.mark.parametrize("jump", [-(10**9), 10**9])
def test_a_job_survives_a_jump_of_the_clock(jump: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time

    def frames() -> Iterator[Frame]:
        for number in range(6):
            if number == 3:
                monkeypatch.setattr(time, "time", lambda: real() + jump)
            yield Frame((np.full((1, 2, 2), number, np.uint8),))

    jobs = JobQueue(unseen_s=5, kept_s=5)
    token = jobs.start(frames(), 6, {})["run"]
    have, until = 0, time.monotonic() + 30
    while have < 6 and time.monotonic() < until:
        have += len(jobs.poll(token, have).frames)
    assert have == 6 and not jobs.get(token).stopped
    visitors = live.Visitors()
    first = visitors.of("a" * 32, "own")
    monkeypatch.setattr(time, "time", real)
    assert visitors.of("a" * 32, "own") is first


# -- the scheduler ---------------------------------------------------------------------------------


def held(lock: Any) -> tuple[threading.Thread, threading.Event]:
    """A thread that holds it until the event is set."""
    have, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            have.set()
            leave.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    assert have.wait(10)
    return thread, leave


def test_a_job_that_never_ends_is_told_and_does_not_stop_what_is_live(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduling, "PATIENCE_S", 0.3)
    picture = hostile.good_png(tmp_path)
    thread, leave = held(scheduling.CORES.step())
    try:
        with pytest.raises(gr.Error, match="has kept the server busy"):
            report_errors(photos.classify_photo)(picture)
        assert digits.read_image(picture)["digit"]  # type: ignore[index]
        assert "digit" in steer.steer_digit(PLACE)
    finally:
        leave.set()
        thread.join(10)
    assert len(report_errors(photos.classify_photo)(picture)) == 5


def test_a_turn_that_never_comes_is_told_and_leaves_the_queue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scheduling, "PATIENCE_S", 0.3)
    cores = scheduling.Cores(at_once=1)
    thread, leave = held(cores.frame("a"))
    for _ in range(3):  # the first one would stand in the way of the next
        waiting = cores.frame("b", patient=True)
        with pytest.raises(scheduling.BusyError, match="has kept the server busy"), waiting:
            pass
    leave.set()
    thread.join(10)
    with cores.frame("b"):
        pass


def test_a_model_that_hangs_while_it_loads_holds_up_nobody_else() -> None:
    kept: model_cache.Kept[str] = model_cache.Kept(most=2)
    begun, leave = threading.Event(), threading.Event()

    def hang() -> str:
        begun.set()
        leave.wait(60)
        return "slow"

    thread = threading.Thread(target=lambda: kept.get("slow", hang))
    thread.start()
    assert begun.wait(10)
    assert kept.get("quick", lambda: "quick") == "quick"
    leave.set()
    thread.join(10)
    assert "slow" in kept


# -- the disk ------------------------------------------------------------------------------------


def fail(error: Exception) -> Any:
    raise error


def fail_in_steps(error: Exception) -> Iterator[int]:
    yield 1
    raise error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FULL, disk_errors.FULL),
        (READ_ONLY, disk_errors.LOCKED),
        (PermissionError(errno.EACCES, "Permission denied"), disk_errors.LOCKED),
    ],
    ids=["full", "read-only", "forbidden"],
)
def test_what_cannot_be_saved_is_told_without_a_path(error: OSError, said: str) -> None:
    told = [return_errors(fail)(error)["error"]]
    for wrapped in (report_errors(fail), lambda e: list(report_errors_in_steps(fail_in_steps)(e))):
        with pytest.raises(gr.Error) as caught:
            wrapped(error)
        told.append(caught.value.message)
    assert all(said in text and "secret" not in text for text in told)


def test_a_full_disk_is_noticed_before_anything_is_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[int] = []

    def work(x: int) -> Iterator[int]:
        calls.append(x)
        yield x

    monkeypatch.setattr(
        disk_errors.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 1000)
    )
    for wrapped in (report_errors(calls.append), lambda x: list(report_errors_in_steps(work)(x))):
        with pytest.raises(gr.Error, match="disk is full"):
            wrapped(1)
    assert not calls
    assert "digit" in steer.steer_digit(PLACE)  # needs no file
    monkeypatch.undo()
    report_errors(calls.append)(1)
    assert calls == [1]


@pytest.mark.parametrize("error", [FULL, READ_ONLY], ids=["full", "read-only"])
def test_a_download_without_room_says_so_and_leaves_nothing(
    error: OSError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def receive(url: str, to: Path, progress: object) -> None:
        to.write_bytes(b"half")
        raise error

    monkeypatch.setattr(downloads, "_receive", receive)
    with pytest.raises(downloads.DownloadError, match=str(disk_errors.describe(error))):
        downloads.fetch("https://example.org/net-12345678.pth", folder=tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_a_download_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(downloads.DownloadError, match=disk_errors.LOCKED):
        downloads.fetch("https://example.org/net-12345678.pth", folder=tmp_path / "cache")


# -- killed in a write ---------------------------------------------------------------------------

SAVE_FOR_EVER = """
import sys
from dataclasses import replace
from pathlib import Path
from tasks.core import weights
CARD = replace(weights.read_card("digits"), name="small")
print("begun", flush=True)
n = 0
while True:
    n += 1
    weights.save_bytes(bytes([n % 256]) * 3_000_000, CARD, "small.safetensors", Path(sys.argv[1]))
"""


@pytest.mark.parametrize("after", [0.0, 0.011, 0.023, 0.037, 0.052])
def test_killed_while_weights_are_saved(after: float, tmp_path: Path) -> None:
    """Each of the two files is an old or a new one, whole; two that do not belong together are
    refused."""
    process = subprocess.Popen(
        [sys.executable, "-c", SAVE_FOR_EVER, str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout and process.stdout.readline() == "begun\n"
    until = time.monotonic() + 60
    while not (tmp_path / "small.json").exists() and time.monotonic() < until:
        time.sleep(0.001)
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    card = weights.read_card("small", tmp_path)
    blob = (tmp_path / card.file).read_bytes()
    assert len(blob) == card.bytes and len(set(blob)) == 1
    try:
        weights.verify("small", tmp_path)
    except weights.WeightsError as error:
        assert "small.safetensors" in str(error)
    assert [c.name for c in weights.all_cards(tmp_path)] == [
        "small"
    ]  # a half file is nobody's card
