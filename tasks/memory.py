"""What is free goes back to the system: glibc would keep it, an arena for each thread that has ever computed.

On two cores, after every tab was used once, that is 100 to 200 MB (`python -m benchmarks.startup`). Elsewhere than on
glibc nothing happens.
"""

import ctypes
import functools
import platform
import threading
import time

ARENAS = 2  # as many as heavy threads that allocate at once; each keeps what it has freed
M_ARENA_MAX = -8  # <malloc.h>
EVERY_S = 10.0


@functools.cache
def _libc() -> ctypes.CDLL | None:
    if platform.libc_ver()[0] != "glibc":
        return None
    return ctypes.CDLL("libc.so.6")


def few_arenas() -> None:
    """Before the first thread starts."""
    if libc := _libc():
        libc.mallopt(M_ARENA_MAX, ARENAS)


def give_back() -> None:
    """Pages that hold nothing; takes some milliseconds."""
    if libc := _libc():
        libc.malloc_trim(0)


def look_after() -> None:
    """Few arenas, and every EVERY_S back with what is free, in a thread that ends with the process."""
    few_arenas()

    def look() -> None:
        while True:
            time.sleep(EVERY_S)
            give_back()

    if _libc():
        threading.Thread(target=look, daemon=True, name="memory").start()
