"""The same YOLO weights by different libraries: milliseconds and mean average precision; and
through ultralytics' val.

    python -m benchmarks.detectors [--yolo PATH] [--data DIR] [--pictures N] [--size PX] [--without
    bf16]

Two networks. The bundled digit detector on its 2,000 test scenes: PyTorch fp32, bf16 +
channels_last, OpenVINO, and ONNX Runtime where the packages onnx, onnxslim and onnxruntime are.
PATH, YOLO weights of COCO's
classes (a .pt file, or an OpenVINO folder, for which there is OpenVINO alone) on COCO128, whose mAP
is inflated for weights
that were trained on COCO, and good for comparing; default: IMAGE_LAB_YOLO, else ../shared/weights/.
DIR holds
`coco128/` and `MNIST/`.

Every picture goes through all engines, one after the other, before the next one, so that a slow
moment of the machine hits all of them. Writes benchmarks/results/detectors.csv: ms is the median
for one picture at a
time, from the pixels to the boxes; per_second is what two threads get together, as with two
cameras.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.results import record
from tasks.core import device, scheduling, weights
from tasks.core.images import to_rgb
from tasks.detection import checkpoints, engines
from tasks.detection.detector import Detector
from train import data
from train.detector.data import series
from train.detector.metrics import Found, mean_average_precision
from train.detector.plans import Plan
from train.detector.scenes import Scene

RATE_S = 4  # s for which two threads ask as fast as they can
COCO128 = 128  # pictures

Pictures = Iterable[tuple[np.ndarray, Scene]]


def default_yolo() -> Path | None:
    """Weights of COCO's classes: IMAGE_LAB_YOLO, else the export beside the shared data, else
    None."""
    named = os.environ.get("IMAGE_LAB_YOLO")
    path = (
        Path(named)
        if named
        else weights.ROOT.parent / "shared" / "weights" / "yolo11n_int8_openvino_model"
    )
    return path if path.exists() else None


def labelled_pictures(folder: Path, n: int | None = None) -> Iterator[tuple[np.ndarray, Scene]]:
    """(uint8 (H, W, 3), its truth in px) of a data set in YOLO's layout: images/**.jpg,
    labels/**.txt."""
    for file in sorted((folder / "images").rglob("*.jpg"))[:n]:
        rgb = np.asarray(to_rgb(file))
        height, width = rgb.shape[:2]
        labels = folder / "labels" / file.relative_to(folder / "images").with_suffix(".txt")
        rows = (
            np.loadtxt(labels, ndmin=2)
            if labels.is_file() and labels.stat().st_size
            else np.zeros((0, 5))
        )
        centre, half = rows[:, 1:3], rows[:, 3:5] / 2
        xyxy = np.concatenate([centre - half, centre + half], 1) * [width, height, width, height]
        yield rgb, Scene(rgb, xyxy.astype(np.float32), rows[:, 0].astype(np.int64))


@dataclass
class Measured:
    """One engine's answers; mAP in [0, 1]."""

    detector: Detector
    took: list[float] = field(default_factory=list)  # ms
    results: list[tuple[Scene, Found]] = field(default_factory=list)

    def look(self, rgb: np.ndarray, truth: Scene, size: int) -> None:
        """With val's settings."""
        found = self.detector.detect_array(rgb, 0.001, 0.7, size=size, multi_label=True)
        self.took.append(sum(found.speed_ms.values()))
        self.results.append(
            (truth.without_image(), Found(found.xyxy, found.confidence, found.class_id))
        )

    def score(self) -> tuple[float, float, float]:
        """(mAP50-95, mAP50, median milliseconds a picture)."""
        scores = mean_average_precision(self.results)
        return scores["mAP50-95"], scores["mAP50"], statistics.median(self.took)


def measure(detectors: Iterable[Detector], pictures: Pictures, size: int) -> list[Measured]:
    """All pictures through all detectors."""
    measured = [Measured(detector) for detector in detectors]
    for rgb, truth in pictures:
        for one in measured:
            one.look(rgb, truth, size)
    return measured


def score(
    detector: Detector, folder: Path, size: int, n: int | None = None
) -> tuple[float, float, float]:
    """(mAP50-95, mAP50, median milliseconds a picture) through `Detector` on a data set in YOLO's
    layout."""
    (measured,) = measure([detector], labelled_pictures(folder, n), size)
    return measured.score()


def per_second(detector: Detector, rgb: np.ndarray, size: int, seconds: float = RATE_S) -> float:
    """Pictures a second that two threads get together, with the page's settings."""
    done, until = [0] * scheduling.AT_ONCE, time.perf_counter() + seconds

    def ask(n: int) -> None:
        while time.perf_counter() < until:
            detector.detect_array(rgb, size=size)
            done[n] += 1

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(len(done))]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / (time.perf_counter() - began)


def ultralytics_score(path: Path, folder: Path, size: int) -> tuple[float, float]:
    """(mAP50-95, mAP50) of ultralytics' own `val`, square pictures, one at a time."""
    from ultralytics import YOLO

    with tempfile.TemporaryDirectory() as temporary:  # ultralytics writes a cache beside the labels
        copy = Path(temporary) / folder.name
        shutil.copytree(folder, copy)
        names = YOLO(path, task="detect").names
        listed = "\n".join(f"  {i}: {name}" for i, name in names.items())
        (copy / "data.yaml").write_text(
            f"path: {copy}\ntrain: images/train2017\nval: images/train2017\nnames:\n{listed}\n",
            encoding="utf-8",
        )
        measured = YOLO(path, task="detect").val(
            data=str(copy / "data.yaml"),
            imgsz=size,
            batch=1,
            rect=False,
            plots=False,
            verbose=False,
            workers=0,
            project=temporary,
            name="val",
        )
    return float(measured.box.map), float(measured.box.map50)


class Fp32Engine(engines.TorchEngine):
    """PyTorch as the app runs it where OpenVINO is missing."""

    title = "PyTorch fp32, channels_last"


class Bf16Engine(engines.TorchEngine):
    """PyTorch under bf16 autocast: the boxes, too, are rounded to bf16's 8 bits, which at 320 px is
    up to a pixel."""

    title = "PyTorch bf16, channels_last"

    def infer(self, picture: np.ndarray) -> np.ndarray:
        with torch.autocast(device.best().type, torch.bfloat16):
            return super().infer(picture)


class Bf16BodyEngine(Bf16Engine):
    """The same with the head's distances turned into boxes in fp32."""

    title = "PyTorch bf16, channels_last, boxes fp32"

    def __init__(self, network: torch.nn.Module):
        super().__init__(network)
        head: Any = self._network.model[-1]  # type: ignore[index]
        decode = head._inference

        def in_fp32(raw: dict[str, Any]) -> torch.Tensor:
            with torch.autocast(device.best().type, enabled=False):
                decoded: torch.Tensor = decode(_floats(raw))
            return decoded

        head._inference = in_fp32


def _floats(raw: Any) -> Any:
    """Tensors of a nested structure as float32."""
    if isinstance(raw, dict):
        return {key: _floats(value) for key, value in raw.items()}
    if isinstance(raw, list | tuple):
        return [_floats(value) for value in raw]
    return raw.float() if isinstance(raw, torch.Tensor) else raw


class OnnxEngine:
    """ONNX Runtime on the CPU."""

    title = "ONNX Runtime"
    precision = "fp32"
    fixed_size: int | None = None

    def __init__(self, file: Path, like: engines.Engine):
        import onnxruntime

        self.class_names, self.end2end = like.class_names, like.end2end
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self._session = onnxruntime.InferenceSession(
            str(file), options, providers=["CPUExecutionProvider"]
        )

    def prepare(self, height: int, width: int) -> float:
        return 0.0

    def infer(self, picture: np.ndarray) -> np.ndarray:
        x = np.ascontiguousarray(picture.transpose(2, 0, 1)[None], np.float32) / 255
        (out,) = self._session.run(None, {self._session.get_inputs()[0].name: x})
        raw: np.ndarray = out
        return raw


def engines_for(path: Path) -> Iterator[engines.Engine]:
    """What can compute these weights here."""
    if path.is_dir():
        yield engines.OpenVinoEngine(path)
        return
    makers: list[Callable[[], engines.Engine]] = [
        lambda: Fp32Engine(checkpoints.read_checkpoint(path)),
        lambda: Bf16Engine(checkpoints.read_checkpoint(path)),
        lambda: Bf16BodyEngine(checkpoints.read_checkpoint(path)),
        lambda: engines.OpenVinoEngine(checkpoints.exported(path)),
        lambda: _onnx(path),
    ]
    for make in makers:
        try:
            yield make()
        except ImportError as error:
            print(f"{error.name} is not installed; without it one engine is left out")


def _onnx(path: Path) -> engines.Engine:
    import onnxruntime  # noqa: F401

    like = engines.TorchEngine(checkpoints.read_checkpoint(path))
    with tempfile.TemporaryDirectory() as folder:
        return OnnxEngine(export_onnx(path, Path(folder)), like)


def export_onnx(path: Path, folder: Path) -> Path:
    """YOLO weights as an ONNX file in `folder`, for images of any size."""
    import onnx  # noqa: F401
    import onnxslim  # noqa: F401
    from ultralytics import YOLO

    copy = shutil.copy(path, folder)
    # Ultralytics' way to ask for the head with final boxes
    final = False if checkpoints.has_final_boxes(checkpoints.read_checkpoint(path)) else None
    return Path(
        YOLO(copy, task="detect").export(format="onnx", dynamic=True, nms=final, verbose=False)
    )


def compare(
    path: Path,
    name: str,
    pictures: Pictures,
    size: int,
    theirs: tuple[float, float] | None = None,
    without: str | None = None,
) -> None:
    """One row for each engine but those `without` stands in the title of; `theirs`: ultralytics'
    own mAPs."""
    coming = iter(pictures)
    first = next(coming)
    wanted = [
        engine for engine in engines_for(path) if without is None or without not in engine.title
    ]
    for one in measure(
        [Detector(path.stem, engine) for engine in wanted], chain([first], coming), size
    ):
        precise, loose, ms = one.score()
        record(
            "detectors",
            {
                "weights": path.stem,
                "engine": one.detector.engine.title,
                "data": name,
                "pictures": len(one.results),
                "size": size,
                "map50_95": round(100 * precise, 2),
                "map50": round(100 * loose, 2),
                "ms": round(ms, 1),
                "per_second": round(per_second(one.detector, first[0], size), 1),
                "ultralytics_map50_95": round(100 * theirs[0], 2) if theirs else "",
                "ultralytics_map50": round(100 * theirs[1], 2) if theirs else "",
            },
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--yolo", type=Path, default=default_yolo())
    parser.add_argument("--data", type=Path, default=data.default_data_dir())
    parser.add_argument("--pictures", type=int, help="of each kind at most; default: all")
    parser.add_argument("--size", type=int, default=640, help="px, of the COCO weights")
    parser.add_argument(
        "--without", help='leave engines out by a word of their title: "bf16" where it is emulated'
    )
    args = parser.parse_args()
    n = min(Plan.n_test, args.pictures or Plan.n_test)
    scenes = (
        (s.image, s) for s in series("test", data.mnist(args.data, train=False), n, Plan.size)
    )
    size = weights.read_card("detector").preprocess["size"]
    compare(weights.FOLDER / "detector.pt", "test scenes", scenes, size, without=args.without)
    folder = args.data / "coco128"
    if args.yolo is None or not folder.is_dir():
        print(f"COCO weights: --yolo names none, or {folder} is not there; nothing to compare")
        return
    n = min(COCO128, args.pictures or COCO128)
    comparable = n == COCO128 and (
        args.yolo.suffix == ".pt" or args.size == 640
    )  # an export keeps to its own size
    theirs = ultralytics_score(args.yolo, folder, args.size) if comparable else None
    compare(args.yolo, "COCO128", labelled_pictures(folder, n), args.size, theirs, args.without)


if __name__ == "__main__":
    main()
