"""Digits: a drawing pad whose reading follows the pen, and the way to that reading laid open.

The pad (digit_pad.html, .css, .js) calls two server functions: `read_drawing` on every stroke, `look_inside` when the
pen rests. A picture takes the same way through a gradio event.
"""

import base64
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from tasks import compute, weights
from tasks.images import ImageError, ImageLike
from tasks.tabs import card, models
from tasks.tabs.errors import answering, answering_json
from tasks.tabs.picture import decode_drawing, photo_input, picture_input

HERE = Path(__file__).parent

TELL_PAD = "(r) => { document.dispatchEvent(new CustomEvent('digit-read', {detail: r})); }"
TELL_PAD_OF_ERROR = (
    "() => { document.dispatchEvent(new CustomEvent('digit-read', "
    "{detail: {error: 'This one was not read; the message says why.'}})); }"
)
LEAD = (
    "<p class='lab-lead'>A convolutional network slides small filters over the picture, stage after stage, until ten "
    "numbers are left: one for each digit. Draw, and everything below follows your pen.</p>"
)


@answering_json
def read_drawing(data_url: str) -> dict[str, Any]:
    """The pad's picture, a PNG as data URL -> {"probabilities", "digit", "ms", "device"} or {"error"}.

    Read upright only, as the pen may be moving; `look_inside` has the careful reading.
    """
    return _read(decode_drawing(data_url), upright=True)


@answering_json
def look_inside(digit: str) -> dict[str, Any]:
    """A digit as `read_drawing` gave it (base64 of 28x28 bytes) -> feature maps and saliency, base64 of bytes.

    `probabilities`, `ms`: read at every angle, as the card's scores are. `labels`: the answer and the runner-up. `why`:
    for each of them, 128 = the pixel said nothing, above = for, below = against.
    """
    try:
        pixels = np.frombuffer(base64.b64decode(digit, validate=True), np.uint8).reshape(28, 28)
    except (ValueError, TypeError) as error:  # binascii.Error is a ValueError
        raise ImageError("28 x 28 bytes in base64 are needed, as read_drawing returns them.") from error
    classifier = models.digit_classifier()
    answer = _answer(pixels)
    labels = [int(label) for label in np.argsort(-np.array(answer["probabilities"]), kind="stable")[:2]]
    saliency = classifier.explain(pixels, labels)
    scale = float(np.percentile(np.abs(saliency), 99.7)) or 1.0
    signed = (128 + 127 * np.clip(saliency / scale, -1, 1)).round().astype(np.uint8)
    stages = []
    for name, maps in classifier.feature_maps(pixels).items():
        top = float(np.percentile(maps, 99.7)) or 1.0
        data = _base64((255 * np.clip(maps / top, 0, 1)).astype(np.uint8))
        stages.append({"name": name, "count": maps.shape[0], "side": maps.shape[1], "data": data})
    return answer | {"labels": labels, "why": [_base64(s) for s in signed], "stages": stages}


def read_picture(picture: ImageLike) -> dict[str, Any] | None:
    """A photo of a digit, read as a drawing is; None for no picture."""
    return _read(picture) if picture is not None else None


def classify_digit(picture: ImageLike) -> dict[str, float]:
    """Read one handwritten digit.

    Args:
        picture: a drawing or photo of one digit, dark on light or light on dark; PNG, JPEG, WebP, GIF, BMP or TIFF.
    Returns:
        {"0": probability, ..., "9": probability}.
    """
    return models.digit_classifier().classify(picture)


def _read(picture: ImageLike, upright: bool = False) -> dict[str, Any]:
    from tasks import ink  # OpenCV: 0.3 s that the page need not wait for

    return _answer(ink.find_digit(picture), upright)


def _answer(digit: np.ndarray, upright: bool = False) -> dict[str, Any]:
    classifier = models.digit_classifier()
    with compute.stopwatch() as ms:
        probabilities = classifier.classify_batch(digit[None], upright)[0]
    return {
        "probabilities": [float(f"{p:.6g}") for p in probabilities],  # rounded to 5 places, runners-up would tie
        "digit": _base64(digit),
        "ms": round(ms(), 2),
        "device": compute.device_name(),
    }


def _base64(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def build_digits() -> None:
    gr.HTML(LEAD)
    gr.HTML(
        html_template=(HERE / "digit_pad.html").read_text(encoding="utf-8"),
        css_template=(HERE / "digit_pad.css").read_text(encoding="utf-8"),
        js_on_load=(HERE / "digit_pad.js").read_text(encoding="utf-8"),
        server_functions=[read_drawing, look_inside],
        elem_id="digit-pad",
    )
    with gr.Accordion("Or a picture: upload, paste, or hold a digit on paper to the camera", open=False,
                      elem_id="digit-picture-fold"):  # fmt: skip
        picture = photo_input("A digit on paper", (), elem_id="digit-picture", height=280)
        gr.HTML("<p class='lab-lead'>One digit, any pen, plain, ruled or squared paper; the answer appears above.</p>")
    reading = gr.JSON(visible=False)
    read = picture.change(answering(read_picture), picture, reading, api_visibility="private", show_progress="minimal")
    read.success(None, reading, js=TELL_PAD, api_visibility="private")
    read.failure(None, None, js=TELL_PAD_OF_ERROR, api_visibility="private")  # `reading` still holds the last answer
    _api()
    shown = card.show_card("digits")
    if shown is not None and {"confusion", "hardest", "variants"} <= shown.tables.keys():
        with gr.Accordion("Where it errs: confusion matrix, hardest digits, pens and papers", open=False):
            gr.HTML(errors_html(shown))


def _api() -> None:
    """The public endpoint, /classify_digit, on hidden components of its own."""
    sent, answer = picture_input(visible=False, label="picture"), gr.JSON(visible=False, label="probabilities")
    gr.Button(visible=False).click(
        answering(classify_digit), sent, answer, api_name="classify_digit", api_description=classify_digit.__doc__
    )


def errors_html(shown: weights.Card) -> str:
    """What the card knows of the network's errors: confusion matrix, statistics, accuracy per kind of picture."""
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
            style = f" style='background:color-mix(in srgb,{colour} {share}%,transparent)'" if n else ""
            cells.append(f"<td class='num'{style}>{n or ''}</td>")
        rows.append(f"<tr><th>{truth}</th>{''.join(cells)}</tr>")
    facts = "".join(f"<li>{escape(fact)}</li>" for fact in shown.tables["hardest"])
    kinds = "".join(
        f"<tr><td>{escape(k)}</td><td class='num'>{v:.2f} %</td></tr>" for k, v in shown.tables["variants"].items()
    )
    return (
        "<div class='lab-card'><p class='lab-lead'>Test digits, rows: what was written, columns: what was read.</p>"
        f"<div class='lab-scroll' tabindex='0'><table class='confusion'><thead><tr><td></td>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div><ul class='lab-lead'>{facts}</ul><p class='lab-lead'>The same "
        f"test digits sent as people would send them:</p><table><tbody>{kinds}</tbody></table></div>"
    )
