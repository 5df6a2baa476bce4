"""Detection on a video file, frame by frame: a playable copy with boxes, every box as a row, counts over time.

A generator, so that whoever shows it can stop it between two frames and keep what is done.
"""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tasks import annotate
from tasks.detection import TRACKING_FLOOR, Detections, Detector, Tracker
from tasks.video import VideoWriter, open_video
from tasks.video_progress import Turn, VideoProgress, bin_of

COLUMNS = ("seconds", "frame", "class", "track", "confidence", "left", "top", "right", "bottom")


@dataclass
class Progress(VideoProgress):
    """What was found so far."""

    counts: dict[str, list[tuple[float, int]]] = field(default_factory=dict)  # class -> (second, most at once) per bin
    unique: dict[str, set[int]] = field(default_factory=dict)  # class -> track numbers

    def add(self, second: float, found: Detections) -> None:
        """Count what one frame shows."""
        bin_start = bin_of(second)
        for kind in found.counts().keys() | self.counts.keys():
            n, series = found.counts().get(kind, 0), self.counts.setdefault(kind, [])
            if series and series[-1][0] == bin_start:
                series[-1] = (bin_start, max(n, series[-1][1]))
            else:
                series.append((bin_start, n))
        for kind, track in zip(found.labels, found.track_id if found.track_id is not None else (), strict=False):
            self.unique.setdefault(kind, set()).add(int(track))


def detect_in_video(
    path: str | Path | None,
    detector: Detector,
    folder: Path,
    *,
    confidence: float = 0.25,
    iou: float = 0.7,
    size: int | None = None,
    turn: Turn,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Progress]:
    """Find and follow objects; the same Progress after each frame, and once more when the files are whole.

    Args:
        folder: where `boxes.mp4` (or .webm) and `boxes.csv` are written.
        turn: held for each frame, so that others have theirs between two frames.
        stopped: asked before each frame; what is done until then is kept.
    Raises:
        VideoError, ImageError: the file cannot be used, or a setting is out of its range.
    """
    size = detector.check(confidence, iou, None, size)
    tracker, progress = Tracker(confidence), Progress()
    with open_video(path) as video, (folder / "boxes.csv").open("w", newline="", encoding="utf-8") as table:
        rows = csv.DictWriter(table, COLUMNS)
        rows.writeheader()
        progress.expected = video.info.frames
        found: Detections | None = None
        with VideoWriter(folder / "boxes", video.info.width, video.info.height, video.info.fps) as out:
            for frame in video:
                if stopped():
                    progress.note = "Stopped; this is what was done until then."
                    break
                if found is None or not frame.repeated:
                    with turn():
                        raw = detector.detect_array(frame.rgb, min(TRACKING_FLOOR, confidence), iou, size=size)
                    found = tracker.update(raw, confidence)
                out.write(annotate.draw(frame.rgb, found))
                for row in found.rows():
                    rows.writerow({"seconds": round(frame.seconds, 3), "frame": progress.frames, **row})
                progress.frames += 1
                progress.add(frame.seconds, found)
                yield progress
        progress.note = progress.note or video.note
    progress.video = out.path if progress.frames else None
    progress.table = folder / "boxes.csv"
    yield progress
