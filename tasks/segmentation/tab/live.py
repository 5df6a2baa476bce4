"""Live segmentation: the page sends camera frames and gets class ids; no image is kept.

The widget (live_camera.* with live.*) calls two server functions: `prepare_segmenter`
once, `segment_frame` for as many frames as the server can take.
"""

from pathlib import Path
from typing import Any

from tasks import loaders, models
from tasks.core import scheduling, weights
from tasks.core.device import stopwatch
from tasks.core.images import png_bytes
from tasks.core.palettes import to_hex
from tasks.ui.errors import return_errors
from tasks.ui.live_camera import decode_frame, live_camera, parse_graphics, parse_visitor
from tasks.ui.on_device import runtime
from tasks.ui.on_device.files import ON_DEVICE, device_files, runtime_files
from tasks.ui.widget import data_url

HERE = Path(__file__).parent


@return_errors
def prepare_segmenter(name: str) -> dict[str, Any]:
    """Load a network: its class names and colours, {"loading": True} at once, or {"error"}."""
    key = ("segmenter", str(name)[:40])
    return scheduling.LOADS.poll(key, lambda _: _load_segmenter(name)) or {"loading": True}


def _load_segmenter(name: str) -> dict[str, Any]:
    import numpy as np

    model = loaders.segmenter(name)
    # a first pass compiles
    model.predict(np.zeros((360, 480, 3), np.uint8), flip=False, entropy=False)
    return {
        "names": list(model.class_names),
        "colours": to_hex(model.palette),
        "engine": model.engine.title,
        "no_device": runtime.reason_against(),
        "at_once": runtime.is_here() and _exported().is_file(),
    }


@return_errors
def segmenter_on_device(request: dict[str, Any]) -> dict[str, Any]:
    """Make the network ready for the visitor's own browser: {"loading": True} at once, and the page
    asks again; addresses as of `device_files`; or {"error"}.

    request: {"gpu": whether the browser has WebGPU}.
    """
    gpu = parse_graphics(request)
    key = ("segmenter on device", gpu)
    return scheduling.LOADS.poll(key, lambda report: _export(gpu, report)) or {"loading": True}


def _export(gpu: bool, report: scheduling.Progress) -> dict[str, Any]:
    from tasks.segmentation.engines import to_onnx

    runtime_files(gpu, report)  # first: perhaps it cannot be had
    network: Any = loaders.segmenter("segmentation").network
    return device_files(to_onnx(network, _exported()), HERE / "on_device.js", report, gpu)


def _exported() -> Path:
    """Where the network lies as ONNX, once it was asked for."""
    return (
        models.yolo_cache() / f"segmentation-{weights.read_card('segmentation').sha256[:12]}.onnx"
    )


@return_errors
def segment_frame(request: dict[str, Any]) -> dict[str, Any]:
    """One frame of a camera.

    Args:
        request: "jpeg" (data URL), "visitor" (32 hex digits).
    Returns:
        {"mask": data URL of a grey PNG of the frame's size whose values are class ids, "shares" of
        the classes, "ms"}, {"busy": True} at once where the server is busy, or {"error"}.
    """
    token = parse_visitor(request)
    prepared = {} if loaders.has_segmenter() else prepare_segmenter("segmentation")
    if "loading" in prepared or "error" in prepared:
        return {"busy": True} if "loading" in prepared else prepared
    model = loaders.segmenter()
    try:
        with scheduling.CORES.frame(token):
            rgb = decode_frame(request.get("jpeg"))
            with stopwatch() as ms:
                scene = model.predict(rgb, flip=False, entropy=False)
    except scheduling.BusyError:
        return {"busy": True}
    shares = scene.shares()
    return {
        "mask": data_url(png_bytes(scene.class_id)),
        "shares": [round(shares[name], 4) for name in scene.class_names],
        "ms": round(ms(), 2),
    }


def build_live() -> None:
    live_camera(
        "segmentation",
        HERE,
        "Classes over the camera's image",
        "segmentations",
        [prepare_segmenter, segment_frame, segmenter_on_device],
        parts=ON_DEVICE,
    )
