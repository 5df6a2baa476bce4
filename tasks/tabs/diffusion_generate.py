"""Generate: pictures of a class out of noise, every step drawn as it is computed; and four samplers side by side."""

import math
import secrets
from collections.abc import Iterator
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


def begin_samplers(data_set: str, asked: str, seed: Any, n_steps: Any, guidance: Any) -> dict[str, Any]:
    """The same noise and class through all four samplers."""
    generator, settings = prepared(data_set, asked, 4, seed, "ddpm", n_steps, guidance)
    if settings["n_steps"] > 100:
        raise ImageError(f"Side by side, 1 to 100 steps are made; {settings['n_steps']} were asked for.")
    names = list(SAMPLERS.values())
    runs = [generator.steps(**{**settings, "sampler": name}) for name in names]
    settings["sampler"] = " / ".join(names)
    return RUNS.start(_side_by_side(runs), settings["n_steps"], about(generator, settings, "samplers"))


def _side_by_side(runs: list[Iterator[Any]]) -> Iterator[Frame]:
    from tasks.diffusion import to_uint8

    for steps in zip(*runs, strict=True):
        first = steps[0]
        ms = " · ".join(f"{title} {1000 * s.seconds:.0f} ms" for title, s in zip(SAMPLERS, steps, strict=True))
        yield Frame(tuple(to_uint8(s.x_t) for s in steps), f"Step {first.i} of {first.n}", f"<p>{ms}</p>")


def generate_by_diffusion(
    data_set: str = "mnist",
    label: str = IN_TURN,
    n: int = 10,
    seed: int = 0,
    sampler: str = "unipc",
    steps: int = 10,
    guidance: float = 1.5,
) -> "np.ndarray":
    """Make pictures out of noise.

    data_set: "mnist" or "cifar10". label: a class by its name, "one of each" in turn, or "any".
    n: 1 to 64 pictures. seed: the same seed gives the same pictures. sampler: "unipc", "dpm++", "ddim" or "ddpm".
    steps: 1 to 1000. guidance: of the class, 1 = none.
    Returns a PNG with the pictures side by side, row by row.
    """  # fmt: skip
    from tasks.diffusion import to_uint8
    from tasks.tabs.film_files import grid

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
            guidance = gr.Slider(0, 6, 1.5, step=0.1, label="Guidance",
                                 info="1 = none; more = surer of its class, less varied")  # fmt: skip
            go = gr.Button("Generate", variant="primary", elem_id="diffusion-go")
        with gr.Column(scale=5, min_width=300):
            player = film(diffusion_frames.PANELS, "diffusion-film", "Press Generate: each step shows as it is made.",
                          chart=diffusion_frames.chart())  # fmt: skip
    data_set.change(lambda name: gr.Dropdown(class_choices(name), value=IN_TURN), data_set, asked,
                    api_visibility="private", show_progress="hidden")  # fmt: skip
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
        gr.Number(1.5, label="guidance", visible=False),
    ]
    gr.Button(visible=False).click(
        answering(generate_by_diffusion), inputs, gr.Image(format="png", visible=False, label="pictures"),
        api_name="generate_by_diffusion", api_description=generate_by_diffusion.__doc__, concurrency_id="heavy",
    )  # fmt: skip


def build_samplers() -> None:
    offered = available()
    first = next(iter(offered.values()))
    gr.HTML(
        "<p class='lab-lead'>The same noise, the same network, the same number of steps: what differs is how far each "
        "sampler trusts the prediction. In few steps DDPM’s own noise has no time to be taken away again.</p>"
    )
    with gr.Row():
        data_set = gr.Dropdown(list(offered.items()), value=first, label="Model", filterable=False,
                               visible=len(offered) > 1, min_width=150)  # fmt: skip
        asked = gr.Dropdown(class_choices(first), value=IN_TURN, label="Class", filterable=False, min_width=130)
        n_steps = gr.Slider(1, 50, 8, step=1, label="Steps", min_width=150)
        guidance = gr.Slider(0, 6, 1.5, step=0.1, label="Guidance", min_width=150)
        seed = gr.Number(0, label="Seed", precision=0, min_width=100)
        go = gr.Button("Run all four", variant="primary", min_width=130, elem_id="samplers-go")
    player = film(tuple(SAMPLERS), "samplers-film", "Four samplers, one noise.", wide=True)
    data_set.change(lambda name: gr.Dropdown(class_choices(name), value=IN_TURN), data_set, asked,
                    api_visibility="private", show_progress="hidden")  # fmt: skip
    shows(player, go, begin_samplers, [data_set, asked, seed, n_steps, guidance])
