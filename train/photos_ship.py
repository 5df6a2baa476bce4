"""What the photo network's card says: accuracy, calibration, confusion, and the same network from random weights."""

import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks import weights
from tasks.classification import LITE_MEAN, LITE_STD, PhotoClassifier
from tasks.networks.efficientnet_lite import EfficientNetLite
from tasks.photo_models import BUNDLED_MODELS
from train import data, options, report
from train.loop import Fit
from train.photos import AGAIN, HOW, NAMES, PLANS, TAUGHT, Plan, split, unfold


def as_stored(network: nn.Module) -> EfficientNetLite:
    """The network as `weights.load` gives it back: rounded to fp16, float32 again, with batch norms."""
    stored = unfold(network)
    stored.load_state_dict(
        {k: v.half().float() if v.is_floating_point() else v for k, v in stored.state_dict().items()}
    )
    return stored


def classifier_of(network: nn.Module, size: int, temperature: float = 1.0) -> PhotoClassifier:
    """The app's own handler around a network just trained."""
    return PhotoClassifier.of_lite([as_stored(network)], data.CIFAR10_CLASSES, size, temperature)


def logits_of(classifier: PhotoClassifier, photos: data.ImageSet) -> Tensor:
    """float32 (N, 10), each row but for a constant; photos as the app reads them, mirror images included."""
    probabilities = torch.from_numpy(classifier.classify_batch(photos.images))
    return probabilities.clamp_min(1e-30).log() * classifier.temperature


def fitted_temperature(logits: Tensor, labels: np.ndarray) -> float:
    """The softmax temperature with the lowest cross-entropy on held-out photos: confidence becomes a probability."""
    grid = [round(0.3 + 0.02 * i, 2) for i in range(60)]
    return min(grid, key=lambda t: F.cross_entropy(logits / t, torch.from_numpy(labels)).item())


def accuracy(classifier: PhotoClassifier, photos: data.ImageSet) -> float:
    return float((classifier.classify_batch(photos.images).argmax(1) == photos.labels).mean())


def milliseconds(classifier: PhotoClassifier, photo: np.ndarray, times: int = 30) -> float:
    """Median of one photo's classification."""
    took = []
    for _ in range(times + 3):
        start = time.perf_counter()
        classifier.classify(photo)
        took.append(1000 * (time.perf_counter() - start))
    return float(np.median(took[3:]))


def command_of(plan: Plan) -> str:
    """The command that trains by `plan`."""
    cycle, more = (" --taught", TAUGHT) if plan.taught else (" --again", AGAIN) if plan.again else ("", {})
    usual = replace(PLANS["imagenet"], **more)
    variant = f" --variant {plan.variant}" if plan.variant else ""
    how = [f" --{name} {getattr(plan, name) or 0:g}" for name in HOW if getattr(plan, name) != getattr(usual, name)]
    return f"python -m train.photos{cycle}{variant}{''.join(how)}{options.budget_options(plan, usual)}"


def ship(
    ours: Fit,
    scratch: Fit | None,
    photos: data.ImageSet,
    test: data.ImageSet,
    seed: int,
    plan: Plan,
    folder: Path,
    before: weights.Card | None = None,
) -> weights.Card:
    """Measure once on the test photos, write weights and card.

    Args:
        scratch: the comparison, if it has been trained.
        before: the card of the weights that a further cycle began with; its comparison is kept.
    """
    val_set, size, stored = split(photos)[1], plan.size, as_stored(ours.network)
    classifier = classifier_of(ours.network, size)
    val_logits, test_logits = (logits_of(classifier, part) for part in (val_set, test))
    temperature = fitted_temperature(val_logits, val_set.labels)
    probabilities = (test_logits / temperature).softmax(1).numpy()
    predictions = probabilities.argmax(1)
    matrix = report.confusion(test.labels, predictions, len(data.CIFAR10_CLASSES))
    command = command_of(plan)
    training = report.about_training(command, seed, ours.minutes, ours.where)
    n, how = len(test), f"central square as 32 x 32 px, enlarged to {size} px, also mirrored; fp16 weights"
    metric = partial(_metric, n)
    card = weights.Card(
        name=NAMES[plan.variant],
        task="classification",
        title=f"EfficientNet-Lite{plan.variant}, CIFAR-10",
        architecture=f"EfficientNet-Lite{plan.variant} (inverted residuals, ReLU6, no squeeze-and-excitation)",
        parameters=sum(p.numel() for p in stored.parameters()),
        config={"n_classes": len(data.CIFAR10_CLASSES)} | ({"variant": plan.variant} if plan.variant else {}),
        preprocess={"size": size, "via": 32, "mean": [LITE_MEAN] * 3, "std": [LITE_STD] * 3, "range": [0, 1],
                    "temperature": temperature},
        classes=list(data.CIFAR10_CLASSES),
        metrics=[
            metric("accuracy", 100 * float((predictions == test.labels).mean()), "%", f"one seed; {how}"),
            metric("expected calibration error", 100 * report.expected_calibration_error(probabilities, test.labels),
                   "%", "15 bins"),
            weights.Metric("time for one photo", round(milliseconds(classifier, test.images[0]), 2), "ms", "test", 1,
                           f"median of 30, {report.hardware()}"),
        ],
        data=report.about_data(
            test,
            f"{len(photos) - len(val_set):,} training photos",
            f"{len(val_set):,} of the training photos for curve and temperature; {n:,} test photos",
        ),
        training=report.again(before.training, training) if before else training,
        paper="Tan and Le 2019, EfficientNet, arXiv 1905.11946; Selvaraju et al. 2017, Grad-CAM, arXiv 1610.02391",
        limits="Knows ten classes and picks one of them for anything; sees the central square as 32 x 32 px; learnt "
        "from photos that show one whole object each.",
        curve=ours.curve,
        tables={
            "batch": plan.batch,
            "confusion": matrix,
            "per_class": {c: matrix[i][i] / max(1, sum(matrix[i])) for i, c in enumerate(data.CIFAR10_CLASSES)},
        },
    )  # fmt: skip
    if scratch is not None:
        right = accuracy(classifier_of(scratch.network, size), test)
        card.tables["from_scratch"] = {"curve": scratch.curve, "minutes": scratch.minutes, "test_accuracy": right}
        how = f"same network and photos, {scratch.steps:,} steps, {ours.steps:,} of the other"
        card.metrics.append(metric("accuracy from random weights", 100 * right, "%", how))
    if before is not None:
        card = after_another_cycle(card, before)
    card = weights.save(stored, card, folder, half=True)
    both = measure_together(folder, val_set, test, {card.name: (val_logits, test_logits)})
    return both if both is not None and both.name == card.name else card


def measure_together(
    folder: Path, val_set: data.ImageSet, test: data.ImageSet, known: Mapping[str, tuple[Tensor, Tensor]]
) -> weights.Card | None:
    """Measure the shipped networks together, as "cifar10" reads with them, and add that to the larger one's card.

    Args:
        known: name -> its logits of `val_set` and `test`, where they have been computed.
    Returns:
        That card; None where one of the two has not been shipped.
    """
    members = BUNDLED_MODELS["cifar10"].members
    if not all((folder / f"{name}.json").is_file() for name in members):
        return None
    networks, cards = zip(*(weights.load(name, EfficientNetLite, folder) for name in members), strict=True)
    size = int(cards[-1].preprocess["size"])

    def of(network: EfficientNetLite) -> tuple[Tensor, Tensor]:
        classifier = PhotoClassifier.of_lite([network], data.CIFAR10_CLASSES, size)
        return logits_of(classifier, val_set), logits_of(classifier, test)

    each = [known.get(name) or of(network) for network, name in zip(networks, members, strict=True)]
    val_logits, test_logits = (torch.stack(parts).mean(0) for parts in zip(*each, strict=True))
    temperature = fitted_temperature(val_logits, val_set.labels)
    probabilities = (test_logits / temperature).softmax(1).numpy()
    labels = torch.from_numpy(test.labels)
    wrong = [logits.argmax(1) != labels for _, logits in each]
    right = float((probabilities.argmax(1) == test.labels).mean())
    committee = PhotoClassifier.of_lite(networks, data.CIFAR10_CLASSES, size, temperature)
    metric, partner = partial(_metric, len(test)), f"together with {cards[0].title.partition(',')[0]}"
    together = [
        metric(f"accuracy {partner}", 100 * right, "%", "mean of both networks' logits"),
        metric(f"expected calibration error {partner}",
               100 * report.expected_calibration_error(probabilities, test.labels), "%", "15 bins"),
        weights.Metric(f"time for one photo {partner}", round(milliseconds(committee, test.images[0]), 2), "ms", "test",
                       1, f"median of 30, {report.hardware()}"),
    ]  # fmt: skip
    table = {
        "accuracy": right,
        "temperature": temperature,
        "with": cards[0].sha256,
        "wrong": [int(one.sum()) for one in wrong],
        "both_wrong": int((wrong[0] & wrong[1]).sum()),
    }
    card = replace(
        cards[-1],
        metrics=[*(m for m in cards[-1].metrics if " together " not in m.name), *together],
        tables=cards[-1].tables | {"together": table},
    )
    return weights.save(networks[-1], card, folder, half=True)


def _metric(n: int, name: str, value: float, unit: str, conditions: str) -> weights.Metric:
    return weights.Metric(name, round(value, 4), unit, "test", n, conditions)


def after_another_cycle(card: weights.Card, before: weights.Card) -> weights.Card:
    """The card with what the one before it knew: its curve first, its score, its comparison from random weights."""
    unit = card.tables["batch"] / before.tables["batch"]  # both curves by the steps of the first
    end = before.curve[-1]["step"]
    kept = {key: before.tables[key] for key in ("from_scratch", "batch") if key in before.tables}
    first = before.tables.get("first_cycle", before.metrics[0].value / 100)
    return replace(
        card,
        curve=[*before.curve, *({**point, "step": end + point["step"] * unit} for point in card.curve)],
        metrics=[*card.metrics, *(m for m in before.metrics if m.name == "accuracy from random weights")],
        tables=card.tables | kept | {"first_cycle": first},
    )
