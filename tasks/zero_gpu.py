"""ZeroGPU, Hugging Face's GPUs by the call (https://huggingface.co/docs/hub/spaces-zerogpu); elsewhere nothing changes.

On a ZeroGPU Space the app's own process has no GPU. What `spaces.GPU` decorates runs in a process that is forked for
the call and has one; arguments and results travel pickled. A handler does not travel: the way to load it does, and the
other process loads it anew, onto its GPU. Only what computes for seconds is worth that: diffusion and text to image.
Everything else, the camera's frames above all, stays on the processor.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, Protocol, TypeVar

from tasks import compute

Step = TypeVar("Step")
P = ParamSpec("P")

SECONDS = 60
"""Of GPU time that a run asks for; a visitor's daily share pays for it, so no more than a run needs."""


class Reloadable(Protocol):
    """A handler that can be loaded anew by a call that can be pickled; None where it was put together by hand."""

    again: "functools.partial[Any] | None"


def on_gpu(steps: Callable[P, Iterator[Step]]) -> Callable[P, Iterator[Step]]:
    """Decorate a function that gives the steps of a run; its first argument is the handler, a `Reloadable`."""
    if not compute.is_zero_gpu():
        return steps
    import spaces

    @spaces.GPU(duration=SECONDS)
    def there(again: "functools.partial[Any]", args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Step]:
        compute.take_gpu()
        yield from steps(_handler(again.func, again.args), *args, **kwargs)  # type: ignore[arg-type]

    @functools.wraps(steps)
    def here(handler: Reloadable, *args: Any, **kwargs: Any) -> Iterator[Step]:
        if handler.again is None:
            return steps(handler, *args, **kwargs)  # type: ignore[arg-type]
        found: Iterator[Step] = there(handler.again, args, kwargs)
        return found

    return here  # type: ignore[return-value]


@functools.lru_cache(maxsize=2)
def _handler(load: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """Of a process with a GPU, which may be asked more than once."""
    return load(*args)
