"""Colour profiles (ICC) and PNG's gamma and primaries, converted to sRGB.

A browser shows the colours that the profile means; the networks were trained on sRGB, and results
are saved as sRGB.
"""

from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

MAX_PROFILE = 8_000_000  # bytes; printers' profiles have two million
SAME = 2  # grey levels; a profile that changes colours by no more is sRGB
SRGB_GAMMA = 1 / 2.2  # what PNG writes for sRGB
SPACES = {"RGB": "RGB ", "L": "GRAY", "CMYK": "CMYK", "LAB": "Lab "}  # mode -> of the profile
# white, red, green, blue, each x and y (ITU-R BT.709)
PRIMARIES = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)


def to_srgb(image: Image.Image) -> tuple[Image.Image, str]:
    """(the image in sRGB, a sentence on what was done or ""); transparency stays as it is.

    A profile that cannot be read, or that is for another kind of pixels, is left out.
    """
    profile = image.info.get("icc_profile")
    if isinstance(profile, bytes) and 128 <= len(profile) <= MAX_PROFILE:
        return _by_profile(image, profile)
    gamma = image.info.get("gamma")
    if gamma and "srgb" not in image.info and image.mode in ("RGB", "RGBA", "L", "LA", "P"):
        return _by_gamma(image, float(gamma), image.info.get("chromaticity"))
    return image, ""


def _by_profile(image: Image.Image, profile: bytes) -> tuple[Image.Image, str]:
    colours, alpha = _without_alpha(image)
    if colours.mode not in SPACES:
        return image, ""
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        if source.profile.xcolor_space != SPACES[colours.mode]:
            return image, ""
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            colours.mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        if colours.mode in ("RGB", "L"):
            probe = _probe(colours.mode)
            shown = np.asarray(ImageCms.applyTransform(probe, transform), np.int16)
            if np.abs(shown - np.asarray(probe.convert("RGB"), np.int16)).max() <= SAME:
                return image, ""
        converted = ImageCms.applyTransform(colours, transform)
        name = " ".join(ImageCms.getProfileDescription(source).split())[:60]
    except Exception:  # a damaged profile does not damage the pixels
        return image, ""
    if converted is None:
        return image, ""
    if colours.mode == "L":  # exactly grey
        converted = converted.getchannel("G").convert("RGB")
    if alpha is not None:
        converted.putalpha(alpha)
    named = name if name and "srgb" not in name.lower() else "the file's profile"
    return converted, f"Colours were converted from {named} to sRGB."


def _probe(mode: str) -> Image.Image:
    """Colours all over the cube, or all greys."""
    if mode == "L":
        return Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    steps = np.linspace(0, 255, 6).round().astype(np.uint8)
    return Image.fromarray(np.stack(np.meshgrid(steps, steps, steps), -1).reshape(6, 36, 3))


def _without_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    if image.mode in ("RGBA", "LA"):
        return image.convert(image.mode[:-1]), image.getchannel("A")
    if image.has_transparency_data:  # one colour is transparent
        rgba = image.convert("RGBA")
        return rgba.convert("RGB"), rgba.getchannel("A")
    return image, None


def _by_gamma(
    image: Image.Image, gamma: float, primaries: tuple[float, ...] | None
) -> tuple[Image.Image, str]:
    matrix = _to_bt709(primaries)
    if not 0.05 <= gamma <= 5 or (abs(gamma / SRGB_GAMMA - 1) < 0.05 and matrix is None):
        return image, ""
    colours, alpha = _without_alpha(image)
    linear = np.linspace(0, 1, 256) ** (1 / gamma)
    if matrix is None:
        table = np.round(255 * _encode(linear)).astype(np.uint8)
        converted = Image.fromarray(table[np.asarray(colours)])
    else:
        light = linear.astype(np.float32)[np.asarray(colours.convert("RGB"))] @ matrix.T
        converted = Image.fromarray((255 * _encode(light)).round().astype(np.uint8))
    if alpha is not None:
        converted.putalpha(alpha)
    return converted, f"The file's gamma ({gamma:g}) was applied: its colours are now in sRGB."


def _encode(linear: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1: light in [0, 1] -> sRGB in [0, 1]."""
    light = linear.clip(0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def _to_bt709(primaries: tuple[float, ...] | None) -> np.ndarray | None:
    """float32 (3, 3) from light in these primaries to sRGB's; None: they are the same."""
    if (
        not primaries
        or len(primaries) != 8
        or np.abs(np.subtract(primaries, PRIMARIES)).max() < 2e-3
    ):
        return None
    try:
        matrix = np.linalg.inv(_to_xyz(PRIMARIES)) @ _to_xyz(primaries)
    except np.linalg.LinAlgError:
        return None
    return matrix.astype(np.float32) if np.isfinite(matrix).all() else None


def _to_xyz(primaries: tuple[float, ...]) -> np.ndarray:
    xy = np.array(primaries, np.float64).reshape(4, 2)
    with np.errstate(all="ignore"):
        columns = np.stack([xy[:, 0] / xy[:, 1], np.ones(4), (1 - xy.sum(1)) / xy[:, 1]])
    if not np.isfinite(columns).all():
        raise np.linalg.LinAlgError
    return columns[:, 1:] * np.linalg.solve(columns[:, 1:], columns[:, 0])
