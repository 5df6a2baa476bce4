"""A folder for visitors' files that is deleted with its process, however that ends.

    temp_files.use_own_folder()  # before gradio is imported, which notes where its files go

The folder holds a lock that ends with the process; the next process to start deletes the folders
whose lock is free. Within the folder gradio deletes old files (`delete_cache`).
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows: folders of dead processes are not deleted there
    fcntl = None  # type: ignore[assignment]

PREFIX = "image-lab-"
LOCK, UPLOADS = "lock", "gradio"

_locks: list[IO[str]] = []  # held open as long as the process lives


def use_own_folder() -> Path:
    """Make this process's folder for gradio and `tempfile`; delete those of dead processes.

    It lies in GRADIO_TEMP_DIR where that is set, else in the system's temporary folder.
    """
    base = Path(os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir())
    base.mkdir(parents=True, exist_ok=True)
    for lock in base.glob(f"{PREFIX}*/{LOCK}"):
        if _is_free(lock):
            shutil.rmtree(lock.parent, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
    new = folder / f"{LOCK}.new"
    new.touch()
    _locks.append(new.open())  # for reading: the disk may become read-only
    if fcntl:
        fcntl.flock(_locks[-1], fcntl.LOCK_EX)
    new.rename(folder / LOCK)  # locked before another process can see it
    tempfile.tempdir = str(folder)
    uploads = folder / UPLOADS
    uploads.mkdir()
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _is_free(lock: Path) -> bool:
    """Whether it is ours and no process holds it."""
    try:
        if not fcntl or lock.parent.is_symlink() or lock.stat().st_uid != os.getuid():
            return False
        with lock.open() as opened:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # held, or another process has just deleted it
        return False
    return True
