"""Sharpness-aware minimisation: its equations written out, the same dropout in both passes."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from train.common.sam import ascent_step
from train.loop import Fit, Recipe, Trainer

STEPS, RADIUS = 3, 0.3
X = torch.randn(4, 5, generator=torch.Generator().manual_seed(1))
Y = torch.tensor([0, 1, 0, 1])


def train(
    run: Path,
    network: nn.Module,
    radius: float | None = RADIUS,
    stop_after: int | None = None,
    **options: Any,
) -> Fit:
    recipe = Recipe(steps=STEPS, batch=4, lr=0.1, warmup=None, bf16=False, sam_rho=radius)

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return F.cross_entropy(model(batch[0]), batch[1])

    trainer = Trainer(network, lambda at: (X, Y), loss, recipe, run, **options)
    for _ in trainer.steps(stop_after):
        pass
    return trainer.result()


def linear(dropout: float = 0.0) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Dropout(dropout), nn.Linear(5, 2))


def test_ascent_step_moves_by_rho_and_restores() -> None:
    network = linear()
    F.cross_entropy(network(X), Y).backward()
    before = [p.detach().clone() for p in network.parameters()]
    with ascent_step(network, RADIUS):
        moved = torch.cat(
            [(p - b).flatten() for p, b in zip(network.parameters(), before, strict=True)]
        )
        assert moved.norm().item() == pytest.approx(RADIUS, rel=1e-4)
        ahead = torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])
        assert F.cosine_similarity(moved, ahead, 0).item() == pytest.approx(1, abs=1e-5)
    assert all(torch.equal(p, b) for p, b in zip(network.parameters(), before, strict=True))


def test_ascent_step_without_a_gradient_stays() -> None:
    network = linear()
    F.cross_entropy(0 * network(X), Y).backward()
    with ascent_step(network, RADIUS):
        assert all(bool(p.isfinite().all()) for p in network.parameters())


def test_a_step_descends_by_the_gradient_after_the_ascent_step(tmp_path: Path) -> None:
    """Against the equations written out, with torch's own AdamW."""
    reference = linear()
    parameters = list(reference.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=0.1, weight_decay=0.0)
    for _ in range(STEPS):
        here = torch.autograd.grad(F.cross_entropy(reference(X), Y), parameters)
        norm = torch.sqrt(sum((g**2).sum() for g in here))  # type: ignore[arg-type]
        ahead = [
            (p + RADIUS * g / norm).detach().requires_grad_()
            for p, g in zip(parameters, here, strict=True)
        ]
        there = torch.autograd.grad(F.cross_entropy(F.linear(X, *ahead), Y), ahead)
        for p, g in zip(parameters, there, strict=True):
            p.grad = g
        optimizer.step()
    done = train(tmp_path, linear())
    for name, value in done.network.state_dict().items():
        torch.testing.assert_close(value, reference.state_dict()[name], rtol=1e-4, atol=1e-5)
    plain = train(tmp_path / "plain", linear(), None)
    assert not torch.allclose(
        plain.network.state_dict()["1.weight"], done.network.state_dict()["1.weight"], atol=1e-4
    )


def test_both_passes_see_the_same_dropout_and_a_resume_is_exact(tmp_path: Path) -> None:
    seen: list[Tensor] = []
    network = linear(dropout=0.5)
    network[0].register_forward_hook(lambda module, given, out: seen.append(out.detach().clone()))
    straight = train(tmp_path / "straight", network)
    first, second = seen[::2], seen[1::2]
    assert len(first) == len(second) == STEPS
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0], first[1])
    train(tmp_path / "cut", linear(dropout=0.5), stop_after=1)
    resumed = train(tmp_path / "cut", linear(dropout=0.5), resume=True)
    for name, value in straight.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name])


def test_checkpoints_older_than_the_field_are_resumed(tmp_path: Path) -> None:
    train(tmp_path, linear(), None, stop_after=1)
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    del saved["recipe"]["sam_rho"]
    torch.save(saved, tmp_path / "checkpoint.pt")
    assert train(tmp_path, linear(), None, resume=True).steps == STEPS
    with pytest.raises(ValueError, match=r"'sam_rho': 0\.3"):
        train(tmp_path, linear(), RADIUS, resume=True)


def test_checkpoints_with_the_earlier_name_of_the_field_are_resumed(tmp_path: Path) -> None:
    train(tmp_path, linear(), stop_after=1)
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    saved["recipe"]["sharpness"] = saved["recipe"].pop("sam_rho")
    torch.save(saved, tmp_path / "checkpoint.pt")
    assert train(tmp_path, linear(), resume=True).steps == STEPS
