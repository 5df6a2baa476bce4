"""Jobs that pages watch: their order, their end, who is refused, and what is kept of them."""

import sys
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from tasks.core import scheduling
from tasks.core.images import ImageError
from tasks.ui import errors, jobs
from tasks.ui.jobs import Frame, Job, JobQueue
from tests.core.test_scheduling import wait_for_queue

SOON = 60  # s: far longer than anything here takes


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


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


def wait_until(queue: JobQueue, is_true: Callable[[], object]) -> None:
    """Without asking for a job, as a page that is closed."""
    with queue._changed:
        assert queue._changed.wait_for(is_true, SOON), "it did not come to pass"


def finished(queue: JobQueue, token: str) -> Job:
    """The job, once done."""
    assert queue.poll(token, sys.maxsize, SOON).done
    return queue.get(token)


def test_every_frame_comes_once_and_in_order() -> None:
    queue = JobQueue()
    told = queue.start(free(7), 7, {"seed": 3})
    assert told["total"] == 7
    have: list[Frame] = []
    while True:
        update = queue.poll(told["run"], len(have))
        have += update.frames
        if update.done:
            break
    assert [f.title for f in have] == list("0123456")
    job = queue.get(told["run"])
    assert not job.stopped and job.error is None and job.about == {"seed": 3} and job.seconds > 0
    assert queue.device


def test_what_comes_between_two_questions_is_not_lost() -> None:
    """`done` is said of the same moment as the frames, never of a later one."""
    queue, steps = JobQueue(), Steps(2)
    token = queue.start(iter(steps), 2, {})["run"]
    steps.allow(1)
    update = queue.poll(token, 0, SOON)
    steps.allow(1)
    wait_until(queue, lambda: update.job.done)
    assert len(update.frames) == 1 and not update.done
    assert len(queue.poll(token, 1).frames) == 1


def test_runs_take_turns_in_the_order_of_their_coming() -> None:
    queue, log = JobQueue(), list[str]()
    all_steps = [Steps(2, log, name) for name in "abc"]
    tokens = [queue.start(iter(steps), 2, {})["run"] for steps in all_steps]
    assert all_steps[0].asked.wait(SOON)
    assert [queue.poll(token, 0, 0).ahead for token in tokens] == [0, 1, 2]
    for steps in reversed(all_steps):
        steps.allow(2)
    for token in tokens:
        finished(queue, token)
    assert log == ["a0", "a1", "b0", "b1", "c0", "c1"]
    assert [queue.poll(token, 0, 0).ahead for token in tokens] == [0, 0, 0]


def test_stop_ends_a_run_within_one_frame_and_keeps_what_is_there() -> None:
    queue, steps = JobQueue(), Steps(50)
    token = queue.start(iter(steps), 50, {})["run"]
    steps.allow(3)
    queue.poll(token, 2, SOON)
    queue.stop(token)
    steps.allow(47)
    job = finished(queue, token)
    assert job.stopped and 3 <= len(job.frames) <= 4
    assert steps.closed.wait(SOON)  # and what it held is let go of
    queue.stop(token)  # once more does no harm
    assert finished(queue, queue.start(free(2), 2, {})["run"]).frames


def test_stop_at_the_last_frame_is_no_stop() -> None:
    queue, steps = JobQueue(), Steps(1)
    token = queue.start(iter(steps), 1, {})["run"]
    assert steps.asked.wait(SOON)
    queue.stop(token)
    steps.allow(1)
    assert not finished(queue, token).stopped


def test_stop_of_a_run_that_waits_is_at_once() -> None:
    queue, log, first = JobQueue(), list[str](), Steps(1)
    busy = queue.start(iter(first), 1, {})["run"]
    token = queue.start(free(3, log), 3, {})["run"]
    third = queue.start(free(3), 3, {})["run"]
    assert first.asked.wait(SOON)
    queue.stop(token)
    update = queue.poll(token, 0, 0)
    assert update.done and update.job.stopped
    assert queue.poll(third, 0, 0).ahead == 1
    first.allow(1)
    finished(queue, busy)
    finished(queue, third)
    assert log == []


def test_a_run_that_no_page_asks_for_ends() -> None:
    clock = Clock()
    queue, steps = JobQueue(unseen_s=4, clock=clock), Steps(1000)
    token = queue.start(iter(steps), 1000, {})["run"]
    for n in range(10):  # while the page asks, it goes on, also for longer than that
        steps.allow(1)
        assert len(queue.poll(token, n, SOON).frames) == 1
        clock.now += 3
    job = queue.get(token)
    assert not job.done
    clock.now += 2
    steps.allow(900)
    wait_until(queue, lambda: job.done)
    assert job.stopped and len(job.frames) <= 11  # the one that was being computed
    assert steps.closed.wait(SOON) and scheduling.CORES.is_idle


def test_one_that_waits_and_that_no_page_asks_for_stands_in_nobodys_way() -> None:
    clock = Clock()
    queue, log, first = JobQueue(waiting=1, unseen_s=4, clock=clock), list[str](), Steps(1)
    busy = queue.start(iter(first), 1, {})["run"]
    gone = queue.start(free(3, log), 3, {})["run"]
    with pytest.raises(scheduling.BusyError):
        queue.start(free(1), 1, {})
    clock.now += 5
    queue.poll(busy, 0, 0)
    third = queue.start(free(1), 1, {})["run"]
    assert queue.get(gone).done and queue.poll(third, 0, 0).ahead == 1
    first.allow(1)
    assert len(finished(queue, third).frames) == 1 and log == []


def test_a_full_queue_refuses_and_takes_again() -> None:
    queue, first = JobQueue(waiting=2), Steps(1)
    tokens = [queue.start(iter(first), 1, {})["run"]] + [
        queue.start(free(1), 1, {})["run"] for _ in range(2)
    ]
    with pytest.raises(scheduling.BusyError, match="queue is full"):
        queue.start(free(1), 1, {})
    first.allow(1)
    for token in tokens:
        finished(queue, token)
    assert finished(queue, queue.start(free(1), 1, {})["run"]).frames


def raising(error: Exception) -> Iterator[Frame]:
    yield frame()
    raise error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ImageError("The picture is too red."), "The picture is too red."),
        (ZeroDivisionError("secret"), errors.BUG),
    ],
)
def test_an_iterator_that_raises_harms_itself_only(error: Exception, said: str) -> None:
    queue = JobQueue()
    token, after = queue.start(raising(error), 2, {})["run"], queue.start(free(2), 2, {})["run"]
    job = finished(queue, token)
    assert job.error == said and len(job.frames) == 1 and not job.stopped
    assert queue.poll(token, 0).error == said
    assert len(finished(queue, after).frames) == 2


def test_a_run_too_large_for_a_page_ends_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "MAX_JOB_BYTES", 1000)
    queue = JobQueue()
    token = queue.start((frame(i, 20) for i in range(10)), 10, {})["run"]  # 400 bytes each
    job = finished(queue, token)
    assert len(job.frames) == 3 and job.error is not None and "after 3 steps" in job.error


def test_a_job_that_takes_too_long_ends_with_a_sentence_and_the_next_begins() -> None:
    clock = Clock()

    def slow() -> Iterator[Frame]:
        for i in range(100):
            clock.now += 50
            yield frame(i)

    queue = JobQueue(max_s=120, unseen_s=1e9, clock=clock)
    token, after = (queue.start(steps, 100, {})["run"] for steps in (slow(), free(1)))
    job = finished(queue, token)
    assert len(job.frames) == 3 and job.error is not None
    assert "after 3 steps" in job.error and "2 minutes" in job.error
    assert len(finished(queue, after).frames) == 1


def test_videos_are_computed_beside_a_sampling_two_at_a_time() -> None:
    queue, sampling, videos = JobQueue(), Steps(1), [Steps(1) for _ in range(3)]
    token = queue.start(iter(sampling), 1, {})["run"]
    tokens = [queue.start(iter(video), 0, {}, "videos")["run"] for video in videos]
    for steps in (sampling, *videos[:2]):
        assert steps.asked.wait(SOON)
    assert [queue.poll(t, 0, 0).ahead for t in (token, *tokens)] == [0, 0, 0, 2]
    videos[1].allow(1)
    assert videos[2].asked.wait(SOON)
    for steps in (sampling, videos[0], videos[2]):
        steps.allow(1)
    assert all(len(finished(queue, t).frames) == 1 for t in (token, *tokens))
    assert scheduling.CORES.is_idle


def test_one_who_follows_a_job_and_leaves_ends_it_within_one_frame() -> None:
    queue, steps = JobQueue(), Steps(100)
    updates = queue.follow(iter(steps), 100, every_s=0)
    next(updates)
    job = next(iter(queue._all.values()))
    steps.allow(2)
    wait_until(queue, lambda: len(job.frames) == 2)
    updates.close()  # type: ignore[attr-defined]
    steps.allow(90)
    wait_until(queue, lambda: job.done)
    assert len(job.frames) <= 3 and not queue._all
    assert steps.closed.wait(SOON) and scheduling.CORES.is_idle


def test_one_who_follows_a_job_may_be_kept_waiting_by_a_busy_machine() -> None:
    clock = Clock()

    def slow() -> Iterator[Frame]:
        for i in range(3):
            clock.now += 100  # and no poll in all that time
            yield frame(i)

    queue = JobQueue(clock=clock)
    assert np.array_equal(queue.finish(slow(), 3).panels[0], frame(2).panels[0])


def test_one_who_leaves_before_the_turn_came_is_never_computed() -> None:
    queue, first, log = JobQueue(), Steps(1), list[str]()
    busy = queue.start(iter(first), 1, {})["run"]
    updates = queue.follow(free(3, log), 3, every_s=0)
    assert next(updates).ahead == 1
    updates.close()  # type: ignore[attr-defined]
    first.allow(1)
    finished(queue, busy)
    assert len(finished(queue, queue.start(free(1), 1, {})["run"]).frames) == 1 and log == []


def test_what_a_job_raises_after_its_page_has_gone_is_no_bug(
    caplog: pytest.LogCaptureFixture,
) -> None:
    queue, leave = JobQueue(), threading.Event()

    def of_a_deleted_folder() -> Iterator[Frame]:
        yield frame()
        assert leave.wait(SOON)
        raise FileNotFoundError("deleted with the page")

    updates = queue.follow(of_a_deleted_folder(), 0, every_s=0)
    next(updates)
    job = next(iter(queue._all.values()))
    updates.close()  # type: ignore[attr-defined]
    leave.set()
    wait_until(queue, lambda: job.done)
    assert job.error is None and not caplog.records


def test_the_oldest_finished_runs_are_forgotten_first() -> None:
    queue = JobQueue(max_bytes=1000)
    tokens = [queue.start(iter([frame(0, 20)]), 1, {})["run"] for _ in range(5)]
    for token in tokens:
        finished(queue, token)
    queue.start(free(1), 1, {})
    kept = [token for token in tokens if token in queue._all]
    assert kept == tokens[-2:]
    for token in tokens[:3]:
        with pytest.raises(ImageError, match="no longer kept"):
            queue.get(token)


def test_a_run_is_forgotten_after_its_time() -> None:
    clock = Clock()
    queue = JobQueue(kept_s=900, clock=clock)
    token = queue.start(free(1), 1, {})["run"]
    finished(queue, token)
    clock.now += 899
    queue.start(free(1), 1, {})
    assert queue.get(token)
    clock.now += 2
    queue.start(free(1), 1, {})
    with pytest.raises(ImageError, match="same seed"):
        queue.poll(token, 0)


@pytest.mark.parametrize("token", [None, 3, "", "x" * 32, ["a"], {"run": 1}])
def test_unknown_runs(token: object) -> None:
    queue = JobQueue()
    for ask in (queue.get, queue.stop, lambda t: queue.poll(t, 0)):
        with pytest.raises(ImageError, match="no longer kept"):
            ask(token)


@pytest.mark.parametrize("have", [-1, 0, 1, 2, 10**30])
def test_any_number_of_frames_that_a_page_claims_to_have(have: int) -> None:
    queue = JobQueue()
    token = queue.start(free(2), 2, {})["run"]
    finished(queue, token)
    assert len(queue.poll(token, have, 0).frames) == max(0, 2 - max(0, have))


def test_two_threads_at_once_get_their_own_frames() -> None:
    queue, made = JobQueue(), dict[int, list[str]]()

    def visit(k: int) -> None:
        told = queue.start((frame(10 * k + i) for i in range(8)), 8, {})
        have: list[Frame] = []
        while True:
            update = queue.poll(told["run"], len(have))
            have += update.frames
            if update.done:
                break
        made[k] = [f.title for f in have]

    threads = [threading.Thread(target=visit, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)
    assert made == {k: [str(10 * k + i) for i in range(8)] for k in range(6)}
    assert sum(t.name == "jobs" for t in threading.enumerate()) >= 1
    assert scheduling.CORES.is_idle


def test_the_wait_is_estimated_by_the_steps_so_far() -> None:
    queue, first = JobQueue(), Steps(4)
    busy = queue.start(iter(first), 4, {})["run"]
    token = queue.start(free(1), 1, {})["run"]
    queue._step_s["steps"] = 0.5
    assert queue.poll(token, 0, 0).wait_s == 2  # no step of the first is known
    first.allow(1)
    queue.poll(busy, 0, SOON)
    queue.get(busy).seconds = 3.0
    assert queue.poll(token, 0, 0).wait_s == 9
    first.allow(3)
    finished(queue, busy)
    assert queue.poll(token, 0, 0).ahead == queue.poll(token, 0, 0).wait_s == 0


def test_no_frame_is_made_while_another_heavy_job_is_on() -> None:
    queue = JobQueue()
    with scheduling.CORES.step():
        token = queue.start(free(1), 1, {})["run"]
        wait_for_queue(scheduling.CORES, 1)
        assert queue.poll(token, 0, 0).frames == []
    assert len(finished(queue, token).frames) == 1


def test_a_program_takes_its_turn_and_leaves_nothing_behind() -> None:
    queue = JobQueue()
    assert queue.finish((frame(i) for i in range(4)), 4).title == "3"
    assert not queue._all
    for bad in (raising(ImageError("too red")), iter(())):
        with pytest.raises(ImageError):
            queue.finish(bad, 2)
    assert not queue._all
