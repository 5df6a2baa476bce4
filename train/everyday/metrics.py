"""COCO's average precision of each class; what VOC calls difficult counts neither way."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import nn

from train.everyday.data import GREY, Annotated, iou

THRESHOLDS = np.linspace(0.5, 0.95, 10)  # IoU from which a box counts as found
RECALLS = np.linspace(0, 1, 101)


class Found(NamedTuple):
    """The boxes found in one image, surest first: (N, 4) px of the file, (N,), (N,)."""

    boxes: np.ndarray
    confidence: np.ndarray
    class_id: np.ndarray


def letterbox(image: np.ndarray, size: int) -> tuple[np.ndarray, float, tuple[int, int]]:
    """uint8 (H, W, 3) -> (size, size, 3), the image in the middle of grey; scale; (left, top)."""
    scale = size / max(image.shape[:2])
    height, width = (round(side * scale) for side in image.shape[:2])
    top, left = (size - height) // 2, (size - width) // 2
    canvas = np.full((size, size, 3), GREY, np.uint8)
    canvas[top : top + height, left : left + width] = cv2.resize(
        image, (width, height), interpolation=cv2.INTER_LINEAR
    )
    return canvas, scale, (left, top)


@torch.inference_mode()
def find_all(
    model: nn.Module,
    images: Sequence[Annotated],
    size: int,
    confidence: float = 0.001,
    batch: int = 16,
) -> list[Found]:
    """Boxes of every class above `confidence`, NMS IoU threshold 0.7: as Ultralytics' `val`."""
    from ultralytics.utils.nms import non_max_suppression

    found = []
    for first in range(0, len(images), batch):
        boxed = [
            letterbox(cv2.imread(str(i.file))[..., ::-1], size)
            for i in images[first : first + batch]
        ]
        x = torch.from_numpy(np.stack([b[0] for b in boxed])).permute(0, 3, 1, 2).float() / 255
        kept = non_max_suppression(
            model(x)[0].float(), confidence, 0.7, multi_label=True, max_det=300, max_time_img=10.0
        )
        for one, (_, scale, corner) in zip(kept, boxed, strict=True):
            a = one.cpu().numpy()
            boxes = (a[:, :4] - np.array(corner * 2)) / scale
            found.append(Found(boxes, a[:, 4], a[:, 5].astype(np.int64)))
    return found


def average_precision(
    images: Sequence[Annotated],
    found: Sequence[Found],
    classes: Sequence[int],
    area: tuple[float, float] = (0, 1e10),
) -> np.ndarray:
    """float (classes, 10 thresholds) in [0, 1]; nan where a class has no object.

    area: count only objects of so many square px. As in COCO, a box that takes an object of another
    size counts neither way, nor does one that takes none and has another size itself.
    """
    out = np.full((len(classes), len(THRESHOLDS)), np.nan)
    for row, c in enumerate(classes):
        hits, ignored, confidence, n = [], [], [], 0
        for image, boxes in zip(images, found, strict=True):
            own = image.class_id == c
            truth, skip = image.boxes[own], image.difficult[own] | ~_within(image.boxes[own], area)
            mine = boxes.class_id == c
            n += int((~skip).sum())
            hit, ignore = match(truth, skip, boxes.boxes[mine])
            ignore |= ~hit & ~_within(boxes.boxes[mine], area)[:, None]
            hits.append(hit)
            ignored.append(ignore)
            confidence.append(boxes.confidence[mine])
        if n:
            order = np.argsort(-np.concatenate(confidence), kind="stable")
            hit, ignore = np.concatenate(hits)[order], np.concatenate(ignored)[order]
            out[row] = [_area_under(hit[~ignore[:, t], t], n) for t in range(len(THRESHOLDS))]
    return out


def _within(boxes: np.ndarray, area: tuple[float, float]) -> np.ndarray:
    size = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return np.asarray((size >= area[0]) & (size < area[1]))


def match(truth: np.ndarray, skip: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which boxes of a class are right: truth (M, 4), skip bool (M,), boxes (N, 4), surest first.

    Returns bool (N, 10) twice: the box takes an object; the box takes one that is to be skipped.
    """
    hit, ignore = (np.zeros((len(boxes), len(THRESHOLDS)), bool) for _ in range(2))
    if not len(truth) or not len(boxes):
        return hit, ignore
    overlap = iou(boxes, truth)
    for t, least in enumerate(THRESHOLDS):
        free = np.ones(len(truth), bool)
        for j in np.flatnonzero((overlap >= least).any(1)):
            usable = np.where(free & (overlap[j] >= least), overlap[j], 0.0)
            best = usable * ~skip if (usable * ~skip).any() else usable
            if not best.any():
                continue
            k = int(best.argmax())
            free[k] = False
            hit[j, t], ignore[j, t] = not skip[k], skip[k]
    return hit, ignore


def _area_under(hits: np.ndarray, n: int) -> float:
    """Mean of the precision envelope at 101 recalls, as pycocotools has it; n objects."""
    if not len(hits):
        return 0.0
    right = hits.cumsum()
    recall, precision = right / n, right / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(recall, RECALLS, side="left")
    return float(np.append(envelope, 0.0)[np.minimum(at, len(hits))].mean())


def mean(values: np.ndarray | Sequence[float]) -> float:
    """Of those that are numbers; nan where none is."""
    known = np.asarray(values, float)
    known = known[~np.isnan(known)]
    return float(known.mean()) if known.size else float("nan")
