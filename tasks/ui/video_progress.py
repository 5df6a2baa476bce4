"""Progress of a video's job in the page: its place in the queue, a bar, then the speed."""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from html import escape
from typing import Any, TypeVar

import gradio as gr

from tasks.core import device
from tasks.core.images import ImageError
from tasks.core.video.progress import VideoProgress
from tasks.ui.jobs import JOBS, JobUpdate

Progress = TypeVar("Progress", bound=VideoProgress)
Step = tuple[Any, Any, Any, Any]  # progress as HTML, video, chart, files
SHOW_EVERY_S = 0.4  # between two looks at the job
MAX_STOPS = 256  # visitors whose Stop is known
_stops: "OrderedDict[str, threading.Event]" = OrderedDict()


def stop_event(session: str) -> threading.Event:
    """The event that this visitor's Stop sets."""
    event = _stops.setdefault(session, threading.Event())
    _stops.move_to_end(session)
    while len(_stops) > MAX_STOPS:
        _stops.popitem(last=False)
    return event


def stop(request: gr.Request) -> None:
    stop_event(str(request.session_hash)).set()


def follow_video(
    source: Iterator[Progress],
    stopped: threading.Event,
    progress_html: Callable[[Progress], str],
    results: Callable[[Progress], Step],
) -> Iterator[Step]:
    """Queue the work on a video as a job: its place while it waits, then its progress, its results.

    The previous video's results are cleared with the first progress. Closed before the end, the job
    ends within one frame.

    Args:
        stopped: the event that `source` itself asks, and so keeps what is done.
        results: the last progress, which has a table -> what is shown of it.
    Raises:
        BusyError: too many wait.
        ImageError: the file cannot be used, or it was stopped before its turn.
    """
    old = None
    for update in JOBS.follow(source, 0, "videos", SHOW_EVERY_S):
        if not update.job.frames:
            if stopped.is_set():
                raise ImageError("Stopped before its turn came.")
            yield waiting_html(update), gr.skip(), gr.skip(), gr.skip()
            continue
        progress: Progress = update.job.frames[-1]
        if progress.table is None:
            yield progress_html(progress), old, old, old
            old = gr.skip()
        elif update.done:
            yield results(progress)


def waiting_html(update: JobUpdate) -> str:
    """Its place in the queue, and how long that takes."""
    text = "Opening the video…"
    if update.ahead:
        text = f"In the queue: {update.ahead} before you, about {math.ceil(update.wait_s)} s."
    return f"<p class='lab-lead'>{text}</p>"


def bar_html(progress: VideoProgress) -> str:
    """Frames done, of how many, time left."""
    left = progress.seconds_left
    text = f"frame {progress.frames}" + (f" of {progress.expected}" if progress.expected else "")
    text += f", about {left:.0f} s left" if left is not None else ""
    value = f" value='{progress.share:.3f}'" if progress.share is not None else ""
    bar = f"<progress max='1'{value} aria-label='Progress'></progress>"
    return f"<div class='lab-card'>{bar}<p>{text}</p></div>"


def done_html(progress: VideoProgress, table: str) -> str:
    """The file's note, the table of results, the speed."""
    took = time.monotonic() - progress.began
    rate = progress.frames / took
    speed = f"{progress.frames} frames in {took:.1f} s, {rate:.1f} a second · {device.name()}"
    note = f"<p><b>{escape(progress.note)}</b></p>" if progress.note else ""
    return (
        f"<div class='lab-card' aria-live='polite'>{note}{table}"
        f"<p class='lab-lead'>{speed}</p></div>"
    )
