"""The same class, number and seed through GAN, VAE and diffusion, side by side and timed."""

from collections.abc import Iterator
from typing import Any

import gradio as gr
import numpy as np

from tasks import loaders
from tasks.core import device
from tasks.core.device import stopwatch
from tasks.core.images import ImageError
from tasks.ui.fields import CLASSES, IN_TURN, parse_int, parse_labels, parse_seed
from tasks.ui.jobs import JOBS, Frame
from tasks.ui.step_player import start_on_click, step_player

STEPS = [1, 2, 5, 10, 20, 50]
MAX_DIGITS = 36  # digits of each


def begin_comparison(asked: str, n: Any, seed: Any, steps: Any) -> dict[str, Any]:
    """Queue a job for the player: GAN and VAE from the first frame on, diffusion step by step."""
    gan, vae, diffusion = (
        loaders.gan_generator(),
        loaders.vae_generator(),
        loaders.diffusion_generator("mnist"),
    )
    n, seed, steps = (
        parse_int(n, "The number of digits"),
        parse_seed(seed),
        parse_int(steps, "The number of steps"),
    )
    if not (1 <= n <= MAX_DIGITS and 1 <= steps <= STEPS[-1]):
        raise ImageError(
            f"1 to {MAX_DIGITS} digits in 1 to {STEPS[-1]} steps work; {n} in {steps} came."
        )
    labels = parse_labels(gan, asked, n, seed)
    about = {"name": f"compare-seed{seed}", "class": asked, "n": n, "seed": seed, "steps": steps}
    return JOBS.start(frames(gan, vae, diffusion, labels, seed, steps), steps, about)


def frames(
    gan: Any, vae: Any, diffusion: Any, labels: np.ndarray, seed: int, n_steps: int
) -> Iterator[Frame]:
    from tasks.core.images import to_uint8

    n, times, digits = len(labels), {}, {}
    for name, generator in (("GAN", gan), ("VAE", vae)):
        generator.generate(n, seed, labels.tolist())  # warm-up, not timed
        with stopwatch() as ms:
            digits[name] = generator.generate(n, seed, labels.tolist())
        times[name] = ms() / n
    spent = 0.0
    for step in diffusion.steps(n, seed, labels.tolist(), n_steps=n_steps):
        spent += 1000 * step.seconds / n
        panels = (digits["GAN"], digits["VAE"], to_uint8(step.x_t))
        yield Frame(
            panels,
            f"Diffusion: step {step.i} of {step.n}",
            times_html({**times, "Diffusion": spent}, labels),
        )


def times_html(times: dict[str, float], labels: np.ndarray) -> str:
    """Milliseconds a digit, as HTML bars."""
    top = max(times.values())
    rows = ""
    for name, ms in times.items():
        ratio = f"{ms / times['GAN']:.1f} × the GAN" if name != "GAN" else ""
        width = max(1.0, 100 * ms / top)
        bar = f"height:.8rem;border-radius:3px;background:var(--lab-accent);width:{width:.1f}%"
        rows += (
            f"<tr><td>{name}</td><td class='num'>{ms:.2f} ms a digit</td><td "
            f"class='num'>{ratio}</td>"
            f"<td style='width:40%'><div style='{bar}'></div></td></tr>"
        )
    return (
        f"<table class='lab-table'><tbody>{rows}</tbody></table><p>{device.name()}, {len(labels)} "
        "at once.</p>"
    )


def build_side() -> None:
    with gr.Row(equal_height=False):
        asked = gr.Dropdown(CLASSES, value=IN_TURN, label="Class", filterable=False, min_width=120)
        n = gr.Slider(1, MAX_DIGITS, 20, step=1, label="Digits of each", min_width=160)
        steps = gr.Dropdown(
            STEPS, value=10, label="Steps of diffusion", filterable=False, min_width=120
        )
        seed = gr.Number(0, label="Seed (empty = random)", precision=0, min_width=140)
        go = gr.Button(
            "Generate by all three", variant="primary", elem_id="compare-go", min_width=160
        )
    player = step_player(
        ("GAN, one pass", "VAE, one pass", "diffusion, step by step"),
        "compare-player",
        "Press Generate: the same request to all three.",
        wide=True,
    )
    start_on_click(
        player,
        go,
        begin_comparison,
        [asked, n, seed, steps],
        ["class", "n", "seed", "steps"],
    )
