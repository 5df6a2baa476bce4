"""Why a file could not be written: the disk is full, or it is read-only."""

import os
import shutil
from errno import EDQUOT, ENOSPC, EROFS
from pathlib import Path

MAX_RESULT_BYTES = 16_000_000  # the PNG of a large image
FULL = "the server's disk is full"
LOCKED = "the server may not write to its folder"


class DiskError(RuntimeError):
    """No room for a file; its text is shown to the visitor."""


def describe(error: BaseException | None) -> str | None:
    """FULL, LOCKED, or None for anything else; the causes of the error are checked, too."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (ENOSPC, EDQUOT):
            return FULL
        if isinstance(error, PermissionError | FileExistsError | NotADirectoryError):
            return LOCKED
        if isinstance(error, OSError) and error.errno == EROFS:
            return LOCKED
        error = error.__cause__
    return None


def sentence(what: str) -> str:
    """The message for FULL or LOCKED."""
    return (
        f"Nothing can be saved: {what}. Its operator must make room; what needs no file still "
        "works."
    )


def check_room(folder: Path, bytes_needed: int = MAX_RESULT_BYTES) -> None:
    """Check before a result is computed that could not be saved. Raises DiskError."""
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK):
        raise DiskError(sentence(LOCKED))
    if shutil.disk_usage(folder).free < bytes_needed:
        raise DiskError(sentence(FULL))
