"""Exponential moving average of a network's weights."""

import copy
from itertools import compress
from typing import Any

import torch
from torch import nn


class MovingAverage:
    """Average of parameters and buffers: a <- d a + (1 - d) w, with d = min(decay, (1 + n) / (10 +
    n)).

    The decay rises from 0.1, so early steps fade. Same idea as torch's `AveragedModel`, whose
    counter lies on the GPU and makes every step wait for it.
    """

    def __init__(self, network: nn.Module, decay: float):
        self.module = copy.deepcopy(network)
        self.decay = decay
        self.n = 0
        self._averaged = list(self.module.state_dict().values())
        self._current = list(network.state_dict().values())

    @torch.no_grad()
    def update(self) -> None:
        """Take in the network's weights as they are now."""
        weight = 1 - min(self.decay, (1 + self.n) / (10 + self.n)) if self.n else 1.0
        self.n += 1
        floating = [tensor.is_floating_point() for tensor in self._averaged]
        averaged = list(compress(self._averaged, floating))
        torch._foreach_lerp_(averaged, list(compress(self._current, floating)), weight)
        for old, new, is_floating in zip(self._averaged, self._current, floating, strict=True):
            if not is_floating:  # counters of batch norms
                old.copy_(new)

    def state_dict(self) -> dict[str, Any]:
        return {"n": self.n, "module": self.module.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.n = state["n"]
        self.module.load_state_dict(state["module"])
