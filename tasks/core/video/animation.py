"""Animated WebP and PNG as frames in time, by Pillow: this ffmpeg reads their first image only."""

from collections.abc import Iterator
from fractions import Fraction
from io import BytesIO

import numpy as np
from av.video.frame import VideoFrame
from PIL import Image

MS = Fraction(1, 1000)
FASTEST = 10  # ms; browsers show frames of 10 ms and less for USUAL
USUAL = 100


def durations(data: bytes) -> list[int]:
    """ms of each frame, from the file's chunks; [] where it is no animation."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        found = [_little(body[12:15]) for name, body in _riff(data) if name == b"ANMF"]
    elif data.startswith(b"\x89PNG\r\n\x1a\n"):
        found = [_of_fctl(body) for name, body in _png(data) if name == b"fcTL"]
    else:
        return []
    return [USUAL if ms <= FASTEST else ms for ms in found] if len(found) > 1 else []


def frames(data: bytes, ms: list[int], most: int) -> Iterator[VideoFrame]:
    """RGBA frames with their times; a damaged one ends them.

    Args:
        data: the file. ms: the duration of each frame. most: px that a frame may have.
    """
    try:
        image = Image.open(BytesIO(data), formats=("WEBP", "PNG"))
    except Exception:  # damaged bytes lead decoders to many kinds
        return
    if image.width * image.height > most:
        return
    begin = 0
    for k, length in enumerate(ms):
        try:
            image.seek(k)
            rgba = np.asarray(image.convert("RGBA"))
        except Exception:  # the same
            return
        frame = VideoFrame.from_ndarray(rgba, "rgba")
        frame.pts, frame.time_base, frame.duration = begin, MS, length
        begin += length
        yield frame


def _riff(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at + 8 <= len(data):
        size = _little(data[at + 4 : at + 8])
        yield data[at : at + 4], data[at + 8 : at + 8 + min(size, 16)]
        at += 8 + size + size % 2


def _png(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + min(size, 26)]
        at += 12 + size


def _little(number: bytes) -> int:
    return int.from_bytes(number, "little")


def _of_fctl(body: bytes) -> int:
    """A frame control chunk's delay: numerator and denominator, where 0 is 100."""
    above, below = int.from_bytes(body[20:22], "big"), int.from_bytes(body[22:24], "big")
    return round(1000 * above / (below or 100))
