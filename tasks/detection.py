"""Detection: YOLO finds objects and their boxes in one pass over the picture.

Redmon et al. 2016 (arXiv 1506.02640); the networks are Ultralytics' YOLO11 and YOLO26. `Detector.load("digits")` is
`train/detector.py`'s own, which finds handwritten digits; "yolo11n" and its like are trained on COCO and downloaded on
first use; a path loads any YOLO.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from tasks import compute, weights, yolo, yolo_files
from tasks.images import ImageError, ImageLike, to_rgb

MAX_BOXES = 300  # in one picture; Ultralytics' own limit
TRACKING_FLOOR = 0.1  # confidence of the boxes that may continue a track, though not start one
FINAL_COLUMNS = 6  # of a network's final boxes: left, top, right, bottom, confidence, class
GREY = 114  # of the bars that make the picture's sides fit, as in Ultralytics' training


@dataclass(frozen=True)
class Detections:
    """What was found in one picture, most confident first.

    Attributes:
        xyxy: float32 (N, 4): left, top, right, bottom in pixels of the picture that came.
        confidence: float32 (N,) in [0, 1].
        class_id: int64 (N,), indices of class_names.
        track_id: int64 (N,), the same for one object from frame to frame; None where nothing was tracked.
        speed_ms: milliseconds of "preprocess", "inference", "postprocess".
        prepared_ms: what making the network ready took before that, for the first picture of its shape; else 0.
    """

    xyxy: np.ndarray
    confidence: np.ndarray
    class_id: np.ndarray
    class_names: tuple[str, ...]
    track_id: np.ndarray | None = None
    speed_ms: dict[str, float] = field(default_factory=dict)
    prepared_ms: float = 0.0

    def __post_init__(self) -> None:
        n = len(self.xyxy)
        tracks = (n,) if self.track_id is None else self.track_id.shape
        came = (self.xyxy.shape, self.confidence.shape, self.class_id.shape, tracks)
        if came != ((n, 4), (n,), (n,), (n,)):
            raise ValueError(f"N boxes are needed as (N, 4), (N,), (N,), (N,); {came} came.")

    def __len__(self) -> int:
        return len(self.xyxy)

    @property
    def labels(self) -> list[str]:
        """The class of each box, by name."""
        return [self.class_names[i] for i in self.class_id]

    def counts(self) -> dict[str, int]:
        """Boxes per class that was found, most frequent first."""
        return dict(Counter(self.labels).most_common())

    def rows(self) -> list[dict[str, float | int | str]]:
        """One dictionary a box, for tables, CSV and JSON."""
        rows: list[dict[str, float | int | str]] = []
        for i, (box, confidence, label) in enumerate(zip(self.xyxy, self.confidence, self.labels, strict=True)):
            row: dict[str, float | int | str] = {"class": label, "confidence": round(float(confidence), 4)}
            row |= {side: round(float(v), 1) for side, v in zip(("left", "top", "right", "bottom"), box, strict=True)}
            if self.track_id is not None:
                row["track"] = int(self.track_id[i])
            rows.append(row)
        return rows


class Detector:
    """Finds the objects of its classes in a picture.

    Attributes:
        sizes: px of the longer side that the network may be given; an export for one size is cut to smaller ones.
        needs_nms: False for networks that give final boxes, which have no IoU threshold.
        card: None for networks that were not trained here.
    """

    def __init__(self, name: str, engine: yolo.Engine, card: weights.Card | None = None):
        self.name, self.engine, self.card = name, engine, card
        self.class_names = engine.class_names
        self.needs_nms = not engine.end2end
        own = engine.fixed_size
        smaller = () if own is None or engine.needs_square else tuple(size for size in yolo.SIZES if size < own)
        self.sizes = yolo.SIZES if own is None else (*smaller, own)
        self.default_size = int(card.preprocess["size"]) if card is not None else self.sizes[-1]

    @classmethod
    def load(cls, name_or_path: str | Path = "digits", folder: Path = weights.FOLDER) -> "Detector":
        """The bundled network "digits", one of `yolo_files.COCO_MODELS`, or a path to a .pt file or OpenVINO folder.

        Raises:
            WeightsError: missing, damaged, unknown name, or not here and no network to download it.
        """
        if name_or_path == "digits":
            card = weights.verify("detector", folder)
            return cls("digits", yolo.load_engine(folder / card.file), card)
        path = Path(name_or_path)
        if not path.exists():
            path = yolo_files.download(str(name_or_path))
        return cls(path.stem, yolo.load_engine(path))

    def detect(
        self,
        image: ImageLike,
        confidence: float = 0.25,
        iou: float = 0.7,
        classes: Sequence[int] | None = None,
        size: int | None = None,
    ) -> Detections:
        """Find objects.

        Args:
            image: any picture that `images.to_rgb` takes.
            confidence: boxes below this are left out, [0, 1].
            iou: of two boxes of a class that overlap by more than this the less confident is left out, [0, 1]; without
                effect where `needs_nms` is False.
            classes: only these class ids; None for all.
            size: px of the longer side that the network sees, one of `sizes`.
        Raises:
            ImageError: no usable picture, or a setting out of its range.
        """
        return self.detect_array(np.asarray(to_rgb(image)), confidence, iou, classes, size)

    def detect_array(
        self,
        rgb: np.ndarray,
        confidence: float = 0.25,
        iou: float = 0.7,
        classes: Sequence[int] | None = None,
        size: int | None = None,
        multi_label: bool = False,
        bars: bool = True,
    ) -> Detections:
        """As `detect`, of uint8 (H, W, 3).

        Args:
            multi_label: a box may have several classes, as when mAP is measured.
            bars: False computes an export for squares without the bars: a 4:3 picture takes a quarter less time, and
                boxes differ slightly from Ultralytics'.
        """
        size = self.check(confidence, iou, classes, size)
        with compute.stopwatch() as before:
            picture, scale, (left, top) = letterbox(
                rgb, size, square=self.engine.needs_square or (bars and self.engine.fixed_size is not None)
            )
        prepared = self.engine.prepare(*picture.shape[:2])
        with compute.stopwatch() as network:
            raw = self.engine.infer(picture)
        with compute.stopwatch() as after:
            import torch
            from ultralytics.utils.nms import non_max_suppression

            if self.needs_nms:
                sure = raw[0, 4:].max(0) > confidence
                if sure.sum() != FINAL_COLUMNS:  # six would be taken for final boxes, whatever `end2end` says
                    raw = raw[:, :, sure]  # what follows then costs nearly nothing
            wanted = None if classes is None else list(classes)
            (boxes,) = non_max_suppression(
                torch.from_numpy(raw), confidence, iou, wanted, multi_label=multi_label, max_det=MAX_BOXES,
                end2end=not self.needs_nms, nc=len(self.class_names),
            )  # fmt: skip
            found = boxes.numpy()
            xyxy = (found[:, :4] - np.array([left, top, left, top], np.float32)) / np.float32(scale)
            height, width = rgb.shape[:2]
            xyxy = xyxy.clip(0, np.array([width, height, width, height], np.float32))
        speed = {"preprocess": before(), "inference": network(), "postprocess": after()}
        return Detections(
            xyxy, found[:, 4], found[:, 5].astype(np.int64), self.class_names, speed_ms=speed, prepared_ms=prepared
        )

    def check(self, confidence: float, iou: float, classes: Sequence[int] | None, size: int | None) -> int:
        """The size that these settings use. Raises ImageError for one out of its range."""
        for name, value in (("confidence", confidence), ("iou", iou)):
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                raise ImageError(f"{name} lies between 0 and 1; {str(value)[:20]!r} came.")
        n = len(self.class_names)
        if classes is not None and not all(type(c) is int and 0 <= c < n for c in classes):
            raise ImageError(f"Classes are numbers from 0 to {n - 1}; {str(classes)[:60]} came.")
        size = self.default_size if size is None else size
        if size not in self.sizes:
            known = ", ".join(map(str, self.sizes))
            raise ImageError(f"This network takes pictures of {known} px on the longer side; {str(size)[:20]} came.")
        return size


def letterbox(rgb: np.ndarray, size: int, square: bool) -> tuple[np.ndarray, float, tuple[int, int]]:
    """Scale the longer side to `size` px and put grey bars where a side is no multiple of 32, or the whole no square.

    Returns:
        (uint8 (H, W, 3), the scale, (left, top) of the picture in it).
    """
    height, width = rgb.shape[:2]
    scale = size / max(height, width)
    h, w = max(1, round(height * scale)), max(1, round(width * scale))
    full_h, full_w = (size, size) if square else (_up(h), _up(w))
    if (h, w) != (height, width):
        rgb = cv2.resize(rgb, (w, h), interpolation=cv2.INTER_LINEAR)
    if (h, w) == (full_h, full_w):
        return np.ascontiguousarray(rgb), scale, (0, 0)
    top, left = round((full_h - h) / 2 - 0.1), round((full_w - w) / 2 - 0.1)
    out = np.full((full_h, full_w, 3), GREY, np.uint8)
    out[top : top + h, left : left + w] = rgb
    return out, scale, (left, top)


def _up(n: int) -> int:
    return -(-n // yolo.STRIDE) * yolo.STRIDE


class Tracker:
    """Gives each object a number that it keeps from frame to frame; one tracker a visitor or video.

    ByteTrack (Zhang et al. 2022, arXiv 2110.06864), Ultralytics' implementation. Bounded: an object that has not been
    seen for `patience` frames is forgotten.
    """

    def __init__(self, confidence: float = 0.25, patience: int = 30):
        from ultralytics.trackers.byte_tracker import BYTETracker
        from ultralytics.utils import IterableSimpleNamespace

        settings = IterableSimpleNamespace(
            track_high_thresh=confidence,  # boxes at least this sure are matched first and may start a track
            track_low_thresh=min(TRACKING_FLOOR, confidence),
            new_track_thresh=confidence,
            track_buffer=patience,
            match_thresh=0.8,  # highest cost, 1 - IoU x confidence, at which a box continues a track
            fuse_score=True,
        )
        self._tracker = BYTETracker(settings)

    def update(self, found: Detections, confidence: float | None = None) -> Detections:
        """The boxes of `found` that belong to a track, with their numbers; call it once a frame, in order.

        `found` may hold boxes below `confidence`: they keep a track alive, start none, and are not given back.
        """
        from ultralytics.engine.results import Boxes

        if confidence is not None:
            self._tracker.args.track_high_thresh = self._tracker.args.new_track_thresh = confidence
        columns = (found.xyxy, found.confidence[:, None], found.class_id[:, None].astype(np.float32))
        tracks = self._tracker.update(Boxes(np.hstack(columns).astype(np.float32), (1, 1))).reshape(-1, 8)
        sure = found.confidence[tracks[:, -1].astype(int)] >= self._tracker.args.track_high_thresh
        kept, ids = tracks[sure, -1].astype(int), tracks[sure, 4].astype(np.int64)
        return Detections(
            found.xyxy[kept], found.confidence[kept], found.class_id[kept], found.class_names, ids, found.speed_ms
        )
