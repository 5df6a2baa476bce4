"""A trained network as the app will load it, and how long its call takes."""

import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


def half_precision(network: nn.Module) -> dict[str, Tensor]:
    """State on the CPU, rounded to fp16, as float32 again; integers as they are."""
    return {
        name: value.cpu().half().float() if value.is_floating_point() else value.cpu()
        for name, value in network.state_dict().items()
    }


def as_stored(network: nn.Module, empty: Network) -> Network:
    """Fill `empty` with what `weights.load` will return: weights rounded to fp16; eval mode."""
    empty.load_state_dict(half_precision(network), strict=True)
    return empty.eval()


def milliseconds(call: Callable[[], object], times: int = 30) -> float:
    """Median duration of a call, after three to warm up."""
    took = []
    for _ in range(times + 3):
        start = time.perf_counter()
        call()
        took.append(1000 * (time.perf_counter() - start))
    return float(np.median(took[3:]))
