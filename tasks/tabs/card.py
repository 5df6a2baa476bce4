"""A model's card as a visitor sees it: figures, recipe, learning curve, folded away under the result."""

import math
from collections.abc import Mapping, Sequence
from html import escape

import gradio as gr

from tasks import weights

Curve = Sequence[tuple[float, float]]
COLOURS = ("var(--lab-accent)", "var(--lab-second)", "var(--lab-third)")


def show_card(name: str, title: str = "The model") -> weights.Card | None:
    """A folded panel with the card; a missing or damaged card is said in its place. Returns the card, if readable.

    `title` tells the cards of a tab with several models apart.
    """
    with gr.Accordion(f"{title}: data, recipe, scores, limits", open=False):
        try:
            card = weights.read_card(name)
        except weights.WeightsError as error:
            gr.Markdown(escape(str(error)))
            return None
        gr.HTML(card_html(card))
    return card


def card_html(card: weights.Card) -> str:
    """The card as HTML."""
    metrics = "".join(
        f"<tr><td>{escape(str(m.name))}</td><td class='num'>{m.value:.2f} {escape(str(m.unit))}</td>"
        f"<td>{escape(str(m.split))}, n = {m.n:,}</td><td>{escape(str(m.conditions))}</td></tr>"
        for m in card.metrics
    )
    training = card.training
    facts = {
        "Network": f"{card.architecture}; {card.parameters:,} parameters",
        "Data": f"{card.data['name']}, {card.data['licence']}; {card.data['n']}; held out: {card.data['held_out']}",
        "Recipe": f"{training['minutes']:.0f} minutes on {training['hardware']}, seed {training['seed']}",
        "Train it again": training["command"],
        "Paper": card.paper,
        "Limits": card.limits,
    }
    listed = "".join(f"<dt>{k}</dt><dd>{escape(str(v))}</dd>" for k, v in facts.items())
    score = next((key for key in (card.curve[-1] if card.curve else ()) if key.startswith("val_")), "val_accuracy")
    curves = {"ours": _score_points(card.curve, score)}
    if "textbook" in card.tables:
        curves["textbook"] = _score_points(card.tables["textbook"]["curve"], score)
    unit = "" if score == "val_loss" else ", %"
    curve = learning_curves(curves, "training step", f"validation {score.removeprefix('val_')}{unit}")
    return (
        "<div class='lab-card'><div class='lab-scroll' tabindex='0'>"
        "<table><thead><tr><th>measured</th><th>value</th><th>on</th>"
        f"<th>conditions</th></tr></thead><tbody>{metrics}</tbody></table></div><dl>{listed}</dl>"
        f"<div class='lab-scroll' tabindex='0'>{curve}</div></div>"
    )


def learning_curves(curves: Mapping[str, Curve], x_label: str, y_label: str) -> str:
    """Curves over a common axis as an inline SVG that follows the theme; empty for no points."""
    points = [p for curve in curves.values() for p in curve]
    if not points:
        return ""
    width, height, left, right, top, bottom = 560, 230, 46, 96, 14, 34
    x0, x1 = min(p[0] for p in points), max(p[0] for p in points)
    y0, y1 = min(p[1] for p in points), max(p[1] for p in points)
    y0, y1 = y0 - 0.05 * (y1 - y0 or 1), y1 + 0.05 * (y1 - y0 or 1)

    def at(x: float, y: float) -> tuple[float, float]:
        return (left + (x - x0) / ((x1 - x0) or 1) * (width - left - right),
                height - bottom - (y - y0) / (y1 - y0) * (height - top - bottom))  # fmt: skip

    marks = []
    for value in _ticks(y0, y1):
        y = at(x0, value)[1]
        marks.append(
            f"<line class='grid' x1='{left}' x2='{width - right}' y1='{y:.1f}' y2='{y:.1f}'/>"
            f"<text x='{left - 6}' y='{y + 4:.1f}' text-anchor='end'>{value:g}</text>"
        )
    taken: list[float] = []
    for (name, curve), colour in zip(curves.items(), COLOURS, strict=False):
        if not curve:
            continue
        line = " ".join("{:.1f},{:.1f}".format(*at(*p)) for p in curve)
        x, y = at(*curve[-1])
        while any(abs(y - other) < 13 for other in taken):  # names of curves that end together stand below each other
            y += 13
        taken.append(y)
        marks.append(
            f"<polyline points='{line}' style='stroke:{colour}'/>"
            f"<text x='{x + 6:.1f}' y='{y + 4:.1f}' style='fill:{colour}'>{escape(name)}</text>"
        )
    return (
        f"<svg class='lab-curve' viewBox='0 0 {width} {height}' role='img' aria-label='{escape(y_label)} over "
        f"{escape(x_label)}'>{''.join(marks)}<text x='{(left + width - right) / 2}' y='{height - 8}' "
        f"text-anchor='middle'>{escape(x_label)} (to {x1:,.0f})</text><text class='ylabel' x='{left}' y='10'>"
        f"{escape(y_label)}</text></svg>"
    )


def _score_points(curve: Sequence[Mapping[str, float]], score: str) -> Curve:
    return [(p["step"], (1 if score == "val_loss" else 100) * p[score]) for p in curve if score in p]


def _ticks(low: float, high: float) -> list[float]:
    """Three to seven round numbers between the two."""
    rough = (high - low) / 6  # steps are up to twice as wide
    exponent = math.floor(math.log10(rough))
    step = next(m * 10.0**exponent for m in (1, 2, 2.5, 5, 10) if m * 10.0**exponent >= rough)
    return [round(i * step, 1 - exponent) for i in range(math.ceil(low / step), math.floor(high / step) + 1)]
