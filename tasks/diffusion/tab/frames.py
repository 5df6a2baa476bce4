"""Frames of the step player: images, the update rule with its numbers, the schedule's chart."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tasks.ui.charts import COLOURS, Axis, Dot, Series, chart, place
from tasks.ui.jobs import Frame

if TYPE_CHECKING:
    from tasks.diffusion.process import DiffusionStep

PANELS = ("<i>x<sub>t</sub></i>, after the step", "x̂<sub>0</sub>, the predicted image")
TIME = Axis("t, from pure noise to the image", 1000, 0)
AMPLITUDE = Axis("amplitude", 0, 1)
SECOND_ORDER = (
    "x<sub>s</sub> = (σ<sub>s</sub>/σ<sub>t</sub>) x<sub>t</sub> "
    "+ α<sub>s</sub>(1−e<sup>−h</sup>) D"
)
LAST = "<p>After the last step <i>x</i> is the predicted image: both panels are the same.</p>"
SYMBOLS = {
    "ddpm": "x<sub>s</sub> = b x̂<sub>0</sub> + a x<sub>t</sub> + c z",
    "ddim": "x<sub>s</sub> = √ᾱ<sub>s</sub> x̂<sub>0</sub> + √(1−ᾱ<sub>s</sub>) ε̂",
    "dpm++": SECOND_ORDER,
    "unipc": SECOND_ORDER,
}
EXPLANATIONS = {
    "ddpm": "A share of the prediction, a share of the present image, and fresh noise z.",
    "ddim": "The prediction and the predicted noise ε̂ of x<sub>t</sub>; deterministic.",
    "dpm++": "D is the prediction, extrapolated along its change since the step before.",
    "unipc": "As DPM-Solver++; the next prediction then corrects this step.",
}


def frames(steps: "Iterator[DiffusionStep]", sampler: str, times: Sequence[int]) -> Iterator[Frame]:
    """A frame for each step of a sampler over `times`."""
    from tasks.core.images import to_uint8

    for step in steps:
        after = after_time(times, step.i)
        yield Frame(
            (to_uint8(step.x_t), to_uint8(step.x0)),
            title(step, after),
            formula(sampler, times, step.i - 1) + (LAST if step.i == step.n else ""),
            dots(after),
        )


def after_time(times: Sequence[int], i: int) -> int:
    """The paper's t after i steps: 0 at the end."""
    return times[i] + 1 if i < len(times) else 0


def title(step: "DiffusionStep", after: int) -> str:
    return f"Step {step.i} of {step.n}: t = {step.t + 1} → {after}"


def formula(sampler: str, times: Sequence[int], i: int) -> str:
    """The update of step i (0-based) with its numbers, as HTML."""
    from tasks.diffusion.update_rule import update

    u = update(sampler, times, i)
    t, s = times[i] + 1, after_time(times, i + 1)
    present = "ε̂" if sampler == "ddim" else f"x<sub>{t}</sub>"
    predicted = "x̂<sub>0</sub>" if sampler in ("ddpm", "ddim") or not u.trend else "D"
    terms = [
        (u.prediction, predicted, "--lab-accent"),
        (u.present, present, "--lab-second"),
        (u.noise, "z", "--lab-third"),
    ]
    shown = [term for term in terms if term[0] > 5e-4] or terms[:1]
    numbers = " + ".join(
        f"<b style='color:var({colour})'>{value:.3f}</b> {name}" for value, name, colour in shown
    )
    total = sum(value for value, _, _ in shown)
    bar = "".join(
        f"<i style='width:{100 * value / total:.1f}%;background:var({colour})'></i>"
        for value, _, colour in shown
    )
    trend = (
        f"<br>D = x̂<sub>0</sub> + {u.trend:.3f} (x̂<sub>0</sub> − x̂<sub>0</sub> before)"
        if u.trend
        else ""
    )
    return (
        f"<div class='formula'>{SYMBOLS[sampler]}<br>x<sub>{s}</sub> = {numbers}{trend}</div>"
        f"<div class='mix' aria-hidden='true'>{bar}</div><p>{EXPLANATIONS[sampler]}</p>"
    )


def dots(t: int) -> tuple[tuple[float, float], ...]:
    """Where the dots of the chart stand at the paper's t."""
    bar = signal(t)
    return tuple(place(TIME, AMPLITUDE, (t, value)) for value in (bar**0.5, (1 - bar) ** 0.5))


def signal(t: int) -> float:
    """alpha_bar at the paper's t, 1 at t = 0."""
    from tasks.diffusion.process import alpha_bars

    return float(alpha_bars()[t - 1]) if t > 0 else 1.0


def schedule_chart() -> str:
    """Amplitudes of image and noise in x_t over t, from pure noise on the left to the image.

    The squared-cosine schedule by its formula, so that the page does not wait for torch.
    """

    def cosine(t: float) -> float:
        return math.cos((t / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2

    bars = [(t, cosine(t) / cosine(0)) for t in range(1000, -1, -20)]
    curves = [
        Series("the image, √ᾱ", [(t, math.sqrt(bar)) for t, bar in bars]),
        Series("the noise, √(1−ᾱ)", [(t, math.sqrt(max(0.0, 1 - bar))) for t, bar in bars]),
    ]
    return chart(curves, TIME, AMPLITUDE, dots=[Dot(colour) for colour in COLOURS[:2]])
