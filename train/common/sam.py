"""Sharpness-aware minimisation (SAM), Foret et al. 2021, arXiv 2010.01412."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def ascent_step(network: nn.Module, rho: float) -> Iterator[None]:
    """Inside the block the weights are moved by `rho` along their gradient; afterwards they are
    restored.

    Equation 2 of the paper with the Euclidean norm. Frozen parameters stay. Running statistics of
    batch norms are not restored: they follow both passes.
    """
    moved: list[Tensor] = [p for p in network.parameters() if p.grad is not None]
    with torch.no_grad():
        original = [p.clone() for p in moved]
        gradients = [p.grad for p in moved if p.grad is not None]
        norm = torch.stack(torch._foreach_norm(gradients)).norm()
        torch._foreach_add_(moved, torch._foreach_mul(gradients, rho / (norm + 1e-12)))
    try:
        yield
    finally:
        with torch.no_grad():
            torch._foreach_copy_(moved, original)
