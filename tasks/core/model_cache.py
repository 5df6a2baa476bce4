"""Models loaded on first use, once per process; the lock under which networks are built."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Generic, TypeVar

from tasks.core.scheduling import BusyError

Model = TypeVar("Model")
_may_wait: ContextVar[bool] = ContextVar("_may_wait", default=True)


BUILDING = threading.RLock()
"""Held while a network is built and its weights are loaded, never while they are downloaded.

While diffusers loads a pipeline, modules that any thread of the process builds get no memory for
their tensors: `accelerate.init_empty_weights` replaces a method of `nn.Module`.
"""


class LoadingError(BusyError):
    """Another thread is loading this model; it is here a moment later."""


@contextmanager
def without_waiting() -> Iterator[None]:
    """For widgets' functions: a model that another thread is loading raises LoadingError."""
    before = _may_wait.set(False)
    try:
        yield
    finally:
        _may_wait.reset(before)


@contextmanager
def _held(lock: Any) -> Iterator[None]:
    """The lock of a model that is loaded now. Raises LoadingError."""
    if not lock.acquire(blocking=_may_wait.get()):
        raise LoadingError("The model is being loaded. Try again in a moment.")
    try:
        yield
    finally:
        lock.release()


class Lazy(Generic[Model]):
    """A model that is loaded on first use, once per process.

    A failed load is tried again on the next use.
    """

    def __init__(self, load: Callable[[], Model]):
        self._load, self._lock = load, threading.Lock()
        self._model: Model | None = None

    def __call__(self) -> Model:
        if self._model is None:
            with _held(self._lock):
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
        self._models: OrderedDict[Hashable, Model] = OrderedDict()
        self._loading: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()  # of both, held for an instant

    def __contains__(self, name: Hashable) -> bool:
        return name in self._models

    def get(self, name: Hashable, load: Callable[[], Model]) -> Model:
        """The model of this name, loaded by `load` where it is not here.

        Raises what `load` raises.
        """
        while True:
            with self._lock:
                if name in self._models:
                    self._models.move_to_end(name)
                    return self._models[name]
                loading = self._loading.setdefault(name, threading.Lock())
            with _held(loading):
                if self._loading.get(name) is not loading:
                    continue  # another thread loaded it, or failed, while we waited
                try:
                    model = load()
                    with self._lock:
                        self._models[name] = model
                        while len(self._models) > self.most:
                            self._models.popitem(last=False)
                    return model
                finally:
                    del self._loading[name]
