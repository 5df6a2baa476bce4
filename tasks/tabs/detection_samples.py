"""Something to try a detector on at one click: a sheet of digits just made by the GAN, clips of it and of a street."""

import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from tasks.tabs import detectors, generators
from tasks.tabs.errors import answering, answering_steps
from tasks.tabs.picture import sample_pictures

STREET = ("ultralytics", "assets/bus.jpg")


def sheet_of_digits() -> np.ndarray:
    """uint8 (720, 960, 3), another one each time. Raises WeightsError."""
    from tasks import sample_scenes

    seed = secrets.randbelow(1_000_000)
    return sample_scenes.digit_sheet(generators.gan().generate(sample_scenes.DIGITS, seed), seed)


def digits_to_find() -> tuple[Any, str]:
    """(a sheet of digits, the detector that knows them)."""
    return sheet_of_digits(), detectors.BUNDLED


def clip_of_digits() -> Iterator[tuple[str, str]]:
    """(a clip that wanders over a sheet of digits, the detector that knows them)."""
    for file in _clip(sheet_of_digits()):
        yield file, detectors.BUNDLED


def clip_of_a_street() -> Iterator[str]:
    """A clip that wanders over the photo of a street."""
    from tasks import images

    (file,) = sample_pictures((STREET,))
    yield from _clip(np.asarray(images.to_rgb(file)))


def _clip(rgb: np.ndarray) -> Iterator[str]:
    from tasks import sample_scenes

    with tempfile.TemporaryDirectory(prefix="image-lab-") as folder:  # copied into gradio's cache before it goes
        yield str(sample_scenes.clip(rgb, Path(folder) / "clip"))


def offer_digits(picture: gr.Image, model: gr.Dropdown) -> None:
    """A button that puts a sheet of digits into `picture`."""
    button = gr.Button("A sheet of digits, made by the GAN", size="sm", visible=_knows_digits(), elem_id="detect-sheet")
    button.click(answering(digits_to_find), None, [picture, model], concurrency_id="heavy", api_visibility="private")


def offer_clips(video: gr.Video, model: gr.Dropdown) -> None:
    """Buttons that put a clip into `video`."""
    with gr.Row():
        digits = gr.Button("A clip of digits", size="sm", visible=_knows_digits(), elem_id="detect-clip-digits")
        street = gr.Button("A clip of a street", size="sm", visible=bool(sample_pictures((STREET,))),
                           elem_id="detect-clip-street")  # fmt: skip
    digits.click(answering_steps(clip_of_digits), None, [video, model], concurrency_id="heavy",
                 api_visibility="private")  # fmt: skip
    street.click(answering_steps(clip_of_a_street), None, video, concurrency_id="heavy", api_visibility="private")


def _knows_digits() -> bool:
    return detectors.BUNDLED in {choice["name"] for choice in detectors.choices()}
