"""Long computations that a page watches: in their order, and none for a page that has gone.

A job is an iterator of frames. Jobs start in the order in which they came, one sampling at a time
and two videos beside it; the scheduler gives each of their steps its turn. The page polls for the
frames that it does not have. A page that has not polled for a while, closed or asleep, ends its job
within one frame. A finished job is kept for some minutes, so that it can be saved.
"""

import contextvars
import math
import secrets
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np

from tasks.core import device, scheduling
from tasks.core.images import ImageError
from tasks.ui.errors import describe_error

MAX_JOB_BYTES = 50_000_000  # of all frames of one job
MAX_FINISHED = 64  # finished jobs that are kept
MAX_S = 1800.0  # of one job
AT_ONCE = {"steps": 1, "videos": 2}
"""Kind of a job -> how many are computed side by side; a video holds decoder and encoder."""


class Step(Protocol):
    """What a job yields."""

    @property
    def bytes(self) -> int:
        """That the job keeps of it."""


@dataclass(frozen=True)
class Frame:
    """One step of a job, as the page shows it.

    Attributes:
        panels: side by side, each uint8 (n, H, W) or (n, H, W, 3).
        title: a few words of plain text.
        text: HTML that explains the step.
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
class Job:
    """One computation and its state."""

    source: Iterator[Any]
    total: int  # frames expected; 0 = unknown
    about: Mapping[str, Any]  # settings, for the files saved from it
    polled: float  # s, monotonic: when the page polled last
    unseen_s: float  # s without a poll after which nobody waits for it
    kind: str = "steps"  # of AT_ONCE
    frames: list[Any] = field(default_factory=list)  # computed so far, each a Step
    seconds: float = 0.0  # of computing
    started: bool = False
    done: bool = False
    stopped: bool = False
    error: str | None = None
    # whose request it is, for ZeroGPU
    context: contextvars.Context = field(default_factory=contextvars.copy_context)

    def remaining_s(self, step_s: float) -> float:
        """Seconds to its last frame, estimated; `step_s`: of a step, while none is computed."""
        if self.frames:
            step_s = self.seconds / len(self.frames)
        return step_s * max(0, self.total - len(self.frames))


class JobUpdate(NamedTuple):
    """What a poll returns; all fields are of the same moment."""

    job: Job
    frames: list[Any]
    ahead: int  # unfinished jobs before it, none once it is being computed
    wait_s: float  # that they still take, estimated by what their steps took so far
    done: bool
    error: str | None


class JobQueue:
    """All jobs of this process.

    Args:
        waiting: jobs that may wait; another is refused.
        unseen_s: seconds after which a job that no page polls is ended.
        kept_s: seconds that a finished job is kept after its last poll.
        max_bytes: of all frames together; the oldest finished jobs are deleted first.
        max_s: seconds that one job may take from its first step on; it is ended after that.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        waiting: int = 16,
        unseen_s: float = 4,
        kept_s: float = 900,
        max_bytes: int = 400_000_000,
        max_s: float = MAX_S,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.waiting = waiting
        self.unseen_s = unseen_s
        self.kept_s = kept_s
        self.max_bytes = max_bytes
        self.max_s = max_s
        self.clock = clock
        self.device = ""  # where jobs are computed, known once one was
        self._step_s = dict.fromkeys(AT_ONCE, 0.1)  # s, of the last job of each kind
        self._all: OrderedDict[str, Job] = OrderedDict()
        self._changed = threading.Condition()
        self._has_workers: set[str] = set()  # kinds

    def start(
        self,
        source: Iterator[Any],
        total: int,
        about: Mapping[str, Any],
        kind: str = "steps",
        unseen_s: float | None = None,
    ) -> dict[str, Any]:
        """Queue a job: {"run": its id, "total": frames expected}. Raises BusyError.

        Args:
            source: of Steps; the page's player shows Frames.
            kind: of AT_ONCE; "videos" are computed beside the "steps" of others, as frames.
            unseen_s: as of the queue, which is meant by None.
        """
        now = self.clock()
        with self._changed:
            self._end_unseen(now)
            if sum(not job.done for job in self._all.values()) > self.waiting:
                raise scheduling.BusyError(
                    "The server computes for other visitors, and the queue is full. Try again soon."
                )
            self._delete_finished(now)
            token = secrets.token_hex(16)
            unseen_s = self.unseen_s if unseen_s is None else unseen_s
            self._all[token] = Job(source, total, about, now, unseen_s, kind)
            if kind not in self._has_workers:
                self._has_workers.add(kind)
                for _ in range(AT_ONCE[kind]):
                    threading.Thread(
                        target=self._work, args=(kind,), daemon=True, name="jobs"
                    ).start()
            self._changed.notify_all()
        return {"run": token, "total": total}

    def poll(self, token: object, have: int, wait_s: float = 0.25) -> JobUpdate:
        """The frames from number `have` on; waits up to `wait_s` seconds for a new one.

        Raises ImageError for an unknown job.
        """
        job = self.get(token)
        with self._changed:
            job.polled = self.clock()
            self._end_unseen(job.polled)
            self._changed.wait_for(lambda: len(job.frames) > have or job.done, wait_s)
            before = [] if job.started else self._unfinished_before(job)
            wait_s = sum(other.remaining_s(self._step_s[job.kind]) for other in before)
            wait_s /= AT_ONCE[job.kind]
            frames = job.frames[max(0, have) :]
            return JobUpdate(job, frames, len(before), wait_s, job.done, job.error)

    def stop(self, token: object) -> None:
        """End a job within one frame, at once if it waits; its frames stay. Raises ImageError."""
        job = self.get(token)
        with self._changed:
            job.stopped = True
            self._end_unseen(self.clock())
            self._changed.notify_all()

    def follow(
        self, source: Iterator[Any], total: int, kind: str = "steps", every_s: float = 1
    ) -> Iterator[JobUpdate]:
        """Queue a job and look at it every so often; the last update is the one that is done.

        Closed before, as gradio does it when the page has gone, the job ends within one frame.

        Raises BusyError; ImageError: what went wrong, or nothing was computed.
        """
        # its caller waits until this is closed, however long a busy machine lets it wait for a poll
        token = self.start(source, total, {}, kind, unseen_s=math.inf)["run"]
        job = self.get(token)
        try:
            # no job has so many frames, so only its end ends the wait
            while not (update := self.poll(token, sys.maxsize, every_s)).done:
                yield update
        finally:
            with self._changed:
                job.stopped = True
                self._end_unseen(self.clock())
                self._all.pop(token, None)
        if job.error or not job.frames:
            raise ImageError(job.error or "Stopped before the first step.")
        yield update._replace(frames=job.frames)

    def finish(self, source: Iterator[Any], total: int, kind: str = "steps") -> Any:
        """Queue a job and wait for its last frame. Raises BusyError, ImageError."""
        *_, last = self.follow(source, total, kind)
        return last.frames[-1]

    def get(self, token: object) -> Job:
        """Raises ImageError for an unknown job."""
        job = self._all.get(token) if isinstance(token, str) else None
        if job is None:
            raise ImageError(
                "This result is no longer kept here; generate it again with the same seed and "
                "settings."
            )
        return job

    def _unfinished_before(self, job: Job) -> list[Job]:
        before = []
        for other in self._all.values():
            if other is job:
                break
            if other.kind == job.kind and not other.done:
                before.append(other)
        return before

    def _end_unseen(self, now: float) -> None:
        """Of the jobs that wait, end those that nobody waits for any more."""
        for job in self._all.values():
            unseen = job.stopped or now - job.polled > job.unseen_s
            if unseen and not job.started and not job.done:
                job.stopped = job.done = True
                job.source = iter(())

    def _delete_finished(self, now: float) -> None:
        for token, job in list(self._all.items()):
            if job.done and now - job.polled > self.kept_s:
                del self._all[token]
        size = {
            token: sum(frame.bytes for frame in job.frames)
            for token, job in self._all.items()
            if job.done
        }
        for token in list(size):
            if sum(size.values()) <= self.max_bytes and len(size) <= MAX_FINISHED:
                break
            del self._all[token], size[token]

    def _next(self, kind: str) -> Job | None:
        """The job to compute next."""
        waiting = (job for job in self._all.values() if job.kind == kind)
        return next((job for job in waiting if not (job.started or job.done)), None)

    def _work(self, kind: str) -> None:
        if kind == "steps":  # frames are computed side by side, each on one core
            device.use_all_cores()
            self.device = _device()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._next(kind) is not None)
                job = self._next(kind)
                assert job is not None  # the lock is held
                job.started, error = True, None
            try:
                self._compute(job)
            except Exception as raised:  # the next job must not suffer
                # of one whose page has gone, its files too, nobody asks
                error = describe_error(raised) if job in self._all.values() else None
            with self._changed:
                job.error = error
                job.done = True
                job.source = iter(())  # frees what it held
                if job.frames:
                    self._step_s[kind] = job.seconds / len(job.frames)
                self._changed.notify_all()
            del job

    def _compute(self, job: Job) -> None:
        def is_over() -> bool:
            return job.stopped or self.clock() - job.polled >= job.unseen_s

        def frames() -> Iterator[Step]:
            try:
                while (frame := job.context.run(next, job.source, None)) is not None:
                    yield frame
            finally:
                if close := getattr(job.source, "close", None):
                    job.context.run(close)

        session = None if job.kind == "steps" else secrets.token_hex(8)
        size, start = 0, self.clock()
        for frame in scheduling.CORES.job(frames(), is_over, session):
            job.seconds += self.clock() - start
            size += frame.bytes
            with self._changed:
                job.frames.append(frame)
                self._changed.notify_all()
            if size > MAX_JOB_BYTES:
                raise ImageError(
                    f"The job was stopped after {len(job.frames)} steps: its images are too large "
                    "for a page. Choose fewer images or fewer steps."
                )
            if job.seconds > self.max_s:
                raise ImageError(
                    f"The job was stopped after {len(job.frames)} steps: it has taken "
                    f"{self.max_s / 60:.0f} minutes, and others wait. Choose fewer images, fewer "
                    "steps or a shorter video."
                )
            start = self.clock()
        job.stopped = len(job.frames) < job.total


def _device() -> str:
    """As `device.name`, with the calling thread's own number of threads."""
    import torch

    n = torch.get_num_threads()
    return (
        device.name() if device.best().type != "cpu" else f"CPU, {n} thread{'s' if n != 1 else ''}"
    )


JOBS = JobQueue()
