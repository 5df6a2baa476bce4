"""Denoising, super-resolution and JPEG repair; a denoising autoencoder of digits.

    from tasks.denoising import Denoiser

Names are imported on first use (PEP 562), so that the page can be built without torch.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasks.denoising.denoiser import Denoiser
    from tasks.denoising.digit_autoencoder import DigitAutoencoder
    from tasks.denoising.enhancer import Enhancer

__all__ = ["Denoiser", "DigitAutoencoder", "Enhancer"]

_MODULES = {
    "Denoiser": "denoiser",
    "Enhancer": "enhancer",
    "DigitAutoencoder": "digit_autoencoder",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
