"""Digits: a drawing pad with live prediction, attribution and feature maps.

The pad (digits.html, .css, .js) calls `read_drawing` on every stroke and `look_inside` when the pen
rests. An uploaded image goes through a gradio event.
"""

from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from tasks import loaders
from tasks.core import device, weights
from tasks.core.device import stopwatch
from tasks.core.images import ImageError, ImageLike
from tasks.ui import model_card
from tasks.ui.endpoint import endpoint
from tasks.ui.errors import report_errors, return_errors
from tasks.ui.image_input import decode_drawing, image_input, photo_input
from tasks.ui.page.figures import flow
from tasks.ui.page.lead import lead
from tasks.ui.widget import DRAWING_PAD, decode_base64, encode_base64, widget

TELL_PAD = "(r) => { document.dispatchEvent(new CustomEvent('digit-read', {detail: r})); }"
TELL_PAD_OF_ERROR = (
    "() => { document.dispatchEvent(new CustomEvent('digit-read', "
    "{detail: {error: 'No prediction here; the message says why.'}})); }"
)
LEAD = lead(
    "Draw a digit; the prediction follows your pen.",
    "A convolutional network applies small filters in three stages and predicts ten probabilities, "
    "one for each digit.",
    flow(
        "digit:28 x 28 pixels",
        "maps:16 maps",
        "maps:40 maps",
        "maps:80 maps",
        "bars:ten probabilities",
    ),
)


@return_errors
def read_drawing(data_url: str) -> dict[str, Any]:
    """A PNG as data URL -> {"probabilities", "digit", "ms", "device"} or {"error"}.

    At 0 degrees only, as the pen may be moving; `look_inside` averages all angles.
    """
    return _read(decode_drawing(data_url), upright=True)


@return_errors
def look_inside(digit: str) -> dict[str, Any]:
    """A digit from `read_drawing` (base64 of 28x28 bytes) -> feature maps and attributions.

    `probabilities`, `ms`: averaged over all angles, as the card's scores are. `labels`: the top
    two. `why`: the attribution of each (base64 of bytes), 128 = none, above = for, below = against.
    """
    try:
        pixels = np.frombuffer(decode_base64(digit), np.uint8).reshape(28, 28)
    except (ValueError, ImageError) as error:
        raise ImageError(
            "28 x 28 bytes in base64 are needed, as read_drawing returns them."
        ) from error
    classifier = loaders.digit_classifier()
    answer = _answer(pixels)
    labels = [
        int(label) for label in np.argsort(-np.array(answer["probabilities"]), kind="stable")[:2]
    ]
    saliency = classifier.explain(pixels, labels)
    scale = float(np.percentile(np.abs(saliency), 99.7)) or 1.0
    signed = (128 + 127 * np.clip(saliency / scale, -1, 1)).round().astype(np.uint8)
    stages = []
    for name, maps in classifier.feature_maps(pixels).items():
        top = float(np.percentile(maps, 99.7)) or 1.0
        data = encode_base64((255 * np.clip(maps / top, 0, 1)).astype(np.uint8))
        stages.append({"name": name, "count": maps.shape[0], "side": maps.shape[1], "data": data})
    return answer | {"labels": labels, "why": [encode_base64(s) for s in signed], "stages": stages}


@return_errors
def stage_kernels(_: object = None) -> list[str]:
    """The kernels of each stage's maps: base64 of bytes (C, 3, 3), 128 = no weight."""
    encoded = []
    for kernels in loaders.digit_classifier().kernels().values():
        scale = np.abs(kernels).max((1, 2), keepdims=True)
        encoded.append(encode_base64((128 + 127 * kernels / scale).round().astype(np.uint8)))
    return encoded


def read_image(image: ImageLike) -> dict[str, Any] | None:
    """A photo of a digit, read as a drawing is; None for no image."""
    return _read(image) if image is not None else None


def classify_digit(picture: ImageLike) -> dict[str, float]:
    """Read one handwritten digit.

    Args:
        picture: a drawing or photo of one digit, dark on light or light on dark; PNG, JPEG, WebP,
            GIF, BMP, TIFF, HEIC or AVIF.
    Returns:
        {"0": probability, ..., "9": probability}.
    """
    return loaders.digit_classifier().classify(picture)


def _read(image: ImageLike, upright: bool = False) -> dict[str, Any]:
    from tasks.core import digit_preprocessing  # OpenCV: 0.3 s that the page need not wait for

    return _answer(digit_preprocessing.extract_digit(image), upright)


def _answer(digit: np.ndarray, upright: bool = False) -> dict[str, Any]:
    classifier = loaders.digit_classifier()
    with stopwatch() as ms:
        probabilities = classifier.classify_batch(digit[None], upright)[0]
    return {
        # significant digits: rounded to 5 places, runners-up would tie
        "probabilities": [float(f"{p:.6g}") for p in probabilities],
        "digit": encode_base64(digit),
        "ms": round(ms(), 2),
        "device": device.name(),
    }


def build_digits() -> None:
    gr.HTML(LEAD)
    widget(
        DRAWING_PAD,
        (Path(__file__).parent, "digits"),
        elem_id="digit-pad",
        functions=[read_drawing, look_inside, stage_kernels],
    )
    with gr.Accordion(
        "Or an image: upload, paste, or hold a digit on paper to the camera",
        open=False,
        elem_id="digit-picture-fold",
    ):
        image = photo_input("A digit on paper", (), elem_id="digit-picture", height=280)
        gr.HTML(
            "<p class='lab-lead'>One digit, any pen, plain, ruled or squared paper; the answer "
            "appears above.</p>"
        )
    reading = gr.JSON(visible=False)
    read = image.change(
        report_errors(read_image), image, reading, api_visibility="private", show_progress="minimal"
    )
    read.success(None, reading, js=TELL_PAD, api_visibility="private")
    # `reading` still holds the last answer
    read.failure(None, None, js=TELL_PAD_OF_ERROR, api_visibility="private")
    _api()
    shown = model_card.show_card("digits")
    if shown is not None and {"confusion", "hardest", "variants"} <= shown.tables.keys():
        with gr.Accordion(
            "Errors: confusion matrix, hardest digits, accuracy by pen and paper", open=False
        ):
            gr.HTML(errors_html(shown))


def _api() -> None:
    """The public endpoint, /classify_digit, on hidden components."""
    sent = image_input(visible=False, label="picture")
    answer = gr.JSON(visible=False, label="probabilities")
    endpoint(classify_digit, [sent], answer)


def errors_html(shown: weights.Card) -> str:
    """Confusion matrix, hardest digits and accuracy by kind of image, from the card."""
    matrix = np.array(shown.tables["confusion"])
    wrong = matrix - np.diag(np.diag(matrix))
    worst = max(int(wrong.max()), 1)
    head = "".join(f"<th>{d}</th>" for d in range(10))
    rows = []
    for truth in range(10):
        cells = []
        for read in range(10):
            n = int(matrix[truth, read])
            colour = "var(--lab-accent)" if truth == read else "var(--lab-second)"
            share = 30 if truth == read else round(85 * n / worst)
            style = (
                f" style='background:color-mix(in srgb,{colour} {share}%,transparent)'" if n else ""
            )
            cells.append(f"<td class='num'{style}>{n or ''}</td>")
        rows.append(f"<tr><th>{truth}</th>{''.join(cells)}</tr>")
    facts = "".join(f"<li>{escape(fact)}</li>" for fact in shown.tables["hardest"])
    kinds = "".join(
        f"<tr><td>{escape(k)}</td><td class='num'>{v:.2f} %</td></tr>"
        for k, v in shown.tables["variants"].items()
    )
    return (
        "<div class='lab-card'><p class='lab-lead'>Test digits; rows: true digit, columns: "
        "predicted digit.</p><div class='lab-scroll' tabindex='0'><table class='confusion'>"
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
        f"<ul class='lab-lead'>{facts}</ul><p class='lab-lead'>Accuracy on the same test digits, "
        f"redrawn and photographed:</p><table><tbody>{kinds}</tbody></table></div>"
    )
