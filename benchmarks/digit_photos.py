"""How many photos of digits are read rightly, by kind.

    python -m benchmarks.digit_photos [--data DIR] [-n 20] [--test]

Digits are MNIST's held-out training digits; with --test its test digits, for the last measurement.
Writes benchmarks/results/digit_photos.csv.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.results import record
from tasks.classification.digits import DigitClassifier
from tasks.core.images import ImageError, NoDigitError
from train import data
from train.digit_variants import VARIANTS, render
from train.ink.photos import KINDS, several, without_digits

Reader = Callable[[np.ndarray], str]  # a photo -> the digits in it, "" for none


def reader(classifier: DigitClassifier) -> Reader:
    """Reads one digit a photo, as the app does."""

    def read(photo: np.ndarray) -> str:
        try:
            shares = classifier.classify(Image.fromarray(photo))
        except (ImageError, NoDigitError):
            return ""
        return max(shares, key=shares.__getitem__)

    return read


def photos(digits: data.ImageSet, n: int) -> dict[str, list[tuple[np.ndarray, str]]]:
    """Kind -> n photos, each with what is written on it."""
    made: dict[str, list[tuple[np.ndarray, str]]] = {}
    for k, (name, kind) in enumerate(KINDS.items()):
        rng = np.random.default_rng((7, k))
        made[name] = [(kind(digits.images[i], rng), str(digits.labels[i])) for i in range(n)]
    rng = np.random.default_rng((7, 100))
    made["several digits"] = []
    for _ in range(n):
        chosen = rng.integers(len(digits), size=int(rng.integers(2, 6)))
        text = "".join(str(label) for label in digits.labels[chosen])
        made["several digits"].append((several(digits.images[chosen], rng), text))
    made["no digit"] = [(without_digits(rng), "") for _ in range(n)]
    for name in VARIANTS:
        drawn = render(name, digits.images[:n])
        made[name] = [(image, str(digits.labels[i])) for i, image in enumerate(drawn)]
    return made


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=data.default_data_dir())
    parser.add_argument("-n", type=int, default=20, help="photos of each kind")
    parser.add_argument("--test", action="store_true", help="MNIST's test digits")
    args = parser.parse_args()
    digits = data.mnist(args.data, train=not args.test)
    if not args.test:
        digits = data.train_and_val(digits)[1]
    read = reader(DigitClassifier.load())
    for kind, made in photos(digits, args.n).items():
        start = time.perf_counter()
        right = sum(read(photo) == text for photo, text in made)
        record(
            "digit_photos",
            {
                "digits": "test" if args.test else "held out",
                "kind": kind,
                "n": len(made),
                "right": right,
                "ms": round(1000 * (time.perf_counter() - start) / len(made), 1),
            },
        )


if __name__ == "__main__":
    main()
