"""The quality at which a JPEG was saved, and where its blocks lie.

From a file's quantisation table, or from pixels, which may have been cropped and saved as something
else since.
"""

import itertools
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from tasks.core.images import ImageLike

LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
"""Table K.1 of the standard (ITU-T T.81), which most programs scale by the quality."""


BLOCK = 8  # px a side
WINDOW = 512  # px a side that are looked at
QUALITIES = np.array([5, 8, *range(10, 96, 3)])  # that are told apart by pixels
NOISE = 0.45  # of a coefficient, in grey levels: pixels were rounded after the inverse DCT
OUTLIERS = 0.1  # share of coefficients that something else has changed
LEAST_FIT = 0.4  # mean log-likelihood ratio against pixels that were no JPEG
LEAST = 60  # coefficients
LEAST_SUM = 30.0  # of the ratios: 8 would be chance among so many tables and places
# EXIF orientation -> whether the upright image's rows and columns are counted from the far end
FAR_END = {
    2: (False, True),
    3: (True, True),
    4: (True, False),
    6: (False, True),
    7: (True, True),
    8: (True, False),
}


@dataclass(frozen=True)
class JpegGrid:
    """How an image was compressed: quality 1 to 100, first block border in px from top and left."""

    quality: int
    top: int = 0
    left: int = 0


def jpeg_grid(source: ImageLike) -> JpegGrid | None:
    """Of a JPEG file, for the upright image; None where it is none."""
    quality = jpeg_quality(source)
    if quality is None:
        return None
    assert isinstance(source, bytes | str | Path)
    file = BytesIO(source) if isinstance(source, bytes) else source
    try:
        with Image.open(file, formats=("JPEG",)) as image:
            turn = image.getexif().get(ExifTags.Base.Orientation, 1)
            height, width = image.size[:: -1 if turn < 5 else 1]
    except Exception:  # a damaged EXIF block
        return JpegGrid(quality)
    rows, columns = FAR_END.get(turn, (False, False))
    return JpegGrid(quality, height % BLOCK * rows, width % BLOCK * columns)


def find_grid(luma: np.ndarray) -> JpegGrid | None:
    """Of pixels: float (H, W) in [0, 1]; None where nothing tells of JPEG, or of 95 and more only.

    The coefficients of a block are multiples of the table's steps, at the right place only (Fan and
    de Queiroz 2003, "Identification of bitmap compression history").
    """
    x = 255 * np.asarray(luma[:WINDOW, :WINDOW], np.float32)
    best, second = (-np.inf, JpegGrid(1)), -np.inf
    for top, left in itertools.product(range(BLOCK), range(BLOCK)):
        fit, quality = _fit(_coefficients(x[top:, left:]))
        if fit > best[0]:
            best, second = (fit, JpegGrid(quality, top, left)), best[0]
        else:
            second = max(second, fit)
    return best[1] if best[0] > max(LEAST_FIT, 1.5 * second) else None


def dct(blocks: np.ndarray, inverse: bool = False) -> np.ndarray:
    """(..., 8, 8) -> the orthonormal DCT of each, or its inverse."""
    k, n = np.arange(BLOCK)[:, None], np.arange(BLOCK)[None]
    a = np.cos(np.pi * k * (2 * n + 1) / 16) * np.where(k == 0, 0.5**0.5, 1) / 2
    a = (a.T if inverse else a).astype(np.float32)
    return np.asarray(a @ blocks @ a.T)


def to_blocks(x: np.ndarray) -> np.ndarray:
    """(8 n, 8 m) -> (n, m, 8, 8)."""
    height, width = x.shape
    return x.reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK).swapaxes(1, 2)


def _coefficients(x: np.ndarray) -> np.ndarray:
    """float32 (N, 64), of blocks that show something and are nowhere clipped; at most 300."""
    height, width = (n - n % BLOCK for n in x.shape)
    blocks = to_blocks(x[:height, :width]).reshape(-1, BLOCK, BLOCK)
    low, high = blocks.min((1, 2)), blocks.max((1, 2))
    blocks = blocks[(high - low > 6) & (low > 2) & (high < 253)]
    return dct(blocks[:: max(1, len(blocks) // 300)]).reshape(-1, BLOCK * BLOCK)


def _fit(coefficients: np.ndarray) -> tuple[float, int]:
    """(mean log-likelihood ratio, quality) of the table that fits best."""
    chosen = [v * BLOCK + u for v in range(5) for u in range(5) if 0 < u + v < 5]
    tables = np.array([scaled(int(q)) for q in QUALITIES], np.float32).reshape(-1, BLOCK, BLOCK)
    tables = np.concatenate([tables, tables.swapaxes(1, 2)])  # of a photo that was turned
    steps = tables.reshape(-1, 1, BLOCK * BLOCK)[..., chosen]
    values = coefficients[None, :, chosen]  # (1, N, C)
    away = values - steps * np.round(values / steps)  # (Q, N, C)
    density = np.exp(-0.5 * (away / NOISE) ** 2) / (NOISE * (2 * np.pi) ** 0.5)
    ratio = np.log((1 - OUTLIERS) * steps * density + OUTLIERS)
    used = np.abs(values) >= steps / 2  # what became 0 tells nothing
    count = used.sum((1, 2))
    if not len(values[0]) or count.max() < LEAST:
        return -np.inf, 1
    total = (ratio * used).sum((1, 2))
    # a table of finer steps fits as well, with less likelihood; few coefficients prove little
    fit = np.where(count >= LEAST, total / np.maximum(count, 1), -np.inf)
    best = int(np.argmax(np.where(fit > LEAST_FIT, total, -np.inf)))
    is_sure = total[best] > LEAST_SUM
    return float(fit[best]) if is_sure else -np.inf, int(QUALITIES[best % len(QUALITIES)])


def jpeg_quality(source: ImageLike) -> int | None:
    """1 to 100, as the Independent JPEG Group counts; None where it is no JPEG file (or one that
    cannot be read).

    Programs with tables of their own get the quality whose table is as coarse.
    """
    if not isinstance(source, bytes | str | Path):
        return None
    file = BytesIO(source) if isinstance(source, bytes) else source
    try:
        with Image.open(file, formats=("JPEG",)) as image:
            tables = image.quantization  # type: ignore[attr-defined]
    except Exception:  # a damaged file may raise anything here; whoever decodes it says so
        return None
    return quality_of(sum(tables[0])) if tables else None


def quality_of(total: int) -> int:
    """The quality whose luminance table sums up nearest to `total`."""
    return min(range(1, 101), key=lambda quality: abs(sum(scaled(quality)) - total))


def scaled(quality: int) -> list[int]:
    """The luminance table at a quality, as libjpeg scales it."""
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return [min(max((value * percent + 50) // 100, 1), 255) for row in LUMINANCE for value in row]
