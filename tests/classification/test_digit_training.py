"""tasks/classification/digit_training.py: it learns, is reproducible, ends, explains; bad
settings. Digits are stripes at ten heights, learned in a few steps.
"""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tasks.classification import digit_training as module
from tasks.classification.digit_training import (
    KEPT_ASIDE,
    MNIST,
    DigitSource,
    DigitTraining,
    GeneratedDigits,
    Settings,
    Snapshot,
    about,
)
from tasks.core.images import ImageError
from tasks.gan import GanGenerator


class Stripes:
    """A digit d is a stripe at height 2 d + 4, shifted sideways by its number."""

    def get(self, index: Tensor) -> tuple[Tensor, Tensor]:
        labels = index % 10
        images = torch.zeros(len(index), 1, 28, 28)
        for k, (i, d) in enumerate(zip(index.tolist(), labels.tolist(), strict=True)):
            images[k, 0, 2 * d + 4 : 2 * d + 6, i % 7 : i % 7 + 12] = 1
        return images, labels


@functools.cache
def kept_stripes() -> tuple[Tensor, Tensor]:
    return Stripes().get(torch.arange(5000, 5000 + KEPT_ASIDE))


class StripeSource:
    """In the place of DigitSource."""

    def kept_aside(self) -> tuple[Tensor, Tensor]:
        return kept_stripes()

    def digits(self, settings: Settings) -> Stripes:
        return Stripes()


def stripes(settings: Settings, clock: Any = None) -> DigitTraining:
    source: Any = StripeSource()
    return DigitTraining(settings, source, clock or ticking())


def ticking(seconds: float = 0.01) -> Any:
    """A clock that goes on by so much whenever it is read."""
    now = [0.0]

    def clock() -> float:
        now[0] += seconds
        return now[0]

    return clock


def run(n: int = 8, clock: Any = None, **settings: Any) -> tuple[DigitTraining, list[Snapshot]]:
    """A training up to its n-th snapshot."""
    chosen = Settings(**{"layers": "dense 32", "lr": 0.01, "examples": 1000, **settings})
    training = stripes(chosen, clock)
    found: list[Snapshot] = []
    for snapshot in training.steps():
        if snapshot:
            found.append(snapshot)
        if len(found) == n:
            break
    return training, found


def test_it_learns_from_random_weights() -> None:
    _, snapshots = run()
    first, last = snapshots[0], snapshots[-1]
    assert first.step == 0 and first.accuracy < 0.4 and first.loss == pytest.approx(2.3, abs=0.2)
    assert last.accuracy > 0.95 and last.loss < 0.5
    assert last.seen == 64 * last.step


def test_snapshots_come_twice_a_second_of_computing() -> None:
    _, snapshots = run(clock=ticking(0.02))
    gaps = np.diff([s.seconds for s in snapshots])
    assert (gaps >= 0.5).all() and (gaps < 0.9).all()


def test_the_same_seed_gives_the_same_training() -> None:
    (a, first), (b, second), (c, third) = run(3), run(3), run(3, seed=1)
    assert [s.loss for s in first] == [s.loss for s in second] != [s.loss for s in third]
    for x, y in zip(a.network.parameters(), b.network.parameters(), strict=True):
        assert torch.equal(x, y)
    assert not torch.equal(next(a.network.parameters()), next(c.network.parameters()))


def test_paused_and_gone_on_with_is_the_same_training() -> None:
    whole, _ = run(6)
    parts = stripes(whole.settings)
    for _ in range(3):
        taken = 0
        for snapshot in parts.steps():
            taken += snapshot is not None
            if taken == 2:
                break
    a = next(whole.network.parameters())
    # the clock is read at other moments, so only the number of steps may differ
    assert abs(parts.step - whole.step) <= 30 and parts.seconds > 2
    assert next(parts.network.parameters()).shape == a.shape and not parts.is_over


def test_it_ends_after_a_minute_of_computing() -> None:
    training, snapshots = run(1000, clock=ticking(0.2))
    assert training.is_over and module.MAX_S <= training.seconds < module.MAX_S + 2
    assert "60 seconds" in training.explanation()
    assert len(training.checkpoints) <= module.MAX_CHECKPOINTS
    seconds = [s for s, _ in training.checkpoints]
    assert seconds[0] < 1 and seconds[-1] > 50 and seconds == sorted(seconds)
    assert snapshots[-1].seconds >= module.MAX_S


def test_a_learning_rate_that_diverges_ends_and_is_explained() -> None:
    training, snapshots = run(100, optimiser="SGD", lr=100)
    assert training.is_over and training.is_diverged and training.seconds < 10
    assert "Diverged at step" in training.explanation() and "100" in training.explanation()
    assert snapshots[-1].filters.dtype == np.uint8
    assert np.isfinite(training.classify(np.zeros((28, 28), np.uint8))).all()


def test_wrong_labels_are_a_share_of_the_training_digits() -> None:
    training = stripes(Settings(layers="dense 8", label_noise=0.5, examples=2000))
    share = float((training.wrong_labels >= 0).float().mean())
    assert 0.45 < share < 0.55
    assert (stripes(Settings(layers="dense 8")).wrong_labels == -1).all()


def test_few_examples_are_seen_again_and_again() -> None:
    training, snapshots = run(examples=30, batch=64)
    assert snapshots[-1].seen == 30 * snapshots[-1].step
    assert set(training._next_batch().tolist()) <= set(range(30))


def test_wrong_digits_are_wrong_and_the_surest_first() -> None:
    training, (first,) = run(1)
    images, labels = training.source.kept_aside()
    assert 0 < len(first.wrong) <= module.WRONG
    probabilities = training.logits(images).softmax(1)
    assert all(int(labels[k]) != predicted for k, predicted in first.wrong)
    sure = [float(probabilities[k, predicted]) for k, predicted in first.wrong]
    assert sure == sorted(sure, reverse=True)


@pytest.mark.parametrize(
    ("layers", "shape"),
    [("conv 5, pool", (5, 3, 3)), ("pool, conv 40", (32, 3, 3)), ("dense 40", (32, 28, 28))],
)
def test_filters_are_the_first_layers_weights(layers: str, shape: tuple[int, ...]) -> None:
    training = stripes(Settings(layers=layers))
    filters = training.filters()
    assert filters.shape == shape
    weight: Any = training.network.first.weight
    largest = weight.detach()[0].flatten().abs().argmax()
    assert filters[0].ravel()[largest] in (1, 255)


def test_every_checkpoint_answers_a_drawing() -> None:
    training, snapshots = run()
    digit = np.zeros((28, 28), np.uint8)
    digit[18:20, 3:15] = 255  # a stripe of class 7
    seconds, answers = training.classify_over_time(digit)
    assert len(seconds) == len(answers) == len(snapshots) and answers.shape[1] == 10
    assert np.allclose(answers.sum(1), 1, atol=1e-4)
    assert answers[-1].argmax() == 7 and answers[-1, 7] > answers[0, 7]
    assert np.abs(answers[-1] - training.classify(digit)).max() < 0.02  # stored in half precision


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lr": float("nan")}, "learning rate is a number from 1e-06 to 100; nan came"),
        ({"lr": -1}, "learning rate"),
        ({"lr": "fast"}, "fast came"),
        ({"lr": True}, "learning rate"),
        ({"lr": None}, "None came"),
        ({"batch": 0}, "batch"),
        ({"batch": 2.5}, "whole number"),
        ({"examples": 10**9}, "examples"),
        ({"label_noise": 1.5}, "wrong labels"),
        ({"optimiser": "Adamax"}, "Optimisers are Adam"),
        ({"data": "cifar"}, "'cifar' came"),
        ({"layers": 7}, "as text"),
        ({"layers": "conv"}, "no layer"),
        ({"seed": -1}, "seed"),
    ],
)
def test_bad_settings_are_refused_with_a_sentence(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ImageError, match=words):
        Settings.parse(change)
    with pytest.raises(ImageError, match="as an object"):
        Settings.parse("fast")


def test_unknown_settings_are_left_out() -> None:
    assert Settings.parse({"lr": 0.1, "visitor": "x"}) == Settings(lr=0.1)


def test_names_of_runs_say_what_differs() -> None:
    adam, sgd = Settings(), Settings(optimiser="SGD", lr=0.01)
    assert about(adam) == "CNN, Adam, learning rate 0.001, 10,000 examples"
    assert about(adam, sgd) == "Adam, learning rate 0.001"
    assert about(Settings(examples=100), adam) == "100 examples"
    assert about(adam, adam) == "CNN, Adam"


def test_the_gans_digits_are_generated_when_asked_for() -> None:
    gan = GanGenerator.load()
    digits = GeneratedDigits(gan, 600, seed=3)
    images, labels = digits.get(torch.tensor([1, 0]))
    assert images.shape == (2, 1, 28, 28) and labels.tolist() == [1, 0]
    assert digits.known == 256 and 0.3 < images.amax() <= 1
    again, _ = digits.get(torch.tensor([1, 0, 599]))
    assert torch.equal(again[:2], images) and digits.known == 600
    other, _ = GeneratedDigits(gan, 600, seed=4).get(torch.tensor([1, 0]))
    assert not torch.equal(other, images)


@pytest.fixture
def no_mnist(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("IMAGE_LAB_DATA", str(tmp_path))
    yield


@pytest.mark.usefixtures("no_mnist")
def test_without_mnist() -> None:
    unused: Any = None
    with pytest.raises(ImageError, match="MNIST is not on this machine"):
        DigitSource(unused).digits(Settings(data=MNIST))
    training, _ = run(1, data=MNIST)
    assert training.test_accuracy() is None
