"""Boxes and labels drawn into an image, in the colours of the live view."""

import cv2
import numpy as np

from tasks.core.palettes import class_colour
from tasks.detection.detector import Detections

TEXT_COLOUR = (17, 17, 17)
FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw(rgb: np.ndarray, found: Detections) -> np.ndarray:
    """A copy of uint8 (H, W, 3) with boxes and labels, the most confident on top."""
    out = np.ascontiguousarray(rgb).copy()
    unit = max(out.shape[:2]) / 640  # lines and letters keep their size relative to the image
    line, text_scale = max(1, round(2 * unit)), max(0.35, 0.5 * unit)
    order = range(len(found) - 1, -1, -1)
    for i in order:
        left, top, right, bottom = (round(float(v)) for v in found.xyxy[i])
        colour = class_colour(int(found.class_id[i]))
        cv2.rectangle(out, (left, top), (right, bottom), colour, line, cv2.LINE_AA)
    for i in order:  # after all boxes, whose lines would cross them
        _draw_label(out, found, i, line, text_scale)
    return out


def _draw_label(out: np.ndarray, found: Detections, i: int, line: int, text_scale: float) -> None:
    """Class, track number and confidence of box `i`, above it where there is room."""
    track = f" #{found.track_id[i]}" if found.track_id is not None else ""
    text = f"{found.labels[i]}{track} {100 * found.confidence[i]:.0f} %"
    thickness, pad = max(1, line // 2), 2 * line
    (width, height), below = cv2.getTextSize(text, FONT, text_scale, thickness)
    wide, tall = width + 2 * pad, height + below + 2 * line
    left, top = round(float(found.xyxy[i, 0])), round(float(found.xyxy[i, 1]))
    x = int(np.clip(left, 0, max(0, out.shape[1] - wide)))
    y = top - tall if top >= tall else top
    colour = class_colour(int(found.class_id[i]))
    cv2.rectangle(out, (x, y), (x + wide, y + tall), colour, cv2.FILLED)
    at = (x + pad, y + height + line)
    cv2.putText(out, text, at, FONT, text_scale, TEXT_COLOUR, thickness, cv2.LINE_AA)
