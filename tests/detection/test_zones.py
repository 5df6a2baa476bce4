"""Lines, areas and the heat map, on objects whose ways are known."""

from collections.abc import Mapping

import numpy as np
import pytest

from tasks.core.images import ImageError
from tasks.detection import zones
from tasks.detection.detector import Detections
from tasks.detection.zones import Event, ZoneCounter, parse_zones

SIZE_WH = (640, 480)
MIDDLE = {"shape": "line", "points": [[0.5, 0.0], [0.5, 1.0]]}  # downwards
LEFT_HALF = {"shape": "area", "points": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}


def at(*places: tuple[float, float], first: int = 1) -> Detections:
    """Boxes of 40 px around these places, with track numbers from `first` on."""
    n = len(places)
    xy = np.array(places, np.float32).reshape(n, 2)
    return Detections(
        np.concatenate([xy - 20, xy + 20], 1),
        np.full(n, 0.9, np.float32),
        np.zeros(n, np.int64),
        ("cat",),
        np.arange(first, first + n),
    )


def walked(zone: Mapping[str, object], *xs: float, fps: float = 10) -> ZoneCounter:
    """What one object does at a zone on its way along these x, a frame each."""
    counter = ZoneCounter(parse_zones([zone]), SIZE_WH)
    for t, x in enumerate(xs):
        counter.update(at((x, 240)), t / fps)
    return counter


def test_a_line_counts_both_directions() -> None:
    counter = walked(MIDDLE, *range(200, 460, 20), *range(460, 200, -20), *range(200, 460, 20))
    assert counter.summary() == [{"zone": "line 1", "in": 2, "out": 1}]
    assert [e.event for e in counter.events] == ["in", "out", "in"]
    first = counter.events[0]
    assert (
        first.track == 1 and first.kind == "cat" and first.seconds == pytest.approx(0.7, abs=0.11)
    )


def test_who_passes_beside_a_line_does_not_cross_it() -> None:
    short = {"shape": "line", "points": [[0.5, 0.0], [0.5, 0.3]]}
    assert walked(short, *range(200, 460, 20)).summary() == [{"zone": "line 1", "in": 0, "out": 0}]


def test_an_area_counts_visits_and_time() -> None:
    counter = walked(LEFT_HALF, *[500] * 5, *[100] * 20, *[500] * 10, *[100] * 11)
    (area,) = counter.summary()
    assert area == {"zone": "area 1", "now": 1, "visits": 2, "mean_s": 1.45, "longest_s": 1.9}
    said = [(e.event, round(e.seconds, 2)) for e in counter.events]
    assert said == [("in", 0.5), ("out", 2.4), ("in", 3.5)]


def test_a_step_outside_for_an_instant_is_no_second_visit() -> None:
    (area,) = walked(LEFT_HALF, *[300] * 9, 340, 340, *[300] * 9).summary()
    assert area["visits"] == 1 and area["longest_s"] == 1.9


def test_who_vanishes_has_left() -> None:
    counter = walked(LEFT_HALF, *[100] * 5)
    for t in range(5, 15):
        counter.update(at(), t / 10)
    (area,) = counter.summary()
    assert area["now"] == 0 and counter.events[-1] == Event(0.4, "area 1", "out", 1, "cat")


def test_events_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zones, "MAX_EVENTS", 3)
    counter = walked(MIDDLE, *([200, 200, 460, 460] * 6))
    assert len(counter.events) == 3 and counter.summary()[0]["in"] > 3


def test_the_heat_map_shows_where_somebody_stood() -> None:
    counter = walked(MIDDLE, *[160] * 20)
    frame = np.full((480, 640, 3), 90, np.uint8)
    drawn = counter.heat_map(frame).astype(int)
    colourful = drawn.max(-1) - drawn.min(-1)
    y, x = np.unravel_index(colourful.argmax(), colourful.shape)
    assert abs(x - 160) < 60 and abs(y - 240) < 60
    assert colourful[:, 400:].max() < 10  # nobody was there
    empty = ZoneCounter((), SIZE_WH).heat_map(frame)
    assert (empty.max(-1) - empty.min(-1)).max() == 0


def test_zones_are_drawn_with_their_counts() -> None:
    line = {"shape": "line", "points": [[0.75, 0], [0.75, 1]]}
    counter = ZoneCounter(parse_zones([line, LEFT_HALF]), SIZE_WH)
    counter.update(at((100, 240)), 0)
    frame = np.zeros((480, 640, 3), np.uint8)
    zones.draw(frame, counter)
    assert (frame[300, 478:483] == 255).any() and (frame > 0).mean() < 0.1


def test_names_count_up_by_shape() -> None:
    parsed = parse_zones([MIDDLE, LEFT_HALF, MIDDLE])
    assert [zone.name for zone in parsed] == ["line 1", "area 1", "line 2"]
    assert parse_zones(None) == parse_zones([]) == ()


BAD: dict[str, object] = {
    "a text": "line",
    "too many": [MIDDLE] * 9,
    "a number in the list": [7],
    "no shape": [{"points": [[0, 0], [1, 1]]}],
    "another shape": [{"shape": "circle", "points": [[0, 0], [1, 1]]}],
    "a line of three": [{"shape": "line", "points": [[0, 0], [1, 1], [0, 1]]}],
    "an area of two": [{"shape": "area", "points": [[0, 0], [1, 1]]}],
    "a point outside": [{"shape": "line", "points": [[0, 0], [1, 1.5]]}],
    "pixels": [{"shape": "line", "points": [[0, 0], [640, 480]]}],
    "NaN": [{"shape": "line", "points": [[0, 0], [1, float("nan")]]}],
    "text as point": [{"shape": "line", "points": ["ab", "cd"]}],
}


@pytest.mark.parametrize("name", BAD)
def test_bad_zones_get_a_sentence(name: str) -> None:
    with pytest.raises(ImageError, match="came"):
        parse_zones(BAD[name])
