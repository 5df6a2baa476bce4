"""Denoising without networks, by OpenCV (median, Gaussian, bilateral, non-local means); and noise.

All work on grey float32 images (H, W) in [0, 1]. `best` takes the strength with the highest PSNR
against the clean image, an advantage over a network, which never sees it.
"""

from collections.abc import Callable
from io import BytesIO

import numpy as np
from PIL import Image

from tasks.core.image_metrics import psnr

Filter = Callable[[np.ndarray, float], np.ndarray]


def median(x: np.ndarray, size: float) -> np.ndarray:
    """Tukey 1977; `size` 3 or 5 px."""
    import cv2  # takes 0.3 s; the page is built without it

    return cv2.medianBlur(x, int(size))


def gaussian(x: np.ndarray, sigma: float) -> np.ndarray:
    """`sigma` in px."""
    import cv2

    return cv2.GaussianBlur(x, (0, 0), sigma)


def bilateral(x: np.ndarray, sigma: float) -> np.ndarray:
    """Tomasi and Manduchi 1998: the mean of neighbours of similar brightness, `sigma` apart in [0,
    1].
    """
    import cv2

    return cv2.bilateralFilter(x, 9, sigma, 2.0)


def non_local_means(x: np.ndarray, h: float) -> np.ndarray:
    """Buades, Coll, Morel 2005: the mean of places that look alike; `h` in grey levels. OpenCV
    works on 8 bits.
    """
    import cv2

    eight = (x.clip(0, 1) * 255).round().astype(np.uint8)
    return cv2.fastNlMeansDenoising(eight, None, h, 7, 21).astype(np.float32) / 255


FILTERS: dict[str, tuple[Filter, tuple[float, ...]]] = {
    "Median": (median, (3, 5)),
    "Gaussian": (gaussian, (0.6, 0.9, 1.3, 1.8)),
    "Bilateral": (bilateral, (0.1, 0.25, 0.5, 1.0)),
    "Non-local means": (non_local_means, (5, 12, 22, 40)),
}


def best(name: str, noisy: np.ndarray, clean: np.ndarray) -> tuple[np.ndarray, float]:
    """(the result with the highest PSNR, its strength)."""
    apply, strengths = FILTERS[name]
    results = [(apply(noisy.astype(np.float32), s).clip(0, 1), s) for s in strengths]
    return max(results, key=lambda result: psnr(result[0], clean))


# -- noise -----------------------------------------------------------------------------------------

NOISES = ("Gaussian", "Poisson", "Salt and pepper", "JPEG")


def corrupt(clean: np.ndarray, kind: str, strength: float, seed: int) -> np.ndarray:
    """Float32 (H, W) in [0, 1] with seeded noise, clipped, as in a file.

    Args:
        kind: one of NOISES.
        strength: 0 to 100. Gaussian: sigma in grey levels. Poisson: the brightest pixel counts
            4000 photons (0) to 10 (100), in even ratios. Salt and pepper: share of pixels lost, in
            percent, halved. JPEG: 100 - quality.
    """
    rng = np.random.default_rng(seed)
    if kind == "Gaussian":
        out = clean + rng.standard_normal(clean.shape) * strength / 255
    elif kind == "Poisson":
        photons = 4000 * (10 / 4000) ** (strength / 100)
        out = rng.poisson(clean.clip(0, 1) * photons) / photons
    elif kind == "Salt and pepper":
        lost = rng.random(clean.shape) < strength / 200
        out = np.where(lost, rng.integers(0, 2, clean.shape), clean)
    elif kind == "JPEG":
        buffer = BytesIO()
        quality = max(1, round(100 - strength))
        Image.fromarray((clean.clip(0, 1) * 255).round().astype(np.uint8)).save(
            buffer, "JPEG", quality=quality
        )
        out = np.asarray(Image.open(buffer)) / 255
    else:
        raise ValueError(f"no such noise: {kind}")
    return out.clip(0, 1).astype(np.float32)
