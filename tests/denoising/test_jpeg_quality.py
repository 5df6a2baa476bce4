"""How a JPEG was compressed, by its file and by its pixels; and that repair makes none worse."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tasks.core import weights
from tasks.core.image_metrics import psnr
from tasks.core.images import to_rgb
from tasks.denoising.enhancer import LUMA, Enhancer
from tasks.denoising.jpeg_quality import JpegGrid, dct, find_grid, jpeg_grid, to_blocks

NEEDS_ENHANCER = pytest.mark.skipif(
    not (weights.FOLDER / "enhancer.json").is_file(), reason="weights/enhancer.json is not there"
)


def photo(side: int = 160) -> Image.Image:
    """Smooth and rough parts, as photos have."""
    rng = np.random.default_rng(3)
    out = np.zeros((side, side, 3))
    for cells, strength in ((4, 90), (16, 50), (64, 30)):
        layer = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), np.uint8))
        out += strength / 255 * np.asarray(layer.resize((side, side), Image.Resampling.BICUBIC))
    return Image.fromarray((out + 30).clip(4, 250).astype(np.uint8))


def screenshot(side: int = 160) -> Image.Image:
    image = Image.new("RGB", (side, side), "white")
    draw = ImageDraw.Draw(image)
    for k, y in enumerate(range(4, side - 10, 13)):
        colour = ((0, 0, 0), (180, 20, 20), (20, 60, 180))[k % 3]
        draw.text((4, y), f"Invoice {k:02d}: the quick brown fox, 12.50", fill=colour)
    return image


def jpeg(image: Image.Image, quality: int, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def luma(data: bytes) -> np.ndarray:
    return np.asarray(np.asarray(to_rgb(data), np.float32) / 255 @ LUMA)


# -- quality and place of the blocks ---------------------------------------------------------------


def test_dct_is_orthonormal_and_inverts() -> None:
    x = np.random.default_rng(0).random((16, 24), np.float32)
    blocks = to_blocks(x)
    assert blocks.shape == (2, 3, 8, 8) and np.array_equal(blocks[1, 2], x[8:, 16:])
    there = dct(blocks)
    assert np.allclose((there**2).sum(), (x**2).sum(), rtol=1e-5)
    assert np.allclose(dct(there, inverse=True), blocks, atol=1e-5)
    assert np.allclose(there[0, 0, 0, 0], x[:8, :8].sum() / 8, rtol=1e-5)


@pytest.mark.parametrize("quality", [40, 60, 75, 88])
@pytest.mark.parametrize(("top", "left"), [(0, 0), (3, 5)])
def test_blocks_are_found_in_pixels(quality: int, top: int, left: int) -> None:
    found = find_grid(luma(jpeg(photo(), quality))[top:, left:])
    assert found is not None
    assert (found.top, found.left) == (-top % 8, -left % 8)
    assert abs(found.quality - quality) <= 4


def test_no_blocks_are_found_where_there_are_none() -> None:
    clean = np.asarray(photo(), np.float32) / 255 @ LUMA
    assert find_grid(clean) is None
    assert find_grid(np.full((64, 64), 0.5, np.float32)) is None
    assert find_grid(np.random.default_rng(0).random((90, 90), np.float32)) is None
    assert find_grid(np.zeros((8, 8), np.float32)) is None


@pytest.mark.parametrize("turn", range(1, 9))
def test_blocks_of_a_turned_file_lie_where_they_are_shown(turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    data = jpeg(photo().crop((0, 0, 155, 139)), 60, exif=exif)
    said, found = jpeg_grid(data), find_grid(luma(data))
    assert said is not None and found is not None and said.quality == 60
    assert (said.top, said.left) == (found.top, found.left)


def test_no_file_tells_of_no_blocks() -> None:
    assert jpeg_grid(np.zeros((20, 20), np.uint8)) is None and jpeg_grid(None) is None


# -- repair ----------------------------------------------------------------------------------------


@NEEDS_ENHANCER
@pytest.mark.parametrize("subsampling", [0, 2], ids=["4:4:4", "4:2:0"])
@pytest.mark.parametrize("kind", ["photo", "screenshot"])
def test_no_jpeg_gets_worse(kind: str, subsampling: int) -> None:
    enhancer = Enhancer.load()
    truth = photo() if kind == "photo" else screenshot()
    clean = np.asarray(truth) / 255
    gains = []
    for quality in (10, 50, 75, 90, 98):
        data = jpeg(truth, quality, subsampling=subsampling)
        before = np.asarray(to_rgb(data)) / 255
        after = np.asarray(enhancer.deblock(data).convert("RGB")) / 255
        gains.append(psnr(after, clean) - psnr(before, clean))
    assert min(gains) > -0.05, gains
    assert gains[0] > 0.2


@NEEDS_ENHANCER
def test_a_jpeg_cropped_off_its_blocks_gets_better_too() -> None:
    truth, data = np.asarray(photo())[3:, 5:] / 255, jpeg(photo(), 30)
    cropped = np.asarray(to_rgb(data))[3:, 5:]
    after = np.asarray(Enhancer.load().deblock(np.ascontiguousarray(cropped))) / 255
    assert psnr(after, truth) > psnr(cropped / 255, truth) + 0.1


@NEEDS_ENHANCER
def test_pixels_that_were_no_jpeg_stay_as_they_are() -> None:
    assert np.array_equal(np.asarray(Enhancer.load().deblock(photo())), np.asarray(photo()))


@NEEDS_ENHANCER
def test_the_better_the_quality_the_less_is_changed() -> None:
    enhancer, x = Enhancer.load(), np.asarray(photo(), np.float32) / 255
    changes = []
    for quality in (20, 60, 80, 98):
        *_, last = enhancer.deblock_steps(x, grid=JpegGrid(quality, 3, 1))
        changes.append(float(np.abs(last.out - x).mean()))
    assert changes == sorted(changes, reverse=True) and changes[-1] < 1 / 255
