"""Generate: images of a class from noise, every step shown as it is computed."""

from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from tasks import loaders
from tasks.core.images import ImageError
from tasks.diffusion.tab import frames
from tasks.ui.endpoint import endpoint, number
from tasks.ui.errors import report_errors
from tasks.ui.fields import parse_int, parse_seed
from tasks.ui.jobs import JOBS, Frame
from tasks.ui.step_player import start_on_click, step_player

if TYPE_CHECKING:
    from tasks.diffusion.generator import DiffusionGenerator

MODELS = {"Digits (MNIST)": "mnist", "Small photos (CIFAR-10)": "cifar10"}
SAMPLERS = {"UniPC": "unipc", "DPM-Solver++": "dpm++", "DDIM": "ddim", "DDPM": "ddpm"}
IN_TURN, ANY = "one of each", "any"
STEPS = [1, 2, 3, 4, 5, 8, 10, 15, 20, 25, 50, 100, 250, 500, 1000]
MAX_WORK = {"mnist": 24_000, "cifar10": 8_000}
"""Images times steps in one job: about a minute on two cores."""


def available() -> dict[str, str]:
    """The models whose weights are here: title -> name."""
    from tasks.core import weights

    return {
        title: name
        for title, name in MODELS.items()
        if (weights.FOLDER / f"diffusion_{name}.json").is_file()
    } or {"Digits (MNIST)": "mnist"}


def model_choice(name: str, **look: Any) -> gr.Dropdown:
    """A choice of the models that are here, hidden where there is one; `look` is gradio's."""
    offered = list(available().items())
    return gr.Dropdown(
        offered, value=name, label="Model", filterable=False, visible=len(offered) > 1, **look
    )


def class_names(data_set: str) -> list[str]:
    """The model's classes, in the card's order; digits if there is no card."""
    from tasks.core import weights

    try:
        return list(weights.read_card(f"diffusion_{data_set}").classes)
    except weights.WeightsError:
        return [str(d) for d in range(10)]


def class_choices(data_set: str) -> list[str]:
    return [IN_TURN, *class_names(data_set), ANY]


def guidance_of(data_set: str) -> float:
    """The guidance that scored best, from the card."""
    from tasks.core import weights

    try:
        return float(weights.read_card(f"diffusion_{data_set}").preprocess.get("guidance", 1.0))
    except weights.WeightsError:
        return 1.0


def guidance_info(data_set: str) -> str:
    """Help of the field for guidance; the card may limit the t at which it acts."""
    from tasks.core import weights

    try:
        first, last = weights.read_card(f"diffusion_{data_set}").preprocess["guided_times"]
    except (weights.WeightsError, KeyError):
        first, last = 0, 999
    acts = f"; acts from t = {last + 1} to {first + 1}" if (first, last) != (0, 999) else ""
    return f"1 = none; more = clearer classes, less variety{acts}"


def update_fields(data_set: str) -> tuple[gr.Dropdown, gr.Slider]:
    """Class and guidance for another model."""
    return gr.Dropdown(class_choices(data_set), value=IN_TURN), gr.Slider(
        value=guidance_of(data_set), info=guidance_info(data_set)
    )


def refresh_class(values: dict[str, Any]) -> dict[str, gr.Dropdown]:
    """The class field for the model and class of a link."""
    return {"class": gr.Dropdown(class_choices(str(values["model"])), value=values["class"])}


def labels_of(generator: "DiffusionGenerator", asked: str, n: int) -> list[int] | int | None:
    """Raises ImageError."""
    if asked == ANY:
        return None
    if asked == IN_TURN:
        return [k % len(generator.classes) for k in range(n)]
    if asked not in generator.classes:
        raise ImageError(f"Classes are {', '.join(generator.classes)}; {str(asked)[:30]!r} came.")
    return generator.classes.index(asked)


def check_request(
    data_set: str, asked: str, n: Any, seed: Any, sampler: str, n_steps: Any, guidance: Any
) -> tuple["DiffusionGenerator", dict[str, Any]]:
    """The generator and the checked arguments of its `steps`. Raises ImageError, WeightsError."""
    generator = loaders.diffusion_generator(data_set)
    n, n_steps = parse_int(n, "The number of images"), parse_int(n_steps, "The number of steps")
    settings = {
        "n": n,
        "seed": parse_seed(seed),
        "label": None,
        "sampler": sampler,
        "n_steps": n_steps,
        "guidance": guidance,
    }
    generator.check_settings(**settings)
    most = MAX_WORK[data_set]
    if n * n_steps > most:
        raise ImageError(
            f"{n} images in {n_steps} steps are too much work; images times steps may be at most "
            f"{most:,}, so {most // n_steps} images in {n_steps} steps."
        )
    settings["label"] = labels_of(generator, asked, n)
    return generator, settings


def about(generator: "DiffusionGenerator", settings: dict[str, Any], kind: str) -> dict[str, Any]:
    """Settings that are written into saved files."""
    return {
        "name": f"{generator.card.name}-{kind}-seed{settings['seed']}",
        "model": generator.card.name,
        **settings,
    }


def begin(
    data_set: str, asked: str, n: Any, seed: Any, sampler: str, n_steps: Any, guidance: Any
) -> dict[str, Any]:
    """Queue a job for the player."""
    from tasks.diffusion.generator import scheduler

    generator, settings = check_request(data_set, asked, n, seed, sampler, n_steps, guidance)
    times = scheduler(sampler, settings["n_steps"]).timesteps.tolist()
    steps = generator.steps(**settings)
    return JOBS.start(
        frames.frames(steps, sampler, times), len(times), about(generator, settings, "generated")
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
    """Generate images by diffusion: handwritten digits, or small photos of ten kinds.

    Args:
        data_set: "mnist" (digits, 28 px) or "cifar10" (photos, 32 px).
        label: "0" to "9", or "airplane", "automobile", "bird" ... "truck"; "one of each"; or "any".
        n: 1 to 64 images; n times steps at most 24,000 ("mnist") or 8,000 ("cifar10").
        seed: 0 to 2147483647; the same seed gives the same images.
        sampler: "unipc", "dpm++", "ddim" or "ddpm".
        steps: 1 to 1000; UniPC and DPM-Solver++ need few, DDPM many.
        guidance: 0 to 10, towards the class; 1 = none; by default the best one, from the card.
    Returns:
        A PNG with the images side by side, row by row.
    """
    from tasks.core.images import to_uint8
    from tasks.ui.step_player_files import grid

    guidance = guidance_of(data_set) if guidance is None else guidance
    generator, settings = check_request(data_set, label, n, seed, sampler, steps, guidance)
    steps_only = (
        Frame((to_uint8(s.x_t),) if s.i == s.n else ()) for s in generator.steps(**settings)
    )
    return grid(JOBS.finish(steps_only, settings["n_steps"]).panels[0])


def build_generate() -> None:
    first = next(iter(available().values()))
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=260):
            with gr.Row():
                data_set = model_choice(first, min_width=120, elem_id="diffusion-model")
                asked = gr.Dropdown(
                    class_choices(first),
                    value=IN_TURN,
                    label="Class",
                    filterable=False,
                    min_width=110,
                    elem_id="diffusion-class",
                )
            sampler, n_steps = _sampler_row()
            go = gr.Button("Generate", variant="primary", elem_id="diffusion-go")
            n = gr.Slider(1, 36, 16, step=1, label="Images")
            guidance = gr.Slider(
                0,
                6,
                guidance_of(first),
                step=0.1,
                label="Guidance",
                info=guidance_info(first),
                elem_id="diffusion-guidance",
            )
            seed = gr.Number(
                0, label="Seed (empty = random)", precision=0, elem_id="diffusion-seed"
            )
        with gr.Column(scale=5, min_width=300, elem_classes="lab-result"):
            player = step_player(
                frames.PANELS,
                "diffusion-player",
                "Press Generate: each step is shown as it is computed.",
                chart=frames.schedule_chart(),
            )
    data_set.input(
        report_errors(update_fields),
        data_set,
        [asked, guidance],
        api_visibility="private",
        show_progress="hidden",
    )
    start_on_click(
        player,
        go,
        begin,
        [data_set, asked, n, seed, sampler, n_steps, guidance],
        ["model", "class", "n", "seed", "sampler", "steps", "guidance"],
        refresh_class,
    )
    _api()


def _sampler_row() -> tuple[gr.Dropdown, gr.Dropdown]:
    """Sampler and number of steps, side by side."""
    with gr.Row():
        sampler = gr.Dropdown(
            list(SAMPLERS.items()),
            value="unipc",
            label="Sampler",
            filterable=False,
            min_width=110,
            elem_id="diffusion-sampler",
        )
        n_steps = gr.Dropdown(
            STEPS,
            value=25,
            label="Steps",
            filterable=False,
            min_width=90,
            elem_id="diffusion-steps",
        )
    return sampler, n_steps


def _api() -> None:
    """The public endpoint, /generate_by_diffusion, on hidden components."""
    inputs = [
        gr.Dropdown(list(MODELS.values()), value="mnist", label="data_set", visible=False),
        gr.Textbox(IN_TURN, label="label", visible=False),
        number(10, "n"),
        number(0, "seed"),
        gr.Dropdown(list(SAMPLERS.values()), value="unipc", label="sampler", visible=False),
        number(10, "steps"),
        number(None, "guidance"),
    ]
    result = gr.Image(format="png", visible=False, label="pictures")
    endpoint(generate_by_diffusion, inputs, result)
