"""The photo networks' cards: accuracy, calibration, confusion matrix; the ensemble of both."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.classification.photos import PhotoClassifier
from tasks.core import weights
from tasks.models import PHOTO_MODELS
from tasks.networks.efficientnet_lite import LITE_MEAN, LITE_STD, EfficientNetLite
from train import report
from train.common import export
from train.common.batch_norm_folding import unfold
from train.data import CIFAR10_CLASSES, ImageSet, train_and_val
from train.loop import Fit
from train.photos.plans import NAMES, Plan, command_of


def as_stored(network: nn.Module) -> EfficientNetLite:
    """The network as `weights.load` returns it: rounded to fp16, with all batch norms."""
    assert isinstance(network, EfficientNetLite)
    stored = unfold(network, EfficientNetLite(len(CIFAR10_CLASSES), variant=network.variant))
    stored.load_state_dict(export.half_precision(stored))
    return stored


def classifier_of(network: nn.Module, size: int, temperature: float = 1.0) -> PhotoClassifier:
    """The app's own handler around a trained network."""
    return PhotoClassifier.of_lite([as_stored(network)], CIFAR10_CLASSES, size, temperature)


def logits_of(classifier: PhotoClassifier, photos: ImageSet) -> Tensor:
    """float32 (N, 10), up to a constant in each row, as the app computes them."""
    probabilities = torch.from_numpy(classifier.classify_batch(photos.images))
    return probabilities.clamp_min(1e-30).log() * classifier.temperature


def fitted_temperature(logits: Tensor, labels: np.ndarray) -> float:
    """The softmax temperature with the lowest cross-entropy on held-out photos."""
    grid = [round(0.3 + 0.02 * i, 2) for i in range(60)]
    return min(grid, key=lambda t: F.cross_entropy(logits / t, torch.from_numpy(labels)).item())


def accuracy(classifier: PhotoClassifier, photos: ImageSet) -> float:
    return float((classifier.classify_batch(photos.images).argmax(1) == photos.labels).mean())


def export_photos(
    trained: Fit,
    scratch: Fit | None,
    photos: ImageSet,
    test: ImageSet,
    seed: int,
    plan: Plan,
    folder: Path,
    before: weights.Card | None = None,
) -> weights.Card:
    """Measure once on the test photos, write weights and card.

    Args:
        scratch: the comparison from random weights, if it has been trained.
        before: the card of the weights that this cycle began with; its comparison is kept.
    """
    val_set = train_and_val(photos)[1]
    classifier = classifier_of(trained.network, plan.size)
    logits = logits_of(classifier, val_set), logits_of(classifier, test)
    card = card_of(trained, classifier, logits, photos, test, seed, plan)
    if before is not None:
        both = report.both_cycles(before.training, card.training)
        card = replace(after_another_cycle(card, before), training=both)
    if scratch is not None:
        add_comparison(card, scratch, trained.steps, test, plan.size)
    card = weights.save(as_stored(trained.network), card, folder, half=True)
    together = measure_together(folder, val_set, test, {card.name: logits})
    return together if together is not None and together.name == card.name else card


def card_of(
    trained: Fit,
    classifier: PhotoClassifier,
    logits: tuple[Tensor, Tensor],
    photos: ImageSet,
    test: ImageSet,
    seed: int,
    plan: Plan,
) -> weights.Card:
    """The card of one cycle; `logits` of the held-out and of the test photos."""
    n_val, n, size = len(train_and_val(photos)[1]), len(test), plan.size
    temperature = fitted_temperature(logits[0], train_and_val(photos)[1].labels)
    probabilities = (logits[1] / temperature).softmax(1).numpy()
    predictions = probabilities.argmax(1)
    matrix = report.confusion(test.labels, predictions, len(CIFAR10_CLASSES))
    stored = as_stored(trained.network)
    how = (
        f"one seed; central square as 32 x 32 px, enlarged to {size} px, mean with its mirror "
        "image; fp16 weights"
    )
    right = 100 * float((predictions == test.labels).mean())
    error = 100 * report.expected_calibration_error(probabilities, test.labels)
    ms = export.milliseconds(lambda: classifier.classify(test.images[0]))
    return weights.Card(
        name=NAMES[plan.variant],
        task="classification",
        title=f"EfficientNet-Lite{plan.variant}, CIFAR-10",
        architecture=f"EfficientNet-Lite{plan.variant} (inverted residuals, ReLU6, no "
        "squeeze-and-excitation)",
        parameters=report.n_parameters(stored),
        config={"n_classes": len(CIFAR10_CLASSES)}
        | ({"variant": plan.variant} if plan.variant else {}),
        preprocess={
            "size": size,
            "via": 32,
            "mean": [LITE_MEAN] * 3,
            "std": [LITE_STD] * 3,
            "range": [0, 1],
            "temperature": temperature,
        },
        classes=list(CIFAR10_CLASSES),
        metrics=[
            _metric("accuracy", right, "%", n, how),
            _metric("expected calibration error", error, "%", n, "15 bins"),
            _metric("time for one photo", ms, "ms", 1, f"median of 30, {report.hardware()}"),
        ],
        data=report.about_data(
            test,
            f"{len(photos) - n_val:,} training photos",
            f"{n_val:,} of the training photos for curve and temperature; {n:,} test photos",
        ),
        training=report.about_training(command_of(plan), seed, trained.minutes, trained.ran_on),
        paper="Tan and Le 2019, EfficientNet, arXiv 1905.11946; Selvaraju et al. 2017, Grad-CAM, "
        "arXiv 1610.02391",
        limits="Knows ten classes and picks one of them for anything; sees the central square as "
        "32 x 32 px; learned from photos that show one complete object each.",
        selected_on=report.LAST_STEP,
        test_reads="once, at export",
        curve=trained.curve,
        tables={
            "batch": plan.batch,
            "confusion": matrix,
            "per_class": {
                c: matrix[i][i] / max(1, sum(matrix[i])) for i, c in enumerate(CIFAR10_CLASSES)
            },
        },
    )


def add_comparison(card: weights.Card, scratch: Fit, steps: int, test: ImageSet, size: int) -> None:
    """Add the same network from random weights; `steps` are those of the pretrained one."""
    right = accuracy(classifier_of(scratch.network, size), test)
    card.tables["from_scratch"] = {
        "curve": scratch.curve,
        "minutes": scratch.minutes,
        "test_accuracy": right,
    }
    how = f"same network and photos, {scratch.steps:,} steps, {steps:,} of the other"
    card.metrics.append(_metric("accuracy from random weights", 100 * right, "%", len(test), how))


def measure_together(
    folder: Path,
    val_set: ImageSet,
    test: ImageSet,
    known: Mapping[str, tuple[Tensor, Tensor]],
) -> weights.Card | None:
    """Measure the ensemble of both shipped networks; its figures go on the larger one's card.

    Args:
        known: name -> its logits of `val_set` and `test`, where they have been computed.
    Returns:
        That card; None where one of the two has not been shipped.
    """
    members = PHOTO_MODELS["cifar10"].members
    if not all((folder / f"{name}.json").is_file() for name in members):
        return None
    networks, cards = zip(
        *(weights.load(name, EfficientNetLite, folder) for name in members), strict=True
    )
    size = int(cards[-1].preprocess["size"])

    def logits(network: EfficientNetLite) -> tuple[Tensor, Tensor]:
        classifier = PhotoClassifier.of_lite([network], CIFAR10_CLASSES, size)
        return logits_of(classifier, val_set), logits_of(classifier, test)

    each = [known.get(name) or logits(net) for net, name in zip(networks, members, strict=True)]
    val_logits, test_logits = (torch.stack(parts).mean(0) for parts in zip(*each, strict=True))
    temperature = fitted_temperature(val_logits, val_set.labels)
    ensemble = PhotoClassifier.of_lite(networks, CIFAR10_CLASSES, size, temperature)
    ms = export.milliseconds(lambda: ensemble.classify(test.images[0]))
    probabilities = (test_logits / temperature).softmax(1).numpy()
    labels = torch.from_numpy(test.labels)
    wrong = [part.argmax(1) != labels for _, part in each]
    table = {
        "accuracy": float((probabilities.argmax(1) == test.labels).mean()),
        "temperature": temperature,
        "with": cards[0].sha256,
        "wrong": [int(one.sum()) for one in wrong],
        "both_wrong": int((wrong[0] & wrong[1]).sum()),
    }
    card = with_ensemble(cards[-1], cards[0], table, probabilities, test, ms)
    return weights.save(networks[-1], card, folder, half=True)


def with_ensemble(
    card: weights.Card,
    partner: weights.Card,
    table: dict[str, Any],
    probabilities: np.ndarray,
    test: ImageSet,
    ms: float,
) -> weights.Card:
    """`card` with the figures of the ensemble with `partner` instead of earlier ones."""
    name, n = f"together with {partner.title.partition(',')[0]}", len(test)
    error = 100 * report.expected_calibration_error(probabilities, test.labels)
    right, timing = 100 * table["accuracy"], f"median of 30, {report.hardware()}"
    together = [
        _metric(f"accuracy {name}", right, "%", n, "mean of both networks' logits"),
        _metric(f"expected calibration error {name}", error, "%", n, "15 bins"),
        _metric(f"time for one photo {name}", ms, "ms", 1, timing),
    ]
    alone = [m for m in card.metrics if " together " not in m.name]
    tables = card.tables | {"together": table}
    return replace(card, metrics=[*alone, *together], tables=tables)


def _metric(name: str, value: float, unit: str, n: int, conditions: str) -> weights.Metric:
    return weights.Metric(name, round(value, 4), unit, "test", n, conditions)


def after_another_cycle(card: weights.Card, before: weights.Card) -> weights.Card:
    """The card with curve, score and comparison of the cycle before it."""
    # both curves in steps of the first
    unit = card.tables["batch"] / before.tables["batch"]
    end = before.curve[-1]["step"]
    curve = [{**point, "step": end + point["step"] * unit} for point in card.curve]
    kept = {key: before.tables[key] for key in ("from_scratch", "batch") if key in before.tables}
    first = before.tables.get("first_cycle", before.metrics[0].value / 100)
    scratch = [m for m in before.metrics if m.name == "accuracy from random weights"]
    return replace(
        card,
        curve=[*before.curve, *curve],
        metrics=[*card.metrics, *scratch],
        tables=card.tables | kept | {"first_cycle": first},
    )


def card_before(run: Path, name: str = "photos") -> weights.Card:
    """The shipped card when another cycle in `run` began; kept there for --export."""
    folder = run / "before"
    if not (folder / f"{name}.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(weights.FOLDER / f"{name}.json", folder)
    return weights.read_card(name, folder)
