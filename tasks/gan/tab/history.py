"""Training history: the same latents after more and more steps, beside a failed training."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

import gradio as gr
import numpy as np

from tasks import loaders
from tasks.core import weights
from tasks.ui.charts import COLOURS, Axis, Dot, Series, chart, place
from tasks.ui.fields import parse_seed
from tasks.ui.jobs import JOBS, Frame
from tasks.ui.page.figures import flow
from tasks.ui.page.lead import lead
from tasks.ui.step_player import start_on_click, step_player

NAMES = ("gan_history", "gan_collapse")
PANELS = ("the bundled training", "a training with mode collapse")
COLUMNS = 6  # digits of each class
MAX_LOSS = 4.0  # larger losses are drawn at the upper edge


def begin_history(seed: Any) -> dict[str, Any]:
    """Queue a job for the player: a frame for each snapshot."""
    ours, collapsed = (loaders.gan_history(name) for name in NAMES)
    seed = parse_seed(seed)
    z = loaders.gan_generator().latents(6 * COLUMNS, seed)
    labels = [k // COLUMNS for k in range(6 * COLUMNS)]
    about = {"name": f"gan-training-seed{seed}", "model": "gan_history", "seed": seed}
    return JOBS.start(frames(ours, collapsed, z, labels), len(ours.steps), about)


def frames(ours: Any, collapsed: Any, z: np.ndarray, labels: Sequence[int]) -> Iterator[Frame]:
    """A frame for each snapshot, beside the collapsed training at that step or before."""
    digits, broken = ours.generate(z, labels), collapsed.generate(z, labels)
    for k, step in enumerate(ours.steps):
        beside = [i for i, s in enumerate(collapsed.steps) if s <= step]
        panel = broken[beside[-1]] if beside else np.zeros_like(broken[0])
        at = collapsed.steps[beside[-1]] if beside else 0
        yield Frame(
            (digits[k], panel),
            f"After {step:,} training steps",
            measures_html(ours, collapsed, step, at),
            dots(ours, step),
        )


def measures_html(ours: Any, collapsed: Any, step: int, at: int) -> str:
    """The measures of both trainings at this step, as HTML."""
    rows = ""
    for name, history, when in (("bundled", ours, step), ("mode collapse", collapsed, at)):
        m = history.card.tables["snapshots"].get(str(when))
        if m is not None:
            rows += (
                f"<tr><td>{name}, {when:,}</td><td class='num'>{m['agreement']:.1f} %</td><td "
                "class='num'>"
                f"{m['distance']:.1f}</td><td class='num'>{m['recall']:.2f}</td></tr>"
            )
    return (
        "<table class='lab-table'><thead><tr><th>steps</th><th>label agreement</th><th>Fréchet "
        "distance</th><th>"
        f"recall</th></tr></thead><tbody>{rows}</tbody></table>"
    )


def axes(curve: Sequence[Mapping[str, float]]) -> tuple[Axis, Axis]:
    """Steps on a logarithmic axis, as the snapshots are; losses up to MAX_LOSS."""
    steps = Axis("training steps", 50, max(curve[-1]["step"], 100), log=True)
    return steps, Axis("loss, on held-out digits", 0, MAX_LOSS)


def dots(ours: Any, step: int) -> tuple[tuple[float, float], ...]:
    """The two losses of our training at a step."""
    curve = ours.card.curve
    point = min(curve, key=lambda p: abs(p["step"] - step), default=None)
    if point is None:
        return ()
    return tuple(place(*axes(curve), (step, point[key])) for key in ("d_loss", "g_loss"))


def loss_chart(curve: Sequence[Mapping[str, float]]) -> str:
    """The two losses over the training steps."""
    if not curve:
        return ""
    losses = [
        Series(name, [(p["step"], p[key]) for p in curve if key in p])
        for name, key in (("discriminator", "d_loss"), ("generator", "g_loss"))
    ]
    return chart(losses, *axes(curve), dots=[Dot(colour) for colour in COLOURS[:2]])


def stabilisers_html(table: Mapping[str, Any]) -> str:
    """The effect of each stabiliser, from the GAN's card."""
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
        "Fréchet distance</th><th>change</th><th>label "
        "agreement</th><th>precision</th><th>recall</th><th>in ours</th>"
        f"</tr></thead><tbody>{rows}</tbody></table></div><p class='lab-lead'>2,000 generated "
        "digits "
        "against 2,000 held-out ones, one seed each; <code>python -m train.gan</code>.</p>"
    )


def build_history() -> None:
    try:
        cards = [weights.read_card(name) for name in ("gan", *NAMES)]
    except weights.WeightsError as error:
        gr.Markdown(escape(str(error)))
        return
    gr.HTML(
        lead(
            "The same 36 latents, a class in each row, after more and more training steps.",
            "On the right, the discriminator has no batch norm and learns a hundred times slower "
            "than the generator. Recall is the share of real digits that generated ones resemble; "
            "low recall is mode collapse.",
            flow(
                "code:the same 36 latents",
                "wide:generator, younger",
                "digit:36 digits",
                back="again after more training",
            ),
        )
    )
    with gr.Row():
        seed = gr.Number(0, label="Seed (empty = random)", precision=0, min_width=160)
        go = gr.Button("Show the training", variant="primary", elem_id="gan-history-go")
    player = step_player(
        PANELS,
        "gan-history",
        "Press Show the training, then play or scrub.",
        chart=loss_chart(cards[1].curve),
    )
    start_on_click(player, go, begin_history, [seed], ["seed"])
    if "stabilisers" in cards[0].tables:
        with gr.Accordion("What stabilises it: one measure at a time", open=False):
            gr.HTML(stabilisers_html(cards[0].tables["stabilisers"]))
