"""OpenVINO against ONNX Runtime, for the three networks that the app computes by OpenVINO.

    python -m benchmarks.engines [--rounds 40]

The digit detector on a 320 x 320 image, the segmentation network on a 352 x 480 frame, MNIST's
diffusion network on 16 digits; fp32, all cores, weights as shipped. Both libraries compute each
input in turn, so that a slow moment of the machine hits both; ms is the median. cpu_ms: processor
time over all cores, which other work on the machine changes less. ratio: ONNX Runtime's time
divided by OpenVINO's. difference: the largest between the outputs. Writes
benchmarks/results/engines.csv.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.detectors import export_onnx
from benchmarks.results import record
from tasks.core import device, weights
from tasks.detection import checkpoints
from tasks.detection import engines as detection
from tasks.diffusion.engine import OpenVinoUNet
from tasks.diffusion.generator import DiffusionGenerator
from tasks.segmentation import engines as segmentation
from tasks.segmentation.segmenter import Segmenter

N_DIGITS = 16


@dataclass
class Pair:
    """The same network by both libraries, as a call without arguments that returns the output."""

    name: str
    openvino: Callable[[], np.ndarray]
    onnx: Callable[[], np.ndarray]


def session(model: bytes | str) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = device.cores()
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def exported(network: nn.Module, *example: torch.Tensor) -> Any:
    """The network in ONNX's format, for inputs of these shapes."""
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        file = Path(folder) / "network.onnx"
        torch.onnx.export(network, example, file, dynamo=False)
        return session(file.read_bytes())


def detector() -> Pair:
    path = weights.FOLDER / weights.read_card("detector").file
    image = np.random.default_rng(0).integers(0, 256, (320, 320, 3), np.uint8)
    fast = detection.OpenVinoEngine(checkpoints.exported(path), "f32")
    with tempfile.TemporaryDirectory() as folder:
        onnx = session(str(export_onnx(path, Path(folder))))

    def by_onnx() -> np.ndarray:
        x = np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32) / 255
        return np.asarray(onnx.run(None, {onnx.get_inputs()[0].name: x})[0])

    return Pair("detector", lambda: fast.infer(image), by_onnx)


def unet() -> Pair:
    network = Segmenter.load().network
    image = np.random.default_rng(0).integers(0, 256, (1, 352, 480, 3), np.uint8)
    fast = segmentation.OpenVinoEngine(network, "f32")
    onnx = exported(segmentation.BytesToProbabilities(network), torch.from_numpy(image))

    def by_onnx() -> np.ndarray:
        return np.asarray(onnx.run(None, {onnx.get_inputs()[0].name: image})[0])

    return Pair("segmentation", lambda: fast.infer(image), by_onnx)


def diffusion() -> Pair:
    generator = DiffusionGenerator.load("mnist")
    fast = OpenVinoUNet(generator.network, generator.channels, generator.side)
    torch.manual_seed(0)
    x = torch.randn(N_DIGITS, generator.channels, generator.side, generator.side)
    t, label = torch.randint(0, 1000, (N_DIGITS,)), torch.arange(N_DIGITS) % 10
    onnx = exported(generator.network, x, t, label)
    given = dict(zip([i.name for i in onnx.get_inputs()], (x, t, label), strict=True))
    feed = {name: tensor.numpy() for name, tensor in given.items()}
    return Pair(
        "diffusion",
        lambda: fast(x, t, label).numpy(),
        lambda: np.asarray(onnx.run(None, feed)[0]),
    )


def milliseconds(call: Callable[[], np.ndarray]) -> tuple[float, float]:
    """(on the clock, of the processor)"""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return 1000 * (time.perf_counter() - wall), 1000 * (time.process_time() - cpu)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=40)
    args = parser.parse_args()
    for build in (detector, unet, diffusion):
        pair = build()
        with torch.inference_mode():
            difference = float(np.abs(pair.openvino() - pair.onnx()).max())
            took = [
                (*milliseconds(pair.openvino), *milliseconds(pair.onnx)) for _ in range(args.rounds)
            ]
        openvino_ms, openvino_cpu, onnx_ms, onnx_cpu = (
            statistics.median(column) for column in zip(*took, strict=True)
        )
        row: dict[str, float | int | str] = {
            "network": pair.name,
            "rounds": args.rounds,
            "threads": device.cores(),
            "openvino_ms": round(openvino_ms, 1),
            "onnxruntime_ms": round(onnx_ms, 1),
            "ratio": round(onnx_ms / openvino_ms, 2),
            "openvino_cpu_ms": round(openvino_cpu, 1),
            "onnxruntime_cpu_ms": round(onnx_cpu, 1),
            "cpu_ratio": round(onnx_cpu / openvino_cpu, 2),
            "difference": round(difference, 6),
        }
        record("engines", row)


if __name__ == "__main__":
    main()
