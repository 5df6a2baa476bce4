"""Visitors' files that gradio does not delete: of a process that was killed, and of uploads that broke off.

    leftovers.look_after()     # before gradio is imported, which notes where its files go

Each process has a folder of its own, with a lock in it that ends with the process, however that ends; the next process
to start deletes the folders whose lock is free. Within it gradio deletes what it knows of (`delete_cache`), but not the
beginning of an upload whose visitor left midway or for which the disk had no room.
"""

import atexit
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows: nothing is deleted there that is not surely ours
    fcntl = None  # type: ignore[assignment]

PREFIX = "image-lab-"
LOCK, UPLOADS = "lock", "gradio"
STILL_S = 300.0  # s without a byte, after which an upload has broken off
LOOK_S = 60.0
Signature = tuple[int, int]  # bytes, time of the last change in ns

_locks: list[IO[str]] = []  # held open as long as the process lives


def own_folder() -> Path:
    """Makes this process's folder and sends gradio and `tempfile` there; deletes those of processes that are gone.

    It lies in GRADIO_TEMP_DIR where that is set, else in the system's temporary folder.
    """
    base = Path(os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir())
    base.mkdir(parents=True, exist_ok=True)
    for other in base.glob(f"{PREFIX}*/{LOCK}"):
        if _is_free(other):
            shutil.rmtree(other.parent, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
    new = folder / f"{LOCK}.new"
    new.touch()
    _locks.append(new.open())  # for reading: the disk may become read-only
    if fcntl:
        fcntl.flock(_locks[-1], fcntl.LOCK_EX)
    new.rename(folder / LOCK)  # held before anyone can see it
    tempfile.tempdir = str(folder)
    uploads = folder / UPLOADS
    uploads.mkdir()
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _is_free(lock: Path) -> bool:
    """Whether it is ours and nobody holds it."""
    try:
        if not fcntl or lock.parent.is_symlink() or lock.stat().st_uid != os.getuid():
            return False
        with lock.open() as opened:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # held, or another process has just deleted it
        return False
    return True


class Unfinished:
    """The beginnings of uploads in a folder; `sweep` deletes those that have not grown for STILL_S."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._seen: dict[Path, tuple[Signature, float]] = {}  # and when it was first so, monotonic

    def sweep(self) -> None:
        now, seen = time.monotonic(), {}
        for path in self.folder.glob("tmp*"):  # what is complete lies in folders
            try:
                found = path.lstat()
            except OSError:  # it has just been completed
                continue
            signature = (found.st_size, found.st_mtime_ns)
            before, since = self._seen.get(path, (signature, now))
            seen[path] = (signature, since if before == signature else now)
            if now - seen[path][1] >= STILL_S and path.is_file():
                path.unlink(missing_ok=True)
        self._seen = seen


def look_after() -> None:
    """Makes the folder, and sweeps it every LOOK_S in a thread that ends with the process."""
    unfinished = Unfinished(own_folder() / UPLOADS)

    def look() -> None:
        while True:
            time.sleep(LOOK_S)
            unfinished.sweep()

    threading.Thread(target=look, daemon=True, name="leftovers").start()
