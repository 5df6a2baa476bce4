"""The frame of an animation that stands for it: the first, or the fullest where that is empty."""

import numpy as np
from PIL import Image

MAX_FRAMES = 60  # that are looked at
MAX_PIXELS = 100_000_000  # of them all
SHOWN = 8  # grey levels from the ground at which a pixel shows something
SIDE = 128  # px at which frames are compared


def fullest_frame(image: Image.Image) -> str:
    """Move an opened file to the frame that stands for it; a sentence if that is not the first."""
    frames = int(getattr(image, "n_frames", 1))
    if frames < 2 or _filled(image) > 0:
        return ""
    best, share = 0, 0.0
    for k in range(1, min(frames, MAX_FRAMES, MAX_PIXELS // (image.width * image.height))):
        try:
            image.seek(k)
            filled = _filled(image)
        except (EOFError, OSError, ValueError, SyntaxError):  # it breaks off here
            break
        if filled > share:
            best, share = k, filled
    image.seek(best)
    return f"The first frame is empty; frame {best + 1} of {frames} is used." if best else ""


def _filled(image: Image.Image) -> float:
    """Share of the pixels that differ from the ground, the colour most often at the rim."""
    shown = image.convert("RGBA")
    shown.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    white = Image.new("RGBA", shown.size, "white")
    grey = np.asarray(Image.alpha_composite(white, shown).convert("RGB"), np.int16)
    rim = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    return float((np.abs(grey - np.median(rim, 0)).max(2) > SHOWN).mean())
