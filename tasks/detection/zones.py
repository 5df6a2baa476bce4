"""Lines that count who crosses them, areas that count who is in them and for how long, a heat map.

Sides and insides are told by roboflow/supervision (`LineZone`, `PolygonZone`; MIT), by the middle
of each box. Positions are shares of the frame's sides, so that one drawing serves all sizes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from tasks.core.images import ImageError

if TYPE_CHECKING:
    from tasks.detection.detector import Detections

MAX_ZONES = 8
MAX_POINTS = 24  # of an area
MAX_EVENTS = 20_000  # that are kept; of longer logs the first are deleted
GRACE_S = 0.5  # s outside, or unseen, after which an object has left an area
HEAT_SIDE = 160  # px of the heat map's longer side
EVENT_COLUMNS = ("seconds", "zone", "event", "track", "class")
SHAPES = {"line": 2, "area": 3}  # least points
LINE_RGB, AREA_RGB = (255, 255, 255), (20, 184, 166)


@dataclass(frozen=True)
class Zone:
    """A line (2 points) or an area (3 or more), as shares of the frame's sides in [0, 1].

    Who crosses a line that is drawn downwards from left to right has gone "in".
    """

    shape: str  # "line" or "area"
    points: tuple[tuple[float, float], ...]
    name: str


class Event(NamedTuple):
    """Somebody crossed a line, or entered or left an area."""

    seconds: float
    zone: str
    event: str  # "in" or "out"
    track: int
    kind: str  # class

    def row(self) -> dict[str, Any]:
        values = (round(self.seconds, 3), *self[1:])
        return dict(zip(EVENT_COLUMNS, values, strict=True))


def parse_zones(value: object) -> tuple[Zone, ...]:
    """A list of {"shape": "line" or "area", "points": [[x, y], ...]} -> zones; None: no zones.

    Raises ImageError.
    """
    if value is None:
        return ()
    if not isinstance(value, list | tuple) or len(value) > MAX_ZONES:
        raise ImageError(f"Zones are a list of at most {MAX_ZONES}; {str(value)[:40]!r} came.")
    zones: list[Zone] = []
    for item in value:
        shape = item.get("shape") if isinstance(item, dict) else None
        points = item.get("points") if isinstance(item, dict) else None
        if shape not in SHAPES or not isinstance(points, list | tuple):
            raise ImageError(
                'A zone is {"shape": "line" or "area", "points": [[x, y], ...]}; '
                f"{str(item)[:60]!r} came."
            )
        most = 2 if shape == "line" else MAX_POINTS
        if not SHAPES[shape] <= len(points) <= most or not all(map(_is_point, points)):
            raise ImageError(
                f"A {shape} has {SHAPES[shape]} to {most} points [x, y], each number in [0, 1]: "
                f"shares of the frame's sides; {str(points)[:60]} came."
            )
        n = 1 + sum(zone.shape == shape for zone in zones)
        zones.append(Zone(shape, tuple((float(x), float(y)) for x, y in points), f"{shape} {n}"))
    return tuple(zones)


def _is_point(point: object) -> bool:
    return (
        isinstance(point, list | tuple)
        and len(point) == 2
        and all(
            isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v)
            for v in point
        )
        and all(0 <= v <= 1 for v in point)
    )


@dataclass
class _Stay:
    """One visit of a track to an area."""

    since: float
    last: float  # when last seen inside
    kind: str


@dataclass
class _Line:
    zone: Zone
    counter: Any  # supervision's LineZone
    directions: dict[str, int] = field(default_factory=lambda: {"in": 0, "out": 0})

    def update(self, found: Any, labels: list[str], seconds: float) -> list[Event]:
        crossed = self.counter.trigger(found)
        events = []
        for direction, which in zip(("in", "out"), crossed, strict=True):
            for i in np.flatnonzero(which):
                self.directions[direction] += 1
                track = int(found.tracker_id[i])
                events.append(Event(seconds, self.zone.name, direction, track, labels[i]))
        return events

    def summary(self) -> dict[str, Any]:
        return {"zone": self.zone.name, **self.directions}


@dataclass
class _Area:
    zone: Zone
    polygon: Any  # supervision's PolygonZone
    stays: dict[int, _Stay] = field(default_factory=dict)  # by track, of those inside
    visits: int = 0
    left: int = 0
    stayed_s: float = 0.0  # of those that left
    longest_s: float = 0.0

    def update(self, found: Any, labels: list[str], seconds: float) -> list[Event]:
        events = []
        for i in np.flatnonzero(self.polygon.trigger(found)):
            track = int(found.tracker_id[i])
            stay = self.stays.get(track)
            if stay is None:
                stay = self.stays[track] = _Stay(seconds, seconds, labels[i])
                self.visits += 1
                events.append(Event(seconds, self.zone.name, "in", track, labels[i]))
            stay.last = seconds
        for track, stay in list(self.stays.items()):
            self.longest_s = max(self.longest_s, stay.last - stay.since)
            if seconds - stay.last > GRACE_S:
                del self.stays[track]
                self.left += 1
                self.stayed_s += stay.last - stay.since
                events.append(Event(stay.last, self.zone.name, "out", track, stay.kind))
        return events

    def summary(self) -> dict[str, Any]:
        """`mean_s` is of all visits so far, those that go on included."""
        stayed = self.stayed_s + sum(stay.last - stay.since for stay in self.stays.values())
        return {
            "zone": self.zone.name,
            "now": len(self.stays),
            "visits": self.visits,
            "mean_s": round(stayed / self.visits, 2) if self.visits else 0.0,
            "longest_s": round(self.longest_s, 2),
        }


class ZoneCounter:
    """Counts at the zones of one video or camera; call `update` once a frame, in order.

    Attributes:
        events: list of Event, the newest MAX_EVENTS.
    """

    def __init__(self, zones: Sequence[Zone], size_wh: tuple[int, int]):
        self.zones, self.size_wh = tuple(zones), size_wh
        self.events: list[Event] = []
        scale = HEAT_SIDE / max(size_wh)
        self._heat = np.zeros([max(1, round(side * scale)) for side in size_wh[::-1]], np.float32)
        self._before: float | None = None
        self._counters = [_counter(zone, size_wh) for zone in zones]

    def update(self, found: "Detections", seconds: float) -> list[Event]:
        """The events of this frame. `found` has track numbers."""
        import supervision

        assert found.track_id is not None
        passed = 0.0 if self._before is None else min(1.0, max(0.0, seconds - self._before))
        self._before = seconds
        height, width = self._heat.shape
        for left, top, right, bottom in found.xyxy:
            x = int((left + right) / 2 / self.size_wh[0] * width)
            y = int((top + bottom) / 2 / self.size_wh[1] * height)
            self._heat[min(max(y, 0), height - 1), min(max(x, 0), width - 1)] += passed
        theirs = supervision.Detections(
            xyxy=found.xyxy, class_id=found.class_id, tracker_id=found.track_id
        )
        events = [e for c in self._counters for e in c.update(theirs, found.labels, seconds)]
        self.events += events
        del self.events[:-MAX_EVENTS]
        return events

    def summary(self) -> list[dict[str, Any]]:
        """A dictionary a zone: {"zone", "in", "out"} of a line, {"zone", "now", "visits", "mean_s",
        "longest_s"} of an area.
        """
        return [counter.summary() for counter in self._counters]

    def heat_map(self, rgb: np.ndarray) -> np.ndarray:
        """Where objects were for long, in colours over a frame: uint8 (H, W, 3)."""
        heat = cv2.GaussianBlur(self._heat, (0, 0), HEAT_SIDE / 40)
        most = float(heat.max())
        share = np.sqrt(heat / most) if most > 0 else heat  # a path shows beside a long stay
        share = cv2.resize(share, rgb.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        colours = cv2.applyColorMap((255 * share).astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1]
        alpha = (0.75 * np.minimum(1, 3 * share))[..., None]
        grey = 0.6 * rgb.mean(-1, keepdims=True) + 60
        return ((1 - alpha) * grey + alpha * colours).clip(0, 255).astype(np.uint8)


def _counter(zone: Zone, size_wh: tuple[int, int]) -> _Line | _Area:
    import supervision

    points = np.array(zone.points) * size_wh
    centre = (supervision.Position.CENTER,)
    if zone.shape == "area":
        polygon = np.round(points).astype(np.int64)
        return _Area(zone, supervision.PolygonZone(polygon, triggering_anchors=centre))
    start, end = (supervision.Point(float(x), float(y)) for x, y in points)
    return _Line(zone, supervision.LineZone(start, end, triggering_anchors=centre))


def draw(rgb: np.ndarray, counter: ZoneCounter) -> None:
    """Draw zones and their counts into uint8 (H, W, 3)."""
    height, width = rgb.shape[:2]
    unit = max(height, width) / 640
    for zone, summary in zip(counter.zones, counter.summary(), strict=True):
        points = np.round(np.array(zone.points) * (width, height)).astype(np.int32)
        colour = LINE_RGB if zone.shape == "line" else AREA_RGB
        thickness = max(1, round(2 * unit))
        cv2.polylines(rgb, [points], zone.shape == "area", colour, thickness, cv2.LINE_AA)
        if zone.shape == "line":
            start, end = points.astype(np.float64)
            along = end - start
            middle = (start + end) / 2
            normal = np.array([along[1], -along[0]]) / max(1.0, float(np.hypot(*along)))
            tip = middle + 22 * unit * normal
            cv2.arrowedLine(
                rgb,
                tuple(int(v) for v in middle),
                tuple(int(v) for v in tip),
                colour,
                thickness,
                cv2.LINE_AA,
                tipLength=0.4,
            )
            text = f"in {summary['in']}  out {summary['out']}"
        else:
            text = f"now {summary['now']}  visits {summary['visits']}"
        x, y = int(points[:, 0].min()), max(14, int(points[:, 1].min()) - 6)
        for colour_, width_ in (((17, 17, 17), 3), (colour, 1)):
            cv2.putText(
                rgb,
                text,
                (min(x, width - round(130 * unit)), y),
                cv2.FONT_HERSHEY_SIMPLEX,
                max(0.35, 0.5 * unit),
                colour_,
                max(1, round(width_ * unit)),
                cv2.LINE_AA,
            )
