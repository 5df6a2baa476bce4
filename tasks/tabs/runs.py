"""Long computations that a page watches: one after the other, and none for a page that has gone.

A run is an iterator of frames. A thread takes the runs in the order of their coming and makes their frames; the page
asks again and again for those it does not have. A page that has not asked for a while, closed or asleep, ends its run
within one frame; a finished run is kept for some minutes, so that it can be saved.
"""

import contextvars
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from tasks import compute
from tasks.images import ImageError
from tasks.tabs.errors import sentence

MAX_RUN = 50_000_000
"""Bytes that the frames of one run may take."""


@dataclass(frozen=True)
class Frame:
    """One moment of a run, as the page shows it.

    Attributes:
        panels: what stands side by side, each uint8 (n, H, W) or (n, H, W, 3).
        title: a few words of plain text.
        text: HTML that explains the moment.
        dots: (x, y) of each dot in the chart, in units of its viewBox.
    """

    panels: tuple[np.ndarray, ...]
    title: str = ""
    text: str = ""
    dots: tuple[tuple[float, float], ...] = ()

    @property
    def bytes(self) -> int:
        return sum(panel.nbytes for panel in self.panels)


@dataclass
class Run:
    """What is known of one computation."""

    frames: Iterator[Frame]
    total: int  # frames expected
    about: Mapping[str, Any]  # settings, for the files saved from it
    asked: float  # s, monotonic: when the page asked last
    made: list[Frame] = field(default_factory=list)
    seconds: float = 0.0  # of computing
    begun: bool = False
    done: bool = False
    stopped: bool = False
    error: str | None = None
    context: contextvars.Context = field(default_factory=contextvars.copy_context)  # whose request it is, for ZeroGPU


class News(NamedTuple):
    """What became of a run since a page asked last; all of one moment."""

    run: Run
    frames: list[Frame]
    ahead: int  # runs before it
    done: bool
    error: str | None


class Runs:
    """All runs of this process.

    Args:
        waiting: runs that may wait; another is refused.
        unseen_s: seconds after which a run that no page asks for is ended.
        kept_s: seconds that a finished run is kept after it was last asked for.
        max_bytes: of all frames together; the oldest finished runs go first.
    """

    def __init__(self, waiting: int = 16, unseen_s: float = 4, kept_s: float = 900, max_bytes: int = 400_000_000):
        self.waiting, self.unseen_s, self.kept_s, self.max_bytes = waiting, unseen_s, kept_s, max_bytes
        self._all: OrderedDict[str, Run] = OrderedDict()
        self._changed = threading.Condition()
        self._worker: threading.Thread | None = None
        self.device = ""  # where the runs are computed, once one was

    def start(self, frames: Iterator[Frame], total: int, about: Mapping[str, Any]) -> dict[str, Any]:
        """Queue a run: {"run": its id, "total": frames expected}. Raises BusyError."""
        now = time.monotonic()
        with self._changed:
            self._leave_out(now)
            if sum(not run.done for run in self._all.values()) > self.waiting:
                raise compute.BusyError(
                    "The server computes for other visitors, and the queue is full. Try again soon."
                )
            self._forget(now)
            token = secrets.token_hex(16)
            self._all[token] = Run(frames, total, about, now)
            if self._worker is None:
                self._worker = threading.Thread(target=self._work, daemon=True, name="runs")
                self._worker.start()
            self._changed.notify_all()
        return {"run": token, "total": total}

    def since(self, token: object, have: int, patience: float = 0.25) -> News:
        """The frames from number `have` on; waits up to `patience` seconds for a new one.

        Raises ImageError for an unknown run.
        """
        run = self.get(token)
        with self._changed:
            run.asked = time.monotonic()
            self._leave_out(run.asked)
            self._changed.wait_for(lambda: len(run.made) > have or run.done, patience)
            ahead = 0
            for other in self._all.values():
                if other is run:
                    break
                ahead += not other.done
            return News(run, run.made[max(0, have) :], ahead, run.done, run.error)

    def stop(self, token: object) -> None:
        """End a run within one frame, at once if it waits; what it has made stays. Raises ImageError."""
        run = self.get(token)
        with self._changed:
            run.stopped = True
            self._leave_out(time.monotonic())
            self._changed.notify_all()

    def finish(self, frames: Iterator[Frame], total: int) -> Frame:
        """Take a turn among the runs and wait for it: the last frame. Raises BusyError, ImageError."""
        token = self.start(frames, total, {})["run"]
        run = self.get(token)
        try:
            while not run.done:
                self.since(token, total, patience=1)
        finally:
            with self._changed:
                run.stopped = True
                self._all.pop(token, None)
        if run.error or not run.made:
            raise ImageError(run.error or "Nothing was made.")
        return run.made[-1]

    def get(self, token: object) -> Run:
        """Raises ImageError for an unknown run."""
        run = self._all.get(token) if isinstance(token, str) else None
        if run is None:
            raise ImageError("This result is no longer kept here; make it again with the same seed and settings.")
        return run

    def _leave_out(self, now: float) -> None:
        """Of the runs that wait, end those that nobody waits for any more."""
        for run in self._all.values():
            if not run.begun and not run.done and (run.stopped or now - run.asked > self.unseen_s):
                run.stopped = run.done = True
                run.frames = iter(())

    def _forget(self, now: float) -> None:
        for token, run in list(self._all.items()):
            if run.done and now - run.asked > self.kept_s:
                del self._all[token]
        size = {token: sum(frame.bytes for frame in run.made) for token, run in self._all.items() if run.done}
        for token in list(size):
            if sum(size.values()) <= self.max_bytes and len(size) <= 64:
                break
            del self._all[token], size[token]

    def _work(self) -> None:
        compute.use_all_cores()
        self.device = _device()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: any(not run.done for run in self._all.values()))
                run = next(run for run in self._all.values() if not run.done)
                run.begun, trouble = True, None
            try:
                self._make(run)
            except Exception as error:  # the next run must not suffer
                trouble = sentence(error)
            with self._changed:
                run.error = trouble
                run.done = True
                run.frames = iter(())  # what it held is free
                self._changed.notify_all()

    def _make(self, run: Run) -> None:
        size = 0
        while not run.stopped and time.monotonic() - run.asked < self.unseen_s:
            start = time.perf_counter()
            with compute.HEAVY:
                frame = run.context.run(next, run.frames, None)
            if frame is None:
                break
            run.seconds += time.perf_counter() - start
            size += frame.bytes
            with self._changed:
                run.made.append(frame)
                self._changed.notify_all()
            if size > MAX_RUN:
                raise ImageError(
                    f"It was stopped after {len(run.made)} steps: fewer pictures or steps fit into a page."
                )
        run.stopped = len(run.made) < run.total


def _device() -> str:
    """As `compute.device_name`, with the calling thread's own number of threads."""
    import torch

    n = torch.get_num_threads()
    return compute.device_name() if compute.device().type != "cpu" else f"CPU, {n} thread{'s' if n != 1 else ''}"


RUNS = Runs()
