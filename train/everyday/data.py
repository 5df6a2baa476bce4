"""Pascal VOC under COCO's names, the teacher's labels beside its own; mosaics, other augmentation.

An annotated image has boxes in px, COCO's class ids, and a weight for each label: 1 for VOC's, the
teacher's confidence for the teacher's.
"""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from train.data import Shuffled
from train.everyday.plans import Plan

OTHER_NAMES = {
    "aeroplane": "airplane",
    "sofa": "couch",
    "tvmonitor": "tv",
    "diningtable": "dining table",
    "pottedplant": "potted plant",
    "motorbike": "motorcycle",
}
"""VOC's name -> COCO's, where they differ."""
GREY = 114  # of what no image covers, as in Ultralytics' letterbox
SURE = 0.2  # confidence from which the teacher's label is used
SAME = 0.55  # IoU with a label of VOC from which the teacher's counts as the same thing
VISIBLE = 0.3  # share of a box that must remain in the frame
SMALLEST = 4.0  # px, the shorter side of a box


@dataclass(frozen=True)
class Annotated:
    """An image on disk and its labels."""

    file: Path
    boxes: np.ndarray  # float32 (N, 4), left, top, right, bottom in px of the file
    class_id: np.ndarray  # int64 (N,), COCO's
    weight: np.ndarray  # float32 (N,), in (0, 1]
    difficult: np.ndarray  # bool (N,)


def read_voc(folder: Path, split: str, names: dict[int, str]) -> list[Annotated]:
    """The images of a split, "train" or "val"."""
    about = json.loads((folder / "annotations.json").read_text(encoding="utf-8"))
    ids = {name: i for i, name in names.items()}
    to_coco = np.array([ids[OTHER_NAMES.get(name, name)] for name in about["classes"]])
    found = []
    for image in about["images"]:
        if image["split"] == split:
            boxes = np.array(image["boxes"], np.float32).reshape(-1, 6)
            found.append(
                Annotated(
                    folder / "images" / image["file"],
                    boxes[:, 1:5],
                    to_coco[boxes[:, 0].astype(np.int64)].astype(np.int64),
                    np.ones(len(boxes), np.float32),
                    boxes[:, 5] > 0,
                )
            )
    return found


def voc_classes(folder: Path, names: dict[int, str]) -> list[int]:
    """COCO's ids of VOC's twenty classes, in VOC's order."""
    about = json.loads((folder / "annotations.json").read_text(encoding="utf-8"))
    ids = {name: i for i, name in names.items()}
    return [ids[OTHER_NAMES.get(name, name)] for name in about["classes"]]


def with_teacher(
    images: Sequence[Annotated], answers: dict[str, list[list[float]]], labelled: Sequence[int]
) -> list[Annotated]:
    """The images with the teacher's answers of the classes that VOC does not label.

    labelled: class ids that VOC labels, in all of its images.
    """
    return [_joined(image, answers.get(image.file.name, []), set(labelled)) for image in images]


def _joined(image: Annotated, answers: list[list[float]], labelled: set[int]) -> Annotated:
    new = np.array(answers, np.float32).reshape(-1, 6)  # class, box, confidence
    of_others = np.array([int(c) not in labelled for c in new[:, 0]], bool)
    new = new[of_others & (new[:, 5] >= SURE)]
    if len(image.boxes) and len(new):
        new = new[iou(new[:, 1:5], image.boxes).max(1) < SAME]
    return Annotated(
        image.file,
        np.concatenate([image.boxes, new[:, 1:5]]),
        np.concatenate([image.class_id, new[:, 0].astype(np.int64)]),
        np.concatenate([image.weight, new[:, 5]]),
        np.concatenate([image.difficult, np.zeros(len(new), bool)]),
    )


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes: (N, 4), (M, 4) -> (N, M)."""
    low, high = (
        np.maximum(a[:, None, :2], b[None, :, :2]),
        np.minimum(a[:, None, 2:], b[None, :, 2:]),
    )
    shared = (high - low).clip(0).prod(2)
    area_a, area_b = (a[:, 2:] - a[:, :2]).prod(1), (b[:, 2:] - b[:, :2]).prod(1)
    return np.asarray(shared / (area_a[:, None] + area_b[None] - shared + 1e-7))


class Images:
    """Decoded images in memory, uint8 RGB of at most `side` px, read when first asked for."""

    def __init__(self, images: Sequence[Annotated], side: int = 320):
        self.images, self.side = images, side
        self._decoded: dict[int, tuple[np.ndarray, float]] = {}

    def __len__(self) -> int:
        return len(self.images)

    def at(self, i: int) -> tuple[np.ndarray, Annotated, float]:
        """(image, its labels, px of the image for a px of the labels)."""
        if i not in self._decoded:
            image = cv2.imread(str(self.images[i].file))[..., ::-1]
            scale = min(1.0, self.side / max(image.shape[:2]))
            if scale < 1:
                size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
                image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            self._decoded[i] = np.ascontiguousarray(image), scale
        image, scale = self._decoded[i]
        return image, self.images[i], scale


@dataclass
class Sample:
    """An augmented image and its labels."""

    image: np.ndarray  # uint8 (size, size, 3)
    boxes: np.ndarray  # float32 (N, 4), px
    class_id: np.ndarray  # int64 (N,)
    weight: np.ndarray  # float32 (N,)


def sample(
    images: Images, index: Sequence[int], size: int, zoom: tuple[float, float], seed: int
) -> Sample:
    """One image, or a mosaic of four, as `index` says: mirrored, scaled, shifted, recoloured."""
    rng = np.random.default_rng(seed)
    canvas = np.full((size, size, 3), GREY, np.uint8)
    if len(index) == 1:
        tiles = [(0, 0, size, size)]
    else:
        x, y = (int(v) for v in rng.uniform(0.3, 0.7, 2) * size)
        tiles = [(0, 0, x, y), (x, 0, size, y), (0, y, x, size), (x, y, size, size)]
        zoom = (0.45, 1.1)
    parts = [
        _place(canvas, *images.at(i), tile, float(np.exp(rng.uniform(*np.log(zoom)))), rng)
        for i, tile in zip(index, tiles, strict=True)
    ]
    boxes, class_id, weight = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Sample(recolour(canvas, rng), boxes, class_id, weight)


def _place(
    canvas: np.ndarray,
    image: np.ndarray,
    labels: Annotated,
    shrunk: float,
    tile: tuple[int, int, int, int],
    zoom: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw an image into a tile of the canvas; returns its visible boxes, class ids, weights."""
    left, top, right, bottom = tile
    height, width = image.shape[:2]
    scale = zoom * len(canvas) / max(height, width)
    stretch = np.exp(rng.uniform(-0.15, 0.15))  # of the width
    across, down = scale * stretch, scale / stretch
    x = rng.uniform(*sorted((0.0, right - left - width * across)))  # negative: a part is cut away
    y = rng.uniform(*sorted((0.0, bottom - top - height * down)))
    mirrored = rng.random() < 0.5
    matrix = np.array([[across, 0, x], [0, down, y]], np.float32)
    if mirrored:
        matrix[0] = -across, 0, x + width * across
    region = canvas[top:bottom, left:right]
    drawn = cv2.warpAffine(
        image,
        matrix,
        (right - left, bottom - top),
        flags=cv2.INTER_LINEAR,
        borderValue=(GREY, GREY, GREY),
    )
    region[:] = drawn
    boxes = labels.boxes * shrunk
    if mirrored:
        boxes = np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], 1)
    boxes = boxes * np.array([across, down] * 2, np.float32) + np.array(
        [x + left, y + top] * 2, np.float32
    )
    area = (boxes[:, 2:] - boxes[:, :2]).clip(1e-3).prod(1)
    boxes = boxes.clip(np.array([left, top] * 2), np.array([right, bottom] * 2)).astype(np.float32)
    sides = boxes[:, 2:] - boxes[:, :2]
    keep = (sides.clip(0).prod(1) > VISIBLE * area) & (sides.min(1) >= SMALLEST)
    return boxes[keep], labels.class_id[keep], labels.weight[keep]


def recolour(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another hue, saturation and brightness; one in twenty grey. uint8 (H, W, 3) RGB."""
    if rng.random() < 0.05:
        return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    gains = 1 + rng.uniform(-1, 1, 3) * (0.015, 0.6, 0.4)
    along = np.arange(256, dtype=np.float32)
    tables = [
        (along * gains[0] % 180),
        (along * gains[1]).clip(0, 255),
        (along * gains[2]).clip(0, 255),
    ]
    table = np.stack(tables, 1).astype(np.uint8)[None]  # (1, 256, 3)
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    return cv2.cvtColor(cv2.LUT(hsv, table), cv2.COLOR_HSV2RGB)


class Batches:
    """Batches as functions of the step: which images, mosaics or not, and their augmentation."""

    def __init__(self, images: Images, order: Shuffled, plan: Plan, seed: int):
        self.images, self.order, self.plan, self.seed = images, order, plan, seed
        self._pool = ThreadPoolExecutor(2)

    def at(self, step: int, rank: int, world: int, share: float) -> dict[str, Tensor]:
        """What `collate` returns, for a step; `share`: how much of the training is over, [0, 1)."""
        plan = self.plan
        size = plan.size_before if share < plan.before else plan.size
        mosaic = plan.mosaic if share < 1 - plan.plain else 0.0
        first = self.order.at(step, rank, world).tolist()
        rng = np.random.default_rng([self.seed, step, rank])
        index = [
            [i, *rng.integers(len(self.images), size=3).tolist()] if rng.random() < mosaic else [i]
            for i in first
        ]
        seeds = rng.integers(2**62, size=len(index)).tolist()
        samples = list(
            self._pool.map(lambda i, s: sample(self.images, i, size, plan.zoom, s), index, seeds)
        )
        return collate(samples)


def collate(samples: Sequence[Sample]) -> dict[str, Tensor]:
    """A batch in Ultralytics' layout, with a `weight` for each label.

    img float32 (B, 3, H, W) in [0, 1], channels last; batch_idx, cls, weight (N,); bboxes (N, 4),
    xywh / side.
    """
    side = len(samples[0].image)
    xyxy = np.concatenate([s.boxes for s in samples]) / side
    low, high = xyxy[:, :2], xyxy[:, 2:]
    which = np.repeat(np.arange(len(samples)), [len(s.boxes) for s in samples])
    return {
        "img": torch.from_numpy(np.stack([s.image for s in samples])).permute(0, 3, 1, 2).float()
        / 255,
        "batch_idx": torch.from_numpy(which.astype(np.float32)),
        "cls": torch.from_numpy(np.concatenate([s.class_id for s in samples]).astype(np.float32)),
        "weight": torch.from_numpy(np.concatenate([s.weight for s in samples]).astype(np.float32)),
        "bboxes": torch.from_numpy(
            np.concatenate([(low + high) / 2, high - low], 1).astype(np.float32)
        ),
    }
