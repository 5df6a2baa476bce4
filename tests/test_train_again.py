"""A further cycle (--again): it begins with what is shipped, and its card tells of all cycles."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tasks import weights
from tasks.classification import PhotoClassifier
from tasks.diffusion import alpha_bars
from tasks.networks.denoiser_unet import DenoiserUNet
from tasks.networks.diffusion_unet import DiffusionUNet
from tasks.networks.efficientnet_lite import EfficientNetLite
from train import denoiser, diffusion, digits, enhancer, photos, photos_ship, report, restoration


def farthest(network: torch.nn.Module, shipped: torch.nn.Module) -> float:
    """The largest difference between two networks' tensors."""
    others = shipped.state_dict()
    return max(float((value - others[name]).abs().max()) for name, value in network.state_dict().items())


@pytest.mark.parametrize("script", [denoiser, enhancer], ids=["denoiser", "enhancer"])
def test_denoiser_and_enhancer_begin_with_the_shipped_weights(script: type, tmp_path: Path) -> None:
    name = script.__name__.rpartition(".")[2]
    if not (weights.FOLDER / f"{name}.json").is_file():
        pytest.skip(f"no {name} is shipped yet")
    plan = replace(script.Plan(), steps=1, batch=4, **{**script.AGAIN, "lr": 1e-6})  # type: ignore[attr-defined]
    done = script.train(plan, restoration.made_up(6), [], 0, tmp_path, False)  # type: ignore[attr-defined]
    shipped, _ = weights.load(name, DenoiserUNet)
    assert 0 < farthest(done.network, shipped) < 1e-4
    new = replace(plan, again=False)
    if name == "denoiser":
        assert (
            farthest(denoiser.train(new, restoration.made_up(6), [], 0, tmp_path / "new", False).network, shipped) > 0.1
        )


def test_diffusion_begins_with_the_shipped_weights(tmp_path: Path) -> None:
    plan = replace(diffusion.PLANS["mnist"], **{**diffusion.AGAIN, "lr": 1e-6, "batch": 4, "epochs": 0.05})
    done = diffusion.train(plan, digits.synthetic(100), 0, tmp_path, False)
    assert done.steps == 1
    assert 0 < farthest(done.network, weights.load("diffusion_mnist", DiffusionUNet)[0]) < 1e-4


def test_high_noise_has_full_weight() -> None:
    bars, x, t = alpha_bars(), torch.zeros(4, 1, 2, 2), torch.tensor([0, 300, 700, 999])
    snr = (bars / (1 - bars))[t].float()
    weight = diffusion.noised(x, t, bars, high_noise=True)[2].flatten()
    torch.testing.assert_close(weight, (snr + 1).clamp(max=5) / (snr + 1))
    assert weight[3] > 0.999 and weight[0] < 0.01
    assert diffusion.noised(x, t, bars)[2].flatten()[3] < 1e-6


def test_photos_begin_with_the_shipped_weights_and_keep_the_first_stages(tmp_path: Path) -> None:
    plan = replace(photos.PLANS["imagenet"], **{**photos.AGAIN, "lr": 1e-6, "epochs": 1, "batch": 32, "size": 64})
    done = photos.train("imagenet", 0, photos.made_up(40, 0), plan, tmp_path, False)
    shipped, _ = weights.load("photos", EfficientNetLite)
    photos.fold(shipped, plan.folded)
    theirs = shipped.state_dict()
    assert not any("running" in name for name in theirs)  # every batch norm is folded
    ours = done.network.state_dict()
    differs = {name: float((value - theirs[name]).abs().max()) for name, value in ours.items()}
    first = ("stem.", *(f"stages.{i}." for i in range(plan.frozen)))
    for name, difference in differs.items():
        assert difference == 0 if name.startswith(first) else 0 < difference < 1e-4, name


def test_the_photo_card_keeps_curve_and_comparison_of_the_first_cycle(tmp_path: Path) -> None:
    """Steps of the second are counted as pictures: 32 a step are a quarter of a step of 128."""
    before = photos.smoke(tmp_path / "first", 0, False)
    ours = photos.train("imagenet", 0, photos.made_up(80, 0), replace(photos.PLANS["imagenet"], epochs=2, size=32,
                        batch=16), tmp_path / "second", False)  # fmt: skip
    plan = replace(photos.PLANS["imagenet"], size=32, batch=16, again=True)
    made, test = photos.made_up(80, 0), photos.made_up(40, 1)
    card = photos_ship.ship(ours, None, made, test, 0, plan, tmp_path / "weights", before)
    assert card.curve[: len(before.curve)] == before.curve
    last = before.curve[-1]["step"] + ours.steps * 16 / before.tables["batch"]
    assert card.curve[-1]["step"] == last and card.tables["batch"] == before.tables["batch"]
    assert card.tables["from_scratch"] == before.tables["from_scratch"]
    assert card.tables["first_cycle"] == before.metrics[0].value / 100
    assert [m.name for m in card.metrics] == [m.name for m in before.metrics]
    command = "python -m train.photos --again --frozen 0 --folded 3 --sharpness 0 --batch 16 --lr 0.0007"
    assert card.training["command"] == f"{before.training['command']}, then {command}"
    once_more = photos_ship.after_another_cycle(replace(card, tables={**card.tables}), card)
    assert once_more.tables["first_cycle"] == card.tables["first_cycle"]


def test_two_networks_are_measured_together_and_again_after_a_change(tmp_path: Path) -> None:
    """Their figures stand on the larger one's card, with the hash of the smaller."""
    photos.smoke(tmp_path, 0, False)
    folder, made, test = tmp_path / "weights", photos.made_up(80, 0), photos.made_up(40, 1)
    with pytest.raises(weights.WeightsError, match="photos_lite2"):
        PhotoClassifier.load("cifar10", folder)
    plan = replace(photos.PLANS["imagenet"], epochs=1, size=32, variant=2)
    done = photos.train("imagenet", 0, made, plan, tmp_path / "lite2", False)
    card = photos_ship.ship(done, None, made, test, 0, plan, folder)
    assert card.name == "photos_lite2" and card.config["variant"] == 2 and "Lite2" in card.title
    assert card.tables["together"]["with"] == weights.read_card("photos", folder).sha256
    both = PhotoClassifier.load("cifar10", folder)
    assert both.temperature == card.tables["together"]["temperature"] and "+ Lite2" in both.title
    (claimed,) = (m.value for m in card.metrics if m.name.startswith("accuracy together"))
    assert 100 * photos_ship.accuracy(both, test) == pytest.approx(claimed, abs=1e-3)

    photos.smoke(tmp_path, 1, False)  # the smaller one anew
    changed = weights.read_card("photos_lite2", folder)
    assert changed.tables["together"]["with"] == weights.read_card("photos", folder).sha256
    assert changed.tables["together"]["with"] != card.tables["together"]["with"] and changed.sha256 == card.sha256
    assert [m.name for m in changed.metrics] == [m.name for m in card.metrics]


def test_the_card_before_a_further_cycle_of_the_photos_is_kept(tmp_path: Path) -> None:
    first = photos.card_before_again(tmp_path)
    assert first == weights.read_card("photos")
    kept = tmp_path / "before" / "photos.json"
    kept.write_text(kept.read_text(encoding="utf-8").replace(first.title, "as it was"), encoding="utf-8")
    assert photos.card_before_again(tmp_path).title == "as it was"


def test_the_card_has_both_commands_and_all_minutes(tmp_path: Path) -> None:
    before = report.before_again(tmp_path / "run", "denoiser")
    assert before == weights.read_card("denoiser").training
    (tmp_path / "run" / "before.json").write_text(json.dumps({"command": "first", "minutes": 7.5}))
    before = report.before_again(tmp_path / "run", "denoiser")  # what was there when the cycle began
    after = report.again(before, {"command": "second", "minutes": 2, "seed": 1})
    assert after == {"command": "first, then second", "minutes": 9.5, "seed": 1}
    gpu, cpu = ({"command": "c", "minutes": 1, "hardware": on} for on in ("16 cores, NVIDIA H200", "2 cores, no GPU"))
    assert report.again(gpu, cpu)["hardware"] == "16 cores, NVIDIA H200, then 2 cores, no GPU"
    assert report.again(cpu, cpu)["hardware"] == "2 cores, no GPU"
