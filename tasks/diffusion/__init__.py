"""Diffusion: images from noise, one step at a time.

    from tasks.diffusion import DiffusionGenerator

Names are imported on first use (PEP 562), so that the page can be built without torch.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasks.diffusion.generator import DiffusionGenerator
    from tasks.diffusion.process import DiffusionStep

__all__ = ["DiffusionGenerator", "DiffusionStep"]

_MODULES = {
    "DiffusionGenerator": "generator",
    "DiffusionStep": "process",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
