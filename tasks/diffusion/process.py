"""The diffusion process: its schedule, one step as it is shown, and conversions.

Ho et al. 2020 (DDPM, arXiv 2006.11239). The paper's symbols: `x0` the image in [-1, 1],
`x_t` = sqrt(alpha_bar_t) x0 + sqrt(1 - alpha_bar_t) eps.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

T = 1000  # steps of the forward process


@functools.cache  # the page asks for it at every step
def alpha_bars() -> Tensor:
    """float64 (T,): alpha_bar_t of the squared-cosine schedule, betas at most 0.999.

    Nichol and Dhariwal 2021, eq. 17. Index t = 0 ... 999 is the paper's t - 1, as in diffusers.
    """

    def f(t: float) -> float:
        return math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2

    betas = [min(1 - f((i + 1) / T) / f(i / T), 0.999) for i in range(T)]
    return torch.cumprod(1 - torch.tensor(betas, dtype=torch.float64), 0)


@dataclass(frozen=True)
class DiffusionStep:
    """One step of sampling, after it was computed.

    Attributes:
        i, n: step i of n, 1-based.
        t: the time step it started from, 0 ... 999.
        alpha_bar: of that time step.
        x_t: float32 (n, H, W, C) after the step, in [-1, 1] at the end.
        x0: float32 (n, H, W, C) in [-1, 1], the image that the network predicts.
        seconds: of this step.
    """

    i: int
    n: int
    t: int
    alpha_bar: float
    x_t: np.ndarray
    x0: np.ndarray
    seconds: float


def to_numpy(x: Tensor) -> np.ndarray:
    """(n, C, H, W) -> float32 (n, H, W, C)."""
    return np.ascontiguousarray(x.permute(0, 2, 3, 1).float().cpu().numpy())


class DiffusionModel(Protocol):
    """What `diffusion.restore` needs of a generator; `DiffusionGenerator` documents each."""

    side: int
    channels: int
    guidance: float
    alpha_bars: Tensor
    reload: "functools.partial[Any] | None"

    def predict(self, x: Tensor, t: int, labels: Tensor, guidance: float) -> Tensor: ...

    def x0_of(self, x: Tensor, v: Tensor, t: int) -> Tensor: ...

    def to_tensor(self, image: np.ndarray) -> Tensor: ...

    def forward_process(self, image: np.ndarray, t: int, seed: int = 0) -> np.ndarray: ...

    def check_settings(
        self,
        n: int,
        seed: int,
        label: int | Sequence[int] | None,
        sampler: str,
        n_steps: int,
        guidance: float,
    ) -> Tensor: ...
