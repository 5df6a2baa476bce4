"""Live segmentation: the page shows its camera and asks for classes, frame by frame; nothing is kept of a visitor.

The widget (live_camera.* with live_segmentation.*) calls two server functions: `prepare_segmenter` once,
`segment_frame` for as many frames as the server can take.
"""

from typing import Any

from tasks import compute
from tasks.images import png_bytes
from tasks.tabs import detectors, segmenters
from tasks.tabs.errors import answering_json
from tasks.tabs.live_camera import decode_frame, live_camera, token_of
from tasks.tabs.segmentation_pictures import url


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
    token = token_of(request)
    model = segmenters.segmenter()
    try:
        with detectors.TURNS.turn(token):
            rgb = decode_frame(request.get("jpeg"))
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
    live_camera(
        "segmentation", "Classes over the camera's picture", "segmentations", [prepare_segmenter, segment_frame]
    )
