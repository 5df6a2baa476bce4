"""Detection on a video file, frame by frame: a playable copy with boxes, counts, zones, files.

A generator, so that others are served between two frames, and that it can be stopped there.
"""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tasks.core.video.progress import VideoProgress, bin_of
from tasks.core.video.reader import VideoWriter, open_video
from tasks.detection import annotate, zones
from tasks.detection.detector import Detections, Detector
from tasks.detection.tracker import TRACKING_FLOOR, Tracker
from tasks.detection.zones import EVENT_COLUMNS, Event, Zone, ZoneCounter

COLUMNS = ("seconds", "frame", "class", "track", "confidence", "left", "top", "right", "bottom")


@dataclass
class Progress(VideoProgress):
    """Counts and tracks so far."""

    # class -> (second, most at once) per bin
    counts: dict[str, list[tuple[float, int]]] = field(default_factory=dict)
    tracks: dict[str, int] = field(default_factory=dict)  # class -> tracks that count
    zones: list[dict[str, Any]] = field(default_factory=list)  # `ZoneCounter.summary`
    events: list[Event] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)  # once whole: boxes, events, zones, heat map

    def add(self, second: float, found: Detections, tracks: dict[int, int]) -> None:
        """Count what one frame shows; `tracks`: class id -> tracks so far."""
        self.tracks = {found.class_names[kind]: n for kind, n in tracks.items()}
        bin_start = bin_of(second)
        for kind in found.counts().keys() | self.counts.keys():
            n, series = found.counts().get(kind, 0), self.counts.setdefault(kind, [])
            if series and series[-1][0] == bin_start:
                series[-1] = (bin_start, max(n, series[-1][1]))
            else:
                series.append((bin_start, n))


def detect_in_video(
    path: str | Path | None,
    detector: Detector,
    folder: Path,
    *,
    confidence: float = 0.25,
    iou: float = 0.7,
    size: int | None = None,
    regions: Sequence[Zone] = (),
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Progress]:
    """Detect and track objects; the same Progress after each frame, and once more when the files
    are whole.

    Args:
        folder: where `boxes.mp4` (or .webm), `boxes.csv`, `heat-map.png` and, with `regions`,
            `events.csv` and `zones.json` are written.
        regions: at which is counted who crosses, enters and leaves.
        stopped: asked before each frame; what is done until then is kept.
    Raises:
        VideoError, ImageError: the file cannot be used, or a setting is out of its range.
    """
    size = detector.check(confidence, iou, None, size)
    tracker, progress = Tracker(confidence), Progress()
    with (
        open_video(path) as video,
        (folder / "boxes.csv").open("w", newline="", encoding="utf-8") as table,
    ):
        rows = csv.DictWriter(table, COLUMNS)
        rows.writeheader()
        progress.expected = video.info.frames
        found: Detections | None = None
        counter = ZoneCounter(regions, (video.info.width, video.info.height))
        last: np.ndarray | None = None
        with VideoWriter(
            folder / "boxes", video.info.width, video.info.height, video.info.fps
        ) as out:
            for frame in video:
                if stopped():
                    progress.note = "Stopped; this is what was done until then."
                    break
                if found is None or not frame.repeated:
                    raw = detector.detect_array(
                        frame.rgb, min(TRACKING_FLOOR, confidence), iou, size=size
                    )
                    found = tracker.update(raw, confidence, frame.rgb, frame.seconds)
                counter.update(found, frame.seconds)
                drawn, last = annotate.draw(frame.rgb, found), frame.rgb
                zones.draw(drawn, counter)
                out.write(drawn)
                for row in found.rows():
                    rows.writerow(
                        {"seconds": round(frame.seconds, 3), "frame": progress.frames, **row}
                    )
                progress.frames += 1
                progress.add(frame.seconds, found, tracker.counts())
                yield progress
        progress.note = progress.note or video.note
    progress.video = out.path if progress.frames else None
    progress.table = folder / "boxes.csv"
    progress.zones, progress.events = counter.summary(), counter.events
    progress.files = [progress.table, *_write_zones(counter, last, folder)]
    yield progress


def _write_zones(counter: ZoneCounter, frame: np.ndarray | None, folder: Path) -> list[Path]:
    """The heat map over the last frame; where there are zones, their events and counts."""
    files = []
    if frame is not None:
        files.append(folder / "heat-map.png")
        Image.fromarray(counter.heat_map(frame)).save(files[-1])
    if counter.zones:
        files += [folder / "events.csv", folder / "zones.json"]
        with files[-2].open("w", newline="", encoding="utf-8") as opened:
            rows = csv.DictWriter(opened, EVENT_COLUMNS)
            rows.writeheader()
            rows.writerows(event.row() for event in counter.events)
        drawn = [{"shape": zone.shape, "points": zone.points} for zone in counter.zones]
        whole = [{**a, **b} for a, b in zip(counter.summary(), drawn, strict=True)]
        events = [event.row() for event in counter.events]
        files[-1].write_text(json.dumps({"zones": whole, "events": events}, indent=1))
    return files
