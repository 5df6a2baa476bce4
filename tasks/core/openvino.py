"""OpenVINO: the library, the conversion of a network, its precision, and a pool of requests."""

import logging
import sys
import threading
import warnings
from collections.abc import Sequence
from queue import SimpleQueue
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.core import device

if TYPE_CHECKING:
    import torch

log = logging.getLogger("image_lab")

PRECISIONS = {
    # a YOLO exported for one size gave NaN in bf16 on a processor with AMX; the everyday detector
    # loses 0.12 of mAP50, more than the 0.1 that it may (`python -m benchmarks.precision`)
    "detection": "f32",
    # mIoU 75.16 % in bf16, 75.18 % in fp32 (train/LOG.md, 2026-11-26)
    "segmentation": "bf16",
    # used on processors without bf16 only; elsewhere PyTorch's bf16 computes (diffusion/engine.py)
    "diffusion": "f32",
}
"""What each task's engine computes in where the processor has bf16 arithmetic; else all use f32.

bf16 is an entry only where it is faster and keeps mAP, mIoU and PSNR within 0.1.
"""
TITLES = {"f32": "fp32", "bf16": "bf16"}  # as the page writes OpenVINO's names


def library() -> ModuleType:
    """The library, whose converter is kept from reporting each use to Google Analytics.

    Raises ImportError.
    """
    # not importable: the converter takes its own stub
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def is_installed() -> bool:
    try:
        library()
    except ImportError:
        return False
    return True


_tracing = threading.Lock()


def convert(network: "torch.nn.Module", *example: "torch.Tensor") -> Any:
    """The network as an `openvino.Model`, traced with `example`; its inputs keep any shape.

    One at a time: torch keeps which modules it is tracing in a variable of the whole process, so
    that two threads that trace at once find that their "graphs differed across invocations".
    """
    import torch

    converter = library()
    with _tracing, warnings.catch_warnings(), torch.inference_mode():
        # of the tracing, on shapes that are constants by intention
        warnings.simplefilter("ignore")
        return converter.convert_model(
            torch.jit.trace(network, example, check_trace=False), example_input=example
        )


def precision_for(task: str) -> str:
    """ "f32" or "bf16": what `task` computes in on this machine."""
    return PRECISIONS[task] if device.bf16_is_native() else "f32"


def compile_model(model: Any, streams: int, precision: str) -> Any:
    """The `openvino.Model` compiled for this processor, in an explicit precision.

    Args:
        streams: requests that are computed at once, each on its share of all cores.
    """
    config = {
        "NUM_STREAMS": str(streams),
        "INFERENCE_NUM_THREADS": device.cores(),
        "ENABLE_CPU_PINNING": False,
        "INFERENCE_PRECISION_HINT": precision,
    }
    return library().Core().compile_model(model, "CPU", config)


class RequestPool:
    """A compiled network of one shape and its inference requests, which threads share.

    The first output in bf16 is checked: where it is not finite, the network is compiled again in
    fp32, and the log says so.

    Args:
        model: an `openvino.Model` whose inputs and first output have fixed shapes.
        streams: requests that are computed at once, each on its share of all cores.
        n: inference requests; with more than streams the next one is filled while one computes.
        precision: "f32" or "bf16".

    Attributes:
        precision: "f32" or "bf16", what is computed in.
    """

    def __init__(self, model: Any, streams: int, n: int, precision: str):
        self.precision = precision
        compiled = compile_model(model, streams, precision)
        if precision != "f32" and not np.isfinite(_first_output(compiled)).all():
            log.warning("A network is not finite in %s on this processor; fp32 computes", precision)
            self.precision = "f32"
            compiled = compile_model(model, streams, "f32")
        self._shape = tuple(compiled.output(0).shape)
        self._idle: SimpleQueue[Any] = SimpleQueue()
        for _ in range(n):
            self._idle.put(compiled.create_infer_request())

    def run(self, pieces: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
        """The inputs of each piece, (B, ...) as compiled -> float32 (pieces x B, ...), in order."""
        tensor, rows = library().Tensor, self._shape[0]
        out = np.empty((rows * len(pieces), *self._shape[1:]), np.float32)
        waiting: list[Any] = []

        def collect() -> None:
            request = waiting.pop(0)
            try:
                request.wait()
            finally:
                self._idle.put(request)

        try:
            for i, piece in enumerate(pieces):
                if self._idle.empty() and waiting:
                    collect()
                request = self._idle.get()
                waiting.append(request)
                # written in place, not copied
                target = tensor(out[i * rows : (i + 1) * rows], shared_memory=True)
                request.set_output_tensor(0, target)
                request.start_async([np.ascontiguousarray(x) for x in piece], share_inputs=True)
        finally:
            while waiting:
                collect()
        return out


def _first_output(compiled: Any) -> np.ndarray:
    """The first output for noise; whole numbers, such as labels and times, are 0."""
    rng = np.random.default_rng(0)
    inputs = []
    for entry in compiled.inputs:
        dtype, shape = np.dtype(entry.get_element_type().to_dtype()), tuple(entry.shape)
        if dtype == np.uint8:
            inputs.append(rng.integers(0, 256, shape, np.uint8))
        elif dtype.kind == "f":
            inputs.append(rng.standard_normal(shape).astype(dtype))
        else:
            inputs.append(np.zeros(shape, dtype))
    request = compiled.create_infer_request()
    request.infer(inputs)
    return np.array(request.get_output_tensor(0).data)
