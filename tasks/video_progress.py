"""How far the work on a visitor's video is: what detection and segmentation of one share."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

BIN_S = 0.25  # of what is told over time

Turn = Callable[[], AbstractContextManager[None]]
"""-> a context in which a frame may be looked at: visitors take turns."""


@dataclass
class VideoProgress:
    """After each frame; `video` and `table` are there once the last one has come."""

    frames: int = 0
    expected: int | None = None  # frames in all, where the file tells
    began: float = field(default_factory=time.monotonic)
    note: str = ""  # what the reader should know of the file: that it was cut, or is longer
    video: Path | None = None
    table: Path | None = None

    @property
    def share(self) -> float | None:
        """In [0, 1]; None where the file does not say how long it is."""
        return min(1.0, self.frames / self.expected) if self.expected else None

    @property
    def seconds_left(self) -> float | None:
        """At the speed so far; None until that is known."""
        if not self.expected or self.frames < 3:
            return None
        return (time.monotonic() - self.began) / self.frames * max(0, self.expected - self.frames)


def bin_of(second: float) -> float:
    """Where the bin of this moment begins, s."""
    return round(second // BIN_S * BIN_S, 3)
