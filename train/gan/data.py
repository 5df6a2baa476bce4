"""The GAN's inputs: images in [-1, 1], fixed noise, shifts."""

import torch
import torch.nn.functional as F
from torch import Tensor


def to_range(images: Tensor) -> Tensor:
    """uint8 -> float32 in [-1, 1]."""
    return images.float() / 127.5 - 1


def fixed_noise(n: int) -> Tensor:
    """float32 (n, 100), always the same."""
    return torch.randn(n, 100, generator=torch.Generator().manual_seed(0))


def shifted(x: Tensor, at_most: int) -> Tensor:
    """Each image shifted at random by up to `at_most` px in both directions, -1 at the border.

    x: (B, 1, H, W) in [-1, 1].
    """
    if at_most == 0:
        return x
    n, side = len(x), x.shape[2]
    padded = F.pad(x[:, 0], (at_most,) * 4, value=-1.0)
    top, left = torch.randint(0, 2 * at_most + 1, (2, n, 1), device=x.device)
    along = torch.arange(side, device=x.device)
    index = torch.arange(n, device=x.device)[:, None, None]
    return padded[index, (top + along)[:, :, None], (left + along)[:, None, :]][:, None]
