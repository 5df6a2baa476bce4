"""Deep pixels as 8 bits: which values are black and white is known from the file or its values."""

import numpy as np

from tasks.core.image_files.errors import ImageError

BITS = (8, 10, 12, 14, 16)  # that cameras and scanners have
FLOAT_FILLED = 4  # a float image of real 12 bits has values above 4095 / FLOAT_FILLED


def to_8_bits(values: np.ndarray, bits: int | None = None) -> tuple[np.ndarray, str]:
    """(uint8 of the same shape, a sentence on the range or "").

    Args:
        values: unsigned, signed or float, of any shape.
        bits: that an unsigned value has, if the file says so.
    Raises:
        ImageError: NaN or infinite values.
    """
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ImageError(
            "The image holds NaN or infinite values. Save it as an 8 or 16 bit PNG and send that."
        )
    black, white = _range(values, low, high, bits)
    full = 255.0 if values.dtype.itemsize == 1 else 65535.0
    usual = black == 0 and white in (1.0, 255.0, full)
    step = np.float32(255 / (white - black))
    pixels = ((values.astype(np.float32) - np.float32(black)) * step).clip(0, 255)
    note = f"Values from {black:g} to {white:g} are shown from black to white."
    return pixels.round().astype(np.uint8), "" if usual else note


def _range(values: np.ndarray, low: float, high: float, bits: int | None) -> tuple[float, float]:
    """The values that become black and white."""
    if values.dtype == np.uint8:
        return 0.0, 255.0
    if low < 0:
        is_unit = values.dtype.kind == "f" and low >= -1 and high <= 1
        return (-1.0, 1.0) if is_unit else (low, max(high, low + 1))
    if bits is not None and high < 2**bits:
        return 0.0, 2.0**bits - 1
    if values.dtype.kind == "f" and high <= 1:
        return 0.0, 1.0
    tops = [2.0**n - 1 for n in BITS]
    if values.dtype.kind == "i" and values.dtype.itemsize == 2:
        tops.insert(-1, 32767.0)
    top = next((t for t in tops if t >= high), high)
    if low == high:  # one value: nothing tells its range but its kind
        return 0.0, 65535.0 if values.dtype.kind == "u" and values.dtype.itemsize == 2 else top
    is_filled = values.dtype.kind != "f" or high * FLOAT_FILLED > top
    return 0.0, top if is_filled else high
