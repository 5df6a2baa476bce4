"""Classification: a CNN that reads handwritten digits, and photo classifiers made by transfer learning.

`DigitClassifier` is `train/digits.py`'s network, `PhotoClassifier.load("cifar10")` that of `train/photos.py`; the other
photo classifiers are torchvision's, trained on ImageNet-1k and downloaded by torchvision on first use.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks import compute, ink, weights
from tasks.images import ImageLike, check_batch, to_rgb
from tasks.networks.digit_cnn import DigitCNN
from tasks.networks.efficientnet_lite0 import EfficientNetLite0

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
IG_STEPS = 24  # points of the path of integrated gradients; its sum is then within 2 % of the logit (tests)


# -- digits --------------------------------------------------------------------------------------------------------


class DigitClassifier:
    """Reads one handwritten digit. Labels are "0" to "9"."""

    LABELS = tuple("0123456789")

    def __init__(self, network: nn.Module, card: weights.Card):
        self.network = network.eval().to(compute.device(), memory_format=torch.channels_last)
        self.card = card

    @classmethod
    def load(cls, folder: Path = weights.FOLDER) -> "DigitClassifier":
        """Raises WeightsError where `digits.safetensors` or its card is missing or damaged."""
        return cls(*weights.load("digits", DigitCNN, folder))

    def classify(self, image: ImageLike) -> dict[str, float]:
        """Probability of each label, for a drawing or photo of one digit: dark on light or light on dark, any size.

        Raises:
            ImageError: no usable picture.
            ink.NoInkError: a picture without a digit.
        """
        probabilities = self.classify_batch(ink.find_digit(image)[None])[0]
        return dict(zip(self.LABELS, map(float, probabilities), strict=True))

    @torch.inference_mode()
    def classify_batch(self, digits: np.ndarray) -> np.ndarray:
        """Digits as MNIST has them, uint8 (N, 28, 28), ink bright on black -> probabilities float32 (N, 10)."""
        check_batch(digits, (28, 28), None)
        parts = [self.network(self._to_tensor(part)).softmax(1).cpu().numpy() for part in _chunks(digits, 512)]
        return np.concatenate(parts) if parts else np.zeros((0, 10), np.float32)

    @torch.inference_mode()
    def feature_maps(self, digit: np.ndarray) -> dict[str, np.ndarray]:
        """What each stage makes of one digit, uint8 (28, 28): name -> float32 (C, h, w), 0 and up (after ReLU)."""
        check_batch(digit[None], (28, 28), None)
        network: Any = self.network
        return {k: v[0].float().cpu().numpy() for k, v in network.feature_maps(self._to_tensor(digit[None])).items()}

    def explain(self, digit: np.ndarray, labels: list[int]) -> np.ndarray:
        """Integrated gradients (Sundararajan, Taly, Yan 2017) of some labels' logits against a page without ink.

        Args:
            digit: uint8 (28, 28).
            labels: the K labels to explain.
        Returns:
            float32 (K, 28, 28): how much each pixel's ink raised (> 0) or lowered (< 0) the label's logit; sums to the
            logit less that of the empty page.
        """
        check_batch(digit[None], (28, 28), None)
        x = self._to_tensor(digit[None])
        along = (torch.arange(IG_STEPS, device=x.device) + 0.5) / IG_STEPS  # midpoints of the path
        out = np.empty((len(labels), 28, 28), np.float32)
        for k, label in enumerate(labels):
            path = (x * along.view(-1, 1, 1, 1)).requires_grad_()
            (gradient,) = torch.autograd.grad(self.network(path)[:, label].sum(), path)
            out[k] = (x * gradient.mean(0, keepdim=True))[0, 0].detach().cpu().numpy()
        return out

    def _to_tensor(self, digits: np.ndarray) -> Tensor:
        x = torch.from_numpy(np.ascontiguousarray(digits)).unsqueeze(1).to(compute.device(), torch.float32)
        return x / 255  # (N, 1, 28, 28)


# -- photos --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ImageNetModel:
    """A network of torchvision's that can be had by download."""

    title: str
    megabytes: int
    cam_layer: str  # whose output Grad-CAM weighs: the last one with positions


IMAGENET_MODELS = {
    "resnet50": ImageNetModel("ResNet-50", 98, "layer4"),
    "vgg16": ImageNetModel("VGG-16", 528, "features"),
    "efficientnet_b0": ImageNetModel("EfficientNet-B0", 21, "features"),
    "efficientnet_v2_s": ImageNetModel("EfficientNetV2-S", 83, "features"),
}


class PhotoClassifier:
    """Says what a photo shows. `classes` are its labels, `card` is None for downloaded networks."""

    def __init__(
        self,
        name: str,
        title: str,
        network: nn.Module,
        classes: tuple[str, ...],
        prepare: Callable[[Tensor], Tensor],
        cam_layer: str,
        card: weights.Card | None = None,
    ):
        self.name, self.title, self.classes, self.card = name, title, classes, card
        self.network = network.eval().to(compute.device(), memory_format=torch.channels_last)
        self._prepare, self._cam_layer = prepare, self.network.get_submodule(cam_layer)

    @classmethod
    def load(cls, name: str = "cifar10", folder: Path = weights.FOLDER) -> "PhotoClassifier":
        """The bundled network ("cifar10") or one of IMAGENET_MODELS, which is downloaded on first use.

        Raises:
            WeightsError: bundled file missing or damaged; unknown name; download impossible.
        """
        if name == "cifar10":
            network, card = weights.load("photos", EfficientNetLite0, folder)
            size = int(card.preprocess["size"])
            return cls(name, card.title, network, tuple(card.classes),
                       lambda x: enlarge_and_normalise(to_32(x), size), "stages.5", card)  # fmt: skip
        if name not in IMAGENET_MODELS:
            raise weights.WeightsError(f"There is no photo model {name!r}; there are cifar10, {', '.join(IMAGENET_MODELS)}.")
        return cls._load_imagenet(name)

    @classmethod
    def _load_imagenet(cls, name: str) -> "PhotoClassifier":
        from torchvision.models import get_model, get_model_weights

        about = IMAGENET_MODELS[name]
        chosen = get_model_weights(name).DEFAULT  # type: ignore[attr-defined]
        try:
            network = get_model(name, weights=chosen)
        except (URLError, OSError, RuntimeError) as error:
            raise weights.WeightsError(
                f"{about.title}'s weights ({about.megabytes} MB) could not be downloaded: there is no network, or its "
                "server does not answer. The bundled EfficientNet-Lite0 works without; try this one again when connected."
            ) from error
        transform = chosen.transforms()
        return cls(name, about.title, network, tuple(chosen.meta["categories"]),
                   lambda x: transform(square(x)), about.cam_layer)  # fmt: skip

    def classify(self, image: ImageLike) -> dict[str, float]:
        """Probability of each class for the photo's central square, most probable first. Raises ImageError."""
        probabilities = self.classify_batch(np.asarray(to_rgb(image))[None])[0]
        order = np.argsort(-probabilities, kind="stable")
        return {self.classes[i]: float(probabilities[i]) for i in order}

    @torch.inference_mode()
    def classify_batch(self, photos: np.ndarray) -> np.ndarray:
        """uint8 (N, H, W, 3) -> probabilities float32 (N, C)."""
        check_batch(photos, None, 3)
        parts = [self.network(self._prepare(_to_tensor(part))).softmax(1).cpu().numpy() for part in _chunks(photos, 64)]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.classes)), np.float32)

    def grad_cam(self, image: ImageLike, label: str) -> np.ndarray:
        """Where the network looked for `label` (Selvaraju et al. 2017): float32 (h, w) in [0, 1] over the central square.

        The class's gradient, averaged over positions, weighs the channels of the last layers with positions; their sum
        is cut at 0 and scaled to a maximum of 1 (all 0 where nothing spoke for the label).
        """
        maps: list[Tensor] = []
        hook = self._cam_layer.register_forward_hook(lambda module, args, out: maps.append(out))
        try:
            x = self._prepare(_to_tensor(np.asarray(to_rgb(image))[None]))
            logit = self.network(x)[0, self.classes.index(label)]
            (gradient,) = torch.autograd.grad(logit, maps[0])
        finally:
            hook.remove()
        cam = F.relu((maps[0] * gradient.mean((2, 3), keepdim=True)).sum(1))[0]  # (h, w)
        return (cam / cam.max().clamp_min(1e-12)).detach().float().cpu().numpy()


def square(x: Tensor) -> Tensor:
    """The central square: (B, 3, H, W) -> (B, 3, S, S), S = min(H, W)."""
    h, w = x.shape[-2:]
    s = min(h, w)
    top, left = (h - s) // 2, (w - s) // 2
    return x[..., top : top + s, left : left + s]


def to_32(x: Tensor) -> Tensor:
    """Photos as CIFAR has them: uint8 or float (B, 3, H, W) of 0 to 255 -> float (B, 3, 32, 32) in [0, 1]."""
    x = square(x).float() / 255
    if x.shape[-1] == 32:
        return x
    return F.interpolate(x, (32, 32), mode="bicubic", align_corners=False, antialias=True).clamp(0, 1)


def enlarge_and_normalise(x: Tensor, size: int) -> Tensor:
    """float (B, 3, h, w) in [0, 1] -> bicubic (B, 3, size, size), less ImageNet's mean, over its deviation."""
    x = F.interpolate(x, (size, size), mode="bicubic", align_corners=False).clamp(0, 1)
    mean, std = (torch.tensor(v, device=x.device, dtype=x.dtype).view(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    return ((x - mean) / std).contiguous(memory_format=torch.channels_last)


def _to_tensor(photos: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(photos)).to(compute.device()).permute(0, 3, 1, 2)  # (B, 3, H, W) uint8


def _chunks(array: np.ndarray, size: int) -> list[np.ndarray]:
    return [array[i : i + size] for i in range(0, len(array), size)]
