"""The images of a diffusion training, as tensors; reading the two data sets."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from train import data

READERS = {"mnist": data.mnist, "cifar10": data.cifar10}


def to_tensor(images: np.ndarray) -> Tensor:
    """uint8 (N, H, W[, C]) -> uint8 (N, C, H, W)."""
    x = torch.from_numpy(images)
    return x[:, None] if x.ndim == 3 else x.permute(0, 3, 1, 2).contiguous()


def to_range(images: Tensor) -> Tensor:
    """uint8 -> float32 in [-1, 1]."""
    return images.float() / 127.5 - 1


def test_images(name: str, root: Path) -> data.ImageSet:
    """The test set; every second photo of CIFAR-10, whose feature network is slow."""
    test = READERS[name](root, train=False)
    return test if name == "mnist" else test.part(np.arange(0, len(test), 2))
