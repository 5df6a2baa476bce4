"""A network compiled by OpenVINO for one shape, and pieces of work that it computes side by side."""

from collections.abc import Sequence
from queue import SimpleQueue
from typing import Any

import numpy as np

from tasks import compute


class Requests:
    """What computes pieces of one shape; from several threads, which share it.

    Args:
        model: an `openvino.Model` whose inputs and first output have fixed shapes.
        streams: pieces that are computed at once, each on its share of all cores.
        n: inference requests; more than streams, and the next piece is brought while one is computed.
        precision: "f32" or "bf16".
    """

    def __init__(self, model: Any, streams: int, n: int, precision: str = "f32"):
        config = {"NUM_STREAMS": str(streams), "INFERENCE_NUM_THREADS": compute.cores(), "ENABLE_CPU_PINNING": False,
                  "INFERENCE_PRECISION_HINT": precision}  # fmt: skip
        compiled = compute.openvino().Core().compile_model(model, "CPU", config)
        self._shape = tuple(compiled.output(0).shape)
        self._idle: SimpleQueue[Any] = SimpleQueue()
        for _ in range(n):
            self._idle.put(compiled.create_infer_request())

    def run(self, pieces: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
        """The inputs of each piece, of (B, ...) as compiled -> the first outputs, float32 (pieces x B, ...)."""
        tensor, rows = compute.openvino().Tensor, self._shape[0]
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
                request.set_output_tensor(0, tensor(out[i * rows : (i + 1) * rows], shared_memory=True))  # not copied
                request.start_async([np.ascontiguousarray(x) for x in piece], share_inputs=True)
                waiting.append(request)
        finally:
            while waiting:
                collect()
        return out
