"""Colours that Python and the page share; Python hands them to the page."""

from collections.abc import Iterable

CLASS_COLOURS = (
    "#2dd4bf",
    "#fb923c",
    "#a78bfa",
    "#facc15",
    "#60a5fa",
    "#f472b6",
    "#4ade80",
    "#f87171",
    "#22d3ee",
    "#c084fc",
)
"""By class id; ids from 10 on begin again."""

INFERNO = ("#000004", "#420a68", "#932667", "#dd513a", "#fca50a", "#fcffa4")
"""Inferno (Smith and van der Walt 2015) at 0, 0.2, ... 1: even steps, in colour and in grey."""


def class_colour(class_id: int) -> tuple[int, int, int]:
    """RGB."""
    red, green, blue = bytes.fromhex(CLASS_COLOURS[class_id % len(CLASS_COLOURS)][1:])
    return red, green, blue


def to_hex(rgb: Iterable[Iterable[int]]) -> list[str]:
    """uint8 (n, 3) -> ["#rrggbb", ...]."""
    return ["#" + bytes(int(v) for v in colour).hex() for colour in rgb]
