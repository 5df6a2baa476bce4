"""PSNR and SSIM of float images in [0, 1].

Conventions of scikit-image and torchmetrics: over the whole image unless `border` is given; SSIM
(Wang et al. 2004) with a Gaussian window of 11 px and sigma 1.5, the mean over channels; windows
that reach beyond the image are left out.
"""

import math

import numpy as np

WINDOW, WINDOW_SIGMA = 11, 1.5  # px
C1, C2 = 0.01**2, 0.03**2


def psnr(x: np.ndarray, truth: np.ndarray, border: int = 0) -> float:
    """Peak signal-to-noise ratio in dB; infinite for equal images.

    Args:
        x, truth: float (H, W) or (H, W, C) in [0, 1].
        border: px left out on each side, as usual for super-resolution.
    """
    error = float(np.mean((_crop(x, border) - _crop(truth, border)) ** 2))
    return -10 * math.log10(error) if error > 0 else math.inf


def ssim(x: np.ndarray, truth: np.ndarray, border: int = 0) -> float:
    """Structural similarity, at most 1; both sides must be 11 px or more."""
    import cv2  # 0.3 s, on first use only

    def blur(v: np.ndarray) -> np.ndarray:
        blurred = cv2.GaussianBlur(v, (WINDOW, WINDOW), WINDOW_SIGMA)
        half = WINDOW // 2
        return blurred[half:-half, half:-half]

    a, b = _crop(x, border), _crop(truth, border)
    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
    covariance = blur(a * b) - mean_a * mean_b
    likeness = (2 * mean_a * mean_b + C1) * (2 * covariance + C2)
    return float(np.mean(likeness / ((mean_a**2 + mean_b**2 + C1) * (var_a + var_b + C2))))


def _crop(x: np.ndarray, border: int) -> np.ndarray:
    inner = x[border:-border, border:-border] if border else x
    return np.asarray(inner, np.float64)
