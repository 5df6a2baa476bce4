"""ZeroGPU: Spaces whose functions get a GPU for the time of a call; elsewhere nothing changes.

https://huggingface.co/docs/hub/spaces-zerogpu

On a ZeroGPU Space the app's own process has no GPU. A function decorated by `spaces.GPU` runs in a
process that is forked for the call and has one; arguments and results are pickled. A handler is not
pickled: the call that loads it is, and the other process loads it again, onto its GPU. That is
worth it for computations of seconds only: diffusion and text to image. Everything else stays on the
processor.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, Protocol, TypeVar

from tasks.core import device

Step = TypeVar("Step")
P = ParamSpec("P")

SECONDS = 60
"""GPU time that a job asks for. It counts against the visitor's daily share, so it is small."""


class Reloadable(Protocol):
    """A handler that a pickled call can load again; None if it was not loaded by `load`."""

    reload: "functools.partial[Any] | None"


def on_gpu(steps: Callable[P, Iterator[Step]]) -> Callable[P, Iterator[Step]]:
    """Decorate a function that yields steps; its first argument is a `Reloadable` handler."""
    if not device.is_zero_gpu():
        return steps
    import spaces

    @spaces.GPU(duration=SECONDS)
    def run_on_gpu(
        reload: "functools.partial[Any]", args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Iterator[Step]:
        device.take_gpu()
        yield from steps(_load(reload.func, reload.args), *args, **kwargs)  # type: ignore[arg-type]

    @functools.wraps(steps)
    def forward(handler: Reloadable, *args: Any, **kwargs: Any) -> Iterator[Step]:
        if handler.reload is None:
            return steps(handler, *args, **kwargs)  # type: ignore[arg-type]
        remote: Iterator[Step] = run_on_gpu(handler.reload, args, kwargs)
        return remote

    return forward  # type: ignore[return-value]


@functools.lru_cache(maxsize=2)
def _load(load: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """Cached, as a process with a GPU may serve several calls."""
    return load(*args)
