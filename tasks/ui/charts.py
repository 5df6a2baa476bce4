"""Charts as HTML that follows the theme: full width, axes with titles, a legend, values on hover.

    chart([Series("training", points)], Axis("training step"), Axis("accuracy, %"))

The lines are an SVG of 100 x 100 units that is stretched over the plot; texts are HTML, so that
they keep their size. The look is in theme.css, `.lab-chart`.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from html import escape

Point = tuple[float, float]
COLOURS = ("var(--lab-accent)", "var(--lab-second)", "var(--lab-third)")
MAX_HOVER = 60  # points of a line that show their value


@dataclass(frozen=True)
class Axis:
    """One axis; `low`, the left or lower end, may be the larger one. Open ends follow the data."""

    title: str
    low: float | None = None
    high: float | None = None
    log: bool = False
    ticks: tuple[float, ...] = ()
    unit: str = ""  # behind each number

    def fit(self, values: Iterable[float], margin: float = 0.0) -> "Axis":
        """With both ends set; `margin`: share of the range that is added to an open end."""
        known = list(values) or [0.0, 1.0]
        least, most = min(known), max(known)
        room = 0.0 if self.log else margin * ((most - least) or 1)
        low = least - room if self.low is None else self.low
        high = most + room if self.high is None else self.high
        return replace(self, low=low, high=high if high != low else low + 1)

    def share(self, value: float) -> float:
        """Where a value lies, 0 at `low` and 1 at `high`."""
        assert self.low is not None and self.high is not None
        low, high = self.low, self.high
        if self.log:
            low, high, value = (math.log(max(v, 1e-12)) for v in (low, high, value))
        return min(1.0, max(0.0, (value - low) / (high - low)))

    def numbers(self) -> Sequence[float]:
        """Round numbers along the axis."""
        assert self.low is not None and self.high is not None
        low, high = sorted((self.low, self.high))
        if self.ticks:
            return [t for t in self.ticks if low <= t <= high]
        if self.log:
            decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
            leading = (1, 2, 5) if high < 200 * low else (1,)
            return [m * 10.0**d for d in decades for m in leading if low <= m * 10.0**d <= high]
        rough = (high - low) / 6
        scale = 10.0 ** math.floor(math.log10(rough))
        step = next(m * scale for m in (1, 2, 2.5, 5, 10) if m * scale >= rough)
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        return [i * step for i in range(first, last + 1)]

    def text(self, value: float) -> str:
        """A number with its unit: 0.25, 40 %, 2,000, 50 k, 1.5 M."""
        for least, by, suffix in ((1e6, 1e6, " M"), (1e4, 1e3, " k")):
            if abs(value) >= least:
                return f"{value / by:,.3g}{suffix} {self.unit}".strip()
        number = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
        return f"{number} {self.unit}".strip()


@dataclass(frozen=True)
class Series:
    """Points with a name: a "line", a filled "area" under one, or "points" with `labels`."""

    name: str
    points: Sequence[Point]
    colour: str = ""  # CSS; "" takes the next of COLOURS
    kind: str = "line"
    labels: Sequence[str] = ()
    details: Sequence[str] = ()  # shown on hover, instead of the values


@dataclass(frozen=True)
class Mark:
    """A dashed line across the plot at a value of one axis ("x" or "y"), with a label."""

    axis: str
    value: float
    label: str


@dataclass(frozen=True)
class Dot:
    """A dot that the step player moves; outside the plot it is hidden."""

    colour: str
    size: float = 12  # px


def place(x: Axis, y: Axis, point: Point) -> Point:
    """A point in the plot's 100 x 100 units, for the step player's dots."""
    return round(100 * x.share(point[0]), 2), round(100 - 100 * y.share(point[1]), 2)


def chart(
    series: Sequence[Series],
    x: Axis,
    y: Axis,
    *,
    marks: Sequence[Mark] = (),
    dots: Sequence[Dot] = (),
    legend: Sequence[tuple[str, str]] = (),
) -> str:
    """A chart as HTML; "" where there is nothing to show.

    Args:
        legend: more (name, colour) for the legend, which has all series if there are several.
    """
    series = [s for s in series if s.points]
    if not series and not dots:
        return ""
    points = [p for s in series for p in s.points]
    x, y = x.fit(p[0] for p in points), y.fit((p[1] for p in points), margin=0.05)
    colours = [s.colour or COLOURS[i % len(COLOURS)] for i, s in enumerate(series)]
    drawn = [_draw(s, colour, x, y) for s, colour in zip(series, colours, strict=True)]
    drawn += [
        f"<path class='dot' style='stroke:{d.colour};stroke-width:{d.size:g}px'/>" for d in dots
    ]
    named = list(dict.fromkeys((s.name, c) for s, c in zip(series, colours, strict=True)))
    items = "".join(
        f"<span><i style='background:{colour}'></i>{escape(name)}</span>"
        for name, colour in (*(named if len(named) > 1 else ()), *legend)
    )
    label = escape(f"{y.title} against {x.title}", quote=True)
    texts = "".join(_labels(s, colour, x, y) for s, colour in zip(series, colours, strict=True))
    return (
        f"<figure class='lab-chart'>{f'<figcaption>{items}</figcaption>' if items else ''}"
        f"<div class='plot'><svg viewBox='0 0 100 100' preserveAspectRatio='none' role='img' "
        f"aria-label='{label}'>{_grid(y)}{''.join(_line(m, x, y) for m in marks)}{''.join(drawn)}"
        f"</svg>{_numbers(x, y)}{''.join(_mark_label(m, x, y) for m in marks)}{texts}"
        "</div></figure>"
    )


def _draw(series: Series, colour: str, x: Axis, y: Axis) -> str:
    placed = [place(x, y, p) for p in series.points]
    path = " ".join(f"{a:g},{b:g}" for a, b in placed)
    lines = {
        "line": f"<polyline points='{path}' style='stroke:{colour}'/>",
        "area": f"<polygon points='{placed[0][0]:g},100 {path} {placed[-1][0]:g},100' "
        f"style='fill:{colour}'/>",
        "points": "",
    }
    step = 1 if series.kind == "points" else max(1, math.ceil(len(placed) / MAX_HOVER))
    shown = "point" if series.kind == "points" else "hover"
    hover = "".join(
        f"<path class='{shown}' d='M{a:g} {b:g}h0' style='color:{colour}'>"
        f"<title>{escape(_detail(series, i, x, y))}</title></path>"
        for i, (a, b) in list(enumerate(placed))[::step]
    )
    return lines[series.kind] + hover


def _detail(series: Series, i: int, x: Axis, y: Axis) -> str:
    if series.details:
        return series.details[i]
    at, value = series.points[i]
    return f"{series.name}: {y.text(value)} at {x.text(at)}"


def _grid(y: Axis) -> str:
    heights = (place(Axis("", 0, 1), y, (0, value))[1] for value in y.numbers())
    return "".join(f"<line class='grid' x1='0' x2='100' y1='{h:g}' y2='{h:g}'/>" for h in heights)


def _line(mark: Mark, x: Axis, y: Axis) -> str:
    if mark.axis == "y":
        h = 100 - 100 * y.share(mark.value)
        return f"<line class='mark' x1='0' x2='100' y1='{h:g}' y2='{h:g}'/>"
    at = 100 * x.share(mark.value)
    return f"<line class='mark' x1='{at:g}' x2='{at:g}' y1='0' y2='100'/>"


def _mark_label(mark: Mark, x: Axis, y: Axis) -> str:
    is_y = mark.axis == "y"
    top = 100 - 100 * y.share(mark.value) if is_y else 0
    left = 0 if is_y else 100 * x.share(mark.value)
    style = f"left:{left:g}%;top:{top:g}%"
    return f"<span class='mark-{mark.axis}' style='{style}'>{escape(mark.label)}</span>"


def _labels(series: Series, colour: str, x: Axis, y: Axis) -> str:
    placed = (place(x, y, p) for p in series.points)
    return "".join(
        f"<span class='label{' left' if a > 85 else ''}' style='left:{a:g}%;top:{b:g}%;"
        f"color:{colour}'>{escape(label)}</span>"
        for (a, b), label in zip(placed, series.labels, strict=False)
    )


def _numbers(x: Axis, y: Axis) -> str:
    along = "".join(
        f"<span class='x' style='left:{100 * x.share(v):g}%'>{x.text(v)}</span>"
        for v in x.numbers()
    )
    up = "".join(
        f"<span class='y' style='top:{100 - 100 * y.share(v):g}%'>{y.text(v)}</span>"
        for v in y.numbers()
    )
    titles = (
        f"<span class='x-title'>{escape(x.title)}</span>"
        f"<span class='y-title'>{escape(y.title)}</span>"
    )
    return along + up + titles
