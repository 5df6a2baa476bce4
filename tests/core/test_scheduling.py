"""Who computes when: turns in order, refusals at once, jobs that end, loads that are shared."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest

from tasks.core import scheduling
from tasks.core.downloads import Progress
from tasks.core.scheduling import BusyError, Cores, Loads

SOON = 20  # s: far longer than anything here takes


class Holder:
    """A thread that asks for a turn, and holds it until `leave` is called."""

    def __init__(self, turn: AbstractContextManager[None], log: list[str], name: str = ""):
        self.turn, self.log, self.name = turn, log, name
        self.inside, self._leave = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._hold)
        self.thread.start()

    def _hold(self) -> None:
        with self.turn:
            self.log.append(self.name)
            self.inside.set()
            assert self._leave.wait(SOON)

    def leave(self) -> None:
        self._leave.set()
        self.thread.join(SOON)
        assert not self.thread.is_alive()


def wait_for_queue(cores: Cores, n: int) -> None:
    """Until n callers wait for a turn; nothing says so when one more does, so it is asked again."""
    with cores._changed:
        for _ in range(100 * SOON):
            if len(cores._frames.queue) + len(cores._steps.queue) == n:
                return
            cores._changed.wait(0.01)
    raise AssertionError(f"{n} callers should wait")


@pytest.mark.parametrize("lane", ["frame", "step"])
def test_turns_are_first_come_first_served(lane: str) -> None:
    cores, log = Cores(at_once=1), list[str]()
    turn = {"frame": cores.frame, "step": lambda _: cores.step()}[lane]
    holders = []
    for n, name in enumerate("abcd"):
        holders.append(Holder(turn(name), log, name))
        assert holders[0].inside.wait(SOON)
        wait_for_queue(cores, n)
    for holder in holders:
        assert holder.inside.wait(SOON)
        holder.leave()
    assert log == list("abcd") and cores.is_idle


def test_two_frames_at_once_and_beside_a_step() -> None:
    cores = Cores()
    with cores.step(), cores.frame("a"), cores.frame("a"):  # one visitor alone may have both
        third = Holder(cores.frame("b"), [])
        wait_for_queue(cores, 1)
        assert not third.inside.is_set()
    assert third.inside.wait(SOON)
    third.leave()


def test_a_session_waits_once_and_a_full_queue_refuses_at_once() -> None:
    cores, log = Cores(at_once=1, frames_waiting=2), list[str]()
    first = Holder(cores.frame("a"), log)
    assert first.inside.wait(SOON)
    again = Holder(cores.frame("a"), log)  # the one who holds the turn may wait for the next
    wait_for_queue(cores, 1)
    with pytest.raises(BusyError), cores.frame("a"):
        pass
    other = Holder(cores.frame("b"), log)
    wait_for_queue(cores, 2)
    with pytest.raises(BusyError), cores.frame("c"):
        pass
    video = Holder(cores.frame("d", patient=True), log)  # also behind a full queue
    wait_for_queue(cores, 3)
    for holder in (first, again, other, video):
        holder.leave()
    with cores.frame("c"):  # and afterwards everything is free again
        pass
    assert cores.is_idle


def test_a_widget_is_refused_where_others_wait_and_after_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cores, log = Cores(steps_waiting=1), list[str]()
    first = Holder(cores.step(), log)
    assert first.inside.wait(SOON)
    second = Holder(cores.step(), log)
    wait_for_queue(cores, 1)
    with pytest.raises(BusyError, match="Try again in a moment"), cores.step(patient=False):
        pass
    second._leave.set()
    first.leave()
    second.leave()
    monkeypatch.setattr(scheduling, "WIDGET_WAIT_S", 0)
    third = Holder(cores.step(), log)
    assert third.inside.wait(SOON)
    with pytest.raises(BusyError), cores.step(patient=False):
        pass
    third.leave()


@pytest.mark.parametrize("lane", ["frame", "step"])
def test_a_turn_that_fails_is_given_back(lane: str) -> None:
    cores = Cores()
    turn = cores.frame("a") if lane == "frame" else cores.step()
    with pytest.raises(ZeroDivisionError), turn:
        1 / 0  # noqa: B018
    assert cores.is_idle


# -- jobs ------------------------------------------------------------------------------------------


class Steps:
    """A job's steps; `closed` once it is freed."""

    def __init__(self, n: int):
        self.n, self.closed, self.computed = n, False, 0

    def __iter__(self) -> Iterator[int]:
        try:
            for i in range(self.n):
                self.computed += 1
                yield i
        finally:
            self.closed = True


def test_a_job_gives_its_turn_away_between_two_steps() -> None:
    cores, steps = Cores(), Steps(3)
    for _ in cores.job(steps, lambda: False):
        with cores.step(patient=False):
            pass
    assert steps.computed == 3 and steps.closed and cores.is_idle


def test_a_job_ends_within_one_step() -> None:
    cores, steps, came = Cores(), Steps(100), list[int]()
    for step in cores.job(steps, lambda: len(came) >= 3):
        came.append(step)
    assert came == [0, 1, 2] and steps.computed == 3 and steps.closed and cores.is_idle


def test_the_steps_of_a_video_are_frames_beside_those_of_others() -> None:
    cores, steps = Cores(at_once=1), Steps(3)
    with cores.step():  # a sampling goes on
        for _ in cores.job(steps, session="video"):
            with cores.frame("camera"):
                pass
    assert steps.computed == 3 and steps.closed and cores.is_idle


@pytest.mark.parametrize("where", ["in a step", "between two"])
def test_a_job_that_fails_frees_the_cores(where: str) -> None:
    cores, closed = Cores(), list[bool]()

    def steps() -> Iterator[int]:
        try:
            yield 1
            raise OSError("no memory")
        finally:
            closed.append(True)

    with pytest.raises(OSError if where == "in a step" else KeyError):
        for _ in cores.job(steps(), lambda: False):
            if where == "between two":
                raise KeyError
    assert closed and cores.is_idle


# -- loads -----------------------------------------------------------------------------------------


class SlowLoad:
    """A load that ends when it is let; `answers`: what each attempt gives, exceptions raised."""

    def __init__(self, *answers: object):
        self.answers, self.begun, self.let = list(answers), 0, threading.Event()

    def __call__(self, report: Progress) -> object:
        self.begun += 1
        report(3 * 2**20, 12 * 2**20)
        assert self.let.wait(SOON)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_two_who_want_the_same_get_one_load() -> None:
    loads, load = Loads(wait_s=0), SlowLoad("model")
    assert [loads.poll("a", load) for _ in range(5)] == [None] * 5
    load.let.set()
    assert loads._running["a"].is_done_within(SOON)
    assert loads.poll("a", load) == "model" and load.begun == 1 and not loads._running


def test_two_events_of_pages_wait_for_one_load_and_see_its_download() -> None:
    loads, load, told = Loads(), SlowLoad("model"), list[tuple[int, int | None]]()

    async def visit() -> object:
        def report(received: int, total: int | None) -> None:
            told.append((received, total))
            load.let.set()  # once the page has seen it

        return await loads.wait("a", load, report)

    async def both() -> list[object]:
        first, second = await asyncio.wait_for(asyncio.gather(visit(), visit()), SOON)
        return [first, second]

    assert asyncio.run(both()) == ["model", "model"] and load.begun == 1
    assert set(told) == {(3 * 2**20, 12 * 2**20)}


def test_a_load_is_described() -> None:
    loads, load = Loads(wait_s=0), SlowLoad("model")
    assert loads.describe("a") == "loading…"
    loads.poll("a", load)
    while loads.describe("a") == "loading…":  # until the thread has reported
        pass
    assert loads.describe("a") == "downloading, 3 of 12 MB"
    load.let.set()


def test_a_failed_load_is_said_once_and_tried_again() -> None:
    loads, load = Loads(wait_s=SOON), SlowLoad(OSError("no network"), "model")
    load.let.set()
    with pytest.raises(OSError, match="no network"):
        loads.poll("a", load)
    assert loads.poll("a", load) == "model"


def test_too_many_loads_are_refused_and_nothing_grows() -> None:
    loads, load = Loads(at_once=2, wait_s=0), SlowLoad(*range(200))
    assert loads.poll("a", load) is loads.poll("b", load) is None
    with pytest.raises(BusyError, match="loading other models"):
        loads.poll("c", load)
    load.let.set()
    for name in "ab":
        assert loads._running[name].is_done_within(SOON)
    for n in range(100):  # pages that leave before they ask again
        loads.poll(n, load)
        if n in loads._running:
            assert loads._running[n].is_done_within(SOON)
    assert len(loads._running) <= scheduling.MAX_UNPOLLED + 1
