"""Every model of the page, loaded once and shared by all visitors. Without torch until one is used.

A loader imports its handler when it is first called; which models there are is in `tasks.models`.
"""

from typing import TYPE_CHECKING

from tasks.core.model_cache import Kept, Lazy
from tasks.core.weights import WeightsError
from tasks.models import IMAGENET, OPEN_VOCABULARY, detector_choices, own_detector

if TYPE_CHECKING:
    from tasks.classification.digits import DigitClassifier
    from tasks.classification.photos import PhotoClassifier
    from tasks.core.downloads import Progress
    from tasks.denoising.denoiser import Denoiser
    from tasks.denoising.digit_autoencoder import DigitAutoencoder
    from tasks.denoising.enhancer import Enhancer
    from tasks.detection.detector import Detector
    from tasks.detection.open_vocabulary import OpenVocabulary
    from tasks.detection.torchvision_detectors import TorchvisionDetector
    from tasks.diffusion.generator import DiffusionGenerator
    from tasks.gan.generator import GanGenerator
    from tasks.gan.history import GanHistory
    from tasks.gan.vae import VaeGenerator
    from tasks.segmentation.segmenter import Segmenter
    from tasks.segmentation.torchvision_segmenters import TorchvisionSegmenter
    from tasks.text_to_image.generator import TextToImage


@Lazy
def digit_classifier() -> "DigitClassifier":
    from tasks.classification.digits import DigitClassifier

    return DigitClassifier.load()


@Lazy
def photo_classifier() -> "PhotoClassifier":
    import numpy as np

    from tasks.classification.photos import PhotoClassifier

    classifier = PhotoClassifier.load()
    # the first pass takes ten times longer than the later ones
    classifier.grad_cam(np.zeros((32, 32, 3), np.uint8), classifier.classes[0])
    return classifier


@Lazy
def denoiser() -> "Denoiser":
    from tasks.denoising.denoiser import Denoiser

    return Denoiser.load()


@Lazy
def enhancer() -> "Enhancer":
    from tasks.denoising.enhancer import Enhancer

    return Enhancer.load()


@Lazy
def digit_autoencoder() -> "DigitAutoencoder":
    from tasks.denoising.digit_autoencoder import DigitAutoencoder

    return DigitAutoencoder.load()


@Lazy
def gan_generator() -> "GanGenerator":
    from tasks.gan.generator import GanGenerator

    return GanGenerator.load()


@Lazy
def vae_generator() -> "VaeGenerator":
    from tasks.gan.vae import VaeGenerator

    return VaeGenerator.load()


@Lazy
def text_to_image() -> "TextToImage":
    from tasks.text_to_image.generator import TextToImage

    return TextToImage.bundled()


_photo_models: "Kept[PhotoClassifier]" = Kept(most=2)  # VGG-16 alone takes 550 MB
_gan_histories: "Kept[GanHistory]" = Kept(most=2)
_diffusion_generators: "Kept[DiffusionGenerator]" = Kept(most=2)
_detectors: "Kept[Detector]" = Kept(most=3)
_torchvision_detectors: "Kept[TorchvisionDetector]" = Kept(most=1)
_open_vocabulary: "Kept[OpenVocabulary]" = Kept(most=1)
_segmenters: "Kept[Segmenter]" = Kept(most=2)
_torchvision_segmenters: "Kept[TorchvisionSegmenter]" = Kept(most=1)


def has_photo_model(name: str) -> bool:
    """Whether `photo_model` would answer at once."""
    return photo_classifier.is_loaded if name == IMAGENET else name in _photo_models


def photo_model(name: str, progress: "Progress | None" = None) -> "PhotoClassifier":
    """The one that is loaded at the start (IMAGENET) or another; of these two stay in memory.

    Raises:
        WeightsError: file missing or damaged, unknown name, download impossible.
    """
    from tasks.classification.photos import PhotoClassifier

    if name == IMAGENET:
        return photo_classifier()
    return _photo_models.get(str(name)[:40], lambda: PhotoClassifier.load(name, progress=progress))


def gan_history(name: str) -> "GanHistory":
    """ "gan_history" or "gan_collapse". Raises WeightsError."""
    from tasks.gan.history import GanHistory

    return _gan_histories.get(name, lambda: GanHistory.load(name))


def diffusion_generator(dataset: str) -> "DiffusionGenerator":
    """The diffusion model of "mnist" or "cifar10". Raises WeightsError."""
    from tasks.diffusion.generator import DiffusionGenerator

    def load() -> "DiffusionGenerator":
        generator = DiffusionGenerator.load(dataset)
        if dataset == "mnist":  # sampled 16 at a time; CIFAR's gains a fifth only, for 150 MB
            generator.use_fast_engine()
        return generator

    return _diffusion_generators.get(str(dataset)[:40], load)


def detector(name: str) -> "Detector":
    """One of `detector_choices` by name; the last three stay in memory.

    Raises:
        WeightsError: unknown name, missing or damaged file, download impossible.
    """
    from tasks.detection.detector import Detector

    if not isinstance(name, str) or name not in {c["name"] for c in detector_choices()}:
        raise WeightsError(f"There is no detector {str(name)[:40]!r} here.")
    return _detectors.get(name, lambda: Detector.load((name == "own" and own_detector()) or name))


def has_detector(name: str) -> bool:
    """Whether `detector` would answer at once."""
    return name in _detectors


def torchvision_detector(name: str, progress: "Progress | None" = None) -> "TorchvisionDetector":
    """One of TORCHVISION_DETECTORS; the one used last stays in memory. Raises WeightsError."""
    from tasks.detection.torchvision_detectors import TorchvisionDetector

    return _torchvision_detectors.get(
        str(name)[:40], lambda: TorchvisionDetector.load(name, progress)
    )


def open_vocabulary(progress: "Progress | None" = None) -> "OpenVocabulary":
    """The detector of what is typed. Raises WeightsError: download impossible, file damaged."""
    from tasks.detection.open_vocabulary import OpenVocabulary

    return _open_vocabulary.get(OPEN_VOCABULARY, lambda: OpenVocabulary.load(progress))


def segmenter(name: str = "segmentation") -> "Segmenter":
    """One of SEGMENTERS. Raises WeightsError: unknown name, missing or damaged file."""
    from tasks.segmentation.segmenter import Segmenter

    return _segmenters.get(str(name)[:40], lambda: Segmenter.load(name))


def has_segmenter(name: str = "segmentation") -> bool:
    """Whether `segmenter` would answer at once."""
    return name in _segmenters


def torchvision_segmenter(name: str, progress: "Progress | None" = None) -> "TorchvisionSegmenter":
    """One of TORCHVISION_SEGMENTERS; the one used last stays in memory. Raises WeightsError."""
    from tasks.segmentation.torchvision_segmenters import TorchvisionSegmenter

    return _torchvision_segmenters.get(
        str(name)[:40], lambda: TorchvisionSegmenter.load(name, progress)
    )
