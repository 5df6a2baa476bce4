"""YOLO's files: fetched by name, read, turned into OpenVINO's format, and kept.

COCO weights are Ultralytics' (AGPL-3.0), downloaded on first use; a .pt file is exported once and
kept beside them.
"""

import hashlib
import os
import shutil
import tempfile
import threading
from pathlib import Path

import torch
from PIL import Image

from tasks.core import disk_errors, model_cache, weights
from tasks.core.downloads import NO_ANSWER
from tasks.core.weights import WeightsError
from tasks.models import (
    COCO_DETECTORS,
    DETECTOR_FILES,
    PRELOADED,
    is_downloaded,
    own_detector,
    yolo_cache,
)

_importing = threading.Lock()


def import_ultralytics() -> None:
    """Import Ultralytics once, by one thread at a time: two at once would see half of its circles.

    Call it before anything else of Ultralytics that a visitor may be the first to use. `Image.open`
    stays Pillow's: Ultralytics' looks for a package, and installs it, for each file that is no
    image. Ultralytics' settings lie in our cache folder.
    """
    with _importing:
        os.environ.setdefault("YOLO_CONFIG_DIR", str(yolo_cache() / "ultralytics"))
        pillow_open = Image.open
        import ultralytics.engine.results
        import ultralytics.nn.tasks
        import ultralytics.trackers.byte_tracker
        import ultralytics.utils.downloads
        import ultralytics.utils.nms  # noqa: F401

        Image.open = pillow_open


def read_checkpoint(file: Path) -> torch.nn.Module:
    """The detector in a .pt file as Ultralytics writes them. Raises WeightsError."""
    from ultralytics.nn.tasks import DetectionModel, load_checkpoint

    if not file.is_file():
        raise WeightsError(
            f"{file.name} is not there; a YOLO's .pt file or OpenVINO folder is needed."
        )
    try:
        with model_cache.BUILDING:
            network, _ = load_checkpoint(str(file))
    except Exception as error:  # unpickling raises whatever the bytes lead it into
        raise WeightsError(
            f"{file.name} is damaged or no YOLO weights. Download or train it again."
        ) from error
    # those of masks, poses and rotated boxes are made of the detector's class
    if not isinstance(network, DetectionModel) or getattr(network, "task", "detect") != "detect":
        raise WeightsError(
            f"{file.name} holds a {type(network).__name__}; a detector of upright boxes is needed, "
            "such as yolo11n.pt."
        )
    return network


def has_final_boxes(network: torch.nn.Module) -> bool:
    """Whether the network has a head that needs no suppression (YOLO26), beside the usual one."""
    return getattr(network.model[-1], "one2one_cv2", None) is not None  # type: ignore[index]


OPSET = 17  # of networks as ONNX


def export_of(file: Path, folder: Path | None = None, to: str = "openvino") -> Path:
    """Where `exported` keeps it."""
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()[:12]
    end = "-openvino" if to == "openvino" else ".onnx"
    return (folder or yolo_cache()) / f"{file.stem}-{digest}{end}"


def is_exported(name: str, to: str) -> bool:
    """Whether one of `loaders.detector` is here in another format."""
    file = file_of(name) if name in DETECTOR_FILES or is_downloaded(name) else None
    return file is not None and export_of(file, to=to).exists()


def exported(file: Path, folder: Path | None = None, to: str = "openvino") -> Path:
    """`file` in another format, exported on first use (5 to 20 s) and kept.

    Args:
        to: "openvino", a folder, or "onnx", a file. Either takes images of any size.
    """
    target = export_of(file, folder, to)
    if target.exists():
        return target
    import_ultralytics()
    with _importing:
        from ultralytics import YOLO

    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
        copy = Path(temporary) / file.name
        shutil.copy(file, copy)
        # Ultralytics' way to ask for the head with final boxes
        final = False if has_final_boxes(read_checkpoint(file)) else None
        how = {"opset": OPSET, "simplify": False} if to == "onnx" else {}
        result = YOLO(str(copy), task="detect").export(
            format=to, dynamic=True, imgsz=640, nms=final, verbose=False, **how
        )
        try:
            os.replace(result, target)
        except OSError:
            if not target.exists():  # else another process was quicker
                raise
    return target


def file_of(name: str) -> Path | None:
    """The .pt file of one of `loaders.detector`; None where it has another format.

    Raises WeightsError: not here, and no network to download it.
    """
    if name in DETECTOR_FILES:
        return weights.FOLDER / weights.read_card(DETECTOR_FILES[name]).file
    if name == "own":
        own = own_detector()
        return own if own is not None and own.suffix == ".pt" else None
    return download(name)


def download(name: str) -> Path:
    """Ultralytics' COCO weights `name`, one of COCO_DETECTORS; downloaded on first use.

    Raises:
        WeightsError: unknown name, no network, broken off, disk full.
    """
    if name not in COCO_DETECTORS:
        known = ", ".join(COCO_DETECTORS)
        raise WeightsError(
            f"There is no detector {str(name)[:40]!r}; there are {known} and paths to YOLO weights."
        )
    preloaded, file = PRELOADED / f"{name}.pt", yolo_cache() / f"{name}.pt"
    if preloaded.is_file():
        return preloaded
    if not file.is_file():
        import_ultralytics()
        from ultralytics.utils.downloads import attempt_download_asset

        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=file.parent) as temporary:
                part = Path(temporary) / file.name
                attempt_download_asset(str(part), retry=1, progress=False)
                read_checkpoint(part)  # whole, or not at all
                os.replace(part, file)
        # Ultralytics raises ConnectionError, RuntimeError, MemoryError and others
        except Exception as error:
            raise WeightsError(
                f"{COCO_DETECTORS[name].title} is not here yet and could not be downloaded: "
                f"{_why(error)}. The bundled detector works without."
            ) from error
    return file


def _why(error: Exception) -> str:
    """The cause of a failed download, for the end of a sentence."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, WeightsError):
            return "what arrived is damaged or something else"
        if isinstance(cause, MemoryError):  # Ultralytics' word for a full disk
            return disk_errors.FULL
        cause = cause.__cause__
    return disk_errors.describe(error) or NO_ANSWER
