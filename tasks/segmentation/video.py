"""Segmentation of a video file, frame by frame: a playable copy with class colours, shares as CSV.

A generator, so that others are served between two frames, and that it can be stopped there.
"""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tasks.core.video.progress import VideoProgress, bin_of
from tasks.core.video.reader import VideoWriter, open_video
from tasks.segmentation.segmenter import Segmenter

# px of the longer side of the network's input: as in training, and twice as fast as 640
INPUT_SIDE = 480


@dataclass
class Progress(VideoProgress):
    """The shares so far: class -> (second, share), one a bin."""

    shares: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

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
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Progress]:
    """The same Progress after each frame, and once more when the files are complete.

    Args:
        folder: where `classes.mp4` (or .webm) and `shares.csv` are written.
        opacity: of the classes' colours, 0 to 1.
        stopped: asked before each frame; what is done until then is kept.
    Raises:
        VideoError, ImageError: the file cannot be used.
    """
    progress, names = Progress(), segmenter.class_names
    table_file = folder / "shares.csv"
    with open_video(path) as video, table_file.open("w", newline="", encoding="utf-8") as table:
        info, rows = video.info, csv.writer(table)
        rows.writerow(("seconds", "frame", *names))
        progress.expected = info.frames
        last: tuple[np.ndarray, dict[str, float]] | None = None
        with VideoWriter(folder / "classes", info.width, info.height, info.fps) as out:
            for frame in video:
                if stopped():
                    progress.note = "Stopped; this is what was done until then."
                    break
                if last is None or not frame.repeated:
                    scene = segmenter.predict(
                        frame.rgb, flip=False, longest=INPUT_SIDE, entropy=False
                    )
                    last = scene.overlay(frame.rgb, opacity), scene.shares()
                overlay, shares = last
                out.write(overlay)
                shown = (round(shares[name], 5) for name in names)
                rows.writerow((round(frame.seconds, 3), progress.frames, *shown))
                progress.frames += 1
                progress.add(frame.seconds, shares)
                yield progress
        progress.note = progress.note or video.note
    progress.video = out.path if progress.frames else None
    progress.table = table_file
    yield progress
