"""Generate: pictures of a class out of noise, every step drawn as it is computed."""

import math
import secrets
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from tasks.images import ImageError
from tasks.tabs import diffusion_frames, models
from tasks.tabs.errors import answering
from tasks.tabs.film import film, shows
from tasks.tabs.runs import RUNS, Frame

if TYPE_CHECKING:
    from tasks.diffusion import DiffusionGenerator

MODELS = {"Digits (MNIST)": "mnist", "Small photos (CIFAR-10)": "cifar10"}
SAMPLERS = {"UniPC": "unipc", "DPM-Solver++": "dpm++", "DDIM": "ddim", "DDPM": "ddpm"}
IN_TURN, ANY = "one of each", "any"
STEPS = [1, 2, 3, 4, 5, 8, 10, 15, 20, 25, 50, 100, 250, 500, 1000]
MOST = {"mnist": 24_000, "cifar10": 8_000}
"""Pictures times steps in one run: about a minute on two cores, and what a page can keep of it."""


def available() -> dict[str, str]:
    """The models whose weights are here: title -> name."""
    from tasks import weights

    return {title: name for title, name in MODELS.items() if (weights.FOLDER / f"diffusion_{name}.json").is_file()} or {
        "Digits (MNIST)": "mnist"
    }


def class_names(data_set: str) -> list[str]:
    """What the model makes, in the card's order; digits where there is no card."""
    from tasks import weights

    try:
        return list(weights.read_card(f"diffusion_{data_set}").classes)
    except weights.WeightsError:
        return [str(d) for d in range(10)]


def class_choices(data_set: str) -> list[str]:
    return [IN_TURN, *class_names(data_set), ANY]


def guidance_of(data_set: str) -> float:
    """What measured best, by the card."""
    from tasks import weights

    try:
        return float(weights.read_card(f"diffusion_{data_set}").preprocess.get("guidance", 1.0))
    except weights.WeightsError:
        return 1.0


def about_guidance(data_set: str) -> str:
    """What the field for guidance says: also at which t it acts, where the card names them."""
    from tasks import weights

    try:
        first, last = weights.read_card(f"diffusion_{data_set}").preprocess["guided_times"]
    except (weights.WeightsError, KeyError):
        first, last = 0, 999
    acts = f"; acts from t = {last + 1} to {first + 1}" if (first, last) != (0, 999) else ""
    return f"1 = none; more = surer of its class, less varied{acts}"


def suited(data_set: str) -> tuple[gr.Dropdown, gr.Slider]:
    """The fields for class and guidance as another model needs them."""
    return gr.Dropdown(class_choices(data_set), value=IN_TURN), gr.Slider(
        value=guidance_of(data_set), info=about_guidance(data_set)
    )


def labels_of(generator: "DiffusionGenerator", asked: str, n: int) -> list[int] | int | None:
    """Raises ImageError."""
    if asked == ANY:
        return None
    if asked == IN_TURN:
        return [k % len(generator.classes) for k in range(n)]
    if asked not in generator.classes:
        raise ImageError(f"It makes {', '.join(generator.classes)}; {str(asked)[:30]!r} was asked for.")
    return generator.classes.index(asked)


def whole(value: Any, name: str) -> int:
    """A number field's value as int. Raises ImageError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value != int(value):
        raise ImageError(f"{name} is a whole number; {str(value)[:20]} came.")
    return int(value)


def seed_of(value: Any) -> int:
    """A seed field's value; an empty field draws one."""
    return secrets.randbelow(1_000_000) if value in (None, "") else whole(value, "The seed")


def prepared(
    data_set: str, asked: str, n: Any, seed: Any, sampler: str, n_steps: Any, guidance: Any
) -> tuple["DiffusionGenerator", dict[str, Any]]:
    """The generator and the arguments of its `steps`, all checked. Raises ImageError, WeightsError."""
    generator = models.diffusion_generator(data_set)
    n, n_steps = whole(n, "The number of pictures"), whole(n_steps, "The number of steps")
    settings = {"n": n, "seed": seed_of(seed), "label": None, "sampler": sampler, "n_steps": n_steps,
                "guidance": guidance}  # fmt: skip
    generator.checked(**settings)
    most = MOST[data_set]
    if n * n_steps > most:
        raise ImageError(
            f"{n} pictures in {n_steps} steps are more than the cores here should be kept busy with: at most "
            f"{most:,} pictures times steps, so {most // n_steps} pictures in {n_steps} steps."
        )
    settings["label"] = labels_of(generator, asked, n)
    return generator, settings


def about(generator: "DiffusionGenerator", settings: dict[str, Any], kind: str) -> dict[str, Any]:
    """What is written into the files."""
    return {"name": f"{generator.card.name}-{kind}-seed{settings['seed']}", "model": generator.card.name, **settings}


def begin(data_set: str, asked: str, n: Any, seed: Any, sampler: str, n_steps: Any, guidance: Any) -> dict[str, Any]:
    """Queue a run for the player."""
    from tasks.diffusion import scheduler

    generator, settings = prepared(data_set, asked, n, seed, sampler, n_steps, guidance)
    times = scheduler(sampler, settings["n_steps"]).timesteps.tolist()
    steps = generator.steps(**settings)
    return RUNS.start(
        diffusion_frames.frames(steps, sampler, times), len(times), about(generator, settings, "generated")
    )


def generate_by_diffusion(
    data_set: str = "mnist",
    label: str = IN_TURN,
    n: int = 10,
    seed: int = 0,
    sampler: str = "unipc",
    steps: int = 10,
    guidance: float | None = None,
) -> "np.ndarray":
    """Make pictures out of noise by diffusion: handwritten digits, or small photos of ten kinds.

    Args:
        data_set: "mnist" (digits, 28 px) or "cifar10" (photos, 32 px).
        label: "0" to "9", or "airplane", "automobile", "bird" ... "truck"; "one of each" in turn; or "any".
        n: 1 to 64 pictures; n times steps at most 24,000 ("mnist") or 8,000 ("cifar10").
        seed: 0 to 2147483647; the same seed gives the same pictures.
        sampler: "unipc", "dpm++", "ddim" or "ddpm".
        steps: 1 to 1000; UniPC and DPM-Solver++ need few, DDPM many.
        guidance: 0 to 10, towards the class; 1 = none; none given: what measured best, by the model's card.
    Returns:
        A PNG with the pictures side by side, row by row.
    """
    from tasks.diffusion import to_uint8
    from tasks.tabs.film_files import grid

    guidance = guidance_of(data_set) if guidance is None else guidance
    generator, settings = prepared(data_set, label, n, seed, sampler, steps, guidance)
    made = (Frame((to_uint8(s.x_t),) if s.i == s.n else ()) for s in generator.steps(**settings))
    return grid(RUNS.finish(made, settings["n_steps"]).panels[0])


def build_generate() -> None:
    offered = available()
    first = next(iter(offered.values()))
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=260):
            data_set = gr.Dropdown(list(offered.items()), value=first, label="Model", filterable=False,
                                   visible=len(offered) > 1, elem_id="diffusion-model")  # fmt: skip
            asked = gr.Dropdown(class_choices(first), value=IN_TURN, label="Class", filterable=False,
                                elem_id="diffusion-class")  # fmt: skip
            n = gr.Slider(1, 36, 16, step=1, label="Pictures")
            with gr.Row():
                sampler = gr.Dropdown(list(SAMPLERS.items()), value="unipc", label="Sampler", filterable=False,
                                      min_width=110, elem_id="diffusion-sampler")  # fmt: skip
                n_steps = gr.Dropdown(STEPS, value=25, label="Steps", filterable=False, min_width=90,
                                      elem_id="diffusion-steps")  # fmt: skip
            seed = gr.Number(0, label="Seed (empty: by chance)", precision=0, elem_id="diffusion-seed")
            guidance = gr.Slider(0, 6, guidance_of(first), step=0.1, label="Guidance", info=about_guidance(first),
                                 elem_id="diffusion-guidance")  # fmt: skip
            go = gr.Button("Generate", variant="primary", elem_id="diffusion-go")
        with gr.Column(scale=5, min_width=300):
            player = film(diffusion_frames.PANELS, "diffusion-film", "Press Generate: each step shows as it is made.",
                          chart=diffusion_frames.chart())  # fmt: skip
    data_set.change(answering(suited), data_set, [asked, guidance], api_visibility="private", show_progress="hidden")
    shows(player, go, begin, [data_set, asked, n, seed, sampler, n_steps, guidance])
    _api()


def _api() -> None:
    """The public endpoint, /generate_by_diffusion, on hidden components of its own."""
    inputs = [
        gr.Dropdown(list(MODELS.values()), value="mnist", label="data_set", visible=False),
        gr.Textbox(IN_TURN, label="label", visible=False),
        gr.Number(10, label="n", visible=False),  # whole numbers are checked by `whole`, which has a sentence
        gr.Number(0, label="seed", visible=False),
        gr.Dropdown(list(SAMPLERS.values()), value="unipc", label="sampler", visible=False),
        gr.Number(10, label="steps", visible=False),
        gr.Number(None, label="guidance", visible=False),
    ]
    gr.Button(visible=False).click(
        answering(generate_by_diffusion), inputs, gr.Image(format="png", visible=False, label="pictures"),
        api_name="generate_by_diffusion", api_description=generate_by_diffusion.__doc__, concurrency_id="heavy",
    )  # fmt: skip
