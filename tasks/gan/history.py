"""`GanHistory`: the generator after more and more steps of a training."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from tasks.core import device, weights
from tasks.networks.dcgan import GeneratorHistory


class GanHistory:
    """The generator as it was after some steps of its training."""

    def __init__(self, network: GeneratorHistory, card: weights.Card):
        self.card, self.steps = card, tuple(network.steps)
        self.networks: nn.ModuleList = network.eval().to(device.best()).generators
        self.latent, self.n_classes = int(card.config["latent"]), len(card.classes)

    @classmethod
    def load(cls, name: str = "gan_history", folder: Path = weights.FOLDER) -> "GanHistory":
        """ "gan_history", or "gan_collapse": a training that went wrong. Raises WeightsError."""
        return cls(*weights.load(name, GeneratorHistory, folder))

    @torch.inference_mode()
    def generate(self, z: np.ndarray, labels: Sequence[int]) -> np.ndarray:
        """float (n, latent), n classes -> uint8 (steps, n, 28, 28): the same latents after each
        step.
        """
        on = device.best()
        inputs = torch.from_numpy(z).float().to(on), torch.eye(self.n_classes)[list(labels)].to(on)
        digits = [
            ((network(*inputs)[:, 0] + 1) * 127.5).round().clamp(0, 255).byte().cpu()
            for network in self.networks
        ]
        return torch.stack(digits).numpy()
