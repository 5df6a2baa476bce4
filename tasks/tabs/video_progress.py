"""The work on a video as the page tells it: a bar with the time left, then how fast it was."""

import time
from html import escape
from typing import TYPE_CHECKING

from tasks import compute

if TYPE_CHECKING:
    from tasks.video_progress import VideoProgress


def bar_html(progress: "VideoProgress") -> str:
    """Frames done, of how many, time left."""
    left = progress.seconds_left
    text = f"frame {progress.frames}" + (f" of {progress.expected}" if progress.expected else "")
    text += f", about {left:.0f} s left" if left is not None else ""
    value = f" value='{progress.share:.3f}'" if progress.share is not None else ""
    return f"<div class='lab-card'><progress max='1'{value} aria-label='Progress'></progress><p>{text}</p></div>"


def done_html(progress: "VideoProgress", table: str) -> str:
    """What is to be known of the file, the result, the speed."""
    took = time.monotonic() - progress.began
    speed = f"{progress.frames} frames in {took:.1f} s, {progress.frames / took:.1f} a second · {compute.device_name()}"
    note = f"<p><b>{escape(progress.note)}</b></p>" if progress.note else ""
    return f"<div class='lab-card' aria-live='polite'>{note}{table}<p class='lab-lead'>{speed}</p></div>"
