"""Shared by the sub-tabs: limits of size, PNG files with settings, messages."""

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image, PngImagePlugin

from tasks.core.images import ImageError

MAX_PIXELS = 24_000_000  # of a result
PAGE_PIXELS = 4_000_000  # of an image in the page; a larger one is shown reduced, saved in full
STOPPED = (
    "<div class='lab-card'><p>Stopped. Choose an image or change a setting to start "
    "again.</p></div>"
)


def check_size(width: int, height: int) -> None:
    """Raises ImageError for a result that is too large."""
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"The result would have {width} x {height} = {width * height / 1e6:.0f} megapixels; "
            f"the limit is {MAX_PIXELS // 1_000_000}. Send a smaller image."
        )


def save_png(image: Image.Image, path: Path, settings: Mapping[str, Any]) -> str:
    """Write a PNG that carries its settings as text; returns the path."""
    about = PngImagePlugin.PngInfo()
    about.add_text("settings", json.dumps(settings))
    image.save(path, "PNG", compress_level=1, pnginfo=about)
    return str(path)


def for_page(image: Image.Image, path: Path, settings: Mapping[str, Any]) -> str:
    """As `save_png`, reduced where it is larger than a page needs."""
    pixels = image.width * image.height
    if pixels > PAGE_PIXELS:
        factor = (PAGE_PIXELS / pixels) ** 0.5
        image = image.resize((round(image.width * factor), round(image.height * factor)))
    return save_png(image, path, settings)


def amplified(difference: np.ndarray, times: float) -> Image.Image:
    """A difference of images, float (H, W[, 3]), around middle grey."""
    return Image.fromarray(((difference * times + 0.5).clip(0, 1) * 255).round().astype(np.uint8))


def progress_html(done: int, total: int, text: str) -> str:
    """A progress bar; without a count for a single tile."""
    value = f" value='{done / total:.3f}'" if total > 1 else ""
    count = f", tile {done} of {total}" if total > 1 else ""
    return (
        f"<div class='lab-card'><progress max='1'{value} "
        f"aria-label='Progress'></progress><p>{escape(text)}{count}</p></div>"
    )


def message_html(title: str, *lines: str) -> str:
    """The result in words: a bold line, then smaller ones."""
    smaller = "".join(f"<p class='lab-lead'>{escape(line)}</p>" for line in lines if line)
    return f"<div class='lab-card' aria-live='polite'><p><b>{escape(title)}</b></p>{smaller}</div>"


def seconds(ms: float) -> str:
    return f"{ms:.0f} ms" if ms < 1000 else f"{ms / 1000:.1f} s"


def wire_end(
    running: list[Any], stop: gr.Button, outputs: list[Any], failed: tuple[Any, ...]
) -> None:
    """Stop ends the events `running` between two tiles; where one fails, `failed` is shown."""
    for event in running:
        event.failure(
            lambda: failed,
            None,
            outputs,
            show_progress="hidden",
            api_visibility="private",
        )
    stop.click(
        lambda: STOPPED,
        None,
        outputs[-1],
        cancels=running,
        queue=False,
        api_visibility="private",
    )
