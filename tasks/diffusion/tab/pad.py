"""A pad of the network's size: an image that is drawn, generated or uploaded.

The widget (diffusion_pad.html, .css, .js) draws, hides, reduces and adds noise in the page. Its
value is a dict, which `image_of`, `mask_of`, `small_of` and `noisy_of` check.
"""

import json
import re
import secrets
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from tasks import loaders
from tasks.core import scheduling
from tasks.core.device import stopwatch
from tasks.core.images import ImageError
from tasks.ui.errors import return_errors
from tasks.ui.image_input import check_drawing_size
from tasks.ui.widget import DRAWING_PAD, decode_base64, encode_base64, widget

SHAPES = {"mnist": (28, 1), "cifar10": (32, 3)}  # side, channels
MAX_UPLOAD = 2_000_000  # characters of a data URL; the page sends at most 640 px
URL = re.compile("data:image/(jpeg|png);base64,")
UNIT = 4096  # the page's int16 to the unit
STEPS = 10


@return_errors
def make_picture(request: dict[str, Any]) -> dict[str, Any]:
    """A random image from the network: {"picture": base64 of bytes, "said"}."""
    from tasks.core.images import to_uint8

    generator = loaders.diffusion_generator(model_of(request))
    label = secrets.randbelow(len(generator.classes))
    with scheduling.CORES.step(patient=False), stopwatch() as ms:
        *_, last = generator.steps(1, secrets.randbelow(1_000_000), label, n_steps=STEPS)
    said = f"Generated: {generator.classes[label]}, {STEPS} steps in {ms():.0f} ms."
    return {"picture": encode_base64(to_uint8(last.x_t)[0]), "said": said}


@return_errors
def fit_picture(request: dict[str, Any]) -> dict[str, Any]:
    """An uploaded image at the network's size.

    Args:
        request: "model", and "picture", a JPEG or PNG data URL.
    Returns:
        {"picture": base64 of bytes, "said"}.
    """
    from tasks.core import images

    name, url = model_of(request), request.get("picture")
    if not isinstance(url, str) or len(url) > MAX_UPLOAD or (head := URL.match(url)) is None:
        raise ImageError(
            f"An image is needed as a JPEG or PNG data URL of at most {MAX_UPLOAD:,} characters."
        )
    data = check_drawing_size(decode_base64(url[head.end() :]))
    if name == "mnist":
        from tasks.core import digit_preprocessing

        return {
            "picture": encode_base64(digit_preprocessing.extract_digit(data)),
            "said": "The digit is scaled and centred as in MNIST.",
        }
    import cv2

    rgb = np.asarray(images.to_rgb(data))
    side = min(rgb.shape[:2])
    top, left = (rgb.shape[0] - side) // 2, (rgb.shape[1] - side) // 2
    square = np.ascontiguousarray(rgb[top : top + side, left : left + side])
    small = cv2.resize(square, (SHAPES[name][0],) * 2, interpolation=cv2.INTER_AREA)
    return {"picture": encode_base64(small), "said": "Its central square, at 32 × 32 px."}


def image_of(value: Any) -> tuple[str, np.ndarray]:
    """(model, uint8 (H, W) or (H, W, 3)) of a pad's value. Raises ImageError."""
    name = model_of(value)
    side, channels = SHAPES[name]
    if not value.get("drawn"):
        raise ImageError("The pad is empty. Draw something, press Sample, or upload an image.")
    shape = (side, side) if channels == 1 else (side, side, channels)
    return name, _array(value.get("picture"), np.uint8, shape)


def mask_of(value: Any) -> np.ndarray:
    """bool (H, W), True where something is hidden. Raises ImageError."""
    side, _ = SHAPES[model_of(value)]
    return _array(value.get("mask"), np.uint8, (side, side)) > 0


def small_of(value: Any) -> np.ndarray:
    """uint8 (h, w) or (h, w, 3), the mean of each square of the pad's image. Raises ImageError."""
    side, channels = SHAPES[model_of(value)]
    times = value.get("times")
    if times not in (2, 4):
        raise ImageError(f"The small image is 1/2 or 1/4 as wide; 1/{str(times)[:10]} came.")
    h = side // times
    return _array(value.get("small"), np.uint8, (h, h) if channels == 1 else (h, h, channels))


def noisy_of(value: Any) -> tuple[np.ndarray, int]:
    """(x_t float32 (H, W, C), t) of a forward pad. Raises ImageError."""
    side, channels = SHAPES[model_of(value)]
    noisy = _array(value.get("noisy"), np.int16, (side, side, channels))
    return noisy.astype(np.float32) / UNIT, value.get("t")


def pad(mode: str, elem_id: str, data_sets: dict[str, str]) -> gr.HTML:
    """A pad; `mode`: "forward", "inpaint" or "small"; `data_sets`: title -> model."""
    offered = [
        {"name": name, "title": title, "side": SHAPES[name][0], "channels": SHAPES[name][1]}
        for title, name in data_sets.items()
    ]
    return widget(
        DRAWING_PAD,
        (Path(__file__).parent, "pad"),
        elem_id=elem_id,
        functions=[make_picture, fit_picture],
        marks={"mode": mode, "models": escape(json.dumps(offered), quote=True)},
    )


def model_of(value: Any) -> str:
    """The model of a pad's value, or of a request. Raises ImageError."""
    name = value.get("model") if isinstance(value, dict) else None
    if not isinstance(name, str) or name not in SHAPES:
        raise ImageError("The pad is empty. Draw something, press Sample, or upload an image.")
    return name


def _array(text: Any, dtype: type, shape: tuple[int, ...]) -> np.ndarray:
    data = decode_base64(text)
    if len(data) != int(np.prod(shape)) * np.dtype(dtype).itemsize:
        raise ImageError(f"The pad's image has another size than {' x '.join(map(str, shape))}.")
    return np.frombuffer(data, dtype).reshape(shape).copy()
