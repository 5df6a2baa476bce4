"""The detectors that the page offers, each loaded on first use and once per process; the turns they are used in."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tasks import compute, weights

if TYPE_CHECKING:
    from tasks.detection import Detector
    from tasks.detection_torchvision import TorchvisionDetector
    from tasks.downloads import Progress

BUNDLED = "digits"
COCO = {
    "yolo11n": ("YOLO11n", 5),
    "yolo26n": ("YOLO26n", 5),
    "yolo11s": ("YOLO11s", 19),
    "yolo26s": ("YOLO26s", 20),
    "yolo11m": ("YOLO11m", 39),
    "yolo26m": ("YOLO26m", 42),
}
"""Name -> title and megabytes to download; the same names as `tasks.yolo_files.COCO_MODELS`, which needs torch."""

TURNS = compute.Turns(at_once=compute.AT_ONCE)
"""In which cameras, pictures and video files share the processor, frame by frame."""

_loaded: "compute.Kept[Detector]" = compute.Kept(most=3)
_other: "compute.Kept[TorchvisionDetector]" = compute.Kept(most=1)


def own_model() -> Path | None:
    """YOLO weights of whoever runs the app: the environment variable IMAGE_LAB_YOLO, a .pt file or OpenVINO folder."""
    path = os.environ.get("IMAGE_LAB_YOLO")
    return Path(path) if path else None


def choices() -> list[dict[str, str | bool]]:
    """What the page offers, in its order: {"name", "title", "bundled", "download"}."""
    offered: list[dict[str, str | bool]] = []
    own = own_model()
    if own is not None:
        title = f"{own.stem.removesuffix('_openvino_model')} · this server's own"
        offered.append({"name": "own", "title": title, "bundled": False, "download": False})
    if (weights.FOLDER / "detector.json").is_file():
        title = "Handwritten digits · bundled"
        offered.append({"name": BUNDLED, "title": title, "bundled": True, "download": False})
    for name, (title, megabytes) in COCO.items():
        text = f"{title} · COCO, {megabytes} MB on first use"
        offered.append({"name": name, "title": text, "bundled": False, "download": True})
    return offered


def detector(name: str) -> "Detector":
    """One of `choices` by name; the last three stay in memory.

    Raises:
        WeightsError: unknown name, missing or damaged file, download impossible.
    """
    if not isinstance(name, str) or name not in {c["name"] for c in choices()}:
        raise weights.WeightsError(f"There is no detector {str(name)[:40]!r} here.")
    from tasks.detection import Detector

    return _loaded.get(name, lambda: Detector.load((name == "own" and own_model()) or name))


def other(name: str, progress: "Progress | None" = None) -> "TorchvisionDetector":
    """One of torchvision's detectors; the one used last stays in memory. Raises WeightsError."""
    from tasks.detection_torchvision import TorchvisionDetector

    return _other.get(name, lambda: TorchvisionDetector.load(name, progress))
