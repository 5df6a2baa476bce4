"""Heat maps over photos, for Grad-CAM."""

import numpy as np


def overlay(photo: np.ndarray, heat: np.ndarray, opacity: float = 0.55) -> np.ndarray:
    """A heat map in inferno's colours over the photo in grey.

    Args:
        photo: uint8 (H, W, 3).
        heat: float (h, w) in [0, 1], stretched over the photo.
        opacity: of the colours, 0 to 1.
    Returns:
        uint8 (H, W, 3).
    """
    import cv2  # takes 0.3 s; the page is built without it

    height, width = photo.shape[:2]
    heat = cv2.resize(heat.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    levels = (heat.clip(0, 1) * 255).round().astype(np.uint8)
    colours = cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO)[..., ::-1]  # BGR -> RGB
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)[..., None]
    return ((1 - opacity) * grey + opacity * colours).round().astype(np.uint8)
