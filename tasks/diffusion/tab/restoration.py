"""Diffusion applied to an image: noise and denoise, inpaint, super-resolve."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from tasks import loaders
from tasks.core.images import ImageError
from tasks.core.weights import WeightsError
from tasks.diffusion.tab import frames, pad, reversible_noise
from tasks.diffusion.tab.generate import ANY, MAX_WORK, available, class_choices, labels_of
from tasks.ui.errors import report_errors
from tasks.ui.fields import parse_int, parse_seed
from tasks.ui.jobs import JOBS, Frame
from tasks.ui.page.figures import flow
from tasks.ui.page.lead import lead
from tasks.ui.step_player import start_on_click, step_player

if TYPE_CHECKING:
    from tasks.diffusion.process import DiffusionStep

MAX_IMAGES = 16
REPEATS = 4  # of each step of RePaint


def check_numbers(
    data_set: str, n: Any, n_steps: Any, seed: Any, repeats: int = 1
) -> dict[str, int]:
    """n, n_steps and seed, checked; `repeats`: of each step. Raises ImageError."""
    n, n_steps = parse_int(n, "The number of images"), parse_int(n_steps, "The number of steps")
    if not 1 <= n <= MAX_IMAGES or not 1 <= n_steps <= 250:
        raise ImageError(
            f"1 to {MAX_IMAGES} images in 1 to 250 steps work here; {n} in {n_steps} came."
        )
    if n * n_steps * repeats > MAX_WORK[data_set]:
        raise ImageError(
            f"{n} images in {n_steps} steps are too much work: at most "
            f"{MAX_WORK[data_set] // repeats // n_steps} images in {n_steps} steps."
        )
    return {"n": n, "n_steps": n_steps, "seed": parse_seed(seed)}


def classes_of(value: Any) -> gr.Dropdown:
    """The classes of the model that a pad is set to."""
    return gr.Dropdown(class_choices(pad.model_of(value))[1:], value=ANY)


def _class_of(drawn: gr.HTML) -> gr.Dropdown:
    """The field for a class, which follows the model that the pad is set to."""
    first, *others = available().values()
    asked = gr.Dropdown(
        class_choices(first)[1:], value=ANY, label="Class", filterable=False, min_width=100
    )
    if others:
        drawn.select(
            report_errors(classes_of),
            drawn,
            asked,
            api_visibility="private",
            show_progress="hidden",
        )
    return asked


# -- noise and denoise -----------------------------------------------------------------------------


def begin_denoise(value: Any, n_steps: Any) -> dict[str, Any]:
    """Denoise a forward pad's x_t, by DDIM."""
    from tasks.diffusion import restore

    name, image = pad.image_of(value)
    noisy, t = pad.noisy_of(value)
    generator = loaders.diffusion_generator(name)
    if t == 0:
        raise ImageError("At t = 0 there is no noise. Move the slider to the right.")
    n_steps = parse_int(n_steps, "The number of steps")
    steps = restore.denoise_from(generator, noisy, t, n_steps=n_steps)
    total = min(n_steps, t)
    about = {
        "name": f"{generator.card.name}-from-t{t}",
        "model": generator.card.name,
        "t": t,
        "steps": total,
    }
    return JOBS.start(_compared(steps, image, name), total, about)


def _compared(steps: "Iterator[DiffusionStep]", image: np.ndarray, name: str) -> Iterator[Frame]:
    """Each step beside the original."""
    from tasks.core.images import to_uint8

    original = image[None]
    for step in steps:
        x0 = to_uint8(step.x0)
        error = float(np.sqrt(np.mean((x0.astype(np.float32) - original) ** 2)))
        text = (
            f"<p>x̂<sub>0</sub> differs from the original by {error:.0f} grey levels (root mean "
            "square).</p>"
        )
        text += _readings(name, image, x0[0])
        yield Frame(
            (original, to_uint8(step.x_t), x0),
            f"Step {step.i} of {step.n}: from t = {step.t + 1}",
            text,
            frames.dots(step.t + 1 if step.i < step.n else 0),
        )


def _readings(name: str, before: np.ndarray, after: np.ndarray) -> str:
    """The classifier's predictions for both images; "" if it has no weights."""
    try:
        (first, p), (second, q) = reversible_noise.predict(name, np.stack([before, after]))
    except WeightsError:
        return ""
    return (
        f"<p>Prediction of the classifier: <b>{first}</b> ({100 * p:.0f} %) for the original, "
        f"<b>{second}</b> ({100 * q:.0f} %) for this one.</p>"
    )


def build_forward() -> None:
    gr.HTML(
        lead(
            "Move t: noise is added up to this time. Then denoise, and compare.",
            "At each t the image is a weighted sum of the original and noise. Sampling that starts "
            "there keeps what the noise has not covered.",
            flow("digit:the image", "noise:noised to t", "net:U-Net", "digit:denoised"),
        )
    )
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=300):
            drawn = pad.pad("forward", "forward-pad", available())
        with gr.Column(scale=6, min_width=300), gr.Tabs():
            with gr.Tab("Denoise from here", id="back"):
                with gr.Row():
                    n_steps = gr.Slider(1, 50, 20, step=1, label="Steps back", min_width=200)
                    go = gr.Button(
                        "Denoise from here", variant="primary", elem_id="forward-go", min_width=200
                    )
                player = step_player(
                    ("the original", *frames.PANELS),
                    "forward-player",
                    "The denoising steps appear here.",
                    chart=frames.schedule_chart(),
                    picked=1,
                )
                start_on_click(player, go, begin_denoise, [drawn, n_steps])
            with gr.Tab("Reversible noise", id="far"):
                reversible_noise.build_reversible(drawn)


# -- inpainting ------------------------------------------------------------------------------------


def begin_inpaint(value: Any, asked: str, n: Any, n_steps: Any, seed: Any) -> dict[str, Any]:
    """Fill the hidden part of a pad's image, in n ways."""
    from tasks.diffusion import restore

    name, image = pad.image_of(value)
    mask = pad.mask_of(value)
    generator, numbers = (
        loaders.diffusion_generator(name),
        check_numbers(name, n, n_steps, seed, REPEATS),
    )
    steps = restore.inpaint(
        generator,
        image,
        mask,
        label=labels_of(generator, asked, numbers["n"]),
        repeats=REPEATS,
        **numbers,
    )
    about = {
        "name": f"{generator.card.name}-inpainted-seed{numbers['seed']}",
        "model": generator.card.name,
        "class": asked,
        "hidden": int(mask.sum()),
        "repeats": REPEATS,
        **numbers,
    }
    text = (
        f"<p>RePaint: {int(mask.sum())} of {mask.size} pixels are filled; after each step the "
        "others "
        f"are replaced by the original, noised to this t. Each step is repeated {REPEATS} times, "
        "with noise added in between, so that both parts fit.</p>"
    )
    return JOBS.start(_plain(steps, text), numbers["n_steps"], about)


def _plain(steps: "Iterator[DiffusionStep]", text: str) -> Iterator[Frame]:
    from tasks.core.images import to_uint8

    for step in steps:
        yield Frame(
            (to_uint8(step.x_t), to_uint8(step.x0)),
            f"Step {step.i} of {step.n}: from t = {step.t + 1}",
            text,
            frames.dots(step.t + 1 if step.i < step.n else 0),
        )


def build_inpaint() -> None:
    gr.HTML(
        lead(
            "Hide a part of an image; the network fills it in ways that fit the rest.",
            "RePaint: after each step the visible pixels are replaced by the original, noised to "
            "this t; each step is repeated, so that both parts fit.",
            flow("hidden:a part hidden", "net:U-Net", "image:filled", back="in each step"),
        )
    )
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=260):
            go = gr.Button("Fill", variant="primary", elem_id="inpaint-go")
            drawn = pad.pad("inpaint", "inpaint-pad", available())
            with gr.Row():
                asked = _class_of(drawn)
                n = gr.Dropdown(
                    [1, 4, 9, 16], value=4, label="Results", filterable=False, min_width=100
                )
            with gr.Row():
                n_steps = gr.Dropdown(
                    [10, 15, 25, 50, 100], value=15, label="Steps", filterable=False, min_width=100
                )
                seed = gr.Number(0, label="Seed", precision=0, min_width=100)
        with gr.Column(scale=5, min_width=300, elem_classes="lab-result"):
            player = step_player(
                frames.PANELS,
                "inpaint-player",
                "Hide a part, then press Fill.",
                chart=frames.schedule_chart(),
            )
    start_on_click(player, go, begin_inpaint, [drawn, asked, n, n_steps, seed])


# -- super-resolution ------------------------------------------------------------------------------


def begin_enlarge(value: Any, asked: str, n: Any, n_steps: Any, seed: Any) -> dict[str, Any]:
    """Images of the network's size that reduce to a small one."""
    from tasks.diffusion import restore

    name, image = pad.image_of(value)
    small = pad.small_of(value)
    generator, numbers = loaders.diffusion_generator(name), check_numbers(name, n, n_steps, seed)
    steps = restore.super_resolve(
        generator, small, label=labels_of(generator, asked, numbers["n"]), **numbers
    )
    about = {
        "name": f"{generator.card.name}-enlarged-seed{numbers['seed']}",
        "model": generator.card.name,
        "class": asked,
        "from": small.shape[0],
        **numbers,
    }
    return JOBS.start(_enlarged(steps, image, small), numbers["n_steps"], about)


def _enlarged(
    steps: "Iterator[DiffusionStep]", image: np.ndarray, small: np.ndarray
) -> Iterator[Frame]:
    import cv2

    from tasks.core.images import to_uint8

    side = image.shape[0]
    bicubic = cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC)[None]
    for step in steps:
        x0 = to_uint8(step.x0)
        off = consistency(x0, small)
        text = (
            "<p>Null-space method (DDNM): in each prediction the mean of each square is corrected. "
            f"Reduced again, the results differ from the small image by {off:.2f} grey levels "
            f"(root mean square of 0 to 255), bicubic interpolation by "
            f"{consistency(bicubic, small):.2f}.</p>"
        )
        yield Frame(
            (bicubic, to_uint8(step.x_t), x0),
            f"Step {step.i} of {step.n}: from t = {step.t + 1}",
            text,
            frames.dots(step.t + 1 if step.i < step.n else 0),
        )


def consistency(images: np.ndarray, small: np.ndarray) -> float:
    """Root mean square difference of `small` and the reduced images, in grey levels.

    Args:
        images: uint8 (n, H, W) or (n, H, W, 3).
        small: uint8 (h, h) or (h, h, 3).
    """
    n, side = images.shape[:2]
    h = small.shape[0]
    times = side // h
    means = images.reshape(n, h, times, h, times, -1).astype(np.float64).mean((2, 4))
    return float(np.sqrt(np.mean((means - small.reshape(1, h, h, -1)) ** 2)))


def build_enlarge() -> None:
    gr.HTML(
        lead(
            "A small image enlarged in several ways that all reduce to it again.",
            "Null-space method: in each predicted image the mean of each square is set to the "
            "small image's pixel; what is left free the network invents.",
            flow("small:small image", "net:U-Net", "image:means corrected", back="in each step"),
        )
    )
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=260):
            go = gr.Button("Enlarge", variant="primary", elem_id="enlarge-go")
            drawn = pad.pad("small", "small-pad", available())
            with gr.Row():
                asked = _class_of(drawn)
                n = gr.Dropdown(
                    [1, 4, 9, 16], value=4, label="Results", filterable=False, min_width=100
                )
            with gr.Row():
                n_steps = gr.Dropdown(
                    [10, 25, 50, 100], value=25, label="Steps", filterable=False, min_width=100
                )
                seed = gr.Number(0, label="Seed", precision=0, min_width=100)
        with gr.Column(scale=5, min_width=300, elem_classes="lab-result"):
            player = step_player(
                ("bicubic", *frames.PANELS),
                "enlarge-player",
                "Draw an image, then press Enlarge.",
                chart=frames.schedule_chart(),
                picked=1,
            )
    start_on_click(player, go, begin_enlarge, [drawn, asked, n, n_steps, seed])
