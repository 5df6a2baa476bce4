"""A large picture in tiles: bounded memory, progress, a stop between two tiles, and no seams.

Each tile is computed with a margin that is thrown away; where the picture ends, the margin is its mirror image. Tiles
start at multiples of the network's stride, so that every pixel is folded and strided as it would be in one piece.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

SIDE = 640  # px of a tile without its margin: bounds the memory, a fifth of the work goes into margins
MARGIN = 48  # px between tiles; what lies beyond changes a pixel by less than 1/255 (tests/test_denoising.py)
EDGE = 32  # px of mirror image where the picture ends; with 16 a constant picture was 1.1 grey levels off there


@dataclass(frozen=True)
class Tile:
    """Rows top to bottom and columns left to right of the picture; the margins come on top."""

    top: int
    bottom: int
    left: int
    right: int


@dataclass
class TileStep:
    """What is there after `done` of `total` tiles: `out`, float32 (..., H, W), is filled tile by tile."""

    done: int
    total: int
    out: np.ndarray


def split(size_hw: tuple[int, int], side: int = SIDE) -> list[Tile]:
    """Tiles that cover a picture, row by row; `side` is a multiple of the network's stride."""
    height, width = size_hw
    return [
        Tile(top, min(top + side, height), left, min(left + side, width))
        for top in range(0, height, side)
        for left in range(0, width, side)
    ]


def in_tiles(
    x: np.ndarray, work: Callable[[np.ndarray], np.ndarray], side: int = SIDE, multiple: int = 8
) -> Iterator[TileStep]:
    """Apply `work` to float32 (..., H, W), tile by tile.

    Args:
        work: float32 (..., h, w) -> the same shape; h and w are multiples of `multiple`.
    Yields:
        a step after each tile; the last one's `out` is the result.
    """
    height, width = x.shape[-2:]
    tiles = split((height, width), side)
    step = TileStep(0, len(tiles), np.empty_like(x))
    for tile in tiles:
        rows, above = _indices(tile.top, tile.bottom, height, multiple)
        columns, before = _indices(tile.left, tile.right, width, multiple)
        done = work(np.ascontiguousarray(x[..., rows[:, None], columns]))
        inner = (slice(above, above + tile.bottom - tile.top), slice(before, before + tile.right - tile.left))
        step.out[..., tile.top : tile.bottom, tile.left : tile.right] = done[(..., *inner)]
        step.done += 1
        yield step


def _indices(start: int, stop: int, n: int, multiple: int) -> tuple[np.ndarray, int]:
    """Which of n rows a tile reads, its margins included and beyond the edge mirrored; how many come before it."""
    before = EDGE if start == 0 else MARGIN
    after = EDGE if stop == n else MARGIN
    after += -(before + stop - start + after) % multiple
    i = np.arange(start - before, stop + after)
    period = max(2 * n - 2, 1)
    i = np.abs(i) % period
    return np.minimum(i, period - i) if n > 1 else np.zeros_like(i), before
