"""Models are loaded once, on first use."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tasks.core import model_cache
from tasks.core.model_cache import Lazy
from tasks.ui.errors import return_errors


def test_lazy_loads_once_across_threads() -> None:
    loads, barrier, got = [], threading.Barrier(8), []

    def load() -> object:
        loads.append(1)
        return object()

    lazy = Lazy(load)

    def use() -> None:
        barrier.wait()
        got.append(lazy())

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == 1
    assert len(got) == 8
    assert len(set(map(id, got))) == 1


def test_lazy_does_not_load_before_use() -> None:
    lazy = Lazy(lambda: "model")
    assert not lazy.is_loaded
    assert lazy() == "model"
    assert lazy.is_loaded


def test_lazy_tries_again_after_a_failure() -> None:
    answers: Iterator[RuntimeError | str] = iter([RuntimeError("no file yet"), "model"])

    def load() -> str:
        answer = next(answers)
        if isinstance(answer, RuntimeError):
            raise answer
        return answer

    lazy = Lazy(load)
    with pytest.raises(RuntimeError, match="no file yet"):
        lazy()
    assert not lazy.is_loaded
    assert lazy() == lazy() == "model"


@pytest.mark.parametrize("kind", ["lazy", "kept"])
def test_a_widget_does_not_wait_for_a_model_that_another_loads(kind: str) -> None:
    begun, let = threading.Event(), threading.Event()

    def load() -> str:
        begun.set()
        assert let.wait(60)
        return "model"

    lazy, kept = Lazy(load), model_cache.Kept[str](most=1)
    get = lazy if kind == "lazy" else lambda: kept.get("a", load)
    first = threading.Thread(target=get)
    first.start()
    assert begun.wait(60)
    with model_cache.without_waiting(), pytest.raises(model_cache.LoadingError, match="loaded"):
        get()
    answer: Any = return_errors(get)()
    assert answer == {"error": "The model is being loaded. Try again in a moment.", "again": True}
    let.set()
    first.join(60)
    assert return_errors(get)() == get() == "model"


def test_the_models_used_last_are_kept() -> None:
    kept: model_cache.Kept[str] = model_cache.Kept(most=2)
    loaded: list[str] = []

    def get(name: str) -> str:
        return kept.get(name, lambda: loaded.append(name) or name)  # type: ignore[func-returns-value]

    assert [get(name) for name in "abacab"] == list("abacab")
    assert loaded == ["a", "b", "c", "b"] and "a" in kept and "c" not in kept


def test_a_model_is_loaded_once_and_after_a_failure_again() -> None:
    kept: model_cache.Kept[int] = model_cache.Kept(most=2)
    loads = []

    def load() -> int:
        loads.append(1)
        if len(loads) == 1:
            raise OSError("no network")
        return 7

    got: list[object] = []

    def ask() -> None:
        try:
            got.append(kept.get("m", load))
        except OSError as error:
            got.append(str(error))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert sorted(map(str, got)) == ["7", "7", "7", "no network"] and len(loads) == 2


def test_failed_loads_leave_nothing_behind() -> None:
    kept: model_cache.Kept[int] = model_cache.Kept(most=2)
    for name in range(100):
        with pytest.raises(ZeroDivisionError):
            kept.get(name, lambda: 1 // 0)
    assert not kept._loading and not kept._models
