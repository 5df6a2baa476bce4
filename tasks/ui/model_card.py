"""A model's card in the page: scores, data, recipe and learning curve, folded under the result."""

from collections.abc import Mapping, Sequence
from html import escape

import gradio as gr

from tasks.core import weights
from tasks.ui.charts import Axis, Point, Series, chart


def show_card(name: str, title: str = "") -> weights.Card | None:
    """A folded panel with the card; returns the card, None where it is missing or damaged.

    `title` distinguishes the cards of a tab with several models.
    """
    with gr.Accordion(f"Model card: {title}" if title else "Model card", open=False):
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
        f"<tr><td>{escape(str(m.name))}</td>"
        f"<td class='num'>{m.value:.2f} {escape(str(m.unit))}</td>"
        f"<td>{escape(str(m.split))}, n = {m.n:,}</td><td>{escape(str(m.conditions))}</td></tr>"
        for m in card.metrics
    )
    data, training = card.data, card.training
    facts = {
        "Network": f"{card.architecture}; {card.parameters:,} parameters",
        "Data": f"{data['name']}, {data['licence']}; {data['n']}; held out: {data['held_out']}",
        "Recipe": (
            f"{training['minutes']:.0f} minutes on {training['hardware']}, seed {training['seed']}"
        ),
        "Command": training["command"],
        "Chosen on": card.selected_on or "not recorded",
        "Test set read": card.test_reads or "not recorded",
        "Paper": card.paper,
        "Limits": card.limits,
    }
    listed = "".join(f"<dt>{k}</dt><dd>{escape(str(v))}</dd>" for k, v in facts.items())
    score = next(
        (key for key in (card.curve[-1] if card.curve else ()) if key.startswith("val_")),
        "val_accuracy",
    )
    curves = [Series("this network", _score_points(card.curve, score))]
    if "textbook" in card.tables:
        curves.append(Series("textbook", _score_points(card.tables["textbook"]["curve"], score)))
    name = f"validation {score.removeprefix('val_')}{'' if score == 'val_loss' else ', %'}"
    curve = chart(curves, Axis("training step"), Axis(name))
    return (
        "<div class='lab-card'><div class='lab-scroll' tabindex='0'>"
        "<table><thead><tr><th>score</th><th>value</th><th>on</th>"
        f"<th>conditions</th></tr></thead><tbody>{metrics}</tbody></table></div><dl>{listed}</dl>"
        f"{curve}</div>"
    )


def _score_points(curve: Sequence[Mapping[str, float]], score: str) -> list[Point]:
    return [
        (p["step"], (1 if score == "val_loss" else 100) * p[score]) for p in curve if score in p
    ]
