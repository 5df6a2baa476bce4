"""At which quality a JPEG file was saved, from the quantisation table that it carries."""

from io import BytesIO
from pathlib import Path

from PIL import Image

from tasks.images import ImageLike

LUMINANCE = (16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22,
             29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87,
             103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99)  # fmt: skip
"""The standard's table K.1, row by row, which most programs scale by the quality."""


def jpeg_quality(source: ImageLike) -> int | None:
    """1 to 100, as the Independent JPEG Group counts; None where it is no JPEG file (or one that cannot be read).

    Programs with tables of their own get the quality whose table is as coarse.
    """
    if not isinstance(source, bytes | str | Path):
        return None
    try:
        with Image.open(BytesIO(source) if isinstance(source, bytes) else source, formats=("JPEG",)) as image:
            tables = image.quantization  # type: ignore[attr-defined]
    except Exception:  # the decoder raises whatever the bytes lead it into; the picture itself is judged elsewhere
        return None
    return quality_of(sum(tables[0])) if tables else None


def quality_of(total: int) -> int:
    """The quality whose luminance table sums up nearest to `total`."""
    return min(range(1, 101), key=lambda quality: abs(sum(scaled(quality)) - total))


def scaled(quality: int) -> list[int]:
    """The luminance table at a quality, as libjpeg scales it."""
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return [min(max((value * percent + 50) // 100, 1), 255) for value in LUMINANCE]
