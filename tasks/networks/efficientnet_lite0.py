"""EfficientNet-Lite0: inverted residuals without squeeze-and-excitation, ReLU6 throughout.

Tan and Le 2019 (arXiv 1905.11946); the Lite variant: github.com/tensorflow/tpu, efficientnet/lite. Takes float32
(B, 3, H, W) in [-1, 1] with sides that are multiples of 32, returns logits (B, n_classes).
"""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn


class Stage(NamedTuple):
    """One row of the paper's table 1."""

    blocks: int
    kernel: int
    stride: int
    expand: int
    width: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
STEM, HEAD = 32, 1280


class HalvingConv2d(nn.Conv2d):
    """Stride 2 on even sides, padded one more right and below: TensorFlow's way, in which the weights were trained."""

    def forward(self, x: Tensor) -> Tensor:
        before, after = (self.kernel_size[0] - 2) // 2, (self.kernel_size[0] - 1) // 2
        return super().forward(F.pad(x, (before, after, before, after)))


def conv_bn(n_in: int, n_out: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    convolution, padding = (HalvingConv2d, 0) if stride == 2 else (nn.Conv2d, kernel // 2)
    return [
        convolution(n_in, n_out, kernel, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(n_out, eps=1e-3, momentum=0.01),
    ]


class InvertedResidual(nn.Module):
    """1x1 to wide, depthwise k x k, 1x1 back to narrow; added to its input where the shapes agree."""

    def __init__(self, n_in: int, n_out: int, kernel: int, stride: int, expand: int):
        super().__init__()
        wide = n_in * expand
        widen = [*conv_bn(n_in, wide, 1), nn.ReLU6(inplace=True)] if expand > 1 else []
        self.block = nn.Sequential(
            *widen,
            *conv_bn(wide, wide, kernel, stride, groups=wide),
            nn.ReLU6(inplace=True),
            *conv_bn(wide, n_out, 1),
        )
        self.residual = stride == 1 and n_in == n_out

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x) if self.residual else self.block(x)


class EfficientNetLite0(nn.Module):
    """3.4 M parameters and a linear layer of 1280 x n_classes.

    Args:
        dropout: before the linear layer, training only.
    """

    def __init__(self, n_classes: int = 10, dropout: float = 0.2):
        super().__init__()
        self.stem = nn.Sequential(*conv_bn(3, STEM, 3, 2), nn.ReLU6(inplace=True))
        stages, n_in = [], STEM
        for s in STAGES:
            blocks = []
            for i in range(s.blocks):
                blocks.append(InvertedResidual(n_in, s.width, s.kernel, s.stride if i == 0 else 1, s.expand))
                n_in = s.width
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.neck = nn.Sequential(*conv_bn(n_in, HEAD, 1), nn.ReLU6(inplace=True))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(HEAD, n_classes)

    def pooled(self, x: Tensor) -> Tensor:  # (B, 3, H, W)
        """What the linear layer gets, (B, 1280)."""
        x = self.stages(self.stem(x))  # (B, 320, H/32, W/32)
        x = self.neck(x)  # (B, 1280, H/32, W/32)
        return F.adaptive_avg_pool2d(x, 1).flatten(1)

    def forward(self, x: Tensor) -> Tensor:  # (B, 3, H, W)
        return self.head(self.dropout(self.pooled(x)))  # (B, n_classes)
