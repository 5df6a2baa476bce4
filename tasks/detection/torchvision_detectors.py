"""torchvision's detectors, for comparison with YOLO: SSDlite, SSD300-VGG16 and Faster R-CNN.

Liu et al. 2015, SSD (arXiv 1512.02325); Ren et al. 2015, Faster R-CNN (arXiv 1506.01497). Their
weights are trained on COCO and downloaded on first use.
"""

import numpy as np
import torch
from torch import nn

from tasks.core import device, downloads
from tasks.core.device import stopwatch
from tasks.core.images import ImageError, ImageLike, to_rgb
from tasks.core.weights import WeightsError, filled
from tasks.detection.detector import MAX_BOXES, Detections
from tasks.models import TORCHVISION_DETECTORS


class TorchvisionDetector:
    """One of `tasks.models.TORCHVISION_DETECTORS`; `detect` as `Detector` has it, without NMS."""

    def __init__(self, name: str, network: nn.Module, class_names: tuple[str, ...]):
        self.name, self.class_names = name, class_names
        self.title = TORCHVISION_DETECTORS[name].title
        self.network = network.eval().requires_grad_(False).to(device.best())

    @classmethod
    def load(cls, name: str, progress: downloads.Progress | None = None) -> "TorchvisionDetector":
        """Raises WeightsError: unknown name, download impossible, file damaged."""
        if not isinstance(name, str) or name not in TORCHVISION_DETECTORS:
            known = ", ".join(TORCHVISION_DETECTORS)
            raise WeightsError(f"There is no detector {str(name)[:40]!r}; there are {known}.")
        from torchvision.models import detection

        model = TORCHVISION_DETECTORS[name]
        pretrained = getattr(detection, model.weights).DEFAULT
        class_names = tuple(pretrained.meta["categories"])
        try:
            file = downloads.fetch(pretrained.url, progress)
        except downloads.DownloadError as error:
            raise WeightsError(
                f"{model.title} is not here yet and could not be downloaded: {error}. "
                "YOLO works without."
            ) from error
        return cls(name, filled(lambda: build(name, len(class_names)), file), class_names)

    @torch.inference_mode()
    def detect(self, image: ImageLike, confidence: float = 0.25) -> Detections:
        """Find objects of at least this confidence, [0, 1]. Raises ImageError."""
        if not 0 <= confidence <= 1:
            raise ImageError(f"confidence lies between 0 and 1; {confidence} came.")
        rgb = np.array(to_rgb(image))
        with stopwatch() as before:
            x = torch.from_numpy(rgb).to(device.best()).permute(2, 0, 1).float() / 255  # (3, H, W)
        with stopwatch() as network:  # includes resizing, boxes and NMS
            (found,) = self.network([x])
        keep = (found["scores"] >= confidence).nonzero()[:MAX_BOXES, 0]
        boxes, scores, labels = (
            found[k][keep].cpu().numpy() for k in ("boxes", "scores", "labels")
        )
        return Detections(
            boxes.astype(np.float32),
            scores.astype(np.float32),
            labels.astype(np.int64),
            self.class_names,
            speed_ms={"preprocess": before(), "inference": network(), "postprocess": 0.0},
        )


def build(name: str, n_classes: int) -> nn.Module:
    """The architecture with random weights; nothing is downloaded."""
    from torchvision.models import detection

    options = {"weights": None, "weights_backbone": None, "num_classes": n_classes}
    network: nn.Module = getattr(detection, name)(**options)
    return network
