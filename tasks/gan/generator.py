"""GAN: a generator of digits in one step from 100 random numbers and a class.

Goodfellow et al. 2014; the networks are a class-conditional DCGAN's (Radford et al. 2016), trained
by `train/gan.py`. `LatentGenerator` is the common interface of GAN and VAE (`vae.py`): `z` is a
standard normal vector, the style, and `y` the class, which may be a mixture of two.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tasks.core import device, weights
from tasks.core.images import ImageError, check_batch
from tasks.networks.dcgan import DCGAN

MAX_IMAGES = 100  # in one call
NO_TRUNCATION = 3.0  # from here on z is unchanged; 0.3 % of normal values lie beyond
LATENT_LIMIT = 6.0  # larger values of z do not occur in training

Label = int | Sequence[int] | None


class LatentGenerator(ABC):
    """Generates digits from latents.

    Attributes:
        latent: length of z.
        classes: names of the classes, "0" to "9".
    """

    def __init__(self, card: weights.Card):
        self.card = card
        self.latent, self.classes = int(card.config["latent"]), tuple(card.classes)

    @abstractmethod
    def draw(self, z: Tensor, y: Tensor) -> Tensor:
        """float32 (n, latent), (n, classes) -> (n, 1, 28, 28) in [0, 1]."""

    def generate(
        self, n: int, seed: int, label: Label = None, truncation: float = NO_TRUNCATION
    ) -> np.ndarray:
        """uint8 (n, 28, 28); image k depends on the seed and k only.

        Args:
            label: a class for all, one for each, or None = random.
            truncation: the largest value of z; less = more typical digits, less variety.
        Raises:
            ImageError: a setting out of its range.
        """
        return self.from_latent(self.latents(n, seed, truncation), self.labels(n, seed, label))

    def latents(self, n: int, seed: int, truncation: float = NO_TRUNCATION) -> np.ndarray:
        """float32 (n, latent): a normal truncated at `truncation` (Brock et al. 2019)."""
        self._check_numbers(n, seed)
        number = isinstance(truncation, int | float) and not isinstance(truncation, bool)
        if not number or not truncation >= 0.05:  # NaN fails
            raise ImageError(f"Truncation is a number from 0.05 on; {str(truncation)[:20]} came.")
        z = torch.stack([torch.randn(self.latent, generator=_random(seed, k)) for k in range(n)])
        if truncation < NO_TRUNCATION:
            edge = torch.special.ndtr(torch.tensor(-float(truncation)))
            z = torch.special.ndtri(edge + torch.special.ndtr(z) * (1 - 2 * edge))
        return z.numpy()

    def labels(self, n: int, seed: int, label: Label = None) -> np.ndarray:
        """int64 (n,): the requested classes, or random ones. Raises ImageError."""
        if label is None:
            found = [
                int(torch.randint(len(self.classes), (1,), generator=_random(seed, k, 1)))
                for k in range(n)
            ]
        else:
            found = [label] * n if isinstance(label, int) else list(label)
        if len(found) != n or not all(type(k) is int and 0 <= k < len(self.classes) for k in found):
            raise ImageError(
                f"Classes are numbers from 0 to {len(self.classes) - 1}; {str(label)[:40]} came."
            )
        return np.array(found, np.int64)

    @torch.inference_mode()
    def from_latent(self, z: np.ndarray, label: int | Sequence[int] | np.ndarray) -> np.ndarray:
        """Digits of these latents.

        Args:
            z: float (n, latent).
            label: a class, one for each, or float (n, classes): shares of each class that sum to 1.
        Returns:
            uint8 (n, 28, 28).
        Raises:
            ImageError: another shape, values that are not finite or beyond 6.
        """
        z = np.asarray(z, np.float32)
        if z.ndim != 2 or z.shape[1] != self.latent or not 1 <= len(z) <= 20 * MAX_IMAGES:
            raise ImageError(f"Latents are needed as (n, {self.latent}); {z.shape} came.")
        if not (np.isfinite(z).all() and np.abs(z).max() <= LATENT_LIMIT):
            raise ImageError(
                f"Latents lie between -{LATENT_LIMIT:g} and {LATENT_LIMIT:g}; some values do not."
            )
        on = device.best()
        x = self.draw(torch.from_numpy(z).to(on), self.class_shares(len(z), label).to(on))
        pixels: np.ndarray = (x[:, 0].float().clamp(0, 1) * 255).round().byte().cpu().numpy()
        return pixels

    def class_shares(self, n: int, label: int | Sequence[int] | np.ndarray) -> Tensor:
        """float32 (n, classes), each row sums to 1. Raises ImageError."""
        if isinstance(label, np.ndarray) and label.ndim == 2:
            shares = torch.from_numpy(label).float()
            if shares.shape != (n, len(self.classes)) or not torch.allclose(
                shares.sum(1), torch.ones(n), atol=1e-4
            ):
                raise ImageError(
                    f"Shares of the classes are needed as ({n}, {len(self.classes)}), rows that "
                    "sum to 1."
                )
            return shares
        asked = [int(k) for k in label] if isinstance(label, np.ndarray) else label
        return torch.eye(len(self.classes))[torch.from_numpy(self.labels(n, 0, asked))]

    def interpolate(self, seed_a: int, seed_b: int, n: int, label: int = 0) -> np.ndarray:
        """uint8 (n, 28, 28): from the first image of one seed to that of another, both included."""
        z_a, z_b = self.latents(1, seed_a)[0], self.latents(1, seed_b)[0]
        return self.from_latent(slerp(z_a, z_b, n), label)

    def morph(self, z: np.ndarray, from_class: int, to_class: int, n: int) -> np.ndarray:
        """uint8 (n, 28, 28): a constant style `z` (latent,) while one class becomes another."""
        return self.from_latent(np.repeat(z[None], n, 0), self.class_walk(from_class, to_class, n))

    def class_walk(self, from_class: int, to_class: int, n: int) -> np.ndarray:
        """float32 (n, classes): shares on the straight line from a class to another."""
        a, b = self.class_shares(1, from_class).numpy(), self.class_shares(1, to_class).numpy()
        t = np.linspace(0, 1, n, dtype=np.float32)[:, None]
        return a * (1 - t) + b * t

    def _check_numbers(self, n: int, seed: int) -> None:
        for name, value, low, high in (
            ("The number of images", n, 1, MAX_IMAGES),
            ("The seed", seed, 0, 2**31 - 1),
        ):
            if type(value) is not int or not low <= value <= high:
                raise ImageError(
                    f"{name} is a whole number from {low} to {high}; {str(value)[:20]} came."
                )


class GanGenerator(LatentGenerator):
    """The GAN, with its discriminator."""

    def __init__(self, network: DCGAN, card: weights.Card):
        super().__init__(card)
        self.network = network.eval().to(device.best())
        kernel = network.generator.first.weight[: self.latent].flatten(1)  # (latent, w1 * 16)
        self._directions = torch.linalg.svd(
            kernel.detach().float().cpu(), full_matrices=False
        ).U.T.numpy()

    @classmethod
    def load(cls, folder: Path = weights.FOLDER) -> "GanGenerator":
        """Raises WeightsError."""
        return cls(*weights.load("gan", DCGAN, folder))

    def draw(self, z: Tensor, y: Tensor) -> Tensor:
        x: Tensor = self.network.generator(z, y)
        return (x + 1) / 2

    @torch.inference_mode()
    def realness(self, images: np.ndarray, label: int | Sequence[int]) -> np.ndarray:
        """float32 (n,) in [0, 1]: the discriminator's score of each digit for its label.

        Args:
            images: uint8 (n, 28, 28), bright strokes on black.
        Raises:
            ImageError.
        """
        check_batch(images, (28, 28), None)
        x = torch.from_numpy(images)[:, None].to(device.best()).float() / 127.5 - 1
        y = self.class_shares(len(x), label).to(x.device)
        scores: np.ndarray = self.network.discriminator(x, y).sigmoid().cpu().numpy()
        return scores

    def directions(self, k: int = 2) -> np.ndarray:
        """float32 (k, latent), orthonormal: the directions that change the first layer most.

        Shen and Zhou 2021 (SeFa).
        """
        return np.ascontiguousarray(self._directions[:k])


def slerp(a: np.ndarray, b: np.ndarray, n: int) -> np.ndarray:
    """float32 (n, latent): from a to b on the sphere, both included (White 2016, arXiv 1609.04468).

    Noise of many dimensions lies near a sphere; a straight line would leave it.
    """
    t = np.linspace(0, 1, n, dtype=np.float64)[:, None]
    unit_a, unit_b = (
        v / max(float(np.linalg.norm(v)), 1e-9)
        for v in (a.astype(np.float64), b.astype(np.float64))
    )
    omega = np.arccos(np.clip(unit_a @ unit_b, -1, 1))
    if np.sin(omega) < 1e-4:  # the same or the opposite direction
        path = (1 - t) * a + t * b
    else:
        path = (np.sin((1 - t) * omega) * a + np.sin(t * omega) * b) / np.sin(omega)
    return path.astype(np.float32)


def _random(seed: int, k: int, stream: int = 0) -> torch.Generator:
    """One generator for each image, so that image k does not depend on n."""
    return torch.Generator().manual_seed((seed * 1_000_003 + k) * 2 + stream)
