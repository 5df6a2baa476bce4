"""What the segmentation networks score, class by class, and what each class is taken for."""

from html import escape
from pathlib import Path

import gradio as gr

from tasks import weights
from tasks.tabs import card, segmenters

HERE = Path(__file__).parent


def scores_html(cards: list[weights.Card]) -> str:
    """IoU of each class, a column a network."""
    head = "".join(f"<th>{escape(c.title)}</th>" for c in cards)
    rows = []
    for name in cards[0].classes:
        values = [c.tables.get("iou", {}).get(name) for c in cards]
        cells = "".join(f"<td class='num'>{'not there' if v is None else f'{100 * v:.1f} %'}</td>" for v in values)
        rows.append(f"<tr><td>{escape(name)}</td>{cells}</tr>")
    mean = "".join(f"<td class='num'><b>{c.metrics[0].value:.1f} %</b></td>" for c in cards)
    rows.append(f"<tr><td><b>mean</b></td>{mean}</tr>")
    body = f"<thead><tr><th>intersection over union</th>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
    m = cards[0].metrics[0]
    return (
        f"<div class='lab-scroll' tabindex='0'><table class='lab-table scores'>{body}</table></div><p class='lab-lead'>"
        f"{escape(m.split)}, {m.n} pictures, single-scale. Of the pixels that are a class or are taken for it, the "
        "share where both are true. Thin and rare things are hard: one pixel beside a pole's edge is a third of it.</p>"
    )


def confusion_html(shown: weights.Card) -> str:
    """Of each true class the share taken for each class, as a table of colours."""
    matrix, names = shown.tables.get("confusion"), shown.classes
    if not matrix:
        return ""
    head = "".join(f"<th scope='col'>{escape(n)}</th>" for n in names)
    rows = []
    for name, row in zip(names, matrix, strict=True):
        total = sum(row) or 1
        cells = "".join(
            f"<td style='background:color-mix(in srgb, var(--lab-accent) {100 * (v / total) ** 0.6:.0f}%, transparent);"
            f"color:{'white' if v / total > 0.55 else 'inherit'}'>"
            f"{f'{100 * v / total:.0f}' if v / total >= 0.005 else ''}</td>"
            for v in row
        )
        rows.append(f"<tr><th scope='row'>{escape(name)}</th>{cells}</tr>")
    body = f"<thead><tr><td></td>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return (
        "<h3>What is taken for what</h3><p class='lab-lead'>Rows: what the pixels are; columns: what the network says, "
        f"in per cent of the row. {escape(shown.title)}.</p>"
        f"<div class='lab-scroll' tabindex='0'><table class='confusion'>{body}</table></div>"
    )


def build_score() -> None:
    cards = []
    for _, name in segmenters.choices():
        try:
            cards.append(weights.read_card(name))
        except weights.WeightsError as error:
            gr.HTML(f"<p class='lab-lead'>{escape(str(error))}</p>")
    if not cards:
        return
    curves = {
        "from ImageNet" if c.name == "segmentation" else "random": [
            (p["step"], 100 * p["val_mIoU"]) for p in c.curve if "val_mIoU" in p
        ]
        for c in cards
    }
    svg = card.learning_curves(curves, "training step", "validation mIoU, %")
    gr.HTML(
        f"{scores_html(cards)}<div class='lab-scroll' tabindex='0'>{svg}</div>{confusion_html(cards[0])}",
        css_template=(HERE / "segmentation_score.css").read_text(encoding="utf-8"),
    )
    for shown in cards[1:]:  # the first one's card stands below the tab
        gr.Markdown(f"#### {escape(shown.title)}")
        card.show_card(shown.name)
