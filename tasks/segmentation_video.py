"""Segmentation of a video file, frame by frame: a playable copy with the classes over it, and their shares over time.

A generator, so that whoever shows it can stop it between two frames and keep what is done.
"""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tasks.segmentation import Segmenter
from tasks.video import VideoWriter, open_video
from tasks.video_progress import Turn, VideoProgress, bin_of

LONGEST = 480  # px of the longer side that the network looks at: the scale it learnt, and twice as fast as 640


@dataclass
class Progress(VideoProgress):
    """What was seen so far."""

    shares: dict[str, list[tuple[float, float]]] = field(default_factory=dict)  # class -> (second, share), one a bin

    def add(self, second: float, shares: dict[str, float]) -> None:
        """The shares of a frame, if it is the first one of its bin."""
        start = bin_of(second)
        for name, share in shares.items():
            series = self.shares.setdefault(name, [])
            if not series or series[-1][0] != start:
                series.append((start, share))


def segment_video(
    path: str | Path | None,
    segmenter: Segmenter,
    folder: Path,
    *,
    opacity: float = 0.55,
    turn: Turn,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Progress]:
    """The same Progress after each frame, and once more when the files are whole.

    Args:
        folder: where `classes.mp4` (or .webm) and `shares.csv` are written.
        opacity: of the classes' colours, 0 to 1.
        turn: held for each frame, so that others have theirs between two frames.
        stopped: asked before each frame; what is done until then is kept.
    Raises:
        VideoError, ImageError: the file cannot be used.
    """
    progress, names = Progress(), segmenter.class_names
    with open_video(path) as video, (folder / "shares.csv").open("w", newline="", encoding="utf-8") as table:
        rows = csv.writer(table)
        rows.writerow(("seconds", "frame", *names))
        progress.expected = video.info.frames
        last: tuple[np.ndarray, dict[str, float]] | None = None
        with VideoWriter(folder / "classes", video.info.width, video.info.height, video.info.fps) as out:
            for frame in video:
                if stopped():
                    progress.note = "Stopped; this is what was done until then."
                    break
                if last is None or not frame.repeated:
                    with turn():
                        scene = segmenter.look(frame.rgb, flip=False, longest=LONGEST, entropy=False)
                    last = scene.over(frame.rgb, opacity), scene.shares()
                out.write(last[0])
                rows.writerow((round(frame.seconds, 3), progress.frames, *(round(last[1][n], 5) for n in names)))
                progress.frames += 1
                progress.add(frame.seconds, last[1])
                yield progress
        progress.note = progress.note or video.note
    progress.video = out.path if progress.frames else None
    progress.table = folder / "shares.csv"
    yield progress
