"""YOLO's files: fetched by name, read, turned into OpenVINO's format, and kept.

COCO weights are Ultralytics' (AGPL-3.0), downloaded on first use; a .pt file is exported once and kept beside them.
"""

import hashlib
import os
import shutil
import tempfile
import threading
from pathlib import Path

import torch
from PIL import Image

from tasks import compute, disk
from tasks.downloads import NO_ANSWER
from tasks.weights import WeightsError

COCO_MODELS = {
    "yolo11n": "YOLO11n",
    "yolo11s": "YOLO11s",
    "yolo11m": "YOLO11m",
    "yolo26n": "YOLO26n",
    "yolo26s": "YOLO26s",
    "yolo26m": "YOLO26m",
}
"""Ultralytics' detectors of COCO's 80 classes, by name of the file they are downloaded as."""

_importing = threading.Lock()


def import_ultralytics() -> None:
    """Once, by one thread at a time: it imports in circles, and two threads at once would see half of it.

    Call it before anything else of Ultralytics that a visitor may be the first to use. Pillow stays as it was:
    Ultralytics would have `Image.open` look for a package, and install it, at each file that is no picture. Its
    settings lie in our cache folder.
    """
    with _importing:
        os.environ.setdefault("YOLO_CONFIG_DIR", str(cache_folder() / "ultralytics"))
        pillows_own = Image.open
        import ultralytics.engine.results
        import ultralytics.nn.tasks
        import ultralytics.trackers.byte_tracker
        import ultralytics.utils.downloads
        import ultralytics.utils.nms  # noqa: F401

        Image.open = pillows_own


def read_checkpoint(file: Path) -> torch.nn.Module:
    """The detector in a .pt file as Ultralytics writes them. Raises WeightsError."""
    from ultralytics.nn.tasks import DetectionModel, load_checkpoint

    if not file.is_file():
        raise WeightsError(f"{file.name} is not there; a YOLO's .pt file or OpenVINO folder is needed.")
    try:
        with compute.BUILDING:
            network, _ = load_checkpoint(str(file))
    except Exception as error:  # unpickling raises whatever the bytes lead it into
        raise WeightsError(f"{file.name} is damaged or no YOLO weights. Download or train it again.") from error
    if not isinstance(network, DetectionModel):
        raise WeightsError(f"{file.name} holds a {type(network).__name__}; a detector is needed.")
    return network


def has_final_boxes(network: torch.nn.Module) -> bool:
    """Whether the network has a head that needs no suppression (YOLO26); Ultralytics leaves open which is used."""
    return getattr(network.model[-1], "one2one_cv2", None) is not None  # type: ignore[index]


def exported(file: Path, folder: Path | None = None) -> Path:
    """The folder with `file` in OpenVINO's format, made on first use (5 to 20 s) and kept in the cache."""
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()[:12]
    target = (folder or cache_folder()) / f"{file.stem}-{digest}-openvino"
    if target.is_dir():
        return target
    import_ultralytics()
    with _importing:
        from ultralytics import YOLO

    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
        copy = Path(temporary) / file.name
        shutil.copy(file, copy)
        final = False if has_final_boxes(read_checkpoint(file)) else None  # Ultralytics' way to ask for that head
        made = YOLO(str(copy), task="detect").export(
            format="openvino", dynamic=True, imgsz=640, nms=final, verbose=False
        )
        try:
            os.replace(made, target)
        except OSError:
            if not target.is_dir():  # else another process was quicker
                raise
    return target


def download(name: str) -> Path:
    """Ultralytics' COCO weights `name` (one of COCO_MODELS), from the cache or fetched by Ultralytics.

    Raises:
        WeightsError: unknown name, no network, broken off, disk full.
    """
    if name not in COCO_MODELS:
        known = ", ".join(COCO_MODELS)
        raise WeightsError(f"There is no detector {str(name)[:40]!r}; there are {known} and paths to YOLO weights.")
    file = cache_folder() / f"{name}.pt"
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
        except Exception as error:  # Ultralytics raises ConnectionError, RuntimeError, MemoryError and others
            raise WeightsError(
                f"{COCO_MODELS[name]} is not here yet and could not be downloaded: {_why(error)}. "
                "The bundled detector works without."
            ) from error
    return file


def _why(error: Exception) -> str:
    """The cause of a failed download, for the end of a sentence."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, WeightsError):
            return "what arrived is damaged or something else"
        if isinstance(cause, MemoryError):  # Ultralytics' word for a full disk
            return disk.FULL
        cause = cause.__cause__
    return disk.trouble(error) or NO_ANSWER


def is_here(name: str) -> bool:
    """Whether `download` would answer at once."""
    return name in COCO_MODELS and (cache_folder() / f"{name}.pt").is_file()


def cache_folder() -> Path:
    """IMAGE_LAB_CACHE, else `image-lab` in the user's cache; on a Space the temp folder."""
    if "IMAGE_LAB_CACHE" in os.environ:
        return Path(os.environ["IMAGE_LAB_CACHE"])
    if "SPACE_ID" in os.environ:
        return Path(tempfile.gettempdir()) / "image-lab"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "image-lab"
