"""Train one's server functions: a run is polled, paused, gone on with, ends with its page."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tasks.classification.digit_training import DigitTraining, Settings
from tasks.classification.tab import train
from tasks.core import scheduling
from tasks.core.images import ImageError
from tasks.ui.widget import encode_base64
from tests.classification.test_digit_training import StripeSource, stripes, ticking

QUICK = {"layers": "dense 16", "lr": 0.01, "examples": 500}
STRIPE = np.zeros((28, 28), np.uint8)
STRIPE[18:20, 3:15] = 255  # class 7


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "digit_source", StripeSource)
    monkeypatch.setattr(DigitTraining, "test_accuracy", lambda self: 0.9712)
    monkeypatch.setattr(train, "TRAININGS", train.Trainings())


def start(**settings: Any) -> str:
    answer = train.start_training({**QUICK, **settings})
    assert "error" not in answer, answer
    token: str = answer["run"]
    return token


def poll(*tokens: str, have: int = 0, **more: Any) -> dict[str, Any]:
    runs = [{"run": token, "title": f"run {k}", "have": have} for k, token in enumerate(tokens)]
    return train.poll_training({"runs": runs, **more})


def until(condition: Callable[[dict[str, Any]], bool], *tokens: str, **more: Any) -> dict[str, Any]:
    """Poll until an answer satisfies the condition."""
    for _ in range(600):
        answer = poll(*tokens, **more)
        if "error" in answer or condition(answer):
            return answer
        time.sleep(0.02)
    raise AssertionError(answer)


def has(n: int) -> Callable[[dict[str, Any]], bool]:
    return lambda answer: all(len(run["snapshots"]) >= n for run in answer["runs"])


def test_a_run_is_watched() -> None:
    token = start()
    answer = until(has(3), token, digit=encode_base64(STRIPE))
    (run,) = answer["runs"]
    assert run["state"] == "running" and len(run["answer"]) == 10
    first, last = run["snapshots"][0], run["snapshots"][-1]
    assert last["loss"] < first["loss"] and last["accuracy"] > first["accuracy"]
    assert last["filters"]["shape"] == [16, 28, 28, 1]
    assert "<svg" in answer["charts"]["loss"] and "accuracy" in answer["charts"]["accuracy"]
    assert len(poll(token, have=len(run["snapshots"]))["runs"][0]["snapshots"]) < 3
    train.pause_training(token)


def test_paused_and_gone_on_with() -> None:
    token = start()
    until(has(2), token)
    assert train.pause_training(token) == {}
    answer = until(lambda a: a["runs"][0]["state"] == "paused", token)
    taken = len(answer["runs"][0]["snapshots"])
    assert len(poll(token)["runs"][0]["snapshots"]) == taken
    assert train.resume_training(token) == {}
    until(has(taken + 1), token)
    train.pause_training(token)


def test_the_checkpoints_answer_a_drawing() -> None:
    token = start()
    until(has(3), token)
    train.pause_training(token)
    until(lambda a: a["runs"][0]["state"] == "paused", token)
    answer = train.scrub_training({"run": token, "digit": encode_base64(STRIPE)})
    assert len(answer["seconds"]) == len(answer["answers"]) >= 3
    assert int(np.argmax(answer["answers"][-1])) == 7
    assert "draw one" in train.scrub_training({"run": token, "digit": None})["error"]
    assert "28 x 28" in train.scrub_training({"run": token, "digit": "AAAA"})["error"]


def test_two_runs_on_one_chart() -> None:
    adam = start(other={**QUICK, "optimiser": "SGD"})
    sgd = start(optimiser="SGD")
    answer = until(has(2), adam, sgd)
    assert answer["charts"]["accuracy"].count("<polyline") == 2
    assert "run 0" in answer["charts"]["accuracy"] and "run 1" in answer["charts"]["accuracy"]
    for token in (adam, sgd):
        train.pause_training(token)


def test_titles_tell_two_runs_apart() -> None:
    answer = train.start_training({**QUICK, "other": {**QUICK, "optimiser": "SGD"}})
    assert answer["title"] == "Adam"
    train.pause_training(answer["run"])


def test_a_run_ends_with_its_page() -> None:
    now = [0.0]
    runs = train.Trainings(clock=lambda: now[0])
    token = runs.add(stripes(Settings.parse(QUICK), time.perf_counter))
    run = runs._all[token]
    now[0] = train.UNSEEN_S + 1
    for _ in range(600):
        if not run.is_running:
            break
        time.sleep(0.02)
    assert not run.is_running and not run.training.is_over
    runs.go_on(token)  # the page is back
    assert run.is_running
    run.is_paused = True


def test_the_end_is_scored_on_mnist_and_explained() -> None:
    token = train.TRAININGS.add(stripes(Settings.parse(QUICK), ticking(2.0)))
    answer = until(
        lambda a: a["runs"][0]["state"] == "over" and "MNIST" in a["runs"][0]["note"], token
    )
    assert "60 seconds" in answer["runs"][0]["note"] and "97.12 %" in answer["runs"][0]["note"]


def test_a_run_that_diverges_says_why() -> None:
    token = start(optimiser="SGD", lr=100)
    answer = until(lambda a: a["runs"][0]["state"] == "over", token)
    assert "Diverged" in answer["runs"][0]["note"] and answer["runs"][0]["diverged"]


def test_an_error_in_a_run_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: StripeSource, settings: Settings) -> None:
        raise ImageError("MNIST is not on this machine.")

    monkeypatch.setattr(StripeSource, "digits", fail)
    answer = until(lambda a: bool(a["runs"][0]["note"]), start())
    assert answer["runs"][0]["note"] == "MNIST is not on this machine."


def test_no_more_than_four_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "ALIVE", 1)
    token = start()
    assert "1 networks are in training" in train.start_training(QUICK)["error"]
    assert len(train.TRAININGS._all) == 1
    train.pause_training(token)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (None, "One or two runs"),
        ({"runs": []}, "One or two runs"),
        ({"runs": [{"run": "x"}]}, "no longer kept"),
        ({"runs": ["x"]}, "no longer kept"),
    ],
)
def test_bad_polls_are_refused(request_: Any, words: str) -> None:
    assert words in train.poll_training(request_)["error"]


def test_bad_settings_start_nothing() -> None:
    assert "nan came" in train.start_training({**QUICK, "lr": float("nan")})["error"]
    assert "no longer kept" in train.resume_training("x")["error"]
    assert "PNG data URL" in train.read_digit("x")["error"]
    assert not train.TRAININGS._all


def test_the_tab_opens_with_a_finished_run() -> None:
    recorded = train.training_example()
    assert "error" not in recorded
    assert recorded["snapshots"][-1]["accuracy"] > 0.9
    assert len(recorded["answers"]) == len(recorded["snapshots"])
    assert int(np.argmax(recorded["answers"][-1])) == 3
    assert recorded["kept_aside"].startswith("data:image/png")
    assert "<polyline" in recorded["charts"]["loss"]


def test_busy_cores_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    token = start()
    until(has(2), token)
    train.pause_training(token)
    until(lambda a: a["runs"][0]["state"] == "paused", token)
    monkeypatch.setattr(scheduling, "CORES", scheduling.Cores(steps_waiting=0))
    with scheduling.CORES.step():
        asked = {"run": token, "digit": encode_base64(STRIPE)}
        answer = train.scrub_training(asked)
    assert "busy" in answer["error"]
