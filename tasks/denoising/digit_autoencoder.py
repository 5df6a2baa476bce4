"""Noisy digits denoised by the autoencoder of train/autoencoder.py, and its code."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tasks.core import device, weights
from tasks.core.images import ImageError
from tasks.networks.autoencoder import DigitAutoencoderNet


class DigitAutoencoder:
    """Denoises digits. `card` describes its training."""

    def __init__(self, network: DigitAutoencoderNet, card: weights.Card | None = None):
        self.network, self.card = network.eval().to(device.best()), card

    @classmethod
    def load(cls, folder: Path = weights.FOLDER) -> "DigitAutoencoder":
        """Raises WeightsError where `autoencoder.safetensors` or its card is missing or damaged."""
        return cls(*weights.load("autoencoder", DigitAutoencoderNet, folder))

    @torch.inference_mode()
    def clean(self, digits: np.ndarray) -> np.ndarray:
        """float32 (N, 28, 28) in [0, 1], white on black -> the same denoised. Raises ImageError."""
        parts = [self.network(part)[:, 0].cpu().numpy() for part in self._parts(digits)]
        return np.concatenate(parts)

    @torch.inference_mode()
    def code(self, digits: np.ndarray) -> np.ndarray:
        """float32 (N, 28, 28) in [0, 1] -> the code (N, 8, 7, 7). Raises ImageError."""
        return np.concatenate([self.network.encode(p).cpu().numpy() for p in self._parts(digits)])

    def _parts(self, digits: np.ndarray) -> tuple[Tensor, ...]:
        is_float = np.issubdtype(digits.dtype, np.floating)
        if digits.ndim != 3 or digits.shape[1:] != (28, 28) or not is_float:
            raise ImageError(
                f"Digits are needed as float (N, 28, 28); {digits.dtype} {digits.shape} came."
            )
        x = torch.from_numpy(np.ascontiguousarray(digits, np.float32))[:, None].to(device.best())
        return x.split(500)


def add_noise(digits: np.ndarray, sigma: float, seed: int) -> np.ndarray:
    """float (N, 28, 28) with Gaussian noise of `sigma` (1: the full range), clipped to [0, 1]."""
    noise = np.random.default_rng(seed).standard_normal(digits.shape) * sigma
    return (digits + noise).clip(0, 1).astype(np.float32)
