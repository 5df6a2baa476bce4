"""Detection: YOLO finds objects and their boxes in one pass over the image.

Redmon et al. 2016 (arXiv 1506.02640); the networks are Ultralytics' YOLO11 and YOLO26.
`Detector.load()` finds everyday objects (`train/everyday/`), `Detector.load("digits")` handwritten
digits (`train/detector/`); "yolo11n" and the like are trained on COCO and downloaded on first use;
a path loads any YOLO. `Detector.load("yolov8s-worldv2", words="red mug, green book")` finds what
the words say.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from tasks import models
from tasks.core import weights
from tasks.core.device import stopwatch
from tasks.core.images import ImageError, ImageLike, to_rgb
from tasks.detection import checkpoints, engines
from tasks.detection.open_vocabulary import OpenVocabulary
from tasks.detection.words import check_no_words, parse_words

MAX_BOXES = 300  # in one image; Ultralytics' own limit
FINAL_COLUMNS = 6  # of a network's final boxes: left, top, right, bottom, confidence, class
GREY = 114  # of the bars that make the image's sides fit, as in Ultralytics' training


@dataclass(frozen=True)
class Detections:
    """The objects found in one image, most confident first.

    Attributes:
        xyxy: float32 (N, 4): left, top, right, bottom in pixels of the input image.
        confidence: float32 (N,) in [0, 1].
        class_id: int64 (N,), indices of class_names.
        track_id: int64 (N,), the same for one object from frame to frame; None without tracking.
        speed_ms: milliseconds of "preprocess", "inference", "postprocess".
        prepared_ms: milliseconds of preparing the network before that, for the first image of its
            shape; else 0.
        precision: "fp32" or "bf16", what the network computed in.
    """

    xyxy: np.ndarray
    confidence: np.ndarray
    class_id: np.ndarray
    class_names: tuple[str, ...]
    track_id: np.ndarray | None = None
    speed_ms: dict[str, float] = field(default_factory=dict)
    prepared_ms: float = 0.0
    precision: str = "fp32"

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
        for i, (box, confidence, label) in enumerate(
            zip(self.xyxy, self.confidence, self.labels, strict=True)
        ):
            row: dict[str, float | int | str] = {
                "class": label,
                "confidence": round(float(confidence), 4),
            }
            row |= {
                side: round(float(v), 1)
                for side, v in zip(("left", "top", "right", "bottom"), box, strict=True)
            }
            if self.track_id is not None:
                row["track"] = int(self.track_id[i])
            rows.append(row)
        return rows


class Detector:
    """Finds the objects of its classes in an image.

    Attributes:
        sizes: px of the longer side that the network may be given; one where the file was exported
            for one.
        needs_nms: False for networks that give final boxes, which have no IoU threshold.
        card: None for networks that were not trained here.
    """

    def __init__(self, name: str, engine: engines.Engine, card: weights.Card | None = None):
        self.name, self.engine, self.card = name, engine, card
        self.class_names = engine.class_names
        self.needs_nms = not engine.end2end
        self.sizes = engines.SIZES if engine.fixed_size is None else (engine.fixed_size,)
        self.default_size = int(card.preprocess["size"]) if card is not None else self.sizes[-1]

    @classmethod
    def load(
        cls,
        name_or_path: str | Path = "everyday",
        folder: Path = weights.FOLDER,
        words: str | Sequence[str] | None = None,
    ) -> "Detector":
        """A bundled detector ("everyday", "digits"), one of `models.COCO_DETECTORS`, or a path.

        Args:
            words: for `models.OPEN_VOCABULARY`, which finds what they say: "red mug, green book",
                or a list.
        Raises:
            WeightsError: missing, damaged, unknown name, or not here and no network to download it.
            ImageError: no words where they are needed, or words where they are of no use.
        """
        name = str(name_or_path)
        if name == models.OPEN_VOCABULARY:
            parsed = parse_words(words)  # before anything is downloaded
            return cls(name, OpenVocabulary.load().engine(parsed))
        check_no_words(name, words)
        if name in models.DETECTOR_FILES:
            card = weights.verify(models.DETECTOR_FILES[name], folder)
            return cls(name, engines.load_engine(folder / card.file), card)
        path = Path(name_or_path)
        if not path.exists():
            path = checkpoints.download(str(name_or_path))
        return cls(path.stem, engines.load_engine(path))

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
            image: any image that `images.to_rgb` takes.
            confidence: boxes below this are left out, [0, 1].
            iou: NMS IoU threshold, [0, 1]: of two boxes of a class that overlap by more, the less
                confident is left out; without effect where `needs_nms` is False.
            classes: only these class ids; None for all.
            size: px of the longer side that the network sees, one of `sizes`.
        Raises:
            ImageError: no usable image, or a setting out of its range.
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
    ) -> Detections:
        """As `detect`, of uint8 (H, W, 3).

        Args:
            multi_label: a box may have several classes, as when mAP is measured.
        """
        size = self.check(confidence, iou, classes, size)
        with stopwatch() as before:
            square = self.engine.fixed_size is not None
            image, scale, (left, top) = letterbox(rgb, size, square)
        prepared = self.engine.prepare(*image.shape[:2])
        with stopwatch() as network:
            raw = self.engine.infer(image)
        with stopwatch() as after:
            found = self._suppress(raw, confidence, iou, classes, multi_label)
            xyxy = (found[:, :4] - np.array([left, top, left, top], np.float32)) / np.float32(scale)
            height, width = rgb.shape[:2]
            xyxy = xyxy.clip(0, np.array([width, height, width, height], np.float32))
        return Detections(
            xyxy,
            found[:, 4],
            found[:, 5].astype(np.int64),
            self.class_names,
            speed_ms={"preprocess": before(), "inference": network(), "postprocess": after()},
            prepared_ms=prepared,
            precision=self.engine.precision,
        )

    def _suppress(
        self,
        raw: np.ndarray,
        confidence: float,
        iou: float,
        classes: Sequence[int] | None,
        multi_label: bool,
    ) -> np.ndarray:
        """The network's predictions -> boxes (N, 6) after Ultralytics' non-maximum suppression."""
        import torch
        from ultralytics.utils.nms import non_max_suppression

        if self.needs_nms:
            confident = raw[0, 4:].max(0) > confidence
            # six would be taken for final boxes, whatever `end2end` says
            if confident.sum() != FINAL_COLUMNS:
                raw = raw[:, :, confident]  # what follows then costs nearly nothing
        (boxes,) = non_max_suppression(
            torch.from_numpy(raw),
            confidence,
            iou,
            None if classes is None else list(classes),
            multi_label=multi_label,
            max_det=MAX_BOXES,
            end2end=not self.needs_nms,
            nc=len(self.class_names),
        )
        found: np.ndarray = boxes.numpy()
        return found

    def check(
        self, confidence: float, iou: float, classes: Sequence[int] | None, size: int | None
    ) -> int:
        """The size that these settings use. Raises ImageError for one out of its range."""
        for name, value in (("confidence", confidence), ("iou", iou)):
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                raise ImageError(f"{name} lies between 0 and 1; {str(value)[:20]!r} came.")
        n = len(self.class_names)
        is_list = isinstance(classes, Sequence)  # a page may send anything
        if classes is not None and not (
            is_list and all(type(c) is int and 0 <= c < n for c in classes)
        ):
            raise ImageError(f"Classes are numbers from 0 to {n - 1}; {str(classes)[:60]} came.")
        size = self.default_size if size is None else size
        if size not in self.sizes:
            known = ", ".join(map(str, self.sizes))
            raise ImageError(
                f"This network takes images of {known} px on the longer side; "
                f"{str(size)[:20]} came."
            )
        return size


def letterbox(
    rgb: np.ndarray, size: int, square: bool
) -> tuple[np.ndarray, float, tuple[int, int]]:
    """Scale the longer side to `size` px and pad with grey to multiples of 32, or to a square.

    Returns:
        (uint8 (H, W, 3), the scale, (left, top) of the image in it).
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
    return -(-n // engines.STRIDE) * engines.STRIDE
