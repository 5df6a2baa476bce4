"""A YOLO's network, whichever library computes it: OpenVINO where it is installed, else PyTorch.

An engine takes one letterboxed image and returns the network's raw predictions; boxes and
thresholds are `detection.detector`'s, downloads and exports `detection.checkpoints`'s.
"""

import logging
import threading
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from tasks.core import device, openvino, scheduling
from tasks.core.device import stopwatch
from tasks.core.model_cache import Kept
from tasks.core.weights import WeightsError
from tasks.detection.checkpoints import (
    exported,
    has_final_boxes,
    import_ultralytics,
    read_checkpoint,
)

log = logging.getLogger("image_lab")

SIZES = (320, 416, 640)  # px of the longer side, for networks that take any
STRIDE = 32  # px; both sides of the input are multiples of it
SHAPES_KEPT = 6  # input shapes that stay compiled


class Engine(Protocol):
    """What a `Detector` needs of a network."""

    class_names: tuple[str, ...]
    # gives final boxes (YOLOv10, YOLO26): no non-maximum suppression, no IoU threshold
    end2end: bool
    fixed_size: int | None  # px of the square that the file was exported for; None: takes any
    title: str  # "OpenVINO" or "PyTorch"

    @property
    def precision(self) -> str:
        """ "fp32" or "bf16"."""
        ...

    def prepare(self, height: int, width: int) -> float:
        """Make ready for images of this size: the milliseconds that it took, 0 after the first."""
        ...

    def infer(self, image: np.ndarray) -> np.ndarray:
        """uint8 (H, W, 3) RGB, sides multiples of 32 -> raw predictions, float32.

        (1, 4 + classes, anchors), or (1, boxes, 6) where `end2end`. May be called from several
        threads at once.
        """
        ...


class OpenVinoEngine:
    """A folder with an exported network and Ultralytics' metadata.yaml.

    It computes up to `scheduling.AT_ONCE` images side by side, each on its share of the cores: on
    two cores two images of one thread each take 1.3 times less time than one after the other on
    two threads, more beside a busy browser.

    Args:
        precision: "f32" or "bf16"; None: as `openvino.PRECISIONS` has it.
    """

    title = "OpenVINO"

    def __init__(self, folder: Path, precision: str | None = None):
        library = openvino.library()
        files = sorted(folder.glob("*.xml"))
        if not files or not (folder / "metadata.yaml").is_file():
            raise WeightsError(
                f"{folder.name} is no OpenVINO export of a YOLO: an .xml file and metadata.yaml "
                "are needed."
            )
        try:
            self._model = library.Core().read_model(files[0])
            about = _read_metadata(folder / "metadata.yaml")
            names = about["names"]
            self.class_names = tuple(str(names[i]) for i in range(len(names)))
        except (RuntimeError, KeyError, TypeError, ValueError) as error:
            raise WeightsError(
                f"{folder.name} is damaged or was written by another version; export it again."
            ) from error
        if about.get("task", "detect") != "detect":
            raise WeightsError(
                f"{folder.name} was exported for {str(about['task'])[:20]!r}; a detector of "
                "upright boxes is needed, exported with task=detect."
            )
        self.end2end = bool(about.get("end2end", False))
        shape = self._model.input(0).partial_shape
        self.fixed_size = None if shape.is_dynamic else int(shape.to_shape()[-1])
        self._precision = precision or openvino.precision_for("detection")
        self._pools: Kept[openvino.RequestPool] = Kept(SHAPES_KEPT)

    @property
    def precision(self) -> str:
        return openvino.TITLES[self._precision]

    def prepare(self, height: int, width: int) -> float:
        if (height, width) in self._pools:
            return 0.0
        with stopwatch() as ms:
            self._pool(height, width)
        return ms()

    def infer(self, image: np.ndarray) -> np.ndarray:
        return self._pool(*image.shape[:2]).run([[image[None]]])

    def _pool(self, height: int, width: int) -> openvino.RequestPool:
        """What computes images of this size."""
        return self._pools.get((height, width), lambda: self._compile(height, width))

    def _compile(self, height: int, width: int) -> openvino.RequestPool:
        """Bytes become [0, 1] and channels move inside the graph."""
        from openvino import Layout, Type
        from openvino.preprocess import PrePostProcessor

        model = self._model.clone()
        if self.fixed_size is None:
            model.reshape([1, 3, height, width])
        steps = PrePostProcessor(model)
        steps.input().tensor().set_element_type(Type.u8).set_layout(Layout("NHWC"))
        steps.input().preprocess().convert_element_type(Type.f32).scale(255.0)
        steps.input().model().set_layout(Layout("NCHW"))
        streams = min(scheduling.AT_ONCE, device.cores())
        pool = openvino.RequestPool(steps.build(), streams, streams, self._precision)
        self._precision = pool.precision
        # the first pass of each request allocates
        pool.run([[np.zeros((1, height, width, 3), np.uint8)]] * streams)
        return pool


class TorchEngine:
    """Ultralytics' own module, batch norms fused, on the best device there is."""

    title = "PyTorch"
    precision = "fp32"
    fixed_size: int | None = None

    def __init__(self, network: torch.nn.Module):
        if has_final_boxes(network):
            network.end2end = True  # type: ignore[assignment]
        names: dict[int, str] = network.names  # type: ignore[assignment]  # set by Ultralytics
        self.class_names = tuple(names[i] for i in range(len(names)))
        self.end2end = bool(getattr(network, "end2end", False))
        fused: Any = network.float().eval().fuse(verbose=False)  # type: ignore[operator]
        fused = fused.requires_grad_(False).to(device.best())
        self._network: torch.nn.Module = fused.to(memory_format=torch.channels_last)
        self._lock = threading.Lock()
        self._is_warm = False

    def prepare(self, height: int, width: int) -> float:
        if self._is_warm:  # later shapes cost nothing extra
            return 0.0
        with stopwatch() as ms:
            self.infer(np.zeros((height, width, 3), np.uint8))
        self._is_warm = True
        return ms()

    def infer(self, image: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(np.ascontiguousarray(image)).to(device.best())[None]  # (1, H, W, 3)
        x = x.permute(0, 3, 1, 2).float() / 255  # (1, 3, H, W), channels last in memory
        with self._lock, torch.inference_mode():
            out = self._forward(x)
        raw: np.ndarray = (out[0] if isinstance(out, list | tuple) else out).float().cpu().numpy()
        return raw

    def _forward(self, x: torch.Tensor) -> Any:  # (1, 3, H, W)
        return self._network(x)


def load_engine(file: Path) -> Engine:
    """The fastest engine for a .pt file or an exported folder.

    Raises:
        WeightsError: missing, damaged, no detector.
    """
    import_ultralytics()
    if file.is_dir():
        return OpenVinoEngine(file)
    network = read_checkpoint(file)
    if device.best().type != "cpu" or not openvino.is_installed():
        return TorchEngine(network)
    try:
        return OpenVinoEngine(exported(file))
    except Exception:  # a full disk, for one; Ultralytics' exporter raises whatever it meets
        log.warning(
            "%s could not be exported to OpenVINO and runs on PyTorch", file.name, exc_info=True
        )
        return TorchEngine(network)


def _read_metadata(file: Path) -> dict[str, Any]:
    import yaml

    return dict(yaml.safe_load(file.read_text(encoding="utf-8")))
