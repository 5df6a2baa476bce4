"""Measurements of GAN, VAE and diffusion: a table, quality against time, and coverage.

Reads the results of `train/evaluate.py`: benchmarks/results/generators.csv and .json.
"""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import gradio as gr

from tasks.compare.tab.neighbours import KINDS, build_neighbours
from tasks.core import weights
from tasks.ui.charts import Axis, Series, chart

RESULT = weights.ROOT / "benchmarks" / "results" / "generators.csv"
COMMAND = "python -m train.evaluate"
TRAININGS = "python -m train.gan / vae / diffusion"
Row = Mapping[str, str]


NUMBERS = (
    "steps",
    "agreement",
    "times_floor",
    "precision",
    "recall",
    "copied",
    "ms",
    "parameters",
    "minutes",
    "pictures",
    "n",
)
"""The columns that are shown as numbers."""


def measured() -> list[dict[str, str]]:
    """The rows of the table; empty if the file is missing or has other columns."""
    try:
        with RESULT.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        if not all(
            row["generator"] in KINDS and row["trained_on"] and row["device"] for row in rows
        ):
            return []
        return (
            rows if all(math.isfinite(float(row[key])) for row in rows for key in NUMBERS) else []
        )
    except (OSError, ValueError, KeyError, TypeError):
        return []


def chosen(rows: Sequence[Row]) -> dict[str, Row]:
    """A row for each kind; for diffusion the one nearest to 20 steps."""
    found: dict[str, Row] = {}
    for kind in KINDS:
        of = [row for row in rows if row["generator"] == kind]
        if of:
            found[kind] = min(of, key=lambda row: abs(int(row["steps"]) - 20))
    return found


def table_rows(by: Mapping[str, Row]) -> list[tuple[str, str, dict[str, str], str]]:
    """(heading, what is measured, each generator's cell, the command that measures it)."""
    return [
        (
            "Training stability",
            "rise of the held-out measure after its best",
            stability(),
            TRAININGS,
        ),
        (
            "Sample quality",
            "Fréchet distance, times the floor (less is better)",
            cells(by, "times_floor", "{:.1f} ×"),
            COMMAND,
        ),
        ("", "label agreement", cells(by, "agreement", "{:.1f} %"), COMMAND),
        (
            "",
            "precision: generated digits that resemble real ones",
            cells(by, "precision", "{:.2f}"),
            COMMAND,
        ),
        (
            "Mode coverage",
            "recall: real digits that generated ones resemble",
            cells(by, "recall", "{:.2f}"),
            COMMAND,
        ),
        (
            "Copies",
            "much nearer to a training digit than test digits",
            percent_cells(by, "copied"),
            COMMAND,
        ),
        ("Compute", "ms a digit, 50 at once", cells(by, "ms", "{:.2f} ms"), COMMAND),
        ("", "time of training", trained(by), TRAININGS),
        ("", "training images seen", cells(by, "pictures", "{:,.0f}"), TRAININGS),
        ("", "parameters", cells(by, "parameters", "{:,.0f}"), TRAININGS),
        (
            "Interpretability",
            "what can be inspected (no number)",
            {
                "GAN": "interpolation in z; the discriminator's score",
                "VAE": "interpolation in z; an encoder for real digits",
                "Diffusion": "every step can be inspected and guided",
            },
            "",
        ),
    ]


def table_html(rows: Sequence[Row]) -> str:
    """The comparison as a table, with a measured number in every cell if possible."""
    by = chosen(rows)
    steps = by["Diffusion"]["steps"] if "Diffusion" in by else "20"
    body = "".join(
        f"<tr>{f'<th>{head}</th>' if head else '<td></td>'}<td style='min-width:13rem'>{what}</td>"
        + "".join(
            f"<td style='white-space:normal'>{found.get(k, 'not measured')}</td>" for k in KINDS
        )
        + f"<td>{f'<code>{command}</code>' if command else ''}</td></tr>"
        for head, what, found, command in table_rows(by)
    )
    n = " / ".join(f"{int(by[k]['n']):,}" for k in by)
    device = escape(next(iter(by.values()))["device"]) if by else ""
    return (
        "<div class='lab-scroll' tabindex='0'><table class='lab-table "
        "compare'><thead><tr><td></td><th>measured</th>"
        f"<th>GAN</th><th>VAE</th><th>Diffusion, {steps} "
        f"steps</th><th>by</th></tr></thead><tbody>{body}"
        "</tbody></table></div>"
        f"<p class='lab-lead'>n = {n} generated digits against 10,000 test digits, in the features "
        "of "
        f"a network used for nothing else; {device}.</p>"
    )


def cells(by: Mapping[str, Row], key: str, form: str) -> dict[str, str]:
    return {kind: form.format(float(row[key])) for kind, row in by.items()}


def percent_cells(by: Mapping[str, Row], key: str) -> dict[str, str]:
    return {kind: f"{100 * float(row[key]):.1f} %" for kind, row in by.items()}


def trained(by: Mapping[str, Row]) -> dict[str, str]:
    """Minutes of training, on a CPU or a GPU."""
    gpus = {kind: row["trained_on"].partition("NVIDIA ")[2] for kind, row in by.items()}
    devices = {kind: f"GPU, NVIDIA {gpu}" if gpu else "CPU" for kind, gpu in gpus.items()}
    return {
        kind: f"{float(row['minutes']):.0f} min of a {devices[kind]}" for kind, row in by.items()
    }


def stability() -> dict[str, str]:
    """From the cards' curves: the last held-out value over the best one."""
    found = {}
    for kind, name, key in (
        ("GAN", "gan", "val_distance"),
        ("VAE", "vae", "held_out_error"),
        ("Diffusion", "diffusion_mnist", "val_loss"),
    ):
        try:
            values = [p[key] for p in weights.read_card(name).curve if key in p]
        except weights.WeightsError:
            continue
        if values:
            found[kind] = (
                f"{100 * (values[-1] / min(values) - 1):+.1f} % "
                f"({'distance' if kind == 'GAN' else 'loss'})"
            )
    return found


def scatter(rows: Sequence[Row], key: str, title: str) -> str:
    """Fréchet distance, times the floor, against `key`; both axes logarithmic."""
    shown = [row for row in rows if float(row[key]) > 0]
    series = []
    for kind, colour in KINDS.items():
        of = sorted((r for r in shown if r["generator"] == kind), key=lambda r: float(r[key]))
        points = [(float(r[key]), max(float(r["times_floor"]), 0.5)) for r in of]
        if len(of) > 1:
            series.append(Series(kind, points, f"var({colour})"))
        labels = [f"{int(r['steps']):,}" if len(of) > 1 else kind for r in of]
        details = [
            f"{r['name']}: {float(r[key]):g}, {y:g} times the floor, n = {int(r['n']):,}"
            for r, (_, y) in zip(of, points, strict=True)
        ]
        series.append(Series(kind, points, f"var({colour})", "points", labels, details))
    most = max((y for s in series for _, y in s.points), default=1.0)
    floor = Axis(
        "Fréchet distance (1 × = real digits)", high=1.6 * max(2.0, most), log=True, unit="×"
    )
    return chart(series, Axis(title, log=True), floor)


def about_steps(rows: Sequence[Row]) -> str:
    """A note on the numbers in the first plot."""
    line = sorted((int(r["steps"]), int(r["n"])) for r in rows if r["generator"] == "Diffusion")
    if len(line) < 2:
        return ""
    (few, most), (many, least) = line[0], line[-1]
    return (
        "<p class='lab-lead'>Numbers are steps of diffusion. With more steps, fewer digits were "
        f"generated: {most:,} at {few}, {least:,} at {many:,}, each compared with the floor of as "
        "many "
        "real ones.</p>"
    )


def map_html(places: Mapping[str, Any]) -> str:
    """SVGs: real digits in grey, generated ones in colour, on two principal
    components of the features.
    """
    real = places["real"]
    xs, ys = [p[0] for p in real], [p[1] for p in real]
    x0, x1, y0, y1 = min(xs), max(xs), min(ys), max(ys)

    def dots(points: Sequence[Sequence[float]], style: str) -> str:
        """One path, a dot a line of no length: a tenth of as many circles."""
        at = [
            (8 + 304 * (p[0] - x0) / (x1 - x0), 8 + 304 * (p[1] - y0) / (y1 - y0)) for p in points
        ]
        inside = [(x, y) for x, y in at if 0 <= x <= 320 and 0 <= y <= 320]
        path = "".join(f"M{x:.0f} {y:.0f}h0" for x, y in inside)
        return f"<path {style} d='{path}'/>"

    grey = dots(real, "class='real'")
    centres = [
        [
            sum(p[i] for p in real if p[2] == k) / max(1, sum(p[2] == k for p in real))
            for i in (0, 1)
        ]
        for k in range(10)
    ]
    names = "".join(
        f"<text x='{8 + 304 * (x - x0) / (x1 - x0):.0f}' y='{12 + 304 * (y - y0) / (y1 - y0):.0f}' "
        f"text-anchor='middle'>{k}</text>"
        for k, (x, y) in enumerate(centres)
    )
    figures = ""
    for kind, colour in KINDS.items():
        generated = dots(places.get(kind, []), f"style='stroke:var({colour})'")
        figures += (
            "<figure><svg class='places' viewBox='0 0 320 320' role='img' aria-label='Features of "
            "real "
            "digits and of those by "
            f"{kind}'>{grey}{generated}{names}</svg><figcaption>{kind}</figcaption></figure>"
        )
    share = 100 * sum(places["explained"])
    return (
        f"<div class='lab-places'>{figures}</div><p class='lab-lead'>600 test digits in grey, 600 "
        "generated ones in colour, "
        f"on the two directions in which real digits differ most in the features ({share:.0f} % of "
        "the "
        "variance). Grey without colour is a kind of digit that is not generated; colour without "
        "grey is unlike real digits.</p>"
    )


STYLE = (
    "<style>.lab-places{display:grid;grid-template-columns:repeat(auto-fit,minmax(230px,1fr));gap:1rem}"
    ".lab-places figure{margin:0}.lab-places figcaption{font-size:.85rem;text-align:center}"
    ".places{width:100%;display:block;border:1px solid "
    "var(--border-color-primary);border-radius:8px}"
    ".places path{stroke-width:4.4;stroke-linecap:round;fill:none;opacity:.7}"
    ".places .real{stroke:var(--body-text-color-subdued);opacity:.35}"
    ".places text{font-size:15px;font-weight:700;fill:var(--body-text-color)!important}"
    ".lab-measured{font-size:1.1rem!important;margin:1rem 0 .5rem!important}"
    ".lab-plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(280px,1fr));gap:1rem}</style>"
)


def build_measures() -> None:
    rows = measured()
    if not rows:
        gr.HTML(
            f"<p class='lab-lead'>The three have not been measured yet; <code>{COMMAND}</code> "
            "does it.</p>"
        )
        return
    plots = (
        scatter(rows, "ms", "milliseconds a digit"),
        scatter(list(chosen(rows).values()), "pictures", "training images seen"),
    )
    gr.HTML(
        f"{STYLE}<h2 class='lab-measured'>Measured</h2>{table_html(rows)}"
        f"<div class='lab-plots'>{''.join(plots)}</div>{about_steps(rows)}"
    )
    try:
        places = json.loads(RESULT.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    with gr.Accordion("Coverage: generated digits among real ones", open=True):
        gr.HTML(map_html(places))
    build_neighbours(places)
