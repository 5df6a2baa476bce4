"""The handlers that the tabs share, each loaded on first use and once per process; torch comes only then."""

from typing import TYPE_CHECKING

from tasks.compute import Kept, Lazy

if TYPE_CHECKING:
    from tasks.classification import DigitClassifier, PhotoClassifier
    from tasks.diffusion import DiffusionGenerator
    from tasks.downloads import Progress


def _load_digits() -> "DigitClassifier":
    from tasks.classification import DigitClassifier

    return DigitClassifier.load()


def _load_photos() -> "PhotoClassifier":
    import numpy as np

    from tasks.classification import PhotoClassifier

    classifier = PhotoClassifier.load("cifar10")
    classifier.grad_cam(np.zeros((32, 32, 3), np.uint8), classifier.classes[0])  # a first pass takes ten times longer
    return classifier


digit_classifier = Lazy(_load_digits)
photo_classifier = Lazy(_load_photos)

others: "Kept[PhotoClassifier]" = Kept(most=2)  # VGG-16 alone takes 550 MB


def has_photo_model(name: str) -> bool:
    """Whether `photo_model` would answer at once."""
    return photo_classifier.is_loaded if name == "cifar10" else name in others


def photo_model(name: str, progress: "Progress | None" = None) -> "PhotoClassifier":
    """The one that is loaded at the start ("cifar10") or another; of these the last two stay in memory.

    Raises:
        WeightsError: file missing or damaged, unknown name, download impossible.
    """
    if name == "cifar10":
        return photo_classifier()
    from tasks.classification import PhotoClassifier

    return others.get(str(name)[:40], lambda: PhotoClassifier.load(name, progress=progress))


diffusion: "Kept[DiffusionGenerator]" = Kept(most=2)


def diffusion_generator(data_set: str) -> "DiffusionGenerator":
    """The diffusion model of "mnist" or "cifar10". Raises WeightsError."""
    from tasks.diffusion import DiffusionGenerator

    def load() -> DiffusionGenerator:
        generator = DiffusionGenerator.load(data_set)
        if data_set == "mnist":  # which is asked for 16 at a time; the photos' network gains a fifth, for 150 MB
            generator.quicken()
        return generator

    return diffusion.get(str(data_set)[:40], load)
