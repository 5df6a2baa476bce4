"""The measures of made pictures against known answers."""

import numpy as np
import pytest
import torch
from torch import nn

from train import digits
from train.generator_measures import Features, Judge, blurred, frechet_distance, precision_recall


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


def test_frechet_distance_is_that_of_a_matrix_root() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(300, 12)) @ rng.normal(size=(12, 12)), rng.normal(size=(400, 12)) + 0.3
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    half = root(cov_a)
    gap = a.mean(0) - b.mean(0)
    expected = gap @ gap + np.trace(cov_a + cov_b - 2 * root(half @ cov_b @ half))
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)
    with pytest.raises(ValueError, match="Two pictures"):
        frechet_distance(a[:1], b)


def test_precision_and_recall_of_known_sets() -> None:
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(400, 3)), rng.normal(size=(400, 3)) + 30
    assert precision_recall(left, left) == (1, 1)
    assert precision_recall(left, right) == (0, 0)
    precision, recall = precision_recall(np.concatenate([left, right]), left)  # half the modes, all of them right
    assert precision > 0.9 and recall == pytest.approx(0.5, abs=0.05)


class Brightness:
    """Sees a class in how bright a picture is."""

    def classify_batch(self, images: np.ndarray) -> np.ndarray:
        bright = images.reshape(len(images), -1).mean(1) > 128
        return np.stack([~bright, bright], 1).astype(float)


def test_judge() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 8, 5), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
    real, test = digits.synthetic(300), digits.synthetic(200, seed=1)
    judge = Judge(Features(network), Brightness(), real, test)
    assert 0 <= judge.floor(200) < judge.floor(50) and judge.floor(200) < judge.ceiling
    assert judge.floor(200) == judge.floor(1000)  # no more than there are test pictures
    same = judge(test.images, np.zeros(200, int))
    assert same.agreement == 1 and same.distance == pytest.approx(0, abs=1e-6) and same.n == 200
    assert same.precision == same.recall == 1
    noise = np.random.default_rng(0).integers(0, 256, (100, 28, 28), np.uint8)
    assert judge(noise, np.zeros(100, int)).distance > judge.ceiling
    assert blurred(test.images).shape == test.images.shape
