"""The visitor's camera, live: what detection and segmentation share of widget and server.

The widget is live_camera.html, .css and .js; each tab adds its controls and its script (live_detection.*,
live_segmentation.*). A frame that comes is decoded, looked at and forgotten.
"""

import base64
import re
from collections.abc import Callable
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import gradio as gr

from tasks.images import ImageError

if TYPE_CHECKING:
    import numpy as np

HERE = Path(__file__).parent
MAX_FRAME = 600_000  # characters of a frame's data URL; 640 x 480 px have about 60,000
MAX_SIDE = 1280  # px of a frame
JPEG = "data:image/jpeg;base64,"


def live_camera(name: str, over: str, rate: str, functions: list[Callable[..., Any]], **values: str) -> None:
    """Put the widget on the page.

    Args:
        name: of live_<name>.html, its controls, .css, its look, and .js, its script.
        over: what lies over the camera's picture, for those who do not see it.
        rate: what the server's answers a second are called.
        functions: that the script calls.
        values: for the controls' `$placeholders`.
    """

    def read(file: str) -> str:
        return (HERE / file).read_text(encoding="utf-8")

    controls = Template(read(f"live_{name}.html")).substitute(values)
    gr.HTML(
        html_template=Template(read("live_camera.html")).substitute(over=over, rate=rate, controls=controls),
        css_template=read("live_camera.css") + read(f"live_{name}.css"),
        js_on_load=read("live_camera.js") + read(f"live_{name}.js"),
        server_functions=functions,
        elem_id=f"live-{name}",
    )


def token_of(request: object) -> str:
    """The page's own number, 32 hexadecimal digits, by which visitors take turns. Raises ImageError."""
    if not isinstance(request, dict):
        raise ImageError("A frame is needed with its settings, as the page sends them.")
    token = request.get("visitor")
    if not isinstance(token, str) or not re.fullmatch("[0-9a-f]{32}", token):
        raise ImageError("The page's token is needed: 32 hexadecimal digits.")
    return token


def decode_frame(data_url: object) -> "np.ndarray":
    """A JPEG's data URL, sides of 8 to MAX_SIDE px -> uint8 (H, W, 3) RGB. Raises ImageError."""
    from io import BytesIO

    import cv2
    import numpy as np
    from PIL import Image

    if not isinstance(data_url, str) or not data_url.startswith(JPEG) or len(data_url) > MAX_FRAME:
        raise ImageError(f"A frame is needed as a JPEG data URL of at most {MAX_FRAME:,} characters.")
    try:
        jpeg = base64.b64decode(data_url[len(JPEG) :], validate=True)
        with Image.open(BytesIO(jpeg), formats=["JPEG"]) as image:  # reads the header only
            width, height = image.size
    except Exception as error:  # the decoder raises whatever the bytes lead it into
        raise ImageError("The frame is no JPEG that can be read.") from error
    if max(width, height) > MAX_SIDE or min(width, height) < 8:
        raise ImageError(f"A frame has sides of 8 to {MAX_SIDE} px; {width} x {height} came.")
    # OpenCV decodes in half of Pillow's time, but makes up the rest of a truncated file
    whole = jpeg.rstrip(b"\0").endswith(b"\xff\xd9")
    rgb = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB) if whole else None
    if rgb is None:
        raise ImageError("The frame is no JPEG that can be read.")
    return rgb
