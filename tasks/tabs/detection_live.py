"""Live detection: the page shows its camera and asks for boxes, frame by frame.

The widget (live_camera.* with live_detection.*) calls two server functions: `prepare_detector` when a network is
chosen, `detect_frame` for as many frames as the server can take. What is kept of a visitor is a tracker, for a
minute.
"""

import json
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

from tasks import compute
from tasks.images import ImageError
from tasks.tabs import detectors
from tasks.tabs.errors import answering_json
from tasks.tabs.live_camera import decode_frame, live_camera, token_of

if TYPE_CHECKING:
    from tasks.detection import Tracker

MAX_VISITORS = 64  # trackers kept
GONE_S = 60  # after which a visitor's tracker is forgotten


@dataclass
class Visitor:
    """What is kept of one open page."""

    model: str
    tracker: "Tracker"
    seen: float  # s, monotonic
    frame: int = -1  # the newest that the tracker saw
    lock: threading.Lock = field(default_factory=threading.Lock)


class Visitors:
    """One tracker a page, so that visitors' ids do not mix; the oldest leave."""

    def __init__(self) -> None:
        self._all: OrderedDict[str, Visitor] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._all)

    def of(self, token: str, model: str) -> Visitor:
        """The visitor with this token, with a new tracker for a new model."""
        from tasks.detection import Tracker

        now = time.monotonic()
        with self._lock:
            visitor = self._all.pop(token, None)
            if visitor is None or visitor.model != model:
                visitor = Visitor(model, Tracker(), now)
            visitor.seen = now
            self._all[token] = visitor
            while self._all and (len(self._all) > MAX_VISITORS or now - next(iter(self._all.values())).seen > GONE_S):
                self._all.popitem(last=False)
        return visitor


VISITORS = Visitors()


@answering_json
def prepare_detector(name: str) -> dict[str, Any]:
    """Load a network, with its download if need be: what the page must know of it, or {"error"}."""
    import numpy as np

    model = detectors.detector(name)
    size = 416 if 416 in model.sizes and model.card is None else model.default_size
    model.detect_array(np.zeros((480, 640, 3), np.uint8), size=size, bars=False)  # a first pass compiles
    return {
        "name": name,
        "classes": list(model.class_names),
        "needs_nms": model.needs_nms,
        "sizes": list(model.sizes),
        "size": size,
        "engine": model.engine.title,
    }


@answering_json
def detect_frame(request: dict[str, Any]) -> dict[str, Any]:
    """One frame of a camera.

    Args:
        request: "jpeg" (data URL), "visitor" (32 hex digits), "frame" (its number), "model", "size", "confidence",
            "iou", "classes" (ids or None), "track".
    Returns:
        {"boxes": [[left, top, right, bottom], ...] as shares of the frame's sides, "confidence", "kind" (class ids),
        "track" (numbers) or None, "ms"}, or {"busy": True} at once where the server has enough to do, or {"late": True}
        where a newer frame was answered before, or {"error"}.
    """
    token = token_of(request)
    frame = request.get("frame")
    if type(frame) is not int:
        raise ImageError(f"The frame's number is needed; {str(frame)[:20]!r} came.")
    from tasks.detection import TRACKING_FLOOR

    model = detectors.detector(request.get("model", ""))
    confidence, track = request.get("confidence", 0.25), bool(request.get("track"))
    try:
        with detectors.TURNS.turn(token):
            rgb = decode_frame(request.get("jpeg"))
            with compute.stopwatch() as ms:
                model.check(confidence, request.get("iou", 0.7), request.get("classes"), request.get("size"))
                found = model.detect_array(
                    rgb, min(TRACKING_FLOOR, confidence) if track else confidence, request.get("iou", 0.7),
                    request.get("classes"), request.get("size"), bars=False,
                )  # fmt: skip
            took = ms() - found.prepared_ms
            if track:
                visitor = VISITORS.of(token, model.name)
                with visitor.lock:
                    if frame <= visitor.frame:  # frames are computed side by side; a newer one was quicker
                        return {"late": True}
                    visitor.frame = frame
                    found = visitor.tracker.update(found, confidence)
    except compute.BusyError:
        return {"busy": True}
    height, width = rgb.shape[:2]
    boxes = found.xyxy / [width, height, width, height]
    return {
        "boxes": boxes.round(4).tolist(),
        "confidence": found.confidence.astype(float).round(3).tolist(),
        "kind": found.class_id.tolist(),
        "track": None if found.track_id is None else found.track_id.tolist(),
        "ms": round(took, 2),
    }


def build_live() -> None:
    offered = escape(json.dumps(detectors.choices()), quote=True)
    live_camera(
        "detection", "Boxes around what was found", "detections", [prepare_detector, detect_frame], offered=offered
    )
