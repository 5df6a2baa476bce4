"""The same class, number and seed through GAN, VAE and diffusion, side by side and timed."""

from collections.abc import Iterator
from typing import Any

import gradio as gr
import numpy as np

from tasks import compute
from tasks.images import ImageError
from tasks.tabs import generators, models
from tasks.tabs.errors import answering
from tasks.tabs.film import film
from tasks.tabs.generators import CLASSES, IN_TURN, labels_of, seed_of, whole
from tasks.tabs.runs import RUNS, Frame

STEPS = [1, 2, 5, 10, 20, 50]
MOST = 36  # digits of each


def begin_comparison(asked: str, n: Any, seed: Any, steps: Any) -> dict[str, Any]:
    """A run for the player: GAN and VAE stand from the first frame on, diffusion comes step by step."""
    gan, vae, diffusion = generators.gan(), generators.vae(), models.diffusion_generator("mnist")
    n, seed, steps = whole(n, "The number of digits"), seed_of(seed), whole(steps, "The number of steps")
    if not (1 <= n <= MOST and 1 <= steps <= STEPS[-1]):
        raise ImageError(f"1 to {MOST} digits in 1 to {STEPS[-1]} steps are compared; {n} in {steps} were asked for.")
    labels = labels_of(gan, asked, n, seed)
    about = {"name": f"compare-seed{seed}", "class": asked, "n": n, "seed": seed, "steps": steps}
    return RUNS.start(frames(gan, vae, diffusion, labels, seed, steps), steps, about)


def frames(gan: Any, vae: Any, diffusion: Any, labels: np.ndarray, seed: int, n_steps: int) -> Iterator[Frame]:
    from tasks.diffusion import to_uint8

    n, times, made = len(labels), {}, {}
    for name, generator in (("GAN", gan), ("VAE", vae)):
        generator.generate(n, seed, labels.tolist())  # the first pass prepares, and is not timed
        with compute.stopwatch() as ms:
            made[name] = generator.generate(n, seed, labels.tolist())
        times[name] = ms() / n
    spent = 0.0
    for step in diffusion.steps(n, seed, labels.tolist(), n_steps=n_steps):
        spent += 1000 * step.seconds / n
        panels = (made["GAN"], made["VAE"], to_uint8(step.x_t))
        yield Frame(panels, f"Diffusion: step {step.i} of {step.n}", told({**times, "Diffusion": spent}, made, labels))


def told(times: dict[str, float], made: dict[str, np.ndarray], labels: np.ndarray) -> str:
    """Milliseconds a digit, as HTML bars."""
    top = max(times.values())
    rows = ""
    for name, ms in times.items():
        ratio = f"{ms / times['GAN']:.1f} × the GAN" if name != "GAN" else ""
        bar = f"height:.8rem;border-radius:3px;background:var(--lab-accent);width:{max(1.0, 100 * ms / top):.1f}%"
        rows += (
            f"<tr><td>{name}</td><td class='num'>{ms:.2f} ms a digit</td><td class='num'>{ratio}</td>"
            f"<td style='width:40%'><div style='{bar}'></div></td></tr>"
        )
    return (
        f"<table class='lab-table'><tbody>{rows}</tbody></table><p>{compute.device_name()}, {len(labels)} at once.</p>"
    )


def build_side() -> None:
    with gr.Row(equal_height=False):
        asked = gr.Dropdown(CLASSES, value=IN_TURN, label="Class", filterable=False, min_width=120)
        n = gr.Slider(1, MOST, 20, step=1, label="Digits of each", min_width=160)
        steps = gr.Dropdown(STEPS, value=10, label="Steps of diffusion", filterable=False, min_width=120)
        seed = gr.Number(0, label="Seed (empty: by chance)", precision=0, min_width=140)
        go = gr.Button("Generate by all three", variant="primary", elem_id="compare-go", min_width=160)
    player = film(("GAN, one pass", "VAE, one pass", "diffusion, step by step"), "compare-film",
                  "Press Generate: the same request to all three.", wide=True)  # fmt: skip
    go.click(answering(begin_comparison), [asked, n, seed, steps], player,
             api_visibility="private", show_progress="hidden")  # fmt: skip
