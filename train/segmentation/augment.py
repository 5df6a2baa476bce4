"""Augmentation of road scenes: another distance, light and traffic."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from train.segmentation.data import VOID

# size of the objects, relative to the image; their logarithms are equally likely
SCALES = (0.6, 1.6)
TURN = 0.06  # rad, largest roll of the camera
FOCUS = 0.3  # share of the crops that are put around a pixel of a rare class
PASTE = 0.5  # share of the crops that get another crop's rare objects (after ClassMix)


def random_view(
    mask: np.ndarray, size_hw: tuple[int, int], rare: Sequence[int], generator: torch.Generator
) -> Tensor:
    """A crop of a scene as `F.affine_grid` takes it, (2, 3): distance, roll, place, mirror image.

    mask: uint8 (H, W).
    """
    high, wide = mask.shape
    low, far = np.log(SCALES)
    scale = float(torch.empty(()).uniform_(low, far, generator=generator).exp())
    turn = float(torch.empty(()).uniform_(-TURN, TURN, generator=generator))
    flip = 1.0 if torch.rand((), generator=generator) < 0.5 else -1.0
    y, x = _centre(mask, (size_hw[0] / scale, size_hw[1] / scale), rare, generator)
    across, down = size_hw[1] / scale / wide, size_hw[0] / scale / high
    c, s, aspect = np.cos(turn), np.sin(turn), high / wide
    rows = [
        [c * across * flip, -s * down * aspect, 2 * x / wide - 1],
        [s * across * flip / aspect, c * down, 2 * y / high - 1],
    ]
    return torch.tensor(rows, dtype=torch.float32)


def crop(
    image: Tensor, mask: Tensor, view: Tensor, size_hw: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """The view of a scene, uint8 (H, W, 3), and of its mask, uint8 (H, W).

    Returns float32 (3, h, w) in [0, 1], whose edges continue where the scene ends, and int64
    (h, w), VOID there.
    """
    grid = F.affine_grid(view[None], [1, 3, *size_hw], align_corners=False)
    x = image.permute(2, 0, 1)[None].float() / 255
    x = F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
    known = mask[None, None].float() - VOID  # 0 is outside
    y = F.grid_sample(known, grid, mode="nearest", padding_mode="zeros", align_corners=False)
    return x[0], (y[0, 0] + VOID).round().long()


def _centre(
    mask: np.ndarray,
    extent_hw: tuple[float, float],
    rare: Sequence[int],
    generator: torch.Generator,
) -> tuple[float, float]:
    """(y, x) in px of a crop that reaches over as little of the edge as it can."""
    at = [float(torch.rand((), generator=generator) * side) for side in mask.shape]
    if rare and torch.rand((), generator=generator) < FOCUS:
        ys, xs = np.nonzero(mask == rare[int(torch.randint(len(rare), (), generator=generator))])
        if len(ys):
            i = int(torch.randint(len(ys), (), generator=generator))
            jitter = torch.empty(2).uniform_(-0.25, 0.25, generator=generator)
            at = [ys[i] + float(jitter[0]) * extent_hw[0], xs[i] + float(jitter[1]) * extent_hw[1]]
    inside = []
    for value, side, extent in zip(at, mask.shape, extent_hw, strict=True):
        margin = min(extent, side) / 2
        inside.append(min(max(value, margin), side - margin) if extent < side else side / 2)
    return inside[0], inside[1]


def paste(x: Tensor, y: Tensor, things: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Objects of some of the classes `things` from the neighbour in the batch, at their places.

    After ClassMix (Olsson et al. 2021, arXiv 2007.07936). x: float (B, 3, H, W), y: int64
    (B, H, W).
    """
    if not things:
        return x, y
    n, other_x, other_y = len(x), x.roll(1, 0), y.roll(1, 0)
    here = torch.zeros_like(y, dtype=torch.bool)
    for c in things:
        taken = (torch.rand(n, 1, 1) < 0.5).to(y.device)
        here |= (other_y == c) & taken
    here &= (torch.rand(n, 1, 1) < PASTE).to(y.device)
    return torch.where(here[:, None], other_x, x), torch.where(here, other_y, y)


def relight(x: Tensor) -> Tensor:
    """Vary exposure, contrast, gamma, saturation, white balance; some noise and blur.

    float (B, 3, H, W) in [0, 1] -> the same.
    """
    n = len(x)
    new = partial(torch.empty, device=x.device)
    brightness, contrast, saturation = new(3, n, 1, 1, 1).uniform_(0.75, 1.3).unbind()
    gamma = new(n, 1, 1, 1).uniform_(-0.4, 0.4).exp()
    balance = new(n, 3, 1, 1).uniform_(0.9, 1.1)
    x = torch.lerp(x.mean(1, keepdim=True), x, saturation) * balance
    mean = x.mean((1, 2, 3), keepdim=True)
    x = ((x - mean) * contrast + mean * brightness).clamp(1e-4, 1) ** gamma
    blurred = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    x = torch.where(new(n, 1, 1, 1).uniform_() < 0.15, blurred, x)
    strength = 0.03 * new(n, 1, 1, 1).uniform_() * (new(n, 1, 1, 1).uniform_() < 0.3)
    return (x + strength * torch.randn_like(x)).clamp(0, 1)
