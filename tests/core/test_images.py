"""Any image as upright 8-bit RGB, or a sentence that says why not: known answers for every kind of
file and array.
"""

import re
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tasks.core import images
from tasks.core.images import ImageError, check_batch, png_bytes, to_grey, to_rgb
from tests import hostile

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)
SIDE = 8

Source = Image.Image | np.ndarray | bytes


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def plain(mode: str, colour: float | tuple[int, ...]) -> Image.Image:
    return Image.new(mode, (SIDE, SIDE), colour)


def palette(colour: tuple[int, int, int], **options: Any) -> bytes:
    image = plain("P", 1)
    image.putpalette([9, 9, 9, *colour])
    return encoded(image, **options)


def deep(value: int) -> bytes:
    return encoded(Image.fromarray(np.full((SIDE, SIDE), value, np.uint16)))


def array(value: object, dtype: type, *channels: int) -> np.ndarray:
    return np.broadcast_to(np.array(value, dtype), (SIDE, SIDE, *channels)).copy()


def animated(kind: str) -> bytes:
    frames = [plain("RGB", RED), plain("RGB", BLUE)]
    return encoded(
        frames[0], kind, save_all=True, append_images=frames[1:], duration=50, lossless=True
    )


# name -> (an image of one colour, that colour as RGB, how far it may be off)
ONE_COLOUR: dict[str, tuple[Callable[[], Source], tuple[int, int, int], int]] = {
    "RGB": (lambda: plain("RGB", (1, 2, 3)), (1, 2, 3), 0),
    "bilevel": (lambda: encoded(plain("1", 1)), WHITE, 0),
    "grey": (lambda: encoded(plain("L", 77)), (77, 77, 77), 0),
    "palette": (lambda: palette((10, 200, 30)), (10, 200, 30), 0),
    "palette, transparent entry": (lambda: palette((10, 200, 30), transparency=1), WHITE, 0),
    "palette, another entry transparent": (
        lambda: palette((10, 200, 30), transparency=0),
        (10, 200, 30),
        0,
    ),
    "grey with alpha 0": (lambda: encoded(plain("LA", (0, 0))), WHITE, 0),
    "grey with alpha half": (lambda: encoded(plain("LA", (0, 128))), (127, 127, 127), 1),
    "RGBA, opaque": (lambda: encoded(plain("RGBA", (*GREEN, 255))), GREEN, 0),
    "RGBA, transparent black": (lambda: encoded(plain("RGBA", (*BLACK, 0))), WHITE, 0),
    "RGBA, half red over white": (lambda: encoded(plain("RGBA", (*RED, 128))), (255, 127, 127), 1),
    "RGB with a transparent colour": (
        lambda: encoded(plain("RGB", RED), transparency=RED),
        WHITE,
        0,
    ),
    "16 bit, black": (lambda: deep(0), BLACK, 0),
    "16 bit, nearly black": (lambda: deep(255), (1, 1, 1), 0),
    "16 bit, middle": (lambda: deep(128 * 257), (128, 128, 128), 0),
    "16 bit, white": (lambda: deep(65535), WHITE, 0),
    "32 bit integers of 8 bit range": (lambda: plain("I", 200), (200, 200, 200), 0),
    "32 bit integers of 16 bit range": (lambda: plain("I", 65535), WHITE, 0),
    "float TIFF in [0, 1]": (lambda: encoded(plain("F", 0.4), "TIFF"), (102, 102, 102), 0),
    "float TIFF in [0, 255]": (lambda: encoded(plain("F", 40.0), "TIFF"), (40, 40, 40), 0),
    "CMYK, no ink": (lambda: encoded(plain("CMYK", (0, 0, 0, 0)), "TIFF"), WHITE, 0),
    "CMYK, cyan": (lambda: encoded(plain("CMYK", (255, 0, 0, 0)), "TIFF"), (0, 255, 255), 0),
    "CMYK JPEG, black ink": (lambda: encoded(plain("CMYK", (0, 0, 0, 255)), "JPEG"), BLACK, 2),
    "YCbCr": (lambda: plain("YCbCr", (255, 128, 128)), WHITE, 0),
    "animated GIF": (lambda: animated("GIF"), RED, 0),
    "animated PNG": (lambda: animated("PNG"), RED, 0),
    "animated WebP": (lambda: animated("WEBP"), RED, 2),
    "array uint8 (H, W)": (lambda: array(5, np.uint8), (5, 5, 5), 0),
    "array uint8 (H, W, 1)": (lambda: array(5, np.uint8, 1), (5, 5, 5), 0),
    "array uint8 (H, W, 3)": (lambda: array(RED, np.uint8, 3), RED, 0),
    "array uint8 (H, W, 4)": (lambda: array((*RED, 0), np.uint8, 4), WHITE, 0),
    "array bool": (lambda: array(True, np.bool_), WHITE, 0),
    "array uint16": (lambda: array((65535, 257, 0), np.uint16, 3), (255, 1, 0), 0),
    "array float32": (lambda: array((0.0, 0.4, 1.0), np.float32, 3), (0, 102, 255), 0),
    "array float16": (lambda: array(0.5, np.float16), (128, 128, 128), 1),
    "array float64, not contiguous": (
        lambda: array((0.0, 0.4, 1.0), np.float64, 3)[::-1, ::-1],
        (0, 102, 255),
        0,
    ),
}


@pytest.mark.parametrize("name", ONE_COLOUR)
def test_one_colour(name: str) -> None:
    make, colour, off = ONE_COLOUR[name]
    got = np.asarray(to_rgb(make()), dtype=int)
    assert got.shape == (SIDE, SIDE, 3)
    assert np.abs(got - colour).max() <= off


# 24 x 16: red and green above blue and white
CORNERS = Image.fromarray(
    np.array([[RED, GREEN], [BLUE, WHITE]], np.uint8).repeat(8, 0).repeat(12, 1)
)
STORED = {  # EXIF orientation -> how a camera stores the upright image under that tag
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", STORED)
def test_exif_orientation(orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    way = STORED[orientation]
    stored = CORNERS if way is None else CORNERS.transpose(way)
    got = to_rgb(encoded(stored, kind, exif=exif, lossless=True))
    assert np.array_equal(np.asarray(got), np.asarray(CORNERS))


def test_damaged_exif_does_not_spoil_the_image() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = encoded(CORNERS, "JPEG", exif=exif)
    at = whole.index(b"Exif\0\0") + 6
    assert to_rgb(whole[:at] + b"\xff" * 8 + whole[at + 8 :]).size == CORNERS.size


@pytest.mark.parametrize("name", hostile.REFUSED)
def test_hostile_is_refused_in_a_sentence(name: str, tmp_path: Path) -> None:
    with pytest.raises(ImageError) as caught:
        to_rgb(hostile.REFUSED[name](tmp_path))
    text = str(caught.value)
    assert re.match(r"[A-Z].*[.?]$", text), text
    assert str(tmp_path) not in text


@pytest.mark.parametrize("name", hostile.ODD)
def test_odd_works(name: str, tmp_path: Path) -> None:
    image = to_rgb(hostile.ODD[name](tmp_path))
    assert image.mode == "RGB"


def test_exif_rotated_photo_is_the_upright_scene(tmp_path: Path) -> None:
    assert np.array_equal(np.asarray(to_rgb(hostile.exif_rotated(tmp_path))), hostile.scene())


# name -> (what comes, a word of the sentence)
REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "None": (lambda f: None, "No image"),
    "list": (lambda f: [1, 2], "list came"),
    "1x1": (lambda f: Image.new("RGB", (1, 1)), "1 x 1 px; at least 8 x 8"),
    "7 px high": (lambda f: np.zeros((7, 50), np.uint8), "50 x 7 px"),
    "empty array": (lambda f: np.zeros((0, 9), np.uint8), r"\(0, 9\) came"),
    "a number": (lambda f: np.array(3), r"\(\) came"),
    "five dimensions": (lambda f: np.zeros((1, 9, 9, 3), np.uint8), r"\(1, 9, 9, 3\) came"),
    "two channels": (lambda f: np.zeros((9, 9, 2), np.uint8), r"\(9, 9, 2\) came"),
    "int64": (lambda f: np.zeros((9, 9), np.int64), "int64 came"),
    "complex": (lambda f: np.zeros((9, 9), complex), "complex128 came"),
    "text": (lambda f: np.full((9, 9), "a"), "came"),
    "NaN": (lambda f: np.full((9, 9), np.nan), "NaN"),
    "infinite": (lambda f: np.full((9, 9), np.inf), "infinite"),
    "float of 0 to 255": (lambda f: np.full((9, 9), 255.0), "255. Divide by 255"),
    "float below 0": (lambda f: np.full((9, 9), -0.1), "spans -0.1"),
    "NaN in a TIFF": (lambda f: encoded(plain("F", float("nan")), "TIFF"), "NaN"),
    "no bytes": (lambda f: b"", "not an image"),
    "bytes of text": (lambda f: b"hello " * 50, "not an image"),
    "SVG": (lambda f: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"),
    "PostScript": (lambda f: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
    "a file that is gone": (lambda f: f / "gone.png", "not there any more"),
    "a folder": (lambda f: f, "not an image"),
    "a name with a null byte": (lambda f: "a\0b", "not an image"),
    "too many pixels, an array": (
        lambda f: np.broadcast_to(np.uint8(0), (8001, 8001)),
        "64 megapixels; at most 64",
    ),
    "too many pixels, a file": (hostile.bomb, "at most 64 megapixels"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path) -> None:
    make, word = REFUSED[name]
    with pytest.raises(ImageError, match=word):
        to_rgb(make(tmp_path))  # type: ignore[arg-type]


@pytest.mark.parametrize("side", [images.MIN_SIDE, 33])
def test_smallest_side_is_accepted(side: int) -> None:
    assert to_rgb(np.zeros((side, side), np.uint8), min_side=side).size == (side, side)
    with pytest.raises(ImageError, match=f"at least {side} x {side}"):
        to_rgb(np.zeros((side, side - 1), np.uint8), min_side=side)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "PPM"])
def test_no_damaged_byte_is_more_than_a_sentence(kind: str) -> None:
    whole = encoded(Image.fromarray(hostile.scene(48, 64)), kind)
    rng = np.random.default_rng(0)
    for _ in range(60):
        blob = bytearray(whole)
        for at in rng.integers(0, len(blob), 4):
            blob[at] = rng.integers(0, 256)
        try:
            assert to_rgb(bytes(blob[: int(rng.integers(len(blob) // 2, len(blob)))])).mode == "RGB"
        except ImageError as error:
            assert "\n" not in str(error)


def test_the_input_is_not_changed() -> None:
    pixels = hostile.scene()
    kept = pixels.copy()
    to_rgb(pixels).putpixel((0, 0), BLACK)
    image = Image.fromarray(pixels)
    to_rgb(image).putpixel((0, 0), BLACK)
    assert np.array_equal(pixels, kept)
    assert np.array_equal(np.asarray(image), kept)


def test_grey_uses_luma_weights() -> None:
    assert to_grey(array((255, 0, 0), np.uint8, 3)).flat[0] == 76  # 0.299 * 255
    assert to_grey(array(0.5, np.float32)).dtype == np.uint8


def test_png_bytes_round_trip() -> None:
    pixels = hostile.scene()
    assert np.array_equal(np.asarray(to_rgb(png_bytes(pixels))), pixels)
    assert np.array_equal(to_grey(png_bytes(pixels[..., 0])), pixels[..., 0])


# a batch, size_hw, channels, whether it fits
BATCHES = {
    "digits": (np.zeros((2, 28, 28), np.uint8), (28, 28), None, True),
    "no digits": (np.zeros((0, 28, 28), np.uint8), (28, 28), None, True),
    "photos": (np.zeros((2, 5, 6, 3), np.uint8), None, 3, True),
    "one digit": (np.zeros((28, 28), np.uint8), (28, 28), None, False),
    "digits of another size": (np.zeros((2, 28, 27), np.uint8), (28, 28), None, False),
    "digits of float": (np.zeros((2, 28, 28), np.float32), (28, 28), None, False),
    "grey for colour": (np.zeros((2, 28, 28), np.uint8), None, 3, False),
    "RGBA for colour": (np.zeros((2, 5, 6, 4), np.uint8), None, 3, False),
    "a list": ([[[0]]], (28, 28), None, False),
    "None": (None, None, 3, False),
}


@pytest.mark.parametrize("name", BATCHES)
def test_check_batch(name: str) -> None:
    batch, size_hw, channels, fits = BATCHES[name]
    if fits:
        assert check_batch(batch, size_hw, channels) is batch  # type: ignore[arg-type]
    else:
        with pytest.raises(ImageError, match=r"needed as uint8 \(N, "):
            check_batch(batch, size_hw, channels)  # type: ignore[arg-type]
