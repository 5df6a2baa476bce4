"""A drawing as a camera would record it: light, shadow, blur, noise, JPEG."""

import cv2
import numpy as np

from train.detector.sheets import grain_at


def photograph(rng: np.random.Generator, image: np.ndarray, smallest: float) -> np.ndarray:
    """A square drawing, uint8 (H, H, 3) RGB, as a camera gives it.

    smallest: px, the longer side of the smallest thing that must stay legible: it limits blur,
        noise and compression.
    """
    size = len(image)
    sigma = rng.uniform(0, min(0.035 * smallest, 2.0)) * (rng.random() < 0.8)
    if sigma > 0.25:
        image = cv2.GaussianBlur(image, (0, 0), sigma)
    if smallest > 24 and rng.random() < 0.15:  # the hand moved
        length = int(rng.integers(3, 4 + min(6, int(smallest / 12))))
        kernel = np.zeros((length, length), np.float32)
        end = rng.uniform(-1, 1, 2) * length / 2 + length / 2
        cv2.line(kernel, (length // 2, length // 2), (int(end[0]), int(end[1])), 1.0, 1)
        image = cv2.filter2D(image, -1, kernel / max(1.0, float(kernel.sum())))
    photo = cv2.multiply(image, _light(rng, size), dtype=cv2.CV_32F)
    amount = rng.uniform(0, 3) if rng.random() < 0.6 else rng.uniform(3, 9 if smallest < 24 else 14)
    photo = cv2.scaleAdd(grain_at(rng, size, size), amount, photo)
    quality = int(rng.integers(70 if smallest < 20 else 40, 96))
    rounded = cv2.add(photo, np.zeros(4), dtype=cv2.CV_8U)  # + 0: rounds, saturates
    pixels = cv2.cvtColor(rounded, cv2.COLOR_RGB2BGR)
    _, jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    back = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    assert back is not None  # what imencode wrote
    return cv2.cvtColor(back, cv2.COLOR_BGR2RGB)


def _light(rng: np.random.Generator, size: int) -> np.ndarray:
    """Exposure, white balance, gradient, shadow and glare as factors, float32 (H, W, 3)."""
    n = 80
    y, x = np.mgrid[-1 : 1 : n * 1j, -1 : 1 : n * 1j].astype(np.float32)
    gx, gy = rng.normal(0, 0.12, 2)
    field = 1 + gx * x + gy * y - rng.uniform(0, 0.15) * (x * x + y * y)
    if rng.random() < 0.35:
        shadow = np.ones((n, n), np.float32)
        corners = rng.uniform(-0.3, 1.3, (int(rng.integers(3, 6)), 2)) * n
        cv2.fillPoly(
            shadow, [cv2.convexHull(corners.astype(np.int32))], float(rng.uniform(0.45, 0.85))
        )
        field *= cv2.GaussianBlur(shadow, (0, 0), rng.uniform(1.2, 8))
    if rng.random() < 0.1:  # glare
        cx, cy = rng.uniform(-1, 1, 2)
        field += rng.uniform(0.1, 0.35) * np.exp(
            -((x - cx) ** 2 + (y - cy) ** 2) / rng.uniform(0.02, 0.2)
        )
    exposure = rng.uniform(0.6, 1.1) * rng.uniform(0.9, 1.08, 3)
    field = cv2.resize(field.clip(0.45, 1.5).astype(np.float32), (size, size))
    return cv2.multiply(cv2.merge([field] * 3), np.array([*exposure, 0.0]))
