"""Live segmentation: the page shows its camera and asks for classes, frame by frame; nothing is kept of a visitor.

The widget (live_segmentation.html and .js, with the look of live_detection.css) calls two server functions:
`prepare_segmenter` once, `segment_frame` for as many frames as the server can take.
"""

import re
from pathlib import Path
from typing import Any

import gradio as gr

from tasks import compute
from tasks.images import ImageError, png_bytes
from tasks.tabs import detectors, segmenters
from tasks.tabs.detection_live import _decode_frame
from tasks.tabs.errors import answering_json
from tasks.tabs.segmentation_pictures import url

HERE = Path(__file__).parent
CSS = """
.kinds { list-style: none; margin: 0; padding: 0; columns: 1; }
.kinds li { margin: 0; padding: .12rem 0; }
.kinds label { display: flex !important; gap: .5rem; align-items: center; cursor: pointer; }
.kinds em { margin-left: auto; font-style: normal; font-variant-numeric: tabular-nums;
  color: var(--body-text-color-subdued); }
.kinds input { appearance: none; width: 1rem; height: 1rem; margin: 0; border-radius: 3px; border: 2px solid var(--c); }
.kinds input:checked { background: var(--c); }
"""


@answering_json
def prepare_segmenter(name: str) -> dict[str, Any]:
    """Load a network: its classes' names and colours, or {"error"}."""
    import numpy as np

    model = segmenters.segmenter(name)
    model.look(np.zeros((360, 480, 3), np.uint8), flip=False, entropy=False)  # a first pass compiles
    colours = ["#{:02x}{:02x}{:02x}".format(*colour) for colour in model.palette.tolist()]
    return {"names": list(model.class_names), "colours": colours, "engine": model.engine.title}


@answering_json
def segment_frame(request: dict[str, Any]) -> dict[str, Any]:
    """One frame of a camera.

    Args:
        request: "jpeg" (data URL), "visitor" (32 hex digits).
    Returns:
        {"mask": data URL of a grey PNG of the frame's size whose values are class ids, "shares" of the classes, "ms"},
        or {"busy": True} at once where the server has enough to do, or {"error"}.
    """
    if not isinstance(request, dict):
        raise ImageError("A frame is needed, as the page sends it.")
    token = request.get("visitor")
    if not isinstance(token, str) or not re.fullmatch("[0-9a-f]{32}", token):
        raise ImageError("The page's token is needed: 32 hexadecimal digits.")
    model = segmenters.segmenter()
    try:
        with detectors.TURNS.turn(token):
            rgb = _decode_frame(request.get("jpeg"))
            with compute.stopwatch() as ms:
                scene = model.look(rgb, flip=False, entropy=False)
    except compute.BusyError:
        return {"busy": True}
    shares = scene.shares()
    return {
        "mask": url(png_bytes(scene.class_id)),
        "shares": [round(shares[name], 4) for name in scene.class_names],
        "ms": round(ms(), 2),
    }


def build_live() -> None:
    gr.HTML(
        html_template=(HERE / "live_segmentation.html").read_text(encoding="utf-8"),
        css_template=(HERE / "live_detection.css").read_text(encoding="utf-8") + CSS,
        js_on_load=(HERE / "live_segmentation.js").read_text(encoding="utf-8"),
        server_functions=[prepare_segmenter, segment_frame],
        elem_id="live-segmentation",
    )
