"""Make digits, pin two of them, and walk through latent space from one to the other."""

from collections.abc import Iterator
from typing import Any

import gradio as gr
import numpy as np

from tasks import compute
from tasks.images import ImageError
from tasks.tabs import generators
from tasks.tabs.errors import answering, answering_json
from tasks.tabs.film import film
from tasks.tabs.generators import CLASSES, IN_TURN, class_of, labels_of, latent_of, seed_of, whole
from tasks.tabs.runs import RUNS, Frame
from tasks.tabs.widget import to_base64, widget

WALK = 49  # pictures from A to B, both included
MORPH_CHOICES = "".join(f"<option>{d}</option>" for d in range(10))


def make_digits(asked: str, n: Any, seed: Any, truncation: Any) -> dict[str, Any]:
    """For the grid: {"digits", "latents": base64, "labels", "scores", "said", "settings"}."""
    generator = generators.gan()
    n, seed = whole(n, "The number of digits"), seed_of(seed)
    with compute.stopwatch() as ms:
        z = generator.latents(n, seed, truncation)
        labels = labels_of(generator, asked, n, seed)
        digits = generator.from_latent(z, labels)
    scores = generator.realness(digits, labels.tolist())
    return {
        "digits": to_base64(digits),
        "latents": to_base64(z),
        "labels": labels.tolist(),
        "scores": [round(float(s), 4) for s in scores],
        "said": f"{n} digit{'s' if n != 1 else ''} in {ms():.1f} ms, {ms() / n:.2f} ms each, {compute.device_name()}, "
        f"seed {seed}.",
        "settings": {"model": "gan", "class": asked, "n": n, "seed": seed, "truncation": truncation},
    }


@answering_json
def redraw_digit(digit: dict[str, Any]) -> dict[str, Any]:
    """A digit of {"z", "label"}, loaded from a file: {"digit": base64, "score"}."""
    generator = generators.gan()
    z, label = latent_of(generator, digit)
    made = generator.from_latent(z, label)
    return {"digit": to_base64(made), "score": round(float(generator.realness(made, label)[0]), 4)}


def begin_walk(asked: Any) -> dict[str, Any]:
    """A run for the player: {"kind": "walk", "a", "b"} from digit to digit, {"kind": "morph", "a", "to"} to a class."""
    generator = generators.gan()
    if not isinstance(asked, dict) or asked.get("kind") not in ("walk", "morph"):
        raise ImageError("Click two digits in the grid first: A and B.")
    from tasks.gan import slerp

    z_a, class_a = latent_of(generator, asked.get("a"))
    if asked["kind"] == "walk":
        z_b, class_b = latent_of(generator, asked.get("b"))
        z, name = slerp(z_a[0], z_b[0], WALK), f"gan-walk-{class_a}-to-{class_b}"
    else:
        class_b = class_of(generator, asked.get("to"))
        z, name = np.repeat(z_a, WALK, 0), f"gan-morph-{class_a}-to-{class_b}"
    shares = generator.class_walk(class_a, class_b, WALK)
    about = {"name": name, "model": "gan", "kind": asked["kind"], "z_a": [round(float(v), 4) for v in z_a[0]],
             "class_a": class_a, "class_b": class_b}  # fmt: skip
    return RUNS.start(walk_frames(z, shares, class_a, class_b, asked["kind"]), WALK, about)


def walk_frames(z: np.ndarray, shares: np.ndarray, class_a: int, class_b: int, kind: str) -> Iterator[Frame]:
    """One frame a place on the way: the digit alone, and the last nine places."""
    generator = generators.gan()
    digits = generator.from_latent(z, shares)
    scores = generator.realness(digits, shares.argmax(1).tolist())
    strip = digits[np.linspace(0, len(z) - 1, 9).round().astype(int)]
    for k in range(len(z)):
        t = k / (len(z) - 1)
        mix = f"{100 * (1 - t):.0f} % {class_a}, {100 * t:.0f} % {class_b}" if class_a != class_b else f"a {class_a}"
        where = f"z(t) = [sin((1−t)ω) z<sub>A</sub> + sin(tω) z<sub>B</sub>] / sin ω, t = {t:.2f}"
        if kind == "morph":
            where = f"z stays as it is; y = {1 - t:.2f} · e<sub>{class_a}</sub> + {t:.2f} · e<sub>{class_b}</sub>"
        text = f"<div class='formula'>{where}</div><p>Class: {mix}. "
        text += f"The discriminator: {100 * scores[k]:.0f} % real.</p>"
        yield Frame((digits[k : k + 1], strip), f"{k + 1} of {len(z)}: t = {t:.2f}", text)


def generate_by_gan(label: str = IN_TURN, n: int = 10, seed: int = 0, truncation: float = 3.0) -> np.ndarray:
    """Make handwritten digits in one step, by a GAN.

    Args:
        label: "0" to "9", "one of each" in turn, or "any".
        n: 1 to 100 digits.
        seed: 0 to 2147483647; the same seed gives the same digits.
        truncation: 0.05 to 3, the largest value of the noise; less = more typical, fewer kinds.
    Returns:
        A PNG with the digits side by side, row by row.
    """
    from tasks.tabs.film_files import grid

    generator = generators.gan()
    n, seed = whole(n, "The number of digits"), seed_of(seed)
    z = generator.latents(n, seed, truncation)
    return grid(generator.from_latent(z, labels_of(generator, label, n, seed)))


def build_generate() -> None:
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=240):
            asked = gr.Dropdown(CLASSES, value=IN_TURN, label="Class", filterable=False, elem_id="gan-class")
            n = gr.Slider(1, 100, 50, step=1, label="Digits")
            truncation = gr.Slider(0.2, 3, 3, step=0.1, label="Truncation",
                                   info="largest value of z: less = more typical, less varied")  # fmt: skip
            seed = gr.Number(0, label="Seed (empty: by chance)", precision=0, elem_id="gan-seed")
            go = gr.Button("Generate", variant="primary", elem_id="gan-go")
        with gr.Column(scale=5, min_width=300):
            grid = widget("gan_grid", [redraw_digit], classes=MORPH_CHOICES)
    player = film(("on the way", "nine places on it"), "gan-film",
                  "Pin A and B in the grid above: the way from one to the other appears here.")  # fmt: skip
    settings = [asked, n, seed, truncation]
    gr.on([go.click, truncation.release, asked.input, seed.submit], answering(make_digits), settings, grid,
          api_visibility="private", show_progress="hidden", trigger_mode="always_last")  # fmt: skip
    grid.submit(answering(begin_walk), grid, player, api_visibility="private", show_progress="hidden")
    _api()


def _api() -> None:
    """The public endpoint, /generate_by_gan, on hidden components of its own."""
    inputs = [
        gr.Textbox(IN_TURN, label="label", visible=False),
        gr.Number(10, label="n", precision=0, visible=False),
        gr.Number(0, label="seed", precision=0, visible=False),
        gr.Number(3.0, label="truncation", visible=False),
    ]
    gr.Button(visible=False).click(
        answering(generate_by_gan), inputs, gr.Image(format="png", visible=False, label="digits"),
        api_name="generate_by_gan", api_description=generate_by_gan.__doc__,
    )  # fmt: skip
