"""A large image in tiles: bounded memory, progress, a stop between two tiles, and no seams.

A tile reads more pixels than it gives. `windows` are tiles of one size inside the image, which
meet in the middle of their overlap; `margins` start at multiples of the network's stride, so that
every pixel is folded and strided as in one piece, and mirror the image where it ends.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

# px of a tile without its margin: bounds the memory, a fifth of the work goes into margins
SIDE = 640
# px between tiles; what lies beyond changes a pixel by less than 1/255, as
# tests/denoising/test_denoiser.py checks
MARGIN = 48
# px of mirror image where the image ends; with 16 a constant image was 1.1 grey levels off there
EDGE = 32


@dataclass(frozen=True)
class Span:
    """A tile along one side: it reads the pixels from `start` to `stop` and gives those of `keep`.

    Pixels below 0 or beyond the end are the image's mirror image.
    """

    start: int
    stop: int
    keep: slice

    @property
    def inner(self) -> slice:
        """`keep`, counted from `start`."""
        return slice(self.keep.start - self.start, self.keep.stop - self.start)

    def indices(self, n: int) -> np.ndarray:
        """The pixels that are read of a side of `n` px."""
        period = max(2 * n - 2, 1)
        i = np.abs(np.arange(self.start, self.stop)) % period
        return np.minimum(i, period - i) if n > 1 else np.zeros_like(i)


def windows(n: int, size: int, overlap: int) -> list[Span]:
    """Evenly spaced tiles of `size` px along a side of `n` px; a shorter side is one tile."""
    if n <= size:
        return [Span(0, n, slice(0, n))]
    count = -(-(n - overlap) // (size - overlap))
    starts = [round(i * (n - size) / (count - 1)) for i in range(count)]
    seams = [0, *((a + size + b) // 2 for a, b in itertools.pairwise(starts)), n]
    return [Span(s, s + size, slice(seams[i], seams[i + 1])) for i, s in enumerate(starts)]


def margins(n: int, side: int, multiple: int) -> list[Span]:
    """Tiles of `side` px with margins along a side of `n` px; each reads a multiple of `multiple`.

    `side` is a multiple of the network's stride.
    """
    spans = []
    for first in range(0, n, side):
        last = min(first + side, n)
        start = first - (EDGE if first == 0 else MARGIN)
        stop = last + (EDGE if last == n else MARGIN)
        spans.append(Span(start, stop + (start - stop) % multiple, slice(first, last)))
    return spans


@dataclass
class TileStep:
    """The state after `done` of `total` tiles: `out`, float32 (..., H, W), fills tile by tile."""

    done: int
    total: int
    out: np.ndarray


def map_tiles(
    x: np.ndarray, work: Callable[[np.ndarray], np.ndarray], side: int = SIDE, multiple: int = 8
) -> Iterator[TileStep]:
    """Apply `work` to float32 (..., H, W), tile by tile.

    Args:
        work: float32 (..., h, w) -> the same shape; h and w are multiples of `multiple`.
    Yields:
        a step after each tile; the last one's `out` is the result.
    """
    height, width = x.shape[-2:]
    tiles = list(itertools.product(margins(height, side, multiple), margins(width, side, multiple)))
    step = TileStep(0, len(tiles), np.empty_like(x))
    for rows, columns in tiles:
        tile = x[..., rows.indices(height)[:, None], columns.indices(width)]
        result = work(np.ascontiguousarray(tile))
        step.out[..., rows.keep, columns.keep] = result[..., rows.inner, columns.inner]
        step.done += 1
        yield step
