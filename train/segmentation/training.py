"""The segmentation networks' training.

Cross-entropy, rare classes weighing more, plus Lovasz-softmax; AdamW, one cycle, EMA.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.core import device, weights
from tasks.networks.efficientnet_lite import EfficientNetLite, normalise
from tasks.networks.unet_lite0 import UNetLite0
from tasks.segmentation.segmenter import STRIDE
from train.common.batch_norm_folding import fold
from train.common.imagenet_weights import load_imagenet
from train.data import Shuffled
from train.loop import BatchAt, Fit, Recipe, Trainer
from train.segmentation.augment import crop, paste, random_view, relight
from train.segmentation.data import VOID, Scenes
from train.segmentation.metrics import class_weights, confusion, lovasz_softmax, mean_iou
from train.segmentation.plans import ENCODER_LR, FOLDED, FROZEN, WEIGHT_DECAY, Plan

RARE = 0.02  # share of the pixels below which a class is rare
# px between the pixels of the Lovasz loss, from a random first one: sorting takes time
LOVASZ_EVERY = 4

Batch = tuple[list[Tensor], list[Tensor], Tensor]
"""Images uint8 (H, W, 3), masks uint8 (H, W), views (B, 2, 3)."""


class MixedUNetLite0(UNetLite0):
    """Computes the encoder in float32 on CPUs, whose depthwise convolutions are slower in bf16."""

    def encode(self, x: Tensor) -> list[Tensor]:
        kind = x.device.type
        mixed = kind != "cpu" and torch.is_autocast_enabled(kind)
        with torch.autocast(kind, enabled=mixed):
            return super().encode(x)


def initial_network(plan: Plan, n_classes: int) -> nn.Module:
    """The network before the first step, some batch norms folded and some stages frozen."""
    if plan.network is not UNetLite0:
        return plan.network(n_classes=n_classes, **plan.config)
    network = MixedUNetLite0(n_classes=n_classes, **plan.config)
    if not plan.pretrained:
        return network
    encoder = EfficientNetLite()
    if plan.init_from_shipped:
        shipped = weights.load("segmentation", UNetLite0)[0].state_dict()
        network.load_state_dict(fitting(shipped, network))
        encoder.stem, encoder.stages = network.stem, network.stages
    else:
        load_imagenet(encoder)
    fold(encoder, FOLDED)
    network.stem, network.stages = encoder.stem, encoder.stages
    for part in (network.stem, *network.stages[:FROZEN]):
        part.requires_grad_(False)
    return network


def fitting(shipped: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """The network's state, with the shipped tensors wherever they have its shapes."""
    state: dict[str, Tensor] = network.state_dict()
    return {
        name: shipped[name] if shipped[name].shape == value.shape else value
        for name, value in state.items()
    }


def parameter_groups(network: nn.Module, pretrained: bool) -> list[dict[str, Any]]:
    """Weight decay on kernels only; a pretrained encoder learns more slowly."""
    groups = []
    for slow in (False, True):
        parameters = [
            p
            for name, p in network.named_parameters()
            if p.requires_grad and (pretrained and name.startswith(("stem.", "stages."))) == slow
        ]
        for kernels in (True, False):
            groups.append(
                {
                    "params": [p for p in parameters if (p.ndim > 1) == kernels],
                    "weight_decay": WEIGHT_DECAY if kernels else 0.0,
                    "lr_scale": ENCODER_LR if slow else 1.0,
                }
            )
    return [group for group in groups if group["params"]]


def train(
    plan: Plan,
    scenes: Scenes,
    val: Scenes,
    seed: int,
    run: Path,
    resume: bool,
    stop_after: int | None = None,
) -> Fit:
    """Train on `scenes`; the mean IoU on `val`, single-scale, is the curve."""
    torch.manual_seed(seed)
    network = initial_network(plan, len(scenes.classes))
    cached = scenes.in_memory if len(scenes) <= 1000 else None
    frequencies = scenes.frequencies()
    rare = [int(c) for c in np.flatnonzero((frequencies > 0) & (frequencies < RARE))]
    emphasis = class_weights(torch.from_numpy(frequencies))
    batch = min(plan.batch, len(scenes))
    recipe = Recipe(
        steps=max(1, round(plan.epochs * (len(scenes) // batch))),
        batch=batch,
        lr=plan.lr,
        warmup=0.08,
        weight_decay=WEIGHT_DECAY,
        ema=plan.ema,
        clip=2.0,
        seed=seed,
        minutes=plan.minutes,
    )
    order = Shuffled(len(scenes), batch, seed)

    def batch_at(at: BatchAt) -> Batch:
        index = order.at(at.step, at.rank, at.world).tolist()
        read = [cached[i] if cached else scenes.read(i) for i in index]
        views = [random_view(mask, plan.size_hw, rare, at.generator) for _, mask in read]
        images, masks = ([torch.from_numpy(a) for a in part] for part in zip(*read, strict=True))
        return images, masks, torch.stack(views)

    def prepare(batch: Batch) -> tuple[Tensor, Tensor]:
        crops = [crop(*scene, plan.size_hw) for scene in zip(*batch, strict=True)]
        x, y = (torch.stack(part) for part in zip(*crops, strict=True))
        x, y = paste(x, y, rare)
        return normalise(relight(x)), y

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        return segmentation_loss(model(x).float(), y, emphasis.to(x.device))

    def evaluate(model: nn.Module) -> dict[str, float]:
        return {"val_mIoU": mean_iou(confusion_on(model, val))}

    trainer = Trainer(
        network,
        batch_at,
        loss,
        recipe,
        run,
        resume=resume,
        groups=lambda network: parameter_groups(network, plan.pretrained),
        prepare=prepare,
    )
    for _ in trainer.steps(stop_after):
        if trainer.is_due(every=max(1, recipe.steps // 4)):
            trainer.record(evaluate)
    return trainer.result()


def segmentation_loss(logits: Tensor, y: Tensor, emphasis: Tensor) -> Tensor:
    """logits float (B, C, H, W), y int64 (B, H, W), emphasis float (C,), the weight of a class."""
    first = torch.randint(LOVASZ_EVERY, (2,)).tolist()
    some = (slice(first[0], None, LOVASZ_EVERY), slice(first[1], None, LOVASZ_EVERY))
    few = logits[:, :, some[0], some[1]].softmax(1).movedim(1, -1).flatten(0, -2)  # (P, C)
    entropy = F.cross_entropy(logits, y, emphasis, ignore_index=VOID)
    return entropy + lovasz_softmax(few, y[:, some[0], some[1]].flatten())


@torch.inference_mode()
def confusion_on(model: nn.Module, scenes: Scenes) -> Tensor:
    """The confusion matrix on full scenes, edges padded, in the middle of the training."""
    n = len(scenes.classes)
    total = torch.zeros(n, n, dtype=torch.int64)
    on = next(model.parameters()).device
    for i in range(len(scenes)):
        image, mask = scenes.read(i)
        x = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
        high, wide = mask.shape
        x = F.pad(x, (0, -wide % STRIDE, 0, -high % STRIDE), mode="replicate")
        with torch.autocast(on.type, torch.bfloat16, enabled=device.bf16_is_native()):
            logits = model(normalise(x).to(on))
        predicted = logits[0, :, :high, :wide].argmax(0).cpu()
        total += confusion(torch.from_numpy(mask), predicted, n)
    return total
