"""The detector's weights file, its measurement on the test scenes, and its card."""

import io
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from tasks.core import weights
from train import report
from train.common import export
from train.data import ImageSet
from train.detector import metrics
from train.detector.data import series, split
from train.detector.metrics import Found, find, mean_average_precision
from train.detector.plans import ARCHITECTURE, Plan
from train.detector.scenes import DIGIT_FREE, Scene
from train.detector.training import new_network
from train.loop import Fit

if TYPE_CHECKING:
    from ultralytics.nn.tasks import DetectionModel


def as_stored(network: nn.Module) -> "DetectionModel":
    """A copy as the app loads it: rounded to fp16, float32 again, on the CPU, in eval mode."""
    return export.as_stored(network, new_network()).requires_grad_(False)


def to_checkpoint(network: nn.Module, size: int) -> bytes:
    """A file that `ultralytics.YOLO` loads: fp16, no optimiser, no date, no paths."""
    from ultralytics import __version__

    model = as_stored(network).half()
    # as ultralytics keeps it
    model.args = {"task": "detect", "imgsz": size}  # type: ignore[assignment]
    kept = {
        "model": model,
        "ema": None,
        "optimizer": None,
        "epoch": -1,
        "train_args": {"task": "detect", "imgsz": size},
        "version": __version__,
        "license": "AGPL-3.0",
    }
    buffer = io.BytesIO()
    torch.save(kept, buffer)
    return buffer.getvalue()


def export_detector(
    trained: Fit, digits: ImageSet, test: ImageSet, plan: Plan, seed: int, folder: Path
) -> weights.Card:
    """Measure once on `plan.n_test` test scenes, write weights and card."""
    network = as_stored(trained.network)
    measured, tables = measure(network, test, plan)
    card = weights.Card(
        name="detector",
        task="detection",
        title="YOLO11n, handwritten digits",
        architecture="YOLO11n (C3k2 backbone, C2PSA, three anchor-free heads), ten classes",
        parameters=report.n_parameters(network),
        config={"cfg": ARCHITECTURE, "nc": 10},
        preprocess={"size": plan.size, "range": [0, 1], "letterbox": 114},
        classes=[str(i) for i in range(10)],
        metrics=measured,
        data=_about_data(trained, digits, test, plan),
        training=_about_training(trained, plan, seed),
        paper="Jocher and Qiu 2024, Ultralytics YOLO11; LeCun et al. 1998, MNIST",
        limits="Finds single handwritten digits, tilted by up to about 30 degrees, 12 to "
        f"{plan.size // 2} px long in a {plan.size} px frame. Trained and tested on synthetic "
        "photos only; about one in five had no digit. Printed numbers, other handwriting and rooms "
        "full of things are outside its training data.",
        selected_on=report.LAST_STEP,
        test_reads="once, at export",
        curve=trained.curve,
        tables={"batch": plan.batch, "digit_free_share": DIGIT_FREE, **tables},
    )
    return weights.save_bytes(to_checkpoint(network, plan.size), card, "detector.pt", folder)


def measure(
    network: nn.Module, test: ImageSet, plan: Plan
) -> tuple[list[weights.Metric], dict[str, Any]]:
    """(a card's metrics, its table of mAP by size) on the test scenes."""
    size, n = plan.size, plan.n_test
    results: list[tuple[Scene, Found]] = []
    digit_free: list[np.ndarray] = []
    for s, found in metrics.find_all(network, series("test", test, n, size)):
        digit_free += [s.image] if not len(s.class_id) else []
        results.append((s.without_image(), found))
    scores = mean_average_precision(results)

    by_size = {}
    for low, high in metrics.SIZES:
        part = mean_average_precision(results, (low, high))["mAP50-95"]
        if not np.isnan(part):
            by_size[f"{low} to {high} px" if high <= 96 else f"from {low} px"] = part

    image = next(series("test", test, 1, size)).image
    fused = as_stored(network).fuse(verbose=False)
    ms = export.milliseconds(lambda: find(fused, [image], 0.25, best=True))

    how = (
        f"synthetic photos of MNIST's test digits, {size} px; fp16 weights, one seed; "
        "confidence 0.001, IoU 0.7"
    )
    timing = f"median of 30, network and NMS, torch fp32, {size} px, {report.hardware()}"
    rows = [weights.Metric(k, 100 * scores[k], "%", "test", n, how) for k in ("mAP50-95", "mAP50")]
    for level in (0.25, 0.5):
        rows.append(
            weights.Metric(
                f"false alarms a digit-free scene, confidence {level}",
                metrics.false_alarms(network, digit_free, level),
                "",
                "test",
                len(digit_free),
                f"IoU 0.7, {size} px",
            )
        )
    rows.append(weights.Metric("time for one image", ms, "ms", "test", 1, timing))
    return [replace(m, value=round(m.value, 4)) for m in rows], {"by_size": by_size}


def _about_data(trained: Fit, digits: ImageSet, test: ImageSet, plan: Plan) -> dict[str, str]:
    fit_set, val_set = split(digits)
    return {
        "name": f"scenes drawn from {test.about['name']}",
        "url": test.about["url"],
        "licence": test.about["licence"],
        "n": f"{trained.steps * plan.batch:,} scenes, each seen once, of {len(fit_set):,} training "
        "digits",
        "held_out": f"{len(val_set):,} of the training digits for validation scenes; "
        f"{plan.n_test:,} scenes of {len(test):,} test digits, seen once",
    }


def _about_training(trained: Fit, plan: Plan, seed: int) -> dict[str, Any]:
    steps = "" if plan.steps == Plan.steps else f"--steps {plan.steps} "
    packages = (*report.PACKAGES, "ultralytics", "opencv-python", "pillow")
    where = {"hardware": report.hardware(), "versions": report.versions(packages)}
    command = f"python -m train.detector {steps}--export"
    return report.about_training(command, seed, trained.minutes, where)
