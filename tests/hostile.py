"""Difficult images: a table of makers, each name -> function(folder) -> a path, an array or None.

    @pytest.mark.parametrize("name", hostile.REFUSED)
    def test_refused(name, tmp_path):
        with pytest.raises(ImageError):
            handler(hostile.MAKERS[name](tmp_path))

`REFUSED` must raise an error with a sentence, `ODD` must work; `FILES` can be uploaded.
"""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

Maker = Callable[[Path], Path | np.ndarray | None]


def scene(height: int = 96, width: int = 128) -> np.ndarray:
    """An image for any network, and for a digit reader: uint8 (H, W, 3), a thick dark 1."""
    y, x = np.mgrid[:height, :width]
    paper = np.stack([250 - x % 7, 246 - y % 5, 240 + 0 * x], 2).astype(np.uint8)
    paper[height // 5 : -height // 5, width * 9 // 20 : width * 11 // 20] = (30, 32, 60)
    return paper


def _saved(folder: Path, name: str, image: Image.Image, **options: object) -> Path:
    path = folder / name
    image.save(path, **options)  # type: ignore[arg-type]
    return path


def good_png(folder: Path) -> Path:
    """It must work after any of the others."""
    return _saved(folder, "good.png", Image.fromarray(scene()))


def nothing(folder: Path) -> None:
    """No image at all."""


def one_pixel(folder: Path) -> Path:
    return _saved(folder, "one.png", Image.new("RGB", (1, 1), "red"))


def bomb(folder: Path) -> Path:
    """A PNG of 20000 x 20000 px in under 60 kB: 1 bit a pixel, all alike."""
    side = 20000
    body = zlib.compress(bytes(1 + side // 8) * side, 9)
    path = folder / "bomb.png"
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", body)
        + _chunk(b"IEND", b"")
    )
    return path


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def truncated_png(folder: Path) -> Path:
    return _cut(_saved(folder, "cut.png", Image.fromarray(scene(300, 400))))


def truncated_jpeg(folder: Path) -> Path:
    return _cut(_saved(folder, "cut.jpg", Image.fromarray(scene(300, 400)), quality=95))


def _cut(path: Path) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return path


def empty_file(folder: Path) -> Path:
    path = folder / "empty.png"
    path.write_bytes(b"")
    return path


def text_called_png(folder: Path) -> Path:
    path = folder / "text.png"
    path.write_text("This is a letter, not an image.\n" * 20, encoding="utf-8")
    return path


def float_nan(folder: Path) -> np.ndarray:
    array = scene().astype(np.float32) / 255
    array[3, 4] = np.nan
    return array


def float_tiff_nan(folder: Path) -> Path:
    array = scene()[..., 0].astype(np.float32) / 255
    array[3, 4] = np.nan
    return _saved(folder, "nan.tiff", Image.fromarray(array))


def float_beyond_one(folder: Path) -> np.ndarray:
    return scene().astype(np.float32)


def two_channels(folder: Path) -> np.ndarray:
    return scene()[..., :2]


def grey(folder: Path) -> Path:
    return _saved(folder, "grey.png", Image.fromarray(scene()).convert("L"))


def bilevel(folder: Path) -> Path:
    return _saved(folder, "bilevel.png", Image.fromarray(scene()).convert("1"))


def palette(folder: Path) -> Path:
    return _saved(folder, "palette.gif", Image.fromarray(scene()).convert("P"))


def palette_transparent(folder: Path) -> Path:
    image = Image.fromarray(scene()).convert("P")
    return _saved(folder, "palette.png", image, transparency=0)


def rgba(folder: Path) -> Path:
    image = Image.fromarray(scene()).convert("RGBA")
    image.putalpha(Image.fromarray(np.where(scene().min(2) > 128, 0, 255).astype(np.uint8)))
    return _saved(folder, "rgba.png", image)


def grey_alpha(folder: Path) -> Path:
    return _saved(folder, "la.png", Image.fromarray(scene()).convert("LA"))


def sixteen_bit_grey(folder: Path) -> Path:
    return _saved(folder, "grey16.png", Image.fromarray(scene()[..., 0].astype(np.uint16) * 257))


def sixteen_bit_rgb(folder: Path) -> Path:
    path = folder / "rgb16.png"
    if not cv2.imwrite(str(path), scene()[..., ::-1].astype(np.uint16) * 257):
        raise OSError(f"{path} was not written")
    return path


def cmyk(folder: Path) -> Path:
    return _saved(folder, "cmyk.jpg", Image.fromarray(scene()).convert("CMYK"), quality=95)


def exif_rotated(folder: Path) -> Path:
    """`scene()` stored on its side, with EXIF orientation 6, as phones do it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return _saved(
        folder,
        "rotated.png",
        Image.fromarray(scene()).transpose(Image.Transpose.ROTATE_90),
        exif=exif,
    )


def animated_gif(folder: Path) -> Path:
    frames = [Image.fromarray(scene()), Image.fromarray(255 - scene())]
    return _saved(
        folder, "animated.gif", frames[0], save_all=True, append_images=frames[1:], duration=80
    )


def animated_png(folder: Path) -> Path:
    frames = [Image.fromarray(scene()), Image.fromarray(255 - scene())]
    return _saved(
        folder, "animated.png", frames[0], save_all=True, append_images=frames[1:], duration=80
    )


def very_wide(folder: Path) -> Path:
    return _saved(folder, "wide.png", Image.fromarray(scene(40, 4000)))


REFUSED: dict[str, Maker] = {
    "None": nothing,
    "1x1": one_pixel,
    "20000x20000": bomb,
    "truncated PNG": truncated_png,
    "truncated JPEG": truncated_jpeg,
    "empty file": empty_file,
    "text called .png": text_called_png,
    "float NaN": float_nan,
    "float NaN, TIFF": float_tiff_nan,
    "float beyond 1": float_beyond_one,
    "two channels": two_channels,
}
ODD: dict[str, Maker] = {
    "grey": grey,
    "bilevel": bilevel,
    "palette": palette,
    "palette, transparent": palette_transparent,
    "RGBA": rgba,
    "grey with alpha": grey_alpha,
    "16 bit grey": sixteen_bit_grey,
    "16 bit RGB": sixteen_bit_rgb,
    "CMYK": cmyk,
    "EXIF-rotated": exif_rotated,
    "animated GIF": animated_gif,
    "animated PNG": animated_png,
    "very wide": very_wide,
}
MAKERS: dict[str, Maker] = REFUSED | ODD
NOT_FILES = ("None", "float NaN", "float beyond 1", "two channels")
FILES = tuple(name for name in MAKERS if name not in NOT_FILES)
