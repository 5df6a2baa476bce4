"""A further cycle (--init-from-shipped): it begins with what is shipped, and its card tells of all
cycles."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tasks.classification.photos import PhotoClassifier
from tasks.core import weights
from tasks.diffusion.process import alpha_bars
from tasks.networks.denoiser_unet import DenoiserUNet
from tasks.networks.diffusion_unet import DiffusionUNet
from tasks.networks.efficientnet_lite import EfficientNetLite
from train import denoiser, enhancer, report
from train.common import synthetic
from train.common.batch_norm_folding import fold
from train.common.synthetic import striped_photos
from train.diffusion import plans as diffusion_plans
from train.diffusion import training as diffusion_training
from train.photos import export as photos_export
from train.photos import plans as photos_plans
from train.photos.__main__ import smoke
from train.photos.training import train as train_photos


def farthest(network: torch.nn.Module, shipped: torch.nn.Module) -> float:
    """The largest difference between two networks' tensors."""
    others = shipped.state_dict()
    return max(
        float((value - others[name]).abs().max()) for name, value in network.state_dict().items()
    )


@pytest.mark.parametrize("script", [denoiser, enhancer], ids=["denoiser", "enhancer"])
def test_denoiser_and_enhancer_begin_with_the_shipped_weights(script: type, tmp_path: Path) -> None:
    name = script.__name__.rpartition(".")[2]
    if not (weights.FOLDER / f"{name}.json").is_file():
        pytest.skip(f"no {name} is shipped yet")
    plan = replace(script.Plan(), steps=1, batch=4, **{**script.ANOTHER_CYCLE, "lr": 1e-6})  # type: ignore[attr-defined]
    done = script.train(plan, synthetic.textures(6), [], 0, tmp_path, False)  # type: ignore[attr-defined]
    shipped, _ = weights.load(name, DenoiserUNet)
    assert 0 < farthest(done.network, shipped) < 1e-4
    new = replace(plan, init_from_shipped=False)
    if name == "denoiser":
        assert (
            farthest(
                denoiser.train(new, synthetic.textures(6), [], 0, tmp_path / "new", False).network,
                shipped,
            )
            > 0.1
        )


def test_diffusion_begins_with_the_shipped_weights(tmp_path: Path) -> None:
    plan = replace(
        diffusion_plans.PLANS["mnist"],
        **{**diffusion_plans.ANOTHER_CYCLE, "lr": 1e-6, "batch": 4, "epochs": 0.05},
    )
    done = diffusion_training.train(plan, synthetic.clock_hands(100), 0, tmp_path, False)
    assert done.steps == 1
    assert 0 < farthest(done.network, weights.load("diffusion_mnist", DiffusionUNet)[0]) < 1e-4


def test_high_noise_has_full_weight() -> None:
    bars, x, t = alpha_bars(), torch.zeros(4, 1, 2, 2), torch.tensor([0, 300, 700, 999])
    snr = (bars / (1 - bars))[t].float()
    weight = diffusion_training.noised(x, t, bars, high_noise=True)[2].flatten()
    torch.testing.assert_close(weight, (snr + 1).clamp(max=5) / (snr + 1))
    assert weight[3] > 0.999 and weight[0] < 0.01
    assert diffusion_training.noised(x, t, bars)[2].flatten()[3] < 1e-6


def test_photos_begin_with_the_shipped_weights_and_keep_the_first_stages(tmp_path: Path) -> None:
    plan = replace(
        photos_plans.PLANS["imagenet"],
        **{**photos_plans.ANOTHER_CYCLE, "lr": 1e-6, "epochs": 1, "batch": 32, "size": 64},
    )
    done = train_photos("imagenet", 0, striped_photos(40, 0), plan, tmp_path, False)
    shipped, _ = weights.load("photos", EfficientNetLite)
    fold(shipped, plan.folded)
    theirs = shipped.state_dict()
    assert not any("running" in name for name in theirs)  # every batch norm is folded
    ours = done.network.state_dict()
    differs = {name: float((value - theirs[name]).abs().max()) for name, value in ours.items()}
    first = ("stem.", *(f"stages.{i}." for i in range(plan.frozen)))
    for name, difference in differs.items():
        assert difference == 0 if name.startswith(first) else 0 < difference < 1e-4, name


def test_the_photo_card_keeps_curve_and_comparison_of_the_first_cycle(tmp_path: Path) -> None:
    """Steps of the second are counted as pictures: 32 a step are a quarter of a step of 128."""
    before = smoke(tmp_path / "first", 0, False)
    ours = train_photos(
        "imagenet",
        0,
        striped_photos(80, 0),
        replace(photos_plans.PLANS["imagenet"], epochs=2, size=32, batch=16),
        tmp_path / "second",
        False,
    )
    plan = replace(photos_plans.PLANS["imagenet"], size=32, batch=16, init_from_shipped=True)
    photos, test = striped_photos(80, 0), striped_photos(40, 1)
    card = photos_export.export_photos(
        ours, None, photos, test, 0, plan, tmp_path / "weights", before
    )
    assert card.curve[: len(before.curve)] == before.curve
    last = before.curve[-1]["step"] + ours.steps * 16 / before.tables["batch"]
    assert card.curve[-1]["step"] == last and card.tables["batch"] == before.tables["batch"]
    assert card.tables["from_scratch"] == before.tables["from_scratch"]
    assert card.tables["first_cycle"] == before.metrics[0].value / 100
    assert [m.name for m in card.metrics] == [m.name for m in before.metrics]
    command = (
        "python -m train.photos --init-from-shipped --frozen 0 --folded 3 --sam-rho 0 "
        "--batch 16 --lr 0.0007"
    )
    assert card.training["command"] == f"{before.training['command']}, then {command}"
    once_more = photos_export.after_another_cycle(replace(card, tables={**card.tables}), card)
    assert once_more.tables["first_cycle"] == card.tables["first_cycle"]


def test_two_networks_are_measured_together_and_again_after_a_change(tmp_path: Path) -> None:
    """Their figures stand on the larger one's card, with the hash of the smaller."""
    smoke(tmp_path, 0, False)
    folder, photos, test = tmp_path / "weights", striped_photos(80, 0), striped_photos(40, 1)
    with pytest.raises(weights.WeightsError, match="photos_lite2"):
        PhotoClassifier.load("cifar10", folder)
    plan = replace(photos_plans.PLANS["imagenet"], epochs=1, size=32, variant=2)
    done = train_photos("imagenet", 0, photos, plan, tmp_path / "lite2", False)
    card = photos_export.export_photos(done, None, photos, test, 0, plan, folder)
    assert card.name == "photos_lite2" and card.config["variant"] == 2 and "Lite2" in card.title
    assert card.tables["together"]["with"] == weights.read_card("photos", folder).sha256
    both = PhotoClassifier.load("cifar10", folder)
    assert both.temperature == card.tables["together"]["temperature"] and "+ Lite2" in both.title
    (claimed,) = (m.value for m in card.metrics if m.name.startswith("accuracy together"))
    assert 100 * photos_export.accuracy(both, test) == pytest.approx(claimed, abs=1e-3)

    smoke(tmp_path, 1, False)  # the smaller one anew
    changed = weights.read_card("photos_lite2", folder)
    assert changed.tables["together"]["with"] == weights.read_card("photos", folder).sha256
    assert (
        changed.tables["together"]["with"] != card.tables["together"]["with"]
        and changed.sha256 == card.sha256
    )
    assert [m.name for m in changed.metrics] == [m.name for m in card.metrics]


def test_the_card_before_a_further_cycle_of_the_photos_is_kept(tmp_path: Path) -> None:
    first = photos_export.card_before(tmp_path)
    assert first == weights.read_card("photos")
    kept = tmp_path / "before" / "photos.json"
    kept.write_text(
        kept.read_text(encoding="utf-8").replace(first.title, "as it was"), encoding="utf-8"
    )
    assert photos_export.card_before(tmp_path).title == "as it was"


def test_the_card_has_both_commands_and_all_minutes(tmp_path: Path) -> None:
    before = report.training_before(tmp_path / "run", "denoiser")
    assert before == weights.read_card("denoiser").training
    (tmp_path / "run" / "before.json").write_text(json.dumps({"command": "first", "minutes": 7.5}))
    before = report.training_before(
        tmp_path / "run", "denoiser"
    )  # what was there when the cycle began
    after = report.both_cycles(before, {"command": "second", "minutes": 2, "seed": 1})
    assert after == {"command": "first, then second", "minutes": 9.5, "seed": 1}
    gpu, cpu = (
        {"command": "c", "minutes": 1, "hardware": on}
        for on in ("16 cores, NVIDIA H200", "2 cores, no GPU")
    )
    assert report.both_cycles(gpu, cpu)["hardware"] == "16 cores, NVIDIA H200, then 2 cores, no GPU"
    assert report.both_cycles(cpu, cpu)["hardware"] == "2 cores, no GPU"
