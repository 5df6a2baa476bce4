"""Runs that pages watch: their order, their end, who is refused, and what is kept of them."""

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from tasks import compute
from tasks.images import ImageError
from tasks.tabs import errors
from tasks.tabs import runs as module
from tasks.tabs.runs import Frame, Run, Runs

SOON = 20  # s: far longer than anything here takes


def frame(value: int = 0, side: int = 2) -> Frame:
    return Frame((np.full((1, side, side), value, np.uint8),), title=f"{value}")


class Steps:
    """An iterator that makes a frame whenever it is let, and writes down what it made."""

    def __init__(self, n: int, log: list[str] | None = None, name: str = ""):
        self.n, self.log, self.name, self.i = n, log if log is not None else [], name, 0
        self.allowed = threading.Semaphore(0)
        self.asked = threading.Event()
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[Frame]:
        try:
            for i in range(self.n):
                self.asked.set()
                assert self.allowed.acquire(timeout=SOON)
                self.log.append(f"{self.name}{i}")
                yield frame(i)
        finally:
            self.closed.set()

    def allow(self, n: int) -> None:
        self.allowed.release(n)


def free(n: int, log: list[str] | None = None, name: str = "") -> Iterator[Frame]:
    """Frames without waiting."""
    steps = Steps(n, log, name)
    steps.allow(n)
    return iter(steps)


def wait_until(true: object, seconds: float = SOON) -> None:
    end = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.005)


def finished(runs: Runs, token: str) -> Run:
    """The run, once done; asked for as a page does it."""
    wait_until(lambda: runs.since(token, 10**9, 0.05).done)
    return runs.get(token)


def test_every_frame_comes_once_and_in_order() -> None:
    runs = Runs()
    told = runs.start(free(7), 7, {"seed": 3})
    assert told["total"] == 7
    have: list[Frame] = []
    while True:
        news = runs.since(told["run"], len(have))
        have += news.frames
        if news.done:
            break
    assert [f.title for f in have] == list("0123456")
    run = runs.get(told["run"])
    assert not run.stopped and run.error is None and run.about == {"seed": 3} and run.seconds > 0
    assert runs.device


def test_what_comes_between_two_questions_is_not_lost() -> None:
    """`done` is said of the same moment as the frames, never of a later one."""
    runs, steps = Runs(), Steps(2)
    token = runs.start(iter(steps), 2, {})["run"]
    steps.allow(1)
    news = runs.since(token, 0, SOON)
    steps.allow(1)
    wait_until(lambda: news.run.done)
    assert len(news.frames) == 1 and not news.done
    assert len(runs.since(token, 1).frames) == 1


def test_runs_take_turns_in_the_order_of_their_coming() -> None:
    runs, log = Runs(), list[str]()
    all_steps = [Steps(2, log, name) for name in "abc"]
    tokens = [runs.start(iter(steps), 2, {})["run"] for steps in all_steps]
    assert all_steps[0].asked.wait(SOON)
    assert [runs.since(token, 0, 0).ahead for token in tokens] == [0, 1, 2]
    for steps in reversed(all_steps):
        steps.allow(2)
    for token in tokens:
        finished(runs, token)
    assert log == ["a0", "a1", "b0", "b1", "c0", "c1"]
    assert [runs.since(token, 0, 0).ahead for token in tokens] == [0, 0, 0]


def test_stop_ends_a_run_within_one_frame_and_keeps_what_is_there() -> None:
    runs, steps = Runs(), Steps(50)
    token = runs.start(iter(steps), 50, {})["run"]
    steps.allow(3)
    wait_until(lambda: len(runs.get(token).made) == 3)
    runs.stop(token)
    steps.allow(47)
    run = finished(runs, token)
    assert run.stopped and 3 <= len(run.made) <= 4
    assert steps.closed.wait(SOON)  # and what it held is let go of
    runs.stop(token)  # once more does no harm
    assert finished(runs, runs.start(free(2), 2, {})["run"]).made


def test_stop_at_the_last_frame_is_no_stop() -> None:
    runs, steps = Runs(), Steps(1)
    token = runs.start(iter(steps), 1, {})["run"]
    assert steps.asked.wait(SOON)
    runs.stop(token)
    steps.allow(1)
    assert not finished(runs, token).stopped


def test_stop_of_a_run_that_waits_is_at_once() -> None:
    runs, log, first = Runs(), list[str](), Steps(1)
    busy = runs.start(iter(first), 1, {})["run"]
    token = runs.start(free(3, log), 3, {})["run"]
    third = runs.start(free(3), 3, {})["run"]
    assert first.asked.wait(SOON)
    runs.stop(token)
    news = runs.since(token, 0, 0)
    assert news.done and news.run.stopped
    assert runs.since(third, 0, 0).ahead == 1
    first.allow(1)
    finished(runs, busy)
    finished(runs, third)
    assert log == []


def test_a_run_that_no_page_asks_for_ends() -> None:
    runs, steps = Runs(unseen_s=0.3), Steps(1000)
    token = runs.start(iter(steps), 1000, {})["run"]
    for _ in range(10):  # while the page asks, it goes on, also for longer than that
        steps.allow(1)
        runs.since(token, 0, 0)
        time.sleep(0.05)
    run = runs.get(token)
    assert not run.done and run.made
    time.sleep(0.4)
    made = len(run.made)
    steps.allow(900)
    wait_until(lambda: run.done)
    assert run.stopped and len(run.made) <= made + 1


def test_one_that_waits_and_that_no_page_asks_for_stands_in_nobodys_way() -> None:
    runs, log, first = Runs(waiting=1, unseen_s=0.3), list[str](), Steps(1)
    busy = runs.start(iter(first), 1, {})["run"]
    gone = runs.start(free(3, log), 3, {})["run"]
    with pytest.raises(compute.BusyError):
        runs.start(free(1), 1, {})
    time.sleep(0.4)
    runs.since(busy, 0, 0)
    third = runs.start(free(1), 1, {})["run"]
    assert runs.get(gone).done and runs.since(third, 0, 0).ahead == 1
    first.allow(1)
    assert len(finished(runs, third).made) == 1 and log == []


def test_a_full_queue_refuses_and_takes_again() -> None:
    runs, first = Runs(waiting=2), Steps(1)
    tokens = [runs.start(iter(first), 1, {})["run"]] + [runs.start(free(1), 1, {})["run"] for _ in range(2)]
    with pytest.raises(compute.BusyError, match="queue is full"):
        runs.start(free(1), 1, {})
    first.allow(1)
    for token in tokens:
        finished(runs, token)
    assert finished(runs, runs.start(free(1), 1, {})["run"]).made


def raising(error: Exception) -> Iterator[Frame]:
    yield frame()
    raise error


@pytest.mark.parametrize(
    ("error", "said"),
    [(ImageError("The picture is too red."), "The picture is too red."), (ZeroDivisionError("secret"), errors.BUG)],
)
def test_an_iterator_that_raises_harms_itself_only(error: Exception, said: str) -> None:
    runs = Runs()
    token, after = runs.start(raising(error), 2, {})["run"], runs.start(free(2), 2, {})["run"]
    run = finished(runs, token)
    assert run.error == said and len(run.made) == 1 and not run.stopped
    assert runs.since(token, 0).error == said
    assert len(finished(runs, after).made) == 2


def test_a_run_too_large_for_a_page_ends_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_RUN", 1000)
    runs = Runs()
    token = runs.start((frame(i, 20) for i in range(10)), 10, {})["run"]  # 400 bytes each
    run = finished(runs, token)
    assert len(run.made) == 3 and run.error is not None and "after 3 steps" in run.error


def test_the_oldest_finished_runs_are_forgotten_first() -> None:
    runs = Runs(max_bytes=1000)
    tokens = [runs.start(iter([frame(0, 20)]), 1, {})["run"] for _ in range(5)]
    for token in tokens:
        finished(runs, token)
    runs.start(free(1), 1, {})
    kept = [token for token in tokens if token in runs._all]
    assert kept == tokens[-2:]
    for token in tokens[:3]:
        with pytest.raises(ImageError, match="no longer kept"):
            runs.get(token)


def test_a_run_is_forgotten_after_its_time() -> None:
    runs = Runs(kept_s=0.1)
    token = runs.start(free(1), 1, {})["run"]
    finished(runs, token)
    time.sleep(0.2)
    runs.start(free(1), 1, {})
    with pytest.raises(ImageError, match="same seed"):
        runs.since(token, 0)


@pytest.mark.parametrize("token", [None, 3, "", "x" * 32, ["a"], {"run": 1}])
def test_unknown_runs(token: object) -> None:
    runs = Runs()
    for ask in (runs.get, runs.stop, lambda t: runs.since(t, 0)):
        with pytest.raises(ImageError, match="no longer kept"):
            ask(token)


@pytest.mark.parametrize("have", [-1, 0, 1, 2, 10**30])
def test_any_number_of_frames_that_a_page_claims_to_have(have: int) -> None:
    runs = Runs()
    token = runs.start(free(2), 2, {})["run"]
    finished(runs, token)
    assert len(runs.since(token, have, 0).frames) == max(0, 2 - max(0, have))


def test_two_threads_at_once_get_their_own_frames() -> None:
    runs, made = Runs(), dict[int, list[str]]()

    def visit(k: int) -> None:
        told = runs.start((frame(10 * k + i) for i in range(8)), 8, {})
        have: list[Frame] = []
        while True:
            news = runs.since(told["run"], len(have))
            have += news.frames
            if news.done:
                break
        made[k] = [f.title for f in have]

    threads = [threading.Thread(target=visit, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)
    assert made == {k: [str(10 * k + i) for i in range(8)] for k in range(6)}
    assert sum(t.name == "runs" for t in threading.enumerate()) >= 1
    assert not compute.HEAVY.locked()


def test_no_frame_is_made_while_another_heavy_job_is_on() -> None:
    runs = Runs()
    with compute.HEAVY:
        token = runs.start(free(1), 1, {})["run"]
        assert runs.since(token, 0, 0.3).frames == []
    assert len(finished(runs, token).made) == 1


def test_a_program_takes_its_turn_and_leaves_nothing_behind() -> None:
    runs = Runs()
    assert runs.finish((frame(i) for i in range(4)), 4).title == "3"
    assert not runs._all
    for bad in (raising(ImageError("too red")), iter(())):
        with pytest.raises(ImageError):
            runs.finish(bad, 2)
    assert not runs._all
