"""Memorisation check: how near each generated digit is to its nearest training digit.

Distances are taken in the features of `train/feature_extractor.py`. Real test digits are the
reference, since they cannot be copies. A generator whose digits lie as far from the training digits
as they do generalises; one whose digits lie much nearer has memorised.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

COPY = 10  # a digit this many times nearer than the median test digit counts as a copy
BINS = 40
# percentile of all distances at which the histograms end; the last bin takes what lies beyond
FARTHEST = 99.5

Features = Callable[[np.ndarray], np.ndarray]
"""uint8 (n, 28, 28) -> float (n, D)."""


class Neighbours:
    """The nearest training digits.

    Attributes:
        test: float (n,), the distances of the real test digits.
        usual: their median.
    """

    def __init__(self, features: Features, train_features: np.ndarray, test_features: np.ndarray):
        self.features = features
        self.train = torch.from_numpy(train_features).float()
        self.test, _ = self.nearest(test_features)
        self.usual = float(np.median(self.test))

    def nearest(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distance to the nearest training digit, float (n,), and its index, int64 (n,).

        Args:
            points: features, float (n, D).
        """
        parts = torch.from_numpy(points).float().split(200)
        found = [torch.cdist(part, self.train).min(1) for part in parts]
        distances = torch.cat([f.values for f in found]).numpy()
        return distances, torch.cat([f.indices for f in found]).numpy()

    def copied(self, images: np.ndarray) -> float:
        """Share of digits COPY times nearer to a training digit than the median test digit."""
        distances, _ = self.nearest(self.features(images[:1000]))
        return float((distances < self.usual / COPY).mean())

    def table(
        self, generated: Mapping[str, np.ndarray], labels: Sequence[int], seed: int, steps: int
    ) -> dict[str, Any]:
        """The figures that the page draws.

        Args:
            generated: uint8 (n, 28, 28) of each generator; the first len(labels) are one batch of
                `seed`.
            labels: their classes; these digits are listed one by one.
            steps: of diffusion.
        Returns:
            {"edges": of the bins, "usual", "counts": {"test" and each generator: digits in each
            bin}, "medians", "samples": {generator: [{"class", "index": of the training digit,
            "distance"}, ...]}, "seed", "steps"}.
        """
        found = {kind: self.nearest(self.features(images)) for kind, images in generated.items()}
        distances = {"test": self.test, **{kind: distance for kind, (distance, _) in found.items()}}
        end = float(np.percentile(np.concatenate(list(distances.values())), FARTHEST))
        edges = np.linspace(0, end, BINS + 1)
        counts = {k: np.histogram(d.clip(0, end), edges)[0].tolist() for k, d in distances.items()}
        return {
            "edges": [round(float(e), 3) for e in edges],
            "usual": round(self.usual, 3),
            "counts": counts,
            "medians": {k: round(float(np.median(d)), 3) for k, d in distances.items()},
            "samples": {kind: _samples(labels, *nearest) for kind, nearest in found.items()},
            "seed": seed,
            "steps": steps,
        }


def _samples(
    labels: Sequence[int], distance: np.ndarray, index: np.ndarray
) -> list[dict[str, float]]:
    return [
        {"class": int(label), "index": int(index[k]), "distance": round(float(distance[k]), 2)}
        for k, label in enumerate(labels)
    ]
