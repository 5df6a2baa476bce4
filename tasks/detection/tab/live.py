"""Live detection: the page shows its camera and asks for boxes, frame by frame.

The widget (live_camera.* with live.*) calls two server functions: `prepare_detector`
when a network is chosen, `detect_frame` for as many frames as the server can take. What is kept of
a visitor is a tracker, for a minute.
"""

import json
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks import loaders, models
from tasks.core import scheduling
from tasks.core.device import stopwatch
from tasks.core.images import ImageError
from tasks.core.palettes import CLASS_COLOURS
from tasks.core.weights import WeightsError
from tasks.ui.errors import return_errors
from tasks.ui.live_camera import decode_frame, live_camera, parse_graphics, parse_visitor
from tasks.ui.on_device import runtime
from tasks.ui.on_device.files import ON_DEVICE, device_files, runtime_files

if TYPE_CHECKING:
    import numpy as np

    from tasks.detection.detector import Detections
    from tasks.detection.tracker import Tracker
    from tasks.detection.zones import ZoneCounter

HERE = Path(__file__).parent
MAX_VISITORS = 64  # trackers kept
GONE_S = 60  # after which a visitor's tracker is deleted


@dataclass
class Visitor:
    """What is kept of one open page."""

    model: str
    tracker: "Tracker"
    seen: float  # s, monotonic
    frame: int = -1  # the newest that the tracker saw
    zones: object = None  # as the page sent them
    size_wh: tuple[int, int] = (0, 0)
    counter: "ZoneCounter | None" = None
    began: float = 0.0  # s, monotonic: when the counter did
    lock: threading.Lock = field(default_factory=threading.Lock)


class Visitors:
    """One tracker a page, so that visitors' ids do not mix; the oldest are deleted."""

    def __init__(self) -> None:
        self._all: OrderedDict[str, Visitor] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._all)

    def of(self, token: str, model: str) -> Visitor:
        """The visitor with this token, with a new tracker for a new model."""
        from tasks.detection.tracker import Tracker

        now = time.monotonic()
        with self._lock:
            visitor = self._all.pop(token, None)
            if visitor is None or visitor.model != model:
                visitor = Visitor(model, Tracker(), now)
            visitor.seen = now
            self._all[token] = visitor
            while self._all and (
                len(self._all) > MAX_VISITORS or now - next(iter(self._all.values())).seen > GONE_S
            ):
                self._all.popitem(last=False)
        return visitor


VISITORS = Visitors()


@return_errors
def prepare_detector(name: str) -> dict[str, Any]:
    """Load a network, with its download if need be, for the page.

    Returns at once: {"loading": True}, and the page asks again; what it must know of the network;
    or {"error"}.
    """
    key = ("detector", str(name)[:40])
    return scheduling.LOADS.poll(key, lambda _: _load_detector(name)) or {"loading": True}


def offered_detectors(_: object = None) -> dict[str, Any]:
    """{"choices": as `models.detector_choices`, "fetching": whether there will soon be others,
    "no_device": why browsers cannot compute, or "", "at_once": networks that they can compute
    without any work here, which the page may try by itself}."""
    from tasks.detection import background

    return {
        "choices": models.detector_choices(),
        "fetching": background.is_fetching(),
        "no_device": runtime.reason_against(),
        "at_once": _ready_for_browsers(),
    }


def _ready_for_browsers() -> list[str]:
    """Networks that browsers can compute without any work here."""
    if not runtime.is_here():
        return []
    from tasks.detection import checkpoints

    candidates = (models.FETCHED, *models.DETECTOR_FILES)
    return [name for name in candidates if checkpoints.is_exported(name, "onnx")]


@return_errors
def prepare_on_device(request: dict[str, Any]) -> dict[str, Any]:
    """Make a network ready for the visitor's own browser.

    Args:
        request: "model", and "gpu": whether the browser has WebGPU.
    Returns at once: {"loading": True}, and the page asks again; addresses as of `device_files`,
    with "final" (the network gives final boxes); or {"error"}.
    """
    gpu, name = parse_graphics(request), str(request.get("model", ""))[:40]
    key = ("detector on device", name, gpu)
    return scheduling.LOADS.poll(key, lambda report: _export(name, gpu, report)) or {
        "loading": True
    }


def _export(name: str, gpu: bool, report: scheduling.Progress) -> dict[str, Any]:
    from tasks.detection import checkpoints

    model = loaders.detector(name)
    file = checkpoints.file_of(name)
    if file is None:
        raise WeightsError(f"{name} is computed by the server only; .pt files also by browsers.")
    runtime_files(gpu, report)  # first: perhaps it cannot be had
    network = checkpoints.exported(file, to="onnx")
    files = device_files(network, HERE / "on_device.js", report, gpu)
    return files | {"final": not model.needs_nms}


def _load_detector(name: str) -> dict[str, Any]:
    import numpy as np

    model = loaders.detector(name)
    size = 416 if 416 in model.sizes and model.card is None else model.default_size
    # a first pass compiles
    model.detect_array(np.zeros((480, 640, 3), np.uint8), size=size)
    return {
        "name": name,
        "classes": list(model.class_names),
        "needs_nms": model.needs_nms,
        "sizes": list(model.sizes),
        "size": size,
        "engine": model.engine.title,
    }


@return_errors
def detect_frame(request: dict[str, Any]) -> dict[str, Any]:
    """One frame of a camera.

    Args:
        request: "jpeg" (data URL), "visitor" (32 hex digits), "frame" (its number), "model",
            "size", "confidence", "iou", "classes" (ids or None), "track", "zones" (as
            `parse_zones` takes them, or None; counted where "track" is on).
    Returns:
        {"boxes": [[left, top, right, bottom], ...] as shares of the frame's sides, "confidence",
        "kind" (class ids), "track" (numbers) or None, "tracks" ([class id, how many so far], ...)
        or None, "zones" (a summary each) or None, "events" (of this frame), "ms"}, or {"busy":
        True} at once where the server has enough to do, or {"late": True} where a newer frame was
        answered before, or {"error"}.
    """
    token = parse_visitor(request)
    frame = request.get("frame")
    if type(frame) is not int:
        raise ImageError(f"The frame's number is needed; {str(frame)[:20]!r} came.")
    from tasks.detection.tracker import TRACKING_FLOOR

    name = str(request.get("model", ""))[:40]
    prepared = {} if loaders.has_detector(name) else prepare_detector(name)
    if "loading" in prepared or "error" in prepared:
        return {"busy": True} if "loading" in prepared else prepared
    model = loaders.detector(name)
    confidence, track = request.get("confidence", 0.25), bool(request.get("track"))
    counts: list[tuple[int, int]] | None = None
    zones: dict[str, Any] = {"zones": None, "events": []}
    try:
        with scheduling.CORES.frame(token):
            rgb = decode_frame(request.get("jpeg"))
            with stopwatch() as ms:
                model.check(
                    confidence, request.get("iou", 0.7), request.get("classes"), request.get("size")
                )
                found = model.detect_array(
                    rgb,
                    min(TRACKING_FLOOR, confidence) if track else confidence,
                    request.get("iou", 0.7),
                    request.get("classes"),
                    request.get("size"),
                )
            took = ms() - found.prepared_ms
            if track:
                visitor = VISITORS.of(token, model.name)
                with visitor.lock:
                    # frames are computed side by side; a newer one was quicker
                    if frame <= visitor.frame:
                        return {"late": True}
                    visitor.frame = frame
                    found = visitor.tracker.update(found, confidence, rgb, time.monotonic())
                    counts = list(visitor.tracker.counts().items())
                    zones = _count_at_zones(visitor, found, rgb, request.get("zones"))
    except scheduling.BusyError:
        return {"busy": True}
    height, width = rgb.shape[:2]
    boxes = found.xyxy / [width, height, width, height]
    return {
        "boxes": boxes.round(4).tolist(),
        "confidence": found.confidence.astype(float).round(3).tolist(),
        "kind": found.class_id.tolist(),
        "track": None if found.track_id is None else found.track_id.tolist(),
        "tracks": counts,
        **zones,
        "ms": round(took, 2),
    }


def _count_at_zones(
    visitor: Visitor, found: "Detections", rgb: "np.ndarray", zones: object
) -> dict[str, Any]:
    """{"zones": what was counted at each so far or None, "events": rows of this frame}."""
    from tasks.detection.zones import ZoneCounter, parse_zones

    size_wh, now = (rgb.shape[1], rgb.shape[0]), time.monotonic()
    if zones != visitor.zones or size_wh != visitor.size_wh:
        parsed = parse_zones(zones)
        visitor.zones, visitor.size_wh, visitor.began = zones, size_wh, now
        visitor.counter = ZoneCounter(parsed, size_wh) if parsed else None
    if visitor.counter is None:
        return {"zones": None, "events": []}
    events = visitor.counter.update(found, now - visitor.began)
    return {"zones": visitor.counter.summary(), "events": [event.row() for event in events]}


def build_live() -> None:
    offered = escape(json.dumps(models.detector_choices()), quote=True)
    live_camera(
        "detection",
        HERE,
        "Boxes around detected objects",
        "detections",
        [prepare_detector, detect_frame, offered_detectors, prepare_on_device],
        parts=[(HERE, "zone_editor"), (HERE, "tracks"), *ON_DEVICE],
        offered=offered,
        palette=escape(json.dumps(CLASS_COLOURS), quote=True),
    )
