"""Files that browsers compute with, sent compressed and kept by the browser for good.

A file is published under a name that contains its hash, so it never changes.
"""

import gzip
import hashlib
import shutil
from pathlib import Path
from typing import Any

from starlette.responses import FileResponse, PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from tasks import models
from tasks.core import disk_errors, downloads
from tasks.core.weights import WeightsError
from tasks.ui.on_device import runtime

HERE = Path(__file__).parent
ON_DEVICE = (HERE, "on_device"), (HERE, "place_of_work")
"""The parts that a live camera needs which may compute in the browser."""
ROUTE = "/device/"
KINDS = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
    ".onnx": "application/octet-stream",
}
FOREVER = "public, max-age=31536000, immutable"
LEVEL = 6
_published: dict[str, tuple[Path, Path]] = {}  # name -> the file, and compressed


def publish(file: Path) -> str:
    """Let browsers have the file; its address, relative to the page. Raises OSError."""
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()[:16]
    name = f"{file.stem}-{digest}{file.suffix}"
    if name not in _published:
        compressed = models.yolo_cache() / "compressed" / f"{name}.gz"
        if not compressed.is_file():
            compressed.parent.mkdir(parents=True, exist_ok=True)
            part = compressed.with_suffix(".part")
            with file.open("rb") as plain, gzip.open(part, "wb", LEVEL) as to:
                shutil.copyfileobj(plain, to)
            part.replace(compressed)
        _published[name] = file, compressed
    return ROUTE.lstrip("/") + name


def runtime_files(gpu: bool, report: downloads.Progress) -> list[Path]:
    """As `runtime.fetch`. Raises WeightsError."""
    try:
        return runtime.fetch(runtime.GRAPHICS if gpu else runtime.PROCESSOR, progress=report)
    except (downloads.DownloadError, OSError) as error:
        raise WeightsError(
            f"Your device cannot compute this: the program for browsers ({7 if gpu else 4} MB) "
            f"could not be downloaded to the server, because {error}. The server computes as "
            "before."
        ) from error


def device_files(
    network: Path, script: Path, report: downloads.Progress, gpu: bool = False
) -> dict[str, Any]:
    """What the page needs to compute a network: addresses for `startDevice` of on_device.js.

    Args:
        network: an ONNX file. script: what the worker needs for it.
        gpu: by WebGPU instead of WebAssembly.
    Raises:
        WeightsError: the runtime cannot be had, or the disk is full.
    """
    files = runtime_files(gpu, report)
    try:
        return {
            "worker": publish(HERE / "worker.js"),
            "script": publish(script),
            "runtime": dict(zip(runtime.PARTS, map(publish, files), strict=True)),
            "model": publish(network),
            "gpu": gpu,
        }
    except OSError as error:
        reason = disk_errors.describe(error) or "a file could not be read"
        raise WeightsError(
            f"Your device cannot compute this: {reason}. The server computes as before."
        ) from error


class DeviceFiles:
    """ASGI middleware: answers below ROUTE, whatever the app lies below."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or ROUTE not in path:
            await self.app(scope, receive, send)
            return
        found = _published.get(path.rpartition(ROUTE)[2])
        if found is None:
            gone = PlainTextResponse("Not here any more; load the page again.", 404)
            await gone(scope, receive, send)
            return
        accepted = dict(scope["headers"]).get(b"accept-encoding", b"")
        small = b"gzip" in accepted
        headers = {"Cache-Control": FOREVER, "Vary": "Accept-Encoding"}
        if small:
            headers["Content-Encoding"] = "gzip"
        kind = KINDS[found[0].suffix]
        await FileResponse(found[small], headers=headers, media_type=kind)(scope, receive, send)
