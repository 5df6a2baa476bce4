"""Fine-tuning on CIFAR-10, and the same network from random weights for comparison.

Distillation: Hinton et al. 2015 (arXiv 1503.02531); teacher and student get the same augmented
image, as Beyer et al. 2022 (arXiv 2106.05237) advise.
"""

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.classification.photos import enlarge_and_normalise
from tasks.core import device, weights
from tasks.networks.efficientnet_lite import STAGES, EfficientNetLite, normalise
from train.common import fast_cpu
from train.common.batch_norm_folding import fold
from train.common.imagenet_weights import load_imagenet
from train.data import CIFAR10_CLASSES, ImageSet, Shuffled, train_and_val
from train.loop import BatchAt, Fit, Recipe, Trainer
from train.photos.data import augment, to_tensor
from train.photos.plans import NAMES, TEACHER, Plan

Prepared = tuple[Tensor, Tensor, Tensor | None]
"""Network input, labels, probabilities of the teacher."""


def initial_network(start: str, plan: Plan) -> EfficientNetLite:
    """The network before the first step, some batch norms folded and some stages frozen.

    Args:
        start: "imagenet" or "scratch".
    """
    network = EfficientNetLite(len(CIFAR10_CLASSES), variant=plan.variant)
    if plan.init_from_shipped:
        network.load_state_dict(weights.load(NAMES[plan.variant], EfficientNetLite)[0].state_dict())
        fold(network, plan.folded)
    elif start == "imagenet":
        load_imagenet(network)
        fold(network, plan.folded)
    if plan.frozen:
        network.first(plan.frozen).requires_grad_(False)
    fast_cpu.use_fast_depthwise(network)
    return network


def recipe_of(plan: Plan, per_epoch: int, batch: int, seed: int) -> Recipe:
    return Recipe(
        steps=round(plan.epochs * per_epoch),
        batch=batch,
        lr=plan.lr,
        warmup=0.05,
        weight_decay=0.05,
        ema=plan.ema,
        clip=1.0,
        seed=seed,
        minutes=plan.minutes,
        sam_rho=plan.sam_rho,
    )


def train(
    start: str,
    seed: int,
    photos: ImageSet,
    plan: Plan,
    run: Path,
    resume: bool,
    stop_after: int | None = None,
) -> Fit:
    """Train from "imagenet" or "scratch" on all but the held-out photos, which give the curve."""
    train_set, val_set = train_and_val(photos)
    images, labels = to_tensor(train_set), torch.from_numpy(train_set.labels)
    torch.manual_seed(seed)
    network = initial_network(start, plan)
    batch = min(plan.batch, len(images))
    per_epoch = len(images) // batch
    recipe = recipe_of(plan, per_epoch, batch, seed)
    order = Shuffled(len(images), batch, seed)
    teacher_probs = teacher() if plan.distilled else None
    # stages whose batch norms follow the batch are no constant function
    skipped = plan.frozen if 0 < plan.frozen <= plan.folded else None
    frozen_part = fast_cpu.frozen(network.first(plan.frozen)) if skipped else None

    def batch_at(at: BatchAt) -> tuple[Tensor, Tensor, int]:
        index = order.at(at.step, at.rank, at.world)
        return images[index], labels[index], plan.size_at(at.share)

    def prepare(batch: tuple[Tensor, Tensor, int]) -> Prepared:
        x = normalise(augment(batch[0].float() / 255, batch[2]))
        probs = teacher_probs(x) if teacher_probs else None
        return frozen_part(x) if frozen_part else x, batch[1], probs

    def loss(model: nn.Module, batch: Prepared) -> Tensor:
        x, y, probs = batch
        logits = model(x, skipped).float()
        if probs is None:
            return F.cross_entropy(logits, y, label_smoothing=0.1)
        return (F.cross_entropy(logits, y) + F.cross_entropy(logits, probs)) / 2

    trainer = Trainer(network, batch_at, loss, recipe, run, resume=resume, prepare=prepare)
    for _ in trainer.steps(stop_after):
        if trainer.is_due(every=max(1, per_epoch)):
            trainer.record(lambda model: {"val_accuracy": accuracy_on(model, val_set, plan.size)})
    return trainer.result()


@torch.inference_mode()
def accuracy_on(model: nn.Module, photos: ImageSet, size: int) -> float:
    """Of the network in the middle of its training, in [0, 1]."""
    images, labels = to_tensor(photos), torch.from_numpy(photos.labels)
    correct, on = 0, next(model.parameters()).device
    for x, y in zip(images.split(100), labels.split(100), strict=True):
        logits = model(enlarge_and_normalise(x.to(on).float() / 255, size))
        correct += int((logits.argmax(1).cpu() == y).sum())
    return correct / len(labels)


def teacher(folder: Path = weights.FOLDER) -> Callable[[Tensor], Tensor]:
    """TEACHER's probabilities, at the temperature that calibrates it.

    float32 (B, 3, H, W) in [-1, 1] -> float32 (B, 10).
    """
    network, card = weights.load(TEACHER, EfficientNetLite, folder)
    fold(network, len(STAGES))
    network.eval().requires_grad_(False).to(device.best()).to(memory_format=torch.channels_last)
    temperature = float(card.preprocess["temperature"])

    @torch.no_grad()
    def teacher_probs(x: Tensor) -> Tensor:
        return (network(x).float() / temperature).softmax(1)

    return teacher_probs
