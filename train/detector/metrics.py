"""COCO's mean average precision, in all and by size, and false alarms on digit-free images.

Matching and 101-point precision are those of ultralytics' own `val`; tests/train/test_detector.py
compares them.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from train.detector.scenes import Scene

THRESHOLDS = np.linspace(0.5, 0.95, 10)  # IoU from which a box counts as found
SIZES = ((12, 24), (24, 48), (48, 96), (96, 321))  # px, the longer side of a digit's box at 320 px


@dataclass(frozen=True)
class Found:
    """The boxes found in one image, highest confidence first."""

    xyxy: np.ndarray  # (N, 4), px
    confidence: np.ndarray  # (N,)
    class_id: np.ndarray  # (N,)


def to_tensor(images: Sequence[np.ndarray]) -> Tensor:
    """uint8 RGB images of one size as float32 (B, 3, H, W) in [0, 1], channels last in memory."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255


@torch.inference_mode()
def find(
    network: nn.Module,
    images: Sequence[np.ndarray],
    confidence: float = 0.001,
    iou: float = 0.7,
    best: bool = False,
) -> list[Found]:
    """The boxes in each image; the defaults are those of ultralytics' `val`.

    best: one class for each box, as for a user, instead of every class that is above `confidence`.
    """
    from ultralytics.utils.nms import non_max_suppression

    x = to_tensor(images).to(next(network.parameters()).device)
    predictions = network(x)[0].float()  # (B, 4 + 10, anchors)
    kept = non_max_suppression(
        predictions, confidence, iou, multi_label=not best, max_det=300, max_time_img=10.0
    )
    arrays = [k.cpu().numpy() for k in kept]
    return [Found(a[:, :4], a[:, 4], a[:, 5].astype(np.int64)) for a in arrays]


def find_all(
    network: nn.Module, scenes: Iterable[Scene], batch: int = 16
) -> Iterator[tuple[Scene, Found]]:
    """`find` on any number of scenes, a batch at a time."""
    waiting: list[Scene] = []
    for scene in scenes:
        waiting.append(scene)
        if len(waiting) == batch:
            yield from zip(waiting, find(network, [s.image for s in waiting]), strict=True)
            waiting = []
    if waiting:
        yield from zip(waiting, find(network, [s.image for s in waiting]), strict=True)


def box_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of xyxy boxes: (N, 4), (M, 4) -> (N, M)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = (high - low).clip(0).prod(2)
    area_a, area_b = (a[:, 2:] - a[:, :2]).prod(1), (b[:, 2:] - b[:, :2]).prod(1)
    return shared / (area_a[:, None] + area_b[None] - shared + 1e-7)


def match(truth: Scene, found: Found) -> tuple[np.ndarray, np.ndarray]:
    """Which digit each found box matches.

    The box of the highest confidence chooses first: of the unmatched digits of its class the one
    with the highest IoU.

    Returns:
        int (N, 10), the index of the digit or -1 at each IoU threshold; IoU (M, N).
    """
    iou = box_iou(truth.xyxy, found.xyxy) * (truth.class_id[:, None] == found.class_id)
    taken = np.full((len(found.xyxy), len(THRESHOLDS)), -1)
    if not len(truth.xyxy):
        return taken, iou
    free = np.ones((len(truth.xyxy), len(THRESHOLDS)), bool)
    columns = np.arange(len(THRESHOLDS))
    for j in np.flatnonzero((iou >= THRESHOLDS[0]).any(0)):
        available = np.where(free, iou[:, j, None], 0)
        k = available.argmax(0)
        good = available[k, columns] >= THRESHOLDS
        taken[j] = np.where(good, k, -1)
        free[k[good], columns[good]] = False
    return taken, iou


def mean_average_precision(
    results: Sequence[tuple[Scene, Found]], sizes: tuple[float, float] | None = None
) -> dict[str, float]:
    """{"mAP50-95", "mAP50"} in [0, 1]: mean over classes and IoU thresholds; nan without digits.

    Args:
        sizes: count only digits whose longer side is in [low, high) px. As in COCO, a box that
            matches a digit of another size, or none and is of another size itself, is ignored.
    """
    right, counted, confidence, class_id, wanted = [], [], [], [], []
    for truth, found in results:
        taken, _ = match(truth, found)
        inside, same_size = _has_size(truth.xyxy, sizes), _has_size(found.xyxy, sizes)
        hit = (taken >= 0) & np.append(inside, False)[taken]
        right.append(hit)
        counted.append(hit | ((taken < 0) & same_size[:, None]))
        confidence.append(found.confidence)
        class_id.append(found.class_id)
        wanted.append(truth.class_id[inside])
    targets = np.concatenate([*wanted, np.zeros(0, np.int64)])
    if not len(targets):
        return {"mAP50-95": float("nan"), "mAP50": float("nan")}
    order = np.argsort(-np.concatenate(confidence), kind="stable")
    tp, used, ids = (np.concatenate(part)[order] for part in (right, counted, class_id))
    classes = np.unique(targets)
    precision = np.zeros((len(classes), len(THRESHOLDS)))
    for i, c in enumerate(classes):
        n = int((targets == c).sum())
        for t in range(len(THRESHOLDS)):
            precision[i, t] = _average_precision(tp[(ids == c) & used[:, t], t], n)
    return {"mAP50-95": float(precision.mean()), "mAP50": float(precision[:, 0].mean())}


def _has_size(xyxy: np.ndarray, sizes: tuple[float, float] | None) -> np.ndarray:
    if sizes is None:
        return np.ones(len(xyxy), bool)
    side = (xyxy[:, 2:] - xyxy[:, :2]).max(1)
    return (side >= sizes[0]) & (side < sizes[1])


def _average_precision(hits: np.ndarray, n: int) -> float:
    """Area under the precision envelope at 101 recalls.

    Args:
        hits: bool, highest confidence first.
        n: digits in the truth.
    """
    from ultralytics.utils.metrics import compute_ap

    if not len(hits):
        return 0.0
    found = hits.cumsum()
    recall, precision = found / n, found / np.arange(1, len(hits) + 1)
    # it takes arrays, its annotation says lists
    return float(compute_ap(recall, precision)[0])  # type: ignore[arg-type]


def false_alarms(
    network: nn.Module, images: Sequence[np.ndarray], confidence: float, batch: int = 16
) -> float:
    """Boxes per image at or above a confidence, on images without a digit."""
    n = sum(
        len(found.xyxy)
        for i in range(0, len(images), batch)
        for found in find(network, images[i : i + batch], confidence, best=True)
    )
    return n / max(1, len(images))
