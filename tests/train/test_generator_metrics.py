"""The metrics of generated images against known answers."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from train.common import synthetic
from train.common.generator_metrics import (
    Evaluator,
    Features,
    blurred,
    frechet_distance,
    precision_recall,
)


def test_frechet_distance_of_known_distributions() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=(200_000, 2))
    b = rng.normal(size=(200_000, 2)) * [1, 3] + [4, 0]
    assert frechet_distance(a, b) == pytest.approx(16 + (3 - 1) ** 2, rel=0.02)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6)


def root(matrix: np.ndarray) -> np.ndarray:
    """Of a symmetric positive matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return vectors @ np.diag(np.sqrt(values.clip(0))) @ vectors.T


class Flat(nn.Module):
    """The pixels themselves as features."""

    def forward(self, x: Tensor) -> Tensor:  # uint8 (B, 3, 4, 4)
        return x.flatten(1).float()  # (B, 48)


def test_frechet_distance_is_torchmetrics() -> None:
    """With the same features of the same images."""
    from torchmetrics.image.fid import FrechetInceptionDistance

    generator = torch.Generator().manual_seed(0)
    real, made = (
        torch.randint(low, high, (200, 3, 4, 4), generator=generator, dtype=torch.uint8)
        for low, high in ((0, 200), (40, 256))
    )
    reference = FrechetInceptionDistance(Flat(), input_img_size=(3, 4, 4)).set_dtype(torch.float64)
    reference.update(real, real=True)
    reference.update(made, real=False)
    ours = frechet_distance(*(Flat()(x).double().numpy() for x in (real, made)))
    assert ours == pytest.approx(float(reference.compute()), rel=1e-4)


def test_frechet_distance_is_that_of_a_matrix_root() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(300, 12)) @ rng.normal(size=(12, 12)), rng.normal(size=(400, 12)) + 0.3
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    half = root(cov_a)
    gap = a.mean(0) - b.mean(0)
    expected = gap @ gap + np.trace(cov_a + cov_b - 2 * root(half @ cov_b @ half))
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)
    with pytest.raises(ValueError, match="at least two images"):
        frechet_distance(a[:1], b)


def test_precision_and_recall_of_known_sets() -> None:
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(400, 3)), rng.normal(size=(400, 3)) + 30
    assert precision_recall(left, left) == (1, 1)
    assert precision_recall(left, right) == (0, 0)
    precision, recall = precision_recall(
        np.concatenate([left, right]), left
    )  # half the modes, all of them right
    assert precision > 0.9 and recall == pytest.approx(0.5, abs=0.05)


class Brightness:
    """Predicts a class from the brightness."""

    def classify_batch(self, images: np.ndarray) -> np.ndarray:
        bright = images.reshape(len(images), -1).mean(1) > 128
        return np.stack([~bright, bright], 1).astype(float)


def test_evaluator() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 8, 5), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
    real, test = synthetic.clock_hands(300), synthetic.clock_hands(200, seed=1)
    evaluator = Evaluator(Features(network), Brightness(), real, test)
    assert (
        0 <= evaluator.floor(200) < evaluator.floor(50) and evaluator.floor(200) < evaluator.ceiling
    )
    assert evaluator.floor(200) == evaluator.floor(1000)  # no more than there are test images
    same = evaluator(test.images, np.zeros(200, int))
    assert same.agreement == 1 and same.distance == pytest.approx(0, abs=1e-6) and same.n == 200
    assert same.precision == same.recall == 1
    noise = np.random.default_rng(0).integers(0, 256, (100, 28, 28), np.uint8)
    assert evaluator(noise, np.zeros(100, int)).distance > evaluator.ceiling
    assert blurred(test.images).shape == test.images.shape
