"""Noise level estimation from a single image.

White noise has the same variance in all directions, a clean image in few. So the smallest
eigenvalues of the covariance of small patches are all about sigma^2; the largest are dropped until
median and mean of the others agree (Chen, Zhu, Heng 2015, "An Efficient Statistical Method for
Image Noise Level Estimation"). Patches with gradients stronger than noise has them hold texture;
they are dropped and the estimate is repeated (Liu, Tanaka, Okutomi 2013, "Single-Image Noise Level
Estimation for Blind Denoising").
"""

import numpy as np

PATCH = 8  # px a side
MAX_PATCHES = 30_000  # more do not improve the estimate
MIN_PATCHES = 200  # left after texture is dropped; fewer give no covariance of 64 pixels
ROUNDS = 5
TEXTURE = 1.25  # times the mean gradient energy of pure noise: 6 % of its patches have more
BIAS = 1.03  # corrects for dropping those; measured on Train400 at sigma 5 to 50


def estimate_sigma(x: np.ndarray) -> float:
    """Standard deviation of white noise in an image.

    Args:
        x: float (H, W) in [0, 1], both sides 8 px or more.
    Returns:
        sigma in grey levels of 255, 0 and up. Grain larger than a pixel, as in JPEG files and
        reduced photos, is underestimated; texture of a pixel's size counts as noise.
    """
    patches = _patches(np.asarray(x, np.float32))
    if len(patches) < 2:
        return 0.0
    energy = _gradient_energy(patches)
    variance = _noise_variance(patches)
    for _ in range(ROUNDS):
        # a difference of two has twice the variance
        flat = energy <= TEXTURE * 2 * 2 * PATCH * (PATCH - 1) * variance
        if flat.sum() < min(MIN_PATCHES, len(patches)):
            break
        variance = _noise_variance(patches[flat])
    return float(255 * BIAS * np.sqrt(variance))


def _noise_variance(patches: np.ndarray) -> float:
    values = np.linalg.eigvalsh(np.cov(patches, rowvar=False, bias=True)).clip(0)
    for n in range(len(values), 1, -1):
        mean = values[:n].mean()
        if (values[:n] > mean).sum() >= (values[:n] < mean).sum():
            return float(mean)
    return float(values[0])


def _gradient_energy(patches: np.ndarray) -> np.ndarray:
    """(N, 64) -> (N,): the squared differences of all neighbours in a patch, summed."""
    squares = patches.reshape(-1, PATCH, PATCH)
    return sum(np.square(np.diff(squares, axis=axis)).sum((1, 2)) for axis in (1, 2))


def _patches(x: np.ndarray) -> np.ndarray:
    """float32 (N, 64): every patch of a small image, further apart in a large one."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (PATCH, PATCH))
    apart = int(np.ceil(np.sqrt(windows.shape[0] * windows.shape[1] / MAX_PATCHES)))
    return windows[::apart, ::apart].reshape(-1, PATCH * PATCH)
