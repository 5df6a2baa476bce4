"""A YOLO's network, whichever library computes it: OpenVINO where it is installed, else PyTorch.

An engine takes one letterboxed picture and returns the network's raw predictions; boxes and thresholds are
`tasks.detection`'s, downloads and exports `tasks.yolo_files`'s.
"""

import logging
import threading
from collections import OrderedDict
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol

import numpy as np
import torch

from tasks import compute
from tasks.weights import WeightsError
from tasks.yolo_files import exported, has_final_boxes, import_ultralytics, read_checkpoint
from tasks.yolo_rectangle import cut

log = logging.getLogger("image_lab")

SIZES = (320, 416, 640)  # px of the longer side, for networks that take any
STRIDE = 32  # px; both sides of the input are multiples of it
SHAPES_KEPT = 6  # input shapes that stay compiled


class Engine(Protocol):
    """What a `Detector` needs of a network."""

    class_names: tuple[str, ...]
    end2end: bool  # gives final boxes (YOLOv10, YOLO26): no non-maximum suppression, no IoU threshold
    fixed_size: int | None  # px of the sides that the file was exported for; None: takes any
    needs_square: bool  # takes nothing but that square; else it is cut to smaller sides
    title: str  # "OpenVINO" or "PyTorch"

    def prepare(self, height: int, width: int) -> float:
        """Make ready for pictures of this size, where they are the first: the milliseconds that it took, else 0."""
        ...

    def infer(self, picture: np.ndarray) -> np.ndarray:
        """uint8 (H, W, 3) RGB, sides multiples of 32 -> float32 (1, 4 + classes, anchors) or (1, boxes, 6).

        May be called from several threads at once.
        """
        ...


class OpenVinoEngine:
    """A folder with an exported network and Ultralytics' metadata.yaml.

    It computes up to `compute.AT_ONCE` pictures side by side, each on its share of the cores: on two cores two pictures
    of one thread each take 1.3 times less time than one after the other on two threads, more beside a busy browser.
    """

    title = "OpenVINO"

    def __init__(self, folder: Path):
        openvino = compute.openvino()
        files = sorted(folder.glob("*.xml"))
        if not files or not (folder / "metadata.yaml").is_file():
            raise WeightsError(
                f"{folder.name} is no OpenVINO export of a YOLO: an .xml file and metadata.yaml are needed."
            )
        try:
            self._core = openvino.Core()
            self._model = self._core.read_model(files[0])
            about = _read_metadata(folder / "metadata.yaml")
            names = about["names"]
            self.class_names = tuple(str(names[i]) for i in range(len(names)))
        except (RuntimeError, KeyError, TypeError, ValueError) as error:
            raise WeightsError(
                f"{folder.name} is damaged or was written by another version; export it again."
            ) from error
        self.end2end = bool(about.get("end2end", False))
        shape = self._model.input(0).partial_shape
        self.fixed_size = None if shape.is_dynamic else int(shape.to_shape()[-1])
        side = self.fixed_size
        self.needs_square = side is not None and (
            side % STRIDE > 0 or cut(self._model, side, side - STRIDE, side) is None
        )
        self._compiled: OrderedDict[tuple[int, int], SimpleQueue[Any]] = OrderedDict()
        self._lock = threading.Lock()  # of _compiled

    def prepare(self, height: int, width: int) -> float:
        if (height, width) in self._compiled:
            return 0.0
        with compute.stopwatch() as ms:
            self._requests(height, width)
        return ms()

    def infer(self, picture: np.ndarray) -> np.ndarray:
        idle = self._requests(*picture.shape[:2])
        request = idle.get()
        try:
            request.infer([picture[None]], share_inputs=True)
            return np.array(request.get_output_tensor(0).data, np.float32)
        finally:
            idle.put(request)

    def _requests(self, height: int, width: int) -> "SimpleQueue[Any]":
        """The idle inference requests for pictures of this size."""
        with self._lock:
            if (height, width) in self._compiled:
                self._compiled.move_to_end((height, width))
            else:
                self._compiled[height, width] = self._compile(height, width)
                while len(self._compiled) > SHAPES_KEPT:
                    self._compiled.popitem(last=False)
            return self._compiled[height, width]

    def _compile(self, height: int, width: int) -> "SimpleQueue[Any]":
        """Bytes become [0, 1] and channels move inside the graph."""
        from openvino import Layout, Type
        from openvino.preprocess import PrePostProcessor

        if self.fixed_size is None:
            model = self._model.clone()
            model.reshape([1, 3, height, width])
        elif (height, width) == (self.fixed_size, self.fixed_size):
            model = self._model.clone()
        else:
            model = cut(self._model, self.fixed_size, height, width)
        steps = PrePostProcessor(model)
        steps.input().tensor().set_element_type(Type.u8).set_layout(Layout("NHWC"))
        steps.input().preprocess().convert_element_type(Type.f32).scale(255.0)
        steps.input().model().set_layout(Layout("NCHW"))
        threads = compute.cores()
        streams = min(compute.AT_ONCE, threads)
        config = {"NUM_STREAMS": str(streams), "INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False}
        compiled = self._core.compile_model(steps.build(), "CPU", config)
        idle: SimpleQueue[Any] = SimpleQueue()
        for _ in range(streams):
            request = compiled.create_infer_request()
            request.infer([np.zeros((1, height, width, 3), np.uint8)])  # the first pass of each allocates
            idle.put(request)
        return idle


class TorchEngine:
    """Ultralytics' own module, batch norms fused, on the best device there is."""

    title = "PyTorch"
    fixed_size: int | None = None
    needs_square = False

    def __init__(self, network: torch.nn.Module):
        if has_final_boxes(network):
            network.end2end = True  # type: ignore[assignment]
        names: dict[int, str] = network.names  # type: ignore[assignment]  # set by Ultralytics
        self.class_names = tuple(names[i] for i in range(len(names)))
        self.end2end = bool(getattr(network, "end2end", False))
        fused: torch.nn.Module = network.float().eval().fuse(verbose=False)  # type: ignore[operator]
        self._network = fused.requires_grad_(False).to(compute.device()).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._lock = threading.Lock()
        self._is_warm = False

    def prepare(self, height: int, width: int) -> float:
        if self._is_warm:  # later shapes cost nothing extra
            return 0.0
        with compute.stopwatch() as ms:
            self.infer(np.zeros((height, width, 3), np.uint8))
        self._is_warm = True
        return ms()

    def infer(self, picture: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(np.ascontiguousarray(picture)).to(compute.device())[None]  # (1, H, W, 3)
        x = x.permute(0, 3, 1, 2).float() / 255  # (1, 3, H, W), channels last in memory
        with self._lock, torch.inference_mode():
            out = self._network(x)
        raw: np.ndarray = (out[0] if isinstance(out, list | tuple) else out).float().cpu().numpy()
        return raw


def load_engine(file: Path) -> Engine:
    """The fastest engine for a .pt file or an exported folder.

    Raises:
        WeightsError: missing, damaged, no detector.
    """
    import_ultralytics()
    if file.is_dir():
        return OpenVinoEngine(file)
    network = read_checkpoint(file)
    if compute.device().type != "cpu" or not compute.has_openvino():
        return TorchEngine(network)
    try:
        return OpenVinoEngine(exported(file))
    except Exception:  # a full disk, for one; Ultralytics' exporter raises whatever it meets
        log.warning("%s could not be exported to OpenVINO and runs on PyTorch", file.name, exc_info=True)
        return TorchEngine(network)


def _read_metadata(file: Path) -> dict[str, Any]:
    import yaml

    return dict(yaml.safe_load(file.read_text(encoding="utf-8")))
