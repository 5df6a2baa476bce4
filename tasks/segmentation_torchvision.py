"""torchvision's segmentation networks, to compare with: FCN, DeepLabV3, LRASPP and Mask R-CNN, trained on COCO.

Long et al. 2015, FCN (arXiv 1411.4038); Chen et al. 2017, DeepLabV3 (arXiv 1706.05587); Howard et al. 2019, LRASPP
(arXiv 1905.02244); He et al. 2017, Mask R-CNN (arXiv 1703.06870). Their weights are downloaded on first use. They know
Pascal VOC's or COCO's things (bus, person, car) and call everything else background: no road, no sky.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn

from tasks import compute, downloads
from tasks.images import ImageLike, to_rgb
from tasks.segmentation import MIN_SIDE, palette_of
from tasks.weights import WeightsError, filled

SHORTER = 520  # px of the shorter side that the semantic networks were trained for
MASKED = 0.5  # confidence from which an object of Mask R-CNN's, and a pixel of its mask, count


@dataclass(frozen=True)
class Architecture:
    """A network of torchvision's."""

    title: str
    megabytes: int
    weights: str  # torchvision's enumeration
    objects: bool = False  # finds single objects, with a mask each


ARCHITECTURES = {
    "lraspp_mobilenet_v3_large": Architecture("LRASPP · MobileNetV3", 12, "LRASPP_MobileNet_V3_Large_Weights"),
    "deeplabv3_mobilenet_v3_large": Architecture("DeepLabV3 · MobileNetV3", 42, "DeepLabV3_MobileNet_V3_Large_Weights"),
    "fcn_resnet50": Architecture("FCN · ResNet-50", 135, "FCN_ResNet50_Weights"),
    "deeplabv3_resnet50": Architecture("DeepLabV3 · ResNet-50", 161, "DeepLabV3_ResNet50_Weights"),
    "maskrcnn_resnet50_fpn_v2": Architecture("Mask R-CNN · ResNet-50", 177, "MaskRCNN_ResNet50_FPN_V2_Weights", True),
}


@dataclass(frozen=True)
class Labelled:
    """uint8 (H, W) class ids, 0 is background; the classes' names; colours uint8 (C, 3), background black."""

    class_id: np.ndarray
    class_names: tuple[str, ...]
    palette: np.ndarray

    def found(self) -> dict[str, float]:
        """Each class that is there with its share of the pixels, the largest first, without the background."""
        counts = np.bincount(self.class_id.ravel(), minlength=len(self.class_names)) / self.class_id.size
        there = [i for i in np.argsort(-counts, kind="stable") if counts[i] > 0 and i > 0]
        return {self.class_names[i]: float(counts[i]) for i in there}

    def over(self, rgb: np.ndarray, opacity: float = 0.6) -> np.ndarray:
        """Colours over the picture where something was found; uint8 (H, W, 3)."""
        mixed = cv2.addWeighted(rgb, 1 - opacity, self.palette[self.class_id], opacity, 0)
        return np.where(self.class_id[..., None] > 0, mixed, rgb)


class TorchvisionSegmenter:
    """One of ARCHITECTURES."""

    def __init__(self, name: str, network: nn.Module, class_names: tuple[str, ...]):
        self.name, self.about, self.class_names = name, ARCHITECTURES[name], class_names
        self.palette = np.concatenate([np.zeros((1, 3), np.uint8), palette_of(len(class_names) - 1)])
        self.network = network.eval().requires_grad_(False).to(compute.device())

    @classmethod
    def load(cls, name: str, progress: downloads.Progress | None = None) -> "TorchvisionSegmenter":
        """Raises WeightsError: unknown name, download impossible, file damaged."""
        if not isinstance(name, str) or name not in ARCHITECTURES:
            raise WeightsError(f"There is no segmenter {str(name)[:40]!r}; there are {', '.join(ARCHITECTURES)}.")
        chosen = weights_of(name)
        try:
            file = downloads.fetch(chosen.url, progress)
        except downloads.DownloadError as error:
            raise WeightsError(
                f"{ARCHITECTURES[name].title} is not here yet and could not be downloaded: {error}. The bundled U-Net "
                "works without."
            ) from error
        network = filled(lambda: build(name, len(chosen.meta["categories"])), file)
        return cls(name, network, tuple(chosen.meta["categories"]))

    @torch.inference_mode()
    def label(self, image: ImageLike) -> Labelled:
        """Raises ImageError."""
        rgb = np.array(to_rgb(image, min_side=MIN_SIDE))
        x = torch.from_numpy(rgb).to(compute.device()).permute(2, 0, 1).float() / 255  # (3, H, W)
        ids = self._objects(x) if self.about.objects else self._pixels(x)
        return Labelled(ids, self.class_names, self.palette)

    def _pixels(self, x: torch.Tensor) -> np.ndarray:
        from torchvision.transforms.v2 import functional as T

        size = x.shape[1:]
        scale = min(1.0, SHORTER / min(size))
        small = T.resize(x, [max(1, round(side * scale)) for side in size], antialias=True)
        small = T.normalize(small, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
        logits = self.network(small[None])["out"]
        logits = nn.functional.interpolate(logits.half().float(), size, mode="bilinear", align_corners=False)
        return logits[0].argmax(0).to(torch.uint8).cpu().numpy()

    def _objects(self, x: torch.Tensor) -> np.ndarray:
        """The surest object on top."""
        (found,) = self.network([x])
        ids = np.zeros(x.shape[1:], np.uint8)
        for i in reversed((found["scores"] >= MASKED).nonzero()[:, 0].tolist()):
            ids[(found["masks"][i, 0] >= MASKED).cpu().numpy()] = int(found["labels"][i])
        return ids


def weights_of(name: str) -> Any:
    """torchvision's best weights of an architecture: `url`, `meta`."""
    from torchvision.models import detection, segmentation

    about = ARCHITECTURES[name]
    return getattr(detection if about.objects else segmentation, about.weights).DEFAULT


def build(name: str, n_classes: int) -> nn.Module:
    """The architecture with random weights, as the published ones want it; nothing is downloaded."""
    from torchvision.models import detection, segmentation

    options = {"weights": None, "weights_backbone": None, "num_classes": n_classes}
    if ARCHITECTURES[name].objects:
        network: nn.Module = getattr(detection, name)(**options)
        return network
    if not name.startswith("lraspp"):
        options["aux_loss"] = True  # the published weights have that head, too
    network = getattr(segmentation, name)(**options)
    return network
