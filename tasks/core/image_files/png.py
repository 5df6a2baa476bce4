"""PNG files of 16 bits in colour or with transparency, of which Pillow keeps the upper 8."""

import numpy as np
from PIL import Image

from tasks.core.image_files.depth import to_8_bits

GREY_ALPHA, RGB, RGBA = 4, 2, 6  # PNG's colour types
QUARTER = 63  # no upper byte is above it: 14 bits or fewer in 16


def of_few_bits(data: bytes, image: Image.Image) -> tuple[Image.Image, str]:
    """(the image, brightened where its 16 bits hold 14 or fewer; a sentence or "").

    Args:
        data: the PNG file. image: as Pillow has read it.
    """
    if data[24:25] != b"\x10" or data[25] not in (GREY_ALPHA, RGB, RGBA):
        return image, ""
    upper = np.asarray(image)
    colours = upper[..., : 1 if image.mode == "LA" else 3]
    if colours.max() > QUARTER:
        return image, ""
    import cv2  # takes 0.3 s; the page is built without it

    deep = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if deep is None or deep.dtype != np.uint16 or deep.shape[:2] != upper.shape[:2]:
        return image, ""
    pixels, note = to_8_bits(deep[..., :3][..., ::-1])
    brightened = Image.fromarray(pixels)
    if image.mode in ("LA", "RGBA"):
        brightened.putalpha(Image.fromarray(upper[..., -1]))
    return brightened, note
