"""Steer: a digit that follows the pointer over two directions of latent space, and a class mixed from two."""

from typing import Any

import gradio as gr
import numpy as np

from tasks import compute
from tasks.images import ImageError
from tasks.tabs import generators
from tasks.tabs.errors import answering_json
from tasks.tabs.generators import class_of, whole
from tasks.tabs.widget import to_base64, widget

REACH = 4.0  # how far the plane goes, in standard deviations of z
TILES = 9  # digits a side of the plane's map
OPTIONS = "".join(f"<option>{d}</option>" for d in range(10))


@answering_json
def steer_digit(place: dict[str, Any]) -> dict[str, Any]:
    """The digit at one place of the plane.

    place: {"x", "y": -1 to 1, "mix": 0 to 1, "from", "to": classes, "seed"}.
    Returns {"digit": base64, "score", "ms"}.
    """
    generator = generators.gan()
    x, y = number(place, "x", -1, 1), number(place, "y", -1, 1)
    with compute.stopwatch() as ms:
        digit = generator.from_latent(plane(place, np.array([[x, y]])), shares(place, 1))
        score = generator.realness(digit, nearest_class(place))
    return {"digit": to_base64(digit), "score": round(float(score[0]), 4), "ms": round(ms(), 2)}


@answering_json
def map_plane(place: dict[str, Any]) -> dict[str, Any]:
    """What the plane looks like from above: {"digits": base64 of TILES x TILES digits, "tiles", "device"}."""
    along = np.linspace(-1, 1, TILES)
    at = np.stack([np.tile(along, TILES), np.repeat(along, TILES)], 1)
    digits = generators.gan().from_latent(plane(place, at), shares(place, len(at)))
    return {"digits": to_base64(digits), "tiles": TILES, "device": compute.device_name()}


def plane(place: dict[str, Any], at: np.ndarray) -> np.ndarray:
    """float32 (n, latent): the seed's z with its parts along the two directions replaced by `at` (n, 2)."""
    generator = generators.gan()
    seed = whole(place.get("seed") if isinstance(place, dict) else None, "The seed")
    directions = generator.directions(2)
    z = generator.latents(1, seed)
    rest = z - (z @ directions.T) @ directions
    return np.clip(rest + REACH * at.astype(np.float32) @ directions, -6, 6).astype(np.float32)


def shares(place: dict[str, Any], n: int) -> np.ndarray:
    """float32 (n, 10): the mixture of two classes that the slider asks for."""
    generator = generators.gan()
    mix = number(place, "mix", 0, 1)
    walk = generator.class_walk(class_of(generator, place.get("from")), class_of(generator, place.get("to")), 2)
    return np.repeat((walk[:1] * (1 - mix) + walk[1:] * mix).astype(np.float32), n, 0)


def nearest_class(place: dict[str, Any]) -> int:
    return class_of(generators.gan(), place.get("to") if number(place, "mix", 0, 1) > 0.5 else place.get("from"))


def number(place: Any, name: str, low: float, high: float) -> float:
    """Raises ImageError."""
    value = place.get(name) if isinstance(place, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ImageError(f"{name} is a number from {low} to {high}; {str(value)[:20]} came.")
    return float(value)


def build_steer() -> None:
    gr.HTML(
        "<p class='lab-lead'>The plane spans the two directions of the 100 that change the generator’s first layer "
        "most, the leading singular vectors of its weights; everything else stays as the seed has it. Move over it, or "
        "use the arrow keys: each position is one pass through the network.</p>"
    )
    widget("gan_steer", [steer_digit, map_plane], classes=OPTIONS)
