"""Boxes, labels and trails drawn into a picture, in the colours of the live view."""

import cv2
import numpy as np

from tasks.detection import Detections

COLOURS = (
    (45, 212, 191),
    (251, 146, 60),
    (167, 139, 250),
    (250, 204, 21),
    (96, 165, 250),
    (244, 114, 182),
    (74, 222, 128),
    (248, 113, 113),
    (34, 211, 238),
    (192, 132, 252),
)
"""RGB, by class id; tasks/tabs/live_detection.js has the same."""

INK = (17, 17, 17)
FONT = cv2.FONT_HERSHEY_SIMPLEX


def colour_of(class_id: int) -> tuple[int, int, int]:
    """RGB."""
    return COLOURS[class_id % len(COLOURS)]


def draw(rgb: np.ndarray, found: Detections) -> np.ndarray:
    """A copy of uint8 (H, W, 3) with each box, its class, its track's number and its confidence, the surest on top."""
    out = np.ascontiguousarray(rgb).copy()
    unit = max(out.shape[:2]) / 640  # lines and letters keep their size relative to the picture
    line, text_scale = max(1, round(2 * unit)), max(0.35, 0.5 * unit)
    order = range(len(found) - 1, -1, -1)
    for i in order:
        left, top, right, bottom = (round(float(v)) for v in found.xyxy[i])
        cv2.rectangle(out, (left, top), (right, bottom), colour_of(int(found.class_id[i])), line, cv2.LINE_AA)
    for i in order:  # after all boxes, whose lines would cross them
        track = f" #{found.track_id[i]}" if found.track_id is not None else ""
        text = f"{found.labels[i]}{track} {100 * found.confidence[i]:.0f} %"
        (width, height), below = cv2.getTextSize(text, FONT, text_scale, max(1, line // 2))
        pad = 2 * line
        wide, tall = width + 2 * pad, height + below + 2 * line
        left, top = round(float(found.xyxy[i, 0])), round(float(found.xyxy[i, 1]))
        x = int(np.clip(left, 0, max(0, out.shape[1] - wide)))
        y = top - tall if top >= tall else top
        cv2.rectangle(out, (x, y), (x + wide, y + tall), colour_of(int(found.class_id[i])), cv2.FILLED)
        cv2.putText(out, text, (x + pad, y + height + line), FONT, text_scale, INK, max(1, line // 2), cv2.LINE_AA)
    return out
