"""ONNX Runtime for browsers (MIT): fetched once by the server, checked by its hash, and kept.

The server fetches it so that the page asks nobody else. Where there is no network, the folder or
address in IMAGE_LAB_RUNTIME stands in for the public one, and an image of the app may bring the
files along (Dockerfile).
"""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from tasks import models
from tasks.core import downloads

VERSION = "1.30.0"
PUBLIC = f"https://cdn.jsdelivr.net/npm/onnxruntime-web@{VERSION}/dist/"
FILES = {
    "ort.wasm.min.js": "faece07e84faa9001f5104bbe4e5c70861d06cb2376a0dea1fa0ad33a67adc81",
    "ort-wasm-simd-threaded.mjs": (
        "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b"
    ),
    "ort-wasm-simd-threaded.wasm": (
        "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2"
    ),
    "ort.webgpu.min.js": "7d65dad7eb4564ad98db9924a259af2e2c68ebfbdbf254fa5d728f1c5736e07a",
    "ort-wasm-simd-threaded.asyncify.mjs": (
        "3d1c85995364bb643302fc6fd877a0c3ba5ae72401815e0f24828a53d9191e28"
    ),
    "ort-wasm-simd-threaded.asyncify.wasm": (
        "39f9f0894d478800487ed9f7dbe92618498db320cf55c8e3d89adff8dce658da"
    ),
}
"""File of the npm package onnxruntime-web -> SHA-256."""
PARTS = ("script", "glue", "binary")
PROCESSOR, GRAPHICS = tuple(FILES)[:3], tuple(FILES)[3:]
"""The PARTS that compute on a processor (WebAssembly), and on its graphics (WebGPU)."""


def source() -> str:
    """The address that the files are below."""
    given = os.environ.get("IMAGE_LAB_RUNTIME", PUBLIC)
    return given if "://" in given else Path(given).absolute().as_uri() + "/"


def kept_as(name: str) -> str:
    """The name in our cache, which contains the hash: "ort.wasm.min-faece07e84faa900.js"."""
    stem, _, end = name.rpartition(".")
    return f"{stem}-{FILES[name][:16]}.{end}"


def fetch(
    names: Sequence[str] = PROCESSOR,
    folder: Path | None = None,
    progress: downloads.Progress | None = None,
) -> list[Path]:
    """The files, from the image of the app or the cache, else downloaded; or all to `folder`.

    Raises DownloadError.
    """
    found = []
    for name in names:
        brought = models.PRELOADED / kept_as(name)
        if folder is None and downloads.is_complete(brought):
            found.append(brought)
            continue
        to = folder or models.yolo_cache()
        found.append(downloads.fetch(source() + name, progress, to, kept_as(name)))
    return found


def fetch_early() -> None:
    """At the start, where a network was found: the first visitor does not wait for it."""
    if downloads.may_ask() and downloads.is_reachable() and not is_here():
        with contextlib.suppress(downloads.DownloadError):
            fetch()
            fetch(GRAPHICS)


def is_here() -> bool:
    """Whether nothing needs to be downloaded for processors."""
    folders = (models.PRELOADED, models.yolo_cache())
    return all(any((at / kept_as(name)).is_file() for at in folders) for name in PROCESSOR)


def reason_against() -> str:
    """Why browsers cannot compute here; "" where they can, or where it is not known yet."""
    if is_here() or source() != PUBLIC or downloads.is_reachable() is not False:
        return ""
    return "The server has no network from which to get the program that browsers compute with."
