"""U-Net whose encoder is an EfficientNet-Lite0: what the encoder gave up in sharpness comes back
over the skips.

Ronneberger, Fischer, Brox 2015 (arXiv 1505.04597); Tan and Le 2019 (arXiv 1905.11946). Takes
float32 (B, 3, H, W) in [-1, 1] with sides that are multiples of 32, returns logits (B, n_classes,
H, W).
"""

import copy
from collections.abc import Collection, Iterable, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tasks.networks.efficientnet_lite import EfficientNetLite

TAPS = (0, 1, 2, 4, 6)  # the stages after which the sides are halved, or the encoder ends
ENCODER_WIDTHS = (16, 24, 40, 112, 320)
# of which there are skips: a map of scale 4 has a quarter of the image's sides
SCALES = (2, 4, 8, 16)


class Up(nn.Module):
    """Twice as large, beside the skip; then two 3x3 convolutions."""

    def __init__(self, n_in: int, n_skip: int, n_out: int):
        super().__init__()
        self.n_in = n_in
        self.convs = nn.Sequential(
            nn.Conv2d(n_in + n_skip, n_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(inplace=True),
            nn.Conv2d(n_out, n_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        return self.convs(torch.cat([x, skip], 1))


class ShortUp(nn.Module):
    """What an `Up` computes, in less work: 3x3 px of an enlarged map are 2x2 of the small one, each
    counted for more.

    Enlarging and convolving are one transposed convolution, 4x4 with stride 2; the skip has a
    convolution of its own. The same up to rounding, for inference.
    """

    # which of the 3 meet in each of the 4
    TAKEN = torch.tensor([[0.0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]])

    def __init__(self, up: Up):
        super().__init__()
        first, norm, _, second, second_norm, _ = cast("Iterable[Any]", up.convs)
        first, second = fuse_conv_bn_eval(first, norm), fuse_conv_bn_eval(second, second_norm)
        # kernel: (n_out, n_in + n_skip, 3, 3)
        kernel, n_in, n_out = (first.weight.detach(), up.n_in, first.out_channels)
        self.up = nn.ConvTranspose2d(n_in, n_out, 4, 2, 1, bias=False)
        self.skip = nn.Conv2d(first.in_channels - n_in, n_out, 3, padding=1)
        with torch.no_grad():
            self.up.weight.copy_(
                torch.einsum("ra,sb,oiab->iors", self.TAKEN, self.TAKEN, kernel[:, :n_in])
            )
            self.skip.weight.copy_(kernel[:, n_in:])
            cast("Tensor", self.skip.bias).copy_(first.bias)
        self.rest = nn.Sequential(nn.ReLU(), second, nn.ReLU())

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        out: Tensor = self.rest(self.up(x) + self.skip(skip))
        return out


def with_short_ways_up(network: "UNetLite0") -> "UNetLite0":
    """The same function in fewer operations, for inference; the network itself stays as it is."""
    short = copy.deepcopy(network).eval()
    for name in ("up16", "up8", "up4", "up2"):
        setattr(short, name, ShortUp(getattr(short, name)))
    return short


class UNetLite0(nn.Module):
    """3.8 M parameters, three quarters of them the encoder's.

    Args:
        widths: channels of the decoder at scales 16, 8, 4, 2.
    """

    def __init__(self, n_classes: int = 11, widths: Sequence[int] = (128, 64, 32, 24)):
        super().__init__()
        encoder = EfficientNetLite()
        self.stem, self.stages = encoder.stem, encoder.stages
        s2, s4, s8, s16, s32 = ENCODER_WIDTHS
        self.up16 = Up(s32, s16, widths[0])
        self.up8 = Up(widths[0], s8, widths[1])
        self.up4 = Up(widths[1], s4, widths[2])
        self.up2 = Up(widths[2], s2, widths[3])
        self.head = nn.Conv2d(widths[3], n_classes, 1)

    def encode(self, x: Tensor) -> list[Tensor]:  # (B, 3, H, W)
        """The maps at scales 2, 4, 8, 16 and 32."""
        x, maps = self.stem(x), []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in TAPS:
                maps.append(x)
        return maps

    def decode(self, e2: Tensor, e4: Tensor, e8: Tensor, e16: Tensor, e32: Tensor) -> list[Tensor]:
        """The decoder's maps at scales 16, 8, 4 and 2."""
        d16 = self.up16(e32, e16)  # (B, 128, H/16, W/16)
        d8 = self.up8(d16, e8)  # (B, 64, H/8, W/8)
        d4 = self.up4(d8, e4)  # (B, 32, H/4, W/4)
        d2 = self.up2(d4, e2)  # (B, 24, H/2, W/2)
        return [d16, d8, d4, d2]

    def classify(self, d2: Tensor) -> Tensor:
        """(B, 24, H/2, W/2) -> logits (B, n_classes, H, W)."""
        logits = self.head(d2).contiguous()  # channels last, what follows would take twice the time
        return F.interpolate(logits, scale_factor=2.0, mode="bilinear", align_corners=False)

    def forward(self, x: Tensor) -> Tensor:  # (B, 3, H, W)
        return self.classify(self.decode(*self.encode(x))[-1])  # (B, n_classes, H, W)

    def maps(self, x: Tensor, cut: Collection[int] = ()) -> dict[str, Tensor]:
        """Every map by name, "encoder 1/2" to "decoder 1/2", and "logits".

        Skips of the scales in `cut` carry zeros.
        """
        encoded = self.encode(x)
        kept = [
            torch.zeros_like(e) if s in cut else e for s, e in zip(SCALES, encoded, strict=False)
        ]
        decoded = self.decode(*kept, encoded[-1])  # type: ignore[call-arg]
        named = {f"encoder 1/{s}": e for s, e in zip((*SCALES, 32), encoded, strict=True)}
        named |= {f"decoder 1/{s}": d for s, d in zip(SCALES[::-1], decoded, strict=True)}
        return named | {"logits": self.classify(decoded[-1])}
