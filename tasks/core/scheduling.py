"""The scheduler of the cores: frames side by side, steps of long work one at a time.

    with CORES.frame(session): ...                    # short: a camera's frame, a video's frame
    with CORES.step(): ...                            # long, in one step: a photo
    for step in CORES.job(steps, is_over): ...        # long, step by step: a sampling, tiles
    for step in CORES.job(frames, is_over, session): ...  # its steps are frames: a video

Both lanes are first come, first served. Between two steps of a job others compute; frames go on
beside them. `LOADS` loads, converts and downloads models in threads of its own while pages poll.
"""

import asyncio
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tasks.core.downloads import Progress

Step = TypeVar("Step")

AT_ONCE = 2
"""Frames that are computed side by side."""

PATIENCE_S = 300.0  # the longest wait of an endpoint's call, which gradio's queue holds
WIDGET_WAIT_S = (
    2.0  # the longest wait of a widget's call, which occupies one of the server's threads
)
POLL_S = 0.1  # between two looks at a load by an event of the page
LOOK_S = 0.4  # between two looks by one that shows how far it is
MAX_UNPOLLED = 16  # loads that are kept for a page's next call
STUCK = (
    "Another visitor's image has kept the server busy for minutes. Try again later; live drawings "
    "still work."
)
BUSY = "The server is busy with other visitors' images. Try again in a moment."


class BusyError(RuntimeError):
    """The processor has enough to do; try again a moment later."""


@dataclass
class _Lane:
    """The turns of one kind: those that wait, in their order, and how many are held."""

    at_once: int
    waiting: int  # callers that may wait at once
    queue: list[tuple[object, str | None]] = field(default_factory=list)  # (ticket, session)
    held: int = 0


class Cores:
    """Decides who computes. All turns are taken here, under one lock.

    Args:
        at_once: frames that are computed side by side.
        frames_waiting: frames that may wait; a further one is refused at once.
        steps_waiting: calls of widgets that may wait for a step; a further one is refused at once.
    """

    def __init__(self, at_once: int = AT_ONCE, frames_waiting: int = 16, steps_waiting: int = 4):
        self._frames, self._steps = _Lane(at_once, frames_waiting), _Lane(1, steps_waiting)
        self._changed = threading.Condition()

    @contextmanager
    def frame(self, session: str, patient: bool = False) -> Iterator[None]:
        """Short work. A session whose last frame still waits is refused: so all get a share.

        `patient`, for a file's frame, which must not be left out: waits behind a full queue, too.
        Raises BusyError.
        """
        with self._turn(self._frames, session, patient):
            yield

    @contextmanager
    def step(self, patient: bool = True) -> Iterator[None]:
        """One step of long work, alone among the steps; `patient=False` in widgets' functions.

        Raises BusyError.
        """
        with self._turn(self._steps, None, patient):
            yield

    def job(
        self,
        steps: Iterable[Step],
        is_over: Callable[[], bool] = lambda: False,
        session: str | None = None,
    ) -> Iterator[Step]:
        """Long work, step by step. Ends before the next step once `is_over()`, and frees `steps`.

        With a `session` each step is a frame, else a step among those of all jobs.

        Raises BusyError.
        """
        source = iter(steps)
        try:
            while not is_over():
                with self.step() if session is None else self.frame(session, patient=True):
                    try:
                        step = next(source)
                    except StopIteration:
                        return
                yield step
        finally:
            if close := getattr(source, "close", None):
                close()

    @property
    def is_idle(self) -> bool:
        return not (self._frames.held or self._steps.held)

    @contextmanager
    def _turn(self, lane: _Lane, session: str | None, patient: bool) -> Iterator[None]:
        ticket = object()
        with self._changed:
            is_waiting = session is not None and session in [other for _, other in lane.queue]
            if is_waiting or (not patient and len(lane.queue) >= lane.waiting):
                raise BusyError(BUSY)
            lane.queue.append((ticket, session))
            try:
                if not self._changed.wait_for(
                    lambda: lane.held < lane.at_once and lane.queue[0][0] is ticket,
                    PATIENCE_S if patient else WIDGET_WAIT_S,
                ):
                    raise BusyError(STUCK if patient else BUSY)
                lane.held += 1
            finally:
                lane.queue.remove((ticket, session))
                self._changed.notify_all()  # the next in the queue may find room, too
        try:
            yield
        finally:
            with self._changed:
                lane.held -= 1
                self._changed.notify_all()


@dataclass
class _Load:
    """A model under way."""

    future: "Future[Any]" = field(default_factory=Future)
    received: tuple[int, int | None] = (0, None)  # bytes of its download, and in all if known

    def report(self, received: int, total: int | None) -> None:
        self.received = received, total

    def run(self, load: Callable[[Progress], Any]) -> None:
        try:
            self.future.set_result(load(self.report))
        except BaseException as error:
            self.future.set_exception(error)

    def is_done_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            self.future.exception(seconds)
        return self.future.done()


class Loads:
    """Models that are loaded, converted or downloaded while pages poll; each once at a time.

    Args:
        at_once: models that are loaded side by side; a further one is refused.
        wait_s: seconds that the call that starts a load waits, so that a model that is here
            already needs no second call.
    """

    def __init__(self, at_once: int = 3, wait_s: float = 0.5):
        self.at_once, self.wait_s = at_once, wait_s
        self._running: dict[Hashable, _Load] = {}
        self._lock = threading.Lock()

    def poll(
        self, name: Hashable, load: Callable[[Progress], Step], wait_s: float | None = None
    ) -> Step | None:
        """What `load` returns, or None while it is under way. All who ask for `name` get one load.

        Args:
            load: called with a function to which it reports the bytes of its download.
            wait_s: seconds that this call waits; None: `self.wait_s` if it starts the load, else 0.
        Raises what `load` raised; the next call tries again. Raises BusyError.
        """
        running, is_new = self._find(name, load)
        if wait_s is None:
            wait_s = self.wait_s if is_new else 0
        if not running.is_done_within(wait_s):
            return None
        result: Step = self._result(name, running)
        return result

    async def wait(
        self, name: Hashable, load: Callable[[Progress], Step], report: Progress | None = None
    ) -> Step:
        """As `poll`, until it is there; for events of the page, which so occupy no thread.

        `report` is called every `POLL_S` seconds with the bytes of the download.
        """
        running, _ = self._find(name, load)
        while not running.is_done_within(0):
            if report is not None and running.received[0]:
                report(*running.received)
            await asyncio.sleep(POLL_S)
        result: Step = self._result(name, running)
        return result

    def describe(self, name: Hashable) -> str:
        """A few words on a load: "downloading, 12 of 40 MB"."""
        running = self._running.get(name)
        if running is None or not running.received[0]:
            return "loading…"
        got, total = running.received
        return f"downloading, {got / 2**20:.0f}{f' of {total / 2**20:.0f}' if total else ''} MB"

    def _find(self, name: Hashable, load: Callable[[Progress], Any]) -> tuple[_Load, bool]:
        """(the load of this name, whether it was started now). Raises BusyError."""
        with self._lock:
            running = self._running.get(name)
            return (running, False) if running else (self._start(name, load), True)

    def _result(self, name: Hashable, running: _Load) -> Any:
        with self._lock:
            if self._running.get(name) is running:
                del self._running[name]
        return running.future.result()

    def _start(self, name: Hashable, load: Callable[[Progress], Any]) -> _Load:
        loads = self._running
        if len(loads) > MAX_UNPOLLED:  # pages that left
            loads = self._running = {n: r for n, r in loads.items() if not r.future.done()}
        if sum(not other.future.done() for other in loads.values()) >= self.at_once:
            raise BusyError("The server is loading other models. Try again in a moment.")
        started = loads[name] = _Load()
        threading.Thread(target=started.run, args=(load,), daemon=True).start()
        return started


CORES = Cores()
LOADS = Loads()
