"""Classification: handwritten digits, photos by transfer learning, and what a visitor teaches.

    from tasks.classification import DigitClassifier

Names are imported on first use (PEP 562), so that the page can be built without torch.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasks.classification.digits import DigitClassifier
    from tasks.classification.photos import PhotoClassifier
    from tasks.classification.teachable import TeachableClassifier

__all__ = ["DigitClassifier", "PhotoClassifier", "TeachableClassifier"]

_MODULES = {
    "DigitClassifier": "digits",
    "PhotoClassifier": "photos",
    "TeachableClassifier": "teachable",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
