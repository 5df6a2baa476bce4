"""Weights fetched on first use, into torch's own cache: whole and with the right hash, or not at all."""

import hashlib
import os
import re
import tempfile
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from urllib.request import Request, urlopen

from tasks import disk

Progress = Callable[[int, int | None], None]
"""Called with the bytes received and, where the server says so, the bytes in all."""

CHUNK = 1 << 20  # bytes between two calls of Progress
TIMEOUT = 20  # s that the server may be silent
NO_ANSWER = "there is no network, or its server does not answer"
HASH = re.compile(r"-([0-9a-f]{8,})\.")


class DownloadError(RuntimeError):
    """No file: its text says why, for the end of a sentence."""


def cache_folder() -> Path:
    """`checkpoints/` in torch's cache, TORCH_HOME or ~/.cache/torch: what other programs fetched is found there."""
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints"


def fetch(url: str, progress: Progress | None = None, folder: Path | None = None) -> Path:
    """The file at `url`, from the cache where it is there and whole, else downloaded.

    Its name must carry the first digits of its SHA-256, as torchvision's do: "resnet50-11ad3fa6.pth". A cached file
    with another hash is thrown away and fetched again.

    Raises:
        DownloadError: no network, no answer, broken off, wrong hash, disk full.
    """
    file = (folder or cache_folder()) / url.rsplit("/", 1)[-1]
    if is_whole(file):
        return file
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        handle, name = tempfile.mkstemp(prefix=f"{file.name}.", suffix=".part", dir=file.parent)
        part = Path(name)
        try:
            os.close(handle)
            _receive(url, part, progress)
            if not _hash_fits(part, file.name):
                raise DownloadError("what arrived is damaged (its SHA-256 is not the published one)")
            os.replace(part, file)
        finally:
            part.unlink(missing_ok=True)
    except (OSError, HTTPException, ValueError) as error:  # URLError and timeouts are OSErrors
        raise DownloadError(disk.trouble(error) or NO_ANSWER) from error
    return file


def is_whole(file: Path) -> bool:
    """Whether the file is there and has the hash that its name carries."""
    return file.is_file() and _hash_fits(file, file.name)


def _hash_fits(file: Path, name: str) -> bool:
    wanted = HASH.search(name)
    if wanted is None:
        return False
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest().startswith(wanted[1])


def _receive(url: str, to: Path, progress: Progress | None) -> None:
    request = Request(url, headers={"User-Agent": "torch.hub"})
    with urlopen(request, timeout=TIMEOUT) as answer, to.open("wb") as out:
        length = answer.headers.get("Content-Length")
        total = int(length) if length else None
        got = 0
        while chunk := answer.read(CHUNK):
            out.write(chunk)
            got += len(chunk)
            if progress is not None:
                progress(got, total)
