"""Classification: a CNN that reads handwritten digits, and photo classifiers made by transfer learning.

`DigitClassifier` is `train/digits.py`'s network, `PhotoClassifier.load("cifar10")` those of `train/photos.py`; the
other photo classifiers are torchvision's, trained on ImageNet-1k and downloaded on first use.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from tasks import compute, downloads, ink, weights
from tasks.images import ImageLike, check_batch, to_rgb
from tasks.networks.digit_cnn import DigitCommittee
from tasks.networks.efficientnet_lite import EfficientNetLite, LiteCommittee
from tasks.photo_models import BUNDLED_MODELS, CIFAR10, IMAGENET_MODELS, LITE_CAM, CamLayer

LITE_MEAN, LITE_STD = 127 / 255, 128 / 255  # what EfficientNet-Lite's ImageNet weights were trained with
IG_STEPS = 64  # points on the path of integrated gradients


# -- digits --------------------------------------------------------------------------------------------------------


class DigitClassifier:
    """Reads one handwritten digit. Labels are "0" to "9"."""

    LABELS = tuple("0123456789")

    def __init__(self, network: nn.Module, card: weights.Card):
        network.eval().to(compute.device())
        self.network = network.to(memory_format=torch.channels_last)
        self.card = card
        self.temperature = float(card.preprocess.get("temperature", 1.0))  # of the softmax (Guo et al. 2017)
        self.angles = tuple(card.preprocess.get("angles", [0]))  # degrees at which each digit is read

    @classmethod
    def load(cls, folder: Path = weights.FOLDER) -> "DigitClassifier":
        """Raises WeightsError where `digits.safetensors` or its card is missing or damaged."""
        return cls(*weights.load("digits", DigitCommittee, folder))

    def classify(self, image: ImageLike) -> dict[str, float]:
        """Probability of each label, for a drawing or photo of one digit: dark on light or light on dark, any size.

        Raises:
            ImageError: no usable picture.
            ink.NoInkError: a picture without a digit.
        """
        probabilities = self.classify_batch(ink.find_digit(image)[None])[0]
        return dict(zip(self.LABELS, map(float, probabilities), strict=True))

    @torch.inference_mode()
    def classify_batch(self, digits: np.ndarray, upright: bool = False) -> np.ndarray:
        """Digits as MNIST has them, uint8 (N, 28, 28), ink bright on black -> probabilities float32 (N, 10).

        Args:
            upright: read at 0 degrees only: a fifth of the work, for a drawing that is still growing.
        """
        check_batch(digits, (28, 28), None)
        logits = self.logits(digits, (0,) if upright else self.angles)
        return (logits / self.temperature).softmax(1).cpu().numpy()

    @torch.inference_mode()
    def logits(self, digits: np.ndarray, angles: Sequence[float]) -> Tensor:
        """uint8 (N, 28, 28) -> float32 (N, 10), the mean over the angles, in degrees, at which each digit is read."""
        means = [torch.zeros(0, 10, device=compute.device())]
        for part in _chunks(digits, 256):
            x = self._to_tensor(part)
            views = torch.cat([turned(x, degrees) for degrees in angles])
            means.append(self.network(views).float().view(len(angles), len(part), 10).mean(0))
        return torch.cat(means)

    @torch.inference_mode()
    def feature_maps(self, digit: np.ndarray) -> dict[str, np.ndarray]:
        """What each stage makes of one digit, uint8 (28, 28): name -> float32 (C, h, w), 0 and up (after ReLU)."""
        check_batch(digit[None], (28, 28), None)
        network: Any = self.network
        return {k: v[0].float().cpu().numpy() for k, v in network.feature_maps(self._to_tensor(digit[None])).items()}

    def explain(self, digit: np.ndarray, labels: list[int]) -> np.ndarray:
        """Integrated gradients (Sundararajan, Taly, Yan 2017) of some labels' logits against a page without ink.

        Of the first column's upright reading, one of those whose logits `classify` averages.

        Args:
            digit: uint8 (28, 28).
            labels: the K labels to explain.
        Returns:
            float32 (K, 28, 28): how much each pixel's ink raised (> 0) or lowered (< 0) the label's logit; sums to the
            logit less that of the empty page.
        """
        check_batch(digit[None], (28, 28), None)
        x = self._to_tensor(digit[None])
        u = (torch.arange(IG_STEPS, device=x.device) + 0.5) / IG_STEPS
        path = (x * (u**2).view(-1, 1, 1, 1)).requires_grad_()  # denser near the empty page, where logits bend most
        column = self.network.columns[0] if isinstance(self.network, DigitCommittee) else self.network
        logits = column(path)[:, labels].sum(0)  # (K,)
        weight = (2 * u / IG_STEPS).view(-1, 1, 1, 1)
        out = np.empty((len(labels), 28, 28), np.float32)
        for k, logit in enumerate(logits):
            (gradient,) = torch.autograd.grad(logit, path, retain_graph=True)
            out[k] = (x * (gradient * weight).sum(0, keepdim=True))[0, 0].detach().cpu().numpy()
        return out

    def _to_tensor(self, digits: np.ndarray) -> Tensor:
        x = torch.from_numpy(np.array(digits)).unsqueeze(1).to(compute.device(), torch.float32)
        return x / 255  # (N, 1, 28, 28)


def turned(x: Tensor, degrees: float) -> Tensor:
    """(B, C, H, W) turned about its centre, bilinear, zeros where nothing was; 0 degrees: unchanged."""
    if degrees == 0:
        return x
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turn = torch.tensor([[c, -s, 0.0], [s, c, 0.0]], device=x.device, dtype=x.dtype).expand(len(x), 2, 3)
    return F.grid_sample(x, F.affine_grid(turn, list(x.shape), align_corners=False), align_corners=False)


# -- photos --------------------------------------------------------------------------------------------------------


CAM_SIDE = 64  # px of the maps that grad_cam returns


class PhotoClassifier:
    """Says what a photo shows. `classes` are its labels, `card` is None for downloaded networks; two that are read
    together have the larger one's, on which their figures stand, too.

    Args:
        see: float (B, 3, S, S) in [0, 1], square photos -> (B, 3, s, s), the pixels that the network gets.
        normalise: those pixels -> what goes into the network.
        view: share of the square's side that `see` keeps.
        mirror: read the photo's mirror image too and average the logits.
        temperature: of the softmax (Guo et al. 2017).
    """

    def __init__(
        self,
        name: str,
        title: str,
        network: nn.Module,
        classes: tuple[str, ...],
        see: Callable[[Tensor], Tensor],
        normalise: Callable[[Tensor], Tensor],
        cam: CamLayer,
        view: float = 1.0,
        mirror: bool = False,
        card: weights.Card | None = None,
        temperature: float = 1.0,
    ):
        self.name, self.title, self.classes, self.view, self.card = name, title, classes, view, card
        network.eval().requires_grad_(False).to(compute.device())
        self.network = network.to(memory_format=torch.channels_last)
        self._see, self._normalise, self._cam, self.mirror, self.temperature = see, normalise, cam, mirror, temperature

    @classmethod
    def load(
        cls, name: str = "cifar10", folder: Path = weights.FOLDER, progress: downloads.Progress | None = None
    ) -> "PhotoClassifier":
        """One of BUNDLED_MODELS, or one of IMAGENET_MODELS, which is downloaded on first use.

        Raises:
            WeightsError: bundled file missing or damaged; unknown name; download impossible.
        """
        if isinstance(name, str) and name in BUNDLED_MODELS:
            return cls._load_bundled(name, folder)
        if isinstance(name, str) and name in IMAGENET_MODELS:
            return cls._load_imagenet(name, progress)
        known = ", ".join((*BUNDLED_MODELS, *IMAGENET_MODELS))
        raise weights.WeightsError(f"There is no photo model {str(name)[:40]!r}; there are {known}.")

    @classmethod
    def _load_bundled(cls, name: str, folder: Path) -> "PhotoClassifier":
        about = BUNDLED_MODELS[name]
        networks, cards = zip(*(weights.load(one, EfficientNetLite, folder) for one in about.members), strict=True)
        card = cards[-1]  # which knows how the committee does, too
        together = len(cards) > 1
        try:
            temperature = float((card.tables["together"] if together else card.preprocess)["temperature"])
            size = int(card.preprocess["size"])
        except (KeyError, TypeError, ValueError) as error:
            measured = " of both networks together" if together else ""
            raise weights.WeightsError(
                f"The card {card.name}.json lacks size or temperature{measured}. Restore it with "
                f"`git checkout -- weights/{card.name}.*` or ship it again with `python -m train.photos`."
            ) from error
        return cls.of_lite(networks, tuple(card.classes), size, temperature, f"{about.title}, {CIFAR10}", card)

    @classmethod
    def of_lite(
        cls,
        networks: Sequence[EfficientNetLite],
        classes: tuple[str, ...],
        size: int,
        temperature: float = 1.0,
        title: str = "EfficientNet-Lite",
        card: weights.Card | None = None,
    ) -> "PhotoClassifier":
        """Networks for CIFAR-10's 32 px photos, which they get enlarged to `size` px, as they are and mirrored."""
        return cls("cifar10", title, LiteCommittee(networks), classes, to_32, lambda x: enlarge_and_normalise(x, size),
                   LITE_CAM, mirror=True, card=card, temperature=temperature)  # fmt: skip

    @classmethod
    def _load_imagenet(cls, name: str, progress: downloads.Progress | None) -> "PhotoClassifier":
        from torchvision.models import get_model, get_model_weights
        from torchvision.transforms.v2 import functional as T

        about, chosen = IMAGENET_MODELS[name], get_model_weights(name).DEFAULT  # type: ignore[attr-defined]
        try:
            file = downloads.fetch(chosen.url, progress)
            network = weights.filled(lambda: get_model(name), file)
        except (downloads.DownloadError, OSError, RuntimeError) as error:
            why = error if isinstance(error, downloads.DownloadError) else "they do not fit this version of torchvision"
            raise weights.WeightsError(
                f"{about.title}'s weights ({about.megabytes} MB) could not be downloaded: {why}. The bundled "
                "networks work without; try this one again when connected."
            ) from error
        preset = chosen.transforms()
        resize, crop = preset.resize_size[0], preset.crop_size[0]

        def see(x: Tensor) -> Tensor:
            x = T.resize(x, [resize, resize], interpolation=preset.interpolation, antialias=True)
            return T.center_crop(x, [crop, crop]).clamp(0, 1)

        return cls(name, about.title, network, tuple(chosen.meta["categories"]), see,
                   lambda x: T.normalize(x, preset.mean, preset.std), about.cam, crop / resize)  # fmt: skip

    def classify(self, image: ImageLike) -> dict[str, float]:
        """Probability of each class for the photo's central square, most probable first. Raises ImageError."""
        probabilities = self.classify_batch(np.asarray(central_square(image))[None])[0]
        order = np.argsort(-probabilities, kind="stable")
        return {self.classes[i]: float(probabilities[i]) for i in order}

    @torch.inference_mode()
    def classify_batch(self, photos: np.ndarray) -> np.ndarray:
        """uint8 (N, H, W, 3) -> probabilities float32 (N, C)."""
        check_batch(photos, None, 3)
        parts = [self._logits(self._prepare(part)).softmax(1).cpu().numpy() for part in _chunks(photos, 64)]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.classes)), np.float32)

    def _logits(self, x: Tensor) -> Tensor:
        logits = self.network(x)
        return ((logits + self.network(x.flip(3))) / 2 if self.mirror else logits) / self.temperature

    @torch.inference_mode()
    def seen(self, image: ImageLike) -> np.ndarray:
        """The pixels that the network gets, uint8 (s, s, 3): 32 x 32 for the CIFAR-10 network. Raises ImageError."""
        x = self._see(_to_tensor(np.asarray(central_square(image))[None]))[0]
        return (x * 255).round().byte().permute(1, 2, 0).cpu().numpy()

    def grad_cam(self, image: ImageLike, label: str) -> np.ndarray:
        """Where it looked for `label` (Grad-CAM, Selvaraju et al. 2017): float32 (64, 64), 0 to 1, over `viewed`.

        The class's gradient, averaged over positions, weighs the channels of the last layer with positions; their sum
        is cut at 0 and divided by its maximum (all 0 where nothing spoke for the label).
        """
        return self.grad_cams(image, [label])[0]

    def grad_cams(self, image: ImageLike, labels: list[str]) -> np.ndarray:
        """`grad_cam` of several labels from one pass: (K, 64, 64). Raises ImageError; ValueError: no such label."""
        index = [self.classes.index(label) for label in labels]
        maps: list[Tensor] = []

        def start_here(module: nn.Module, args: Any, out: Tensor) -> Tensor:
            maps.append(out.detach().requires_grad_())  # nothing before this layer needs a gradient
            return maps[0]

        hook = self.network.get_submodule(self._cam.name).register_forward_hook(start_here)
        try:
            with torch.enable_grad():
                x = self._prepare(np.asarray(central_square(image))[None])
                logits = self.network(x)[0]
                gradients = [torch.autograd.grad(logits[i], maps[0], retain_graph=True)[0] for i in index]
        finally:
            hook.remove()
        importance = torch.cat(gradients).mean((2, 3), keepdim=True)  # (K, C, 1, 1)
        cams = F.relu((maps[0].detach() * importance).sum(1, keepdim=True))  # (K, 1, h, w)
        cams = cams / cams.amax((2, 3), keepdim=True).clamp_min(1e-12)
        return self._over_the_view(cams, x.shape[-1])[:, 0].float().cpu().numpy()

    def _over_the_view(self, cams: Tensor, side: int) -> Tensor:
        """Positions at first, first + step, ... px of `side` -> (K, 1, 64, 64), evenly over the view."""
        at = (torch.arange(CAM_SIDE, device=cams.device) + 0.5) / CAM_SIDE * side - 0.5
        at = 2 * (at - self._cam.first) / self._cam.step / max(cams.shape[-1] - 1, 1) - 1
        grid = torch.stack(torch.meshgrid(at, at, indexing="xy"), -1).expand(len(cams), -1, -1, -1)
        return F.grid_sample(cams, grid, mode="bicubic", padding_mode="border", align_corners=True).clamp(0, 1)

    def viewed(self, image: ImageLike) -> np.ndarray:
        """The part of the photo that the network looks at, for people: uint8 (480, 480, 3). Raises ImageError."""
        photo = central_square(image)
        margin = round(photo.width * (1 - self.view) / 2)
        box = (margin, margin, photo.width - margin, photo.width - margin)
        return np.asarray(photo.resize((480, 480), Image.Resampling.BICUBIC, box))

    def _prepare(self, photos: np.ndarray) -> Tensor:
        return self._normalise(self._see(square(_to_tensor(photos)))).contiguous(memory_format=torch.channels_last)


def central_square(image: ImageLike) -> Image.Image:
    """Any picture's central square, upright RGB, reduced by whole factors to below 1024 px. Raises ImageError."""
    photo = to_rgb(image)
    side = min(photo.size)
    left, top = (photo.width - side) // 2, (photo.height - side) // 2
    photo = photo.crop((left, top, left + side, top + side))
    return photo.reduce(side // 512) if side >= 1024 else photo


def square(x: Tensor) -> Tensor:
    """The central square: (B, 3, H, W) -> (B, 3, S, S), S = min(H, W)."""
    s = min(x.shape[-2:])
    top, left = ((side - s) // 2 for side in x.shape[-2:])
    return x[..., top : top + s, left : left + s]


def to_32(x: Tensor) -> Tensor:
    """Square photos as CIFAR has them: float (B, 3, S, S) in [0, 1] -> (B, 3, 32, 32)."""
    if x.shape[-1] == 32:
        return x
    return F.interpolate(x, (32, 32), mode="bicubic", align_corners=False, antialias=True).clamp(0, 1)


def enlarge_and_normalise(x: Tensor, size: int) -> Tensor:
    """float (B, 3, h, w) in [0, 1] -> bicubic (B, 3, size, size) in [-1, 1], as EfficientNet-Lite0 takes it."""
    return normalise(F.interpolate(x, (size, size), mode="bicubic", align_corners=False).clamp(0, 1))


def normalise(x: Tensor) -> Tensor:
    """float (B, 3, H, W) in [0, 1] -> the same shape in [-1, 1], channels last."""
    return ((x - LITE_MEAN) / LITE_STD).contiguous(memory_format=torch.channels_last)


def _to_tensor(photos: np.ndarray) -> Tensor:
    x = torch.from_numpy(np.array(photos)).to(compute.device()).permute(0, 3, 1, 2)  # (B, 3, H, W) uint8
    return x.float() / 255


def _chunks(array: np.ndarray, size: int) -> list[np.ndarray]:
    return [array[i : i + size] for i in range(0, len(array), size)]
