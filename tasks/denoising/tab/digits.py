"""Noisy digits: a drawing, the same noised and denoised by the autoencoder, its code.

The pad (digits.html, .css, .js) calls `denoise_drawing` while the pen moves.
"""

import math
import secrets
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from tasks import loaders
from tasks.core import device, images, weights
from tasks.core.device import stopwatch
from tasks.core.images import ImageError
from tasks.ui.errors import return_errors
from tasks.ui.image_input import decode_drawing
from tasks.ui.page.figures import flow
from tasks.ui.page.lead import lead
from tasks.ui.widget import DRAWING_PAD, encode_base64, widget

CANVAS = 280  # px
LEAD = lead(
    "A denoising autoencoder compresses a noisy digit to a small code and decodes it again.",
    "Strokes fit into the code, noise does not. The digit classifier's prediction is shown before "
    "and after.",
    flow("digit:noisy digit", "narrow:encoder", "code:code", "wide:decoder", "digit:denoised"),
)


@return_errors
def denoise_drawing(request: dict[str, Any]) -> dict[str, Any]:
    """Noise a drawing and denoise it.

    Args:
        request: {"drawing": a PNG as data URL, "sigma", "seed"}.
    Returns:
        {"figures": [{"title", "png" (base64), "text"}, ...], "time"} or {"error"}.
    """
    from tasks.core import digit_preprocessing  # needs OpenCV: the page is built without it

    if not isinstance(request, dict) or not {"drawing", "sigma", "seed"} <= request.keys():
        raise ImageError("A drawing, the noise's sigma and its seed are needed.")
    drawing, sigma, seed = request["drawing"], request["sigma"], request["seed"]
    if not isinstance(sigma, int | float) or not 0 <= sigma <= 2:
        raise ImageError(f"Noise lies between 0 and 2 here; {str(sigma)[:20]} came.")
    if not isinstance(seed, int | float) or not math.isfinite(seed) or not 0 <= seed < 2**31:
        raise ImageError("The seed is a whole number from 0 up.")
    digit = digit_preprocessing.extract_digit(decode_drawing(drawing))
    figures, ms = noise_and_denoise(digit, float(sigma), int(seed))
    encoded = [
        {"title": title, "png": encode_base64(images.png_bytes(image)), "text": text}
        for title, image, text in figures
    ]
    return {"figures": encoded, "time": f"{ms:.1f} ms · {device.name()}"}


def noise_and_denoise(
    digit: np.ndarray, sigma: float, seed: int
) -> tuple[list[tuple[str, np.ndarray, str]], float]:
    """uint8 (28, 28) -> (title, image, text) of each stage; milliseconds. Raises WeightsError."""
    from tasks.core.image_metrics import psnr
    from tasks.denoising.digit_autoencoder import add_noise

    autoencoder, clean = loaders.digit_autoencoder(), digit.astype(np.float32)[None] / 255
    noisy = add_noise(clean, sigma, seed)
    with stopwatch() as ms:
        code, denoised = autoencoder.code(noisy)[0], autoencoder.clean(noisy)

    def score(x: np.ndarray) -> str:
        return f"{min(psnr(x, clean), 99):.1f} dB PSNR, {prediction(to_uint8(x[0]))}"

    return [
        ("Drawn", digit, prediction(digit)),
        (f"With noise of {sigma:g}", to_uint8(noisy[0]), score(noisy)),
        (
            f"Code: {len(code)} maps of 7 x 7",
            code_mosaic(code),
            f"{code.size} numbers, the image has 784",
        ),
        ("Denoised", to_uint8(denoised[0]), score(denoised)),
    ], ms()


def prediction(digit: np.ndarray) -> str:
    """The digit classifier's prediction for uint8 (28, 28), as text."""
    try:
        probabilities = loaders.digit_classifier().classify_batch(digit[None])[0]
    except weights.WeightsError:
        return "the digit classifier's weights are missing"
    return f"prediction {int(probabilities.argmax())}, {100 * float(probabilities.max()):.0f} %"


def code_mosaic(code: np.ndarray) -> np.ndarray:
    """float (8, 7, 7) -> uint8 (23, 23): rows of three maps, 1 px apart, 0 as mid-grey."""
    top = float(np.abs(code).max()) or 1.0
    out = np.full((8 * math.ceil(len(code) / 3) - 1, 23), 60, np.uint8)
    for k, values in enumerate(code):
        y, x = 8 * (k // 3), 8 * (k % 3)
        out[y : y + 7, x : x + 7] = (127.5 * (1 + values / top)).round()
    return out


@return_errors
def sample_digit(_: object = None) -> dict[str, str]:
    """{"png": a generated digit, base64}."""
    return {"png": encode_base64(images.png_bytes(drawn_digit(secrets.randbelow(1_000_000))))}


def drawn_digit(seed: int) -> np.ndarray:
    """A digit in a plotter's font, slightly slanted, dark on white: uint8 (280, 280)."""
    import cv2

    rng = np.random.default_rng(seed)
    page = np.full((CANVAS, CANVAS), 255, np.uint8)
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(
        page, str(rng.integers(10)), (72, 212), font, 6.4, 0, int(rng.integers(14, 24)), cv2.LINE_AA
    )
    lean = rng.uniform(-0.25, 0.25)
    matrix = np.array([[1, lean, -lean * CANVAS / 2], [0, 1, 0]], np.float32)
    return cv2.warpAffine(page, matrix, (CANVAS, CANVAS), borderValue=255)


def to_uint8(x: np.ndarray) -> np.ndarray:
    return (x.clip(0, 1) * 255).round().astype(np.uint8)


def build_digits() -> None:
    gr.HTML(LEAD)
    widget(
        DRAWING_PAD,
        (Path(__file__).parent, "digits"),
        elem_id="noisy-digit",
        functions=[denoise_drawing, sample_digit],
    )
