"""The loop that every training here runs in: steps, schedule, EMA, checkpoints, curves; on `accelerate`.

Resuming is exact because nothing random is carried over: before each step every generator is seeded from (seed, step,
process), so the batch, its augmentation and dropout are functions of the step alone. A checkpoint is then the network,
its moving average, the optimiser and the step. `runs/<name>/` (ignored by git) holds checkpoint.pt and TensorBoard
curves; `accelerate launch -m train.<name>` runs the same loop on several processes or GPUs.
"""

import math
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import send_to_device
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from tasks import compute

Tensors = tuple[Tensor, ...] | list[Tensor]


@dataclass(frozen=True)
class Recipe:
    """What a training is made of, besides network and data. `None` = off."""

    steps: int  # optimiser steps
    batch: int  # pictures a step, over all processes
    lr: float  # peak learning rate
    warmup: float | None = 0.1  # share of the steps with a linearly rising lr, then cosine to 0; None: constant lr
    weight_decay: float = 0.0  # AdamW, on matrices and kernels only
    ema: float | None = None  # decay of the moving average of the weights
    clip: float | None = None  # largest gradient norm
    bf16: bool | None = None  # None: where the processor computes bf16 natively
    channels_last: bool = True  # memory format of the kernels; group norms are slower in it than what it saves
    seed: int = 0

    def lr_at(self, step: int) -> float:
        """Learning rate of a step (0-based)."""
        if self.warmup is None:
            return self.lr
        rise = max(1, round(self.warmup * self.steps))
        if step < rise:
            return self.lr * (step + 1) / rise
        return self.lr * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, self.steps - rise)))


@dataclass
class Fit:
    """What came out: the network to ship (the moving average where there is one), its curve and its cost."""

    network: nn.Module
    curve: list[dict[str, float]] = field(default_factory=list)  # {"step", "loss", and what `evaluate` returned}
    minutes: float = 0.0
    steps: int = 0


def fit(
    network: nn.Module,
    batch_at: Callable[[int, int, int], Any],
    loss: Callable[[nn.Module, Any], Tensor],
    recipe: Recipe,
    run: Path,
    *,
    resume: bool = False,
    evaluate: Callable[[nn.Module], dict[str, float]] | None = None,
    evaluate_every: int | None = None,
    checkpoint_minutes: float = 2.0,
    stop_after: int | None = None,
    groups: Callable[[nn.Module], list[dict[str, Any]]] | None = None,
) -> Fit:
    """Train `network` for `recipe.steps` steps.

    Args:
        batch_at: (step, rank, world) -> one batch of this process, drawn from torch's global generator; it is moved to
            the processor that trains.
        loss: (network, batch) -> scalar.
        evaluate: called on the network to ship, where it lies, every `evaluate_every` steps and at the end; goes into
            the curve.
        stop_after: leave after this many steps in all, with a checkpoint: what an interruption looks like.
        groups: the network -> the optimiser's parameter groups, where parts of it learn differently ("lr_scale",
            "betas"); None: weight decay on matrices and kernels only.
    Raises:
        ValueError: `resume` finds a checkpoint that another recipe wrote.
    """
    run.mkdir(parents=True, exist_ok=True)
    bf16 = compute.bf16_is_native() if recipe.bf16 is None else recipe.bf16
    AcceleratorState._reset_state()  # a training before this one, in the same process, may have had another precision
    accelerator = Accelerator(mixed_precision="bf16" if bf16 else "no", log_with="tensorboard", project_dir=str(run))
    accelerator.init_trackers("curves")
    rank, world = accelerator.process_index, accelerator.num_processes
    if recipe.channels_last:
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(groups(network) if groups else _parameter_groups(network, recipe), lr=recipe.lr)
    model, optimizer = accelerator.prepare(network, optimizer)
    bare: nn.Module = accelerator.unwrap_model(model)
    average = _moving_average(bare, recipe.ema) if recipe.ema is not None else None

    file = run / "checkpoint.pt"
    start, minutes_before = 0, 0.0
    curve: list[dict[str, float]] = []
    losses: list[Tensor] = []  # since the last point of the curve
    if resume and file.is_file():
        saved = torch.load(file, map_location="cpu", weights_only=True)
        if saved["recipe"] != asdict(recipe):
            raise ValueError(f"{file} was written by the recipe {saved['recipe']}, not {asdict(recipe)}")
        bare.load_state_dict(saved["network"])
        optimizer.load_state_dict(saved["optimizer"])
        if average is not None:
            average.load_state_dict(saved["average"])
        start, curve, minutes_before = saved["step"], saved["curve"], saved["minutes"]
        losses = [torch.tensor(value, device=accelerator.device) for value in saved.get("losses", [])]

    began = last_save = time.monotonic()

    def minutes() -> float:
        return minutes_before + (time.monotonic() - began) / 60

    def save(step: int) -> None:
        if accelerator.is_main_process:
            state = {
                "recipe": asdict(recipe),
                "network": bare.state_dict(),
                "optimizer": optimizer.state_dict(),
                "average": average.state_dict() if average is not None else None,
                "step": step,
                "curve": curve,
                "losses": [value.item() for value in losses],
                "minutes": minutes(),
            }
            torch.save(state, file.with_suffix(".tmp"))
            os.replace(file.with_suffix(".tmp"), file)  # a kill in the middle leaves the old one whole

    def to_ship() -> nn.Module:
        return average.module if average is not None else bare

    last = recipe.steps if stop_after is None else min(stop_after, recipe.steps)
    for step in tqdm(_steps(start, last), initial=start, total=recipe.steps, disable=not accelerator.is_main_process,
                     mininterval=5, desc=run.name):  # fmt: skip
        torch.manual_seed(((recipe.seed * 2_000_003 + step) * 64 + rank) % 2**63)
        bare.train()
        for group in optimizer.param_groups:
            group["lr"] = recipe.lr_at(step) * group.get("lr_scale", 1.0)
        value = loss(model, send_to_device(batch_at(step, rank, world), accelerator.device))
        optimizer.zero_grad(set_to_none=True)
        accelerator.backward(value)
        if recipe.clip is not None:
            accelerator.clip_grad_norm_(bare.parameters(), recipe.clip)
        optimizer.step()
        if average is not None:
            average.update_parameters(bare)
        losses.append(value.detach().float())

        done = step + 1
        if done % (evaluate_every or recipe.steps) == 0 or done == recipe.steps:
            point = {"step": float(done), "loss": torch.stack(losses).mean().item()}
            if evaluate is not None and accelerator.is_main_process:
                point |= evaluate(to_ship().eval())
            losses.clear()
            curve.append(point)
            accelerator.log({k: v for k, v in point.items() if k != "step"}, step=done)
            if accelerator.is_main_process:
                tqdm.write("  ".join(f"{k} {v:.5g}" for k, v in point.items()) + f"  min {minutes():.1f}")
        if time.monotonic() - last_save > 60 * checkpoint_minutes:
            save(done)
            last_save = time.monotonic()
    if last > start:
        save(last)
    for tracker in accelerator.trackers:  # not end_training(): it would end the processes' group before the next seed
        tracker.finish()
    return Fit(to_ship().eval(), curve, minutes(), max(start, last))


def _steps(start: int, stop: int) -> Iterable[int]:
    return range(start, stop)


def _parameter_groups(network: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Weight decay on matrices and kernels, none on biases and norms; frozen parameters left out."""
    trained = [p for p in network.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _moving_average(network: nn.Module, decay: float) -> AveragedModel:
    """Exponential moving average of parameters and buffers; the decay rises from 0.1 so that early steps fade."""

    def update(average: Tensors, current: Tensors, n: Tensor | int) -> None:
        if average[0].is_floating_point():
            torch._foreach_lerp_(average, current, 1 - min(decay, (1 + int(n)) / (10 + int(n))))
        else:  # batch norm's counters
            for a, c in zip(average, current, strict=True):
                a.copy_(c)

    return AveragedModel(network, multi_avg_fn=update, use_buffers=True)
