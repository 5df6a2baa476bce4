"""What a segmentation network's card says, measured through the app's own handler on the validation pictures."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tasks import weights
from tasks.segmentation import THREE_SIZES, Segmenter
from train import options, report
from train.loop import Fit
from train.road_scenes import Scenes
from train.segmentation import PLANS, Plan
from train.segmentation_measures import confusion, iou, mean_iou

NAMES = {"unet-lite0": "segmentation", "unet": "segmentation_unet"}
TITLES = {"unet-lite0": "U-Net on EfficientNet-Lite0", "unet": "Textbook U-Net"}
ARCHITECTURES = {
    "unet-lite0": "U-Net; encoder: EfficientNet-Lite0 from ImageNet weights; decoder: two 3x3 convolutions at each of "
    "four scales",
    "unet": "U-Net of five scales, two 3x3 convolutions with batch norm at each, from random weights",
}
LIMITS = (
    "Learnt from 367 pictures of three drives through Cambridge: other cities, cameras, weather and night are guesses. "
    "It knows eleven classes and gives one of them to everything. Validation pictures are of a drive that is in the "
    "training set, too: a new street scores lower. Not for driving."
)


def as_stored(network: nn.Module, empty: nn.Module) -> nn.Module:
    """The network as `weights.load` gives it back: rounded to fp16, float32 again."""
    state = {k: v.half().float() if v.is_floating_point() else v for k, v in network.state_dict().items()}
    empty.load_state_dict(state, strict=True)
    return empty.eval()


def measured(look: Callable[[np.ndarray], np.ndarray], scenes: Scenes, n: int) -> Tensor:
    """The confusion matrix of `look`, uint8 (H, W, 3) -> classes (H, W), on all `scenes`; int64 (n, n)."""
    total = torch.zeros(n, n, dtype=torch.int64)
    for i in range(len(scenes)):
        picture, mask = scenes.read(i)
        total += confusion(torch.from_numpy(mask), torch.from_numpy(look(picture)), n)
    return total


def milliseconds(segmenter: Segmenter, picture: np.ndarray, times: int = 20) -> float:
    """Median of a frame's segmentation, single-scale."""
    took = []
    for _ in range(times + 3):
        start = time.perf_counter()
        segmenter.segment(picture, flip=False)
        took.append(1000 * (time.perf_counter() - start))
    return float(np.median(took[3:]))


def ship(
    network: nn.Module, plan: Plan, done: Fit, scenes: Scenes, val: Scenes, arch: str, seed: int, out: Path,
    before: dict[str, Any] | None = None,
) -> weights.Card:  # fmt: skip
    """Measure, write weights and card; `before`: the card's `training` of the cycles before this one."""
    n = len(scenes.classes)
    stored = as_stored(network, plan.network(n_classes=n, **plan.config))
    segmenter = Segmenter(stored, scenes.classes)
    single = measured(lambda rgb: segmenter.segment(rgb, flip=False), val, n)
    flipped = measured(lambda rgb: segmenter.segment(rgb, flip=True), val, n)
    sizes = measured(lambda rgb: segmenter.segment(rgb, flip=True, scales=THREE_SIZES), val, n)
    how = f"{segmenter.engine.title}, fp16 weights; all pixels of the set together, unlabelled ones left out"

    def metric(name: str, value: float, unit: str, conditions: str, count: int = len(val)) -> weights.Metric:
        return weights.Metric(name, round(value, 4), unit, val.about["split"], count, conditions)

    picture = val.read(0)[0]
    command = f"python -m train.segmentation{'' if arch == 'unet-lite0' else ' --arch ' + arch}"
    command += options.budget_options(plan, PLANS[arch])
    training = report.about_training(command, seed, done.minutes, done.where)
    if before is not None:
        training = report.again(before, training | {"command": f"{command} --again"})
    card = weights.Card(
        name=NAMES[arch],
        task="segmentation",
        title=f"{TITLES[arch]}, {val.about['name'].split(' at ')[0]}",
        architecture=ARCHITECTURES[arch],
        parameters=sum(p.numel() for p in stored.parameters()),
        config={"n_classes": n, **plan.config},
        preprocess={"mean": [127 / 255] * 3, "std": [128 / 255] * 3, "range": [0, 1], "longest": 640, "multiple": 32},
        classes=list(scenes.classes),
        metrics=[
            metric("mIoU", 100 * mean_iou(single), "%", f"single-scale; {how}"),
            metric("mIoU with the mirror image", 100 * mean_iou(flipped), "%", "as pictures are read in the tab"),
            metric("mIoU with the mirror image at three sizes", 100 * mean_iou(sizes), "%", "0.75, 1 and 1.25 times"),
            metric("pixels right", 100 * float(single.diagonal().sum() / single.sum()), "%", "single-scale"),
            metric("time for one frame", milliseconds(segmenter, picture), "ms",
                   f"{picture.shape[1]} x {picture.shape[0]} px, single-scale, median of 20, {report.hardware()}, "
                   "beside other work", 1),
        ],
        data={
            **{key: val.about[key] for key in ("name", "url", "licence")},
            "n": f"{len(scenes):,} training pictures",
            "held_out": f"{len(val):,} validation pictures for curve and scores; the test pictures were not looked at",
        },
        training=training,
        paper="Ronneberger et al. 2015, U-Net, arXiv 1505.04597; Berman et al. 2018, Lovasz-softmax, arXiv 1705.08790"
        + ("; Tan and Le 2019, EfficientNet, arXiv 1905.11946" if plan.pretrained else ""),
        limits=LIMITS,
        curve=done.curve,
        tables={
            "epochs": plan.epochs,
            "confusion": single.tolist(),
            "iou": per_class(single, scenes.classes),
            "iou_with_mirror": per_class(flipped, scenes.classes),
        },
    )  # fmt: skip
    return weights.save(stored, card, out, half=True)


def per_class(matrix: Tensor, classes: tuple[str, ...]) -> dict[str, float | None]:
    """Each class's IoU; None where the class is neither there nor predicted."""
    return {c: None if v != v else round(v, 4) for c, v in zip(classes, iou(matrix).tolist(), strict=True)}
