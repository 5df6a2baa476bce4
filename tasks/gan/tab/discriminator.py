"""The discriminator's score of a digit that is drawn or generated."""

from typing import Any

import gradio as gr
import numpy as np

from tasks import loaders
from tasks.core import weights
from tasks.core.device import stopwatch
from tasks.gan.tab.widget import widget
from tasks.ui import fields
from tasks.ui.errors import return_errors
from tasks.ui.fields import parse_class
from tasks.ui.image_input import decode_drawing
from tasks.ui.page.figures import flow
from tasks.ui.page.lead import lead
from tasks.ui.widget import encode_base64

OPTIONS = "<option value=''>class by the classifier</option>" + "".join(
    f"<option>{d}</option>" for d in range(10)
)


@return_errors
def score_drawing(drawing: dict[str, Any]) -> dict[str, Any]:
    """The discriminator's score of a drawing.

    Args:
        drawing: {"png": data URL, "label": "0" to "9", or "" for the classifier's prediction}.
    Returns:
        {"digit": base64, "label", "score", "above_real", "above_made": shares below, "ms"}.
    """
    from tasks.core import digit_preprocessing

    generator = loaders.gan_generator()
    url, label = (
        (drawing.get("png"), drawing.get("label")) if isinstance(drawing, dict) else (None, None)
    )
    digit = digit_preprocessing.extract_digit(decode_drawing(url))
    read = (
        int(loaders.digit_classifier().classify_batch(digit[None], True)[0].argmax())
        if label in (None, "")
        else None
    )
    label = parse_class(generator, label) if read is None else read
    return score_digit(generator, digit, label)


@return_errors
def score_generated(asked: dict[str, Any]) -> dict[str, Any]:
    """The same for a generated digit: {"seed", "label"} -> as `score_drawing`."""
    generator = loaders.gan_generator()
    seed = fields.parse_int(asked.get("seed") if isinstance(asked, dict) else None, "The seed")
    label = (
        int(generator.labels(1, seed)[0])
        if asked.get("label") in (None, "")
        else parse_class(generator, asked["label"])
    )
    return score_digit(generator, generator.generate(1, seed, label)[0], label)


def score_digit(generator: Any, digit: np.ndarray, label: int) -> dict[str, Any]:
    with stopwatch() as ms:
        score = float(generator.realness(digit[None], label)[0])
    known = generator.card.tables.get("scores", {})
    return {
        "digit": encode_base64(digit),
        "label": label,
        "score": round(score, 4),
        "ms": round(ms(), 2),
        "above_real": share_below(known.get("real"), score),
        "above_made": share_below(known.get("made"), score),
    }


def share_below(quantiles: list[float] | None, score: float) -> float | None:
    """Share of values below, from their quantiles of 0, 5, ... 100 %; None if unknown."""
    if not quantiles:
        return None
    return round(float(np.interp(score, quantiles, np.linspace(0, 1, len(quantiles)))), 3)


def build_discriminator() -> None:
    gr.HTML(
        lead(
            "Draw a digit and see how real the discriminator takes it to be.",
            "It scores digit and class together: a 3 labelled 8 counts as generated.",
            flow("digit:digit and class", "narrow:discriminator", "bars:how real"),
        )
    )
    widget(
        "discriminator",
        "gan-discriminator",
        [score_drawing, score_generated],
        classes=OPTIONS,
        known=known_scores(),
    )


def known_scores() -> str:
    """Median scores of real and generated digits, from the card; "" without one."""
    try:
        scores = weights.read_card("gan").tables["scores"]
        real, made = scores["real"][10], scores["made"][10]
    except (weights.WeightsError, KeyError, IndexError):
        return ""
    return (
        f"Median scores: {100 * real:.0f} % for real test digits, {100 * made:.0f} % for generated "
        "ones. "
        "At 50 % for both, the discriminator cannot distinguish them, the aim of training."
    )
