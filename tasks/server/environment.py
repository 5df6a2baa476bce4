"""Settings of the process, made before anything heavy is imported."""

import ctypes
import gc
import os
import platform
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from tasks.core import device

# <malloc.h>; as the environment variables MALLOC_ARENA_MAX and MALLOC_TRIM_THRESHOLD_, which must
# be set before the process starts and cannot be set for a Space
MALLOC = {
    -8: ("MALLOC_ARENA_MAX", 2),  # each arena keeps what its threads have freed
    -1: ("MALLOC_TRIM_THRESHOLD_", 1_000_000),  # B; free memory above it goes back to the system
    -3: ("MALLOC_MMAP_THRESHOLD_", 1_000_000),  # B; larger blocks go back as soon as they are freed
}


def set_environment() -> None:
    """Defaults for what the environment does not set."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    # gradio imports matplotlib, which writes a list of fonts
    os.environ.setdefault(
        "MPLCONFIGDIR", os.path.join(tempfile.gettempdir(), "image-lab-matplotlib")
    )
    # One thread a model, asleep when idle: several visitors share the cores, and a drawn digit is
    # answered three times sooner than with two threads that spin while they wait
    # (benchmarks/results/pen.csv).
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if device.is_zero_gpu():
        import spaces  # noqa: F401  it must be imported before torch


def limit_malloc() -> None:
    """Let glibc return free memory to the system; to be called before the first thread starts.

    Nothing happens with another C library. Without it the process holds 100 to 200 MB
    more after every tab was used once (`python -m benchmarks.startup`).
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL("libc.so.6")
        for option, (variable, value) in MALLOC.items():
            if variable not in os.environ:
                libc.mallopt(option, value)


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Objects made in this block live as long as the process: the collector never visits them.

    It saves a tenth of the start.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
