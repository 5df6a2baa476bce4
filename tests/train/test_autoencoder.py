"""The digits' autoencoder: smoke, exact resume, filters beside it; what is bundled."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tasks.core import weights
from tasks.core.images import ImageError
from tasks.denoising.digit_autoencoder import DigitAutoencoder, add_noise
from tasks.networks.autoencoder import DigitAutoencoderNet
from train import autoencoder, data
from train.common import synthetic

SHIPPED = pytest.mark.skipif(
    not (weights.FOLDER / "autoencoder.json").is_file(), reason="not trained yet"
)


def test_smoke_with_resume(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    autoencoder.main(["--smoke", "--out", str(tmp_path)])
    card = weights.read_card("autoencoder", tmp_path / "weights")
    autoencoder.main(["--smoke", "--resume", "--out", str(tmp_path)])  # finished: trains no further
    assert weights.read_card("autoencoder", tmp_path / "weights").sha256 == card.sha256
    assert card.headline in capsys.readouterr().out
    assert card.curve[-1]["psnr_0.4"] > card.curve[0]["psnr_0.4"]
    assert set(card.tables["psnr"]["0.4"]) == {"noisy", *autoencoder.FILTERS, "autoencoder"}
    with pytest.raises(SystemExit):
        autoencoder.main(["--smoke"])  # would overwrite what is bundled


def test_an_interrupted_training_ends_the_same(tmp_path: Path) -> None:
    digits = synthetic.clock_hands(200)
    straight = autoencoder.train(digits, 0, tmp_path / "straight", False, epochs=3)
    autoencoder.train(digits, 0, tmp_path / "cut", False, epochs=3, stop_after=2)
    resumed = autoencoder.train(digits, 0, tmp_path / "cut", True, epochs=3)
    for name, value in straight.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name]), name


def test_shapes_and_bad_input() -> None:
    handler = DigitAutoencoder(DigitAutoencoderNet(width=8, code=4))
    x = np.zeros((3, 28, 28), np.float32)
    assert handler.clean(x).shape == x.shape and handler.code(x).shape == (3, 4, 7, 7)
    for bad in (x[0], x[:, :20], x.astype(np.uint8)):
        with pytest.raises(ImageError, match="needed"):
            handler.clean(bad)


def test_noise_is_seeded_clipped_and_of_its_sigma() -> None:
    grey = np.full((50, 28, 28), 0.5, np.float32)
    noisy = add_noise(grey, 0.1, 7)
    assert noisy.std() == pytest.approx(0.1, rel=0.02) and noisy.min() >= 0 and noisy.max() <= 1
    assert np.array_equal(noisy, add_noise(grey, 0.1, 7))


def test_psnr_known_answer() -> None:
    clean = np.zeros((2, 28, 28), np.float32)
    assert autoencoder.mean_psnr(clean + 0.1, clean) == pytest.approx(20, abs=1e-4)


@SHIPPED
def test_shipped_card_is_true(data_dir: Path) -> None:
    test = data.mnist(data_dir, train=False).images[:1000].astype(np.float32) / 255
    card = weights.read_card("autoencoder")
    measured = autoencoder.mean_psnr(DigitAutoencoder.load().clean(add_noise(test, 0.4, 3)), test)
    assert measured == pytest.approx(card.metrics[0].value, abs=0.25)
