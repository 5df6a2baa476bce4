"""What the digits' card says of the reader: its accuracy, the digits it errs on, the kinds of picture it is sent."""

from collections import Counter
from typing import Any

import numpy as np

from tasks.classification import DigitClassifier
from tasks.images import NoInkError
from train import data, digit_variants, report


def measure(classifier: DigitClassifier, digits: data.ImageSet, n_variants: int) -> dict[str, Any]:
    """Accuracy, confusion matrix, what is known of the errors, and the accuracy on each kind of picture."""
    probabilities = classifier.classify_batch(digits.images)
    read = probabilities.argmax(1)
    right = read == digits.labels
    confidence = probabilities.max(1)
    sure = confidence >= 0.9
    wrong = Counter(zip(digits.labels[~right].tolist(), read[~right].tolist(), strict=True))
    pairs = ", ".join(f"{t} read as {r} ({n})" for (t, r), n in wrong.most_common(5))
    runner_up = (np.argsort(-probabilities, 1)[:, 1] == digits.labels) & ~right
    ece = report.expected_calibration_error(probabilities, digits.labels)
    hardest = [
        f"{int((~right).sum())} of {len(right):,} test digits are misread; most often {pairs or 'none'}.",
        f"In {int(runner_up.sum())} of them the second choice is the right one.",
        f"Where it is at least 90 % sure ({100 * sure.mean():.2f} % of the digits) it is right in "
        f"{_share(right[sure])}; where it is less sure, in {_share(right[~sure])}.",
        f"Expected calibration error over 15 bins: {100 * ece:.2f} %.",
    ]
    return {
        "accuracy": 100 * float(right.mean()),
        "confusion": report.confusion(digits.labels, read, 10),
        "hardest": hardest,
        "variants": variant_accuracy(classifier, digits, n_variants),
    }


def test_accuracy(classifier: DigitClassifier, digits: data.ImageSet) -> float:
    """In %."""
    return 100 * float((classifier.classify_batch(digits.images).argmax(1) == digits.labels).mean())


def variant_accuracy(classifier: DigitClassifier, digits: data.ImageSet, n: int, seed: int = 0) -> dict[str, float]:
    """Accuracy in % on the last n digits, each rendered as people would send it, through the whole handler.

    The last, because the ink reader was developed while looking at the first two hundred.

    A picture in which no digit is found counts as misread.
    """
    table = {}
    for name in digit_variants.VARIANTS:
        right = 0
        for picture, label in zip(
            digit_variants.render(name, digits.images[-n:], seed), digits.labels[-n:], strict=True
        ):
            try:
                answer = classifier.classify(picture)
                right += max(answer, key=answer.__getitem__) == str(label)
            except NoInkError:
                pass
        table[name] = 100 * right / min(n, len(digits))
    return table


def _share(right: np.ndarray) -> str:
    return f"{100 * right.mean():.2f} %" if right.size else "none (there are none)"
