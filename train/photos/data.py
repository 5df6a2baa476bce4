"""Photos of CIFAR-10 as tensors, and their augmentation."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from train.data import ImageSet

ERASED = 10  # px of 32, the side of the erased square


def to_tensor(photos: ImageSet) -> Tensor:
    """uint8 (N, 3, 32, 32)."""
    return torch.from_numpy(photos.images).permute(0, 3, 1, 2).contiguous()


def augment(x: Tensor, size: int) -> Tensor:
    """Vary the light, erase a square of half of them, move, enlarge.

    x: float32 (B, 3, 32, 32) in [0, 1]. Returns float32 (B, 3, size, size) in [0, 1].
    """
    mean = x.mean((1, 2, 3), keepdim=True)
    return moved(erased(relit(x), mean), size)


def relit(x: Tensor) -> Tensor:
    """Another saturation, contrast and brightness."""
    brightness, contrast, saturation = (
        torch.empty(3, len(x), 1, 1, 1, device=x.device).uniform_(0.8, 1.2).unbind()
    )
    x = torch.lerp(x.mean(1, keepdim=True), x, saturation)
    mean = x.mean((1, 2, 3), keepdim=True)
    return ((x - mean) * contrast + mean * brightness).clamp_(0, 1)


def erased(x: Tensor, colour: Tensor) -> Tensor:
    """A square of half of the images gets a colour, (B, 1, 1, 1)."""
    n, side = len(x), x.shape[-1]
    new = partial(torch.empty, device=x.device)
    corner = new(2, n, 1, 1).uniform_(0, side - ERASED + 1).floor()
    along = torch.arange(side, device=x.device)
    rows, cols = along[:, None] - corner[0], along - corner[1]  # (B, 32, 1), (B, 1, 32)
    inside = (rows >= 0) & (rows < ERASED) & (cols >= 0) & (cols < ERASED)
    inside &= new(n, 1, 1).uniform_() < 0.5
    return torch.where(inside[:, None], colour, x)


def moved(x: Tensor, size: int) -> Tensor:
    """Mirrored, turned, sheared, scaled and shifted a little; enlarged to `size` px."""
    n = len(x)
    new = partial(torch.empty, device=x.device)
    across, down, turn, shear = (new(n).uniform_(-1, 1) for _ in range(4))
    scale = new(n).uniform_(0.85, 1.1)
    flip = torch.where(new(n).uniform_() < 0.5, -1.0, 1.0)
    matrix = (
        torch.stack([scale * flip, 0.15 * turn + 0.1 * shear, 0.2 * across], 1),
        torch.stack([-0.15 * turn * flip, scale, 0.2 * down], 1),
    )
    grid = F.affine_grid(torch.stack(matrix, 1), [n, 3, size, size], align_corners=False)
    x = F.grid_sample(x, grid, mode="bicubic", padding_mode="reflection", align_corners=False)
    return x.clamp_(0, 1)
