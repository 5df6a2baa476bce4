"""One-step generators of digits: a GAN, its training history, and a VAE.

    from tasks.gan import GanGenerator

Names are imported on first use (PEP 562), so that the page can be built without torch.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasks.gan.generator import GanGenerator
    from tasks.gan.history import GanHistory
    from tasks.gan.vae import VaeGenerator

__all__ = ["GanGenerator", "GanHistory", "VaeGenerator"]

_MODULES = {
    "GanGenerator": "generator",
    "GanHistory": "history",
    "VaeGenerator": "vae",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
