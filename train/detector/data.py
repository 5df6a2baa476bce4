"""Which digits the scenes of each split show."""

from collections.abc import Iterator

from train.data import ImageSet, train_and_val
from train.detector.scenes import Scene, scene

HELD_OUT = 5000  # training digits that only validation scenes show
SERIES = {"val": 1_000_001, "test": 1_000_002}  # seeds of scenes; a training's own seed is smaller


def split(digits: ImageSet) -> tuple[ImageSet, ImageSet]:
    """(for training scenes, for validation scenes)."""
    return train_and_val(digits, HELD_OUT)


def series(name: str, digits: ImageSet, n: int, size: int) -> Iterator[Scene]:
    """The first n scenes of the series "val" or "test", always the same ones."""
    return (scene(digits, i, SERIES[name], size) for i in range(n))
