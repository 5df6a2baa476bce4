"""The discriminator's side: draw a digit and see whether it passes for one that people wrote."""

from typing import Any

import gradio as gr
import numpy as np

from tasks import compute, weights
from tasks.tabs import generators, models
from tasks.tabs.errors import answering_json
from tasks.tabs.generators import class_of
from tasks.tabs.picture import decode_drawing
from tasks.tabs.widget import to_base64, widget

OPTIONS = "<option value=''>what the classifier reads</option>" + "".join(f"<option>{d}</option>" for d in range(10))


@answering_json
def judge_drawing(drawing: dict[str, Any]) -> dict[str, Any]:
    """What the discriminator says of a drawing.

    drawing: {"png": data URL, "label": "0" to "9", or "" for the class that the digit classifier reads}.
    Returns {"digit": base64, "label", "score", "above_real", "above_made": shares that score lower, "ms"}.
    """
    from tasks import ink

    generator = generators.gan()
    url, label = (drawing.get("png"), drawing.get("label")) if isinstance(drawing, dict) else (None, None)
    digit = ink.find_digit(decode_drawing(url))
    read = int(models.digit_classifier().classify_batch(digit[None], True)[0].argmax()) if label in (None, "") else None
    label = class_of(generator, label) if read is None else read
    return judged(generator, digit, label)


@answering_json
def judge_made(asked: dict[str, Any]) -> dict[str, Any]:
    """The same for a digit that the GAN makes: {"seed", "label"} -> as `judge_drawing`."""
    generator = generators.gan()
    seed = generators.whole(asked.get("seed") if isinstance(asked, dict) else None, "The seed")
    label = (
        int(generator.labels(1, seed)[0]) if asked.get("label") in (None, "") else class_of(generator, asked["label"])
    )
    return judged(generator, generator.generate(1, seed, label)[0], label)


def judged(generator: Any, digit: np.ndarray, label: int) -> dict[str, Any]:
    with compute.stopwatch() as ms:
        score = float(generator.realness(digit[None], label)[0])
    known = generator.card.tables.get("scores", {})
    return {"digit": to_base64(digit), "label": label, "score": round(score, 4), "ms": round(ms(), 2),
            "above_real": share_below(known.get("real"), score),
            "above_made": share_below(known.get("made"), score)}  # fmt: skip


def share_below(quantiles: list[float] | None, score: float) -> float | None:
    """Share of the values that lie below, by their quantiles of 0, 5, ... 100 %; None where they are not known."""
    if not quantiles:
        return None
    return round(float(np.interp(score, quantiles, np.linspace(0, 1, len(quantiles)))), 3)


def build_judge() -> None:
    gr.HTML(
        "<p class='lab-lead'>While the generator learnt to draw, the discriminator learnt to tell its digits from "
        "those that people wrote. Draw one and try to be called real; it judges digit and class together, so a 3 that "
        "is said to be an 8 is a fake too.</p>"
    )
    widget("gan_judge", [judge_drawing, judge_made], classes=OPTIONS, known=known_scores())


def known_scores() -> str:
    """How the discriminator fares, from the card; empty without one."""
    try:
        scores = weights.read_card("gan").tables["scores"]
        real, made = scores["real"][10], scores["made"][10]
    except (weights.WeightsError, KeyError, IndexError):
        return ""
    return (
        f"For comparison: half of the test digits that people wrote score above {100 * real:.0f} %, half of the GAN’s "
        f"own above {100 * made:.0f} %. Near 50 % for both, it cannot tell them apart, which is where training aims."
    )
