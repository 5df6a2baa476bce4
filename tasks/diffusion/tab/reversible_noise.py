"""Reversible noise: an image noised up to many t, denoised and classified, as a curve over t."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from tasks import loaders
from tasks.diffusion.tab import pad
from tasks.ui.charts import COLOURS, Axis, Dot, Mark, chart, place
from tasks.ui.fields import parse_seed
from tasks.ui.jobs import JOBS, Frame
from tasks.ui.step_player import start_on_click, step_player

if TYPE_CHECKING:
    from tasks.diffusion.restore import Denoised

TIMES = (100, 200, 300, 400, 500, 600, 650, 700, 750, 800, 850, 900, 950, 1000)
NOISES = 9  # at each t
STEPS = 10  # of denoising
PANELS = ("noised to <i>t</i>", "denoised")
TIME = Axis("t to which the image was noised", 0, 1000)
SHARE = Axis("classified as the original", 0, 100, unit="%")
HIDDEN = (-50.0, -50.0)  # a dot whose time has not come


def begin_reversible(value: Any, seed: Any) -> dict[str, Any]:
    """Queue a job: a pad's image is noised and denoised for each of TIMES."""
    from tasks.diffusion import restore

    name, image = pad.image_of(value)
    generator, number = loaders.diffusion_generator(name), parse_seed(seed)
    generator.check_settings(NOISES, number, None, "ddim", STEPS, 1.0)
    steps = restore.noise_and_denoise(generator, image, NOISES, number, TIMES, STEPS)
    about = {
        "name": f"{generator.card.name}-reversible-seed{number}",
        "model": generator.card.name,
        "seed": number,
        "noises": NOISES,
        "steps": STEPS,
    }
    return JOBS.start(frames(steps, image, name), len(TIMES), about)


def frames(steps: "Iterator[Denoised]", image: np.ndarray, name: str) -> Iterator[Frame]:
    """A frame for each t; its chart has the points of all t so far."""
    from tasks.core.images import to_uint8

    original, p = predict(name, image[None])[0]
    points: list[tuple[int, float, float]] = []  # t, % right after denoising, % right in the noise
    for step in steps:
        noised, denoised = to_uint8(step.x_t), to_uint8(step.x0)
        classes = [label for label, _ in predict(name, denoised)]
        right = classes.count(original)
        right_noised = [label for label, _ in predict(name, noised)].count(original)
        points.append((step.t, 100 * right / NOISES, 100 * right_noised / NOISES))
        error = float(np.sqrt(np.mean((denoised.astype(np.float32) - image) ** 2)))
        others = sorted(set(classes) - {original}, key=classes.count, reverse=True)
        text = (
            f"<p>Prediction for the original: <b>{original}</b> ({100 * p:.0f} %). Of {NOISES} "
            "images "
            f"noised to t = {step.t} and denoised, <b>{right} are classified as {original}</b>"
            + (f", others as {', '.join(others)}" if others else "")
            + f"; of the {NOISES} noised ones, {right_noised}. The denoised images differ from the "
            f"original by {error:.0f} grey levels (root mean square).</p>"
            + (summary(points, original) if step.t == TIMES[-1] else "")
        )
        title = f"t = {step.t}, denoised in {STEPS} steps: {right} of {NOISES} are {original}"
        yield Frame((noised, denoised), title, text, dots(points))


def predict(name: str, images: np.ndarray) -> list[tuple[str, float]]:
    """(class, probability) of each image, by the classifier of the model's data set.

    Args:
        images: uint8 (n, H, W) or (n, H, W, 3).
    """
    if name == "mnist":
        probabilities = loaders.digit_classifier().classify_batch(images, upright=True)
        names = [str(d) for d in range(10)]
    else:
        classifier = loaders.photo_model("cifar10")
        probabilities, names = classifier.classify_batch(images), list(classifier.classes)
    return [(names[row.argmax()], float(row.max())) for row in probabilities]


def summary(points: list[tuple[int, float, float]], original: str) -> str:
    """Up to which t all, and half, of the images keep their class, as HTML."""
    all_right = [t for t, right, _ in points if all(r == 100 for s, r, _ in points if s <= t)]
    half_right = [t for t, right, _ in points if right >= 50]
    first = f"up to t = {all_right[-1]}" if all_right else "at no t"
    half = f"up to t = {half_right[-1]}" if half_right else "at no t"
    return (
        f"<p><b>All images keep their class {first}, at least half of them {half}.</b> When "
        f"nothing of the {original} is left, the network generates any image, and some are of the "
        "same class at random.</p>"
    )


def dots(points: list[tuple[int, float, float]]) -> tuple[tuple[float, float], ...]:
    """Where the dots of the chart stand: the newest point's ring, then two for each of TIMES."""
    placed = [HIDDEN] * (2 * len(TIMES))
    for i, (t, right, right_noised) in enumerate(points):
        placed[2 * i] = place(TIME, SHARE, (t, right))
        placed[2 * i + 1] = place(TIME, SHARE, (t, right_noised))
    return (placed[2 * (len(points) - 1)], *placed)


def share_chart() -> str:
    """Axes, the line of chance, and dots for every t."""
    denoised, noised = COLOURS[:2]
    ring = Dot(f"color-mix(in srgb, {denoised} 40%, transparent)", 20)
    return chart(
        [],
        TIME,
        SHARE,
        marks=[Mark("y", 10, "chance")],
        dots=[ring, *[Dot(denoised, 11), Dot(noised, 7)] * len(TIMES)],
        legend=[("denoised", denoised), ("noised", noised)],
    )


def build_reversible(drawn: gr.HTML) -> None:
    """Below a forward pad, `drawn`."""
    gr.HTML(
        f"<p class='lab-lead'>The image is noised {NOISES} times to each of {len(TIMES)} times t, "
        "denoised and classified. The classifier was not trained on noise.</p>"
    )
    with gr.Row():
        seed = gr.Number(0, label="Seed (empty = random)", precision=0, min_width=200)
        go = gr.Button("Run for all t", variant="primary", min_width=200, elem_id="far-go")
    player = step_player(
        PANELS,
        "far-player",
        "Nine images for each t appear here, and the curve.",
        chart=share_chart(),
    )
    start_on_click(player, go, begin_reversible, [drawn, seed])
