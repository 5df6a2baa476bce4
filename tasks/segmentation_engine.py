"""What computes a segmentation network: OpenVINO on a processor where it is installed, else PyTorch.

Both take the same uint8 pictures and return probabilities; benchmarks/segmentation.py shows what each costs.
"""

import threading
from collections import OrderedDict
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from tasks import compute
from tasks.classification import normalise
from tasks.networks.unet_lite0 import UNetLite0, with_short_ways_up
from tasks.openvino_requests import Requests

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
        self._precision = precision or ("bf16" if compute.bf16_is_native() else "f32")
        if isinstance(network, UNetLite0):
            network = with_short_ways_up(network)
        self._model = compute.to_openvino(Whole(network), torch.zeros(1, 64, 64, 3, dtype=torch.uint8))
        self._compiled: OrderedDict[tuple[int, int], Requests] = OrderedDict()
        self._lock = threading.Lock()  # of _compiled

    def infer(self, pictures: np.ndarray) -> np.ndarray:
        return self._requests(*pictures.shape[1:3]).run([[picture[None]] for picture in pictures])

    def _requests(self, high: int, wide: int) -> Requests:
        """What computes pictures of this size."""
        with self._lock:
            if (high, wide) in self._compiled:
                self._compiled.move_to_end((high, wide))
            else:
                self._compiled[high, wide] = self._compile(high, wide)
                while len(self._compiled) > SHAPES_KEPT:
                    self._compiled.popitem(last=False)
            return self._compiled[high, wide]

    def _compile(self, high: int, wide: int) -> Requests:
        model = self._model.clone()
        model.reshape([1, high, wide, 3])
        streams = max(1, min(compute.AT_ONCE, compute.cores() // 2))
        return Requests(model, streams, compute.AT_ONCE, self._precision)


def engine_for(network: nn.Module) -> Engine:
    """The fastest there is for this machine."""
    if compute.device().type != "cpu" or not compute.has_openvino():
        return TorchEngine(network)
    return OpenVinoEngine(network)
