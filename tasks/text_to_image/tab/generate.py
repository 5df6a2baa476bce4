"""Generate: a prompt becomes four drawings, every step and every word's place shown."""

from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from tasks import loaders
from tasks.text_to_image.concepts import STYLES
from tasks.text_to_image.tab import word_maps
from tasks.ui.endpoint import endpoint, number
from tasks.ui.errors import report_errors, return_errors
from tasks.ui.fields import parse_int, parse_seed
from tasks.ui.jobs import JOBS, Frame
from tasks.ui.step_player import start_on_click, step_player

if TYPE_CHECKING:
    from tasks.text_to_image.generator import TextToImage

PROMPT = "a fox on a blue background"
EXAMPLES = [
    [PROMPT],
    ["ein lila Frosch"],
    ["a fox left of a pizza"],
    ["橙色背景上的企鹅"],
    ["three apples"],
    ["un cohete sobre fondo negro"],
    ["🎸 on yellow"],
    ["une tulipe"],
    ["umgedrehtes Haus"],
]
STYLE_NAMES = {
    "Noto": "noto",
    "Twemoji": "twemoji",
    "OpenMoji": "openmoji",
    "Fluent, shaded": "fluent",
    "Fluent, flat": "fluent-flat",
    "FxEmoji": "fxemoji",
}
MAX_IMAGES, MAX_STEPS = 9, 50


@return_errors
def suggest_words(request: dict[str, Any]) -> dict[str, Any]:
    """Names that go on as what is typed: {"text", "language"} -> {"words": [...]}."""
    asked = request if isinstance(request, dict) else {}
    text, language = str(asked.get("text", ""))[:40], str(asked.get("language", "en"))[:2]
    return {"words": loaders.text_to_image().vocabulary.suggest(text, language)}


def check_request(
    prompt: Any, n: Any, seed: Any, n_steps: Any, guidance: Any, style: Any, negative: Any
) -> tuple["TextToImage", dict[str, Any]]:
    """The model and the checked arguments of its `steps`. Raises ImageError, WeightsError."""
    from tasks.core.images import ImageError
    from tasks.text_to_image.generator import check_settings

    model = loaders.text_to_image()
    settings = {
        "n": parse_int(n, "The number of images"),
        "seed": parse_seed(seed),
        "n_steps": parse_int(n_steps, "The number of steps"),
        "guidance": model.guidance if guidance is None else guidance,
    }
    check_settings(*settings.values())
    if settings["n"] > MAX_IMAGES or settings["n_steps"] > MAX_STEPS:
        raise ImageError(
            f"At most {MAX_IMAGES} images in {MAX_STEPS} steps; {settings['n']} in "
            f"{settings['n_steps']} were asked for."
        )
    for text in (prompt, negative):
        model.read(text, style)
    return model, {"prompt": prompt, **settings, "style": style, "negative": negative}


def begin(
    prompt: Any, n: Any, seed: Any, n_steps: Any, guidance: Any, style: Any, negative: Any
) -> dict[str, Any]:
    """Queue a job for the player."""
    model, settings = check_request(prompt, n, seed, n_steps, guidance, style, negative)
    caption = model.read(prompt, style)
    note = word_maps.reading_html(caption, model.vocabulary, settings["n"])
    about = {"name": f"text-seed{settings['seed']}", "model": model.card.name, **settings}
    steps = word_maps.frames(model.steps(**settings), caption, note)
    return JOBS.start(steps, settings["n_steps"], about)


def text_to_image(
    prompt: str = PROMPT,
    n: int = 4,
    seed: int = 0,
    steps: int = 20,
    guidance: float | None = None,
    style: str = "noto",
    negative: str = "",
) -> "np.ndarray":
    """Generate small drawings from a caption in one of twelve languages.

    Args:
        prompt: a thing or two, with colour, background, number or place, as "a fox on a blue
            background" or "cat left of dog"; "(fox:0.5)" halves a word's weight; empty: anything.
            At most 1000 characters.
        n: 1 to 9 images.
        seed: 0 to 2147483647; the same seed gives the same images.
        steps: 1 to 50.
        guidance: 0 to 20, towards the prompt; 1 = none; by default the best one, from the card.
        style: "noto", "twemoji", "openmoji", "fluent", "fluent-flat" or "fxemoji".
        negative: what to stay away from, in the same words.
    Returns:
        A PNG with the images, 64 px each, side by side, row by row.
    """
    from tasks.ui.step_player_files import grid

    model, settings = check_request(prompt, n, seed, steps, guidance, style, negative)
    only_last = (Frame((s.images,) if s.i == s.n else ()) for s in model.steps(**settings))
    return grid(JOBS.finish(only_last, settings["n_steps"]).panels[0])


def best_guidance() -> float:
    """The guidance that scored best, from the card."""
    from tasks.core import weights

    try:
        return float(weights.read_card("text_to_image").preprocess.get("guidance", 3.0))
    except weights.WeightsError:
        return 3.0


def style_choice(elem_id: str) -> gr.Dropdown:
    return gr.Dropdown(
        list(STYLE_NAMES.items()),
        value=STYLES[0],
        label="Style",
        filterable=False,
        min_width=120,
        elem_id=elem_id,
    )


def build_generate() -> None:
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=260):
            prompt = gr.Textbox(
                PROMPT,
                label="Prompt",
                lines=2,
                max_lines=4,
                elem_id="words-prompt",
            )
            go = gr.Button("Generate", variant="primary", elem_id="words-go")
            gr.Examples(EXAMPLES, prompt, label="Try")
            with gr.Row():
                style = style_choice("words-style")
                seed = gr.Number(
                    0,
                    label="Seed (empty = random)",
                    precision=0,
                    min_width=90,
                    elem_id="words-seed",
                )
            with gr.Accordion("More settings", open=False):
                with gr.Row():
                    n = gr.Slider(1, MAX_IMAGES, 4, step=1, label="Images", min_width=120)
                    n_steps = gr.Slider(1, MAX_STEPS, 20, step=1, label="Steps", min_width=120)
                guidance = gr.Slider(
                    0,
                    12,
                    best_guidance(),
                    step=0.5,
                    label="Guidance",
                    info="1 = none; more = closer to the prompt, harsher colours",
                )
                negative = gr.Textbox("", label="Negative prompt", max_lines=2)
        with gr.Column(scale=5, min_width=300, elem_classes="lab-result"):
            player = step_player(
                word_maps.PANELS,
                "words-player",
                "Press Generate: each step is shown as it is computed.",
                picked=1,
                parts=[word_maps.PART],
                functions=[suggest_words],
            )
    fields = [prompt, n, seed, n_steps, guidance, style, negative]
    names = ["prompt", "n", "seed", "steps", "guidance", "style", "negative"]
    start_on_click(player, go, begin, fields, names)
    prompt.submit(
        report_errors(begin), fields, player, api_visibility="private", show_progress="hidden"
    )
    _api()


def _api() -> None:
    """The public endpoint, /text_to_image, on hidden components."""
    inputs = [
        gr.Textbox(PROMPT, label="prompt", visible=False),
        number(4, "n"),
        number(0, "seed"),
        number(20, "steps"),
        number(None, "guidance"),
        gr.Textbox("noto", label="style", visible=False),
        gr.Textbox("", label="negative", visible=False),
    ]
    result = gr.Image(format="png", visible=False, label="images")
    endpoint(text_to_image, inputs, result)
