"""Where and how the networks compute: device, precision, threads, models loaded once, one heavy job at a time.

Nothing here imports torch at import time, so that the page can answer before torch is there.
"""

import functools
import os
import sys
import threading
import time
import warnings
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    import torch

Model = TypeVar("Model")

AT_ONCE = 2
"""Camera frames that are computed side by side."""

PATIENCE_S = 300.0  # after which who waits for the cores is told so
STUCK = "Another visitor's picture has kept the server busy for minutes. Try again later; live drawings still work."


class BusyError(RuntimeError):
    """The processor has enough to do; try again a moment later."""


class PatientLock:
    """A lock as a context manager; BusyError for whom it does not come free within `PATIENCE_S`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def locked(self) -> bool:
        return self._lock.locked()

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=PATIENCE_S):
            raise BusyError(STUCK)

    def __exit__(self, *_: object) -> None:
        self._lock.release()


HEAVY = PatientLock()
"""Held by whatever keeps all cores busy for longer than a frame, so that two such jobs do not fight for them."""


BUILDING = threading.RLock()
"""Held while a network is built and its weights are put in, never while they are downloaded.

Diffusers' loading has every module of the process, whatever thread builds it, made without memory for its tensors
(`accelerate.init_empty_weights` puts itself in the place of a method of `nn.Module`) until it is done.
"""


def is_zero_gpu() -> bool:
    """Whether this is a Space with GPUs by the call (tasks/zero_gpu.py)."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


def take_gpu() -> None:
    """Compute on the GPU from now on, in a process that ZeroGPU forked and gave one."""
    os.environ.pop("SPACES_ZERO_GPU")  # of this process only: here CUDA is what it says
    for known in (device, device_name, bf16_is_native):
        known.cache_clear()


@functools.cache
def device() -> "torch.device":
    """The best device there is: CUDA, Apple's MPS, else the CPU.

    ZeroGPU's main process says that it has CUDA and has none.
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
def device_name() -> str:
    """For the line beside a result: "CPU, 2 threads" or the GPU's own name."""
    import torch

    if device().type == "cuda":
        return torch.cuda.get_device_name()
    if device().type == "mps":
        return "Apple GPU"
    n = torch.get_num_threads()
    return f"CPU, {n} thread{'s' if n != 1 else ''}"


def cores() -> int:
    """The processor's cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_all_cores() -> None:
    """Let the calling thread compute on all cores; other threads keep theirs (app.py: one each)."""
    import torch

    default = torch.get_num_threads()
    torch.set_num_threads(cores())
    # OpenMP's number is the calling thread's own; torch also remembers it for threads that are yet to come
    reset = threading.Thread(target=torch.set_num_threads, args=(default,))
    reset.start()
    reset.join()


@functools.cache
def bf16_is_native() -> bool:
    """Whether bf16 arithmetic pays here: a GPU that has it, or a CPU with AVX512_BF16 or AMX.

    On a CPU without them (AVX2 only) bf16 convolutions were measured 12 times slower than fp32 (train/LOG.md).
    """
    import torch

    if device().type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device().type == "mps":
        return False
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def openvino() -> ModuleType:
    """The library, whose converter is kept from telling Google Analytics of each use. Raises ImportError."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # not importable: it takes its own stub
    import openvino as library

    return library


def has_openvino() -> bool:
    try:
        openvino()
    except ImportError:
        return False
    return True


_tracing = threading.Lock()


def to_openvino(network: "torch.nn.Module", *example: "torch.Tensor") -> Any:
    """The network as an `openvino.Model`, by what it does with `example`; its inputs keep any shape.

    One at a time: torch keeps which modules it is tracing in a variable of the whole process, so that two threads that
    trace at once find that their "graphs differed across invocations".
    """
    import torch

    library = openvino()
    with _tracing, warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # of the tracing, on shapes that are constants by intention
        return library.convert_model(torch.jit.trace(network, example, check_trace=False), example_input=example)


class Lazy(Generic[Model]):
    """A model that is loaded on first use, once per process; a failed load is tried again on the next use."""

    def __init__(self, load: Callable[[], Model]):
        self._load, self._lock = load, threading.Lock()
        self._model: Model | None = None

    def __call__(self) -> Model:
        if self._model is None:
            with self._lock:
                if self._model is None:
                    self._model = self._load()
        return self._model

    @property
    def is_loaded(self) -> bool:
        return self._model is not None


class Kept(Generic[Model]):
    """Models by name, loaded on first use; the `most` that were used last stay in memory.

    Two of one name are never loaded at once, two of different names may be.
    """

    def __init__(self, most: int):
        self.most = most
        self._models: OrderedDict[str, Model] = OrderedDict()
        self._loading: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()  # of both, held for an instant

    def __contains__(self, name: str) -> bool:
        return name in self._models

    def get(self, name: str, load: Callable[[], Model]) -> Model:
        """The model of this name, loaded by `load` where it is not here; what `load` raises goes through."""
        with self._lock:
            if name in self._models:
                self._models.move_to_end(name)
                return self._models[name]
            loading = self._loading.setdefault(name, threading.Lock())
        with loading:
            if name not in self._models:
                model = load()
                with self._lock:
                    self._models[name] = model
                    while len(self._models) > self.most:
                        self._models.popitem(last=False)
                return model
        return self.get(name, load)  # loaded while we waited


class Turns:
    """First come first served, and nobody twice in the queue: so the cores are shared fairly.

    A client whose last request still waits, or a queue that is full, is refused at once instead of queued.

    Args:
        waiting: clients that may wait at once.
        at_once: turns that may be held at once.
    """

    def __init__(self, waiting: int = 16, at_once: int = 1):
        self.waiting, self.at_once = waiting, at_once
        self._queue: deque[str] = deque()
        self._held = 0
        self._changed = threading.Condition()

    @contextmanager
    def turn(self, client: str, patient: bool = False) -> Iterator[None]:
        """Wait for the turn of `client` and hold it for the block; `patient`: also behind a full queue.

        Raises BusyError: it waits already, the queue is full, or its turn has not come within PATIENCE_S.
        """
        with self._changed:
            if client in self._queue or (len(self._queue) >= self.waiting and not patient):
                raise BusyError("The server is busy with other visitors' pictures. Try again in a moment.")
            self._queue.append(client)
            if not self._changed.wait_for(lambda: self._held < self.at_once and self._queue[0] == client, PATIENCE_S):
                self._queue.remove(client)
                self._changed.notify_all()
                raise BusyError(STUCK)
            self._queue.popleft()
            self._held += 1
            self._changed.notify_all()  # the next in the queue may find room, too
        try:
            yield
        finally:
            with self._changed:
                self._held -= 1
                self._changed.notify_all()


@contextmanager
def stopwatch() -> Iterator[Callable[[], float]]:
    """`with stopwatch() as ms: ...; ms()` -> milliseconds since the start, or of the block once it has ended."""
    start = time.perf_counter()
    end: float | None = None
    try:
        yield lambda: 1000 * ((end or time.perf_counter()) - start)
    finally:
        end = time.perf_counter()
