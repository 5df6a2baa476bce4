"""What bf16 costs and gains the detector, on a processor that computes it natively.

    python -m benchmarks.precision --data DIR       DIR/voc, of which the val images are read

The everyday detector by OpenVINO in fp32 and in bf16, in pairs on the same image: mAP and time of
the network. bf16 is to be used where it keeps mAP within 0.1 and is faster
(tasks/core/openvino.py).
"""

import argparse
import statistics
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.results import record
from tasks import models
from tasks.core import device, weights
from tasks.detection import checkpoints, engines
from tasks.detection.detector import Detector
from train.data import default_data_dir
from train.everyday import data, metrics

SIZE = 320


def detector(precision: str) -> Detector:
    """The bundled one, computed in a precision."""
    loaded = Detector.load("everyday")
    file = weights.FOLDER / weights.read_card(models.DETECTOR_FILES["everyday"]).file
    loaded.engine = engines.OpenVinoEngine(checkpoints.exported(file), precision)
    return loaded


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=default_data_dir())
    args = parser.parse_args()
    if not device.bf16_is_native():
        parser.error("this processor has no bf16: there is nothing to compare")
    both = {name: detector(name) for name in ("f32", "bf16")}
    names = dict(enumerate(both["f32"].class_names))
    val = data.read_voc(args.data / "voc", "val", names)
    classes = data.voc_classes(args.data / "voc", names)
    found: dict[str, list[metrics.Found]] = {name: [] for name in both}
    took: dict[str, list[float]] = {name: [] for name in both}
    for image in val:
        rgb = np.asarray(Image.open(image.file).convert("RGB"))
        for name, one in both.items():
            boxes = one.detect(rgb, confidence=0.01, iou=0.7, size=SIZE)
            found[name].append(metrics.Found(boxes.xyxy, boxes.confidence, boxes.class_id))
            took[name].append(boxes.speed_ms["inference"])
    for name, one in both.items():
        scores = metrics.average_precision(val, found[name], classes)
        record(
            "precision",
            {
                "model": "everyday",
                "precision": name,
                "computed_in": one.engine.precision,
                "images": len(val),
                "mAP50": round(100 * metrics.mean(scores[:, 0]), 2),
                "mAP50-95": round(100 * metrics.mean(scores), 2),
                "ms": round(statistics.median(took[name]), 1),
            },
        )


if __name__ == "__main__":
    main()
