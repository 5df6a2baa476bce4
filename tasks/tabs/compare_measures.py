"""What was measured of GAN, VAE and diffusion: a table, quality against time, and where their digits lie.

Reads what `train/evaluate.py` wrote: benchmarks/results/generators.csv and .json.
"""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import gradio as gr

from tasks import weights
from tasks.tabs.compare_neighbours import KINDS, build_neighbours

RESULT = weights.ROOT / "benchmarks" / "results" / "generators.csv"
COMMAND = "python -m train.evaluate"
TRAININGS = "python -m train.gan / vae / diffusion"
Row = Mapping[str, str]
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 520, 270, 44, 20, 18, 40


NUMBERS = ("steps", "agreement", "times_floor", "precision", "recall", "copied", "ms", "parameters", "minutes",
           "pictures", "n")  # fmt: skip
"""The columns that are shown as numbers."""


def measured() -> list[dict[str, str]]:
    """The table's rows; empty where nothing was measured yet, or by another version, whose columns are others."""
    try:
        with RESULT.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        if not all(row["generator"] in KINDS and row["trained_on"] and row["device"] for row in rows):
            return []
        return rows if all(math.isfinite(float(row[key])) for row in rows for key in NUMBERS) else []
    except (OSError, ValueError, KeyError, TypeError):
        return []


def chosen(rows: Sequence[Row]) -> dict[str, Row]:
    """One row a kind: of diffusion that of 20 steps, or the nearest to it."""
    found: dict[str, Row] = {}
    for kind in KINDS:
        of = [row for row in rows if row["generator"] == kind]
        if of:
            found[kind] = min(of, key=lambda row: abs(int(row["steps"]) - 20))
    return found


def table_html(rows: Sequence[Row]) -> str:
    """The textbook's comparison, with a measured number in every cell where one is possible."""
    by = chosen(rows)
    stable = stability()
    steps = by["Diffusion"]["steps"] if "Diffusion" in by else "20"
    lines: list[tuple[str, str, dict[str, str], str]] = [
        ("Training stability", "how far the Fréchet distance on held-out digits rose again after its best", stable,
         TRAININGS),
        ("Sample quality", "Fréchet distance, times the floor (less is better)",
         cells(by, "times_floor", "{:.1f} ×"), COMMAND),
        ("", "readable as the digit that was asked for", cells(by, "agreement", "{:.1f} %"), COMMAND),
        ("", "precision: made digits that look like real ones", cells(by, "precision", "{:.2f}"), COMMAND),
        ("Mode coverage", "recall: real digits that made ones look like", cells(by, "recall", "{:.2f}"), COMMAND),
        ("Copies", "much nearer to a training digit than test digits are", percent_cells(by, "copied"), COMMAND),
        ("Compute", "ms a digit, 50 at once", cells(by, "ms", "{:.2f} ms"), COMMAND),
        ("", "time of training", trained(by), TRAININGS),
        ("", "training pictures seen", cells(by, "pictures", "{:,.0f}"), TRAININGS),
        ("", "parameters", cells(by, "parameters", "{:,.0f}"), TRAININGS),
        ("Interpretability", "what can be looked into (no number possible)", {
            "GAN": "walks in z; a score of realness", "VAE": "walks in z; an encoder: a place for every real digit",
            "Diffusion": "every step can be looked at and steered"}, ""),
    ]  # fmt: skip
    body = "".join(
        f"<tr>{f'<th>{head}</th>' if head else '<td></td>'}<td style='min-width:13rem'>{what}</td>"
        + "".join(f"<td style='white-space:normal'>{found.get(k, 'not measured')}</td>" for k in KINDS)
        + f"<td>{f'<code>{command}</code>' if command else ''}</td></tr>"
        for head, what, found, command in lines
    )
    n = " / ".join(f"{int(by[k]['n']):,}" for k in by)
    device = escape(next(iter(by.values()))["device"]) if by else ""
    return (
        "<div class='lab-scroll' tabindex='0'><table class='lab-table compare'><thead><tr><td></td><th>measured</th>"
        f"<th>GAN</th><th>VAE</th><th>Diffusion, {steps} steps</th><th>by</th></tr></thead><tbody>{body}"
        "</tbody></table></div>"
        f"<p class='lab-lead'>n = {n} made digits against 10,000 test digits, in the features of a recogniser used for "
        f"nothing else; {device}.</p>"
    )


def cells(by: Mapping[str, Row], key: str, form: str) -> dict[str, str]:
    return {kind: form.format(float(row[key])) for kind, row in by.items()}


def percent_cells(by: Mapping[str, Row], key: str) -> dict[str, str]:
    return {kind: f"{100 * float(row[key]):.1f} %" for kind, row in by.items()}


def trained(by: Mapping[str, Row]) -> dict[str, str]:
    """The minutes, and where a GPU's minutes are meant, that."""
    gpus = {kind: row["trained_on"].partition("NVIDIA ")[2] for kind, row in by.items()}
    return {
        kind: f"{float(row['minutes']):.0f} min{f' of a GPU, NVIDIA {gpus[kind]}' if gpus[kind] else ' of a CPU'}"
        for kind, row in by.items()
    }


def stability() -> dict[str, str]:
    """From the cards' curves: the last held-out value over the best one."""
    found = {}
    for kind, name, key in (("GAN", "gan", "val_distance"), ("VAE", "vae", "held_out_error"),
                            ("Diffusion", "diffusion_mnist", "val_loss")):  # fmt: skip
        try:
            values = [p[key] for p in weights.read_card(name).curve if key in p]
        except weights.WeightsError:
            continue
        if values:
            found[kind] = f"{100 * (values[-1] / min(values) - 1):+.1f} % ({'distance' if kind == 'GAN' else 'loss'})"
    return found


def scatter(rows: Sequence[Row], x_key: str, x_label: str) -> str:
    """SVG: Fréchet distance, times the floor, against `x_key`; both axes logarithmic."""
    points = [(float(r[x_key]), max(float(r["times_floor"]), 0.5), r) for r in rows if float(r[x_key]) > 0]
    if not points:
        return ""
    x0, x1 = (f(p[0] for p in points) for f in (min, max))
    y0 = min(1.0, *(p[1] for p in points))
    y1 = 1.6 * max(2.0, *(p[1] for p in points))  # room for the title

    def at(x: float, y: float) -> tuple[float, float]:
        share = math.log(x / x0) / (math.log(x1 / x0) or 1)
        return (LEFT + 14 + share * (WIDTH - LEFT - RIGHT - 60),
                HEIGHT - BOTTOM - math.log(max(y, y0) / y0) / math.log(y1 / y0) * (HEIGHT - TOP - BOTTOM))  # fmt: skip

    marks = ""
    for value in (1, 2, 5, 10, 20, 50, 100):
        if value <= y1:
            y = at(x0, value)[1]
            marks += (f"<line class='grid' x1='{LEFT}' x2='{WIDTH - RIGHT}' y1='{y:.1f}' y2='{y:.1f}'/>"
                      f"<text x='{LEFT - 6}' y='{y + 4:.1f}' text-anchor='end'>{value} ×</text>")  # fmt: skip
    line = sorted((at(x, y) for x, y, r in points if r["generator"] == "Diffusion" and x_key == "ms"))
    if len(line) > 1:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in line)
        marks += f"<polyline style='stroke:var(--lab-accent);opacity:.5' points='{path}'/>"
    for x, y, r in points:
        px, py = at(x, y)
        colour = KINDS[r["generator"]]
        is_step = r["generator"] == "Diffusion" and len(line) > 1
        name = f"{int(r['steps']):,}" if is_step else r["generator"]
        place = (px, py - 10, "middle") if is_step else (px + 8, py - 6, "start")
        marks += (f"<circle cx='{px:.1f}' cy='{py:.1f}' r='5' style='fill:var({colour})'><title>{escape(r['name'])}: "
                  f"{float(r[x_key]):g}, {y:g} times the floor, n = {int(r['n']):,}</title></circle><text "
                  f"x='{place[0]:.1f}' y='{place[1]:.1f}' text-anchor='{place[2]}' "
                  f"style='fill:var({colour})'>{name}</text>")  # fmt: skip
    return (
        f"<svg class='lab-curve' viewBox='0 0 {WIDTH} {HEIGHT}' role='img' aria-label='Quality against {x_label}'>"
        f"{marks}<text x='{LEFT}' y='11'>Fréchet distance, times the floor (1 = as real ones)</text>"
        f"<text x='{(LEFT + WIDTH - RIGHT) / 2}' y='{HEIGHT - 6}' text-anchor='middle'>{x_label}: "
        f"{x0:,.{0 if x0 >= 10 else 2}f} to {x1:,.0f} (logarithmic)</text></svg>"
    )


def about_steps(rows: Sequence[Row]) -> str:
    """What the numbers in the first plot are, and how far they can be trusted."""
    line = sorted((int(r["steps"]), int(r["n"])) for r in rows if r["generator"] == "Diffusion")
    if len(line) < 2:
        return ""
    (few, most), (many, least) = line[0], line[-1]
    return (
        "<p class='lab-lead'>Numbers are steps of diffusion. More steps take longer, so fewer digits were made: "
        f"{most:,} at {few}, {least:,} at {many:,}, each against the floor of as many real ones; the fewer, the less a "
        "difference means.</p>"
    )


def map_html(places: Mapping[str, Any]) -> str:
    """SVGs: real digits in grey, made ones in colour, on two principal components of the recogniser's features."""
    real = places["real"]
    xs, ys = [p[0] for p in real], [p[1] for p in real]
    x0, x1, y0, y1 = min(xs), max(xs), min(ys), max(ys)

    def dots(points: Sequence[Sequence[float]], style: str) -> str:
        """One path, a dot a line of no length: a tenth of as many circles."""
        at = [(8 + 304 * (p[0] - x0) / (x1 - x0), 8 + 304 * (p[1] - y0) / (y1 - y0)) for p in points]
        return f"<path {style} d='{''.join(f'M{x:.0f} {y:.0f}h0' for x, y in at if 0 <= x <= 320 and 0 <= y <= 320)}'/>"

    grey = dots(real, "class='real'")
    centres = [
        [sum(p[i] for p in real if p[2] == k) / max(1, sum(p[2] == k for p in real)) for i in (0, 1)] for k in range(10)
    ]
    names = "".join(
        f"<text x='{8 + 304 * (x - x0) / (x1 - x0):.0f}' y='{12 + 304 * (y - y0) / (y1 - y0):.0f}' "
        f"text-anchor='middle'>{k}</text>"
        for k, (x, y) in enumerate(centres)
    )
    figures = ""
    for kind, colour in KINDS.items():
        made = dots(places.get(kind, []), f"style='stroke:var({colour})'")
        figures += (
            f"<figure><svg class='lab-curve places' viewBox='0 0 320 320' role='img' aria-label='Features of real "
            f"digits and of those made by {kind}'>{grey}{made}{names}</svg><figcaption>{kind}</figcaption></figure>"
        )
    share = 100 * sum(places["explained"])
    return (
        f"<div class='lab-places'>{figures}</div><p class='lab-lead'>600 test digits in grey, 600 made ones in colour, "
        f"on the two directions in which real digits differ most in the recogniser’s features ({share:.0f} % of the "
        "variance). Grey without colour is a kind of digit that is not made; colour without grey is none that "
        "people write.</p>"
    )


STYLE = (
    "<style>.lab-places{display:grid;grid-template-columns:repeat(auto-fit,minmax(230px,1fr));gap:1rem}"
    ".lab-places figure{margin:0}.lab-places figcaption{font-size:.85rem;text-align:center}"
    ".places{border:1px solid var(--border-color-primary);border-radius:8px}"
    ".places path{stroke-width:4.4;stroke-linecap:round;fill:none;opacity:.7}"
    ".places .real{stroke:var(--body-text-color-subdued);opacity:.35}"
    ".places text{font-size:15px;font-weight:700;fill:var(--body-text-color)!important}"
    ".lab-measured{font-size:1.1rem!important;margin:1rem 0 .5rem!important}"
    ".lab-plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(280px,1fr));gap:1rem}</style>"
)


def build_measures() -> None:
    rows = measured()
    if not rows:
        gr.HTML(f"<p class='lab-lead'>The three have not been measured yet; <code>{COMMAND}</code> does it.</p>")
        return
    plots = (
        scatter(rows, "ms", "milliseconds a digit"),
        scatter(list(chosen(rows).values()), "pictures", "training pictures seen"),
    )
    gr.HTML(
        f"{STYLE}<h2 class='lab-measured'>Measured</h2>{table_html(rows)}"
        f"<div class='lab-plots'>{''.join(plots)}</div>{about_steps(rows)}"
    )
    try:
        places = json.loads(RESULT.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    with gr.Accordion("Coverage: where made digits lie among real ones", open=True):
        gr.HTML(map_html(places))
    build_neighbours(places)
