"""Batches made in a thread while the network computes."""

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from typing import TypeVar

Batch = TypeVar("Batch")


def prefetched(make: Callable[[int], Batch], start: int, ahead: int) -> Generator[Batch]:
    """Yield make(start), make(start + 1), ... without end; `ahead` of them are made in advance in
    one thread.

    With `ahead` = 0 each is made when it is asked for, in the caller's thread. What `make` raises
    is raised here.
    """
    if ahead == 0:
        yield from map(make, count(start))
        return
    pool = ThreadPoolExecutor(1, thread_name_prefix="batches")
    pending: deque[Future[Batch]] = deque()
    try:
        for step in count(start):
            pending.append(pool.submit(make, step))
            if len(pending) > ahead:
                yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
