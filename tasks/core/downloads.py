"""Weights downloaded on first use into torch's own cache; complete and with the right hash."""

import hashlib
import os
import re
import tempfile
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tasks.core import disk_errors

Progress = Callable[[int, int | None], None]
"""Called with the bytes received and the bytes in all, None if the server does not say."""

CHUNK = 1 << 20  # bytes between two calls of Progress
TIMEOUT = 20  # s without an answer
NO_ANSWER = "there is no network, or its server does not answer"
HASH = re.compile(r"-([0-9a-f]{8,})\.")


class DownloadError(RuntimeError):
    """The file could not be downloaded; the text says why, for the end of a sentence."""


def cache_folder() -> Path:
    """`checkpoints/` in torch's cache, shared with other programs: TORCH_HOME or ~/.cache/torch."""
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints"


def fetch(
    url: str,
    progress: Progress | None = None,
    folder: Path | None = None,
    name: str | None = None,
) -> Path:
    """The file at `url`, from the cache if it is complete there, else downloaded.

    Its name must contain the first digits of its SHA-256, as torchvision's do:
    "resnet50-11ad3fa6.pth". A cached file with another hash is downloaded again.

    Args:
        name: under which it is kept; None: as in the URL.
    Raises:
        DownloadError: no network, no answer, interrupted, wrong hash, disk full.
    """
    file = (folder or cache_folder()) / (name or url.rsplit("/", 1)[-1])
    if is_complete(file):
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
                raise DownloadError(
                    "what arrived is damaged (its SHA-256 is not the published one)"
                )
            os.replace(part, file)
        finally:
            part.unlink(missing_ok=True)
    except (OSError, HTTPException, ValueError) as error:  # URLError and timeouts are OSErrors
        raise DownloadError(disk_errors.describe(error) or NO_ANSWER) from error
    return file


def is_complete(file: Path) -> bool:
    """Whether the file is there and has the hash in its name."""
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


# -- whether there is a network: asked once at start, never by a visit ---------------------------

SERVER = "https://github.com"  # where Ultralytics' weights lie
ASK_TIMEOUT_S = 4.0

_reachable: bool | None = None


def may_ask() -> bool:
    """Whether the app may look for a network by itself: not where IMAGE_LAB_FETCH is 0."""
    return os.environ.get("IMAGE_LAB_FETCH", "1") != "0"


def is_reachable() -> bool | None:
    """The last answer of `ask`; None: not asked yet, or not to be asked."""
    return _reachable


def ask(url: str = SERVER, timeout_s: float = ASK_TIMEOUT_S) -> bool:
    """Ask the server now, through the environment's proxy where there is one; keeps the answer."""
    global _reachable  # noqa: PLW0603  one process has one network
    try:
        urlopen(Request(url, method="HEAD"), timeout=timeout_s).close()
        _reachable = True
    except HTTPError:  # an answer, too
        _reachable = True
    except (OSError, HTTPException, ValueError):
        _reachable = False
    return _reachable
