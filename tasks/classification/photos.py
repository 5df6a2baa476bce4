"""Photos: `PhotoClassifier` predicts a class, Grad-CAM shows the evidence for it.

    PhotoClassifier.load().classify("photo.jpg")            ImageNet's 1000 classes, bundled
    PhotoClassifier.load("cifar10").classify("photo.jpg")   the networks of train/photos

The others are torchvision's, trained on ImageNet-1k and downloaded on first use.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from tasks.classification import imagenet
from tasks.core import device, downloads, weights
from tasks.core.images import ImageLike, check_batch, chunks, to_rgb
from tasks.models import (
    CIFAR10,
    IMAGENET,
    IMAGENET_CAM,
    IMAGENET_MODELS,
    LITE_CAM,
    PHOTO_MODELS,
    CamLayer,
)
from tasks.networks.efficientnet_lite import EfficientNetLite, LiteEnsemble, normalise

CAM_SIDE = 64  # px of the maps that grad_cam returns


class PhotoClassifier:
    """Predicts the class of a photo. `classes` are its labels.

    `card` is None for networks that were not trained here; an ensemble has the card of its larger
    member, which lists the ensemble's scores too.

    Args:
        resize: float (B, 3, S, S) in [0, 1], square photos -> (B, 3, s, s), the network's pixels.
        normalise: those pixels -> the network's input.
        view: share of the square's side that `resize` keeps.
        flip: test-time augmentation, average the logits with those of the mirrored photo.
        temperature: of the softmax (Guo et al. 2017).
        groups: an everyday word for each class, "" where there is none.
    """

    def __init__(
        self,
        name: str,
        title: str,
        network: nn.Module,
        classes: tuple[str, ...],
        resize: Callable[[Tensor], Tensor],
        normalise: Callable[[Tensor], Tensor],
        cam: CamLayer,
        view: float = 1.0,
        flip: bool = False,
        card: weights.Card | None = None,
        temperature: float = 1.0,
        groups: Sequence[str] | None = None,
    ):
        self.name, self.title, self.classes, self.view, self.card = name, title, classes, view, card
        self.group_of = dict(zip(classes, groups or (), strict=False))
        network.eval().requires_grad_(False).to(device.best())
        self.network = network.to(memory_format=torch.channels_last)
        self._resize, self._normalise, self._cam = resize, normalise, cam
        self.flip, self.temperature = flip, temperature

    @classmethod
    def load(
        cls,
        name: str = IMAGENET,
        folder: Path = weights.FOLDER,
        progress: downloads.Progress | None = None,
    ) -> "PhotoClassifier":
        """IMAGENET, one of PHOTO_MODELS (bundled) or one of IMAGENET_MODELS (a download).

        Raises:
            WeightsError: bundled file missing or damaged; unknown name; download impossible.
        """
        if name == IMAGENET:
            return cls._load_lite0()
        if isinstance(name, str) and name in PHOTO_MODELS:
            return cls._load_bundled(name, folder)
        if isinstance(name, str) and name in IMAGENET_MODELS:
            return cls._load_imagenet(name, progress)
        known = ", ".join((IMAGENET, *PHOTO_MODELS, *IMAGENET_MODELS))
        raise weights.WeightsError(
            f"There is no photo model {str(name)[:40]!r}; there are {known}."
        )

    @classmethod
    def _load_lite0(cls) -> "PhotoClassifier":
        """ImageNet's classes; preprocessing as EfficientNet-Lite0 was trained with."""
        from torchvision.transforms.v2 import functional as T

        size, crop = [imagenet.RESIZE] * 2, [imagenet.CROP] * 2

        def resize_crop(x: Tensor) -> Tensor:
            resized = T.resize(x, size, T.InterpolationMode.BICUBIC, antialias=True)
            return T.center_crop(resized, crop).clamp(0, 1)

        return cls(
            IMAGENET,
            "EfficientNet-Lite0, ImageNet",
            LiteEnsemble([imagenet.load_network()]),
            imagenet.classes(),
            resize_crop,
            normalise,
            IMAGENET_CAM,
            view=imagenet.CROP / imagenet.RESIZE,
            groups=imagenet.groups(),
        )

    @classmethod
    def _load_bundled(cls, name: str, folder: Path) -> "PhotoClassifier":
        about = PHOTO_MODELS[name]
        loaded = [weights.load(member, EfficientNetLite, folder) for member in about.members]
        networks, cards = zip(*loaded, strict=True)
        card = cards[-1]  # its tables have the ensemble's figures too
        together = len(cards) > 1
        try:
            fitted = card.tables["together"] if together else card.preprocess
            temperature = float(fitted["temperature"])
            size = int(card.preprocess["size"])
        except (KeyError, TypeError, ValueError) as error:
            measured = " of both networks together" if together else ""
            raise weights.WeightsError(
                f"The card {card.name}.json lacks size or temperature{measured}. Restore it with "
                f"`git checkout -- weights/{card.name}.*` or export it again with `python -m "
                "train.photos --export`."
            ) from error
        return cls.of_lite(
            networks, tuple(card.classes), size, temperature, f"{about.title}, {CIFAR10}", card
        )

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
        """Networks for CIFAR-10's 32 px photos, enlarged to `size` px; averaged with the flip."""
        return cls(
            "cifar10",
            title,
            LiteEnsemble(networks),
            classes,
            to_32,
            lambda x: enlarge_and_normalise(x, size),
            LITE_CAM,
            flip=True,
            card=card,
            temperature=temperature,
        )

    @classmethod
    def _load_imagenet(cls, name: str, progress: downloads.Progress | None) -> "PhotoClassifier":
        from torchvision.models import get_model, get_model_weights
        from torchvision.transforms.v2 import functional as T

        about, chosen = IMAGENET_MODELS[name], get_model_weights(name).DEFAULT  # type: ignore[attr-defined]
        try:
            file = downloads.fetch(chosen.url, progress)
            network = weights.filled(lambda: get_model(name), file)
        except (downloads.DownloadError, OSError, RuntimeError) as error:
            is_download = isinstance(error, downloads.DownloadError)
            why = error if is_download else "they do not fit this version of torchvision"
            raise weights.WeightsError(
                f"{about.title}'s weights ({about.megabytes} MB) could not be downloaded: {why}. "
                "The bundled networks work without; try this one again when connected."
            ) from error
        preset = chosen.transforms()
        side, crop = preset.resize_size[0], preset.crop_size[0]

        def resize_crop(x: Tensor) -> Tensor:
            x = T.resize(x, [side, side], interpolation=preset.interpolation, antialias=True)
            return T.center_crop(x, [crop, crop]).clamp(0, 1)

        return cls(
            name,
            about.title,
            network,
            tuple(chosen.meta["categories"]),
            resize_crop,
            lambda x: T.normalize(x, preset.mean, preset.std),
            about.cam,
            crop / side,
        )

    def classify(self, image: ImageLike) -> dict[str, float]:
        """Probability of each class for the photo's central square, most probable first.

        Raises:
            ImageError: no usable image.
        """
        probabilities = self.classify_batch(np.asarray(central_square(image))[None])[0]
        order = np.argsort(-probabilities, kind="stable")
        return {self.classes[i]: float(probabilities[i]) for i in order}

    @torch.inference_mode()
    def classify_batch(self, photos: np.ndarray) -> np.ndarray:
        """uint8 (N, H, W, 3) -> probabilities float32 (N, C)."""
        check_batch(photos, None, 3)
        out = [np.zeros((0, len(self.classes)), np.float32)]
        for part in chunks(photos, 64):
            out.append(self._logits(self._prepare(part)).softmax(1).cpu().numpy())
        return np.concatenate(out)

    @torch.inference_mode()
    def feature_maps(self, photos: np.ndarray) -> Tensor:
        """uint8 (N, H, W, 3) -> float32 (N, 1280, h, w) of the first EfficientNet-Lite.

        Their means over the positions are the features on which its linear layer works.
        """
        check_batch(photos, None, 3)
        members: Any = self.network.members
        parts = [members[0].last_maps(self._prepare(part)).float() for part in chunks(photos, 32)]
        return torch.cat(parts)

    def _logits(self, x: Tensor) -> Tensor:
        logits = self.network(x)
        if self.flip:
            logits = (logits + self.network(x.flip(3))) / 2
        return logits / self.temperature

    @torch.inference_mode()
    def network_input(self, image: ImageLike) -> np.ndarray:
        """The network's pixels, uint8 (s, s, 3): 32 x 32 for CIFAR-10's. Raises ImageError."""
        x = self._resize(_to_tensor(np.asarray(central_square(image))[None]))[0]
        return (x * 255).round().byte().permute(1, 2, 0).cpu().numpy()

    def grad_cam(self, image: ImageLike, label: str) -> np.ndarray:
        """Evidence for `label` over `network_view`: float32 (64, 64), 0 to 1.

        Grad-CAM (Selvaraju et al. 2017): the class's gradient, averaged over positions, weighs the
        channels of the last layer with positions; ReLU of their sum, divided by its maximum (all 0
        without evidence). Raises ImageError; ValueError: no such label.
        """
        return self.grad_cams(image, [label])[0]

    def grad_cams(self, image: ImageLike, labels: list[str]) -> np.ndarray:
        """`grad_cam` of several labels from one pass: (K, 64, 64)."""
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
                gradients = [
                    torch.autograd.grad(logits[i], maps[0], retain_graph=True)[0] for i in index
                ]
        finally:
            hook.remove()
        importance = torch.cat(gradients).mean((2, 3), keepdim=True)  # (K, C, 1, 1)
        cams = F.relu((maps[0].detach() * importance).sum(1, keepdim=True))  # (K, 1, h, w)
        return self.scaled_over_view(cams, x.shape[-1])

    def scaled_over_view(self, cams: Tensor, side: int) -> np.ndarray:
        """Evidence >= 0 at the last maps' positions, (K, 1, h, w), of an input of `side` px.

        -> float32 (K, 64, 64) over `network_view`, each divided by its maximum.
        """
        cams = cams / cams.amax((2, 3), keepdim=True).clamp_min(1e-12)
        return self._over_the_view(cams, side)[:, 0].float().cpu().numpy()

    def _over_the_view(self, cams: Tensor, side: int) -> Tensor:
        """Positions at first, first + step, ... px of `side` -> (K, 1, 64, 64) over the view."""
        at = (torch.arange(CAM_SIDE, device=cams.device) + 0.5) / CAM_SIDE * side - 0.5
        at = 2 * (at - self._cam.first) / self._cam.step / max(cams.shape[-1] - 1, 1) - 1
        grid = torch.stack(torch.meshgrid(at, at, indexing="xy"), -1).expand(len(cams), -1, -1, -1)
        cams = F.grid_sample(cams, grid, mode="bicubic", padding_mode="border", align_corners=True)
        return cams.clamp(0, 1)

    def network_view(self, image: ImageLike) -> np.ndarray:
        """The part of the photo that the network gets, uint8 (480, 480, 3). Raises ImageError."""
        photo = central_square(image)
        margin = round(photo.width * (1 - self.view) / 2)
        box = (margin, margin, photo.width - margin, photo.width - margin)
        return np.asarray(photo.resize((480, 480), Image.Resampling.BICUBIC, box))

    def _prepare(self, photos: np.ndarray) -> Tensor:
        x = self._normalise(self._resize(square(_to_tensor(photos))))
        return x.contiguous(memory_format=torch.channels_last)


def central_square(image: ImageLike) -> Image.Image:
    """An image's central square, upright RGB, reduced by integer factors to below 1024 px.

    Raises:
        ImageError: no usable image.
    """
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
    """CIFAR's size: float (B, 3, S, S) in [0, 1] -> (B, 3, 32, 32)."""
    if x.shape[-1] == 32:
        return x
    x = F.interpolate(x, (32, 32), mode="bicubic", align_corners=False, antialias=True)
    return x.clamp(0, 1)


def enlarge_and_normalise(x: Tensor, size: int) -> Tensor:
    """float (B, 3, h, w) in [0, 1] -> bicubic (B, 3, size, size), EfficientNet-Lite's input."""
    x = F.interpolate(x, (size, size), mode="bicubic", align_corners=False)
    return normalise(x.clamp(0, 1))


def _to_tensor(photos: np.ndarray) -> Tensor:
    # (B, 3, H, W) uint8
    x = torch.from_numpy(np.array(photos)).to(device.best()).permute(0, 3, 1, 2)
    return x.float() / 255
