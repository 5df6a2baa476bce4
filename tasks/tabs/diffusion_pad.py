"""A pad of the network's own few pixels, and what it hands over: drawn, made by the network, or uploaded.

The widget (diffusion_pad.html, .css, .js) draws, hides, reduces and adds noise in the page. Its value is a dict, which
`picture_of` and its like check before anything is made of it.
"""

import base64
import binascii
import json
import re
import secrets
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from tasks import compute
from tasks.images import ImageError
from tasks.tabs import models
from tasks.tabs.errors import answering_json
from tasks.tabs.picture import of_a_pad

HERE = Path(__file__).parent
SHAPES = {"mnist": (28, 1), "cifar10": (32, 3)}  # side, channels
MAX_UPLOAD = 2_000_000  # characters of a data URL; the page sends at most 640 px
URL = re.compile("data:image/(jpeg|png);base64,")
UNIT = 4096  # the page's int16 to the unit
STEPS = 10


@answering_json
def make_picture(request: dict[str, Any]) -> dict[str, Any]:
    """A picture of any class by the network, another one each time: {"picture": base64 of bytes, "said"}."""
    from tasks.diffusion import to_uint8

    generator = models.diffusion_generator(model_of(request))
    label = secrets.randbelow(len(generator.classes))
    with compute.HEAVY, compute.stopwatch() as ms:
        *_, last = generator.steps(1, secrets.randbelow(1_000_000), label, n_steps=STEPS)
    said = f"Made just now: {generator.classes[label]}, {STEPS} steps in {ms():.0f} ms."
    return {"picture": _base64(to_uint8(last.x_t)[0]), "said": said}


@answering_json
def fit_picture(request: dict[str, Any]) -> dict[str, Any]:
    """An uploaded picture ("picture": JPEG or PNG data URL) at the network's size: {"picture": base64, "said"}."""
    from tasks import images

    name, url = model_of(request), request.get("picture")
    if not isinstance(url, str) or len(url) > MAX_UPLOAD or (head := URL.match(url)) is None:
        raise ImageError(f"A picture is needed as a JPEG or PNG data URL of at most {MAX_UPLOAD:,} characters.")
    data = of_a_pad(_bytes(url[head.end() :]))
    if name == "mnist":
        from tasks import ink

        return {"picture": _base64(ink.find_digit(data)), "said": "The digit was found, fitted and centred."}
    import cv2

    rgb = np.asarray(images.to_rgb(data))
    side = min(rgb.shape[:2])
    top, left = (rgb.shape[0] - side) // 2, (rgb.shape[1] - side) // 2
    square = np.ascontiguousarray(rgb[top : top + side, left : left + side])
    small = cv2.resize(square, (SHAPES[name][0],) * 2, interpolation=cv2.INTER_AREA)
    return {"picture": _base64(small), "said": "Its central square, at 32 × 32 px."}


def picture_of(value: Any) -> tuple[str, np.ndarray]:
    """(model, uint8 (H, W) or (H, W, 3)) of a pad's value. Raises ImageError."""
    name = model_of(value)
    side, channels = SHAPES[name]
    if not value.get("drawn"):
        raise ImageError("The pad is empty. Draw something, press Make one, or upload a picture.")
    shape = (side, side) if channels == 1 else (side, side, channels)
    return name, _array(value.get("picture"), np.uint8, shape)


def mask_of(value: Any) -> np.ndarray:
    """bool (H, W), True where something is hidden. Raises ImageError."""
    side, _ = SHAPES[model_of(value)]
    return _array(value.get("mask"), np.uint8, (side, side)) > 0


def small_of(value: Any) -> np.ndarray:
    """uint8 (h, w) or (h, w, 3), the pad's picture with the mean of each square. Raises ImageError."""
    side, channels = SHAPES[model_of(value)]
    times = value.get("times")
    if times not in (2, 4):
        raise ImageError(f"The small picture is a half or a quarter as wide; 1/{str(times)[:10]} came.")
    h = side // times
    return _array(value.get("small"), np.uint8, (h, h) if channels == 1 else (h, h, channels))


def noisy_of(value: Any) -> tuple[np.ndarray, int]:
    """(x_t float32 (H, W, C), t) of a forward pad. Raises ImageError."""
    side, channels = SHAPES[model_of(value)]
    return _array(value.get("noisy"), np.int16, (side, side, channels)).astype(np.float32) / UNIT, value.get("t")


def pad(mode: str, elem_id: str, data_sets: dict[str, str]) -> gr.HTML:
    """A pad; `mode`: "forward", "inpaint" or "small"; `data_sets`: titles of the models that it may be used with."""
    offered = [
        {"name": name, "title": title, "side": SHAPES[name][0], "channels": SHAPES[name][1]}
        for title, name in data_sets.items()
    ]
    page = (HERE / "diffusion_pad.html").read_text(encoding="utf-8")
    models_json = escape(json.dumps(offered), quote=True)
    return gr.HTML(
        html_template=page.replace('data-mode="forward"', f'data-mode="{mode}" data-models="{models_json}"', 1),
        css_template=(HERE / "diffusion_pad.css").read_text(encoding="utf-8"),
        js_on_load=(HERE / "diffusion_pad.js").read_text(encoding="utf-8"),
        server_functions=[make_picture, fit_picture],
        elem_id=elem_id,
    )


def model_of(value: Any) -> str:
    """The model of a pad's value, or of a request of its own. Raises ImageError."""
    name = value.get("model") if isinstance(value, dict) else None
    if not isinstance(name, str) or name not in SHAPES:
        raise ImageError("The pad is empty. Draw something, press Make one, or upload a picture.")
    return name


def _array(text: Any, dtype: type, shape: tuple[int, ...]) -> np.ndarray:
    data = _bytes(text)
    if len(data) != int(np.prod(shape)) * np.dtype(dtype).itemsize:
        raise ImageError(f"The pad's picture has another size than {' x '.join(map(str, shape))}.")
    return np.frombuffer(data, dtype).reshape(shape).copy()


def _bytes(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise ImageError("The picture came in no valid base64.") from error


def _base64(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
