"""IoU of each class for every bundled network, and the confusion matrix of the first."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

import gradio as gr

from tasks import models
from tasks.core import weights
from tasks.ui import model_card
from tasks.ui.charts import Axis, Series, chart
from tasks.ui.widget import load


def scores_html(cards: list[weights.Card]) -> str:
    """IoU of each class, a column a network."""
    head = "".join(f"<th>{escape(c.title)}</th>" for c in cards)
    rows = []
    for name in cards[0].classes:
        values = [c.tables.get("iou", {}).get(name) for c in cards]
        cells = "".join(
            f"<td class='num'>{'none' if v is None else f'{100 * v:.1f} %'}</td>" for v in values
        )
        rows.append(f"<tr><td>{escape(name)}</td>{cells}</tr>")
    mean = "".join(f"<td class='num'><b>{c.metrics[0].value:.1f} %</b></td>" for c in cards)
    rows.append(f"<tr><td><b>mean</b></td>{mean}</tr>")
    body = (
        "<thead><tr><th>intersection over "
        f"union</th>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
    )
    m = cards[0].metrics[0]
    return (
        "<div class='lab-scroll' tabindex='0'><table class='lab-table "
        f"scores'>{body}</table></div><p class='lab-lead'>{escape(m.split)}, {m.n} images, "
        "single-scale. IoU: of the pixels whose true or predicted class this is, the share where "
        "both agree. Thin and rare classes score lowest: a pole is three pixels wide.</p>"
    )


def confusion_html(shown: weights.Card) -> str:
    """The confusion matrix: of each true class the share of each predicted class."""
    matrix, names = shown.tables.get("confusion"), shown.classes
    if not matrix:
        return ""
    head = "".join(f"<th scope='col'>{escape(n)}</th>" for n in names)
    rows = []
    for name, row in zip(names, matrix, strict=True):
        total = sum(row) or 1
        cells = "".join(_confusion_cell(v / total) for v in row)
        rows.append(f"<tr><th scope='row'>{escape(name)}</th>{cells}</tr>")
    body = f"<thead><tr><td></td>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return (
        "<h2 class='lab-section'>Confusion matrix</h2><p class='lab-lead'>"
        "Rows: true class; columns: predicted "
        f"class, in per cent of the row. {escape(shown.title)}.</p>"
        f"<div class='lab-scroll' tabindex='0'><table class='confusion'>{body}</table></div>"
    )


def _confusion_cell(share: float) -> str:
    is_dark = share > 0.55
    strength = f"{100 if is_dark else 80 * share**0.6:.0f}%"
    background = f"color-mix(in srgb, var(--lab-accent) {strength}, transparent)"
    colour = "var(--lab-on-accent)" if is_dark else "inherit"
    text = f"{100 * share:.0f}" if share >= 0.005 else ""
    return f"<td style='background:{background};color:{colour}'>{text}</td>"


def lengths_html(curves: Sequence[Series]) -> str:
    """Which curve is shorter than the longest, and by how much."""
    last = {curve.name: curve.points[-1][0] for curve in curves if curve.points}
    most = max(last.values(), default=0)
    notes = [
        f"The curve “{escape(name)}” ends at step {step:,.0f} of {most:,.0f}: that network was "
        "trained for fewer steps."
        for name, step in last.items()
        if step < 0.95 * most
    ]
    return f"<p class='lab-lead'>{' '.join(notes)}</p>" if notes else ""


def build_scores() -> None:
    cards = []
    for _, name in models.segmenter_choices():
        try:
            cards.append(weights.read_card(name))
        except weights.WeightsError as error:
            gr.HTML(f"<p class='lab-lead'>{escape(str(error))}</p>")
    if not cards:
        return
    curves = [
        Series(
            "from ImageNet" if c.name == "segmentation" else "random",
            [(p["step"], 100 * p["val_mIoU"]) for p in c.curve if "val_mIoU" in p],
        )
        for c in cards
    ]
    curve = chart(curves, Axis("training step"), Axis("validation mIoU, %")) + lengths_html(curves)
    gr.HTML(
        f"{scores_html(cards)}{curve}{confusion_html(cards[0])}",
        css_template=load(Path(__file__).parent, "scores").css,
    )
    for shown in cards[1:]:  # the tab shows the first card below
        model_card.show_card(shown.name, shown.title)
