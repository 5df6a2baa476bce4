"""How good made pictures are: the same measures for diffusion, GAN and VAE.

Fréchet distance (Heusel et al. 2017, arXiv 1706.08500) and precision and recall (Kynkäänniemi et al. 2019, arXiv
1904.06991) of the features of `train/recogniser.py`'s network, and how often a separate classifier sees the class that
was asked for. Distances depend on the features and on the number of pictures: beside each stand the floor, real
training against real test pictures, and a ceiling, the same test pictures blurred.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from tasks import weights
from tasks.classification import DigitClassifier, PhotoClassifier, enlarge_and_normalise
from tasks.networks.digit_cnn import TextbookCNN
from tasks.networks.efficientnet_lite import EfficientNetLite
from train import data


class Classifier(Protocol):
    def classify_batch(self, images: np.ndarray, /) -> np.ndarray:
        """uint8 (N, H, W[, 3]) -> probabilities (N, classes)."""
        ...


class Features:
    """What a recogniser sees in pictures: float64 (N, D), the layer before its last."""

    def __init__(self, network: nn.Module):
        self.network = network.eval()

    @classmethod
    def of(cls, dataset: str, folder: Path = weights.FOLDER) -> "Features":
        """Of MNIST: the dense layer of the recogniser; of CIFAR-10: the pooled maps of the photo classifier."""
        if dataset == "mnist":
            network, _ = weights.load("recogniser", TextbookCNN, folder)
            return cls(nn.Sequential(network.stage1, network.stage2, network.dense))
        lite0, card = weights.load("photos", EfficientNetLite, folder)
        return cls(_Pooled(lite0, int(card.preprocess["size"])))

    @torch.inference_mode()
    def __call__(self, images: np.ndarray) -> np.ndarray:
        """uint8 (N, H, W) or (N, H, W, 3)."""
        x = torch.from_numpy(images)
        x = x[:, None] if x.ndim == 3 else x.permute(0, 3, 1, 2)
        parts = [self.network(part.float() / 255) for part in x.split(250)]
        return torch.cat(parts).double().numpy()


class _Pooled(nn.Module):
    """32 px photos in [0, 1] -> the pooled maps before the linear layer, (B, 1280)."""

    def __init__(self, network: EfficientNetLite, size: int):
        super().__init__()
        self.network, self.size = network, size

    def forward(self, x: Tensor) -> Tensor:
        return self.network.pooled(enlarge_and_normalise(x, self.size))


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Between two normal distributions fitted to the rows: |mu_a - mu_b|^2 + tr(A + B - 2 (A B)^(1/2))."""
    if min(len(a), len(b)) < 2:
        raise ValueError(f"Two pictures a side are needed at least; {len(a)} and {len(b)} came.")
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    roots = np.sqrt(np.linalg.eigvals(np.atleast_2d(cov_a @ cov_b)).real.clip(0))
    gap = a.mean(0) - b.mean(0)
    return float(gap @ gap + np.trace(np.atleast_2d(cov_a)) + np.trace(np.atleast_2d(cov_b)) - 2 * roots.sum())


def precision_recall(real: np.ndarray, made: np.ndarray, k: int = 3) -> tuple[float, float]:
    """(share of made ones within the real ones' manifold, share of real ones within the made ones'), in [0, 1].

    A manifold is the union of the balls around its points that reach to their k-th neighbour.
    """
    return _share_inside(made, real, k), _share_inside(real, made, k)


def _share_inside(points: np.ndarray, manifold: np.ndarray, k: int) -> float:
    around, x = torch.from_numpy(manifold).float(), torch.from_numpy(points).float()
    radius = torch.cat([torch.cdist(part, around).kthvalue(k + 1, 1).values for part in around.split(500)])
    inside = [(torch.cdist(part, around) <= radius).any(1) for part in x.split(500)]
    return float(torch.cat(inside).float().mean())


@dataclass(frozen=True)
class Quality:
    """How good n made pictures are."""

    agreement: float  # share of pictures in which the classifier sees the class that was asked for
    distance: float
    floor: float  # n training pictures against the test pictures
    ceiling: float  # blurred test pictures against test pictures
    precision: float
    recall: float
    n: int


class Judge:
    """Measures pictures of a data set; the real ones' features are computed once."""

    def __init__(self, features: Features, classifier: Classifier, train_set: data.ImageSet, test: data.ImageSet):
        self.features, self.classifier = features, classifier
        some = np.random.default_rng(0).permutation(len(train_set))[: len(test)]
        self.real = features(test.images)
        self.train = features(train_set.images[some])
        self.ceiling = frechet_distance(features(blurred(test.images)), self.real)

    def floor(self, n: int) -> float:
        """What n training pictures score (as many as there are test pictures, at most): less with each picture more."""
        return frechet_distance(self.train[:n], self.real)

    @classmethod
    def of(cls, dataset: str, train_set: data.ImageSet, test: data.ImageSet, folder: Path = weights.FOLDER) -> "Judge":
        """With the shipped networks for "mnist" or "cifar10", of whose two the smaller one. Raises WeightsError."""
        classifier = (
            DigitClassifier.load(folder) if dataset == "mnist" else PhotoClassifier.load("cifar10_lite0", folder)
        )
        return cls(Features.of(dataset, folder), classifier, train_set, test)

    def __call__(self, images: np.ndarray, labels: np.ndarray) -> Quality:
        """uint8 (N, H, W[, 3]), int (N,): the classes that were asked for."""
        made = self.features(images)
        seen = self.classifier.classify_batch(images).argmax(1)
        few = min(len(made), 5000)
        precision, recall = precision_recall(self.real[:few], made[:few])
        distance = frechet_distance(made, self.real)
        agreement = float((seen == labels).mean())
        return Quality(agreement, distance, self.floor(len(made)), self.ceiling, precision, recall, len(images))


def blurred(images: np.ndarray) -> np.ndarray:
    """By a Gaussian of one pixel: what a blurry generator would make."""
    import cv2

    return np.stack([cv2.GaussianBlur(image, (0, 0), 1.0) for image in images])
