"""Noisy digits: one drawn, drowned in noise and brought back through the autoencoder's code, read before and after.

The pad (noisy_digit.html, .css, .js) calls `bring_back` while the pen moves.
"""

import base64
import math
import secrets
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from tasks import compute, images, weights
from tasks.images import ImageError
from tasks.tabs import models, restorers
from tasks.tabs.errors import answering_json
from tasks.tabs.picture import decode_drawing

HERE = Path(__file__).parent
CANVAS = 280  # px
LEAD = (
    "<p class='lab-lead'>An autoencoder squeezes the picture into a small code and draws it again from that alone. "
    "Noise has no room in the code, strokes have. Does the digit reader of the first tab read the same before and "
    "after?</p>"
)


@answering_json
def bring_back(asked: dict[str, Any]) -> dict[str, Any]:
    """{"drawing": the pad's picture, a PNG as data URL, "sigma", "seed"} -> {"figures", "time"} or {"error"}.

    `figures`: [{"title", "png", "text"}, ...], base64 of PNG files.
    """
    from tasks import ink  # OpenCV: 0.3 s that the page need not wait for

    if not isinstance(asked, dict) or not {"drawing", "sigma", "seed"} <= asked.keys():
        raise ImageError("A drawing, the noise's sigma and its seed are needed.")
    drawing, sigma, seed = asked["drawing"], asked["sigma"], asked["seed"]
    if not isinstance(sigma, int | float) or not 0 <= sigma <= 2:
        raise ImageError(f"Noise lies between 0 and 2 here; {str(sigma)[:20]} came.")
    if not isinstance(seed, int | float) or not math.isfinite(seed) or not 0 <= seed < 2**31:
        raise ImageError("The seed is a whole number from 0 up.")
    figures, ms = the_way(ink.find_digit(decode_drawing(drawing)), float(sigma), int(seed))
    shown = [{"title": title, "png": to_base64(picture), "text": text} for title, picture, text in figures]
    return {"figures": shown, "time": f"{ms:.1f} ms · {compute.device_name()}"}


def the_way(digit: np.ndarray, sigma: float, seed: int) -> tuple[list[tuple[str, np.ndarray, str]], float]:
    """uint8 (28, 28) -> (title, picture, text) of each step of the way; its milliseconds. Raises WeightsError."""
    from tasks.digit_autoencoder import add_noise
    from tasks.quality import psnr

    autoencoder, clean = restorers.autoencoder(), digit.astype(np.float32)[None] / 255
    noisy = add_noise(clean, sigma, seed)
    with compute.stopwatch() as ms:
        code, back = autoencoder.code(noisy)[0], autoencoder.clean(noisy)

    def marked(x: np.ndarray) -> str:
        return f"{min(psnr(x, clean), 99):.1f} dB PSNR, {read(to_uint8(x[0]))}"

    return [
        ("Drawn", digit, read(digit)),
        (f"With noise of {sigma:g}", to_uint8(noisy[0]), marked(noisy)),
        (f"Code: {len(code)} maps of 7 x 7", mosaic(code), f"{code.size} numbers, where the digit has 784"),
        ("Brought back", to_uint8(back[0]), marked(back)),
    ], ms()


def read(digit: np.ndarray) -> str:
    """What the digit reader says to uint8 (28, 28)."""
    try:
        probabilities = models.digit_classifier().classify_batch(digit[None])[0]
    except weights.WeightsError:
        return "the digit reader's weights are missing"
    return f"read as {int(probabilities.argmax())}, {100 * float(probabilities.max()):.0f} %"


def mosaic(code: np.ndarray) -> np.ndarray:
    """float (8, 7, 7) -> its maps, 0 as mid-grey, in rows of three with a gap of one px, uint8 (23, 23)."""
    top = float(np.abs(code).max()) or 1.0
    out = np.full((8 * math.ceil(len(code) / 3) - 1, 23), 60, np.uint8)
    for k, values in enumerate(code):
        y, x = 8 * (k // 3), 8 * (k % 3)
        out[y : y + 7, x : x + 7] = (127.5 * (1 + values / top)).round()
    return out


@answering_json
def write_one(_: object = None) -> dict[str, str]:
    """{"png": a digit in a plotter's hand}."""
    return {"png": to_base64(written_digit(secrets.randbelow(1_000_000)))}


def written_digit(seed: int) -> np.ndarray:
    """A digit in a plotter's hand, leaning a little, dark on white: uint8 (280, 280)."""
    import cv2

    rng = np.random.default_rng(seed)
    page = np.full((CANVAS, CANVAS), 255, np.uint8)
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(page, str(rng.integers(10)), (72, 212), font, 6.4, 0, int(rng.integers(14, 24)), cv2.LINE_AA)
    lean = rng.uniform(-0.25, 0.25)
    matrix = np.array([[1, lean, -lean * CANVAS / 2], [0, 1, 0]], np.float32)
    return cv2.warpAffine(page, matrix, (CANVAS, CANVAS), borderValue=255)


def to_base64(picture: np.ndarray) -> str:
    """uint8 (H, W) -> a PNG."""
    return base64.b64encode(images.png_bytes(picture)).decode()


def to_uint8(x: np.ndarray) -> np.ndarray:
    return (x.clip(0, 1) * 255).round().astype(np.uint8)


def build_digits() -> None:
    gr.HTML(LEAD)
    gr.HTML(
        html_template=(HERE / "noisy_digit.html").read_text(encoding="utf-8"),
        css_template=(HERE / "noisy_digit.css").read_text(encoding="utf-8"),
        js_on_load=(HERE / "noisy_digit.js").read_text(encoding="utf-8"),
        server_functions=[bring_back, write_one],
        elem_id="noisy-digit",
    )
