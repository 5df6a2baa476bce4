"""How far in can you go? A picture drowned up to many t, brought back, and read by the classifier: a curve over t."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from tasks.tabs import diffusion_pad, models
from tasks.tabs.diffusion_generate import seed_of
from tasks.tabs.film import film, shows
from tasks.tabs.runs import RUNS, Frame

if TYPE_CHECKING:
    from tasks.diffusion_restore import Return

TIMES = (100, 200, 300, 400, 500, 600, 650, 700, 750, 800, 850, 900, 950, 1000)
NOISES = 9  # at each t
STEPS = 10  # back, each time
PANELS = ("drowned up to <i>t</i>", "brought back")
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 400, 236, 42, 22, 30, 36
HIDDEN = (-50.0, -50.0)  # a dot whose time has not come


def begin_far(value: Any, seed: Any) -> dict[str, Any]:
    """Queue the way there and back of a pad's picture, for each of TIMES."""
    from tasks import diffusion_restore

    name, picture = diffusion_pad.picture_of(value)
    generator, number = models.diffusion_generator(name), seed_of(seed)
    generator.checked(NOISES, number, None, "ddim", STEPS, 1.0)
    steps = diffusion_restore.there_and_back(generator, picture, NOISES, number, TIMES, STEPS)
    about = {"name": f"{generator.card.name}-how-far-seed{number}", "model": generator.card.name, "seed": number,
             "noises": NOISES, "steps": STEPS}  # fmt: skip
    return RUNS.start(frames(steps, picture, name), len(TIMES), about)


def frames(steps: "Iterator[Return]", picture: np.ndarray, name: str) -> Iterator[Frame]:
    """One frame a t; its chart has the points of all t so far."""
    from tasks.diffusion import to_uint8

    is_what, of_it = reading(name, picture[None])[0]
    points: list[tuple[int, float, float]] = []  # t, share that came back, share read straight from the noise
    for step in steps:
        drowned, back = to_uint8(step.x_t), to_uint8(step.back)
        read = [word for word, _ in reading(name, back)]
        right = read.count(is_what)
        straight = [word for word, _ in reading(name, drowned)].count(is_what)
        points.append((step.t, right / NOISES, straight / NOISES))
        error = float(np.sqrt(np.mean((back.astype(np.float32) - picture) ** 2)))
        others = sorted({word for word in read if word != is_what}, key=read.count, reverse=True)
        text = (
            f"<p>The classifier reads the original as <b>{is_what}</b> ({100 * of_it:.0f} %). Of {NOISES} that were "
            f"drowned up to t = {step.t} and brought back, it reads <b>{right} as {is_what}</b>"
            + (f", others as {', '.join(others)}" if others else "")
            + f"; of the same {NOISES} still in their noise, {straight}. They differ from the original by "
            f"{error:.0f} grey levels (root mean square).</p>"
            + (verdict(points, is_what) if step.t == TIMES[-1] else "")
        )
        yield Frame((drowned, back), f"To t = {step.t} and back in {STEPS} steps: {right} of {NOISES} are {is_what}",
                    text, dots(points))  # fmt: skip


def reading(name: str, pictures: np.ndarray) -> list[tuple[str, float]]:
    """What the classifier of the model's data set reads in each of uint8 (n, H, W[, 3]), and how surely."""
    if name == "mnist":
        probabilities = models.digit_classifier().classify_batch(pictures, upright=True)
        names = [str(d) for d in range(10)]
    else:
        classifier = models.photo_classifier()
        probabilities, names = classifier.classify_batch(pictures), list(classifier.classes)
    return [(names[row.argmax()], float(row.max())) for row in probabilities]


def verdict(points: list[tuple[int, float, float]], is_what: str) -> str:
    """How far in all, and how far in half, still come back, as HTML."""
    all_back = [t for t, right, _ in points if all(r == 1 for s, r, _ in points if s <= t)]
    half_back = [t for t, right, _ in points if right >= 0.5]
    first = f"Up to t = {all_back[-1]} all came back" if all_back else "At no t did all come back"
    then = f"at t = {half_back[-1]} the last time at least half of them" if half_back else "at none half of them"
    return (
        f"<p><b>{first}; {then}.</b> Where nothing of the {is_what} is left, the network makes up any picture that it "
        "knows, and some are of the same class by chance.</p>"
    )


def dots(points: list[tuple[int, float, float]]) -> tuple[tuple[float, float], ...]:
    """Where the chart's dots stand: first the present point's ring, then two for each of TIMES."""
    placed = [HIDDEN] * (2 * len(TIMES))
    for i, (t, right, straight) in enumerate(points):
        placed[2 * i] = (_x(t), _y(right))
        placed[2 * i + 1] = (_x(t), _y(straight))
    return (placed[2 * (len(points) - 1)], *placed)


def chart() -> str:
    """SVG: axes, the line of chance, dots for every t."""
    grid = "".join(
        f"<line class='grid' x1='{LEFT}' x2='{WIDTH - RIGHT}' y1='{_y(v)}' y2='{_y(v)}'/>"
        f"<text x='{LEFT - 6}' y='{_y(v) + 4}' text-anchor='end'>{100 * v:.0f} %</text>"
        for v in (0, 0.5, 1)
    ) + "".join(
        f"<text x='{_x(t)}' y='{HEIGHT - BOTTOM + 16}' text-anchor='middle'>{t}</text>" for t in range(0, 1001, 250)
    )
    pair = (
        "<circle class='dot' cx='-50' cy='-50' r='5' style='fill:var(--lab-accent)'/>"
        "<circle class='dot' cx='-50' cy='-50' r='3.5' style='fill:var(--lab-second)'/>"
    )
    ring = "<circle class='dot' cx='-50' cy='-50' r='9' style='fill:none;stroke:var(--lab-accent)'/>"
    return (
        f"<svg class='lab-curve' viewBox='0 0 {WIDTH} {HEIGHT}' role='img' aria-label='Share that the classifier reads "
        f"as the original, over the time t to which it was drowned'>{grid}"
        f"<line x1='{LEFT}' x2='{WIDTH - RIGHT}' y1='{_y(0.1)}' y2='{_y(0.1)}' stroke='currentColor' "
        f"stroke-dasharray='3 4' opacity='.5'/><text x='{LEFT + 4}' y='{_y(0.1) - 5}'>chance</text>{ring}"
        f"{pair * len(TIMES)}<text x='{LEFT}' y='12' style='fill:var(--lab-accent)'>● brought back</text>"
        f"<text x='{LEFT + 110}' y='12' style='fill:var(--lab-second)'>● still in the noise</text>"
        f"<text x='{(LEFT + WIDTH - RIGHT) / 2}' y='{HEIGHT - 4}' text-anchor='middle'>t, how far in</text></svg>"
    )


def _x(t: float) -> float:
    return round(LEFT + t / 1000 * (WIDTH - LEFT - RIGHT), 1)


def _y(share: float) -> float:
    return round(TOP + (1 - share) * (HEIGHT - TOP - BOTTOM), 1)


def build_far(drawn: gr.HTML) -> None:
    """Below a forward pad, `drawn`."""
    gr.HTML(
        f"<p class='lab-lead'>The same picture is drowned {NOISES} times up to each of {len(TIMES)} "
        "times t and brought back; the classifier, which never saw noise, reads what came.</p>"
    )
    with gr.Row():
        seed = gr.Number(0, label="Seed (empty: by chance)", precision=0, min_width=200)
        go = gr.Button("Go in and come back, further each time", variant="primary", min_width=200,
                       elem_id="far-go")  # fmt: skip
    player = film(PANELS, "far-film", "One picture for each t appears here, and the curve.", chart=chart())
    shows(player, go, begin_far, [drawn, seed])
