"""A 480x360 frame through the shipped segmentation network by several libraries: milliseconds and
mean IoU.

    python -m benchmarks.segmentation [--data DIR] [--pictures N]

PyTorch and OpenVINO, each in fp32 and bf16, on CamVid's validation pictures, single-scale. Every
picture goes through all engines before the next one, so that a slow moment of the machine hits all
of them. ms: median
for one picture at a time, from bytes to probabilities at full size; cpu_ms: processor time of it,
over all cores, which
other work on the machine changes less; per_second: pictures where two are asked for together.
Writes
benchmarks/results/segmentation.csv.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.results import record
from tasks.segmentation.engines import Engine, OpenVinoEngine, TorchEngine
from tasks.segmentation.segmenter import CLASSES, Segmenter, pad_to_stride
from train import data
from train.segmentation.data import camvid
from train.segmentation.metrics import confusion, mean_iou


def measure(engine: Engine, picture: np.ndarray) -> tuple[np.ndarray, float, float]:
    """(probabilities (C, H, W), wall ms, processor ms)."""
    wall, cpu = time.perf_counter(), time.process_time()
    p = engine.infer(pad_to_stride(picture)[None])[0]
    return p, 1000 * (time.perf_counter() - wall), 1000 * (time.process_time() - cpu)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, default=data.default_data_dir(), help="folder with camvid/"
    )
    parser.add_argument("--pictures", type=int, default=101)
    args = parser.parse_args()
    network = Segmenter.load().network
    engines: dict[str, Engine] = {
        "PyTorch fp32": TorchEngine(network),
        "PyTorch bf16": TorchEngine(network, bf16=True),
        "OpenVINO fp32": OpenVinoEngine(network, "f32"),
        "OpenVINO bf16": OpenVinoEngine(network, "bf16"),
    }
    val, n = camvid(args.data, "val"), len(CLASSES)
    totals = {name: torch.zeros(n, n, dtype=torch.int64) for name in engines}
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in engines}
    for engine in engines.values():  # a first pass compiles
        measure(engine, val.read(0)[0])
    for i in range(min(args.pictures, len(val))):
        picture, mask = val.read(i)
        for name, engine in engines.items():
            p, wall, cpu = measure(engine, picture)
            took[name].append((wall, cpu))
            found = torch.from_numpy(p[:, : mask.shape[0], : mask.shape[1]].argmax(0))
            totals[name] += confusion(torch.from_numpy(mask), found, n)
    pair = np.stack([pad_to_stride(val.read(i)[0]) for i in (0, 1)])
    for name, engine in engines.items():
        together = []
        for _ in range(12):
            start = time.perf_counter()
            engine.infer(pair)
            together.append(time.perf_counter() - start)
        record(
            "segmentation",
            {
                "engine": name,
                "pictures": len(took[name]),
                "mIoU_val": round(100 * mean_iou(totals[name]), 2),
                "ms": round(statistics.median(wall for wall, _ in took[name]), 1),
                "cpu_ms": round(statistics.median(cpu for _, cpu in took[name]), 1),
                "per_second": round(2 / statistics.median(together), 1),
            },
        )


if __name__ == "__main__":
    main()
