"""All model cards, grouped by task: each row opens its card."""

from collections.abc import Sequence
from html import escape

import gradio as gr

from tasks.core import weights
from tasks.ui import model_card

TITLE = "About"
TASKS = {
    "classification": ("Classification", "classification"),
    "detection": ("Detection", "detection"),
    "segmentation": ("Segmentation", "segmentation"),
    "denoising": ("Denoising", "denoising"),
    "enhancement": ("Super-resolution and JPEG", "denoising/enhance-enlarge"),
    "gan": ("GAN", "gan"),
    "diffusion": ("Diffusion", "diffusion"),
    "text_to_image": ("Text to image", "text-to-image"),
    "generation": ("Generation, to compare with", "compare"),
    "evaluation": ("Evaluation of generated images", "compare"),
}
"""A card's task -> its title here, and the link to where its models work; in the page's order."""


def row_html(card: weights.Card) -> str:
    """A line of figures that folds out into the card."""
    figures = (
        escape(card.headline),
        f"{card.parameters:,} parameters",
        f"{card.bytes / 1e6:.1f} MB",
        escape(str(card.data["name"])),
        f"{card.training['minutes']:.0f} min of training",
    )
    return (
        f"<details class='lab-row'><summary><b>{escape(card.title)}</b> "
        f"<span>{' · '.join(figures)}</span></summary>{model_card.card_html(card)}</details>"
    )


def groups_html(cards: Sequence[weights.Card]) -> str:
    """The cards by task, each group with a link to its tab."""
    tasks = [*TASKS, *sorted({card.task for card in cards} - TASKS.keys())]
    html = ""
    for task in tasks:
        title, link = TASKS.get(task, (task, ""))
        mine = sorted((card for card in cards if card.task == task), key=lambda card: card.title)
        if mine:
            to = f" <a href='#{link}'>Open its tab →</a>" if link else ""
            html += f"<h2 class='lab-task'>{escape(title)}{to}</h2>{''.join(map(row_html, mine))}"
    return html


def build_tab() -> None:
    gr.HTML(
        "<p class='lab-lead'>The models of this page. A row opens its card: data, scores, limits, "
        "and the command that trains and measures the model again.</p>"
        f"{groups_html(weights.all_cards())}"
        "<p class='lab-lead'>The code is free software under the GNU Affero General Public "
        "License, version 3.</p>"
    )
