"""Steer: a digit that follows the pointer over two directions of latent space, and a class mixed
from two.
"""

from typing import Any

import gradio as gr
import numpy as np

from tasks import loaders
from tasks.core import device
from tasks.core.device import stopwatch
from tasks.core.images import ImageError
from tasks.gan.tab.widget import widget
from tasks.ui.errors import return_errors
from tasks.ui.fields import parse_class, parse_int
from tasks.ui.page.figures import flow
from tasks.ui.page.lead import lead
from tasks.ui.widget import encode_base64

REACH = 4.0  # how far the plane goes, in standard deviations of z
TILES = 9  # digits a side of the plane's map
OPTIONS = "".join(f"<option>{d}</option>" for d in range(10))


@return_errors
def steer_digit(place: dict[str, Any]) -> dict[str, Any]:
    """The digit at one place of the plane.

    place: {"x", "y": -1 to 1, "mix": 0 to 1, "from", "to": classes, "seed"}.
    Returns {"digit": base64, "score", "ms"}.
    """
    generator = loaders.gan_generator()
    x, y = number(place, "x", -1, 1), number(place, "y", -1, 1)
    with stopwatch() as ms:
        digit = generator.from_latent(plane(place, np.array([[x, y]])), shares(place, 1))
        score = generator.realness(digit, nearest_class(place))
    return {"digit": encode_base64(digit), "score": round(float(score[0]), 4), "ms": round(ms(), 2)}


@return_errors
def map_plane(place: dict[str, Any]) -> dict[str, Any]:
    """What the plane looks like from above: {"digits": base64 of TILES x TILES digits, "tiles",
    "device"}.
    """
    along = np.linspace(-1, 1, TILES)
    at = np.stack([np.tile(along, TILES), np.repeat(along, TILES)], 1)
    digits = loaders.gan_generator().from_latent(plane(place, at), shares(place, len(at)))
    return {"digits": encode_base64(digits), "tiles": TILES, "device": device.name()}


def plane(place: dict[str, Any], at: np.ndarray) -> np.ndarray:
    """float32 (n, latent): the seed's z with its parts along the two directions replaced by `at`
    (n, 2).
    """
    generator = loaders.gan_generator()
    seed = parse_int(place.get("seed") if isinstance(place, dict) else None, "The seed")
    directions = generator.directions(2)
    z = generator.latents(1, seed)
    rest = z - (z @ directions.T) @ directions
    return np.clip(rest + REACH * at.astype(np.float32) @ directions, -6, 6).astype(np.float32)


def shares(place: dict[str, Any], n: int) -> np.ndarray:
    """float32 (n, 10): the mixture of two classes that the slider asks for."""
    generator = loaders.gan_generator()
    mix = number(place, "mix", 0, 1)
    walk = generator.class_walk(
        parse_class(generator, place.get("from")), parse_class(generator, place.get("to")), 2
    )
    return np.repeat((walk[:1] * (1 - mix) + walk[1:] * mix).astype(np.float32), n, 0)


def nearest_class(place: dict[str, Any]) -> int:
    return parse_class(
        loaders.gan_generator(),
        place.get("to") if number(place, "mix", 0, 1) > 0.5 else place.get("from"),
    )


def number(place: Any, name: str, low: float, high: float) -> float:
    """Raises ImageError."""
    value = place.get(name) if isinstance(place, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ImageError(f"{name} is a number from {low} to {high}; {str(value)[:20]} came.")
    return float(value)


def build_steer() -> None:
    gr.HTML(
        lead(
            "Move over the plane, or use the arrow keys: each position is one digit.",
            "The plane spans the two directions of the 100 that change the generator’s first layer "
            "most, the leading singular vectors of its weights; everything else stays as the seed "
            "has it.",
            flow("code:a place in the plane", "wide:generator", "digit:its digit"),
        )
    )
    widget("steer", "gan-steer", [steer_digit, map_plane], classes=OPTIONS)
