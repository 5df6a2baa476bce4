"""The photo network's training: smoke, exact resume, the folded start; what a card reports; the
shipped model."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tasks.classification.photos import PhotoClassifier
from tasks.core import weights
from tasks.models import PHOTO_MODELS
from tasks.networks.efficientnet_lite import STAGES, EfficientNetLite, normalise
from train import data, report
from train.common.batch_norm_folding import fold, unfold
from train.common.imagenet_weights import load_imagenet
from train.common.synthetic import striped_photos
from train.photos import __main__ as photos
from train.photos import export, training
from train.photos.data import augment, to_tensor
from train.photos.plans import (
    ANOTHER_CYCLE,
    DISTILLED,
    NAMES,
    PLANS,
    TEACHER,
    Plan,
    command_of,
)
from train.photos.training import train

FOLDED = PLANS["imagenet"].folded
TINY = replace(PLANS["scratch"], epochs=2, size=32)
SHIPPED = pytest.mark.skipif(
    not (weights.FOLDER / "photos.json").is_file(), reason="weights/photos.json is not there"
)


def test_smoke_with_resume(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos.main(["--smoke", "--out", str(tmp_path)])
    card = weights.read_card("photos", tmp_path / "weights")
    photos.main(["--smoke", "--resume", "--out", str(tmp_path)])  # finished: trains no further
    again = weights.read_card("photos", tmp_path / "weights")
    assert again.sha256 == card.sha256 and again.metrics[0] == card.metrics[0]
    assert card.headline in capsys.readouterr().out

    classifier = PhotoClassifier.load("cifar10_lite0", tmp_path / "weights")
    test = striped_photos(40, 1)
    assert 100 * export.accuracy(classifier, test) == pytest.approx(card.metrics[0].value, abs=1e-3)
    assert (
        card.tables["from_scratch"]["curve"] and card.curve and card.preprocess["size"] in (32, 64)
    )
    assert sum(map(sum, card.tables["confusion"])) == 40


def test_an_interrupted_training_ends_the_same(tmp_path: Path) -> None:
    images = striped_photos(40, 0)
    straight = train("scratch", 0, images, TINY, tmp_path / "straight", False)
    train("scratch", 0, images, TINY, tmp_path / "cut", False, stop_after=1)
    resumed = train("scratch", 0, images, TINY, tmp_path / "cut", True)
    for name, value in straight.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name]), name


@pytest.mark.parametrize("variant", list(NAMES))
def test_folding_batch_norms_changes_nothing(variant: int) -> None:
    torch.manual_seed(0)
    network = EfficientNetLite(10, variant=variant)
    load_imagenet(network)
    x = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        before = network.eval()(x)
        fold(network, FOLDED)
        folded_part = [*network.stem.modules(), *network.stages[:FOLDED].modules()]
        assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded_part)
        folded, unfolded = network(x), unfold(network, EfficientNetLite(10, variant=variant))(x)
        stored = export.as_stored(network).eval()(x)
    torch.testing.assert_close(folded, before, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(unfolded, before, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(stored, before, atol=0.05 * float(before.std()), rtol=0)  # fp16


def test_every_layer_is_fine_tuned(tmp_path: Path) -> None:
    before = EfficientNetLite(10)
    load_imagenet(before)
    fold(before, FOLDED)
    after = train(
        "imagenet", 0, striped_photos(40, 0), replace(TINY, epochs=4), tmp_path, False
    ).network.state_dict()
    assert after.keys() == before.state_dict().keys()
    for name, value in before.state_dict().items():
        trained = value.is_floating_point() and "running" not in name
        if trained and not name.startswith("head."):  # which started from random weights
            assert not torch.equal(value, after[name]), name
            assert (
                torch.nn.functional.cosine_similarity(value.flatten(), after[name].flatten(), 0)
                > 0.9
            ), name


@SHIPPED
def test_the_student_moves_towards_its_teacher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The teacher predicts "horse" for everything; so does the student, by half."""
    horse = data.CIFAR10_CLASSES.index("horse")
    monkeypatch.setattr(
        training, "teacher", lambda: lambda x: torch.eye(10)[horse].expand(len(x), 10)
    )
    images, plan = (
        striped_photos(40, 0),
        replace(TINY, **{**DISTILLED, "lr": 1e-3}, ema=0.5, epochs=8),
    )
    x = normalise(to_tensor(images).float() / 255)
    probs = {}
    for distilled in (False, True):
        run = tmp_path / str(distilled)
        done = train("imagenet", 0, images, replace(plan, distilled=distilled), run, False)
        with torch.inference_mode():
            probs[distilled] = float(done.network.eval()(x).softmax(1)[:, horse].mean())
    assert probs[True] > probs[False] + 0.2


def test_the_teacher_is_the_larger_network_at_its_temperature(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = EfficientNetLite(10, variant=2).eval()
    card = replace(
        weights.read_card("photos"), name=TEACHER, config={"n_classes": 10, "variant": 2}
    )
    card.preprocess["temperature"] = 0.5
    weights.save(network, card, tmp_path)
    x = torch.rand(2, 3, 64, 64) * 2 - 1
    with torch.inference_mode():
        expected = (network(x) / 0.5).softmax(1)
    torch.testing.assert_close(training.teacher(tmp_path)(x), expected, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize(
    ("more", "command"),
    [
        ({}, ""),
        (
            {"variant": 2, "frozen": 2, "lr": 4e-4, "minutes": 9},
            " --variant 2 --frozen 2 --minutes 9 --lr 0.0004",
        ),
        (ANOTHER_CYCLE, " --init-from-shipped"),
        (
            {**ANOTHER_CYCLE, "frozen": 2, "folded": 3, "sam_rho": None},
            " --init-from-shipped --frozen 2 --folded 3 --sam-rho 0",
        ),
        ({**DISTILLED, "minutes": 60}, " --distilled --minutes 60"),
    ],
)
def test_the_card_names_the_command(more: dict[str, Any], command: str) -> None:
    assert command_of(replace(PLANS["imagenet"], **more)) == f"python -m train.photos{command}"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--again"], (3, len(STAGES), 0.05)),
        (["--again", "--frozen", "0", "--folded", "3", "--sharpness", "0"], (0, 3, None)),
        (["--init-from-shipped", "--sam-rho", "0.1"], (3, len(STAGES), 0.1)),
        (["--sharpness", "0.1"], (0, FOLDED, 0.1)),
    ],
)
def test_options_reach_the_plan(
    options: list[str],
    expected: tuple[int, int, float | None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plans: list[Plan] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(data, "cifar10", lambda *_, **__: striped_photos(10, 0))
    monkeypatch.setattr(photos, "train", lambda start, seed, images, plan, *_: plans.append(plan))
    photos.main(options)
    assert [(plan.frozen, plan.folded, plan.sam_rho) for plan in plans] == [expected]


@pytest.mark.parametrize(
    "options",
    [["--taught", "--variant", "2"], ["--again", "--from-scratch"], ["--taught", "--again"]],
)
def test_options_that_do_not_go_together(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        photos.main(options)
    said = capsys.readouterr().err
    assert "student" in said or "not allowed with" in said


def test_augmentation_keeps_shape_and_range() -> None:
    x = torch.rand(16, 3, 32, 32)
    y = augment(x, 48)
    assert y.shape == (16, 3, 48, 48) and float(y.min()) >= 0 and float(y.max()) <= 1


def test_report() -> None:
    sure_and_right = np.eye(3)[[0, 1, 2]]
    assert report.expected_calibration_error(sure_and_right, np.array([0, 1, 2])) == 0
    assert report.expected_calibration_error(sure_and_right, np.array([1, 2, 0])) == 1
    half = np.array([[0.75, 0.25], [0.75, 0.25]])
    assert report.expected_calibration_error(half, np.array([0, 1])) == pytest.approx(0.25)
    assert report.confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 2) == [[1, 1], [0, 1]]
    assert "core" in report.hardware() and "torch" in report.versions()


@pytest.mark.slow  # measures the shipped network
@SHIPPED
@pytest.mark.parametrize("name", list(PHOTO_MODELS))
def test_shipped_cards_are_true(name: str, data_dir: Path) -> None:
    """Every second test photo holds a headline to a point; of the pair, every twentieth."""
    classifier = PhotoClassifier.load(name)
    card = classifier.card
    assert card is not None
    alone = len(PHOTO_MODELS[name].members) == 1
    test = data.cifar10(data_dir, train=False).part(np.arange(0, 10_000, 2 if alone else 20))
    claimed = card.metrics[0].value / 100 if alone else card.tables["together"]["accuracy"]
    variance = claimed * (1 - claimed) * (1 / len(test) - 1 / 10_000)  # of a part of the whole
    assert export.accuracy(classifier, test) == pytest.approx(claimed, abs=3 * variance**0.5)


@SHIPPED
def test_shipped_models_are_no_worse_than_before() -> None:
    """The aim is 95 %, which both together have; how, is in train/LOG.md."""
    small, large = (weights.verify(name) for name in PHOTO_MODELS["cifar10"].members)
    for card in (small, large):
        assert (
            card.metrics[0].name == "accuracy"
            and card.metrics[0].n == 10000
            and card.metrics[0].value >= 94.0
        )
    assert small.tables["from_scratch"]["test_accuracy"] < small.metrics[0].value / 100
    together = large.tables["together"]
    assert together["accuracy"] >= 0.95 and together["with"] == small.sha256, (
        "measure_together has to run again"
    )
