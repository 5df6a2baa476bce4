"""A given picture and the diffusion model: drowned in noise and brought back, filled where hidden, enlarged."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from tasks.images import ImageError
from tasks.tabs import diffusion_far, diffusion_frames, diffusion_pad, models
from tasks.tabs.diffusion_generate import ANY, available, class_choices, labels_of, seed_of, whole
from tasks.tabs.diffusion_generate import MOST as MOST_WORK
from tasks.tabs.errors import answering
from tasks.tabs.film import film, shows
from tasks.tabs.runs import RUNS, Frame
from tasks.weights import WeightsError

if TYPE_CHECKING:
    from tasks.diffusion import DiffusionStep

MOST = 16  # completions at once
REPEATS = 4  # of each step of RePaint


def numbers_of(data_set: str, n: Any, n_steps: Any, seed: Any, repeats: int = 1) -> dict[str, int]:
    """How much is made of a given picture, checked; `repeats`: of each step. Raises ImageError."""
    n, n_steps = whole(n, "The number of pictures"), whole(n_steps, "The number of steps")
    if not 1 <= n <= MOST or not 1 <= n_steps <= 250:
        raise ImageError(f"1 to {MOST} pictures in 1 to 250 steps can be made here; {n} in {n_steps} were asked for.")
    if n * n_steps * repeats > MOST_WORK[data_set]:
        raise ImageError(
            f"{n} pictures in {n_steps} steps are more than the cores here should be kept busy with: at most "
            f"{MOST_WORK[data_set] // repeats // n_steps} pictures in {n_steps} steps."
        )
    return {"n": n, "n_steps": n_steps, "seed": seed_of(seed)}


def classes_of(value: Any) -> gr.Dropdown:
    """The classes of the model that a pad is set to."""
    return gr.Dropdown(class_choices(diffusion_pad.model_of(value))[1:], value=ANY)


def _class_of(drawn: gr.HTML) -> gr.Dropdown:
    """The field for a class, which follows the model that the pad is set to."""
    first, *others = available().values()
    asked = gr.Dropdown(class_choices(first)[1:], value=ANY, label="Class", filterable=False, min_width=100)
    if others:
        drawn.select(answering(classes_of), drawn, asked, api_visibility="private", show_progress="hidden")
    return asked


# -- from noise back ------------------------------------------------------------------------------------------------


def begin_denoise(value: Any, n_steps: Any) -> dict[str, Any]:
    """From a forward pad's x_t back to a picture, by DDIM."""
    from tasks import diffusion_restore

    name, picture = diffusion_pad.picture_of(value)
    noisy, t = diffusion_pad.noisy_of(value)
    generator = models.diffusion_generator(name)
    if t == 0:
        raise ImageError("At t = 0 there is no noise to take away. Move the slider to the right.")
    n_steps = whole(n_steps, "The number of steps")
    steps = diffusion_restore.denoise_from(generator, noisy, t, n_steps=n_steps)
    total = min(n_steps, t)
    about = {"name": f"{generator.card.name}-from-t{t}", "model": generator.card.name, "t": t, "steps": total}
    return RUNS.start(_compared(steps, picture, name), total, about)


def _compared(steps: "Iterator[DiffusionStep]", picture: np.ndarray, name: str) -> Iterator[Frame]:
    """Each step beside the picture that it started from; the last says how much of it came back."""
    from tasks.diffusion import to_uint8

    original = picture[None]
    for step in steps:
        x0 = to_uint8(step.x0)
        error = float(np.sqrt(np.mean((x0.astype(np.float32) - original) ** 2)))
        text = f"<p>x̂<sub>0</sub> differs from the original by {error:.0f} grey levels (root mean square).</p>"
        text += _readings(name, picture, x0[0])
        yield Frame((original, to_uint8(step.x_t), x0), f"Step {step.i} of {step.n}: from t = {step.t + 1}", text,
                    diffusion_frames.dots(step.t + 1 if step.i < step.n else 0))  # fmt: skip


def _readings(name: str, before: np.ndarray, after: np.ndarray) -> str:
    """What the classifier of the model's data set reads in both; nothing where it has no weights."""
    try:
        (first, sure), (second, surely) = diffusion_far.reading(name, np.stack([before, after]))
    except WeightsError:
        return ""
    return (
        f"<p>The classifier reads the original as <b>{first}</b> ({100 * sure:.0f} %), this one as <b>{second}</b> "
        f"({100 * surely:.0f} %).</p>"
    )


def build_forward() -> None:
    gr.HTML(
        "<p class='lab-lead'>Draw or upload, then slide t: noise is mixed in until nothing but noise is left. The "
        "network was trained on such mixtures. How far in can you go and still get your picture back?</p>"
    )
    drawn = diffusion_pad.pad("forward", "forward-pad", available())
    with gr.Tabs():
        with gr.Tab("Denoise from here", id="back"):
            with gr.Row():
                n_steps = gr.Slider(1, 50, 20, step=1, label="Steps back", min_width=200)
                go = gr.Button("Denoise from here", variant="primary", elem_id="forward-go", min_width=200)
            player = film(("the original", *diffusion_frames.PANELS), "forward-film", "The way back appears here.",
                          chart=diffusion_frames.chart(), picked=1)  # fmt: skip
            shows(player, go, begin_denoise, [drawn, n_steps])
        with gr.Tab("How far in?", id="far"):
            diffusion_far.build_far(drawn)


# -- inpainting -----------------------------------------------------------------------------------------------------


def begin_inpaint(value: Any, asked: str, n: Any, n_steps: Any, seed: Any) -> dict[str, Any]:
    """Fill what is hidden on a pad, in n ways."""
    from tasks import diffusion_restore

    name, picture = diffusion_pad.picture_of(value)
    mask = diffusion_pad.mask_of(value)
    generator, numbers = models.diffusion_generator(name), numbers_of(name, n, n_steps, seed, REPEATS)
    steps = diffusion_restore.inpaint(generator, picture, mask, label=labels_of(generator, asked, numbers["n"]),
                                      repeats=REPEATS, **numbers)  # fmt: skip
    about = {"name": f"{generator.card.name}-inpainted-seed{numbers['seed']}", "model": generator.card.name,
             "class": asked, "hidden": int(mask.sum()), "repeats": REPEATS, **numbers}  # fmt: skip
    text = (
        f"<p>RePaint: {int(mask.sum())} of {mask.size} pixels are made up; after each step the others are put back as "
        f"the forward process has them at this t. Each step is made {REPEATS} times, with noise between, so that "
        "the new part fits the old.</p>"
    )
    return RUNS.start(_plain(steps, text), numbers["n_steps"], about)


def _plain(steps: "Iterator[DiffusionStep]", text: str) -> Iterator[Frame]:
    from tasks.diffusion import to_uint8

    for step in steps:
        yield Frame((to_uint8(step.x_t), to_uint8(step.x0)), f"Step {step.i} of {step.n}: from t = {step.t + 1}", text,
                    diffusion_frames.dots(step.t + 1 if step.i < step.n else 0))  # fmt: skip


def build_inpaint() -> None:
    gr.HTML(
        "<p class='lab-lead'>Draw or upload a picture, or have one made, hide a part of it, and let the network make "
        "up what could have been there: several answers, all of which fit what is left.</p>"
    )
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=260):
            drawn = diffusion_pad.pad("inpaint", "inpaint-pad", available())
            with gr.Row():
                asked = _class_of(drawn)
                n = gr.Dropdown([1, 4, 9, 16], value=4, label="Answers", filterable=False, min_width=100)
            with gr.Row():
                n_steps = gr.Dropdown([10, 15, 25, 50, 100], value=15, label="Steps", filterable=False, min_width=100)
                seed = gr.Number(0, label="Seed", precision=0, min_width=100)
            go = gr.Button("Fill", variant="primary", elem_id="inpaint-go")
        with gr.Column(scale=5, min_width=300):
            player = film(diffusion_frames.PANELS, "inpaint-film", "Hide a part, then press Fill.",
                          chart=diffusion_frames.chart())  # fmt: skip
    shows(player, go, begin_inpaint, [drawn, asked, n, n_steps, seed])


# -- super-resolution -----------------------------------------------------------------------------------------------


def begin_enlarge(value: Any, asked: str, n: Any, n_steps: Any, seed: Any) -> dict[str, Any]:
    """Pictures of the network's size that a small one may have come from."""
    from tasks import diffusion_restore

    name, picture = diffusion_pad.picture_of(value)
    small = diffusion_pad.small_of(value)
    generator, numbers = models.diffusion_generator(name), numbers_of(name, n, n_steps, seed)
    steps = diffusion_restore.super_resolve(
        generator, small, label=labels_of(generator, asked, numbers["n"]), **numbers
    )
    about = {"name": f"{generator.card.name}-enlarged-seed{numbers['seed']}", "model": generator.card.name,
             "class": asked, "from": small.shape[0], **numbers}  # fmt: skip
    return RUNS.start(_enlarged(steps, picture, small), numbers["n_steps"], about)


def _enlarged(steps: "Iterator[DiffusionStep]", picture: np.ndarray, small: np.ndarray) -> Iterator[Frame]:
    import cv2

    from tasks.diffusion import to_uint8

    side = picture.shape[0]
    bicubic = cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC)[None]
    for step in steps:
        x0 = to_uint8(step.x0)
        off = consistency(x0, small)
        text = (
            f"<p>Null-space method (DDNM): in each prediction the mean of each square is put right, so the answers and "
            f"the small picture agree: they differ by {off:.2f} grey levels (root mean square of 0 to 255); bicubic "
            f"interpolation by {consistency(bicubic, small):.2f}.</p>"
        )
        yield Frame((bicubic, to_uint8(step.x_t), x0), f"Step {step.i} of {step.n}: from t = {step.t + 1}", text,
                    diffusion_frames.dots(step.t + 1 if step.i < step.n else 0))  # fmt: skip


def consistency(made: np.ndarray, small: np.ndarray) -> float:
    """Root mean square difference, in grey levels: means of squares of `made`, uint8 (n, H, W[, 3]), and `small`."""
    n, side = made.shape[:2]
    h = small.shape[0]
    times = side // h
    means = made.reshape(n, h, times, h, times, -1).astype(np.float64).mean((2, 4))
    return float(np.sqrt(np.mean((means - small.reshape(1, h, h, -1)) ** 2)))


def build_enlarge() -> None:
    gr.HTML(
        "<p class='lab-lead'>Of a picture only the mean of each square is kept. Many pictures have these means; the "
        "network makes some that look like what it knows. Bicubic interpolation beside it can only smear.</p>"
    )
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=260):
            drawn = diffusion_pad.pad("small", "small-pad", available())
            with gr.Row():
                asked = _class_of(drawn)
                n = gr.Dropdown([1, 4, 9, 16], value=4, label="Answers", filterable=False, min_width=100)
            with gr.Row():
                n_steps = gr.Dropdown([10, 25, 50, 100], value=25, label="Steps", filterable=False, min_width=100)
                seed = gr.Number(0, label="Seed", precision=0, min_width=100)
            go = gr.Button("Enlarge", variant="primary", elem_id="enlarge-go")
        with gr.Column(scale=5, min_width=300):
            player = film(("bicubic", *diffusion_frames.PANELS), "enlarge-film", "Make a picture, then press Enlarge.",
                          chart=diffusion_frames.chart(), picked=1)  # fmt: skip
    shows(player, go, begin_enlarge, [drawn, asked, n, n_steps, seed])
