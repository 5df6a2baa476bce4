"""Images as arrays and planes, and a restoration network run on them."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from tasks.core import device
from tasks.core.images import ImageError, ImageLike, split_alpha, to_rgb

# RGB -> brightness and two colour differences, of BM3D's colour version (Dabov et al. 2007)
OPPONENT = np.array([[1 / 3, 1 / 3, 1 / 3], [0.5, 0.0, -0.5], [0.25, -0.5, 0.25]], np.float32)
# the factor by which it changes the sigma of noise that is independent in R, G and B
OPPONENT_GAIN = np.sqrt((OPPONENT**2).sum(1))


def prepare_network(network: nn.Module) -> nn.Module:
    """In eval mode on the best device."""
    return network.eval().to(device.best()).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


@torch.inference_mode()
def restore(network: nn.Module, planes: np.ndarray, maps: Tensor) -> np.ndarray:
    """float32 (P, h, w), each plane as an image, and maps (P or 1, M, 1, 1) -> float32 (P, h, w).

    In bf16 where the processor has it: half the time, 0.004 dB (the card's scores include it).
    """
    x = torch.from_numpy(np.ascontiguousarray(planes[:, None])).to(device.best())  # (P, 1, h, w)
    bf16 = device.bf16_is_native()
    with torch.autocast(device.best().type, torch.bfloat16, enabled=bf16):
        return np.asarray(network(x, maps.expand(len(x), -1, -1, -1)).float().cpu().numpy())[:, 0]


# -- images, arrays, planes ------------------------------------------------------------------------


def to_array(image: ImageLike) -> np.ndarray:
    """Any image as float32 in [0, 1]: (H, W) where R = G = B everywhere, else (H, W, 3).

    Transparent parts become white.

    Raises:
        ImageError: no usable image.
    """
    return _grey_or_colour(np.asarray(to_rgb(image)))


def to_array_and_alpha(image: ImageLike) -> tuple[np.ndarray, np.ndarray | None]:
    """As `to_array`, with the opacity apart: float32 (H, W) in [0, 1], None where all is opaque.

    What is invisible has the colours of what is seen around it. Raises ImageError.
    """
    rgb, alpha = split_alpha(image)
    opacity = None if alpha is None else alpha.astype(np.float32) / 255
    return _grey_or_colour(np.asarray(rgb)), opacity


def _grey_or_colour(rgb: np.ndarray) -> np.ndarray:
    is_grey = bool((rgb[..., 0] == rgb[..., 1]).all() and (rgb[..., 1] == rgb[..., 2]).all())
    return (rgb[..., 0] if is_grey else rgb).astype(np.float32) / 255


def to_image(x: np.ndarray, alpha: np.ndarray | None = None) -> Image.Image:
    """float (H, W[, 3]) -> 8-bit image, clipped and rounded; RGBA with an opacity (H, W)."""
    image = Image.fromarray((x.clip(0, 1) * 255).round().astype(np.uint8))
    if alpha is None:
        return image
    image = image.convert("RGB")
    image.putalpha(Image.fromarray((alpha.clip(0, 1) * 255).round().astype(np.uint8)))
    return image


def check_array(x: np.ndarray) -> np.ndarray:
    """The array, unchanged. Raises ImageError unless it is a finite float (H, W) or (H, W, 3)."""
    fits = isinstance(x, np.ndarray) and np.issubdtype(x.dtype, np.floating)
    if not fits or not (x.ndim == 2 or (x.ndim == 3 and x.shape[2] == 3)) or min(x.shape[:2]) < 8:
        came = f"{x.dtype} {x.shape}" if isinstance(x, np.ndarray) else type(x).__name__
        raise ImageError(
            f"A float array (H, W) or (H, W, 3), 8 px or more a side, is needed; {came} came."
        )
    if not np.isfinite(x).all():
        raise ImageError(
            "The array holds NaN or infinite values. "
            "Replace them, for example with numpy.nan_to_num."
        )
    return x


def to_planes(x: np.ndarray) -> np.ndarray:
    """(H, W) -> (1, H, W); RGB (H, W, 3) -> brightness, two differences around 0.5, (3, H, W)."""
    if x.ndim == 2:
        return x[None].astype(np.float32)
    planes = np.einsum("pc,hwc->phw", OPPONENT, x.astype(np.float32))
    planes[1:] += 0.5
    return planes


def from_planes(planes: np.ndarray) -> np.ndarray:
    """The inverse of `to_planes`, clipped to [0, 1]."""
    if len(planes) == 1:
        return planes[0].clip(0, 1)
    offset = np.array([0, 0.5, 0.5], np.float32)
    rgb = np.einsum("cp,hwp->hwc", np.linalg.inv(OPPONENT), planes.transpose(1, 2, 0) - offset)
    return rgb.astype(np.float32).clip(0, 1)
