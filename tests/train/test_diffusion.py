"""The diffusion training: smoke, exact resume, weights of the loss; the shipped cards."""

from pathlib import Path

import pytest
import torch

from tasks.core import weights
from tasks.diffusion.generator import DATASETS, DiffusionGenerator
from tasks.diffusion.process import alpha_bars
from tasks.networks.digit_cnn import TextbookCNN
from train import data, digit_measures, digits, feature_extractor
from train.common import synthetic
from train.diffusion.__main__ import main
from train.diffusion.export import generate
from train.diffusion.plans import PLANS
from train.diffusion.training import noised, train

SHIPPED = [name for name in DATASETS if (weights.FOLDER / f"diffusion_{name}.json").is_file()]


def test_smoke_with_resume(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--smoke", "--out", str(tmp_path)])
    card = weights.read_card("diffusion_mnist", tmp_path / "weights")
    main(["--smoke", "--resume", "--out", str(tmp_path)])  # finished: trains no further
    assert weights.read_card("diffusion_mnist", tmp_path / "weights").sha256 == card.sha256
    assert card.headline in capsys.readouterr().out
    assert card.curve[-1]["val_loss"] < card.curve[0]["val_loss"]
    assert set(card.tables["samplers"]) == {"ddpm", "ddim", "dpm++", "unipc"}
    generator = DiffusionGenerator.load("mnist", tmp_path / "weights")
    assert generator.generate(2, 0, 1, n_steps=2).shape == (2, 28, 28)


def test_smoke_never_overwrites_what_is_shipped() -> None:
    for script in (main, feature_extractor.main):
        with pytest.raises(SystemExit):
            script(["--smoke"])


def test_an_interrupted_training_ends_the_same(tmp_path: Path) -> None:
    plan, images = PLANS["smoke"], synthetic.clock_hands(200)
    straight = train(plan, images, 0, tmp_path / "straight", False)
    train(plan, images, 0, tmp_path / "cut", False, stop_after=2)
    resumed = train(plan, images, 0, tmp_path / "cut", True)
    for name, value in straight.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name]), name


def test_noised_images() -> None:
    bars, x = alpha_bars(), torch.rand(3, 1, 8, 8) * 2 - 1
    t = torch.tensor([0, 500, 999])
    x_t, v, weight = noised(x, t, bars)
    a = bars[t].float()[:, None, None, None]
    torch.testing.assert_close(a.sqrt() * x_t - (1 - a).sqrt() * v, x, atol=1e-5, rtol=1e-5)
    snr = (bars / (1 - bars))[t].float()
    torch.testing.assert_close(weight.flatten(), snr.clamp(max=5) / (snr + 1))


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_parameters_are_within_the_budget(name: str) -> None:
    from tasks.networks.diffusion_unet import DiffusionUNet

    n = sum(p.numel() for p in DiffusionUNet(**PLANS[name].config).parameters())
    assert n <= (3e6 if name == "mnist" else 10e6)


def test_feature_extractor_smoke(tmp_path: Path) -> None:
    feature_extractor.main(["--smoke", "--out", str(tmp_path), "--runs", str(tmp_path / "runs")])
    assert weights.verify("feature_extractor", tmp_path).metrics[0].value > 90


@pytest.mark.slow  # measures the shipped network
def test_bundled_feature_extractor_is_as_its_card_says(data_dir: Path) -> None:
    network, card = weights.load("feature_extractor", TextbookCNN)
    classifier, test = digits.classifier_of(network), data.mnist(data_dir, train=False)
    accuracy = digit_measures.test_accuracy(classifier, test)
    assert accuracy == pytest.approx(card.metrics[0].value, abs=0.05)


@pytest.mark.slow  # measures the shipped network
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("name", "n"), [("mnist", 500), ("cifar10", 1000)])
def test_shipped_card_is_true(name: str, n: int) -> None:
    """The headline: label agreement, of the first n of the images that the card is about."""
    from tasks.classification.digits import DigitClassifier
    from tasks.classification.photos import PhotoClassifier

    generator = DiffusionGenerator.load(name)
    classifier = (
        DigitClassifier.load() if name == "mnist" else PhotoClassifier.load("cifar10_lite0")
    )
    steps = int(generator.card.preprocess.get("steps", 10))
    images, labels, _ = generate(generator, n, "unipc", steps)
    agreement = 100 * (classifier.classify_batch(images).argmax(1) == labels).mean()
    # 3 sigma of 500 digits; CIFAR-10's are all of the card's, and only rounding is left
    assert agreement == pytest.approx(generator.card.metrics[0].value, abs=0.7)
