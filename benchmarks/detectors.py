"""The same YOLO weights by different libraries: milliseconds and mean average precision; and through ultralytics' val.

    python -m benchmarks.detectors --yolo PATH --coco128 DIR [--pictures 128]

PATH: YOLO weights of COCO's classes, a .pt file (then PyTorch fp32, bf16 + channels_last, OpenVINO and, where the
packages onnx and onnxruntime are, ONNX Runtime are compared) or an OpenVINO folder (that alone). DIR: COCO128 in YOLO's
layout; its mAP is inflated for weights that were trained on COCO, and good for comparing. Writes
benchmarks/results/detectors.csv.
"""

import argparse
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.results import record
from tasks import yolo
from tasks.detection import Detector
from tasks.images import to_rgb
from train.detector_measures import Found, mean_average_precision
from train.scenes import Scene


def labelled_pictures(folder: Path, n: int | None = None) -> Iterator[tuple[np.ndarray, Scene]]:
    """(uint8 (H, W, 3), its truth in px) of a data set in YOLO's layout: images/**.jpg, labels/**.txt."""
    for file in sorted((folder / "images").rglob("*.jpg"))[:n]:
        rgb = np.asarray(to_rgb(file))
        height, width = rgb.shape[:2]
        labels = folder / "labels" / file.relative_to(folder / "images").with_suffix(".txt")
        rows = np.loadtxt(labels, ndmin=2) if labels.is_file() and labels.stat().st_size else np.zeros((0, 5))
        centre, half = rows[:, 1:3], rows[:, 3:5] / 2
        xyxy = np.concatenate([centre - half, centre + half], 1) * [width, height, width, height]
        yield rgb, Scene(rgb, xyxy.astype(np.float32), rows[:, 0].astype(np.int64))


def score(detector: Detector, folder: Path, size: int, n: int | None = None) -> tuple[float, float, float]:
    """(mAP50-95, mAP50, median milliseconds a picture) through `Detector`, with val's settings."""
    results, took = [], []
    for rgb, truth in labelled_pictures(folder, n):
        found = detector.detect_array(rgb, 0.001, 0.7, size=size, multi_label=True)
        took.append(sum(found.speed_ms.values()))
        results.append((truth.without_image(), Found(found.xyxy, found.confidence, found.class_id)))
    scores = mean_average_precision(results)
    return scores["mAP50-95"], scores["mAP50"], statistics.median(took)


def ultralytics_score(path: Path, folder: Path, size: int) -> tuple[float, float]:
    """(mAP50-95, mAP50) of ultralytics' own `val`, square pictures, one at a time."""
    from ultralytics import YOLO

    with tempfile.TemporaryDirectory() as temporary:  # ultralytics writes a cache beside the labels
        copy = Path(temporary) / folder.name
        shutil.copytree(folder, copy)
        names = YOLO(path, task="detect").names
        listed = "\n".join(f"  {i}: {name}" for i, name in names.items())
        (copy / "data.yaml").write_text(
            f"path: {copy}\ntrain: images/train2017\nval: images/train2017\nnames:\n{listed}\n", encoding="utf-8"
        )
        measured = YOLO(path, task="detect").val(
            data=str(copy / "data.yaml"), imgsz=size, batch=1, rect=False, plots=False, verbose=False, workers=0,
            project=temporary, name="val",
        )  # fmt: skip
    return float(measured.box.map), float(measured.box.map50)


class Bf16Engine(yolo.TorchEngine):
    """PyTorch under bf16 autocast."""

    title = "PyTorch bf16, channels_last"

    def infer(self, picture: np.ndarray) -> np.ndarray:
        with torch.autocast("cpu", torch.bfloat16):
            return super().infer(picture)


class OnnxEngine:
    """ONNX Runtime on the CPU."""

    title = "ONNX Runtime"
    fixed_size: int | None = None
    needs_square = False

    def __init__(self, file: Path, like: yolo.Engine):
        import onnxruntime

        self.class_names, self.end2end = like.class_names, like.end2end
        self._session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])

    def infer(self, picture: np.ndarray) -> np.ndarray:
        x = np.ascontiguousarray(picture.transpose(2, 0, 1)[None], np.float32) / 255
        (out,) = self._session.run(None, {self._session.get_inputs()[0].name: x})
        raw: np.ndarray = out
        return raw


def engines(path: Path) -> Iterator[Callable[[], yolo.Engine]]:
    """What can compute these weights here."""
    if path.is_dir():
        yield lambda: yolo.OpenVinoEngine(path)
        return
    yield lambda: yolo.TorchEngine(yolo.read_checkpoint(path))
    yield lambda: Bf16Engine(yolo.read_checkpoint(path))
    yield lambda: yolo.OpenVinoEngine(yolo.exported(path))
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError:
        print("ONNX Runtime: the packages onnx and onnxruntime are not installed")
        return
    yield lambda: _onnx(path)


def _onnx(path: Path) -> yolo.Engine:
    from ultralytics import YOLO

    with tempfile.TemporaryDirectory() as temporary:
        copy = shutil.copy(path, temporary)
        made = YOLO(copy, task="detect").export(format="onnx", dynamic=True, verbose=False)
        return OnnxEngine(Path(made), yolo.TorchEngine(yolo.read_checkpoint(path)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--yolo", type=Path, required=True)
    parser.add_argument("--coco128", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=128)
    parser.add_argument("--size", type=int, default=640)
    args = parser.parse_args()
    whole = args.pictures >= 128
    theirs: tuple[float, float] | None = ultralytics_score(args.yolo, args.coco128, args.size) if whole else None
    for make in engines(args.yolo):
        engine: Any = make()
        precise, loose, ms = score(Detector(args.yolo.stem, engine), args.coco128, args.size, args.pictures)
        record("detectors", {
            "weights": args.yolo.stem,
            "engine": engine.title,
            "size": args.size,
            "pictures": args.pictures,
            "map50_95": round(100 * precise, 2),
            "map50": round(100 * loose, 2),
            "ms": round(ms, 1),
            "ultralytics_map50_95": round(100 * theirs[0], 2) if theirs else "",
            "ultralytics_map50": round(100 * theirs[1], 2) if theirs else "",
        })  # fmt: skip


if __name__ == "__main__":
    main()
