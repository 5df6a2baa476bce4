"""An image generated as a job: a frame for each step, the decoded image at the end."""

import base64
import gc
import io
import json
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from tasks.core.device import stopwatch
from tasks.text_to_image.tab.look_up import parse_name
from tasks.ui.fields import parse_int, parse_seed
from tasks.ui.jobs import JOBS, Frame
from tasks.ui.step_player import step_player

if TYPE_CHECKING:
    from tasks.text_to_image.pipeline import HubPipeline, PipelineStep

MAX_BYTES = 40_000_000  # of the frames of a job; many steps are shown smaller, the image is not
PANELS = (
    "<i>x<sub>t</sub></i>, the latent after the step, as colours",
    "x̂<sub>0</sub>, the prediction for the end",
)

_loaded: "list[HubPipeline]" = []  # the last one; only jobs use it, and one is computed at a time


def load_model(source: str) -> "HubPipeline":
    """A pipeline on this machine; the last one is kept. Raises WeightsError."""
    from tasks.text_to_image.pipeline import HubPipeline

    if not (_loaded and _loaded[0].source == source):
        _loaded.clear()  # before the next one takes its memory
        gc.collect()
        _loaded.append(HubPipeline.load(source))
    return _loaded[0]


def begin(
    source: Any, prompt: Any, n_steps: Any, guidance: Any, size: Any, seed: Any
) -> dict[str, Any]:
    """Queue a job for the player; the pipeline is loaded in it."""
    from tasks.text_to_image import hub, pipeline

    name = parse_name(source)
    settings = {
        "seed": parse_seed(seed),
        "n_steps": parse_int(n_steps, "The number of steps"),
        "guidance": guidance,
        "size": parse_int(size, "The size"),
    }
    pipeline.check_settings(prompt, **settings)
    hub.get_local(name)
    about = {"name": f"text-seed{settings['seed']}", "model": name, "prompt": prompt, **settings}
    return JOBS.start(frames(name, prompt, settings, about), settings["n_steps"] + 1, about)


def frames(
    source: str, prompt: str, settings: dict[str, Any], about: dict[str, Any]
) -> Iterator[Frame]:
    """A frame for each step, all of one size, and one with the image."""
    with stopwatch() as ms:
        model = load_model(source)
    notes = tokens_html(model, prompt)
    if ms() > 2000:
        notes += f"<p>Loading the pipeline took {ms() / 1000:.0f} s of the time above.</p>"
    side = panel_side(settings["size"], settings["n_steps"] + 2)
    for step in model.steps(prompt, **settings):
        if step.image is None:
            right, title = step.x0, f"Step {step.i} of {step.n}: from t = {step.t:.0f}"
            text = step_html(step, model.colours.explained)
        else:
            right, title = step.image, "The image, decoded"
            text = image_html(step, about, side)
        panels = resize(step.x_t, side)[None], resize(right, side, smooth=True)[None]
        yield Frame(panels, title, text + notes)


def panel_side(size: int, count: int) -> int:
    """px: the size, halved until two panels in `count` frames fit into MAX_BYTES."""
    side = size
    while side > 64 and 2 * 3 * side * side * count > MAX_BYTES:
        side //= 2
    return side


def resize(image: np.ndarray, side: int, smooth: bool = False) -> np.ndarray:
    """uint8 (h, w, 3) -> uint8 (side, side, 3), bicubic if smooth, else nearest pixel."""
    from PIL import Image

    method = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(image).resize((side, side), method))


def step_html(step: "PipelineStep", explained: float) -> str:
    right = (
        "Right: the network’s prediction for the end"
        if step.predicted
        else "This scheduler gives no prediction; right: x<sub>t</sub>"
    )
    return (
        f"<p>{step.seconds:.1f} s. {right}. Until the decoder has run, colours are a linear map of "
        f"the latent, fitted to this decoder; on smooth latents it explains {100 * explained:.0f} "
        "% of the variance of the decoded colours.</p>"
    )


def tokens_html(model: "HubPipeline", prompt: str) -> str:
    """The prompt as the tokens that the text encoder reads."""
    read, dropped = model.tokens(prompt)
    if not read:
        return ""
    cut = f" Too long: “{escape(' '.join(dropped))}” is not read." if dropped else ""
    return f"<p>Read as {len(read)} tokens: {escape(' · '.join(read))}.{cut}</p>"


def image_html(step: "PipelineStep", about: dict[str, Any], side: int) -> str:
    """The image at its own size as a download; also shown if the panels are smaller."""
    assert step.image is not None
    size = step.image.shape[0]
    url = f"data:image/png;base64,{base64.b64encode(to_png(step.image, about)).decode()}"
    text = f"<p>Decoded in {step.seconds:.1f} s. "
    if step.withheld:
        text = f"<p>The pipeline’s own safety checker has withheld this image.</p>{text}"
    text += (
        f"<a href='{url}' download='{about['name']}.png'>The image as PNG, {size} × {size} px, "
        "with prompt, seed and settings inside</a></p>"
    )
    if side < size:
        alt = escape(about["prompt"], quote=True)
        text += f"<img src='{url}' alt='{alt}' style='max-width:100%'>"
    return text


def to_png(image: np.ndarray, about: dict[str, Any]) -> bytes:
    """uint8 (H, W, 3) -> PNG; its text chunk "settings" holds the settings as JSON."""
    from PIL import Image, PngImagePlugin

    info = PngImagePlugin.PngInfo()
    info.add_text("settings", json.dumps(about))
    out = io.BytesIO()
    Image.fromarray(image).save(out, "PNG", pnginfo=info)
    return out.getvalue()


def build_player() -> gr.HTML:
    return step_player(
        PANELS,
        "text-player",
        "Each step is shown as it is computed; at the end the decoder turns the latent into the "
        "image.",
    )
