"""Files as cameras, scanners and other programs write them: profiles, deep pixels, thumbnails, no
end, HEIC and AVIF, transparency. All are generated here."""

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, features

from tasks.core import images
from tasks.core.image_files import formats
from tasks.core.image_files.depth import to_8_bits
from tasks.core.images import ImageError, note_of, split_alpha, to_rgb
from tests.hostile import _chunk

RED = (230, 40, 40)
# colorants of Display P3 and Adobe RGB (1998), adapted to D50: red, green, blue
P3 = ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))
ADOBE = ((0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446))


def ramp(height: int = 24, width: int = 32) -> np.ndarray:
    """uint8 (H, W, 3) that uses the whole range, different in every channel and at every edge."""
    y, x = np.mgrid[:height, :width]
    red, green = 255 * x / (width - 1), 255 * y / (height - 1)
    return np.stack([red, green, (red + green) / 2], 2).round().astype(np.uint8)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def array_of(data: bytes) -> np.ndarray:
    return np.asarray(to_rgb(data)).astype(int)


# -- colours ---------------------------------------------------------------------------------------


def profile(colorants: tuple[tuple[float, ...], ...]) -> bytes:
    """sRGB's profile with other primaries."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = int.from_bytes(data[128:132], "big")
    for k in range(count):
        name = bytes(data[132 + 12 * k : 136 + 12 * k])
        if name in (b"rXYZ", b"gXYZ", b"bXYZ"):
            at = int.from_bytes(data[136 + 12 * k : 140 + 12 * k], "big") + 8
            xyz = colorants[(b"rXYZ", b"gXYZ", b"bXYZ").index(name)]
            data[at : at + 12] = struct.pack(">3i", *(round(v * 65536) for v in xyz))
    return bytes(data)


def in_profile(rgb: tuple[int, ...], colorants: tuple[tuple[float, ...], ...]) -> tuple[int, ...]:
    """The same colour in numbers of another profile, by the matrices of both."""
    srgb = np.array(((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7139)))
    v = np.array(rgb) / 255
    light = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    other = (np.linalg.inv(np.array(colorants).T) @ srgb.T @ light).clip(0, 1)
    coded = np.where(other <= 0.0031308, 12.92 * other, 1.055 * other ** (1 / 2.4) - 0.055)
    return tuple(int(v) for v in (255 * coded).round())


@pytest.mark.parametrize("colorants", [P3, ADOBE], ids=["Display P3", "Adobe RGB"])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_a_profile_is_applied(colorants: Any, kind: str) -> None:
    stored = in_profile(RED, colorants)
    assert max(abs(a - b) for a, b in zip(stored, RED, strict=True)) > 10
    image = Image.new("RGB", (16, 16), stored)
    options = {"quality": 100} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {}
    got = to_rgb(encoded(image, kind, icc_profile=profile(colorants), **options))
    assert np.abs(np.asarray(got).astype(int) - RED).max() <= 3
    assert "to sRGB" in note_of(got)


def test_a_profile_with_transparency_and_a_palette() -> None:
    stored = in_profile(RED, P3)
    half = Image.new("RGBA", (16, 16), (*stored, 255))
    half.putpixel((0, 0), (0, 0, 0, 0))
    rgb, alpha = split_alpha(encoded(half, icc_profile=profile(P3)))
    assert np.abs(np.asarray(rgb).astype(int) - RED).max() <= 3
    assert alpha is not None and alpha[0, 0] == 0 and alpha[1, 1] == 255
    palette = Image.new("RGB", (16, 16), stored).quantize(4)
    assert np.abs(array_of(encoded(palette, icc_profile=profile(P3))) - RED).max() <= 4


@pytest.mark.parametrize(
    "bytes_",
    [
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
        profile(P3)[:200],
        b"\xff" * 500,
        ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(),
    ],
    ids=["sRGB itself", "cut", "no profile", "of another kind"],
)
def test_such_a_profile_leaves_pixels_as_they_are(bytes_: bytes) -> None:
    got = to_rgb(encoded(Image.fromarray(ramp()), icc_profile=bytes_))
    assert np.array_equal(np.asarray(got), ramp()) and note_of(got) == ""


def test_gamma_of_a_png_is_applied() -> None:
    linear = ((ramp() / 255.0) ** 2.2 * 255).round().astype(np.uint8)
    plain = encoded(Image.fromarray(linear))
    gamma = _chunk(b"gAMA", struct.pack(">I", 100_000))
    got = to_rgb(plain[:33] + gamma + plain[33:])
    away = np.abs(np.asarray(got).astype(int) - ramp())[ramp() > 60]
    assert away.max() <= 4 and "gamma" in note_of(got)
    # sRGB says what the pixels are, whatever gamma stands beside it; 1/2.2 is sRGB's own
    for chunk in (gamma + _chunk(b"sRGB", b"\0"), _chunk(b"gAMA", struct.pack(">I", 45455))):
        assert np.array_equal(array_of(plain[:33] + chunk + plain[33:]), linear)


def test_primaries_of_a_png_are_applied() -> None:
    p3 = (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
    chunks = _chunk(b"gAMA", struct.pack(">I", 45455))
    chunks += _chunk(b"cHRM", struct.pack(">8I", *(round(v * 100_000) for v in p3)))
    plain = encoded(Image.new("RGB", (16, 16), in_profile(RED, P3)))
    assert np.abs(array_of(plain[:33] + chunks + plain[33:]) - RED).max() <= 6


# -- deep pixels -----------------------------------------------------------------------------------

# name -> (values, bits that the file declares, what becomes white and black)
RANGES: dict[str, tuple[np.ndarray, int | None, tuple[float, float]]] = {
    "8 bits": (np.array([3, 200], np.uint8), None, (0, 255)),
    "10 in 16": (np.array([0, 1000], np.uint16), None, (0, 1023)),
    "12 in 16": (np.array([9, 4095], np.uint16), None, (0, 4095)),
    "14 in 16": (np.array([9, 9000], np.uint16), None, (0, 16383)),
    "16": (np.array([9, 40000], np.uint16), None, (0, 65535)),
    "one value of 16 bits": (np.array([255, 255], np.uint16), None, (0, 65535)),
    "declared": (np.array([9, 900], np.uint16), 12, (0, 4095)),
    "signed": (np.array([-1024, 3071], np.int16), None, (-1024, 3071)),
    "signed, none below 0": (np.array([0, 32000], np.int16), None, (0, 32767)),
    "32 bits": (np.array([0, 10**6], np.uint32), None, (0, 10**6)),
    "float to 1": (np.array([0, 0.4], np.float32), None, (0, 1)),
    "float around 0": (np.array([-0.7, 0.4], np.float32), None, (-1, 1)),
    "float to 255": (np.array([0, 254.5], np.float32), None, (0, 255)),
    "float to 4095": (np.array([0, 4000], np.float32), None, (0, 4095)),
    "float a little above 1": (np.array([0, 1.3], np.float64), None, (0, 1.3)),
    "float below and above": (np.array([-20, 80], np.float32), None, (-20, 80)),
}


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("order", ["<", ">"])
def test_range_of_deep_pixels(name: str, order: str) -> None:
    values, bits, (black, white) = RANGES[name]
    ordered = np.dtype(order + values.dtype.str[1:])
    got, note = to_8_bits(values.astype(ordered), bits)
    want = (255 * (values.astype(float) - black) / (white - black)).round()
    assert np.abs(got - want).max() <= 1
    assert bool(note) == ((black, white) not in ((0, 1), (0, 255), (0, 65535)))


def tiff(
    values: np.ndarray,
    *,
    order: str = "<",
    photometric: int | None = None,
    planar: bool = False,
    packed: bool = False,
    predictor: int = 1,
    tile: int = 0,
    extra: dict[int, tuple[int, ...]] | None = None,
    below: bytes = b"",
) -> bytes:
    """A TIFF of one page of (H, W) or (H, W, channels) in any number; `packed` by deflate."""
    values = values[..., None] if values.ndim == 2 else values
    height, width, n = values.shape
    kind = np.dtype(order + values.dtype.str[1:])
    parts = [values[..., k : k + 1] for k in range(n)] if planar else [values]
    blocks = []
    for part in parts:
        cells = [part]
        if tile:
            padded = np.pad(part, ((0, -height % tile), (0, -width % tile), (0, 0)))
            cells = [
                padded[y : y + tile, x : x + tile]
                for y in range(0, height, tile)
                for x in range(0, width, tile)
            ]
        for cell in cells:
            raw = _predicted(cell, predictor, kind)
            blocks.append(zlib.compress(raw) if packed else raw)
    data, starts = (
        bytearray(struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, 0)),
        [],
    )
    for block in blocks:
        starts.append(len(data))
        data += block + bytes(len(block) % 2)
    rgb = 2 if n >= 3 else 1
    tags: dict[int, tuple[int, ...]] = {
        256: (width,),
        257: (height,),
        258: (values.dtype.itemsize * 8,) * n,
        259: (8 if packed else 1,),
        262: (rgb if photometric is None else photometric,),
        277: (n,),
        284: (2 if planar else 1,),
        317: (predictor,),
        339: ({"u": 1, "i": 2, "f": 3}[values.dtype.kind],) * n,
        **({338: (2,)} if n in (2, 4) else {}),
        **(extra or {}),
    }
    if tile:
        tags |= {322: (tile,), 323: (tile,), 324: tuple(starts)}
        tags[325] = tuple(map(len, blocks))
    else:
        tags |= {273: tuple(starts), 278: (height,), 279: tuple(map(len, blocks))}
    return _with_page(data, tags, order)


def _predicted(cell: np.ndarray, predictor: int, kind: np.dtype) -> bytes:
    if predictor == 2:
        first = cell[:, :1]
        cell = np.concatenate([first, np.diff(cell, axis=1)], 1)  # wraps around
    if predictor == 3:
        rows = np.ascontiguousarray(cell.astype(f">f{kind.itemsize}"))
        height, width, n = rows.shape
        split = rows.view(np.uint8).reshape(height, width * n, kind.itemsize).transpose(0, 2, 1)
        flat = split.reshape(height, -1, n)
        return np.concatenate([flat[:, :1], np.diff(flat, axis=1)], 1).astype(np.uint8).tobytes()
    return np.ascontiguousarray(cell.astype(kind)).tobytes()


def _with_page(data: bytearray, tags: dict[int, tuple[int, ...]], order: str) -> bytes:
    """The bytes with a directory at their end, which becomes the first."""
    at = len(data)
    entries, behind = b"", b""
    behind_at = at + 2 + 12 * len(tags) + 4
    for tag, values in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}I", *values)
        if len(values) > 1:
            packed, behind = struct.pack(order + "I", behind_at + len(behind)), behind + packed
        entries += struct.pack(order + "HHI", tag, 4, len(values)) + packed
    data[4:8] = struct.pack(order + "I", at)
    data += struct.pack(order + "H", len(tags)) + entries + bytes(4) + behind
    return bytes(data)


DEEP = ramp().astype(np.uint16)
GREY = DEEP[..., 0]
# name -> (a TIFF of ramp() in colour or of its first channel in grey)
TIFFS: dict[str, Callable[[], bytes]] = {
    "12 in 16, grey": lambda: tiff(GREY * 16),
    "10 in 16, colour": lambda: tiff(DEEP * 4),
    "16, big-endian, deflated, differences": lambda: tiff(
        DEEP * 257, order=">", packed=True, predictor=2
    ),
    "16, in tiles": lambda: tiff(DEEP * 257, tile=16),
    "16, in tiles, deflated, differences": lambda: tiff(
        DEEP * 257, tile=16, packed=True, predictor=2
    ),
    "8, separate planes": lambda: tiff(ramp(), planar=True),
    "16, separate planes, deflated": lambda: tiff(DEEP * 257, planar=True, packed=True),
    "float, colour": lambda: tiff(ramp() / np.float32(255)),
    "float, separate planes": lambda: tiff(ramp() / np.float32(255), planar=True),
    "float, deflated, differences": lambda: tiff(
        ramp() / np.float32(255), packed=True, predictor=3
    ),
    "double, grey, to 4095": lambda: tiff(GREY * (4095 / 255)),
    "half, colour": lambda: tiff((ramp() / 255).astype(np.float16)),
    "signed, grey": lambda: tiff((GREY * 8).astype(np.int16) - 1000),
    "signed, colour, around 0": lambda: tiff((ramp() / 127.5 - 1).astype(np.float32)),
    "white is zero, 8": lambda: tiff(255 - ramp()[..., 0], photometric=0),
    "white is zero, 16": lambda: tiff((255 - GREY) * 257, photometric=0),
    "grey and alpha, 8": lambda: tiff(np.dstack([ramp()[..., 0], 0 * ramp()[..., 0] + 255])),
    "grey and alpha, 16": lambda: tiff(np.dstack([GREY * 257, 0 * GREY + 65535])),
    "colour and alpha, 16": lambda: tiff(np.dstack([DEEP * 257, 0 * GREY + 65535])),
    "32 bits, grey": lambda: tiff(GREY.astype(np.uint32) * 100_000),
}


@pytest.mark.parametrize("name", TIFFS)
def test_a_tiff_is_read_by_its_range(name: str) -> None:
    got = array_of(TIFFS[name]())
    want = ramp().astype(int)
    if np.array_equal(got[..., 0], got[..., 1]):
        want = np.repeat(want[..., :1], 3, 2)
    assert got.shape == want.shape and np.abs(got - want).max() <= 2


def test_a_tiff_of_another_kind_is_named() -> None:
    with pytest.raises(ImageError, match=r"kind of TIFF is not read here \(64 bit complex, grey\)"):
        to_rgb(tiff(ramp()[..., 0].astype(np.uint64), extra={339: (6,)}))
    with pytest.raises(ImageError, match="breaks off"):
        whole = tiff(ramp() / np.float32(255), packed=True)
        to_rgb(whole[:8] + bytes(200) + whole[208:])


@pytest.mark.parametrize("channels", [3, 4, 2])
def test_a_png_with_few_of_its_16_bits(channels: int) -> None:
    import cv2

    deep = (ramp().astype(np.uint16) * 16) | 3
    if channels == 2:  # OpenCV writes no grey with alpha
        rows = np.dstack([deep[..., 0], 0 * deep[..., 0] + 65535]).astype(">u2")
        body = b"".join(b"\0" + row.tobytes() for row in rows)
        header = struct.pack(">IIBBBBB", 32, 24, 16, 4, 0, 0, 0)
        data = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header)
        data += _chunk(b"IDAT", zlib.compress(body)) + _chunk(b"IEND", b"")
    else:
        bgr = deep[..., ::-1]
        sent = bgr if channels == 3 else np.dstack([bgr, np.full((24, 32), 65535, np.uint16)])
        data = cv2.imencode(".png", sent)[1].tobytes()
    want = ramp() if channels > 2 else np.repeat(ramp()[..., :1], 3, 2)
    assert np.abs(array_of(data) - want).max() <= 2
    assert "4095" in note_of(to_rgb(data))


# -- pages -----------------------------------------------------------------------------------------


def with_pages(first: np.ndarray, second: np.ndarray, *, below: bool, **tags: int) -> bytes:
    """Two pages; the second below the first one (SubIFDs), or behind it."""
    inner = tiff(second, extra={262: (tags["kind"],)} if "kind" in tags else None)
    outer = bytearray(tiff(first))
    shift = len(outer)
    page = int.from_bytes(inner[4:8], "little")
    moved = bytearray(inner)
    count = int.from_bytes(moved[page : page + 2], "little")
    for k in range(count):
        at = page + 2 + 12 * k
        tag, _, n = struct.unpack_from("<HHI", moved, at)
        (value,) = struct.unpack_from("<I", moved, at + 8)
        if n > 1 or tag in (273, 324):
            struct.pack_into("<I", moved, at + 8, value + shift)
    outer += moved
    start = int.from_bytes(outer[4:8], "little")
    count = int.from_bytes(outer[start : start + 2], "little")
    entries = bytes(outer[start + 2 : start + 2 + 12 * count])
    added = {254: tags.get("subtype", 1), **({330: shift + page} if below else {})}
    for tag, value in added.items():
        entries += struct.pack("<HHII", tag, 4, 1, value)
    listed = sorted(entries[k : k + 12] for k in range(0, len(entries), 12))
    listed.sort(key=lambda entry: int.from_bytes(entry[:2], "little"))
    outer[4:8] = struct.pack("<I", len(outer))
    outer += struct.pack("<H", len(listed)) + b"".join(listed)
    outer += struct.pack("<I", 0 if below else shift + page)
    return bytes(outer)


@pytest.mark.parametrize("below", [True, False])
def test_the_page_behind_a_thumbnail_is_used(below: bool) -> None:
    full = ramp(96, 128)
    got = to_rgb(with_pages(full[::4, ::4], full, below=below))
    assert np.array_equal(np.asarray(got), full)
    assert "thumbnail" in note_of(got) and "128 x 96" in note_of(got)


def test_a_deep_page_behind_a_thumbnail() -> None:
    full = ramp(96, 128)
    got = to_rgb(with_pages(full[::4, ::4], full.astype(np.uint16) * 257, below=True))
    assert np.array_equal(np.asarray(got), full)


def test_the_first_of_two_documents_is_used() -> None:
    got = to_rgb(with_pages(ramp(24, 32), ramp(96, 40), below=False, subtype=0))
    assert got.size == (32, 24) and note_of(got) == ""


def test_a_raw_photo_gives_its_preview_and_says_so() -> None:
    preview, sensor = ramp(24, 32), np.zeros((96, 128), np.uint16)
    got = to_rgb(with_pages(preview, sensor, below=True, kind=32803))
    assert got.size == (32, 24) and "raw values (128 x 96)" in note_of(got)
    with pytest.raises(ImageError, match="raw values and no finished image"):
        to_rgb(tiff(np.zeros((96, 128), np.uint16), photometric=32803))


def test_a_damaged_tiff_is_a_sentence() -> None:
    whole = with_pages(ramp(24, 32), ramp(96, 128) / np.float32(255), below=True)
    rng = np.random.default_rng(0)
    for _ in range(200):
        blob = bytearray(whole)
        for at in (*rng.integers(len(blob) - 700, len(blob), 3), rng.integers(0, 8)):
            blob[at] = rng.integers(0, 256)
        try:
            assert to_rgb(bytes(blob)).mode == "RGB"
        except ImageError as error:
            assert "\n" not in str(error)


# -- files without their end, other formats, animations --------------------------------------------


def photo(side: int = 128) -> Image.Image:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (side // 8, side // 8, 3), np.uint8)
    return Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC)


def test_a_jpeg_without_its_end_is_read() -> None:
    whole = encoded(photo(), "JPEG", quality=90)
    for cut in (whole[:-2], whole[:-1], whole[:-2] + b"\0\0\0"):
        got = to_rgb(cut)
        assert np.array_equal(np.asarray(got), np.asarray(to_rgb(whole)))
    assert "all of its pixels are there" in note_of(to_rgb(whole[:-2]))


def test_a_jpeg_that_breaks_off() -> None:
    whole = encoded(photo(), "JPEG", quality=90)
    got = to_rgb(whole[: round(len(whole) * 0.9)])
    same = (np.asarray(got) == np.asarray(to_rgb(whole))).all((1, 2))
    assert same[:90].all() and not same.all() and "are missing" in note_of(got)
    with pytest.raises(ImageError, match="breaks off or is damaged"):
        to_rgb(whole[: len(whole) // 2])


def test_a_progressive_jpeg_that_breaks_off_is_coarser() -> None:
    whole = encoded(photo(), "JPEG", quality=90, progressive=True)
    got = to_rgb(whole[: round(len(whole) * 0.75)])
    away = np.abs(np.asarray(got).astype(int) - np.asarray(to_rgb(whole)))
    assert away.mean() < 8 and "details are missing" in note_of(got)
    with pytest.raises(ImageError, match="breaks off"):
        to_rgb(whole[: len(whole) // 10])


def test_heic_is_read_upright_and_with_its_profile() -> None:
    heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed")
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = Image.new("RGB", (96, 64), in_profile(RED, P3))
    buffer = BytesIO()
    file = heif.from_pillow(stored)
    file.save(buffer, quality=95, exif=exif.tobytes(), icc_profile=profile(P3))
    got = to_rgb(buffer.getvalue())
    assert got.size == (64, 96)
    assert np.abs(np.asarray(got).astype(int) - RED).max() <= 6


def test_heic_without_its_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "_heif_is_there", lambda: False)
    with pytest.raises(ImageError, match=r"HEIC photo.*Most Compatible"):
        to_rgb(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_avif_is_read() -> None:
    got = array_of(encoded(Image.fromarray(ramp()), "AVIF", quality=95))
    assert np.abs(got - ramp()).mean() < 6


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"8BPS\0\1", "Photoshop"),
        (b"%PDF-1.7", "PDF"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1", "raw photo"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    ],
)
def test_other_formats_are_named(data: bytes, word: str) -> None:
    with pytest.raises(ImageError, match=word):
        to_rgb(data + bytes(200))


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_an_animation_that_begins_empty(kind: str) -> None:
    frames = [Image.new("RGBA", (32, 24), (0, 0, 0, 0)) for _ in range(4)]
    for k, size in ((1, 3), (2, 12), (3, 6)):
        frames[k].paste((*RED, 255), (8, 6, 8 + size, 6 + size))
    data = (
        encoded(frames[0], kind, save_all=True, append_images=frames[1:], disposal=2)
        if (kind == "GIF")
        else encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    )
    got = to_rgb(data)
    red = (np.abs(np.asarray(got).astype(int) - RED).max(2) < 30).sum()
    assert 120 <= red <= 170 and "frame 3 of 4" in note_of(got)


# -- transparency ----------------------------------------------------------------------------------


def test_what_is_invisible_does_not_bleed() -> None:
    rgba = np.zeros((40, 50, 4), np.uint8)
    rgba[..., :3] = (0, 255, 0)
    rgba[10:30, 10:30] = (*RED, 255)
    rgb, alpha = split_alpha(rgba)
    assert np.abs(np.asarray(rgb).astype(int) - RED).max() <= 1
    assert alpha is not None and np.array_equal(alpha, rgba[..., 3])


def test_an_opaque_image_has_no_transparency() -> None:
    rgba = np.dstack([ramp(), np.full((24, 32), 255, np.uint8)])
    rgb, alpha = split_alpha(rgba)
    assert alpha is None and np.array_equal(np.asarray(rgb), ramp())
    rgb, alpha = split_alpha(np.zeros((20, 20, 4), np.uint8))  # nothing is visible
    assert alpha is not None and alpha.max() == 0 and np.asarray(rgb).min() == 255


def test_notes_stay_with_the_image() -> None:
    assert images.note_of(to_rgb(ramp())) == ""
