"""Quality of generated images: the same measures for diffusion, GAN and VAE.

Fréchet distance (Heusel et al. 2017, arXiv 1706.08500), precision and recall (Kynkäänniemi et al.
2019, arXiv 1904.06991) in the features of the network of `train/feature_extractor.py`, and how
often a separate classifier agrees with the requested class. Distances depend on the features and on
the number of images, so each is reported with a floor (training against test images) and a ceiling
(blurred test images against test images).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from tasks.classification.digits import DigitClassifier
from tasks.classification.photos import PhotoClassifier, enlarge_and_normalise
from tasks.core import weights
from tasks.networks.digit_cnn import TextbookCNN
from tasks.networks.efficientnet_lite import EfficientNetLite
from train import data, report


class Classifier(Protocol):
    def classify_batch(self, images: np.ndarray, /) -> np.ndarray:
        """uint8 (N, H, W[, 3]) -> probabilities (N, classes)."""
        ...


class Features:
    """Features of images: float64 (N, D), the layer before a classifier's last."""

    def __init__(self, network: nn.Module):
        self.network = network.eval()

    @classmethod
    def of(cls, dataset: str, folder: Path = weights.FOLDER) -> "Features":
        """MNIST: dense layer of the feature extractor; CIFAR-10: pooled maps of the photo
        network.
        """
        if dataset == "mnist":
            return cls(_dense_features(weights.load("feature_extractor", TextbookCNN, folder)[0]))
        lite0, card = weights.load("photos", EfficientNetLite, folder)
        return cls(_Pooled(lite0, int(card.preprocess["size"])))

    @torch.inference_mode()
    def __call__(self, images: np.ndarray) -> np.ndarray:
        """uint8 (N, H, W) or (N, H, W, 3)."""
        x = torch.from_numpy(images)
        x = x[:, None] if x.ndim == 3 else x.permute(0, 3, 1, 2)
        parts = [self.network(part.float() / 255) for part in x.split(250)]
        return torch.cat(parts).double().numpy()


def _dense_features(network: TextbookCNN) -> nn.Module:
    return nn.Sequential(network.stage1, network.stage2, network.dense)


class _Pooled(nn.Module):
    """32 px photos in [0, 1] -> the pooled maps before the linear layer, (B, 1280)."""

    def __init__(self, network: EfficientNetLite, size: int):
        super().__init__()
        self.network, self.size = network, size

    def forward(self, x: Tensor) -> Tensor:
        return self.network.pooled(enlarge_and_normalise(x, self.size))


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Distance of two normal distributions fitted to the rows.

    |mu_a - mu_b|^2 + tr(A + B - 2 (A B)^(1/2)).
    """
    if min(len(a), len(b)) < 2:
        raise ValueError(f"Each side needs at least two images; got {len(a)} and {len(b)}.")
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    roots = np.sqrt(np.linalg.eigvals(np.atleast_2d(cov_a @ cov_b)).real.clip(0))
    gap = a.mean(0) - b.mean(0)
    traces = np.trace(np.atleast_2d(cov_a)) + np.trace(np.atleast_2d(cov_b))
    return float(gap @ gap + traces - 2 * roots.sum())


def precision_recall(real: np.ndarray, generated: np.ndarray, k: int = 3) -> tuple[float, float]:
    """(share of generated points in the real manifold, share of real points in the generated one).

    A manifold is the union of the balls around its points that reach to their k-th neighbour.
    """
    return _share_inside(generated, real, k), _share_inside(real, generated, k)


def _share_inside(points: np.ndarray, manifold: np.ndarray, k: int) -> float:
    around, x = torch.from_numpy(manifold).float(), torch.from_numpy(points).float()
    radius = torch.cat(
        [torch.cdist(part, around).kthvalue(k + 1, 1).values for part in around.split(500)]
    )
    inside = [(torch.cdist(part, around) <= radius).any(1) for part in x.split(500)]
    return float(torch.cat(inside).float().mean())


@dataclass(frozen=True)
class Quality:
    """Quality of n generated images."""

    agreement: float  # share of images whose predicted class is the requested one
    distance: float
    floor: float  # n training images against the test images
    ceiling: float  # blurred test images against the test images
    precision: float
    recall: float
    n: int


class Evaluator:
    """Measures generated images of a data set; the features of the real ones are computed once."""

    def __init__(
        self,
        features: Features,
        classifier: Classifier,
        train_set: data.ImageSet,
        test: data.ImageSet,
    ):
        self.features, self.classifier = features, classifier
        some = np.random.default_rng(0).permutation(len(train_set))[: len(test)]
        self.real = features(test.images)
        self.train = features(train_set.images[some])
        self.ceiling = frechet_distance(features(blurred(test.images)), self.real)

    def floor(self, n: int) -> float:
        """Distance of n training images (at most as many as test images); falls with n."""
        return frechet_distance(self.train[:n], self.real)

    @classmethod
    def of(
        cls,
        dataset: str,
        train_set: data.ImageSet,
        test: data.ImageSet,
        folder: Path = weights.FOLDER,
    ) -> "Evaluator":
        """With the shipped networks for "mnist" or "cifar10" (its smaller network).

        Raises:
            WeightsError: a card or a file of weights is missing or damaged.
        """
        classifier: Classifier
        if dataset == "mnist":
            classifier = DigitClassifier.load(folder)
        else:
            classifier = PhotoClassifier.load("cifar10_lite0", folder)
        return cls(Features.of(dataset, folder), classifier, train_set, test)

    @classmethod
    def untrained(cls, train_set: data.ImageSet, test: data.ImageSet) -> "Evaluator":
        """For `--smoke` on digits: random networks, so that no weights are needed."""
        torch.manual_seed(0)
        network = TextbookCNN()
        classifier = DigitClassifier(network, report.blank_card(angles=[0]))
        return cls(Features(_dense_features(network)), classifier, train_set, test)

    def __call__(self, images: np.ndarray, labels: np.ndarray) -> Quality:
        """Quality of images, uint8 (N, H, W[, 3]), with their requested classes, int (N,)."""
        generated = self.features(images)
        predicted = self.classifier.classify_batch(images).argmax(1)
        n = min(len(generated), 5000)
        precision, recall = precision_recall(self.real[:n], generated[:n])
        return Quality(
            agreement=float((predicted == labels).mean()),
            distance=frechet_distance(generated, self.real),
            floor=self.floor(len(generated)),
            ceiling=self.ceiling,
            precision=precision,
            recall=recall,
            n=len(images),
        )


def blurred(images: np.ndarray) -> np.ndarray:
    """Blurred by a Gaussian of one pixel, as a blurry generator would draw."""
    import cv2

    return np.stack([cv2.GaussianBlur(image, (0, 0), 1.0) for image in images])
