"""The training: ImageNet's backbone, Ultralytics' loss with weighted labels."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from tasks.core import weights
from tasks.detection.checkpoints import read_checkpoint
from tasks.networks.efficientnet_lite import EfficientNetLite
from train import data as common_data
from train.common import fast_cpu
from train.common.imagenet_weights import load_imagenet
from train.everyday import data, metrics, network
from train.everyday.plans import Plan
from train.loop import BatchAt, Fit, Recipe, Trainer

if TYPE_CHECKING:
    from ultralytics.nn.tasks import DetectionModel


def new_criterion(model: "DetectionModel") -> Any:
    """v8DetectionLoss in which each label weighs by its confidence."""
    from ultralytics.utils.loss import v8DetectionLoss
    from ultralytics.utils.tal import make_anchors

    class WeightedLoss(v8DetectionLoss):
        def __call__(self, preds: dict[str, Tensor], batch: dict[str, Tensor]) -> Tensor:
            """Box, class and distribution loss, each with its gain: (3,)."""
            distances = preds["boxes"].float().permute(0, 2, 1).contiguous()  # (B, A, 4 reg_max)
            logits = preds["scores"].float().permute(0, 2, 1).contiguous()  # (B, A, 80)
            anchors, strides = make_anchors(preds["feats"], self.stride, 0.5)
            height, width = batch["img_hw"].tolist()
            size = torch.tensor([height, width], dtype=logits.dtype, device=self.device)
            rows = torch.cat(
                [
                    batch["batch_idx"][:, None],
                    batch["cls"][:, None],
                    batch["bboxes"],
                    batch["weight"][:, None],
                ],
                1,
            )
            padded = self.preprocess(
                rows.to(self.device), len(logits), scale_tensor=size[[1, 0, 1, 0]]
            )
            labels, boxes, weight = padded.split((1, 4, 1), 2)
            exists = boxes.sum(2, keepdim=True).gt_(0.0)
            predicted = self.bbox_decode(anchors, distances)
            _, target_boxes, scores, chosen, which = self.assigner(
                logits.detach().sigmoid(),
                predicted.detach() * strides,
                anchors * strides,
                labels,
                boxes,
                exists,
            )
            if boxes.shape[1]:
                scores = scores * weight[..., 0].gather(1, which)[..., None]
            total = scores.sum().clamp(min=1)
            of_class = self.bce(logits, scores.to(logits.dtype)).sum() / total
            of_box, of_distance = self.bbox_loss(
                distances,
                predicted,
                anchors,
                target_boxes / strides,
                scores,
                total,
                chosen,
                size,
                strides,
            )
            gains = self.hyp
            return torch.stack([of_box * gains.box, of_class * gains.cls, of_distance * gains.dfl])

    return WeightedLoss(model)


USUAL_DEVIATION = 0.09  # of the kernels of a backbone with batch norms


def parameter_groups(model: nn.Module, plan: Plan) -> list[dict[str, Any]]:
    """Weight decay on kernels only; the backbone learns more slowly, each kernel by its size.

    With batch norms folded into them the deviation of its kernels goes from 0.012 to 0.8. One rate
    for all, as AdamW's steps have it, would overwrite in a hundred steps what the small ones know.
    """
    groups = []
    for name, p in model.named_parameters():
        if not p.requires_grad:
            continue
        scale = 1.0
        if int(name.split(".")[2]) < len(network.PARTS):
            scale = plan.backbone_lr
            if p.ndim > 1:
                scale *= float(p.detach().std()) / USUAL_DEVIATION
        decay = plan.weight_decay if p.ndim > 1 and scale == 1.0 else 0.0
        groups.append({"params": [p], "weight_decay": decay, "lr_scale": scale})
    return groups


def start(names: dict[int, str], pretrained: bool = True, again: bool = False) -> "DetectionModel":
    """The network at the start of the training: its first part stays as ImageNet left it.

    Args:
        again: with the bundled weights.
    """
    model = network.new_network(names)
    if again:
        bundled = read_checkpoint(weights.FOLDER / weights.read_card("everyday").file)
        model.load_state_dict(bundled.state_dict())
    elif pretrained:
        backbone = EfficientNetLite()
        load_imagenet(backbone)
        network.load_backbone(model, backbone)
    model.model[0].requires_grad_(False)
    for part in model.model[: len(network.PARTS)]:
        fast_cpu.use_fast_depthwise(part)
    return model


def train(
    plan: Plan,
    images: data.Images,
    val: Sequence[data.Annotated],
    classes: Sequence[int],
    names: dict[int, str],
    seed: int,
    run: Path,
    resume: bool,
    *,
    pretrained: bool = True,
    stop_after: int | None = None,
    evaluations: int = 5,
) -> Fit:
    """Train on `images`; mAP50 on `val` is the curve, by which nothing is chosen."""
    torch.manual_seed(seed)
    model = start(names, pretrained, plan.again)
    recipe = Recipe(
        steps=plan.steps,
        batch=plan.batch,
        lr=plan.lr,
        warmup=0.03,
        weight_decay=plan.weight_decay,
        ema=plan.ema,
        clip=plan.clip,
        seed=seed,
        minutes=plan.minutes,
    )
    batches = data.Batches(images, common_data.Shuffled(len(images), plan.batch, seed), plan, seed)
    first = fast_cpu.frozen(model.model[0], bf16=True)
    criterion = new_criterion(model)

    def batch_at(at: BatchAt) -> dict[str, Tensor]:
        return batches.at(at.step, at.rank, at.world, at.share)

    def prepare(batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The maps of the part that is not trained instead of the images."""
        image = batch.pop("img")
        return batch | {"maps": first(image), "img_hw": torch.tensor(image.shape[2:])}

    def loss(trained: Any, batch: dict[str, Tensor]) -> Tensor:
        total: Tensor = criterion(trained(batch["maps"]), batch).sum()
        return total

    def evaluate(average: Any) -> dict[str, float]:
        found = metrics.find_all(average.detector, val, plan.size)
        scores = metrics.average_precision(val, found, classes)
        return {
            "val_mAP50": metrics.mean(scores[:, 0]),
            "val_mAP50-95": metrics.mean(scores),
        }

    trainer = Trainer(
        network.FromStride8(model),
        batch_at,
        loss,
        recipe,
        run,
        resume=resume,
        groups=lambda model: parameter_groups(model, plan),
        prepare=prepare,
    )
    for _ in trainer.steps(stop_after):
        if trainer.is_due(max(1, plan.steps // evaluations)):
            trainer.record(evaluate if len(val) else None)
    return trainer.result()
