"""Values of a page's fields, checked: whole numbers, seeds, classes, latents."""

import math
import secrets
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.core.images import ImageError

if TYPE_CHECKING:
    from tasks.gan.generator import LatentGenerator


IN_TURN, ANY = "one of each", "any"
CLASSES = [IN_TURN, *"0123456789", ANY]


def parse_int(value: Any, name: str) -> int:
    """A number as int. Raises ImageError."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not math.isfinite(value)
        or value != int(value)
    ):
        raise ImageError(f"{name} is a whole number; {str(value)[:20]} came.")
    return int(value)


def parse_seed(value: Any) -> int:
    """A seed field's value; an empty field draws one. Raises ImageError."""
    return secrets.randbelow(1_000_000) if value in (None, "") else parse_int(value, "The seed")


def parse_labels(generator: "LatentGenerator", asked: Any, n: int, seed: int) -> np.ndarray:
    """int64 (n,): what a class field asks for. Raises ImageError."""
    if asked == IN_TURN:
        return np.arange(n) % len(generator.classes)
    return generator.labels(n, seed, None if asked == ANY else parse_class(generator, asked))


def parse_class(generator: "LatentGenerator", asked: Any) -> int:
    """Of "7" or 7. Raises ImageError."""
    if str(asked) not in generator.classes or isinstance(asked, bool):
        raise ImageError(
            f"The classes are {', '.join(generator.classes)}; {str(asked)[:30]!r} is none of them."
        )
    return generator.classes.index(str(asked))


def parse_latent(generator: "LatentGenerator", digit: Any) -> tuple[np.ndarray, int]:
    """{"z": [...], "label": 0 ... 9} -> (float32 (1, latent), class). Raises ImageError."""
    if not isinstance(digit, dict) or not isinstance(digit.get("z"), list):
        raise ImageError(
            'A digit is needed as {"z": 100 numbers, "label": 0 to 9}. Click one in the grid.'
        )
    z = digit["z"]
    if len(z) != generator.latent or not all(
        isinstance(v, int | float) and not isinstance(v, bool) for v in z
    ):
        raise ImageError(
            f"z is a list of {generator.latent} numbers; {len(z)} came, or not all are numbers."
        )
    values = np.array(z, np.float64)
    if not (np.isfinite(values).all() and np.abs(values).max() <= 6):
        raise ImageError("The numbers of z lie between -6 and 6; some do not.")
    return values.astype(np.float32)[None], parse_class(generator, digit.get("label"))
