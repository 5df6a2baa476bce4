"""Generate digits, pin two of them, and interpolate between them in latent space."""

from collections.abc import Iterator
from typing import Any

import gradio as gr
import numpy as np

from tasks import loaders
from tasks.core import device
from tasks.core.device import stopwatch
from tasks.core.images import ImageError
from tasks.gan.tab.widget import widget
from tasks.ui.endpoint import endpoint, number
from tasks.ui.errors import report_errors, return_errors
from tasks.ui.fields import (
    CLASSES,
    IN_TURN,
    parse_class,
    parse_int,
    parse_labels,
    parse_latent,
    parse_seed,
)
from tasks.ui.jobs import JOBS, Frame
from tasks.ui.page.result_links import link_results
from tasks.ui.step_player import step_player
from tasks.ui.widget import encode_base64

WALK = 49  # images from A to B, both included
MORPH_CHOICES = "".join(f"<option>{d}</option>" for d in range(10))


def make_digits(
    asked: str, n: Any, seed: Any, truncation: Any, a: Any = None, b: Any = None
) -> dict[str, Any]:
    """For the grid: {"digits", "latents": base64, "labels", "scores", "said", "settings"}.

    With `a` and `b`, numbers of two digits of it, also "pin": [a, b]: the walk between them.
    """
    generator = loaders.gan_generator()
    n, seed = parse_int(n, "The number of digits"), parse_seed(seed)
    with stopwatch() as ms:
        z = generator.latents(n, seed, truncation)
        labels = parse_labels(generator, asked, n, seed)
        digits = generator.from_latent(z, labels)
    scores = generator.realness(digits, labels.tolist())
    pinned = [parse_int(k, "The number of a digit") for k in (a, b) if k is not None]
    if not all(0 <= k < n for k in pinned):
        raise ImageError(f"The digits of this grid are 0 to {n - 1}; {pinned} came.")
    return {
        "pin": pinned if len(pinned) == 2 else None,
        "digits": encode_base64(digits),
        "latents": encode_base64(z),
        "labels": labels.tolist(),
        "scores": [round(float(s), 4) for s in scores],
        "said": f"{n} digit{'s' if n != 1 else ''} in {ms():.1f} ms, {ms() / n:.2f} ms each, "
        f"{device.name()}, seed {seed}.",
        "settings": {
            "model": "gan",
            "class": asked,
            "n": n,
            "seed": seed,
            "truncation": truncation,
        },
    }


@return_errors
def redraw_digit(digit: dict[str, Any]) -> dict[str, Any]:
    """The digit of {"z", "label"} from a file: {"digit": base64, "score"}."""
    generator = loaders.gan_generator()
    z, label = parse_latent(generator, digit)
    image = generator.from_latent(z, label)
    return {
        "digit": encode_base64(image),
        "score": round(float(generator.realness(image, label)[0]), 4),
    }


def begin_walk(asked: Any) -> dict[str, Any]:
    """Queue a job for the player.

    Args:
        asked: {"kind": "walk", "a", "b"} from digit to digit, or {"kind": "morph", "a", "to"} to
            a class.
    """
    generator = loaders.gan_generator()
    if not isinstance(asked, dict) or asked.get("kind") not in ("walk", "morph"):
        raise ImageError("Click two digits in the grid first: A and B.")
    from tasks.gan.generator import slerp

    z_a, class_a = parse_latent(generator, asked.get("a"))
    if asked["kind"] == "walk":
        z_b, class_b = parse_latent(generator, asked.get("b"))
        z, name = slerp(z_a[0], z_b[0], WALK), f"gan-walk-{class_a}-to-{class_b}"
    else:
        class_b = parse_class(generator, asked.get("to"))
        z, name = np.repeat(z_a, WALK, 0), f"gan-morph-{class_a}-to-{class_b}"
    shares = generator.class_walk(class_a, class_b, WALK)
    about = {
        "name": name,
        "model": "gan",
        "kind": asked["kind"],
        "z_a": [round(float(v), 4) for v in z_a[0]],
        "class_a": class_a,
        "class_b": class_b,
    }
    return JOBS.start(walk_frames(z, shares, class_a, class_b, asked["kind"]), WALK, about)


def walk_frames(
    z: np.ndarray, shares: np.ndarray, class_a: int, class_b: int, kind: str
) -> Iterator[Frame]:
    """A frame for each step of the path: the digit, and nine digits along the path."""
    generator = loaders.gan_generator()
    digits = generator.from_latent(z, shares)
    scores = generator.realness(digits, shares.argmax(1).tolist())
    strip = digits[np.linspace(0, len(z) - 1, 9).round().astype(int)]
    for k in range(len(z)):
        t = k / (len(z) - 1)
        mix = (
            f"{100 * (1 - t):.0f} % {class_a}, {100 * t:.0f} % {class_b}"
            if class_a != class_b
            else str(class_a)
        )
        formula = f"z(t) = [sin((1−t)ω) z<sub>A</sub> + sin(tω) z<sub>B</sub>] / sin ω, t = {t:.2f}"
        if kind == "morph":
            formula = (
                f"z is constant; y = {1 - t:.2f} e<sub>{class_a}</sub> + {t:.2f} "
                f"e<sub>{class_b}</sub>"
            )
        text = f"<div class='formula'>{formula}</div><p>Class: {mix}. "
        text += f"Discriminator: {100 * scores[k]:.0f} % real.</p>"
        yield Frame((digits[k : k + 1], strip), f"{k + 1} of {len(z)}: t = {t:.2f}", text)


def generate_by_gan(
    label: str = IN_TURN, n: int = 10, seed: int = 0, truncation: float = 3.0
) -> np.ndarray:
    """Generate handwritten digits in one step, by a GAN.

    Args:
        label: "0" to "9", "one of each" in turn, or "any".
        n: 1 to 100 digits.
        seed: 0 to 2147483647; the same seed gives the same digits.
        truncation: 0.05 to 3, the largest value of the noise; less = more typical, less variety.
    Returns:
        A PNG with the digits side by side, row by row.
    """
    from tasks.ui.step_player_files import grid

    generator = loaders.gan_generator()
    n, seed = parse_int(n, "The number of digits"), parse_seed(seed)
    z = generator.latents(n, seed, truncation)
    return grid(generator.from_latent(z, parse_labels(generator, label, n, seed)))


def build_generate() -> None:
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=240):
            asked = gr.Dropdown(
                CLASSES, value=IN_TURN, label="Class", filterable=False, elem_id="gan-class"
            )
            go = gr.Button("Generate", variant="primary", elem_id="gan-go")
            n = gr.Slider(1, 100, 50, step=1, label="Digits")
            truncation = gr.Slider(
                0.2,
                3,
                3,
                step=0.1,
                label="Truncation",
                info="largest value of z; less = more typical, less variety",
            )
            seed = gr.Number(0, label="Seed (empty = random)", precision=0, elem_id="gan-seed")
        with gr.Column(scale=5, min_width=300, elem_classes="lab-result"):
            grid = widget("generate", "gan-grid", [redraw_digit], classes=MORPH_CHOICES)
    player = step_player(
        ("digit on the path", "nine digits along it"),
        "gan-player",
        "Pin A and B in the grid above: the path between them appears here.",
    )
    settings = [asked, n, seed, truncation]
    gr.on(
        [go.click, truncation.release, asked.input, seed.submit],
        report_errors(make_digits),
        settings,
        grid,
        api_visibility="private",
        show_progress="hidden",
        trigger_mode="always_last",
    )
    pin_a, pin_b = (gr.Number(None, precision=0, visible=False) for _ in "ab")
    names = ("class", "n", "seed", "truncation", "a", "b")
    link_results(grid, make_digits, dict(zip(names, [*settings, pin_a, pin_b], strict=True)))
    grid.submit(
        report_errors(begin_walk), grid, player, api_visibility="private", show_progress="hidden"
    )
    _api()


def _api() -> None:
    """The public endpoint, /generate_by_gan, on hidden components."""
    inputs = [
        gr.Textbox(IN_TURN, label="label", visible=False),
        number(10, "n"),
        number(0, "seed"),
        number(3.0, "truncation"),
    ]
    endpoint(generate_by_gan, inputs, gr.Image(format="png", visible=False, label="digits"))
