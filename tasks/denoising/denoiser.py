"""Photos without their noise: `Denoiser` runs the network of train/denoiser.py, tile by tile.

Denoiser.load().denoise("photo.jpg").save("clean.png")
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from tasks.core import device, weights
from tasks.core.images import ImageError, ImageLike
from tasks.core.tiling import SIDE, TileStep, map_tiles
from tasks.denoising.noise_level import estimate_sigma
from tasks.denoising.planes import (
    OPPONENT_GAIN,
    check_array,
    from_planes,
    prepare_network,
    restore,
    to_array_and_alpha,
    to_image,
    to_planes,
)
from tasks.networks.denoiser_unet import DenoiserUNet

MAX_SIGMA = 100.0  # grey levels; trained on 0 to 55, and without biases the network goes beyond


class Denoiser:
    """Removes noise from grey and colour images. `card` describes its training.

    A colour image is split into brightness and two colour differences, each of which goes through
    the grey network. Averaging three channels leaves 1/sqrt(3) of the noise in the brightness,
    which carries the detail.
    """

    def __init__(self, network: nn.Module, card: weights.Card | None = None):
        self.network, self.card = prepare_network(network), card

    @classmethod
    def load(cls, folder: Path = weights.FOLDER) -> "Denoiser":
        """Raises WeightsError where the network or its card is missing or damaged."""
        return cls(*weights.load("denoiser", DenoiserUNet, folder))

    def denoise(self, image: ImageLike, sigma: float | None = None) -> Image.Image:
        """The denoised image: same size, grey where the input is grey, else RGB.

        One with transparency keeps it, as RGBA.

        Args:
            sigma: standard deviation of the noise in grey levels of 255, 0 to 100; None: estimate.
        Raises:
            ImageError: no usable image, or sigma out of its range.
        """
        x, alpha = to_array_and_alpha(image)
        return to_image(self.denoise_array(x, sigma), alpha)

    def denoise_array(self, x: np.ndarray, sigma: float | None = None) -> np.ndarray:
        """float32 (H, W) or (H, W, 3) in [0, 1] -> the same shape, clipped, not rounded.

        The input may exceed [0, 1], as noise makes it. Raises ImageError.
        """
        *_, last = self.steps(x, sigma)
        return from_planes(last.out)

    def steps(
        self, x: np.ndarray, sigma: float | None = None, side: int = SIDE
    ) -> Iterator[TileStep]:
        """As `denoise_array`, tile by tile; `from_planes(step.out)` is the image.

        Raises:
            ImageError: an unusable array, or sigma out of its range.
        """
        check_array(x)
        if sigma is None:
            sigma = self.estimate(x)
        if not 0 <= sigma <= MAX_SIGMA:  # NaN fails
            raise ImageError(f"Sigma lies between 0 and {MAX_SIGMA:g} grey levels; {sigma:g} came.")
        gains = OPPONENT_GAIN if x.ndim == 3 else np.ones(1, np.float32)
        maps = torch.from_numpy(gains * np.float32(sigma / 255)).to(device.best())
        maps = maps.view(-1, 1, 1, 1)  # (P, 1, 1, 1)
        return map_tiles(to_planes(x), lambda planes: restore(self.network, planes, maps), side)

    def estimate(self, x: np.ndarray) -> float:
        """Sigma of the noise in float32 (H, W) or (H, W, 3), in grey levels of 255.

        Of a colour image, the root mean square over its planes. Raises ImageError.
        """
        check_array(x)
        planes = to_planes(x)
        gains = OPPONENT_GAIN if len(planes) == 3 else np.ones(1)
        sigmas = [estimate_sigma(plane) / gain for plane, gain in zip(planes, gains, strict=True)]
        return min(float(np.sqrt(np.mean(np.square(sigmas)))), MAX_SIGMA)
