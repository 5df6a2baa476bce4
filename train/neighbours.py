"""Whether made digits are copies: how near each is to the nearest training digit, in a recogniser's features.

Real test digits are the yardstick: nobody copied them, so a generator whose digits lie as far from the training digits
as they do has learnt to write, and one whose digits lie much nearer has learnt by heart.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

COPY = 10  # times nearer than a test digit usually is: a copy
BINS = 40
FARTHEST = 99.5  # percentile of all distances at which the histograms end; what lies beyond counts in the last bin

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
        """Distance of each row of features to the nearest training digit's, float (n,), and its index, int64 (n,)."""
        found = [torch.cdist(part, self.train).min(1) for part in torch.from_numpy(points).float().split(200)]
        return torch.cat([f.values for f in found]).numpy(), torch.cat([f.indices for f in found]).numpy()

    def copied(self, images: np.ndarray) -> float:
        """Share of digits that are COPY times nearer to a training digit than a test digit usually is."""
        return float((self.nearest(self.features(images[:1000]))[0] < self.usual / COPY).mean())

    def table(self, made: Mapping[str, np.ndarray], shown: Sequence[int], seed: int, steps: int) -> dict[str, Any]:
        """What the page draws.

        Args:
            made: uint8 (n, 28, 28) of each generator; the first len(shown) were made at once from `seed`.
            shown: their classes; these digits are told one by one.
            steps: of diffusion.
        Returns:
            {"edges": of the bins, "usual", "counts": {"test" and each generator: digits in each bin}, "medians",
            "samples": {generator: [{"class", "index": of the training digit, "distance"}, ...]}, "seed", "steps"}.
        """
        found = {kind: self.nearest(self.features(images)) for kind, images in made.items()}
        distances = {"test": self.test, **{kind: distance for kind, (distance, _) in found.items()}}
        end = float(np.percentile(np.concatenate(list(distances.values())), FARTHEST))
        edges = np.linspace(0, end, BINS + 1)
        samples = {
            kind: [
                {"class": int(label), "index": int(index[k]), "distance": round(float(distance[k]), 2)}
                for k, label in enumerate(shown)
            ]
            for kind, (distance, index) in found.items()
        }
        return {
            "edges": [round(float(e), 3) for e in edges],
            "usual": round(self.usual, 3),
            "counts": {k: np.histogram(d.clip(0, end), edges)[0].tolist() for k, d in distances.items()},
            "medians": {k: round(float(np.median(d)), 3) for k, d in distances.items()},
            "samples": samples,
            "seed": seed,
            "steps": steps,
        }
