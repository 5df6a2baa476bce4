"""The device that computes: CUDA, MPS or CPU, its threads and its precision.

Imports torch on use only.
"""

import functools
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def is_zero_gpu() -> bool:
    """Whether this is a Space with GPUs by the call (core/zero_gpu.py)."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


def take_gpu() -> None:
    """Use the GPU from now on, in a process that ZeroGPU forked and gave one."""
    os.environ.pop("SPACES_ZERO_GPU")  # in this process CUDA is available
    for known in (best, name, bf16_is_native):
        known.cache_clear()


@functools.cache
def best() -> "torch.device":
    """CUDA, Apple's MPS, else the CPU.

    The main process of ZeroGPU reports CUDA and has none.
    """
    import torch

    if is_zero_gpu():
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


@functools.cache
def name() -> str:
    """For the line beside a result: "CPU, 2 threads" or the GPU's own name."""
    import torch

    if best().type == "cuda":
        return torch.cuda.get_device_name()
    if best().type == "mps":
        return "Apple GPU"
    n = torch.get_num_threads()
    return f"CPU, {n} thread{'s' if n != 1 else ''}"


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_all_cores() -> None:
    """Let the calling thread compute on all cores; other threads keep theirs (app.py: one each)."""
    import torch

    default = torch.get_num_threads()
    torch.set_num_threads(cores())
    # The number is the calling thread's own, but torch also takes it for threads to come.
    reset = threading.Thread(target=torch.set_num_threads, args=(default,))
    reset.start()
    reset.join()


@functools.cache
def bf16_is_native() -> bool:
    """Whether bf16 is fast here: a GPU that has it, or a CPU with AVX512_BF16 or AMX.

    On a CPU with AVX2 only, bf16 convolutions are 12 times slower than fp32 (train/LOG.md).
    """
    import torch

    if best().type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if best().type == "mps":
        return False
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


@contextmanager
def stopwatch(clock: Callable[[], float] = time.perf_counter) -> Iterator[Callable[[], float]]:
    """Measure a block: `with stopwatch() as ms: ...`; `ms()` is milliseconds so far, or in all."""
    start = clock()
    end: float | None = None
    try:
        yield lambda: 1000 * ((clock() if end is None else end) - start)
    finally:
        end = clock()


def seeded_noise(n: int, seed: int) -> "list[torch.Generator]":
    """A generator for each of n images, so that image k does not depend on n; on the CPU, so that
    noise is the same on every device.
    """
    import torch

    return [torch.Generator().manual_seed(seed * 1_000_003 + k) for k in range(n)]
