"""torchvision's detectors, to compare with YOLO: SSDlite, SSD300-VGG16 and Faster R-CNN, trained on COCO.

Liu et al. 2016, SSD (arXiv 1512.02325); Ren et al. 2015, Faster R-CNN (arXiv 1506.01497). Their weights are downloaded
on first use.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from tasks import compute, downloads
from tasks.detection import MAX_BOXES, Detections
from tasks.images import ImageError, ImageLike, to_rgb
from tasks.weights import WeightsError, filled


@dataclass(frozen=True)
class Architecture:
    """A detector of torchvision's."""

    title: str
    megabytes: int
    weights: str  # torchvision's enumeration that has its COCO weights
    how: str  # one line: what sets it apart from YOLO


ARCHITECTURES = {
    "ssdlite320_mobilenet_v3_large": Architecture(
        "SSDlite · MobileNetV3", 13, "SSDLite320_MobileNet_V3_Large_Weights",
        "one pass, anchor boxes of fixed shapes, made for phones",
    ),
    "ssd300_vgg16": Architecture(
        "SSD300 · VGG-16", 136, "SSD300_VGG16_Weights", "one pass, anchor boxes at six scales",
    ),
    "fasterrcnn_resnet50_fpn_v2": Architecture(
        "Faster R-CNN · ResNet-50", 167, "FasterRCNN_ResNet50_FPN_V2_Weights",
        "two passes: propose regions, then look at each of them",
    ),
}  # fmt: skip


class TorchvisionDetector:
    """One of ARCHITECTURES, with the same `detect` as `detection.Detector`, as far as it goes."""

    def __init__(self, name: str, network: nn.Module, class_names: tuple[str, ...]):
        self.name, self.title, self.class_names = name, ARCHITECTURES[name].title, class_names
        self.network = network.eval().requires_grad_(False).to(compute.device())

    @classmethod
    def load(cls, name: str, progress: downloads.Progress | None = None) -> "TorchvisionDetector":
        """Raises WeightsError: unknown name, download impossible, file damaged."""
        if not isinstance(name, str) or name not in ARCHITECTURES:
            raise WeightsError(f"There is no detector {str(name)[:40]!r}; there are {', '.join(ARCHITECTURES)}.")
        from torchvision.models import detection

        weights = getattr(detection, ARCHITECTURES[name].weights).DEFAULT
        try:
            file = downloads.fetch(weights.url, progress)
        except downloads.DownloadError as error:
            raise WeightsError(
                f"{ARCHITECTURES[name].title} is not here yet and could not be downloaded: {error}. YOLO works without."
            ) from error
        network = filled(lambda: build(name, len(weights.meta["categories"])), file)
        return cls(name, network, tuple(weights.meta["categories"]))

    @torch.inference_mode()
    def detect(self, image: ImageLike, confidence: float = 0.25) -> Detections:
        """Find objects; `confidence`: boxes below this are left out, [0, 1]. Raises ImageError."""
        if not 0 <= confidence <= 1:
            raise ImageError(f"confidence lies between 0 and 1; {confidence} came.")
        rgb = np.array(to_rgb(image))
        with compute.stopwatch() as before:
            x = torch.from_numpy(rgb).to(compute.device()).permute(2, 0, 1).float() / 255  # (3, H, W)
        with compute.stopwatch() as network:  # resizing, boxes and suppression are inside
            (found,) = self.network([x])
        keep = (found["scores"] >= confidence).nonzero()[:MAX_BOXES, 0]
        boxes, scores, labels = (found[key][keep].cpu().numpy() for key in ("boxes", "scores", "labels"))
        speed = {"preprocess": before(), "inference": network(), "postprocess": 0.0}
        return Detections(
            boxes.astype(np.float32), scores.astype(np.float32), labels.astype(np.int64), self.class_names,
            speed_ms=speed,
        )  # fmt: skip


def build(name: str, n_classes: int) -> nn.Module:
    """The architecture with random weights; nothing is downloaded."""
    from torchvision.models import detection

    network: nn.Module = getattr(detection, name)(weights=None, weights_backbone=None, num_classes=n_classes)
    return network
