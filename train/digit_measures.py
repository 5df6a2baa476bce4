"""Figures of the digits' card: accuracy, confusion matrix, errors, accuracy by kind of image."""

from collections import Counter
from typing import Any

import numpy as np

from tasks.classification.digits import DigitClassifier
from tasks.core.images import NoDigitError
from train import data, digit_variants, report


def measure(classifier: DigitClassifier, digits: data.ImageSet, n_variants: int) -> dict[str, Any]:
    """Accuracy in %, confusion matrix, sentences on the errors, accuracy on each kind of image."""
    probabilities = classifier.classify_batch(digits.images)
    predicted = probabilities.argmax(1)
    right = predicted == digits.labels
    confidence = probabilities.max(1)
    sure = confidence >= 0.9
    wrong = Counter(zip(digits.labels[~right].tolist(), predicted[~right].tolist(), strict=True))
    pairs = ", ".join(f"{t} as {p} ({n})" for (t, p), n in wrong.most_common(5))
    runner_up = (np.argsort(-probabilities, 1)[:, 1] == digits.labels) & ~right
    ece = report.expected_calibration_error(probabilities, digits.labels)
    hardest = [
        f"{int((~right).sum())} of {len(right):,} test digits are classified wrongly; "
        f"most often {pairs or 'none'}.",
        f"In {int(runner_up.sum())} of them the second label is the right one.",
        f"At a probability of at least 90 % ({100 * sure.mean():.2f} % of the digits) the label is "
        f"right in {_share(right[sure])}; below, in {_share(right[~sure])}.",
        f"Expected calibration error over 15 bins: {100 * ece:.2f} %.",
    ]
    return {
        "accuracy": 100 * float(right.mean()),
        "confusion": report.confusion(digits.labels, predicted, 10),
        "hardest": hardest,
        "variants": variant_accuracy(classifier, digits, n_variants),
    }


def test_accuracy(classifier: DigitClassifier, digits: data.ImageSet) -> float:
    """In %."""
    return 100 * float((classifier.classify_batch(digits.images).argmax(1) == digits.labels).mean())


def variant_accuracy(
    classifier: DigitClassifier, digits: data.ImageSet, n: int, seed: int = 0
) -> dict[str, float]:
    """Accuracy in % on the last n digits, rendered as people would send them.

    The last, because digit_preprocessing was developed while looking at the first two hundred. An
    image in which no digit is found counts as an error.
    """
    table = {}
    for name in digit_variants.VARIANTS:
        right = 0
        images = digit_variants.render(name, digits.images[-n:], seed)
        for image, label in zip(images, digits.labels[-n:], strict=True):
            try:
                answer = classifier.classify(image)
                right += max(answer, key=answer.__getitem__) == str(label)
            except NoDigitError:
                pass
        table[name] = 100 * right / min(n, len(digits))
    return table


def _share(right: np.ndarray) -> str:
    return f"{100 * right.mean():.2f} %" if right.size else "none (there are none)"
