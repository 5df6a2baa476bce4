"""How noisy a picture is, from the picture alone.

Noise varies in all directions alike, a clean picture in few: the smallest eigenvalues of the covariance of its small
patches are all about sigma^2, and the largest are set aside until median and mean of the others agree (Chen, Zhu, Heng
2015, "An Efficient Statistical Method for Image Noise Level Estimation"). Patches whose gradients are stronger than
noise makes them hold texture; they are dropped, and the rest is looked at again (Liu, Tanaka, Okutomi 2013,
"Single-Image Noise Level Estimation for Blind Denoising").
"""

import numpy as np

PATCH = 8  # px a side
MOST = 30_000  # patches that are looked at; more make the estimate no better
FEWEST = 200  # patches that are left in the end; fewer give no covariance of 64 pixels
ROUNDS = 5
STRONGER = 1.25  # times the mean gradient energy of pure noise: 6 % of its patches have more
CUT = 1.03  # what dropping those takes from the estimate; measured on Train400 at sigma 5 to 50


def estimate_sigma(x: np.ndarray) -> float:
    """Standard deviation of white noise in a picture.

    Args:
        x: float (H, W) in [0, 1], both sides 8 px or more.
    Returns:
        sigma in grey levels of 255, 0 and up. White noise is meant: grain that is larger than a pixel, as JPEG or a
        reduced photo have it, is underestimated, and texture of a pixel's size is taken for noise.
    """
    patches = _patches(np.asarray(x, np.float32))
    if len(patches) < 2:
        return 0.0
    energy = _gradient_energy(patches)
    variance = _noise_variance(patches)
    for _ in range(ROUNDS):
        flat = energy <= STRONGER * 2 * 2 * PATCH * (PATCH - 1) * variance  # a difference of two has twice the variance
        if flat.sum() < min(FEWEST, len(patches)):
            break
        variance = _noise_variance(patches[flat])
    return float(255 * CUT * np.sqrt(variance))


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
    """float32 (N, 64): every patch of a small picture, further apart in a large one."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (PATCH, PATCH))
    apart = int(np.ceil(np.sqrt(windows.shape[0] * windows.shape[1] / MOST)))
    return windows[::apart, ::apart].reshape(-1, PATCH * PATCH)
