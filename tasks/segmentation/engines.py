"""Engines of a segmentation network: OpenVINO on a processor, where installed, else PyTorch.

Both take the same uint8 images and return probabilities; benchmarks/segmentation.py shows what
each costs.
"""

import threading
import warnings
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from tasks.core import device, openvino, scheduling
from tasks.core.model_cache import Kept
from tasks.networks.efficientnet_lite import normalise
from tasks.networks.unet_lite0 import UNetLite0, with_short_ways_up

SHAPES_KEPT = 4  # input shapes that stay compiled


class Engine(Protocol):
    """What a `Segmenter` needs of a network."""

    title: str  # "OpenVINO" or "PyTorch"

    @property
    def precision(self) -> str:
        """ "fp32" or "bf16"."""
        ...

    def infer(self, images: np.ndarray) -> np.ndarray:
        """uint8 (B, H, W, 3) RGB, sides multiples of 32 -> probabilities float32 (B, C, H, W).

        May be called from several threads at once.
        """
        ...


class BytesToProbabilities(nn.Module):
    """From bytes to probabilities."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:  # uint8 (B, H, W, 3)
        x = images.permute(0, 3, 1, 2).float() / 255  # (B, 3, H, W)
        return self.network(normalise(x)).float().softmax(1)  # (B, C, H, W)


class TorchEngine:
    """The network as it is, on the best device there is; bf16 where asked for."""

    title = "PyTorch"

    def __init__(self, network: nn.Module, bf16: bool = False):
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._network, self._bf16 = BytesToProbabilities(network), bf16
        self.precision = "bf16" if bf16 else "fp32"
        self._lock = threading.Lock()

    def infer(self, images: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(np.ascontiguousarray(images)).to(device.best())
        with (
            self._lock,
            torch.inference_mode(),
            torch.autocast(x.device.type, torch.bfloat16, enabled=self._bf16),
        ):
            p: np.ndarray = self._network(x).cpu().numpy()
        return p


class OpenVinoEngine:
    """The network traced once, compiled for each shape that comes.

    An image is computed on all of up to three cores, which halves its time and costs two side by
    side nothing (train/LOG.md); on more of them `scheduling.AT_ONCE` images share the cores. Each
    image of a batch is a request.

    Args:
        precision: "f32" or "bf16"; None: as `openvino.PRECISIONS` has it.
    """

    title = "OpenVINO"

    def __init__(self, network: nn.Module, precision: str | None = None):
        self._precision = precision or openvino.precision_for("segmentation")
        if isinstance(network, UNetLite0):
            network = with_short_ways_up(network)
        example = torch.zeros(1, 64, 64, 3, dtype=torch.uint8)
        self._model = openvino.convert(BytesToProbabilities(network), example)
        self._pools: Kept[openvino.RequestPool] = Kept(SHAPES_KEPT)

    @property
    def precision(self) -> str:
        return openvino.TITLES[self._precision]

    def infer(self, images: np.ndarray) -> np.ndarray:
        size_hw = images.shape[1:3]
        pool = self._pools.get(size_hw, lambda: self._compile(*size_hw))
        return pool.run([[image[None]] for image in images])

    def _compile(self, height: int, width: int) -> openvino.RequestPool:
        model = self._model.clone()
        model.reshape([1, height, width, 3])
        streams = max(1, min(scheduling.AT_ONCE, device.cores() // 2))
        pool = openvino.RequestPool(model, streams, scheduling.AT_ONCE, self._precision)
        self._precision = pool.precision
        return pool


def engine_for(network: nn.Module) -> Engine:
    """The fastest there is for this machine."""
    if device.best().type != "cpu" or not openvino.is_installed():
        return TorchEngine(network)
    return OpenVinoEngine(network)


OPSET = 17  # of networks as ONNX


def to_onnx(network: UNetLite0, file: Path) -> Path:
    """The network as ONNX, kept in `file`: "images" uint8 (1, H, W, 3), sides multiples of 32 ->
    "probabilities" float32 (1, C, H, W). Raises OSError.
    """
    if file.is_file():
        return file
    whole = BytesToProbabilities(with_short_ways_up(network)).eval().cpu()
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    with warnings.catch_warnings():  # the tracer's and that of the older exporter
        warnings.simplefilter("ignore")
        torch.onnx.export(
            whole,
            (torch.zeros(1, 96, 128, 3, dtype=torch.uint8),),
            part,
            input_names=["images"],
            output_names=["probabilities"],
            dynamic_axes={"images": {1: "height", 2: "width"}},
            opset_version=OPSET,
            dynamo=False,  # the newer exporter needs a further package
        )
    part.replace(file)
    return file
