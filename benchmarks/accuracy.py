"""Measure the headline figures of the cards again, on the whole test sets, through the handlers
that the app uses.

    python -m benchmarks.accuracy [--data DIR]

Writes benchmarks/results/accuracy.csv. On two cores the digits take seconds, the photos some
minutes.
"""

import argparse
import time
from pathlib import Path

from benchmarks.results import record
from tasks.classification.digits import DigitClassifier
from tasks.classification.photos import PhotoClassifier
from tasks.models import PHOTO_MODELS
from train import data


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=data.default_data_dir())
    args = parser.parse_args()
    digits, photos = (read(args.data, train=False) for read in (data.mnist, data.cifar10))
    models: list[tuple[str, DigitClassifier | PhotoClassifier, data.ImageSet]] = [
        ("digits", DigitClassifier.load(), digits),
        *((name, PhotoClassifier.load(name), photos) for name in PHOTO_MODELS),
    ]
    for name, model, test in models:
        assert model.card is not None
        alone = name not in PHOTO_MODELS or len(PHOTO_MODELS[name].members) == 1
        called = "accuracy" if alone else "accuracy together"
        claimed = next(metric for metric in model.card.metrics if metric.name.startswith(called))
        start = time.perf_counter()
        read = model.classify_batch(test.images).argmax(1)
        seconds = time.perf_counter() - start
        record(
            "accuracy",
            {
                "model": name,
                "n": len(test),
                "accuracy_percent": round(100 * float((read == test.labels).mean()), 3),
                "card_percent": round(claimed.value, 3),
                "ms_per_picture": round(1000 * seconds / len(test), 3),
            },
        )


if __name__ == "__main__":
    main()
