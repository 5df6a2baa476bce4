"""Noisy digits: one drawn, drowned in noise and brought back through the autoencoder's code, read before and after."""

import base64
import secrets
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from tasks import compute, images, weights
from tasks.images import ImageError, NoInkError
from tasks.tabs import models, restorers
from tasks.tabs.errors import answering

HERE = Path(__file__).parent
CANVAS = 280  # px
LEAD = (
    "<p class='lab-lead'>An autoencoder squeezes the picture into a small code and draws it again from that alone. "
    "Noise has no room in the code, strokes have. Does the digit reader of the first tab read the same before and "
    "after?</p>"
)
HINT = restorers.said_html("Draw a digit, or have one written.")


def drawn_digit(value: Any) -> np.ndarray | None:
    """A sketchpad's value -> the digit as MNIST has it, uint8 (28, 28); None for an empty pad. Raises ImageError."""
    from tasks import ink  # OpenCV: 0.3 s that the page need not wait for

    composite = value.get("composite") if isinstance(value, dict) else None
    if composite is None:
        return None
    try:
        return ink.find_digit(composite)
    except NoInkError:
        return None


def written_digit(seed: int) -> np.ndarray:
    """A digit in a plotter's hand, leaning a little, dark on white: uint8 (280, 280, 4), as the sketchpad has it."""
    import cv2

    rng = np.random.default_rng(seed)
    page = np.full((CANVAS, CANVAS), 255, np.uint8)
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(page, str(rng.integers(10)), (72, 212), font, 6.4, 0, int(rng.integers(14, 24)), cv2.LINE_AA)
    lean = rng.uniform(-0.25, 0.25)
    matrix = np.array([[1, lean, -lean * CANVAS / 2], [0, 1, 0]], np.float32)
    page = cv2.warpAffine(page, matrix, (CANVAS, CANVAS), borderValue=255)
    return np.dstack([page, page, page, np.full_like(page, 255)])


def bring_back(value: Any, sigma: float, seed: float) -> str:
    """The way through the autoencoder as HTML. Raises ImageError, WeightsError."""
    digit = drawn_digit(value)
    if digit is None:
        return HINT
    from tasks.digit_autoencoder import add_noise
    from tasks.quality import psnr

    if not 0 <= sigma <= 2:
        raise ImageError(f"Noise lies between 0 and 2 here; {sigma:g} came.")
    autoencoder, clean = restorers.autoencoder(), digit.astype(np.float32)[None] / 255
    noisy = add_noise(clean, float(sigma), int(seed or 0))
    with compute.stopwatch() as ms:
        code, back = autoencoder.code(noisy)[0], autoencoder.clean(noisy)
    pictures = [
        ("Drawn", to_uint8(clean[0]), read(digit)),
        (f"With noise of {sigma:g}", to_uint8(noisy[0]), f"{psnr(noisy, clean):.1f} dB, {read(to_uint8(noisy[0]))}"),
        (
            f"The code: {len(code)} maps of 7 x 7",
            mosaic(code),
            f"{code.size} numbers, {(code > 0).mean():.0%} not zero",
        ),
        ("Brought back", to_uint8(back[0]), f"{psnr(back, clean):.1f} dB, {read(to_uint8(back[0]))}"),
    ]
    figures = "".join(figure(title, picture, text) for title, picture, text in pictures)
    return (
        f"<div class='way' aria-live='polite'>{figures}</div><p class='time'>{ms():.1f} ms · "
        f"{escape(compute.device_name())}</p>"
    )


def read(digit: np.ndarray) -> str:
    """What the digit reader says to uint8 (28, 28)."""
    try:
        probabilities = models.digit_classifier().classify_batch(digit[None])[0]
    except weights.WeightsError:
        return "the digit reader's weights are missing"
    return f"read as {int(probabilities.argmax())}, {100 * float(probabilities.max()):.0f} %"


def mosaic(code: np.ndarray) -> np.ndarray:
    """float (8, 7, 7), 0 and up -> its maps in two columns with a gap of one px, uint8 (31, 15)."""
    top = float(code.max()) or 1.0
    rows = len(code) // 2
    out = np.zeros((8 * rows - 1, 15), np.uint8) + 60
    for k, values in enumerate(code[: 2 * rows]):
        y, x = 8 * (k // 2), 8 * (k % 2)
        out[y : y + 7, x : x + 7] = (255 * values / top).round()
    return out


def figure(title: str, picture: np.ndarray, text: str) -> str:
    data = base64.b64encode(images.png_bytes(picture)).decode()
    return (
        f"<figure><img src='data:image/png;base64,{data}' alt='{escape(title)}'><figcaption><b>{escape(title)}</b>"
        f"<span>{escape(text)}</span></figcaption></figure>"
    )


def to_uint8(x: np.ndarray) -> np.ndarray:
    return (x.clip(0, 1) * 255).round().astype(np.uint8)


def write_one() -> dict[str, Any]:
    """A sketchpad's value."""
    page = written_digit(secrets.randbelow(1_000_000))
    return {"background": page, "layers": [], "composite": page}


CSS = """
.way { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: 1rem; }
figure { margin: 0; }
img { width: 100%; aspect-ratio: 1; object-fit: contain; background: #000; image-rendering: pixelated;
  border-radius: 6px; }
figcaption { display: grid; gap: .15rem; padding-top: .4rem; font-size: .9rem; }
figcaption span, .time { color: var(--body-text-color-subdued); font-variant-numeric: tabular-nums; }
.time { margin: .6rem 0 0; font-size: .9rem; }
@media (max-width: 640px) { .way { grid-template-columns: repeat(2, minmax(0, 1fr)); } }
"""


def build_digits() -> None:
    gr.HTML(LEAD)
    with gr.Row():
        with gr.Column(scale=3, min_width=300):
            pad = gr.Sketchpad(
                label="Draw a digit", canvas_size=(CANVAS, CANVAS), height=360, type="numpy", image_mode="RGBA",
                brush=gr.Brush(default_size=22, colors=["#000000"], color_mode="fixed"), layers=False, transforms=(),
                sources=(), elem_id="noisy-digit-pad",
            )  # fmt: skip
            write = gr.Button("Write one for me", elem_id="noisy-digit-write")
        with gr.Column(scale=7, min_width=300):
            with gr.Row():
                sigma = gr.Slider(0, 1.5, 0.4, step=0.05, label="Noise", elem_id="noisy-digit-sigma",
                                  info="1 = the range from paper to ink; trained up to 0.8.")  # fmt: skip
                seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=2**31 - 1, min_width=90, scale=0)
            way = gr.HTML(HINT, css_template=CSS, elem_id="noisy-digit-way")
    write.click(write_one, None, pad, show_progress="hidden", api_visibility="private")
    gr.on(
        [pad.change, sigma.change, seed.change], answering(bring_back), [pad, sigma, seed], way,
        show_progress="hidden", trigger_mode="always_last", api_visibility="private",
    )  # fmt: skip
