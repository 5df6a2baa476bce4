"""The enhancer's training: smoke, exact resume, damage, conventions of the scores."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tasks.core import weights
from tasks.denoising.enhancer import Enhancer
from train import denoiser, enhancer
from train.common import restoration_data, synthetic

SHIPPED = pytest.mark.skipif(
    not (weights.FOLDER / "enhancer.json").is_file(), reason="not trained yet"
)
IDENTITY = enhancer.make_network(enhancer.SMOKE)  # a new network adds nothing


def test_smoke_with_resume(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    enhancer.main(["--smoke", "--out", str(tmp_path)])
    card = weights.read_card("enhancer", tmp_path / "weights")
    enhancer.main(["--smoke", "--resume", "--out", str(tmp_path)])  # finished: trains no further
    assert weights.read_card("enhancer", tmp_path / "weights").sha256 == card.sha256
    assert card.headline in capsys.readouterr().out
    assert card.curve[-1]["psnr_x3"] > card.curve[0]["psnr_x3"]
    small = np.zeros((20, 30, 3), np.uint8)
    assert Enhancer.load(tmp_path / "weights").super_resolve(small, 3).size == (90, 60)
    with pytest.raises(SystemExit):
        enhancer.main(["--smoke"])  # would overwrite what is bundled


def test_measured_again(tmp_path: Path) -> None:
    """The weights stay, the scores are those of the images that came."""
    enhancer.main(["--smoke", "--out", str(tmp_path)])
    card = weights.read_card("enhancer", tmp_path / "weights")
    others = synthetic.textures(2, seed=3)
    again = enhancer.measure_again(others, others, tmp_path / "weights")
    assert again.sha256 == card.sha256 and again.metrics != card.metrics
    assert again.metrics == enhancer.metrics_of(Enhancer.load(tmp_path / "weights"), others, others)
    twice = enhancer.measure_again(others, others, tmp_path / "weights")
    assert twice.test_reads == again.test_reads


def test_an_interrupted_training_ends_the_same(tmp_path: Path) -> None:
    plan, images = replace(enhancer.SMOKE, steps=5), synthetic.textures(6)
    straight = enhancer.train(plan, images, images, 0, tmp_path / "straight", False)
    enhancer.train(plan, images, images, 0, tmp_path / "cut", False, stop_after=2)
    resumed = enhancer.train(plan, images, images, 0, tmp_path / "cut", True)
    for name, value in straight.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name]), name


def test_begins_with_the_denoisers_kernels(tmp_path: Path) -> None:
    denoiser.main(["--smoke", "--out", str(tmp_path)])
    plan = replace(enhancer.SMOKE, widths=denoiser.SMOKE.widths, blocks=denoiser.SMOKE.blocks)
    network = enhancer.make_network(plan)
    assert enhancer.init_from_denoiser(network, tmp_path / "weights")
    assert network.tail.weight.abs().max() > 0  # a new one's is zero
    assert network.head.weight[:, network.fold**2 :].abs().max() == 0
    assert not enhancer.init_from_denoiser(network, tmp_path / "elsewhere")


@pytest.mark.parametrize("task", range(4))
def test_damage_keeps_shape_and_brightness(task: int) -> None:
    torch.manual_seed(0)
    clean = torch.from_numpy(np.stack(synthetic.textures(2, 96))).float()[:, None] / 255
    bad = enhancer.damaged(clean, task)
    assert bad.shape == clean.shape and 0.001 < float((bad - clean).abs().mean()) < 0.1
    assert abs(float(bad.mean() - clean.mean())) < 0.01


@pytest.mark.parametrize(("scale", "bicubic"), [(2, 33.66), (3, 30.39), (4, 28.42)])
def test_bicubic_scores_what_the_papers_say(data_dir: Path, scale: int, bicubic: float) -> None:
    """So size, kernel, rounding, colour and border are those of the published figures."""
    images = restoration_data.images(data_dir, "Set5")
    found = [enhancer.enlarge_and_score(Enhancer(IDENTITY), p, scale) for p in images]
    plain, ours, _ = np.mean(found, 0)
    assert plain == pytest.approx(bicubic, abs=0.03) and ours == pytest.approx(plain, abs=0.01)


def test_jpeg_scores_what_the_papers_say(data_dir: Path) -> None:
    found = enhancer.deblocking(
        Enhancer(IDENTITY), restoration_data.images(data_dir, "classic5"), 10
    )
    assert found["jpeg"] == pytest.approx(27.82, abs=0.01)


@pytest.mark.slow  # measures the shipped network
@SHIPPED
def test_bundled_card_is_true(data_dir: Path) -> None:
    card = weights.read_card("enhancer")
    found = [
        enhancer.enlarge_and_score(Enhancer.load(), p, 3)[1]
        for p in restoration_data.images(data_dir, "Set5")
    ]
    assert float(np.mean(found)) == pytest.approx(card.metrics[0].value, abs=0.03)
