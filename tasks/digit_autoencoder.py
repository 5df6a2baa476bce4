"""Noisy digits made clean by `train/autoencoder.py`'s network, and the code in its middle."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tasks import compute, weights
from tasks.images import ImageError
from tasks.networks.autoencoder import DigitAutoencoderNet


class DigitAutoencoder:
    """Brings noisy digits back. `card` says what it was trained on."""

    def __init__(self, network: DigitAutoencoderNet, card: weights.Card | None = None):
        self.network, self.card = network.eval().to(compute.device()), card

    @classmethod
    def load(cls, folder: Path = weights.FOLDER) -> "DigitAutoencoder":
        """Raises WeightsError where `autoencoder.safetensors` or its card is missing or damaged."""
        return cls(*weights.load("autoencoder", DigitAutoencoderNet, folder))

    @torch.inference_mode()
    def clean(self, digits: np.ndarray) -> np.ndarray:
        """float32 (N, 28, 28) in [0, 1], ink bright on black -> the same without noise. Raises ImageError."""
        return np.concatenate([self.network(part)[:, 0].cpu().numpy() for part in self._parts(digits)])

    @torch.inference_mode()
    def code(self, digits: np.ndarray) -> np.ndarray:
        """float32 (N, 28, 28) in [0, 1] -> (N, 8, 7, 7): all that the decoder gets. Raises ImageError."""
        return np.concatenate([self.network.encode(part).cpu().numpy() for part in self._parts(digits)])

    def _parts(self, digits: np.ndarray) -> tuple[Tensor, ...]:
        if digits.ndim != 3 or digits.shape[1:] != (28, 28) or not np.issubdtype(digits.dtype, np.floating):
            raise ImageError(f"Digits are needed as float (N, 28, 28); {digits.dtype} {digits.shape} came.")
        x = torch.from_numpy(np.ascontiguousarray(digits, np.float32))[:, None].to(compute.device())
        return x.split(500)


def add_noise(digits: np.ndarray, sigma: float, seed: int) -> np.ndarray:
    """White Gaussian noise of `sigma` (1 = the whole range) on float (N, 28, 28), clipped to [0, 1]."""
    noise = np.random.default_rng(seed).standard_normal(digits.shape) * sigma
    return (digits + noise).clip(0, 1).astype(np.float32)
