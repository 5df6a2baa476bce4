"""Models loaded once, the stopwatch, the processor's name."""

import threading
import time
from collections.abc import Iterator

import pytest

from tasks import compute
from tasks.compute import Lazy, stopwatch


def test_lazy_loads_once_across_threads() -> None:
    loads = []

    def load() -> object:
        loads.append(1)
        time.sleep(0.05)  # long enough for all threads to meet
        return object()

    lazy, barrier, got = Lazy(load), threading.Barrier(8), []

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


def test_stopwatch_runs_in_the_block_and_stops_after_it() -> None:
    with stopwatch() as ms:
        time.sleep(0.02)
        inside = ms()
        time.sleep(0.02)
    after = ms()
    time.sleep(0.02)
    assert 20 <= inside < after
    assert ms() == after >= 40


def test_stopwatch_stops_at_an_error() -> None:
    with pytest.raises(KeyError), stopwatch() as ms:
        raise KeyError
    after = ms()
    time.sleep(0.01)
    assert ms() == after


def test_device_and_its_name_agree() -> None:
    assert compute.device().type in ("cpu", "cuda", "mps")
    assert compute.device_name().startswith("CPU, ") == (compute.device().type == "cpu")
    assert isinstance(compute.bf16_is_native(), bool)


def test_the_models_used_last_are_kept() -> None:
    kept: compute.Kept[str] = compute.Kept(most=2)
    loaded: list[str] = []

    def get(name: str) -> str:
        return kept.get(name, lambda: loaded.append(name) or name)  # type: ignore[func-returns-value]

    assert [get(name) for name in "abacab"] == list("abacab")
    assert loaded == ["a", "b", "c", "b"] and "a" in kept and "c" not in kept


def test_a_model_is_loaded_once_and_after_a_failure_again() -> None:
    kept: compute.Kept[int] = compute.Kept(most=2)
    loads = []

    def load() -> int:
        loads.append(1)
        time.sleep(0.05)
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


def test_turns_are_one_at_a_time_and_fair() -> None:
    turns, order, inside = compute.Turns(), [], []
    first_in = threading.Event()

    def work(client: str) -> None:
        with turns.turn(client):
            inside.append(client)
            assert len(inside) == 1
            first_in.set()
            time.sleep(0.02)
            order.append(client)
            inside.remove(client)

    threads = []
    for client in "abcd":
        threads.append(threading.Thread(target=work, args=(client,)))
        threads[-1].start()
        first_in.wait(5)
        time.sleep(0.002)
    for thread in threads:
        thread.join(5)
    assert order == list("abcd")


def test_two_turns_at_once() -> None:
    turns = compute.Turns(at_once=2)
    with turns.turn("a"), turns.turn("a"):  # one visitor alone may have both
        third = threading.Thread(target=lambda: turns.turn("b").__enter__())
        third.start()
        third.join(0.1)
        assert third.is_alive()
    third.join(5)
    assert not third.is_alive()


def test_a_client_waits_once_and_a_full_queue_refuses_at_once() -> None:
    turns = compute.Turns(waiting=2)
    holding, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with turns.turn("a"):
            holding.set()
            leave.wait(10)

    def wait(client: str) -> None:
        with turns.turn(client):
            pass

    threads = [threading.Thread(target=hold), threading.Thread(target=wait, args=("a",))]
    threads[0].start()
    holding.wait(5)
    threads[1].start()  # the one who holds the turn may wait for the next
    time.sleep(0.05)
    began = time.monotonic()
    with pytest.raises(compute.BusyError), turns.turn("a"):
        pass
    threads.append(threading.Thread(target=wait, args=("b",)))
    threads[-1].start()
    time.sleep(0.05)
    with pytest.raises(compute.BusyError), turns.turn("c"):
        pass
    assert time.monotonic() - began < 1
    leave.set()
    for thread in threads:
        thread.join(5)
    with turns.turn("c"):  # and afterwards everything is free again
        pass


def test_a_turn_that_fails_is_given_back() -> None:
    turns = compute.Turns()
    with pytest.raises(ZeroDivisionError), turns.turn("a"):
        1 / 0  # noqa: B018
    with turns.turn("a"):
        pass
