"""The stopwatch, on a clock that the test moves."""

import pytest

from tasks.core.device import stopwatch


def test_stopwatch_runs_in_the_block_and_stops_after_it() -> None:
    now = [5.0]
    with stopwatch(lambda: now[0]) as ms:
        now[0] = 5.02
        assert ms() == pytest.approx(20)
        now[0] = 5.05
    now[0] = 9.0
    assert ms() == pytest.approx(50)


def test_stopwatch_stops_at_an_error() -> None:
    now = [0.0]
    with pytest.raises(KeyError), stopwatch(lambda: now[0]) as ms:
        now[0] = 0.001
        raise KeyError
    now[0] = 1.0
    assert ms() == pytest.approx(1)
