"""Four samplers side by side on the same noise, and what they score at several numbers of steps."""

from collections.abc import Iterator
from html import escape
from typing import Any

import gradio as gr

from tasks import weights
from tasks.images import ImageError
from tasks.tabs.diffusion_generate import (
    IN_TURN,
    SAMPLERS,
    about,
    available,
    class_choices,
    guidance_of,
    prepared,
    suited,
)
from tasks.tabs.errors import answering
from tasks.tabs.film import film, shows
from tasks.tabs.runs import RUNS, Frame


def begin_samplers(data_set: str, asked: str, seed: Any, n_steps: Any, guidance: Any) -> dict[str, Any]:
    """The same noise and class through all four samplers."""
    generator, settings = prepared(data_set, asked, 4, seed, "ddpm", n_steps, guidance)
    if settings["n_steps"] > 100:
        raise ImageError(f"Side by side, 1 to 100 steps are made; {settings['n_steps']} were asked for.")
    names = list(SAMPLERS.values())
    runs = [generator.steps(**{**settings, "sampler": name}) for name in names]
    settings["sampler"] = " / ".join(names)
    return RUNS.start(_side_by_side(runs), settings["n_steps"], about(generator, settings, "samplers"))


def _side_by_side(runs: list[Iterator[Any]]) -> Iterator[Frame]:
    from tasks.diffusion import to_uint8

    for steps in zip(*runs, strict=True):
        first = steps[0]
        ms = " · ".join(f"{title} {1000 * s.seconds:.0f} ms" for title, s in zip(SAMPLERS, steps, strict=True))
        yield Frame(tuple(to_uint8(s.x_t) for s in steps), f"Step {first.i} of {first.n}", f"<p>{ms}</p>")


def measured(data_set: str) -> str:
    """The card's table of samplers by numbers of steps, as HTML; empty where it was not measured."""
    try:
        card = weights.read_card(f"diffusion_{data_set}")
    except weights.WeightsError:
        return ""
    table = card.tables.get("samplers", {})
    counts = sorted({int(count) for row in table.values() for count in row})
    if not counts:
        return ""
    head = "".join(f"<th>{count} step{'' if count == 1 else 's'}</th>" for count in counts)
    rows = "".join(
        f"<tr><td>{title}</td>" + "".join(_cell(table[name].get(str(count))) for count in counts) + "</tr>"
        for title, name in SAMPLERS.items()
        if name in table
    )
    guidance = card.preprocess.get("guidance", 1)
    return (
        "<div class='lab-scroll' tabindex='0'>"
        f"<table class='lab-table'><thead><tr><th>sampler</th>{head}</tr></thead><tbody>{rows}"
        "</tbody></table></div><p class='lab-lead'>Share that a classifier reads as the class asked for, of n pictures "
        "made; where there are enough, the Fréchet distance as a multiple of what as many training pictures score; "
        f"processor time for one picture, made 50 at once, over all cores. Guidance {escape(str(guidance))}; "
        f"{escape(hardware(card))}.</p>"
    )


def _cell(row: dict[str, float] | None) -> str:
    if row is None:
        return "<td></td>"
    far = f"{row['times_floor']:.1f} × floor<br>" if "times_floor" in row else ""
    seconds = row["seconds"]
    time = f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
    return f"<td class='num'><b>{row['agreement']:.1f} %</b> of {row['n']:,.0f}<br>{far}{time}</td>"


def hardware(card: weights.Card) -> str:
    """The machine of the training, which also measured."""
    return str(card.training.get("hardware", ""))


def build_samplers() -> None:
    offered = available()
    first = next(iter(offered.values()))
    gr.HTML(
        "<p class='lab-lead'>The same noise, the same network, the same number of steps: what differs is how far each "
        "sampler trusts the prediction. In few steps DDPM’s own noise has no time to be taken away again.</p>"
    )
    with gr.Row():
        data_set = gr.Dropdown(list(offered.items()), value=first, label="Model", filterable=False,
                               visible=len(offered) > 1, min_width=200)  # fmt: skip
        asked = gr.Dropdown(class_choices(first), value=IN_TURN, label="Class", filterable=False, min_width=130)
        n_steps = gr.Slider(1, 50, 8, step=1, label="Steps", min_width=150)
        guidance = gr.Slider(0, 6, guidance_of(first), step=0.1, label="Guidance", min_width=150)
        seed = gr.Number(0, label="Seed", precision=0, min_width=100)
        go = gr.Button("Run all four", variant="primary", min_width=130, elem_id="samplers-go")
    player = film(tuple(SAMPLERS), "samplers-film", "Four samplers, one noise.", wide=True)
    data_set.change(answering(suited), data_set, [asked, guidance], api_visibility="private", show_progress="hidden")
    shows(player, go, begin_samplers, [data_set, asked, seed, n_steps, guidance])
    for title, name in offered.items():
        table = measured(name)
        if table:
            with gr.Accordion(f"{title}: the samplers measured", open=False):
                gr.HTML(table)
