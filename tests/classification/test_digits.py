"""The digit reader: known answers on real digits, every kind of image, saliency, bad input,
training.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tasks.classification.digits import DigitClassifier, rotate
from tasks.core import digit_preprocessing, weights
from tasks.core.images import ImageError
from tasks.networks.digit_cnn import DigitCNN, DigitEnsemble, TextbookCNN
from tests import hostile
from train import data, digit_variants, digits, report

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def classifier() -> DigitClassifier:
    return DigitClassifier.load()


@pytest.fixture(scope="module")
def test_digits(data_dir: Path) -> data.ImageSet:
    return data.mnist(data_dir, train=False)


def drawn_one(height: int = 200, width: int = 160) -> np.ndarray:
    page = np.full((height, width), 245, np.uint8)
    page[height // 5 : -height // 5, width * 9 // 20 : width * 11 // 20] = 30
    return page


# -- the network and its card ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "network",
    [DigitCNN(), DigitEnsemble(3), TextbookCNN()],
    ids=["member", "ensemble", "textbook"],
)
def test_networks_give_ten_logits(network: torch.nn.Module) -> None:
    assert network.eval()(torch.rand(3, 1, 28, 28)).shape == (3, 10)


def test_ours_stays_under_a_million_parameters() -> None:
    assert report.n_parameters(DigitEnsemble(len(digits.CYCLES))) < 1_000_000


def test_card_is_true(classifier: DigitClassifier, test_digits: data.ImageSet) -> None:
    part = test_digits.part(slice(0, 2000))
    read = classifier.classify_batch(part.images).argmax(1)
    measured = 100 * (read == part.labels).mean()
    errors = np.array(classifier.card.tables["confusion"])
    assert errors.sum() == 10_000
    assert 100 * np.trace(errors) / 10_000 == pytest.approx(classifier.card.metrics[0].value)
    # points: 3.3 sigma at n = 2000
    assert measured == pytest.approx(classifier.card.metrics[0].value, abs=0.4)


def test_target_of_the_card(classifier: DigitClassifier) -> None:
    mean = next(m for m in classifier.card.metrics if m.name == "mean accuracy")
    assert mean.value >= 99.70
    assert int(mean.conditions.split()[0]) >= 3  # seeds
    lowest = next(
        m for m in classifier.card.metrics if m.name == "lowest accuracy by kind of image"
    )
    assert lowest.n >= 500
    assert lowest.value == min(classifier.card.tables["variants"].values()) >= 95


def test_probabilities(classifier: DigitClassifier) -> None:
    batch = np.random.default_rng(0).integers(0, 255, (5, 28, 28), np.uint8)
    p = classifier.classify_batch(batch)
    assert p.shape == (5, 10)
    assert p.dtype == np.float32
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(classifier.classify_batch(batch[3:4])[0], p[3], atol=1e-5)
    assert classifier.classify_batch(batch[:0]).shape == (0, 10)


def test_upright_is_one_reading_of_all_angles(
    classifier: DigitClassifier, test_digits: data.ImageSet
) -> None:
    batch = test_digits.images[:200]
    upright = classifier.classify_batch(batch, upright=True)
    careful = classifier.classify_batch(batch)
    assert (upright != careful).any()  # the careful reading looks at other angles too
    assert (upright.argmax(1) == test_digits.labels[:200]).mean() >= 0.98
    assert np.abs(upright - careful).mean() < 0.02


def test_a_picture_and_a_batch_agree(
    classifier: DigitClassifier, test_digits: data.ImageSet
) -> None:
    batch = classifier.classify_batch(test_digits.images[:50])
    for digit, expected in zip(test_digits.images[:50], batch, strict=True):
        np.testing.assert_allclose(
            list(classifier.classify(Image.fromarray(digit)).values()), expected, atol=1e-5
        )


@pytest.mark.parametrize("name", digit_variants.VARIANTS)
def test_every_kind_of_picture_is_read(
    classifier: DigitClassifier, test_digits: data.ImageSet, name: str
) -> None:
    part = test_digits.part(slice(200, 280))
    right = 0
    for image, label in zip(
        digit_variants.render(name, part.images, seed=1), part.labels, strict=True
    ):
        answer = classifier.classify(image)
        right += max(answer, key=answer.__getitem__) == str(label)
    assert right / len(part) >= 0.95


def test_integrated_gradients_add_up(
    classifier: DigitClassifier, test_digits: data.ImageSet
) -> None:
    """Completeness: the saliency sums to the logit less that of the empty page."""
    for digit in test_digits.images[:5]:
        labels = [0, 4, 9]
        saliency = classifier.explain(digit, labels)
        both = torch.from_numpy(np.stack([digit, np.zeros_like(digit)])).unsqueeze(1).float() / 255
        with torch.inference_mode():
            member: Any = classifier.network.members[0]  # type: ignore[index, union-attr]
            logits = member(both.to(next(member.parameters()).device)).cpu().numpy()
        gained = (logits[0] - logits[1])[labels]
        np.testing.assert_allclose(saliency.sum((1, 2)), gained, atol=0.1 * np.abs(logits).max())
        assert (saliency[:, digit == 0] == 0).all()


def test_integrated_gradients_are_captums() -> None:
    """On random weights, with many more points on the path, which is another one than ours."""
    from captum.attr import IntegratedGradients

    torch.manual_seed(0)
    network = DigitCNN().eval()
    ours = DigitClassifier(network, weights.read_card("digits"))
    digit = digit_preprocessing.extract_digit(drawn_one())
    x = torch.from_numpy(digit)[None, None].float() / 255
    for label, found in zip((1, 7), ours.explain(digit, [1, 7]), strict=True):
        exact = IntegratedGradients(network).attribute(
            x, target=label, n_steps=400, method="riemann_middle"
        )[0, 0]
        error = np.abs(found - exact.detach().numpy()).max()
        assert error < 0.02 * float(exact.abs().max())


def test_a_kernel_is_that_over_the_input_that_weighs_most(classifier: DigitClassifier) -> None:
    network = classifier.network
    member: Any = network.members[0] if isinstance(network, DigitEnsemble) else network
    weight = member.stage2[-1][0].weight.detach().cpu().numpy()  # (C, inputs, 3, 3)
    shown = classifier.kernels()["stage2"]
    assert shown.shape == (len(weight), 3, 3)
    for kernel, of_map in zip(shown, weight, strict=True):
        sums = [(one**2).sum() for one in of_map]
        np.testing.assert_array_equal(kernel, of_map[int(np.argmax(sums))])


def test_feature_maps_are_those_of_the_forward_pass(classifier: DigitClassifier) -> None:
    digit = digit_preprocessing.extract_digit(drawn_one())
    maps = classifier.feature_maps(digit)
    assert {k: v.shape for k, v in maps.items()} == {
        "stage1": (16, 28, 28),
        "stage2": (40, 14, 14),
        "stage3": (80, 7, 7),
    }
    pooled = torch.from_numpy(maps["stage3"]).mean((1, 2))
    network: Any = classifier.network.members[0]  # type: ignore[index, union-attr]
    network = network.cpu()
    logits = network.head(pooled)
    expected = network(torch.from_numpy(digit)[None, None].float() / 255)[0]
    np.testing.assert_allclose(logits.detach().numpy(), expected.detach().numpy(), atol=1e-4)


def test_turning() -> None:
    x = torch.zeros(1, 1, 28, 28)
    x[..., 4, 14:24] = 1
    assert torch.equal(rotate(x, 0), x)
    np.testing.assert_allclose(rotate(x, 90), x.rot90(1, (2, 3)), atol=1e-4)
    np.testing.assert_allclose(rotate(x, -90), x.rot90(-1, (2, 3)), atol=1e-4)


# -- ink -------------------------------------------------------------------------------------------


def test_digit_is_fitted_and_centred() -> None:
    digit = digit_preprocessing.extract_digit(drawn_one())
    rows, _ = np.nonzero(digit > 100)
    assert rows.max() - rows.min() + 1 == 20
    y, x = np.mgrid[:28, :28]
    assert abs((y * digit).sum() / digit.sum() - 13.5) <= 0.5
    assert abs((x * digit).sum() / digit.sum() - 13.5) <= 0.5


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_place_and_polarity_do_not_matter(scale: int) -> None:
    page = np.full((280, 280), 250, np.uint8)
    page[30 : 30 + 30 * scale, 200 : 200 + 4 * scale] = 10
    moved = np.roll(page, (100, -150), (0, 1))
    reference = digit_preprocessing.extract_digit(page).astype(int)
    # edges fall between other pixels
    assert np.abs(reference - digit_preprocessing.extract_digit(moved).astype(int)).mean() <= 3
    assert np.abs(reference - digit_preprocessing.extract_digit(255 - page).astype(int)).max() <= 1


EMPTY = {
    "white": np.full((280, 280), 255, np.uint8),
    "black": np.zeros((280, 280), np.uint8),
    "noise": np.random.default_rng(0).normal(128, 12, (280, 280)).clip(0, 255).astype(np.uint8),
    "gradient": np.tile(np.linspace(60, 230, 280).astype(np.uint8), (280, 1)),
    "28x28 black": np.zeros((28, 28), np.uint8),
}


@pytest.mark.parametrize("name", EMPTY)
def test_an_empty_page_is_said_to_be_empty(classifier: DigitClassifier, name: str) -> None:
    with pytest.raises(digit_preprocessing.NoDigitError, match="No digit was found"):
        classifier.classify(EMPTY[name])


# -- bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", hostile.REFUSED)
def test_refused_with_a_sentence(classifier: DigitClassifier, name: str, tmp_path: Path) -> None:
    with pytest.raises(ImageError) as caught:
        classifier.classify(hostile.REFUSED[name](tmp_path))
    assert len(str(caught.value)) > 30
    answer = classifier.classify(hostile.good_png(tmp_path))
    assert max(answer, key=answer.__getitem__) == "1"


@pytest.mark.parametrize("name", [n for n in hostile.ODD if n != "very wide"])
def test_odd_pictures_are_read(classifier: DigitClassifier, name: str, tmp_path: Path) -> None:
    answer = classifier.classify(hostile.ODD[name](tmp_path))
    assert max(answer, key=answer.__getitem__) == "1"


@pytest.mark.parametrize(
    "bad",
    [np.zeros((2, 27, 28), np.uint8), np.zeros((2, 28, 28)), [[0]], np.zeros((28, 28), np.uint8)],
)
def test_a_batch_of_another_shape_is_refused(classifier: DigitClassifier, bad: object) -> None:
    with pytest.raises(ImageError, match=r"uint8 \(N, 28, 28\)"):
        classifier.classify_batch(bad)  # type: ignore[arg-type]


def test_damaged_weights_are_named(tmp_path: Path) -> None:
    for file in weights.FOLDER.glob("digits.*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    blob = bytearray((tmp_path / "digits.safetensors").read_bytes())
    blob[5000] ^= 1
    (tmp_path / "digits.safetensors").write_bytes(blob)
    with pytest.raises(weights.WeightsError, match=r"digits\.safetensors"):
        DigitClassifier.load(tmp_path)


# -- training --------------------------------------------------------------------------------------


def test_augmentation_keeps_shape_and_range() -> None:
    torch.manual_seed(0)
    x = torch.zeros(64, 1, 28, 28)
    x[..., 6:22, 12:16] = 1
    y = digits.augment(x.clone())
    assert y.shape == x.shape
    assert y.min() >= 0
    assert y.max() <= 1
    assert (y.sum((1, 2, 3)) > 15).all()  # the stroke is still there
    assert not torch.equal(y[0], y[1])


def test_smoke_training_ships_and_resumes(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "train.digits",
        "--smoke",
        "--seeds",
        "0",
        "--out",
        str(tmp_path / "w"),
        "--runs",
        str(tmp_path / "runs"),
    ]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env=os.environ, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    first = DigitClassifier.load(tmp_path / "w")
    assert first.card.metrics[0].value > 60  # clock hands at ten hours are easy
    again = subprocess.run(
        [*command, "--resume"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert again.returncode == 0, again.stderr[-2000:]
    assert weights.read_card("digits", tmp_path / "w").sha256 == first.card.sha256


def test_smoke_does_not_touch_the_real_weights() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "train.digits", "--smoke"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "--out" in done.stderr


def test_weights_that_say_columns_load_into_members() -> None:
    """The bundled file is from when the members of the ensemble were called columns."""
    ensemble = DigitEnsemble(2, (2, 3, 4))
    state = {k.replace("members.", "columns."): v for k, v in ensemble.state_dict().items()}
    other = DigitEnsemble(2, (2, 3, 4))
    other.load_state_dict(state, strict=True)
    for name, value in ensemble.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name
