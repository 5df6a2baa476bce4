"""The visitor's camera, live: what detection, segmentation and teaching share of widget and server.

The widget is live_camera.html, .css and .js; each tab adds its own, mostly called live. A frame is
decoded, computed and forgotten.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.core.images import ImageError
from tasks.ui.widget import decode_base64, load, widget

if TYPE_CHECKING:
    import numpy as np

HERE = Path(__file__).parent
MAX_FRAME = 600_000  # characters of a frame's data URL; 640 x 480 px have about 60,000
MAX_SIDE = 1280  # px of a frame
JPEG = "data:image/jpeg;base64,"


def live_camera(
    name: str,
    folder: Path,
    over: str,
    rate: str,
    functions: list[Callable[..., Any]],
    parts: Sequence[tuple[Path, str]] = (),
    stem: str = "live",
    **values: str,
) -> None:
    """Put the widget on the page.

    Args:
        name: elem_id is live-<name>.
        folder: with <stem>.html, the controls, <stem>.css, their look, and <stem>.js, the script.
        over: text alternative of the overlay on the camera's image.
        rate: what the server's answers a second are called.
        functions: that the script calls.
        parts: what live.js needs before it, each (folder, stem).
        values: for the marks of the controls.
    """
    widget(
        (HERE, "live_camera"),
        *parts,
        (folder, stem),
        elem_id=f"live-{name}",
        functions=functions,
        marks={
            "over": over,
            "rate": rate,
            "controls": load(folder, stem).html,
            "where": load(HERE / "on_device", "place_of_work").html,
            **values,
        },
    )


def parse_visitor(request: object) -> str:
    """The page's token, 32 hexadecimal digits, by which visitors take turns. Raises ImageError."""
    if not isinstance(request, dict):
        raise ImageError("A frame is needed with its settings, as the page sends them.")
    token = request.get("visitor")
    if not isinstance(token, str) or not re.fullmatch("[0-9a-f]{32}", token):
        raise ImageError("The page's token is needed: 32 hexadecimal digits.")
    return token


def parse_graphics(request: object) -> bool:
    """Whether a page asks for its graphics processor, {"gpu": true or false}. Raises ImageError."""
    gpu = request.get("gpu") if isinstance(request, dict) else None
    if not isinstance(gpu, bool):
        raise ImageError("Whether the browser has WebGPU is needed, as the page sends it.")
    return gpu


def decode_frame(data_url: object) -> "np.ndarray":
    """A JPEG's data URL, sides of 8 to MAX_SIDE px -> uint8 (H, W, 3) RGB. Raises ImageError."""
    from io import BytesIO

    import cv2
    import numpy as np
    from PIL import Image

    if not isinstance(data_url, str) or not data_url.startswith(JPEG) or len(data_url) > MAX_FRAME:
        raise ImageError(
            f"A frame is needed as a JPEG data URL of at most {MAX_FRAME:,} characters."
        )
    try:
        jpeg = decode_base64(data_url[len(JPEG) :])
        with Image.open(BytesIO(jpeg), formats=["JPEG"]) as image:  # reads the header only
            width, height = image.size
    except Exception as error:  # the decoder raises whatever the bytes lead it into
        raise ImageError("The frame is no JPEG that can be read.") from error
    if max(width, height) > MAX_SIDE or min(width, height) < 8:
        raise ImageError(f"A frame has sides of 8 to {MAX_SIDE} px; {width} x {height} came.")
    # OpenCV decodes in half of Pillow's time, but fills up a truncated file
    is_complete = jpeg.rstrip(b"\0").endswith(b"\xff\xd9")
    rgb = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB) if is_complete else None
    if rgb is None:
        raise ImageError("The frame is no JPEG that can be read.")
    return rgb
