"""The loop that every training here runs in: steps, schedule, EMA, checkpoints, curves; on `accelerate`.

Resuming is exact because nothing random is carried over: before each step every generator is seeded from (seed, step,
process), so the batch, its augmentation and dropout are functions of the step alone. A checkpoint is then the network,
its moving average, the optimiser and the step. `runs/<name>/` (ignored by git) holds checkpoint.pt and TensorBoard
curves; `accelerate launch -m train.<name>` runs the same loop on several processes or GPUs.
"""

import copy
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from itertools import compress
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import recursively_apply, send_to_device
from torch import Tensor, nn
from tqdm import tqdm

from tasks import compute
from train import report


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
    minutes: float | None = None  # the clock is the schedule: over after so many, `steps` only divides the time
    sharpness: float | None = None  # SAM's radius rho: descend by the gradient that far uphill; two passes a step

    def lr_at(self, step: float) -> float:
        """Learning rate of a step (0-based)."""
        if self.warmup is None:
            return self.lr
        rise = max(1, round(self.warmup * self.steps))
        if step < rise:
            return self.lr * (step + 1) / rise
        return self.lr * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, self.steps - rise)))


@dataclass
class Progress:
    """How far a training is, for whoever makes its batches; `fit` keeps it."""

    share: float = 0.0  # in [0, 1)


@dataclass
class Fit:
    """What came out: the network to ship (the moving average where there is one), its curve and its cost."""

    network: nn.Module
    curve: list[dict[str, float]] = field(default_factory=list)  # {"step", "loss", and what `evaluate` returned}
    minutes: float = 0.0
    steps: int = 0
    pictures: int = 0  # seen, each as often as it came
    where: dict[str, str] = field(default_factory=dict)  # "hardware" and "versions" that the last steps ran on


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
    progress: Progress | None = None,
    prepare: Callable[[Any], Any] | None = None,
) -> Fit:
    """Train `network` for `recipe.steps` steps, or for `recipe.minutes`.

    Args:
        batch_at: (step, rank, world) -> one batch of this process, drawn from torch's global generator; it is moved to
            the processor that trains.
        loss: (network, batch) -> scalar.
        evaluate: called on the network to ship, where it lies, every `evaluate_every` steps and at the end; goes into
            the curve.
        stop_after: leave after this many steps in all, with a checkpoint: what an interruption looks like.
        groups: the network -> the optimiser's parameter groups, where parts of it learn differently ("lr_scale",
            "betas"); None: weight decay on matrices and kernels only.
        progress: is kept up to date before each batch.
        prepare: makes of a batch, where it is trained on, what `loss` gets; once a step, however many passes that has.
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
    on_gpu = accelerator.device.type == "cuda"
    parameters = groups(network) if groups else _parameter_groups(network, recipe)
    optimizer = torch.optim.AdamW(parameters, lr=recipe.lr, fused=on_gpu or None)
    model, optimizer = accelerator.prepare(network, optimizer)
    bare: nn.Module = accelerator.unwrap_model(model)
    average = _MovingAverage(bare, recipe.ema) if recipe.ema is not None else None
    progress = progress or Progress()

    file = run / "checkpoint.pt"
    start, minutes_before, where = 0, 0.0, report.where()
    curve: list[dict[str, float]] = []
    losses: list[Tensor] = []  # since the last point of the curve
    if resume and file.is_file():
        saved = torch.load(file, map_location="cpu", weights_only=True)
        before_it = {one.name: one.default for one in fields(Recipe)}  # of fields that are newer than the checkpoint
        if before_it | saved["recipe"] != asdict(recipe):
            raise ValueError(f"{file} was written by the recipe {saved['recipe']}, not {asdict(recipe)}")
        bare.load_state_dict(saved["network"])
        if saved["optimizer"] is not None:  # else it has ended
            optimizer.load_state_dict(saved["optimizer"])
        if average is not None:
            average.load_state_dict(saved["average"])
        start, curve, minutes_before = saved["step"], saved["curve"], saved["minutes"]
        where = saved.get("where", where) if saved["optimizer"] is None else where
        losses = [torch.tensor(value, device=accelerator.device) for value in saved.get("losses", [])]

    began = last_save = time.monotonic()

    def minutes() -> float:
        return minutes_before + (time.monotonic() - began) / 60

    preparing = 0.0  # minutes of the first step, in which a GPU's kernels are compiled; not in the schedule

    def share_at(step: int) -> float:
        return step / recipe.steps if recipe.minutes is None else (minutes() - preparing) / recipe.minutes

    def save(step: int, ended: bool = False) -> None:
        if accelerator.is_main_process:
            state = {
                "recipe": asdict(recipe),
                "network": bare.state_dict(),
                "optimizer": None if ended else optimizer.state_dict(),
                "average": average.state_dict() if average is not None else None,
                "step": step,
                "curve": curve,
                "losses": [value.item() for value in losses],
                "minutes": minutes(),
                "where": where,
            }
            torch.save(state, file.with_suffix(".tmp"))
            os.replace(file.with_suffix(".tmp"), file)  # a kill in the middle leaves the old one whole

    def gradients(batch: Any) -> Tensor:
        value = loss(model, batch)
        optimizer.zero_grad(set_to_none=True)
        accelerator.backward(value)
        return value

    def to_ship() -> nn.Module:
        return average.module if average is not None else bare

    step, every = start, evaluate_every or recipe.steps
    share = share_at(step)
    ended = share >= 1
    bar = tqdm(initial=start, total=None if recipe.minutes else recipe.steps, mininterval=5, desc=run.name,
               disable=not accelerator.is_main_process)  # fmt: skip
    while not ended and step != stop_after:
        progress.share = share
        torch.manual_seed(((recipe.seed * 2_000_003 + step) * 64 + rank) % 2**63)
        bare.train()
        for group in optimizer.param_groups:
            group["lr"] = recipe.lr_at(share * recipe.steps) * group.get("lr_scale", 1.0)
        batch = batch_at(step, rank, world)
        if on_gpu:  # from locked memory it is copied while the step before it is still computed
            batch = recursively_apply(_pinned, batch)
        batch = send_to_device(batch, accelerator.device, non_blocking=on_gpu)
        if prepare is not None:
            batch = prepare(batch)
        with torch.random.fork_rng(enabled=recipe.sharpness is not None):  # the second pass draws the same numbers
            value = gradients(batch)
        if recipe.sharpness is not None:
            with uphill(bare, recipe.sharpness):
                gradients(batch)
        if recipe.clip is not None:
            accelerator.clip_grad_norm_(bare.parameters(), recipe.clip)
        optimizer.step()
        if average is not None:
            average.update()
        losses.append(value.detach().float())

        preparing = preparing or minutes() - minutes_before
        step += 1
        before, share = share, share_at(step)
        ended = share >= 1
        bar.update()
        if ended or round(share * recipe.steps, 6) // every > round(before * recipe.steps, 6) // every:
            point = {"step": float(step), "loss": torch.stack(losses).mean().item()}
            if evaluate is not None and accelerator.is_main_process:
                point |= evaluate(to_ship().eval())
            losses.clear()
            curve.append(point)
            accelerator.log({k: v for k, v in point.items() if k != "step"}, step=step)
            if accelerator.is_main_process:
                tqdm.write("  ".join(f"{k} {v:.5g}" for k, v in point.items()) + f"  min {minutes():.1f}")
        if time.monotonic() - last_save > 60 * checkpoint_minutes:
            save(step)
            last_save = time.monotonic()
    bar.close()
    if step > start:
        save(step, ended)
    for tracker in accelerator.trackers:  # not end_training(): it would end the processes' group before the next seed
        tracker.finish()
    return Fit(to_ship().eval(), curve, minutes(), step, step * recipe.batch, where)


@contextmanager
def uphill(network: nn.Module, radius: float) -> Iterator[None]:
    """Inside, the weights lie `radius` further in the direction of their gradient: the worst place near by.

    Sharpness-aware minimisation, Foret et al. 2021 (arXiv 2010.01412), equation 2 with the Euclidean norm. Frozen
    parameters stay. Running statistics of batch norms are not set back: where there are some, they follow both passes.
    """
    moved: list[Tensor] = [p for p in network.parameters() if p.grad is not None]
    with torch.no_grad():
        here, ahead = [p.clone() for p in moved], [p.grad for p in moved if p.grad is not None]
        norm = torch.stack(torch._foreach_norm(ahead)).norm()
        torch._foreach_add_(moved, torch._foreach_mul(ahead, radius / (norm + 1e-12)))
    try:
        yield
    finally:
        with torch.no_grad():
            torch._foreach_copy_(moved, here)


def _pinned(x: Tensor) -> Tensor:
    return x.pin_memory() if x.device.type == "cpu" else x


def _parameter_groups(network: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Weight decay on matrices and kernels, none on biases and norms; frozen parameters left out."""
    trained = [p for p in network.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]


class _MovingAverage:
    """Exponential moving average of parameters and buffers; the decay rises from 0.1 so that early steps fade.

    As torch's `AveragedModel`, whose counter lies on the GPU and makes every step wait for it.
    """

    def __init__(self, network: nn.Module, decay: float):
        self.module, self.decay, self.n = copy.deepcopy(network), decay, 0
        self.own, self.new = list(self.module.state_dict().values()), list(network.state_dict().values())

    @torch.no_grad()
    def update(self) -> None:
        """Take in the network's weights as they are now."""
        weight = 1 - min(self.decay, (1 + self.n) / (10 + self.n)) if self.n else 1.0
        self.n += 1
        floating = [own.is_floating_point() for own in self.own]
        torch._foreach_lerp_(list(compress(self.own, floating)), list(compress(self.new, floating)), weight)
        for own, new, is_floating in zip(self.own, self.new, floating, strict=True):
            if not is_floating:  # batch norm's counters
                own.copy_(new)

    def state_dict(self) -> dict[str, Any]:
        return {"n": self.n, "module": self.module.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.n = state["n"]
        self.module.load_state_dict(state["module"])
