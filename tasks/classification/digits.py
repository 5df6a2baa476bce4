"""Handwritten digits: `DigitClassifier` runs the ensemble of train/digits.

DigitClassifier.load().classify("digit.png")    {"0": 0.001, ..., "9": 0.0}
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.core import device, digit_preprocessing, weights
from tasks.core.images import ImageLike, check_batch, chunks
from tasks.networks.digit_cnn import DigitEnsemble

IG_STEPS = 64  # points on the path of integrated gradients


class DigitClassifier:
    """Predicts one handwritten digit, "0" to "9"."""

    LABELS = tuple("0123456789")

    def __init__(self, network: nn.Module, card: weights.Card):
        network.eval().to(device.best())
        self.network = network.to(memory_format=torch.channels_last)
        self.card = card
        # temperature of the softmax (Guo et al. 2017)
        self.temperature = float(card.preprocess.get("temperature", 1.0))
        # degrees by which each digit is rotated; the logits are averaged
        self.angles = tuple(card.preprocess.get("angles", [0]))

    @classmethod
    def load(cls, folder: Path = weights.FOLDER) -> "DigitClassifier":
        """Raises WeightsError where `digits.safetensors` or its card is missing or damaged."""
        return cls(*weights.load("digits", DigitEnsemble, folder))

    def classify(self, image: ImageLike) -> dict[str, float]:
        """Probability of each label for a drawing or photo of one digit.

        Dark on light or light on dark, any size.

        Raises:
            ImageError: no usable image.
            NoDigitError: an image without a digit.
        """
        probabilities = self.classify_batch(digit_preprocessing.extract_digit(image)[None])[0]
        return dict(zip(self.LABELS, map(float, probabilities), strict=True))

    @torch.inference_mode()
    def classify_batch(self, digits: np.ndarray, upright: bool = False) -> np.ndarray:
        """MNIST's format, uint8 (N, 28, 28), white on black -> probabilities float32 (N, 10).

        Args:
            upright: at 0 degrees only: a fifth of the work, while a digit is being drawn.
        """
        check_batch(digits, (28, 28), None)
        logits = self.logits(digits, (0,) if upright else self.angles)
        return (logits / self.temperature).softmax(1).cpu().numpy()

    @torch.inference_mode()
    def logits(self, digits: np.ndarray, angles: Sequence[float]) -> Tensor:
        """uint8 (N, 28, 28) -> float32 (N, 10), the mean over rotations by `angles` degrees."""
        means = [torch.zeros(0, 10, device=device.best())]
        for part in chunks(digits, 256):
            x = self._to_tensor(part)
            views = torch.cat([rotate(x, degrees) for degrees in angles])
            means.append(self.network(views).float().view(len(angles), len(part), 10).mean(0))
        return torch.cat(means)

    @torch.inference_mode()
    def feature_maps(self, digit: np.ndarray) -> dict[str, np.ndarray]:
        """Each stage's output for one digit, uint8 (28, 28): name -> float32 (C, h, w) >= 0."""
        check_batch(digit[None], (28, 28), None)
        network: Any = self.network
        maps = network.feature_maps(self._to_tensor(digit[None]))
        return {name: m[0].float().cpu().numpy() for name, m in maps.items()}

    def kernels(self) -> dict[str, np.ndarray]:
        """Of each map of `feature_maps`, its kernel over the input that weighs most in it.

        Returns:
            Name of the stage -> float32 (C, 3, 3), of the stage's last convolution.
        """
        network: Any = self.network
        member = network.members[0] if isinstance(network, DigitEnsemble) else network
        found = {}
        for name in ("stage1", "stage2", "stage3"):
            weight = getattr(member, name)[-1][0].weight.detach().float().cpu()  # (C, inputs, 3, 3)
            strongest = weight.square().sum((2, 3)).argmax(1)
            found[name] = weight[torch.arange(len(weight)), strongest].numpy()
        return found

    def explain(self, digit: np.ndarray, labels: list[int]) -> np.ndarray:
        """Integrated gradients (Sundararajan, Taly, Yan 2017) of labels' logits, baseline 0.

        Of the ensemble's first member on the upright digit.

        Args:
            digit: uint8 (28, 28).
            labels: the K labels to explain.
        Returns:
            float32 (K, 28, 28): how much each pixel raised (> 0) or lowered (< 0) the label's
            logit; sums to the logit minus that of the empty page.
        """
        check_batch(digit[None], (28, 28), None)
        x = self._to_tensor(digit[None])
        u = (torch.arange(IG_STEPS, device=x.device) + 0.5) / IG_STEPS
        # denser near the empty page, where the logits' curvature is largest
        path = (x * (u**2).view(-1, 1, 1, 1)).requires_grad_()
        network: Any = self.network
        member = network.members[0] if isinstance(network, DigitEnsemble) else network
        logits = member(path)[:, labels].sum(0)  # (K,)
        weight = (2 * u / IG_STEPS).view(-1, 1, 1, 1)
        out = np.empty((len(labels), 28, 28), np.float32)
        for k, logit in enumerate(logits):
            (gradient,) = torch.autograd.grad(logit, path, retain_graph=True)
            out[k] = (x * (gradient * weight).sum(0, keepdim=True))[0, 0].detach().cpu().numpy()
        return out

    def _to_tensor(self, digits: np.ndarray) -> Tensor:
        x = torch.from_numpy(np.array(digits)).unsqueeze(1).to(device.best(), torch.float32)
        return x / 255  # (N, 1, 28, 28)


def rotate(x: Tensor, degrees: float) -> Tensor:
    """(B, C, H, W) rotated about its centre, bilinear, padded with zeros."""
    if degrees == 0:
        return x
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    matrix = torch.tensor([[c, -s, 0.0], [s, c, 0.0]], device=x.device, dtype=x.dtype)
    grid = F.affine_grid(matrix.expand(len(x), 2, 3), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, align_corners=False)
