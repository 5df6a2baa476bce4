"""The textbook's U-Net: two convolutions at each of five scales, down and up, with skips.

Ronneberger, Fischer, Brox 2015 (arXiv 1505.04597), with batch norm and padded convolutions as is
usual today, and narrower. Takes float32 (B, 3, H, W) in [-1, 1] with sides that are multiples of
16, returns logits (B, n_classes, H, W).
"""

from collections.abc import Collection

import torch
from torch import Tensor, nn

SCALES = (1, 2, 4, 8)  # of which there are skips


def two_convs(n_in: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(n_out),
        nn.ReLU(inplace=True),
        nn.Conv2d(n_out, n_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(n_out),
        nn.ReLU(inplace=True),
    )


class UNet(nn.Module):
    """1.9 M parameters at a width of 16; the paper's 64 has 31 M.

    Args:
        width: channels at the full scale; twice as many at each scale below.
    """

    def __init__(self, n_classes: int = 11, width: int = 16):
        super().__init__()
        w = [width * 2**i for i in range(5)]
        self.pool = nn.MaxPool2d(2)
        self.down1, self.down2 = two_convs(3, w[0]), two_convs(w[0], w[1])
        self.down4, self.down8 = two_convs(w[1], w[2]), two_convs(w[2], w[3])
        self.bottom = two_convs(w[3], w[4])
        self.grow8, self.up8 = nn.ConvTranspose2d(w[4], w[3], 2, 2), two_convs(w[4], w[3])
        self.grow4, self.up4 = nn.ConvTranspose2d(w[3], w[2], 2, 2), two_convs(w[3], w[2])
        self.grow2, self.up2 = nn.ConvTranspose2d(w[2], w[1], 2, 2), two_convs(w[2], w[1])
        self.grow1, self.up1 = nn.ConvTranspose2d(w[1], w[0], 2, 2), two_convs(w[1], w[0])
        self.head = nn.Conv2d(w[0], n_classes, 1)

    def encode(self, x: Tensor) -> list[Tensor]:  # (B, 3, H, W)
        """The maps at scales 1, 2, 4, 8 and 16."""
        e1 = self.down1(x)  # (B, 16, H, W)
        e2 = self.down2(self.pool(e1))  # (B, 32, H/2, W/2)
        e4 = self.down4(self.pool(e2))  # (B, 64, H/4, W/4)
        e8 = self.down8(self.pool(e4))  # (B, 128, H/8, W/8)
        return [e1, e2, e4, e8, self.bottom(self.pool(e8))]  # (B, 256, H/16, W/16)

    def decode(self, e1: Tensor, e2: Tensor, e4: Tensor, e8: Tensor, e16: Tensor) -> list[Tensor]:
        """The decoder's maps at scales 8, 4, 2 and 1."""
        d8 = self.up8(torch.cat([self.grow8(e16), e8], 1))
        d4 = self.up4(torch.cat([self.grow4(d8), e4], 1))
        d2 = self.up2(torch.cat([self.grow2(d4), e2], 1))
        d1 = self.up1(torch.cat([self.grow1(d2), e1], 1))
        return [d8, d4, d2, d1]

    def forward(self, x: Tensor) -> Tensor:  # (B, 3, H, W)
        return self.head(self.decode(*self.encode(x))[-1])  # (B, n_classes, H, W)

    def maps(self, x: Tensor, cut: Collection[int] = ()) -> dict[str, Tensor]:
        """Every map by name, "encoder 1/1" to "decoder 1/1", and "logits".

        Skips of the scales in `cut` carry zeros.
        """
        encoded = self.encode(x)
        kept = [
            torch.zeros_like(e) if s in cut else e for s, e in zip(SCALES, encoded, strict=False)
        ]
        decoded = self.decode(*kept, encoded[-1])  # type: ignore[call-arg]
        named = {f"encoder 1/{s}": e for s, e in zip((*SCALES, 16), encoded, strict=True)}
        named |= {f"decoder 1/{s}": d for s, d in zip(SCALES[::-1], decoded, strict=True)}
        return named | {"logits": self.head(decoded[-1])}
