"""VAE: a decoder that generates digits from 100 random numbers and a class, as a GAN does.

Kingma and Welling 2014 (arXiv 1312.6114), conditional; trained by `train/vae.py`.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tasks.core import device, weights
from tasks.core.images import check_batch
from tasks.gan.generator import LatentGenerator
from tasks.networks.vae import ConditionalVAE


class VaeGenerator(LatentGenerator):
    """The VAE's decoder as a generator, and its encoder."""

    def __init__(self, network: ConditionalVAE, card: weights.Card):
        super().__init__(card)
        self.network = network.eval().to(device.best())

    @classmethod
    def load(cls, folder: Path = weights.FOLDER) -> "VaeGenerator":
        """Raises WeightsError."""
        return cls(*weights.load("vae", ConditionalVAE, folder))

    def draw(self, z: Tensor, y: Tensor) -> Tensor:
        return self.network.decode(z, y).sigmoid()

    @torch.inference_mode()
    def encode(self, images: np.ndarray, label: int | Sequence[int]) -> np.ndarray:
        """uint8 (n, 28, 28), bright strokes on black -> float32 (n, latent): the posterior mean.

        Raises ImageError.
        """
        check_batch(images, (28, 28), None)
        x = torch.from_numpy(images)[:, None].to(device.best()).float() / 255
        mean, _ = self.network.encode(x, self.class_shares(len(x), label).to(x.device))
        return np.ascontiguousarray(mean.cpu().numpy())
