"""The hyper-parameters of the segmentation networks' trainings."""

from dataclasses import dataclass
from typing import Any

from torch import nn

from tasks.networks.unet import UNet
from tasks.networks.unet_lite0 import UNetLite0

WEIGHT_DECAY = 0.05  # AdamW's, on kernels
ENCODER_LR = 0.3  # of the decoder's learning rate, so that ImageNet is not forgotten
FROZEN = 2  # stages, after the stem, that keep ImageNet's weights: a third of the time
FOLDED = 3  # stages, after the stem, whose batch norms keep ImageNet's statistics


@dataclass(frozen=True)
class Plan:
    """What is trained, and how long."""

    network: type[nn.Module]
    config: dict[str, Any]
    pretrained: bool
    lr: float
    epochs: float = 14
    batch: int = 4
    size_hw: tuple[int, int] = (288, 384)  # px of the crops
    ema: float = 0.997
    minutes: float | None = None  # instead of the epochs
    init_from_shipped: bool = False  # instead of ImageNet's weights


PLANS = {
    "unet-lite0": Plan(UNetLite0, {"widths": [128, 64, 32, 24]}, pretrained=True, lr=1e-3),
    "unet": Plan(UNet, {"width": 16}, pretrained=False, lr=1.5e-3),
}
ANOTHER_CYCLE: dict[str, Any] = {"init_from_shipped": True, "epochs": 20, "lr": 6e-4}
"""Changes to a plan with --init-from-shipped."""
