"""Text to image: a sentence through any text-to-image pipeline of diffusers, every step seen as it is made."""

import base64
import gc
import json
import threading
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from tasks import compute
from tasks.tabs.diffusion_generate import seed_of, whole
from tasks.tabs.errors import answering, answering_steps
from tasks.tabs.film import film
from tasks.tabs.runs import RUNS, Frame

if TYPE_CHECKING:
    from tasks.text_to_image import TextStep, TextToImage
    from tasks.text_to_image_files import Pipeline

SUGGESTED = ["stabilityai/sd-turbo", "IDKiro/sdxs-512-0.9"]
ROOM = 40_000_000  # B that the frames of a run may take; of long runs the film is smaller, the picture is not
PANELS = ("<i>x<sub>t</sub></i>, the latent after the step, as colours", "x̂<sub>0</sub>, what it will become")
LEAD = (
    "<p class='lab-lead'>Here the noise is taken out of a latent, a small picture whose pixels are four numbers or "
    "more, and a text steers it. These large models are not trained here: one is downloaded once, from the Hugging "
    "Face Hub, or read from a folder. SD-Turbo takes 1 to 4 steps without guidance (Stability AI’s licence: research, "
    "no commercial use); SDXS takes 1 (OpenRAIL++).</p>"
)

_lock = threading.Lock()
_held: "list[TextToImage]" = []


def pipeline(source: str) -> "TextToImage":
    """A pipeline from this machine's files; the last one is kept. Raises WeightsError."""
    from tasks.text_to_image import TextToImage

    with _lock:
        if not (_held and _held[0].source == source):
            _held.clear()  # before the next one takes its memory
            gc.collect()
            _held.append(TextToImage.load(source))
        return _held[0]


# -- before: what it would take -------------------------------------------------------------------------------------


def look_up(source: Any) -> tuple[str, dict[str, Any]]:
    """What a pipeline would fetch and need, as HTML; the button that fetches it, where there is something to fetch."""
    from tasks import text_to_image_hub

    found = text_to_image_hub.look_up(_name(source))
    size = sum(found.missing.values())
    offer = gr.update(visible=found.folder is None, value=f"Download {size / 1e6:,.0f} MB")
    return told(found), offer


def told(found: "Pipeline") -> str:
    """A pipeline's facts as HTML."""
    from tasks import text_to_image, text_to_image_hub

    free = text_to_image.free_memory()
    fits = free is None or found.memory <= free
    memory = f"about {found.memory / 1e9:.1f} GB" + ("" if free is None else f"; {free / 1e9:.1f} GB are free")
    files = (
        f"{sum(found.missing.values()) / 1e6:,.0f} MB, into {text_to_image_hub.cache_folder()}"
        if found.folder is None
        else "nothing, its files are here"
    )
    facts = {
        "Pipeline": f"{found.kind}, {found.parameters / 1e6:,.1f} million parameters",
        "Downloads": files,
        "Memory": memory + ("" if fits else ": it does not fit here"),
        **({"Licence": found.licence} if found.licence else {}),
    }
    rows = "".join(f"<dt>{key}</dt><dd>{escape(value)}</dd>" for key, value in facts.items())
    return f"<div class='lab-card'><dl>{rows}</dl></div>"


def fetch(source: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Download what `look_up` told of."""
    from tasks import text_to_image_hub

    found = text_to_image_hub.look_up(_name(source))
    for got, total in text_to_image_hub.download(found):
        said = f"{got / 1e6:,.0f} of {total / 1e6:,.0f} MB"
        style = "width:100%;accent-color:var(--lab-accent)"
        bar = f"<progress max='{max(1, total)}' value='{got}' style='{style}' aria-label='{said}'></progress>"
        yield f"<p>Downloading: {said}</p>{bar}", gr.update(interactive=False)
    yield told(text_to_image_hub.look_up(found.source)), gr.update(visible=False, interactive=True)


def _name(source: Any) -> str:
    return source.strip() if isinstance(source, str) else ""


# -- a run ----------------------------------------------------------------------------------------------------------


def begin_text(source: Any, prompt: Any, n_steps: Any, guidance: Any, size: Any, seed: Any) -> dict[str, Any]:
    """Queue a run for the player; the pipeline is loaded in it."""
    from tasks import text_to_image, text_to_image_hub
    from tasks.weights import WeightsError

    name = _name(source)
    settings = {"seed": seed_of(seed), "n_steps": whole(n_steps, "The number of steps"), "guidance": guidance,
                "size": whole(size, "The size")}  # fmt: skip
    text_to_image.check(prompt, **settings)
    if text_to_image_hub.on_this_machine(name) is None:
        raise WeightsError(
            f"{name} is not on this machine yet. Press “Look it up”: it says how much there is to download, and "
            "offers it."
        )
    about = {"name": f"text-seed{settings['seed']}", "model": name, "prompt": prompt, **settings}
    return RUNS.start(frames(name, prompt, settings, about), settings["n_steps"] + 1, about)


def frames(source: str, prompt: str, settings: dict[str, Any], about: dict[str, Any]) -> Iterator[Frame]:
    """One frame a step, all of one size, and one with the picture."""
    with compute.stopwatch() as ms:
        model = pipeline(source)
    loading = f"<p>Loading the pipeline took {ms() / 1000:.0f} s of the time above.</p>" if ms() > 2000 else ""
    side = film_side(settings["size"], settings["n_steps"] + 2)
    before = read_as(model, prompt)
    for step in model.steps(prompt, **settings):
        last = step.picture is not None
        right = resized(step.picture if step.picture is not None else step.x0, side, smooth=True)
        title = "The picture, decoded" if last else f"Step {step.i} of {step.n}: from t = {step.t:.0f}"
        text = finished(step, about, side) if last else under_way(step, model.colours.explained)
        yield Frame((resized(step.x_t, side)[None], right[None]), title, text + before + loading)


def film_side(size: int, count: int) -> int:
    """px: as large as ROOM allows for two panels, the size halved until it fits."""
    side = size
    while side > 64 and 2 * 3 * side * side * count > ROOM:
        side //= 2
    return side


def resized(picture: np.ndarray, side: int, smooth: bool = False) -> np.ndarray:
    """uint8 (h, w, 3) -> uint8 (side, side, 3); `smooth`: bicubic, else each pixel a square."""
    from PIL import Image

    kind = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(picture).resize((side, side), kind))


def under_way(step: "TextStep", explained: float) -> str:
    right = (
        "Right: what the network expects at the end"
        if step.predicted
        else "This sampler tells no prediction; right: x<sub>t</sub>"
    )
    return (
        f"<p>{step.seconds:.1f} s. {right}. Until the decoder has run, colours are a linear map of the latent, fitted "
        f"to this pipeline’s decoder; on smooth latents it explains {100 * explained:.0f} % of the decoded colours.</p>"
    )


def read_as(model: "TextToImage", prompt: str) -> str:
    """The prompt in the pieces that the text encoder reads."""
    read, dropped = model.tokens(prompt)
    if not read:
        return ""
    cut = f" Too long: it does not read “{escape(' '.join(dropped))}”." if dropped else ""
    return f"<p>Read as {len(read)} tokens: {escape(' · '.join(read))}.{cut}</p>"


def finished(step: "TextStep", about: dict[str, Any], side: int) -> str:
    """The picture at its own size as a link, with the settings inside; and shown, where the film is smaller."""
    assert step.picture is not None
    url = f"data:image/png;base64,{base64.b64encode(png(step.picture, about)).decode()}"
    size = step.picture.shape[0]
    shown = (
        f"<img src='{url}' alt='{escape(about['prompt'], quote=True)}' style='max-width:100%'>" if side < size else ""
    )
    withheld = "<p>The pipeline’s own safety checker has withheld this picture.</p>" if step.withheld else ""
    return (
        f"{withheld}<p>Decoded in {step.seconds:.1f} s. <a href='{url}' download='{about['name']}.png'>The picture as "
        f"PNG, {size} × {size} px, with prompt, seed and settings inside</a></p>{shown}"
    )


def png(picture: np.ndarray, about: dict[str, Any]) -> bytes:
    """uint8 (H, W, 3) -> PNG; the settings lie in its text chunk "settings", as JSON."""
    import io

    from PIL import Image, PngImagePlugin

    info = PngImagePlugin.PngInfo()
    info.add_text("settings", json.dumps(about))
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "PNG", pnginfo=info)
    return out.getvalue()


def build_text() -> None:
    gr.HTML(LEAD)
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=260):
            source = gr.Dropdown(
                SUGGESTED, value=SUGGESTED[0], label="Pipeline", allow_custom_value=True, elem_id="text-model",
                info="owner/name on the Hugging Face Hub, or a folder (/…, ./… or ~…)",
            )  # fmt: skip
            look = gr.Button("Look it up", elem_id="text-look")
            facts = gr.HTML(elem_id="text-facts")
            get = gr.Button("Download", visible=False, elem_id="text-get")
            end = gr.Button("Stop the download", visible=False, elem_id="text-end")
            prompt = gr.Textbox("a red fox in the snow, photograph", label="Prompt", lines=2, max_length=1000,
                                elem_id="text-prompt")  # fmt: skip
            with gr.Row():
                n_steps = gr.Number(2, label="Steps", precision=0, min_width=110, elem_id="text-steps")
                guidance = gr.Number(0, label="Guidance", min_width=110, elem_id="text-guidance")
            with gr.Row():
                size = gr.Dropdown([128, 256, 384, 512, 640, 768], value=512, label="Size, px", filterable=False,
                                   min_width=110, elem_id="text-size")  # fmt: skip
                seed = gr.Number(0, label="Seed", precision=0, min_width=110, elem_id="text-seed")
            go = gr.Button("Generate", variant="primary", elem_id="text-go")
        with gr.Column(scale=5, min_width=300):
            player = film(
                PANELS, "text-film", "Each step shows as it is made; at the end the decoder makes the picture."
            )
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    source.change(lambda: ("", gr.update(visible=False)), None, [facts, get], **quiet)
    look.click(answering(look_up), source, [facts, get], api_visibility="private")
    showing = get.click(lambda: gr.update(visible=True), None, end, **quiet)
    loading = showing.then(answering_steps(fetch), source, [facts, get], **quiet,
                           concurrency_id="fetch", concurrency_limit=1)  # fmt: skip
    loading.then(lambda: (gr.update(visible=False), gr.update(interactive=True)), None, [end, get], **quiet)
    end.click(
        lambda: ("<p>Stopped. What has come is kept; Download goes on from there.</p>", gr.update(visible=False),
                 gr.update(interactive=True)),
        None, [facts, end, get], cancels=[loading], **quiet,
    )  # fmt: skip
    go.click(answering(begin_text), [source, prompt, n_steps, guidance, size, seed], player, **quiet)
