"""GAN and VAE as the tabs share them, loaded on first use; and what their events check."""

import math
import secrets
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.compute import Kept, Lazy
from tasks.images import ImageError

if TYPE_CHECKING:
    from tasks.gan import GanGenerator, GanHistory, LatentGenerator
    from tasks.vae import VaeGenerator

IN_TURN, ANY = "one of each", "any"
CLASSES = [IN_TURN, *"0123456789", ANY]


def _load_gan() -> "GanGenerator":
    from tasks.gan import GanGenerator

    return GanGenerator.load()


def _load_vae() -> "VaeGenerator":
    from tasks.vae import VaeGenerator

    return VaeGenerator.load()


gan = Lazy(_load_gan)
vae = Lazy(_load_vae)
_histories: "Kept[GanHistory]" = Kept(most=2)


def history(name: str) -> "GanHistory":
    """ "gan_history" or "gan_collapse". Raises WeightsError."""
    from tasks.gan import GanHistory

    return _histories.get(name, lambda: GanHistory.load(name))


def whole(value: Any, name: str) -> int:
    """A number as int. Raises ImageError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value != int(value):
        raise ImageError(f"{name} is a whole number; {str(value)[:20]} came.")
    return int(value)


def seed_of(value: Any) -> int:
    """A seed field's value; an empty field draws one. Raises ImageError."""
    return secrets.randbelow(1_000_000) if value in (None, "") else whole(value, "The seed")


def labels_of(generator: "LatentGenerator", asked: Any, n: int, seed: int) -> np.ndarray:
    """int64 (n,): what a class field asks for. Raises ImageError."""
    if asked == IN_TURN:
        return np.arange(n) % len(generator.classes)
    return generator.labels(n, seed, None if asked == ANY else class_of(generator, asked))


def class_of(generator: "LatentGenerator", asked: Any) -> int:
    """Of "7" or 7. Raises ImageError."""
    if str(asked) not in generator.classes or isinstance(asked, bool):
        raise ImageError(f"It makes {', '.join(generator.classes)}; {str(asked)[:30]!r} was asked for.")
    return generator.classes.index(str(asked))


def latent_of(generator: "LatentGenerator", digit: Any) -> tuple[np.ndarray, int]:
    """(float32 (1, latent), class) of what the page sends: {"z": [...], "label": 0 ... 9}. Raises ImageError."""
    if not isinstance(digit, dict) or not isinstance(digit.get("z"), list):
        raise ImageError('A digit is needed as {"z": 100 numbers, "label": 0 to 9}. Click one in the grid.')
    z = digit["z"]
    if len(z) != generator.latent or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in z):
        raise ImageError(f"z is a list of {generator.latent} numbers; {len(z)} came, or not all are numbers.")
    values = np.array(z, np.float64)
    if not (np.isfinite(values).all() and np.abs(values).max() <= 6):
        raise ImageError("The numbers of z lie between -6 and 6; some do not.")
    return values.astype(np.float32)[None], class_of(generator, digit.get("label"))
