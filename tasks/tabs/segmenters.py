"""The segmentation networks that the page offers, each loaded on first use and once per process."""

from typing import TYPE_CHECKING

from tasks import compute, weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.downloads import Progress
    from tasks.segmentation import Segmenter
    from tasks.segmentation_torchvision import TorchvisionSegmenter

TITLES = {
    "segmentation": "U-Net on EfficientNet-Lite0 · bundled",
    "segmentation_unet": "Textbook U-Net, from random weights · bundled",
}
"""The same names as `tasks.segmentation.ARCHITECTURES`, which needs torch."""

_loaded: "compute.Kept[Segmenter]" = compute.Kept(most=2)
_other: "compute.Kept[TorchvisionSegmenter]" = compute.Kept(most=1)


def choices() -> list[tuple[str, str]]:
    """(title, name) of the networks whose cards are here; the first one in any case, its loading says what is wrong."""
    here = [(title, name) for name, title in TITLES.items() if (weights.FOLDER / f"{name}.json").is_file()]
    return here or [(TITLES["segmentation"], "segmentation")]


def segmenter(name: str = "segmentation") -> "Segmenter":
    """Raises WeightsError: unknown name, missing or damaged file."""
    from tasks.segmentation import Segmenter

    return _loaded.get(str(name)[:40], lambda: Segmenter.load(name))


def scales(three_sizes: bool) -> "Sequence[float]":
    """At which sizes of a picture `Segmenter.look` looks."""
    from tasks.segmentation import ONE_SIZE, THREE_SIZES

    return THREE_SIZES if three_sizes else ONE_SIZE


def other(name: str, progress: "Progress | None" = None) -> "TorchvisionSegmenter":
    """One of torchvision's networks; the one used last stays in memory. Raises WeightsError."""
    from tasks.segmentation_torchvision import TorchvisionSegmenter

    return _other.get(str(name)[:40], lambda: TorchvisionSegmenter.load(name, progress))
