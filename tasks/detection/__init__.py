"""Detection: YOLO finds objects and their boxes in one pass over the image.

    from tasks.detection import Detector

Names are imported on first use (PEP 562), so that the page can be built without torch.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasks.detection.detector import Detections, Detector
    from tasks.detection.torchvision_detectors import TorchvisionDetector
    from tasks.detection.tracker import Tracker

__all__ = ["Detections", "Detector", "TorchvisionDetector", "Tracker"]

_MODULES = {
    "Detections": "detector",
    "Detector": "detector",
    "Tracker": "tracker",
    "TorchvisionDetector": "torchvision_detectors",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
