"""Heat maps over photos: where a network looked."""

import numpy as np

STOPS = ("#000004", "#420a68", "#932667", "#dd513a", "#fca50a", "#fcffa4")
"""Inferno (Smith and van der Walt 2015) at 0, 0.2, ... 1, for a legend: dark to light evenly, in colour and in grey."""


def overlay(photo: np.ndarray, heat: np.ndarray, opacity: float = 0.55) -> np.ndarray:
    """A heat map in inferno's colours, through which the photo shines in grey.

    Args:
        photo: uint8 (H, W, 3).
        heat: float (h, w) in [0, 1], stretched over the photo.
        opacity: of the colours, 0 to 1.
    Returns:
        uint8 (H, W, 3).
    """
    import cv2  # 0.3 s that the page need not wait for

    height, width = photo.shape[:2]
    smooth = cv2.resize(heat.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    colours = cv2.applyColorMap((smooth * 255).round().astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)[..., None]
    return ((1 - opacity) * grey + opacity * colours).round().astype(np.uint8)
