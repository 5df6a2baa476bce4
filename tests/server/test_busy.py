"""Sixty impatient clicks on slow widgets leave the quick ones quick."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

import app
from tasks import loaders
from tasks.classification.tab import digits
from tasks.core import scheduling
from tasks.core.images import png_bytes
from tasks.detection.tab import live
from tasks.diffusion.tab import pad
from tasks.ui import step_player, step_player_files
from tasks.ui.jobs import AT_ONCE, Frame, JobQueue
from tasks.ui.widget import data_url

SERVER_THREADS = 40  # far fewer than the app has
SOON = 60  # s


class Gate:
    """Slow work: it ends when the gate is opened."""

    def __init__(self) -> None:
        self.open, self.waiting = threading.Event(), 0

    def __call__(self, *args: object, **settings: object) -> Any:
        self.waiting += 1
        assert self.open.wait(SOON)
        raise OSError("no network")


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Sampling, downloading and saving wait for this gate."""
    gate = Gate()
    monkeypatch.setattr(scheduling, "CORES", scheduling.Cores())
    monkeypatch.setattr(scheduling, "LOADS", scheduling.Loads())
    generator = SimpleNamespace(classes=("0", "1"), steps=gate)
    monkeypatch.setattr(loaders, "diffusion_generator", lambda name: generator)
    monkeypatch.setattr(loaders, "detector", gate)
    monkeypatch.setattr(step_player_files, "to_video", gate)
    yield gate
    gate.open.set()


@pytest.fixture
def finished_job(monkeypatch: pytest.MonkeyPatch) -> str:
    jobs = JobQueue()
    monkeypatch.setattr(step_player, "JOBS", jobs)
    token: str = jobs.start(iter([Frame((np.zeros((1, 2, 2), np.uint8),))]), 1, {})["run"]
    while not jobs.poll(token, 1, 1).done:
        pass
    return token


def drawn_seven() -> str:
    strokes = Image.new("L", (96, 96), 255)
    ImageDraw.Draw(strokes).line([(25, 20), (70, 20), (42, 78)], 0, 9)
    return data_url(png_bytes(np.asarray(strokes.convert("RGB"))))


def fastest(server: ThreadPoolExecutor, drawing: str) -> float:
    """Seconds from asking for a reading to its answer, the best of five."""
    took = []
    for _ in range(5):
        start = time.perf_counter()
        assert "error" not in server.submit(digits.read_drawing, drawing).result(SOON)
        took.append(time.perf_counter() - start)
    return min(took)


def test_all_that_may_wait_leave_threads_for_the_quick() -> None:
    """Two calls of each event, three loads and all jobs, against the server's threads."""
    events = [fn for fn in app.build_app().fns.values() if fn.fn is not None]
    jobs = JobQueue().waiting + sum(AT_ONCE.values())
    assert len(events) > 50
    assert app.CALLS_AT_ONCE * len(events) + scheduling.LOADS.at_once + jobs < app.MAX_THREADS


def test_sixty_slow_clicks_leave_reading_a_digit_quick(gate: Gate, finished_job: str) -> None:
    drawing = drawn_seven()
    digits.read_drawing(drawing)  # loads the network
    clicks = [
        lambda: pad.make_picture({"model": "mnist"}),
        lambda: live.prepare_detector("yolo11n"),
        lambda: step_player.step_player_save({"kind": "mp4", "run": finished_job}),
    ]
    with ThreadPoolExecutor(SERVER_THREADS) as server:
        alone = fastest(server, drawing)
        slow = [server.submit(clicks[i % 3]) for i in range(60)]
        try:
            beside = fastest(server, drawing)
            assert not gate.open.is_set()
        finally:
            gate.open.set()
        answers = [future.result(SOON) for future in slow]
    assert beside < max(0.2, 3 * alone), (alone, beside)
    assert gate.waiting <= 10  # of sixty; the others got their answer at once
    assert all("error" in answer or answer == {"loading": True} for answer in answers)
    assert sum("busy" in answer.get("error", "") for answer in answers) >= 30
    assert scheduling.CORES.is_idle
