"""The card of a segmentation network, measured through the app's handler on validation images."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tasks.core import weights
from tasks.segmentation.segmenter import THREE_SCALES, Segmenter
from train import options, report
from train.common import export
from train.common.batch_norm_folding import unfold
from train.loop import Fit
from train.segmentation.data import Scenes
from train.segmentation.metrics import confusion, iou, mean_iou
from train.segmentation.plans import PLANS, Plan

NAMES = {"unet-lite0": "segmentation", "unet": "segmentation_unet"}
TITLES = {"unet-lite0": "U-Net on EfficientNet-Lite0", "unet": "Textbook U-Net"}
ARCHITECTURES = {
    "unet-lite0": "U-Net; encoder: EfficientNet-Lite0 from ImageNet weights; decoder: two 3x3 "
    "convolutions at each of four scales",
    "unet": "U-Net of five scales, two 3x3 convolutions with batch norm at each, from random "
    "weights",
}
PAPERS = {
    "unet-lite0": "; Tan and Le 2019, EfficientNet, arXiv 1905.11946",
    "unet": "",
}
LIMITS = (
    "Learned from 367 images of three drives through Cambridge: other cities, cameras, weather and "
    "night are guesses. It knows eleven classes and gives one of them to everything. Validation "
    "images are of a drive that is in the training set, too: a new street scores lower. Not for "
    "driving."
)


def confusion_of(segment: Callable[[np.ndarray], np.ndarray], scenes: Scenes, n: int) -> Tensor:
    """The confusion matrix of uint8 (H, W, 3) -> classes (H, W) on all `scenes`; int64 (n, n)."""
    total = torch.zeros(n, n, dtype=torch.int64)
    for i in range(len(scenes)):
        image, mask = scenes.read(i)
        total += confusion(torch.from_numpy(mask), torch.from_numpy(segment(image)), n)
    return total


def export_segmentation(
    plan: Plan,
    done: Fit,
    scenes: Scenes,
    val: Scenes,
    arch: str,
    seed: int,
    folder: Path,
    before: dict[str, Any] | None = None,
) -> weights.Card:
    """Measure, write weights and card.

    Args:
        before: the card's `training` of the cycles before this one.
    """
    config = {"n_classes": len(scenes.classes), **plan.config}
    unfolded = unfold(done.network, plan.network(**config))
    stored = export.as_stored(unfolded, plan.network(**config))
    measured, tables = measure(Segmenter(stored, scenes.classes), val, scenes.classes)
    command = f"python -m train.segmentation{'' if arch == 'unet-lite0' else ' --arch ' + arch}"
    command += options.budget_options(plan, PLANS[arch])
    if before is not None:
        command += " --init-from-shipped"
    training = report.about_training(command, seed, done.minutes, done.ran_on)
    card = weights.Card(
        name=NAMES[arch],
        task="segmentation",
        title=f"{TITLES[arch]}, {val.about['name'].split(' at ')[0]}",
        architecture=ARCHITECTURES[arch],
        parameters=report.n_parameters(stored),
        config=config,
        preprocess={
            "mean": [127 / 255] * 3,
            "std": [128 / 255] * 3,
            "range": [0, 1],
            "longest": 640,
            "multiple": 32,
        },
        classes=list(scenes.classes),
        metrics=measured,
        data={
            **{key: val.about[key] for key in ("name", "url", "licence")},
            "n": f"{len(scenes):,} training images",
            "held_out": f"{len(val):,} validation images for curve and scores; the test images "
            "were not read",
        },
        training=report.both_cycles(before, training) if before else training,
        paper="Ronneberger et al. 2015, U-Net, arXiv 1505.04597; Berman et al. 2018, "
        f"Lovasz-softmax, arXiv 1705.08790{PAPERS[arch]}",
        limits=LIMITS,
        selected_on=report.LAST_STEP,
        test_reads="never",
        curve=done.curve,
        tables={"epochs": plan.epochs, **tables},
    )
    return weights.save(stored, card, folder, half=True)


def measure(
    segmenter: Segmenter, val: Scenes, classes: tuple[str, ...]
) -> tuple[list[weights.Metric], dict[str, Any]]:
    """(a card's metrics, its tables) on the validation images."""
    n, count = len(classes), len(val)
    single = confusion_of(lambda rgb: segmenter.segment(rgb, flip=False), val, n)
    flipped = confusion_of(lambda rgb: segmenter.segment(rgb, flip=True), val, n)
    sizes = confusion_of(lambda rgb: segmenter.segment(rgb, flip=True, scales=THREE_SCALES), val, n)
    image = val.read(0)[0]
    ms = export.milliseconds(lambda: segmenter.segment(image, flip=False), times=20)
    how = (
        f"single-scale; {segmenter.engine.title}, fp16 weights; all pixels of the set together, "
        "unlabelled ones left out"
    )
    timing = (
        f"{image.shape[1]} x {image.shape[0]} px, single-scale, median of 20, {report.hardware()}"
    )
    accuracy = float(single.diagonal().sum() / single.sum())
    rows = (
        ("mIoU", 100 * mean_iou(single), "%", count, how),
        ("mIoU with the mirror image", 100 * mean_iou(flipped), "%", count, "as in the tab"),
        (
            "mIoU with the mirror image at three sizes",
            100 * mean_iou(sizes),
            "%",
            count,
            "0.75, 1 and 1.25 times",
        ),
        ("pixels right", 100 * accuracy, "%", count, "single-scale"),
        ("time for one frame", ms, "ms", 1, timing),
    )
    split = val.about["split"]
    metrics = [
        weights.Metric(name, round(value, 4), unit, split, of, conditions)
        for name, value, unit, of, conditions in rows
    ]
    tables = {
        "confusion": single.tolist(),
        "iou": per_class(single, classes),
        "iou_with_mirror": per_class(flipped, classes),
    }
    return metrics, tables


def per_class(matrix: Tensor, classes: tuple[str, ...]) -> dict[str, float | None]:
    """IoU of each class; None where the class is neither there nor predicted."""
    values = iou(matrix).tolist()
    return {c: None if v != v else round(v, 4) for c, v in zip(classes, values, strict=True)}
