"""EfficientNet-Lite0 and Lite2: inverted residuals without squeeze-and-excitation, ReLU6
throughout.

Tan and Le 2019 (arXiv 1905.11946); the Lite variant: github.com/tensorflow/tpu, efficientnet/lite.
Takes float32 (B, 3, H, W) in [-1, 1] with sides that are multiples of 32, returns logits (B,
n_classes).
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Stage(NamedTuple):
    """One row of the paper's table 1, as Lite0 has it."""

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
SCALES = {0: (1.0, 1.0), 2: (1.1, 1.2)}
"""Variant -> (width, depth) as multiples of Lite0's; Lite leaves stem, first and last stage as
deep as they are.
"""


def scaled(variant: int) -> tuple[Stage, ...]:
    """The stages of a variant: widths in multiples of 8, which never lose more than a tenth,
    depths rounded up.
    """
    width, depth = SCALES[variant]
    last = len(STAGES) - 1

    def wide(n: int) -> int:
        eights = max(8, int(n * width + 4) // 8 * 8)
        return eights if eights >= 0.9 * n * width else eights + 8

    return tuple(
        s._replace(
            width=wide(s.width), blocks=s.blocks if i in (0, last) else math.ceil(s.blocks * depth)
        )
        for i, s in enumerate(STAGES)
    )


class HalvingConv2d(nn.Conv2d):
    """Stride 2 on even sides, padded one more right and below: TensorFlow's way, in which the
    weights were trained.
    """

    def forward(self, x: Tensor) -> Tensor:
        before, after = (self.kernel_size[0] - 2) // 2, (self.kernel_size[0] - 1) // 2
        return super().forward(F.pad(x, (before, after, before, after)))


def conv_bn(
    n_in: int, n_out: int, kernel: int, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    convolution, padding = (HalvingConv2d, 0) if stride == 2 else (nn.Conv2d, kernel // 2)
    return [
        convolution(n_in, n_out, kernel, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(n_out, eps=1e-3, momentum=0.01),
    ]


class InvertedResidual(nn.Module):
    """1x1 to wide, depthwise k x k, 1x1 to narrow; added to the input where the shapes agree."""

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


class EfficientNetLite(nn.Module):
    """3.4 M parameters with ten classes, 4.8 M as Lite2.

    Args:
        dropout: before the linear layer, training only.
        variant: 0 or 2.
    """

    def __init__(self, n_classes: int = 10, dropout: float = 0.2, variant: int = 0):
        super().__init__()
        self.variant = variant
        self.stem = nn.Sequential(*conv_bn(3, STEM, 3, 2), nn.ReLU6(inplace=True))
        stages, n_in = [], STEM
        for s in scaled(variant):
            blocks = []
            for i in range(s.blocks):
                blocks.append(
                    InvertedResidual(n_in, s.width, s.kernel, s.stride if i == 0 else 1, s.expand)
                )
                n_in = s.width
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.neck = nn.Sequential(*conv_bn(n_in, HEAD, 1), nn.ReLU6(inplace=True))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(HEAD, n_classes)

    def first(self, stages: int) -> nn.Sequential:
        """The stem and so many stages."""
        return nn.Sequential(self.stem, *self.stages[:stages])

    def maps(self, x: Tensor, passed: int | None = None) -> Tensor:  # (B, 3, H, W)
        """The last maps but one, (B, 192 or 208, H/32, W/32); `passed`: of what `first(passed)`
        returned.
        """
        return self.stages[passed or 0 : -1](self.stem(x) if passed is None else x)

    def pooled(self, x: Tensor) -> Tensor:  # (B, 3, H, W)
        """What the linear layer gets, (B, 1280)."""
        return self._pooled_maps(self.maps(x))

    def last_maps(self, x: Tensor) -> Tensor:  # (B, 3, H, W)
        """The maps whose means the linear layer gets, (B, 1280, H/32, W/32)."""
        return self.neck(self.stages[-1](self.maps(x)))

    def _pooled_maps(self, maps: Tensor) -> Tensor:
        x = self.neck(self.stages[-1](maps))  # (B, 1280, H/32, W/32)
        return F.adaptive_avg_pool2d(x, 1).flatten(1)

    def from_maps(self, maps: Tensor) -> Tensor:
        """The logits, from what `maps` returned."""
        return self.head(self.dropout(self._pooled_maps(maps)))  # (B, n_classes)

    def forward(self, x: Tensor, passed: int | None = None) -> Tensor:  # (B, 3, H, W), or as `maps`
        return self.from_maps(self.maps(x, passed))


class LiteEnsemble(nn.Module):
    """EfficientNet-Lites whose logits are averaged. `together` is where the maps of all of them
    pass, side by side.
    """

    def __init__(self, members: Sequence[EfficientNetLite]):
        super().__init__()
        self.members, self.together = nn.ModuleList(members), nn.Identity()
        self.widths = [scaled(member.variant)[-2].width for member in members]

    def forward(self, x: Tensor) -> Tensor:  # (B, 3, H, W)
        members: Any = self.members
        maps = self.together(torch.cat([member.maps(x) for member in members], 1))
        parts = maps.split(self.widths, 1)
        return torch.stack(
            [member.from_maps(part) for member, part in zip(members, parts, strict=True)]
        ).mean(0)


# what EfficientNet-Lite's ImageNet weights were trained with
LITE_MEAN, LITE_STD = (
    127 / 255,
    128 / 255,
)


def normalise(x: Tensor) -> Tensor:
    """float (B, 3, H, W) in [0, 1] -> the same shape in [-1, 1], channels last."""
    return ((x - LITE_MEAN) / LITE_STD).contiguous(memory_format=torch.channels_last)
