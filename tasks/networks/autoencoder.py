"""The textbook's denoising autoencoder for digits (Vincent et al. 2008), with convolutions.

The image is encoded into a few small maps and decoded from them; the code keeps strokes, not noise.
Trained on pairs of a noisy and a clean digit.
"""

import torch.nn.functional as F
from torch import Tensor, nn


class DigitAutoencoderNet(nn.Module):
    """float (B, 1, 28, 28) in [0, 1] -> the clean digit, the same shape and range.

    Args:
        width: channels of the first layer, twice as many in the second.
        code: maps of 7 x 7 in the code.
    """

    def __init__(self, width: int = 32, code: int = 8):
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.to_code = nn.Conv2d(2 * width, code, 3, padding=1)
        self.from_code = nn.Conv2d(code, 2 * width, 3, padding=1)
        self.up1 = nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1)
        self.up2 = nn.ConvTranspose2d(width, width // 2, 4, stride=2, padding=1)
        self.last = nn.Conv2d(width // 2, 1, 3, padding=1)
        assert self.last.bias is not None
        # starts at a digit's mean grey; from 0.5 all ReLUs would die
        nn.init.constant_(self.last.bias, -2.0)

    def encode(self, x: Tensor) -> Tensor:  # (B, 1, 28, 28)
        x = F.relu(self.conv1(x))  # (B, 32, 14, 14)
        x = F.relu(self.conv2(x))  # (B, 64, 7, 7)
        return self.to_code(x)  # (B, 8, 7, 7)

    def decode(self, code: Tensor) -> Tensor:  # (B, 8, 7, 7)
        x = F.relu(self.from_code(code))  # (B, 64, 7, 7)
        x = F.relu(self.up1(x))  # (B, 32, 14, 14)
        x = F.relu(self.up2(x))  # (B, 16, 28, 28)
        return self.last(x).sigmoid()  # (B, 1, 28, 28)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))
