"""Files as an attacker sends them, besides those of `hostile.py` and `hostile_video.py`.

Tables of makers, each name -> function(folder) -> a path: `IMAGES` are for what takes an image,
`CLIPS` for what takes a video. Each must end in an answer or in a sentence, soon, in little memory,
and with nothing read that was not sent.
"""

import gzip
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image, PngImagePlugin

from tests import hostile
from tests.hostile import _chunk, scene
from tests.hostile_video import mp4, text

Maker = Callable[[Path], Any]
SCRIPT = "<script>document.title='owned'</script>"
SVG = (
    '<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "file://{secret}">]>'
    '<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64" '
    'onload="document.title=\'owned\'"><text>&x;</text><image href="file://{secret}"/>'
    f"{SCRIPT}</svg>"
)
LONG_GIF = 10_000  # frames


def _bytes(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def _encoded(kind: str, image: Image.Image | None = None, **options: object) -> bytes:
    buffer = io.BytesIO()
    (image or Image.fromarray(scene())).save(buffer, kind, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def svg(folder: Path, name: str = "drawing.svg", secret: str = "/etc/passwd") -> Path:
    return text(folder, name, SVG.format(secret=secret))


def gif_and_script(folder: Path) -> Path:
    """A GIF that is a JavaScript program, too."""
    data = bytearray(_encoded("GIF"))
    data[6:8] = b"/*"  # its width
    return _bytes(folder, "both.gif", bytes(data) + b"*/=1;document.title='owned'//")


def png_and_page(folder: Path) -> Path:
    return _bytes(folder, "both.png", _encoded("PNG") + f"<html>{SCRIPT}</html>".encode())


def jpeg_and_archive(folder: Path) -> Path:
    """A JPEG with a page in its comment and a gzip archive behind its end."""
    page = f"<html>{SCRIPT}</html>".encode()
    return _bytes(folder, "both.jpg", _encoded("JPEG", comment=page) + gzip.compress(bytes(1000)))


def png_with_text_bomb(folder: Path) -> Path:
    """100 kB of compressed text that is 100 MB long."""
    info = PngImagePlugin.PngInfo()
    info.add(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(100_000_000), 9))
    return _bytes(folder, "text-bomb.png", _encoded("PNG", pnginfo=info))


def png_with_profile_bomb(folder: Path) -> Path:
    data = _encoded("PNG")
    at = data.index(b"IDAT") - 4
    chunk = _chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(100_000_000), 9))
    return _bytes(folder, "profile-bomb.png", data[:at] + chunk + data[at:])


def png_of_size(width: int, height: int) -> Maker:
    """Only its header says so."""

    def write(folder: Path) -> Path:
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        parts = (
            _chunk(b"IHDR", header)
            + _chunk(b"IDAT", zlib.compress(bytes(1000)))
            + _chunk(b"IEND", b"")
        )
        return _bytes(folder, "size.png", b"\x89PNG\r\n\x1a\n" + parts)

    return write


def tiff_bomb(folder: Path) -> Path:
    """7000 x 7000 px, all alike: within the limit, 50 kB as a file."""
    return _bytes(
        folder,
        "bomb.tiff",
        _encoded("TIFF", Image.new("L", (7000, 7000)), compression="tiff_adobe_deflate"),
    )


def ring_of_tiffs(folder: Path) -> Path:
    """A TIFF whose directory names itself as the next one."""
    data = bytearray(_encoded("TIFF"))
    at = int.from_bytes(data[4:8], "little")
    count = int.from_bytes(data[at : at + 2], "little")
    data[at + 2 + 12 * count : at + 6 + 12 * count] = data[4:8]
    return _bytes(folder, "ring.tiff", bytes(data))


def long_gif(folder: Path) -> Path:
    """10,000 frames of 0.3 s: 50 minutes."""
    first = _encoded("GIF", Image.new("P", (32, 32), 1))
    at = first.index(b",", 13 + 3 * 2 ** ((first[10] & 7) + 1) if first[10] & 128 else 13)
    delay = b"\x21\xf9\x04\x00" + (30).to_bytes(2, "little") + b"\0\0"
    frame = delay + first[at:-1]
    return _bytes(folder, "long.gif", first[:at] + frame * LONG_GIF + b";")


def cut(kind: str, suffix: str) -> Maker:
    def write(folder: Path) -> Path:
        data = _encoded(kind)
        return _bytes(folder, f"cut{suffix}", data[: len(data) * 2 // 3])

    return write


def mp4_with_page(folder: Path) -> Path:
    """An MP4 with a page behind it, called one."""
    return _bytes(folder, "clip.html", mp4(folder).read_bytes() + f"<html>{SCRIPT}</html>".encode())


IMAGES: dict[str, Maker] = {
    "SVG": svg,
    "SVG called .png": lambda f: svg(f, "drawing.png"),
    "page called .jpg": lambda f: text(f, "page.jpg", f"<html>{SCRIPT}</html>"),
    "PostScript": lambda f: text(
        f, "run.png", "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd)(r) file"
    ),
    "GIF and script": gif_and_script,
    "PNG and page": png_and_page,
    "JPEG and archive": jpeg_and_archive,
    "text bomb": png_with_text_bomb,
    "profile bomb": png_with_profile_bomb,
    "2147483647 x 2147483647": png_of_size(2**31 - 1, 2**31 - 1),
    "0 x 0": png_of_size(0, 0),
    "60000 x 1000, a header only": png_of_size(60000, 1000),
    "49 megapixels of one colour": tiff_bomb,
    "ring of TIFFs": ring_of_tiffs,
    "10,000 frames": long_gif,
    "PPM of 99999 x 99999": lambda f: _bytes(f, "huge.ppm", b"P6 99999 99999 255 " + bytes(1000)),
    "truncated WebP": cut("WEBP", ".webp"),
    "truncated GIF": cut("GIF", ".gif"),
    "truncated BMP": cut("BMP", ".bmp"),
    "truncated TIFF": cut("TIFF", ".tiff"),
    "a video": mp4,
} | {name: hostile.MAKERS[name] for name in hostile.FILES}
CLIPS: dict[str, Maker] = {
    "SVG called .mp4": lambda f: svg(f, "drawing.mp4"),
    "MP4 called .html": mp4_with_page,
    "10,000 frames": long_gif,
}
