"""The denoiser's training: smoke, exact resume, noise and crops; what is bundled."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tasks.core import weights
from tasks.denoising.denoiser import Denoiser
from tasks.networks.denoiser_unet import DenoiserUNet
from train import denoiser
from train.common import restoration_data, synthetic

SHIPPED = pytest.mark.skipif(
    not (weights.FOLDER / "denoiser.json").is_file(), reason="not trained yet"
)


def test_smoke_with_resume(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    denoiser.main(["--smoke", "--out", str(tmp_path)])
    card = weights.read_card("denoiser", tmp_path / "weights")
    denoiser.main(["--smoke", "--resume", "--out", str(tmp_path)])  # finished: trains no further
    assert weights.read_card("denoiser", tmp_path / "weights").sha256 == card.sha256
    assert card.headline in capsys.readouterr().out
    assert any("eight-fold" in m.name for m in card.metrics)
    assert card.curve[-1]["psnr_25"] > card.curve[0]["psnr_25"] + 1
    assert Denoiser.load(tmp_path / "weights").denoise_array(
        np.zeros((20, 30), np.float32)
    ).shape == (20, 30)


def test_smoke_never_overwrites_what_is_shipped() -> None:
    with pytest.raises(SystemExit):
        denoiser.main(["--smoke"])


def test_an_interrupted_training_ends_the_same(tmp_path: Path) -> None:
    plan, images = replace(denoiser.SMOKE, steps=6), synthetic.textures(6)
    straight = denoiser.train(plan, images, images, 0, tmp_path / "straight", False)
    denoiser.train(plan, images, images, 0, tmp_path / "cut", False, stop_after=4)
    resumed = denoiser.train(plan, images, images, 0, tmp_path / "cut", True)
    for name, value in straight.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name]), name


def test_loss_is_one_for_what_a_good_denoiser_leaves() -> None:
    sigma = torch.tensor([9.0, 49.0]).view(2, 1, 1, 1)
    clean = torch.full((2, 1, 8, 8), 0.5)
    restored = clean + (3.1 * (sigma + 1)).sqrt() / 255
    assert denoiser.relative_error(restored, clean, sigma).item() == pytest.approx(1, abs=1e-3)


def test_noise_is_seeded_and_of_its_sigma() -> None:
    noise = restoration_data.seeded_noise((300, 300), 25, 3)
    assert noise.std() * 255 == pytest.approx(25, rel=0.02) and abs(noise.mean()) < 1e-3
    assert np.array_equal(noise, restoration_data.seeded_noise((300, 300), 25, 3))


def test_held_out_images_are_not_trained_on() -> None:
    images = [np.full((4, 4), i, np.uint8) for i in range(200)]
    fit, held = restoration_data.split(images)
    assert len(held) == restoration_data.HELD_OUT and len(fit) + len(held) == 200
    assert not {int(p[0, 0]) for p in fit} & {int(p[0, 0]) for p in held}


def test_crops_come_from_the_images() -> None:
    own, others = [np.full((40, 40), 51, np.uint8)], [np.full((50, 60), 204, np.uint8)]
    torch.manual_seed(0)
    drawn = restoration_data.Crops(own, others, share=0.25).draw(400, 32)
    assert drawn.shape == (400, 1, 32, 32)
    torch.testing.assert_close(drawn.unique(), torch.tensor([0.2, 0.8]))
    share = float((drawn[:, 0, 0, 0] > 0.5).float().mean())
    assert 0.2 < share < 0.45  # copies of the small image below 32 px are left out


def test_crops_in_colour_keep_pixels_whole() -> None:
    image = np.stack([np.full((40, 40), level, np.uint8) for level in (10, 20, 30)], 2)
    image[:, 20:] *= 2
    drawn = (restoration_data.Crops([image], [image[::-1]]).draw(30, 32) * 255).round()
    assert drawn.shape == (30, 3, 32, 32)
    for channel in (1, 2):  # but for the rounding of the reduced copies
        assert float((drawn[:, channel] - (channel + 1) * drawn[:, 0]).abs().max()) <= 3


def test_self_ensemble_turns_everything_back() -> None:
    """A new network is the identity, so the mean over the eight turns is the image."""
    noisy = np.random.default_rng(0).random((24, 32), np.float32)
    same = denoiser.ensemble(Denoiser(DenoiserUNet(widths=(8, 16), blocks=(1, 1))), noisy, 25)
    np.testing.assert_allclose(same, noisy, atol=1e-6)


def test_parameters_are_within_the_budget() -> None:
    plan = denoiser.Plan()
    assert sum(p.numel() for p in DenoiserUNet(1, 1, plan.widths, plan.blocks).parameters()) <= 3e6


@pytest.mark.slow  # measures the shipped network
@SHIPPED
def test_bundled_card_is_true(data_dir: Path) -> None:
    """The headline on all of BSD68; and with sigma estimated, on its first images."""
    card, images = weights.read_card("denoiser"), restoration_data.images(data_dir, "BSD68")
    known = denoiser.scores(Denoiser.load(), images, 25)["psnr"]
    assert known == pytest.approx(card.metrics[0].value, abs=0.02)
    blind = denoiser.scores(Denoiser.load(), images[:6], 25, "blind")["psnr"]
    assert blind == pytest.approx(card.tables["first_six"], abs=0.1)
