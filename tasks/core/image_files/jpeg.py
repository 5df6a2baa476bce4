"""A JPEG file that breaks off, as browsers show it: what is there, and grey below."""

import re
from io import BytesIO

import numpy as np
from PIL import Image

END = b"\xff\xd9"
OTHER = bytes(range(1, 200)) * 400  # any bits that a decoder takes for the missing ones
MAX_MISSING = 0.3  # share of the lines
SCANS = 3  # of a progressive file: by then every pixel has its colour, if a coarse one


def without_end(data: bytes) -> tuple[Image.Image, str] | None:
    """(the decoded image, a sentence on what is missing); None: too little is there.

    Args:
        data: a JPEG file that Pillow calls truncated.
    """
    cut = data.rstrip(b"\0\xff")
    image = _decoded(cut + END)
    if image is None:
        return None
    if image.info.get("progressive"):
        if len(re.findall(rb"\xff\xda", data)) < SCANS:
            return None
        return image, "The file breaks off: its last details are missing."
    other = _decoded(cut + OTHER + END)
    missing = 1.0 if other is None else _differing(image, other)
    if missing > MAX_MISSING:
        return None
    if missing == 0:
        return image, "The file has no end; all of its pixels are there."
    return image, f"The file breaks off: the lowest {100 * missing:.0f} % are missing."


def _decoded(data: bytes) -> Image.Image | None:
    try:
        image = Image.open(BytesIO(data), formats=("JPEG",))
        image.load()
    except Exception:  # damaged bytes lead decoders to many kinds
        return None
    return image


def _differing(one: Image.Image, other: Image.Image) -> float:
    """Share of the lines that depend on what is missing."""
    lines = (np.asarray(one) != np.asarray(other)).reshape(one.height, -1).any(1)
    return float(1 - lines.argmax() / one.height) if lines.any() else 0.0
