"""What is wrong where a file could not be written: the disk is full, or nothing may be written to it."""

import os
import shutil
from errno import EDQUOT, ENOSPC, EROFS
from pathlib import Path

ROOM = 16_000_000  # B that a result may take: the PNG of a large picture
FULL = "the server's disk is full"
LOCKED = "the server may not write to its folder"


class DiskError(RuntimeError):
    """No room for a file; its text is meant for the person who waits for the file."""


def trouble(error: BaseException | None) -> str | None:
    """FULL, LOCKED, or None for anything else; an error that was raised from another is looked through."""
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
    """What to tell of FULL or LOCKED."""
    return f"Nothing can be saved: {what}. Whoever runs it must make room; what needs no file goes on working."


def check_room(folder: Path, bytes_needed: int = ROOM) -> None:
    """Before anything is computed whose result could not be handed over. Raises DiskError."""
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK):
        raise DiskError(sentence(LOCKED))
    if shutil.disk_usage(folder).free < bytes_needed:
        raise DiskError(sentence(FULL))
