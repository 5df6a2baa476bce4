"""Segmentation: a class for every pixel of a road scene.

    from tasks.segmentation import Segmenter

Names are imported on first use (PEP 562), so that the page can be built without torch.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasks.segmentation.segmenter import Segmenter
    from tasks.segmentation.torchvision_segmenters import TorchvisionSegmenter

__all__ = ["Segmenter", "TorchvisionSegmenter"]

_MODULES = {
    "Segmenter": "segmenter",
    "TorchvisionSegmenter": "torchvision_segmenters",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
