"""torchvision's segmentation networks, for comparison: FCN, DeepLabV3, LRASPP and Mask R-CNN.

Long et al. 2015, FCN (arXiv 1411.4038); Chen et al. 2017, DeepLabV3 (arXiv 1706.05587); Howard et
al. 2019, LRASPP (arXiv 1905.02244); He et al. 2017, Mask R-CNN (arXiv 1703.06870). Their weights
are trained on COCO and downloaded on first use. They know the things of Pascal VOC or COCO (bus,
person, car) and call everything else background: no road, no sky.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn

from tasks.core import device, downloads
from tasks.core.images import ImageLike, to_rgb
from tasks.core.weights import WeightsError, filled
from tasks.models import TORCHVISION_SEGMENTERS
from tasks.segmentation.segmenter import MIN_SIDE, make_palette

SHORTER_SIDE = 520  # px that the semantic networks were trained for
MASK_THRESHOLD = 0.5  # least confidence of Mask R-CNN's objects, and of the pixels in their masks
IMAGENET_MEAN, IMAGENET_STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


@dataclass(frozen=True)
class LabelledImage:
    """uint8 (H, W) class ids, 0 is background; class names; colours uint8 (C, 3)."""

    class_id: np.ndarray
    class_names: tuple[str, ...]
    palette: np.ndarray

    def shares(self) -> dict[str, float]:
        """Each class found with its share of the pixels, the largest first, no background."""
        n = len(self.class_names)
        shares = np.bincount(self.class_id.ravel(), minlength=n) / self.class_id.size
        found = [i for i in np.argsort(-shares, kind="stable") if shares[i] > 0 and i > 0]
        return {self.class_names[i]: float(shares[i]) for i in found}

    def overlay(self, rgb: np.ndarray, opacity: float = 0.6) -> np.ndarray:
        """Colours over the image where something was found; uint8 (H, W, 3)."""
        mixed = cv2.addWeighted(rgb, 1 - opacity, self.palette[self.class_id], opacity, 0)
        return np.where(self.class_id[..., None] > 0, mixed, rgb)


class TorchvisionSegmenter:
    """One of `tasks.models.TORCHVISION_SEGMENTERS`."""

    def __init__(self, name: str, network: nn.Module, class_names: tuple[str, ...]):
        self.name, self.class_names = name, class_names
        self.finds_objects = TORCHVISION_SEGMENTERS[name].objects
        background = np.zeros((1, 3), np.uint8)
        self.palette = np.concatenate([background, make_palette(len(class_names) - 1)])
        self.network = network.eval().requires_grad_(False).to(device.best())

    @classmethod
    def load(cls, name: str, progress: downloads.Progress | None = None) -> "TorchvisionSegmenter":
        """Raises WeightsError: unknown name, download impossible, file damaged."""
        if not isinstance(name, str) or name not in TORCHVISION_SEGMENTERS:
            known = ", ".join(TORCHVISION_SEGMENTERS)
            raise WeightsError(f"There is no segmenter {str(name)[:40]!r}; there are {known}.")
        pretrained = pretrained_weights(name)
        class_names = tuple(pretrained.meta["categories"])
        try:
            file = downloads.fetch(pretrained.url, progress)
        except downloads.DownloadError as error:
            raise WeightsError(
                f"{TORCHVISION_SEGMENTERS[name].title} is not here yet and could not be "
                f"downloaded: {error}. The bundled U-Net works without."
            ) from error
        return cls(name, filled(lambda: build(name, len(class_names)), file), class_names)

    @torch.inference_mode()
    def segment(self, image: ImageLike) -> LabelledImage:
        """Raises ImageError."""
        rgb = np.array(to_rgb(image, min_side=MIN_SIDE))
        x = torch.from_numpy(rgb).to(device.best()).permute(2, 0, 1).float() / 255  # (3, H, W)
        ids = self._segment_objects(x) if self.finds_objects else self._segment_pixels(x)
        return LabelledImage(ids, self.class_names, self.palette)

    def _segment_pixels(self, x: torch.Tensor) -> np.ndarray:
        from torchvision.transforms.v2 import functional as T

        size = x.shape[1:]
        scale = min(1.0, SHORTER_SIDE / min(size))
        small = T.resize(x, [max(1, round(side * scale)) for side in size], antialias=True)
        logits = self.network(T.normalize(small, IMAGENET_MEAN, IMAGENET_STD)[None])["out"]
        logits = nn.functional.interpolate(
            logits.half().float(), size, mode="bilinear", align_corners=False
        )
        return logits[0].argmax(0).to(torch.uint8).cpu().numpy()

    def _segment_objects(self, x: torch.Tensor) -> np.ndarray:
        """Where masks overlap, the most confident object is on top."""
        (found,) = self.network([x])
        ids = np.zeros(x.shape[1:], np.uint8)
        for i in reversed((found["scores"] >= MASK_THRESHOLD).nonzero()[:, 0].tolist()):
            ids[(found["masks"][i, 0] >= MASK_THRESHOLD).cpu().numpy()] = int(found["labels"][i])
        return ids


def pretrained_weights(name: str) -> Any:
    """torchvision's best weights of an architecture: `url`, `meta`."""
    from torchvision.models import detection, segmentation

    model = TORCHVISION_SEGMENTERS[name]
    return getattr(detection if model.objects else segmentation, model.weights).DEFAULT


def build(name: str, n_classes: int) -> nn.Module:
    """The architecture with random weights; nothing is downloaded."""
    from torchvision.models import detection, segmentation

    options = {"weights": None, "weights_backbone": None, "num_classes": n_classes}
    if TORCHVISION_SEGMENTERS[name].objects:
        network: nn.Module = getattr(detection, name)(**options)
        return network
    if not name.startswith("lraspp"):
        options["aux_loss"] = True  # the published weights have that head, too
    network = getattr(segmentation, name)(**options)
    return network
