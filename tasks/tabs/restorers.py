"""What the parts of the denoising tab share: handlers, turns on the cores, pictures as files with their settings."""

import json
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, PngImagePlugin

from tasks import compute
from tasks.compute import Lazy
from tasks.images import ImageError

if TYPE_CHECKING:
    from tasks.denoising import Denoiser, Enhancer
    from tasks.digit_autoencoder import DigitAutoencoder
    from tasks.tiles import TileStep

MAX_PIXELS = 24_000_000  # of a result
SHOWN_PIXELS = 4_000_000  # of a picture in the page; a larger one is shown reduced and saved whole
STOPPED = "<div class='lab-card'><p>Stopped. Choose a picture or change a setting to start again.</p></div>"


def _load_denoiser() -> "Denoiser":
    from tasks.denoising import Denoiser

    return Denoiser.load()


def _load_enhancer() -> "Enhancer":
    from tasks.denoising import Enhancer

    return Enhancer.load()


def _load_autoencoder() -> "DigitAutoencoder":
    from tasks.digit_autoencoder import DigitAutoencoder

    return DigitAutoencoder.load()


denoiser = Lazy(_load_denoiser)
enhancer = Lazy(_load_enhancer)
autoencoder = Lazy(_load_autoencoder)


def in_turn(steps: "Iterator[TileStep]") -> "Iterator[TileStep]":
    """The steps, each computed while nobody else keeps the cores busy; between two of them others get a turn."""
    while True:
        with compute.HEAVY:
            step = next(steps, None)
        if step is None:
            return
        yield step


def check_size(width: int, height: int) -> None:
    """Raises ImageError for a result that is too large."""
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"The result would have {width} x {height} = {width * height / 1e6:.0f} megapixels; up to "
            f"{MAX_PIXELS // 1_000_000} are made here. Send a smaller picture."
        )


def save_png(picture: Image.Image, path: Path, settings: Mapping[str, Any]) -> str:
    """Write a PNG that carries its settings as text; returns the path."""
    about = PngImagePlugin.PngInfo()
    about.add_text("settings", json.dumps(settings))
    picture.save(path, "PNG", compress_level=1, pnginfo=about)
    return str(path)


def for_page(picture: Image.Image, path: Path, settings: Mapping[str, Any]) -> str:
    """As `save_png`, reduced where it is larger than a page needs."""
    pixels = picture.width * picture.height
    if pixels > SHOWN_PIXELS:
        factor = (SHOWN_PIXELS / pixels) ** 0.5
        picture = picture.resize((round(picture.width * factor), round(picture.height * factor)))
    return save_png(picture, path, settings)


def amplified(difference: np.ndarray, times: float) -> Image.Image:
    """A difference of pictures, float (H, W[, 3]), around middle grey."""
    return Image.fromarray(((difference * times + 0.5).clip(0, 1) * 255).round().astype(np.uint8))


def progress_html(done: int, total: int, text: str) -> str:
    """A bar; nothing to count for a single tile."""
    value = f" value='{done / total:.3f}'" if total > 1 else ""
    count = f", tile {done} of {total}" if total > 1 else ""
    return (
        f"<div class='lab-card'><progress max='1'{value} aria-label='Progress'></progress><p>{escape(text)}{count}</p>"
        "</div>"
    )


def said_html(title: str, *lines: str) -> str:
    """What came out, in words: a bold line, then smaller ones."""
    smaller = "".join(f"<p class='lab-lead'>{escape(line)}</p>" for line in lines if line)
    return f"<div class='lab-card' aria-live='polite'><p><b>{escape(title)}</b></p>{smaller}</div>"


def seconds(ms: float) -> str:
    return f"{ms:.0f} ms" if ms < 1000 else f"{ms / 1000:.1f} s"
