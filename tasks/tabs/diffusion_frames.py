"""Diffusion's steps as the film player shows them: pictures, the formula with its numbers, the schedule's chart."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tasks.tabs.runs import Frame

if TYPE_CHECKING:
    from tasks.diffusion import DiffusionStep

PANELS = ("<i>x<sub>t</sub></i>, after the step", "x̂<sub>0</sub>, what it will become")
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 400, 210, 30, 12, 14, 36
SYMBOLS = {
    "ddpm": "x<sub>s</sub> = b x̂<sub>0</sub> + a x<sub>t</sub> + c z",
    "ddim": "x<sub>s</sub> = √ᾱ<sub>s</sub> x̂<sub>0</sub> + √(1−ᾱ<sub>s</sub>) ε̂",
    "dpm++": "x<sub>s</sub> = (σ<sub>s</sub>/σ<sub>t</sub>) x<sub>t</sub> + α<sub>s</sub>(1−e<sup>−h</sup>) D",
    "unipc": "x<sub>s</sub> = (σ<sub>s</sub>/σ<sub>t</sub>) x<sub>t</sub> + α<sub>s</sub>(1−e<sup>−h</sup>) D",
}
SAID = {
    "ddpm": "A part of what it predicts, a part of what is there, and fresh noise z.",
    "ddim": "What it predicts, and the noise ε̂ that it believes to be in x<sub>t</sub>; no chance in it.",
    "dpm++": "D is the prediction, drawn on along its change since the step before.",
    "unipc": "As DPM-Solver++; the next prediction then corrects this step once more.",
}


def frames(steps: "Iterator[DiffusionStep]", sampler: str, times: Sequence[int]) -> Iterator[Frame]:
    """One frame a step of a sampler that visits `times`."""
    from tasks.diffusion import to_uint8

    for step in steps:
        after = after_time(times, step.i)
        yield Frame(
            (to_uint8(step.x_t), to_uint8(step.x0)),
            title(step, after),
            formula(sampler, times, step.i - 1),
            dots(after),
        )


def after_time(times: Sequence[int], i: int) -> int:
    """The paper's t after i steps: 0 at the end."""
    return times[i] + 1 if i < len(times) else 0


def title(step: "DiffusionStep", after: int) -> str:
    return f"Step {step.i} of {step.n}: t = {step.t + 1} → {after}"


def formula(sampler: str, times: Sequence[int], i: int) -> str:
    """The update of step i (0-based) with its numbers, as HTML."""
    from tasks.diffusion_formula import update

    u = update(sampler, times, i)
    t, s = times[i] + 1, after_time(times, i + 1)
    present = "ε̂" if sampler == "ddim" else f"x<sub>{t}</sub>"
    predicted = "x̂<sub>0</sub>" if sampler in ("ddpm", "ddim") or not u.trend else "D"
    terms = [(u.prediction, predicted, "--lab-accent"), (u.present, present, "--lab-second"),
             (u.noise, "z", "--lab-third")]  # fmt: skip
    shown = [term for term in terms if term[0] > 5e-4] or terms[:1]
    numbers = " + ".join(f"<b style='color:var({colour})'>{value:.3f}</b> {name}" for value, name, colour in shown)
    whole = sum(value for value, _, _ in shown)
    bar = "".join(
        f"<i style='width:{100 * value / whole:.1f}%;background:var({colour})'></i>" for value, _, colour in shown
    )
    trend = f"<br>D = x̂<sub>0</sub> + {u.trend:.3f} (x̂<sub>0</sub> − x̂<sub>0</sub> before)" if u.trend else ""
    return (
        f"<div class='formula'>{SYMBOLS[sampler]}<br>x<sub>{s}</sub> = {numbers}{trend}</div>"
        f"<div class='mix' aria-hidden='true'>{bar}</div><p>{SAID[sampler]}</p>"
    )


def dots(t: int) -> tuple[tuple[float, float], ...]:
    """Where the chart's dots stand at the paper's t."""
    bar = signal(t)
    return tuple((round(_x(t), 1), round(_y(value), 1)) for value in (bar, (1 - bar) ** 0.5))


def signal(t: int) -> float:
    """alpha_bar at the paper's t, 1 at t = 0."""
    from tasks.diffusion import alpha_bars

    return float(alpha_bars()[t - 1]) if t > 0 else 1.0


def chart() -> str:
    """SVG: alpha_bar and the noise level over t, from pure noise on the left to the picture on the right.

    The squared-cosine schedule by its formula, so that the page need not wait for torch.
    """
    import math

    def bar(t: float) -> float:
        return (math.cos((t / 1000 + 0.008) / 1.008 * math.pi / 2) / math.cos(0.008 / 1.008 * math.pi / 2)) ** 2

    times = range(1000, -1, -20)
    curves = [[(_x(t), _y(bar(t))) for t in times], [(_x(t), _y(math.sqrt(max(0.0, 1 - bar(t))))) for t in times]]
    lines = "".join(
        f"<polyline style='stroke:var({colour})' points='{' '.join(f'{x:.1f},{y:.1f}' for x, y in curve)}'/>"
        for curve, colour in zip(curves, ("--lab-accent", "--lab-second"), strict=True)
    )
    marks = "".join(
        f"<line class='grid' x1='{LEFT}' x2='{WIDTH - RIGHT}' y1='{_y(v):.1f}' y2='{_y(v):.1f}'/>"
        f"<text x='{LEFT - 6}' y='{_y(v) + 4:.1f}' text-anchor='end'>{v:g}</text>"
        for v in (0, 0.5, 1)
    ) + "".join(
        f"<text x='{_x(t):.1f}' y='{HEIGHT - BOTTOM + 16}' text-anchor='middle'>{t}</text>"
        for t in (1000, 750, 500, 250, 0)
    )
    return (
        f"<svg class='lab-curve' viewBox='0 0 {WIDTH} {HEIGHT}' role='img' aria-label='Share of the picture and noise "
        f"level over the time t'>{marks}{lines}<circle class='dot' r='6'/><circle class='dot' r='6'/>"
        f"<text x='{_x(640):.0f}' y='{_y(0.1):.0f}' style='fill:var(--lab-accent)'>ᾱ<tspan dy='3' "
        f"font-size='8'>t</tspan><tspan dy='-3'>, the picture’s share</tspan></text>"
        f"<text x='{_x(975):.0f}' y='{_y(0.82):.0f}' style='fill:var(--lab-second)'>noise level "
        f"√(1−ᾱ)</text><text x='{(LEFT + WIDTH - RIGHT) / 2}' y='{HEIGHT - 4}' text-anchor='middle'>t, from pure noise "
        "to the picture</text></svg>"
    )


def _x(t: float) -> float:
    return LEFT + (1000 - t) / 1000 * (WIDTH - LEFT - RIGHT)


def _y(value: float) -> float:
    return TOP + (1 - value) * (HEIGHT - TOP - BOTTOM)
