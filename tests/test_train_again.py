"""A further cycle (--again): it begins with what is shipped, and its card tells of all cycles."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tasks import weights
from tasks.diffusion import alpha_bars
from tasks.networks.denoiser_unet import DenoiserUNet
from tasks.networks.diffusion_unet import DiffusionUNet
from train import denoiser, diffusion, digits, enhancer, report, restoration


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
