"""What computes a segmentation network: OpenVINO on a processor where it is installed, else PyTorch.

Both take the same uint8 pictures and return probabilities; benchmarks/segmentation.py shows what each costs.
"""

import os
import threading
from collections import OrderedDict
from queue import SimpleQueue
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from tasks import compute
from tasks.classification import normalise
from tasks.networks.unet_lite0 import UNetLite0, with_short_ways_up

SHAPES_KEPT = 4  # input shapes that stay compiled


class Engine(Protocol):
    """What a `Segmenter` needs of a network."""

    title: str  # "OpenVINO" or "PyTorch"

    def infer(self, pictures: np.ndarray) -> np.ndarray:
        """uint8 (B, H, W, 3) RGB, sides multiples of 32 -> probabilities float32 (B, C, H, W). From several threads."""
        ...


class Whole(nn.Module):
    """From bytes to probabilities."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> Tensor:  # uint8 (B, H, W, 3)
        x = pictures.permute(0, 3, 1, 2).float() / 255  # (B, 3, H, W)
        return self.network(normalise(x)).float().softmax(1)  # (B, C, H, W)


class TorchEngine:
    """The network as it is, on the best device there is; bf16 where asked for."""

    title = "PyTorch"

    def __init__(self, network: nn.Module, bf16: bool = False):
        self._whole, self._bf16 = Whole(network.to(memory_format=torch.channels_last)), bf16  # type: ignore[call-overload]
        self._lock = threading.Lock()

    def infer(self, pictures: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(np.ascontiguousarray(pictures)).to(compute.device())
        with self._lock, torch.inference_mode(), torch.autocast(x.device.type, torch.bfloat16, enabled=self._bf16):
            p: np.ndarray = self._whole(x).cpu().numpy()
        return p


class OpenVinoEngine:
    """The network traced once, compiled for each shape that comes.

    A picture is computed on all of up to three cores, which halves its time and costs two side by side nothing
    (train/LOG.md); on more of them `compute.AT_ONCE` pictures share the cores. Of a batch each picture is a request of
    its own.

    Args:
        precision: "f32" or "bf16"; None: bf16 where the processor has it.
    """

    title = "OpenVINO"

    def __init__(self, network: nn.Module, precision: str | None = None):
        self._core = compute.openvino().Core()
        self._precision = precision or ("bf16" if compute.bf16_is_native() else "f32")
        if isinstance(network, UNetLite0):
            network = with_short_ways_up(network)
        self._model = compute.to_openvino(Whole(network), torch.zeros(1, 64, 64, 3, dtype=torch.uint8))
        self._compiled: OrderedDict[tuple[int, int], SimpleQueue[Any]] = OrderedDict()
        self._lock = threading.Lock()  # of _compiled

    def infer(self, pictures: np.ndarray) -> np.ndarray:
        idle, tensor = self._requests(*pictures.shape[1:3]), compute.openvino().Tensor
        waiting: list[Any] = []
        out: np.ndarray | None = None

        def collect() -> None:
            request = waiting.pop(0)
            try:
                request.wait()
            finally:
                idle.put(request)

        for i, picture in enumerate(pictures):
            if idle.empty() and waiting:
                collect()
            request = idle.get()
            if out is None:
                out = np.empty((len(pictures), *request.model_outputs[0].shape[1:]), np.float32)
            request.set_output_tensor(0, tensor(out[i : i + 1], shared_memory=True))  # written there, not copied
            request.start_async([np.ascontiguousarray(picture)[None]], share_inputs=True)
            waiting.append(request)
        while waiting:
            collect()
        return np.empty((0, 0, 0, 0), np.float32) if out is None else out

    def _requests(self, high: int, wide: int) -> "SimpleQueue[Any]":
        """The idle inference requests for pictures of this size."""
        with self._lock:
            if (high, wide) in self._compiled:
                self._compiled.move_to_end((high, wide))
            else:
                self._compiled[high, wide] = self._compile(high, wide)
                while len(self._compiled) > SHAPES_KEPT:
                    self._compiled.popitem(last=False)
            return self._compiled[high, wide]

    def _compile(self, high: int, wide: int) -> "SimpleQueue[Any]":
        model = self._model.clone()
        model.reshape([1, high, wide, 3])
        threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        streams = max(1, min(compute.AT_ONCE, threads // 2))
        config = {"NUM_STREAMS": str(streams), "INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False,
                  "INFERENCE_PRECISION_HINT": self._precision}  # fmt: skip
        compiled = self._core.compile_model(model, "CPU", config)
        idle: SimpleQueue[Any] = SimpleQueue()
        for _ in range(compute.AT_ONCE):  # also of one stream: the next picture is brought while this one is computed
            idle.put(compiled.create_infer_request())
        return idle


def engine_for(network: nn.Module) -> Engine:
    """The fastest there is for this machine."""
    if compute.device().type != "cpu" or not compute.has_openvino():
        return TorchEngine(network)
    return OpenVinoEngine(network)
