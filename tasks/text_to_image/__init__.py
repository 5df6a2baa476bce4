"""Text to image: any text-to-image pipeline of diffusers, followed step by step.

    from tasks.text_to_image import TextToImage

Names are imported on first use (PEP 562), so that the page can be built without torch.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasks.text_to_image.generator import TextToImage

__all__ = ["TextToImage"]

_MODULES = {
    "TextToImage": "generator",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
