"""A small U-Net that finds the ink of handwritten digits in a photo.

After Ronneberger, Fischer, Brox 2015 (arXiv 1505.04597); the first convolution halves the image,
and the last one's four channels are the four pixels of each place (pixel shuffle, Shi et al. 2016,
arXiv 1609.05158), so that the full resolution costs nothing.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS = (16, 32, 48, 64, 96)  # channels at 1/2, 1/4, 1/8, 1/16, 1/32
MULTIPLE = 32  # of the sides of an input, px


def convolution(n_in: int, n_out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False),
        nn.BatchNorm2d(n_out),
        nn.ReLU(inplace=True),
    )


class InkUNet(nn.Module):
    """0.5 M parameters. Takes RGB in [0, 1], sides multiples of 32; returns logits of "ink"."""

    def __init__(self, widths: tuple[int, ...] = WIDTHS):
        super().__init__()
        down = zip((3, *widths[:-1]), widths, strict=True)
        self.down = nn.ModuleList(
            nn.Sequential(convolution(a, b, stride=2), convolution(b, b)) for a, b in down
        )
        up = list(zip(widths[1:], widths[:-1], strict=True))[::-1]
        self.up = nn.ModuleList(convolution(below + here, here) for below, here in up)
        self.head = nn.Conv2d(widths[0], 4, 3, padding=1)
        nn.init.constant_(self.head.bias, -4.0)  # type: ignore[arg-type]  # little of a photo is ink

    def forward(self, x: Tensor) -> Tensor:  # (B, 3, H, W)
        x, skips = 2 * x - 1, []
        for stage in self.down:
            x = stage(x)
            skips.append(x)
        for stage, skip in zip(self.up, skips[-2::-1], strict=True):
            x = stage(torch.cat([F.interpolate(x, scale_factor=2.0), skip], 1))
        return F.pixel_shuffle(self.head(x), 2)  # (B, 1, H, W)
