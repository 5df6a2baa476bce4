"""The digit detector's training: YOLO11n from random weights, ultralytics' loss, fresh scenes."""

import os
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from train.data import ImageSet
from train.detector.data import series, split
from train.detector.metrics import find_all, mean_average_precision, to_tensor
from train.detector.plans import ARCHITECTURE, GAINS, Plan
from train.detector.scenes import Scene, scene
from train.loop import BatchAt, Fit, Recipe, Trainer

if TYPE_CHECKING:
    from ultralytics.nn.tasks import DetectionModel


def new_network() -> "DetectionModel":
    """YOLO11n for ten digits, with random weights from torch's global generator."""
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    from ultralytics.nn.tasks import DetectionModel

    network = DetectionModel(ARCHITECTURE, nc=10, verbose=False)
    network.args = SimpleNamespace(**GAINS)  # type: ignore[assignment]  # read by its loss
    network.names = {i: str(i) for i in range(10)}
    return network


def targets(scenes: Sequence[Scene]) -> dict[str, Tensor]:
    """A batch as ultralytics' loss reads it: boxes are xywh, relative to the image's side."""
    xyxy = np.concatenate([s.xyxy for s in scenes]) / len(scenes[0].image)
    low, high = xyxy[:, :2], xyxy[:, 2:]
    xywh = np.concatenate([(low + high) / 2, high - low], 1)
    which = np.repeat(np.arange(len(scenes)), [len(s.class_id) for s in scenes])
    class_id = np.concatenate([s.class_id for s in scenes])
    return {
        "img": to_tensor([s.image for s in scenes]),  # (B, 3, H, W) in [0, 1]
        "batch_idx": torch.from_numpy(which).float(),  # (N,), the scene of each digit
        "cls": torch.from_numpy(class_id).float(),  # (N,)
        "bboxes": torch.from_numpy(xywh).float(),  # (N, 4)
    }


def loss(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """Box, class and distribution loss, mean over the images; `model` is a DetectionModel."""
    parts, _ = model(batch)  # each times the number of images
    total: Tensor = parts.sum() / len(batch["img"])
    return total


def train(
    seed: int,
    digits: ImageSet,
    plan: Plan,
    run: Path,
    resume: bool,
    stop_after: int | None = None,
) -> Fit:
    """Train on scenes of all but the held-out digits, which are in the validation scenes."""
    fit_set, val_set = split(digits)
    torch.manual_seed(seed)
    recipe = Recipe(
        steps=plan.steps,
        batch=plan.batch,
        lr=plan.lr,
        warmup=0.04,
        weight_decay=5e-4,
        ema=plan.ema,
        clip=10.0,
        seed=seed,
        minutes=plan.minutes,
    )

    def batch_at(at: BatchAt) -> dict[str, Tensor]:
        first = at.step * plan.batch
        indices = range(first + at.rank, first + plan.batch, at.world)
        return targets([scene(fit_set, i, seed, plan.size_at(at.share)) for i in indices])

    def evaluate(model: nn.Module) -> dict[str, float]:
        found = find_all(model, series("val", val_set, plan.n_val, plan.size))
        scores = mean_average_precision([(s.without_image(), boxes) for s, boxes in found])
        return {"val_mAP50-95": scores["mAP50-95"], "val_mAP50": scores["mAP50"]}

    trainer = Trainer(new_network(), batch_at, loss, recipe, run, resume=resume)
    for _ in trainer.steps(stop_after):
        if trainer.is_due(every=max(1, plan.steps // 12)):
            trainer.record(evaluate)
    return trainer.result()
