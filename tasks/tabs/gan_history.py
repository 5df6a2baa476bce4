"""How it learned: the same latents after more and more steps, beside a training meant to go wrong."""

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

import gradio as gr
import numpy as np

from tasks import weights
from tasks.tabs import generators
from tasks.tabs.errors import answering
from tasks.tabs.film import film
from tasks.tabs.generators import seed_of
from tasks.tabs.runs import RUNS, Frame

NAMES = ("gan_history", "gan_collapse")
PANELS = ("the shipped training", "a training meant to go wrong")
COLUMNS = 6  # digits of each class; the grid is as wide as it is high where it can be
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 400, 210, 30, 12, 22, 36
TOP_LOSS = 4.0  # losses above are drawn at the upper edge


def begin_history(seed: Any) -> dict[str, Any]:
    """A run for the player: one frame a snapshot."""
    ours, collapsed = (generators.history(name) for name in NAMES)
    seed = seed_of(seed)
    z = generators.gan().latents(6 * COLUMNS, seed)
    labels = [k // COLUMNS for k in range(6 * COLUMNS)]
    about = {"name": f"gan-training-seed{seed}", "model": "gan_history", "seed": seed}
    return RUNS.start(frames(ours, collapsed, z, labels), len(ours.steps), about)


def frames(ours: Any, collapsed: Any, z: np.ndarray, labels: Sequence[int]) -> Iterator[Frame]:
    """After each of our snapshots; the collapsed training shows its last one that is not later."""
    digits, broken = ours.generate(z, labels), collapsed.generate(z, labels)
    for k, step in enumerate(ours.steps):
        beside = [i for i, s in enumerate(collapsed.steps) if s <= step]
        panel = broken[beside[-1]] if beside else np.zeros_like(broken[0])
        at = collapsed.steps[beside[-1]] if beside else 0
        yield Frame(
            (digits[k], panel), f"After {step:,} training steps", told(ours, collapsed, step, at), dots(ours, step)
        )


def told(ours: Any, collapsed: Any, step: int, at: int) -> str:
    """The measures of both at this moment, as HTML."""
    rows = ""
    for name, history, when in (("shipped", ours, step), ("meant to go wrong", collapsed, at)):
        m = history.card.tables["snapshots"].get(str(when))
        if m is not None:
            rows += (
                f"<tr><td>{name}, {when:,}</td><td class='num'>{m['agreement']:.1f} %</td><td class='num'>"
                f"{m['distance']:.1f}</td><td class='num'>{m['recall']:.2f}</td></tr>"
            )
    return (
        "<table class='lab-table'><thead><tr><th>steps</th><th>readable as asked</th><th>Fréchet distance</th><th>"
        f"kinds covered (recall)</th></tr></thead><tbody>{rows}</tbody></table>"
    )


def dots(ours: Any, step: int) -> tuple[tuple[float, float], ...]:
    """Where both losses of our training stand at a step."""
    curve = ours.card.curve
    point = min(curve, key=lambda p: abs(p["step"] - step), default=None)
    if point is None:
        return ()
    last = curve[-1]["step"]
    return tuple((round(_x(step, last), 1), round(_y(point[key]), 1)) for key in ("d_loss", "g_loss"))


def chart(curve: Sequence[Mapping[str, float]]) -> str:
    """SVG: the two losses over the steps, on a logarithmic axis as the snapshots are."""
    if not curve:
        return ""
    last = curve[-1]["step"]
    lines = ""
    for key, colour in (("d_loss", "--lab-accent"), ("g_loss", "--lab-second")):
        points = " ".join(f"{_x(p['step'], last):.1f},{_y(p[key]):.1f}" for p in curve if key in p)
        lines += f"<polyline style='stroke:var({colour})' points='{points}'/>"
    marks = "".join(
        f"<line class='grid' x1='{LEFT}' x2='{WIDTH - RIGHT}' y1='{_y(v):.1f}' y2='{_y(v):.1f}'/>"
        f"<text x='{LEFT - 6}' y='{_y(v) + 4:.1f}' text-anchor='end'>{v:g}</text>"
        for v in (0, 1, 2, 3, 4)
    )
    marks += "".join(
        f"<text x='{_x(s, last):.1f}' y='{HEIGHT - BOTTOM + 16}' text-anchor='middle'>{s:,}</text>"
        for s in (50, 200, 800, 3200)
        if s < last
    )
    return (
        f"<svg class='lab-curve' viewBox='0 0 {WIDTH} {HEIGHT}' role='img' aria-label='Losses of discriminator and "
        f"generator over the training steps'>{marks}{lines}<circle class='dot' r='6'/><circle class='dot' r='6'/>"
        f"<text x='{LEFT}' y='12' style='fill:var(--lab-accent)'>discriminator’s loss</text>"
        f"<text x='{LEFT + 130}' y='12' style='fill:var(--lab-second)'>generator’s loss, on held-out digits</text>"
        f"<text x='{(LEFT + WIDTH - RIGHT) / 2}' y='{HEIGHT - 4}' text-anchor='middle'>training steps "
        "(logarithmic)</text></svg>"
    )


def _x(step: float, last: float) -> float:
    return LEFT + math.log(max(step, 50) / 50) / math.log(max(last, 100) / 50) * (WIDTH - LEFT - RIGHT)


def _y(loss: float) -> float:
    return TOP + (1 - min(max(loss, 0.0), TOP_LOSS) / TOP_LOSS) * (HEIGHT - TOP - BOTTOM)


def stabilisers_html(table: Mapping[str, Any]) -> str:
    """What each stabiliser brought, from the GAN's card."""
    first = table["table"]["none"]["distance"]
    rows = ""
    for name, m in table["table"].items():
        used = "✓" if name in table["helped"] or name == "moving average" else ""
        shown = name if name in ("none", "moving average") else f"moving average and {name}"
        rows += (
            f"<tr><td>{escape(shown)}</td><td class='num'>{m['distance']:.1f}</td>"
            f"<td class='num'>{100 * (m['distance'] / first - 1):+.0f} %</td>"
            f"<td class='num'>{m['agreement']:.1f} %</td><td class='num'>{m['precision']:.2f}</td>"
            f"<td class='num'>{m['recall']:.2f}</td><td>{used}</td></tr>"
        )
    return (
        "<div class='lab-scroll' tabindex='0'>"
        f"<table class='lab-table'><thead><tr><th>after {table['steps']:,} steps</th><th>"
        "Fréchet distance</th><th>change</th><th>label agreement</th><th>precision</th><th>recall</th><th>in ours</th>"
        f"</tr></thead><tbody>{rows}</tbody></table></div><p class='lab-lead'>2,000 made digits against 2,000 held-out "
        "ones, one seed each; <code>python -m train.gan</code>.</p>"
    )


def build_history() -> None:
    try:
        cards = [weights.read_card(name) for name in ("gan", *NAMES)]
    except weights.WeightsError as error:
        gr.Markdown(escape(str(error)))
        return
    gr.HTML(
        "<p class='lab-lead'>The same 36 latents, one class a row, drawn by the generator after more and more steps. "
        "On the right a training meant to go wrong: its discriminator has no batch norm and learns a hundred times "
        "slower than the generator. The table says what is left: recall is the share of real digits that made ones "
        "look like, and low recall is mode collapse.</p>"
    )
    with gr.Row():
        seed = gr.Number(0, label="Seed (empty: by chance)", precision=0, min_width=160)
        go = gr.Button("Show the training", variant="primary", elem_id="gan-history-go")
    player = film(PANELS, "gan-history", "Press Show the training, then play or scrub.", chart=chart(cards[1].curve))
    go.click(answering(begin_history), seed, player, api_visibility="private", show_progress="hidden")
    if "stabilisers" in cards[0].tables:
        with gr.Accordion("What stabilises it: one measure at a time", open=False):
            gr.HTML(stabilisers_html(cards[0].tables["stabilisers"]))
