"""TIFF files beyond what Pillow reads: the full page behind a thumbnail, and unusual pixels.

A TIFF (TIFF 6.0, 1992; DNG, NEF and CR2 are built as it is) is a list of directories, one a page,
each with tags for size, kind of pixels and where they lie; a page may have pages below it. Pillow
reads the usual kinds. For others a directory is appended that calls a page's bytes one grey channel
of 8 bits, whatever they mean: Pillow decompresses them, and they are understood here.
"""

import struct
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import ExifTags, Image

from tasks.core.image_files.depth import to_8_bits
from tasks.core.image_files.errors import ImageError

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MAX_PAGES = 64
MAX_BYTES = 400_000_000  # of a page of unusual pixels, decompressed
SAME_SHAPE = 0.04  # by which the ratios of sides of a page and its thumbnail may differ
RAW = (32803, 34892)  # photometric: a sensor's values before demosaicing
LOSSLESS = (1, 5, 8, 32773, 32946, 34925, 50000)  # none, LZW, deflate, PackBits, LZMA, Zstandard
MAX_TAGS = 1000  # of a page
# types of a tag's values -> numpy's; text and fractions are not needed
TYPES = {
    1: "u1",
    3: "u2",
    4: "u4",
    6: "i1",
    7: "u1",
    8: "i2",
    9: "i4",
    13: "u4",
    16: "u8",
    18: "u8",
}
BITS, SAMPLE_FORMAT, ICC_PROFILE = 258, 339, 34675
KINDS = {1: "unsigned", 2: "signed", 3: "float"}


@dataclass(frozen=True)
class Page:
    """One directory. offset: where it lies in the file; tags: number -> (kind, its bytes)."""

    offset: int
    order: str  # of bytes: "<" or ">"
    tags: dict[int, tuple[str, memoryview]]

    def many(self, tag: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        if tag not in self.tags:
            return default
        kind, raw = self.tags[tag]
        return tuple(int(v) for v in np.frombuffer(raw, self.order + kind))

    def one(self, tag: int, default: int) -> int:
        return (self.many(tag) or (default,))[0]

    @property
    def size_wh(self) -> tuple[int, int]:
        return self.one(256, 0), self.one(257, 0)

    @property
    def area(self) -> int:
        return self.size_wh[0] * self.size_wh[1]

    @property
    def is_reduced(self) -> bool:
        return bool(self.one(254, 0) & 1) or self.one(255, 1) == 2

    @property
    def is_image(self) -> bool:
        return self.area > 0 and not self.one(254, 0) & 4 and self.one(262, 1) not in (4, *RAW)

    @property
    def kind(self) -> str:
        """In words: "32 bit float, 3 channels"."""
        bits, n = self.many(258, (1,)), self.one(277, 1)
        channels = "grey" if n == 1 else f"{n} channels"
        planes = ", in separate planes" if self.one(284, 1) == 2 and n > 1 else ""
        return f"{bits[0]} bit {KINDS.get(self.one(339, 1), 'complex')}, {channels}{planes}"


def pages(data: bytes) -> list[Page]:
    """Every page, those below another one directly behind it; at most MAX_PAGES."""
    order, is_big = ("<" if data[:2] == b"II" else ">"), b"+" in data[2:4]
    view, seen = memoryview(data), set()
    found: list[Page] = []
    try:
        waiting = list(
            struct.unpack_from(order + ("Q" if is_big else "I"), data, 8 if is_big else 4)
        )
    except struct.error:
        return []
    while waiting and len(found) < MAX_PAGES:
        offset = waiting.pop(0)
        if offset in seen:
            continue
        seen.add(offset)
        try:
            page, following = _directory(view, offset, order, is_big)
        except struct.error:  # it lies outside of the file
            continue
        found.append(page)
        waiting = [*page.many(330)[:MAX_PAGES], *waiting[:MAX_PAGES], following]
    return found


def _directory(data: memoryview, offset: int, order: str, is_big: bool) -> tuple[Page, int]:
    """A page, and where the next one lies. Raises struct.error outside of the file."""
    if offset < 8:
        raise struct.error
    (count,) = struct.unpack_from(order + ("Q" if is_big else "H"), data, offset)
    at, tags = offset + (8 if is_big else 2), {}
    entry, inline = (order + "HHQ", 8) if is_big else (order + "HHI", 4)
    step = struct.calcsize(entry) + inline
    for k in range(min(count, MAX_TAGS)):
        tag, kind, n = struct.unpack_from(entry, data, at + k * step)
        place = at + k * step + step - inline
        if kind not in TYPES:
            continue
        size = n * np.dtype(TYPES[kind]).itemsize
        fits = size <= inline and not (
            tag in (BITS, SAMPLE_FORMAT) and n > 1 and _is_place(data, place, order)
        )
        if not fits:
            (place,) = struct.unpack_from(order + ("Q" if is_big else "I"), data, place)
        if 0 < size <= len(data) - place:
            tags[tag] = TYPES[kind], data[place : place + size]
    (following,) = struct.unpack_from(order + ("Q" if is_big else "I"), data, at + count * step)
    return Page(offset, order, tags), following


def _is_place(data: memoryview, at: int, order: str) -> bool:
    """Whether there is an offset where two numbers would fit, as some writers have it."""
    first, _ = struct.unpack_from(order + "HH", data, at)
    return first > 64 or first == 0  # no bits a channel


def full_page(found: list[Page]) -> tuple[Page, str]:
    """The first page, or the one that it is a thumbnail of; and a sentence, or "".

    Raises ImageError: nothing but the raw values of a sensor.
    """
    first, images = found[0], [page for page in found if page.is_image]
    raw = max((p for p in found if p.one(262, 1) in RAW), key=lambda p: p.area, default=None)
    if not images:
        raise ImageError(
            "The TIFF holds a sensor's raw values and no finished image. Develop it in the "
            "camera's program and send a JPEG."
        )
    behind = [page for page in images if page.area > first.area and _is_thumbnail(first, page)]
    best = max(behind, key=lambda page: page.area) if behind else first
    best = best if best.is_image else max(images, key=lambda page: page.area)
    width, height = best.size_wh
    if raw is not None and raw.area > best.area * 1.05:
        return best, (
            f"The sensor's raw values ({raw.size_wh[0]} x {raw.size_wh[1]}) are not developed here;"
            f" the file's preview of {width} x {height} px is used."
        )
    if best is not first:
        return best, f"The file begins with a thumbnail; its page of {width} x {height} px is used."
    return best, ""


def _is_thumbnail(first: Page, page: Page) -> bool:
    ratios = [w / h for w, h in (first.size_wh, page.size_wh)] if first.area else [1.0, 1.0]
    turned = abs(ratios[0] * ratios[1] - 1) < SAME_SHAPE
    same = abs(ratios[0] / ratios[1] - 1) < SAME_SHAPE or turned
    return first.is_reduced or (same and not page.is_reduced)


def beginning_with(data: bytes, page: Page) -> bytes:
    """The file with this page as its first."""
    if b"+" in data[2:4]:
        return data[:8] + struct.pack(page.order + "Q", page.offset) + data[16:]
    return data[:4] + struct.pack(page.order + "I", page.offset) + data[8:]


def unusual(data: bytes, page: Page) -> tuple[Image.Image, str] | None:
    """(an 8-bit image, a sentence or "") of a page that Pillow reads wrongly or not; else None.

    Raises ImageError: pixels of a kind that is not read here.
    """
    bits, n = page.many(258, (1,)), page.one(277, 1)
    is_deep = max(bits) > 8 or page.one(339, 1) != 1
    is_planar = page.one(284, 1) == 2 and n > 1
    if not (is_deep or is_planar or page.one(262, 1) == 0) or max(bits) < 8:
        return None
    if page.one(259, 1) not in LOSSLESS or page.one(262, 1) not in (0, 1, 2):
        return None
    known = bits[0] in (16, 32, 64) or (bits[0] == 8 and page.one(339, 1) != 3)
    if len(set(bits)) > 1 or not known or page.one(339, 1) not in KINDS:
        raise ImageError(not_read(page))
    values = _values(data, page)
    deep, note = to_8_bits(values[..., : 3 if n >= 3 else 1], _declared_bits(page))
    if page.one(262, 1) == 0:
        deep = 255 - deep
    if n in (2, 4):
        alpha = to_8_bits(values[..., -1:], bits[0] if values.dtype.kind == "u" else None)[0]
        deep = np.dstack([deep, alpha])
    image = Image.fromarray(deep[..., 0] if deep.shape[2] == 1 else deep)
    if ICC_PROFILE in page.tags:
        image.info["icc_profile"] = bytes(page.tags[ICC_PROFILE][1])
    image.getexif()[ExifTags.Base.Orientation] = page.one(274, 1)
    return image, note


def _declared_bits(page: Page) -> int | None:
    """By MaxSampleValue, if it says something that the container does not."""
    top = page.one(281, 0)
    return top.bit_length() if 255 < top < 65535 else None


def not_read(page: Page) -> str:
    return (
        f"This kind of TIFF is not read here ({page.kind}). Save it as a TIFF or PNG of 8 or 16 "
        "bits and send that."
    )


def _values(data: bytes, page: Page) -> np.ndarray:
    """(H, W, channels) in the file's own kind of number."""
    (width, height), n = page.size_wh, page.one(277, 1)
    order = page.order
    kind = np.dtype(f"{order}{'uif'[page.one(339, 1) - 1]}{page.many(258, (1,))[0] // 8}")
    if width * height * n * kind.itemsize > MAX_BYTES:
        raise ImageError(
            f"The TIFF has {width} x {height} px of {page.kind}: too much to read. Send it in 8 "
            "bits."
        )
    starts, lengths = (
        (page.many(324), page.many(325))
        if 324 in page.tags
        else (
            page.many(273),
            page.many(279),
        )
    )
    planes = n if page.one(284, 1) == 2 else 1
    per_plane, inside = len(starts) // planes, n // planes
    out = []
    for k in range(planes):
        part = slice(k * per_plane, (k + 1) * per_plane)
        raw = _bytes_of(data, page, starts[part], lengths[part], inside * kind.itemsize)
        values = raw.view(kind).reshape(height, width, inside)
        out.append(_without_predictor(values, raw, page, inside))
    return np.concatenate(out, 2)


def _bytes_of(
    data: bytes, page: Page, starts: tuple[int, ...], lengths: tuple[int, ...], pixel: int
) -> np.ndarray:
    """uint8 (H, W * pixel): decompressed by Pillow, which is told of grey pixels of 8 bits."""
    width, height = page.size_wh
    tags: list[tuple[int, tuple[int, ...]]] = [
        (256, (width * pixel,)),
        (257, (height,)),
        (258, (8,)),
        (259, (page.one(259, 1),)),
        (262, (1,)),
        (277, (1,)),
    ]
    if 324 in page.tags:
        tags += [(322, (page.one(322, 0) * pixel,)), (323, (page.one(323, 0),))]
        tags += [(324, starts), (325, lengths)]
    else:
        tags += [(273, starts), (278, (page.one(278, height),)), (279, lengths)]
    try:
        with Image.open(BytesIO(_with_directory(data, sorted(tags))), formats=("TIFF",)) as image:
            return np.array(image)
    except Exception as error:  # damaged bytes lead decoders to many kinds
        raise ImageError(
            f"The TIFF ({page.kind}) breaks off, is damaged or is too large to read. Save it as a "
            "PNG and send that."
        ) from error


def _with_directory(data: bytes, tags: list[tuple[int, tuple[int, ...]]]) -> bytes:
    """The file with one more directory, of 32-bit numbers, which is its first."""
    order = "<" if data[:2] == b"II" else ">"
    body, end = bytearray(data), len(data) + len(data) % 2
    body += bytes(end - len(data))
    entries, behind = b"", b""
    behind_at = end + 2 + 12 * len(tags) + 4
    for tag, values in tags:
        packed = struct.pack(f"{order}{len(values)}I", *values)
        place = packed
        if len(values) > 1:
            place = struct.pack(order + "I", behind_at + len(behind))
            behind += packed
        entries += struct.pack(order + "HHI", tag, 4, len(values)) + place
    body += struct.pack(order + "H", len(tags)) + entries + bytes(4) + behind
    body[:8] = data[:2] + struct.pack(order + "HI", 42, end)
    return bytes(body)


def _without_predictor(values: np.ndarray, raw: np.ndarray, page: Page, n: int) -> np.ndarray:
    """The numbers themselves, where the file has differences of neighbours (tag 317)."""
    predictor, tile = page.one(317, 1), page.one(322, 0)
    if predictor == 1 or page.one(259, 1) == 1:
        return values
    width = tile or values.shape[1]
    for left in range(0, values.shape[1], width):
        part = values[:, left : left + width]
        if predictor == 2:
            native = part.astype(part.dtype.newbyteorder("="))
            sums = np.cumsum(
                native.view(f"u{part.dtype.itemsize}"), 1, dtype=f"u{part.dtype.itemsize}"
            )
            values[:, left : left + width] = sums.view(native.dtype)
        elif predictor == 3 and not tile:
            size = part.dtype.itemsize
            bytes_ = raw.reshape(len(raw), -1, n)
            sums = np.cumsum(bytes_, 1, dtype=np.uint8).reshape(len(raw), size, -1)
            big = np.ascontiguousarray(sums.transpose(0, 2, 1))  # most significant byte first
            values = big.view(f">f{size}").reshape(values.shape)
        else:
            raise ImageError(not_read(page))
    return values
