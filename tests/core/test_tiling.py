"""Tiles cover an image once, are small enough, and mirror it beyond its edge."""

import itertools

import numpy as np
import pytest

from tasks.core import tiling


@pytest.mark.parametrize("size_hw", [(8, 8), (9, 61), (64, 64), (65, 130), (1, 1), (130, 3)])
def test_tiles_cover_every_pixel_once(size_hw: tuple[int, int]) -> None:
    x = np.random.default_rng(0).random((2, *size_hw), np.float32)
    shapes = []

    def work(part: np.ndarray) -> np.ndarray:
        shapes.append(part.shape)
        return part * 2

    *_, last = tiling.map_tiles(x, work, side=64)
    np.testing.assert_array_equal(last.out, 2 * x)
    assert last.done == last.total == len(shapes)
    assert all(n % 8 == 0 for shape in shapes for n in shape[1:])


def test_beyond_the_edge_lies_the_mirror_image() -> None:
    x = np.arange(40, dtype=np.float32)[None, None].repeat(8, 1)
    tiles = []

    def work(part: np.ndarray) -> np.ndarray:
        tiles.append(part)
        return part

    list(tiling.map_tiles(x, work, side=64))
    edge = tiling.EDGE
    np.testing.assert_array_equal(tiles[0][0, 20, :edge], np.arange(edge, 0, -1))


@pytest.mark.parametrize("n", [1, 639, 640, 641, 1200, 5000])
def test_windows_cover_a_side_once(n: int) -> None:
    spans = tiling.windows(n, 640, 96)
    covered = [i for span in spans for i in range(n)[span.keep] if span.start <= i < span.stop]
    assert covered == list(range(n))
    assert all(span.start >= 0 and span.stop <= n for span in spans)
    assert all(span.stop - span.start <= 640 for span in spans)
    assert all(b.start - a.start <= 640 - 96 for a, b in itertools.pairwise(spans))
