"""Four samplers side by side on the same noise, and their scores by number of steps."""

from collections.abc import Iterator, Sequence
from html import escape
from itertools import islice
from typing import Any

import gradio as gr
import numpy as np

from tasks.core import weights
from tasks.core.image_metrics import psnr
from tasks.core.images import ImageError
from tasks.diffusion.tab.generate import (
    IN_TURN,
    SAMPLERS,
    about,
    available,
    check_request,
    class_choices,
    guidance_of,
    model_choice,
    refresh_class,
    update_fields,
)
from tasks.ui.errors import report_errors
from tasks.ui.jobs import JOBS, Frame
from tasks.ui.page.figures import flow
from tasks.ui.page.lead import lead
from tasks.ui.step_player import start_on_click, step_player

REFERENCE_STEPS = 100  # of UniPC, from the same noise
STEPS = 5  # so few that the samplers differ


def first_model() -> str:
    """Photos where their model is here: on digits a few steps are enough for all four."""
    offered = list(available().values())
    return "cifar10" if "cifar10" in offered else offered[0]


def begin_samplers(
    data_set: str, asked: str, seed: Any, n_steps: Any, guidance: Any
) -> dict[str, Any]:
    """The same noise and class through all four samplers."""
    generator, settings = check_request(data_set, asked, 4, seed, "ddpm", n_steps, guidance)
    if settings["n_steps"] > 100:
        raise ImageError(f"Side by side, 1 to 100 steps work; {settings['n_steps']} came.")
    names = list(SAMPLERS.values())
    runs = [generator.steps(**{**settings, "sampler": name}) for name in names]
    reference = generator.steps(**{**settings, "sampler": "unipc", "n_steps": REFERENCE_STEPS})
    settings["sampler"] = " / ".join(names)
    return JOBS.start(
        _side_by_side(runs, reference), settings["n_steps"], about(generator, settings, "samplers")
    )


def _side_by_side(runs: list[Iterator[Any]], reference: Iterator[Any]) -> Iterator[Frame]:
    """The reference advances with the samplers, so that every frame takes about as long."""
    from tasks.core.images import to_uint8

    for steps in zip(*runs, strict=True):
        first = steps[0]
        share = REFERENCE_STEPS * first.i // first.n - REFERENCE_STEPS * (first.i - 1) // first.n
        for exact in islice(reference, share):
            ends = exact.x_t
        panels = tuple(to_uint8(s.x_t) for s in steps)
        times = [f"{1000 * s.seconds:.0f} ms" for s in steps]
        text = _each(times, "Time of the step")
        if first.i == first.n:
            text += closeness(panels, to_uint8(ends))
        yield Frame(panels, f"Step {first.i} of {first.n}", text)


def _each(values: Sequence[str], title: str) -> str:
    listed = " · ".join(f"{name} {value}" for name, value in zip(SAMPLERS, values, strict=True))
    return f"<p>{title}: {listed}</p>"


def closeness(panels: Sequence[np.ndarray], ends: np.ndarray) -> str:
    """PSNR of each sampler's images to those of REFERENCE_STEPS steps, as HTML.

    Args:
        panels, ends: uint8, of one shape.
    """
    exact = ends.astype(np.float64) / 255
    values = [min(psnr(panel.astype(np.float64) / 255, exact), 99) for panel in panels]
    return _each([f"{value:.1f} dB" for value in values], f"PSNR to {REFERENCE_STEPS} steps") + (
        "<p>DDPM adds fresh noise in each step and ends at other images.</p>"
    )


def measured(data_set: str) -> str:
    """The card's table of samplers by number of steps, as HTML; "" if there is none."""
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
        f"<tr><td>{title}</td>"
        + "".join(_cell(table[name].get(str(count))) for count in counts)
        + "</tr>"
        for title, name in SAMPLERS.items()
        if name in table
    )
    guidance = card.preprocess.get("guidance", 1)
    return (
        "<div class='lab-scroll' tabindex='0'>"
        f"<table class='lab-table'><thead><tr><th>sampler</th>{head}</tr></thead><tbody>{rows}"
        "</tbody></table></div><p class='lab-lead'>Share of n generated images that a classifier "
        "assigns to the requested class; for large n the Fréchet distance as a multiple of the "
        "floor, "
        "that of as many training images; processor time for one image, 50 generated at once, "
        "summed "
        f"over all cores. Guidance {escape(str(guidance))}; {escape(hardware(card))}.</p>"
    )


def _cell(row: dict[str, float] | None) -> str:
    if row is None:
        return "<td></td>"
    far = f"{row['times_floor']:.1f} × floor<br>" if "times_floor" in row else ""
    seconds = row["seconds"]
    time = f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
    return f"<td class='num'><b>{row['agreement']:.1f} %</b> of {row['n']:,.0f}<br>{far}{time}</td>"


def hardware(card: weights.Card) -> str:
    """The machine that trained and measured."""
    return str(card.training.get("hardware", ""))


def build_samplers() -> None:
    first = first_model()
    gr.HTML(
        lead(
            "The same noise, network and number of steps through four update rules.",
            "DDIM follows the predicted noise in a straight line; DPM-Solver++ and UniPC use the "
            "step before, too, and need fewer; DDPM adds fresh noise and needs many.",
            flow("noise:one noise", "net:U-Net", "+maps:four rules", "image:four images"),
        )
    )
    with gr.Row():
        data_set = model_choice(first, min_width=200)
        asked = gr.Dropdown(
            class_choices(first), value=IN_TURN, label="Class", filterable=False, min_width=130
        )
        n_steps = gr.Slider(1, 50, STEPS, step=1, label="Steps", min_width=150)
        guidance = gr.Slider(0, 6, guidance_of(first), step=0.1, label="Guidance", min_width=150)
        seed = gr.Number(0, label="Seed", precision=0, min_width=100)
        go = gr.Button("Run all four", variant="primary", min_width=130, elem_id="samplers-go")
    player = step_player(tuple(SAMPLERS), "samplers-player", "Four samplers, one noise.", wide=True)
    data_set.input(
        report_errors(update_fields),
        data_set,
        [asked, guidance],
        api_visibility="private",
        show_progress="hidden",
    )
    start_on_click(
        player,
        go,
        begin_samplers,
        [data_set, asked, seed, n_steps, guidance],
        ["model", "class", "seed", "steps", "guidance"],
        refresh_class,
    )
    for title, name in available().items():
        table = measured(name)
        if table:
            with gr.Accordion(f"{title}: the samplers measured", open=False):
                gr.HTML(table)
