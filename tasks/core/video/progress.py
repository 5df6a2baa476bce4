"""Progress of the work on a video, shared by detection and segmentation."""

import time
from dataclasses import dataclass, field
from pathlib import Path

BIN_S = 0.25  # width of the bins of a chart over time


@dataclass
class VideoProgress:
    """State after a frame; `video` and `table` are set after the last one."""

    frames: int = 0
    expected: int | None = None  # frames in all; None if the file does not say
    began: float = field(default_factory=time.monotonic)
    note: str = ""  # about the file: it was cut, or is damaged
    video: Path | None = None
    table: Path | None = None
    bytes: int = 0  # that a job keeps of a step: it is the same object in all of them

    @property
    def share(self) -> float | None:
        """In [0, 1]; None if the file does not say how long it is."""
        return min(1.0, self.frames / self.expected) if self.expected else None

    @property
    def seconds_left(self) -> float | None:
        """At the speed so far; None until that is known."""
        if not self.expected or self.frames < 3:
            return None
        return (time.monotonic() - self.began) / self.frames * max(0, self.expected - self.frames)


def bin_of(second: float) -> float:
    """Start of the bin of this moment, s."""
    return round(second // BIN_S * BIN_S, 3)
