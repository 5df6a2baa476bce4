"""A diffusion network computed by OpenVINO: on processors without bf16, large batches come out in 0.6 of the time.

`python -m benchmarks.diffusion` shows it (train/LOG.md). Numbers are the network's own but for rounding, about 1e-5.
"""

import os
from queue import SimpleQueue
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tasks import compute

PIECE = 8
"""Pictures an inference request; each size that is compiled takes about 70 MB, so there is one."""


def pays() -> bool:
    """Whether OpenVINO is there, and is the faster way on this machine."""
    return compute.device().type == "cpu" and not compute.bf16_is_native() and compute.has_openvino()


class OpenVinoUNet:
    """The network for batches, which are cut into pieces that are computed side by side; from several threads.

    What is left over, and a batch of less than two pieces, is computed by the network itself. Building it takes a
    second.
    """

    def __init__(self, network: nn.Module, channels: int, side: int):
        openvino = compute.openvino()
        self.network = network
        example = (torch.zeros(PIECE, channels, side, side), *torch.zeros(2, PIECE, dtype=torch.int64))
        model = compute.to_openvino(network, *example)
        model.reshape({given: list(like.shape) for given, like in zip(model.inputs, example, strict=True)})
        threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        streams = min(2, threads)  # one thread a piece on two cores: nothing waits for another thread
        config = {"NUM_STREAMS": str(streams), "INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False,
                  "INFERENCE_PRECISION_HINT": "f32"}  # fmt: skip
        compiled = openvino.Core().compile_model(model, "CPU", config)
        self._idle: SimpleQueue[Any] = SimpleQueue()
        for _ in range(streams):
            self._idle.put(compiled.create_infer_request())

    def __call__(self, x: Tensor, t: Tensor, label: Tensor) -> Tensor:  # as the network
        whole = len(x) // PIECE * PIECE if len(x) >= 2 * PIECE else 0
        out: list[Tensor] = []
        waiting: list[Any] = []

        def collect() -> None:
            request = waiting.pop(0)
            try:
                request.wait()
                out.append(torch.from_numpy(np.array(request.get_output_tensor(0).data)))
            finally:
                self._idle.put(request)

        try:
            for i in range(0, whole, PIECE):
                if self._idle.empty() and waiting:
                    collect()
                request = self._idle.get()
                request.start_async([np.ascontiguousarray(a[i : i + PIECE].numpy()) for a in (x, t, label)])
                waiting.append(request)
        finally:
            while waiting:
                collect()
        if whole < len(x):
            out.append(self.network(x[whole:], t[whole:], label[whole:]))
        return torch.cat(out)
