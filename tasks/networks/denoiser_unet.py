"""A U-Net that restores images: it takes the image and says what to add to it.

The residual is learned, as in DnCNN (Zhang et al. 2017, arXiv 1608.03981); the work is done
on the image folded to half resolution and the strength of the damage comes as a map, as in
FFDNet (Zhang et al. 2018, arXiv 1710.04026); blocks, scales and additive skips are DRUNet's (Zhang
et al. 2021, arXiv 2008.13751). No layer has a bias (Mohan et al. 2020, arXiv 1906.05478): image
and map times c give the result times c, so that brightness is kept and noise levels that were
never trained are met in the same way.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Block(nn.Module):
    """x + conv(relu(conv(x))); the last kernel starts at zero, so that a new network is the
    identity.
    """

    def __init__(self, width: int):
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(self.first.weight, nonlinearity="relu")
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:  # (B, width, H, W)
        return x + self.second(F.relu(self.first(x)))


class DenoiserUNet(nn.Module):
    """float (B, C, H, W) in [0, 1] and maps (B, M, 1, 1) -> the restored image (B, C, H, W).

    Args:
        channels: C of the images.
        maps: M, how many numbers say what is wrong with the image (one: the noise's sigma, in
            the image's range).
        widths: channels of each scale.
        blocks: residual blocks of each scale, on the way down and again on the way up; the last
            one: in the middle.
        fold: px a side that go into the channels first.
    """

    def __init__(
        self,
        channels: int = 1,
        maps: int = 1,
        widths: Sequence[int] = (32, 64, 128),
        blocks: Sequence[int] = (2, 2, 2),
        fold: int = 2,
    ):
        super().__init__()
        self.channels, self.maps, self.fold = channels, maps, fold
        # sides of the image must be multiples of this
        self.multiple = fold * 2 ** (len(widths) - 1)
        self.head = nn.Conv2d(channels * fold**2 + maps, widths[0], 3, padding=1, bias=False)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        for width, wider, n in zip(widths, widths[1:], blocks, strict=False):
            self.encoder.append(nn.Sequential(*(Block(width) for _ in range(n))))
            self.down.append(nn.Conv2d(width, wider, 2, stride=2, bias=False))
            self.up.append(nn.ConvTranspose2d(wider, width, 2, stride=2, bias=False))
            self.decoder.append(nn.Sequential(*(Block(width) for _ in range(n))))
        self.middle = nn.Sequential(*(Block(widths[-1]) for _ in range(blocks[-1])))
        self.tail = nn.Conv2d(widths[0], channels * fold**2, 3, padding=1, bias=False)
        nn.init.zeros_(self.tail.weight)

    def forward(self, x: Tensor, maps: Tensor) -> Tensor:  # (B, C, H, W), (B, M, 1, 1)
        folded = F.pixel_unshuffle(x, self.fold)  # (B, 4 C, H/2, W/2)
        maps = maps.expand(-1, -1, *folded.shape[2:])  # (B, M, H/2, W/2)
        h = self.head(torch.cat([folded, maps.to(folded.dtype)], 1))  # (B, 32, H/2, W/2)
        skips = []
        for blocks, down in zip(self.encoder, self.down, strict=True):
            h = blocks(h)
            skips.append(h)
            h = down(h)  # (B, 64, H/4, W/4), (B, 128, H/8, W/8)
        h = self.middle(h)
        for blocks, up in zip(reversed(self.decoder), reversed(self.up), strict=True):
            h = blocks(up(h) + skips.pop())
        return x + F.pixel_shuffle(self.tail(h), self.fold).to(x.dtype)
