"""Seeded noise. Imports torch on use only."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def seeded_noise(n: int, seed: int) -> "list[torch.Generator]":
    """One generator for each image, so that image k does not depend on n."""
    import torch

    return [torch.Generator().manual_seed(seed * 1_000_003 + k) for k in range(n)]
