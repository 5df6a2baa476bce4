"""Drawings of methods for "How it works": a row of symbols with arrows, as SVG in the theme's
colours.

    flow("noise:pure noise", "net:U-Net", "image:a new image", back="repeat 25 times")
"""

from collections.abc import Callable
from html import escape

STEP, SIDE, TOP = 124, 56, 22  # px from symbol to symbol, of a symbol, above it


def _rect(x: float, y: float, w: float, h: float, fill: str = "none", radius: float = 3) -> str:
    return f"<rect x='{x:g}' y='{y:g}' width='{w:g}' height='{h:g}' rx='{radius:g}' fill='{fill}'/>"


def _image(x: float, y: float) -> str:
    hill = f"M{x + 4:g} {y + 50:g}l16 -22 10 12 8 -9 14 19z"
    sun = f"<circle cx='{x + 40:g}' cy='{y + 15:g}' r='5' fill='var(--lab-mark)' stroke='none'/>"
    return f"{_rect(x, y, SIDE, SIDE)}<path d='{hill}' fill='var(--lab-accent)'/>{sun}"


def _digit(x: float, y: float) -> str:
    return (
        f"{_rect(x, y, SIDE, SIDE)}<path d='M{x + 18:g} {y + 12:g}h20l-11 15a11 11 0 1 1 -10 16' "
        "style='stroke-width:4'/>"
    )


def _noise(x: float, y: float) -> str:
    cells = "".join(
        _rect(x + 4 + 8 * (k % 6), y + 4 + 8 * (k // 6), 8, 8, "currentColor", 0)
        for k in range(36)
        if (k * 7919 + 13) % 5 < 2
    )
    return f"{_rect(x, y, SIDE, SIDE)}<g stroke='none' opacity='.7'>{cells}</g>"


def _layers(*heights: float) -> Callable[[float, float], str]:
    """A network: a bar for each of its layers, in px."""

    def draw(x: float, y: float) -> str:
        pitch = SIDE / len(heights)
        bars = (
            _rect(x + pitch * (k + 0.2), y + (SIDE - h) / 2, 0.6 * pitch, h, "var(--lab-accent)")
            for k, h in enumerate(heights)
        )
        return f"<g stroke='none'>{''.join(bars)}</g>"

    return draw


def _maps(x: float, y: float) -> str:
    fill = "var(--background-fill-primary)"
    return "".join(_rect(x + 14 - 7 * k, y + 7 * k, 42, 42, fill) for k in range(3))


def _bars(x: float, y: float) -> str:
    widths = (10, 46, 16, 6)
    rows = (
        _rect(x, y + 3 + 14 * k, w, 9, "var(--lab-accent)" if w == 46 else "currentColor")
        for k, w in enumerate(widths)
    )
    return f"<g stroke='none'>{''.join(rows)}</g>"


def _box(x: float, y: float) -> str:
    found = _rect(x + 10, y + 14, 24, 34)
    return f"{_image(x, y)}<g style='color:var(--lab-second);stroke-width:2.5'>{found}</g>"


def _mask(x: float, y: float) -> str:
    parts = (("#5b5bb0", 0, 22), ("#12756c", 22, 16), ("#b4541a", 38, 18))
    areas = "".join(_rect(x, y + top, SIDE, high, colour, 0) for colour, top, high in parts)
    return f"<g stroke='none' opacity='.75'>{areas}</g>{_rect(x, y, SIDE, SIDE)}"


def _code(x: float, y: float) -> str:
    return "".join(_rect(x + 20, y + 3 + 10 * k, 16, 8) for k in range(5))


def _hidden(x: float, y: float) -> str:
    return f"{_image(x, y)}{_rect(x, y + 28, SIDE, 28, 'var(--lab-mark)')}"


def _blocks(x: float, y: float) -> str:
    lines = "".join(f"M{x + 14 * k:g} {y:g}v56M{x:g} {y + 14 * k:g}h56" for k in (1, 2, 3))
    return f"{_image(x, y)}<path d='{lines}' opacity='.8'/>"


def _small(x: float, y: float) -> str:
    return f"<g transform='translate({x + 14:g} {y + 14:g}) scale(.5)'>{_image(0, 0)}</g>"


SYMBOLS: dict[str, Callable[[float, float], str]] = {
    "image": _image,
    "digit": _digit,
    "noise": _noise,
    "net": _layers(52, 38, 24, 38, 52),
    "narrow": _layers(52, 42, 32, 22),
    "wide": _layers(22, 32, 42, 52),
    "maps": _maps,
    "bars": _bars,
    "box": _box,
    "mask": _mask,
    "code": _code,
    "hidden": _hidden,
    "blocks": _blocks,
    "small": _small,
}


def flow(*steps: str, back: str = "") -> str:
    """An SVG.

    Args:
        steps: "<symbol>:<caption>" from left to right, with arrows between them; a symbol with
            "+" before it has a plus in place of its arrow.
        back: what stands at an arrow from the last symbol to the first; "" for none.
    """
    width, height = STEP * len(steps) - 44, TOP + SIDE + (60 if back else 24)
    drawn, captions = "", []
    for k, step in enumerate(steps):
        symbol, _, caption = step.partition(":")
        x = STEP * k + 12
        middle = TOP + SIDE / 2
        if k and symbol.startswith("+"):
            drawn += f"<text x='{x - 34:g}' y='{middle + 6:g}' class='plus'>+</text>"
        elif k:
            drawn += f"<path d='M{x - 58:g} {middle:g}h44m-7 -5l7 5 -7 5'/>"
        drawn += SYMBOLS[symbol.lstrip("+")](x, TOP)
        drawn += f"<text x='{x + SIDE / 2:g}' y='{TOP + SIDE + 17}'>{escape(caption)}</text>"
        captions.append(caption)
    if back:
        left, right, low = 12 + SIDE / 2, STEP * (len(steps) - 1) + 12 + SIDE / 2, TOP + SIDE + 26
        drawn += f"<path d='M{right:g} {low}v10H{left:g}v-10m-5 7l5 -7 5 7'/>"
        drawn += f"<text x='{(left + right) / 2:g}' y='{low + 25}'>{escape(back)}</text>"
        captions.append(back)
    label = escape(", then ".join(captions), quote=True)
    return (
        f"<svg class='lab-figure' viewBox='-24 0 {width + 48} {height}' role='img' "
        f"aria-label='{label}' style='max-width:{width + 48}px'>{drawn}</svg>"
    )
