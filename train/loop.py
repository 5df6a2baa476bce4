"""The loop that every training here runs in: a `Trainer` whose `steps()` yields after each
optimiser step.

    trainer = Trainer(network, batch_at, loss, recipe, run, resume=True)
    for _ in trainer.steps():
        if trainer.is_due(every=500):
            trainer.record(evaluate)
    result = trainer.result()

Resuming is exact because no random state is carried over: all generators of a step are seeded from
(seed, step, process), so the batch, its augmentation and dropout are functions of the step alone.
Hence batches can be made in a thread in advance, and a checkpoint is the network, its moving
average, the optimiser and the step. `runs/<name>/` (ignored by git) holds checkpoint.pt and
TensorBoard curves; `accelerate launch -m train.<name>` runs the same loop on several processes or
GPUs.
"""

import math
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import broadcast, recursively_apply, send_to_device
from torch import Tensor, nn
from tqdm import tqdm

from tasks.core import device
from train import report
from train.common import checkpoint
from train.common.ema import MovingAverage
from train.common.prefetch import prefetched
from train.common.sam import ascent_step

PREFETCH = 2  # batches made in advance


@dataclass(frozen=True)
class Recipe:
    """Hyper-parameters of a training besides network and data. `None` = off."""

    steps: int  # optimiser steps
    batch: int  # images a step, over all processes
    lr: float  # peak learning rate
    # share of the steps with a linearly rising lr, then cosine to 0; None: constant lr
    warmup: float | None = 0.1
    weight_decay: float = 0.0  # AdamW, on matrices and kernels only
    ema: float | None = None  # decay of the moving average of the weights
    clip: float | None = None  # largest gradient norm
    bf16: bool | None = None  # None: where the processor computes bf16 natively
    # memory format of the kernels; group norms are slower in it than what it saves
    channels_last: bool = True
    seed: int = 0
    # schedule by the clock: the training ends after so many, `steps` only divides the time
    minutes: float | None = None
    # radius of sharpness-aware minimisation; two passes a step
    sam_rho: float | None = None

    def lr_at(self, step: float) -> float:
        """Learning rate of a step (0-based)."""
        if self.warmup is None:
            return self.lr
        rise = max(1, round(self.warmup * self.steps))
        if step < rise:
            return self.lr * (step + 1) / rise
        return self.lr * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, self.steps - rise)))


@dataclass(frozen=True)
class BatchAt:
    """Which batch is asked for. It may depend on nothing else."""

    step: int
    rank: int  # of this process
    world: int  # number of processes
    share: float  # of the training that is done, in [0, 1)
    generator: torch.Generator  # seeded from (seed, step, rank): the batch's only source of chance


@dataclass
class Fit:
    """Result of a training: network to export (the moving average where there is one), curve,
    cost.
    """

    network: nn.Module
    curve: list[dict[str, float]] = field(default_factory=list)  # {"step", "loss", evaluation ...}
    minutes: float = 0.0
    steps: int = 0
    images_seen: int = 0  # each as often as it was in a batch
    ran_on: dict[str, str] = field(default_factory=dict)  # "hardware" and "versions", last steps'


class Trainer:
    """Trains `network` for `recipe.steps` steps, or for `recipe.minutes`.

    Args:
        batch_at: which batch -> the batch of this process; called in a thread, unless `prefetch` is
            0.
        loss: (network, batch on the training device) -> scalar.
        resume: continue from the checkpoint in `run` where there is one.
        groups: the network -> parameter groups of the optimiser ("lr_scale" and "betas" may
            differ); None: weight decay on matrices and kernels only.
        prepare: batch on the training device -> what `loss` gets; once a step, however many passes
            that has.
        prefetch: batches made in advance.
    Raises:
        ValueError: `resume` finds a checkpoint that another recipe wrote.
    """

    def __init__(
        self,
        network: nn.Module,
        batch_at: Callable[[BatchAt], Any],
        loss: Callable[[nn.Module, Any], Tensor],
        recipe: Recipe,
        run: Path,
        *,
        resume: bool = False,
        groups: Callable[[nn.Module], list[dict[str, Any]]] | None = None,
        prepare: Callable[[Any], Any] | None = None,
        prefetch: int = PREFETCH,
        checkpoint_minutes: float = 2.0,
    ):
        run.mkdir(parents=True, exist_ok=True)
        self.recipe, self.run, self.file = recipe, run, run / "checkpoint.pt"
        self.batch_at, self.loss, self.prepare = batch_at, loss, prepare
        self.prefetch, self.checkpoint_minutes = prefetch, checkpoint_minutes
        self.accelerator = _accelerator(recipe, run)
        self.on_gpu = self.accelerator.device.type == "cuda"
        if recipe.channels_last:
            network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        parameters = (groups or _decay_matrices(recipe.weight_decay))(network)
        optimizer = torch.optim.AdamW(parameters, lr=recipe.lr, fused=self.on_gpu or None)
        self.model, self.optimizer = self.accelerator.prepare(network, optimizer)
        self.network: nn.Module = self.accelerator.unwrap_model(self.model)
        self.average = None if recipe.ema is None else MovingAverage(self.network, recipe.ema)

        self.step = 0
        self.curve: list[dict[str, float]] = []
        self.losses: list[Tensor] = []  # since the last point of the curve
        self.ran_on = report.machine()
        self._minutes_before = 0.0
        if resume and self.file.is_file():
            self._restore(checkpoint.load(self.file, recipe))
        self._start, self._began = self.step, time.monotonic()
        self._compiling = 0.0  # minutes of the first step, in which a GPU's kernels are compiled
        self.share = self._share_before = self._share_at(self.step)

    @property
    def minutes(self) -> float:
        """Of training so far, those before a resume included."""
        return self._minutes_before + (time.monotonic() - self._began) / 60

    @property
    def averaged(self) -> nn.Module:
        """The network to evaluate and to export: the moving average where there is one."""
        return self.network if self.average is None else self.average.module

    def steps(self, stop_after: int | None = None) -> Generator[int]:
        """Train; yields the number of steps done after each, writes a checkpoint every two minutes
        and at the end.

        Args:
            stop_after: leave after this many steps in all, with a checkpoint: what an interruption
                looks like.
        """
        last_save = time.monotonic()
        with (
            closing(prefetched(self._batch, self.step, self.prefetch)) as batches,
            self._bar() as bar,
        ):
            while self.share < 1 and self.step != stop_after:
                torch.manual_seed(self._seed(self.step))
                self.network.train()
                for group in self.optimizer.param_groups:
                    lr = self.recipe.lr_at(self.share * self.recipe.steps)
                    group["lr"] = lr * group.get("lr_scale", 1.0)
                self._update_weights(self._on_device(next(batches)))
                self._compiling = self._compiling or self.minutes - self._minutes_before
                self.step += 1
                self._share_before, self.share = self.share, self._agreed(self._share_at(self.step))
                bar.update()
                yield self.step
                if time.monotonic() - last_save > 60 * self.checkpoint_minutes:
                    self.save()
                    last_save = time.monotonic()
        if self.step > self._start:
            self.save()
        for tracker in self.accelerator.trackers:
            tracker.finish()  # not end_training(): the next seed needs the group of processes

    def is_due(self, every: int | None = None) -> bool:
        """Whether the last step ended a stretch of `every` steps, or the training."""
        every = every or self.recipe.steps
        done, before = (
            round(share * self.recipe.steps, 6) // every
            for share in (self.share, self._share_before)
        )
        return self.share >= 1 or done > before

    def record(self, evaluate: Callable[[nn.Module], dict[str, float]] | None = None) -> None:
        """Add a point to the curve: step, mean loss since the last point, and what `evaluate`
        returns.
        """
        point = {"step": float(self.step), "loss": torch.stack(self.losses).mean().item()}
        if evaluate is not None and self.accelerator.is_main_process:
            point |= evaluate(self.averaged.eval())
        self.losses.clear()
        self.curve.append(point)
        values = {name: value for name, value in point.items() if name != "step"}
        self.accelerator.log(values, step=self.step)
        if self.accelerator.is_main_process:
            text = "  ".join(f"{name} {value:.5g}" for name, value in point.items())
            tqdm.write(f"{text}  min {self.minutes:.1f}")

    def result(self) -> Fit:
        return Fit(
            self.averaged.eval(),
            self.curve,
            self.minutes,
            self.step,
            self.step * self.recipe.batch,
            self.ran_on,
        )

    def save(self) -> None:
        """Write the checkpoint; that of a training that has ended holds no optimiser."""
        if not self.accelerator.is_main_process:
            return
        state = {
            "recipe": asdict(self.recipe),
            "network": self.network.state_dict(),
            "optimizer": None if self.share >= 1 else self.optimizer.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "step": self.step,
            "curve": self.curve,
            "losses": [value.item() for value in self.losses],
            "minutes": self.minutes,
            "where": self.ran_on,
        }
        checkpoint.save(self.file, state)

    def _restore(self, saved: dict[str, Any]) -> None:
        self.network.load_state_dict(saved["network"])
        if self.average is not None:
            self.average.load_state_dict(saved["average"])
        if saved["optimizer"] is not None:
            self.optimizer.load_state_dict(saved["optimizer"])
        else:  # it has ended: nothing will be trained on this machine
            self.ran_on = saved.get("where", self.ran_on)
        self.step, self.curve, self._minutes_before = (
            saved["step"],
            saved["curve"],
            saved["minutes"],
        )
        on = self.accelerator.device
        self.losses = [torch.tensor(value, device=on) for value in saved.get("losses", [])]

    def _share_at(self, step: int) -> float:
        """Share of the training that is done before `step`; by the clock without the compiling."""
        if self.recipe.minutes is None:
            return step / self.recipe.steps
        if self.step == self._start:
            return self._minutes_before / self.recipe.minutes
        return (self.minutes - self._compiling) / self.recipe.minutes

    def _agreed(self, share: float) -> float:
        """The first process' share: by clocks of their own, processes would end steps apart."""
        if self.recipe.minutes is None or self.accelerator.num_processes == 1:
            return share
        on = self.accelerator.device
        return float(broadcast(torch.tensor(share, dtype=torch.float32, device=on)))

    def _seed(self, step: int) -> int:
        return ((self.recipe.seed * 2_000_003 + step) * 64 + self.accelerator.process_index) % 2**63

    def _batch(self, step: int) -> Any:
        """The batch of a step, in locked memory where a GPU copies it from there."""
        # 2**31 more: its numbers are not those that dropout gets
        generator = torch.Generator().manual_seed((self._seed(step) + 2**31) % 2**63)
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        batch = self.batch_at(BatchAt(step, rank, world, self._share_at(step), generator))
        return recursively_apply(_pinned, batch) if self.on_gpu else batch

    def _on_device(self, batch: Any) -> Any:
        batch = send_to_device(batch, self.accelerator.device, non_blocking=self.on_gpu)
        return batch if self.prepare is None else self.prepare(batch)

    def _update_weights(self, batch: Any) -> None:
        """One step of the optimiser, and of the moving average."""
        rho = self.recipe.sam_rho
        with torch.random.fork_rng(enabled=rho is not None):  # both passes draw the same numbers
            value = self._backward(batch)
        if rho is not None:
            with ascent_step(self.network, rho):
                self._backward(batch)
        if self.recipe.clip is not None:
            self.accelerator.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        self.optimizer.step()
        if self.average is not None:
            self.average.update()
        self.losses.append(value.detach().float())

    def _backward(self, batch: Any) -> Tensor:
        value = self.loss(self.model, batch)
        self.optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(value)
        return value

    def _bar(self) -> tqdm:  # type: ignore[type-arg]
        total = None if self.recipe.minutes else self.recipe.steps
        hidden = not self.accelerator.is_main_process
        return tqdm(
            initial=self.step, total=total, mininterval=5, desc=self.run.name, disable=hidden
        )


def _accelerator(recipe: Recipe, run: Path) -> Accelerator:
    bf16 = device.bf16_is_native() if recipe.bf16 is None else recipe.bf16
    # an earlier training of this process may have had another precision
    AcceleratorState._reset_state()
    accelerator = Accelerator(
        mixed_precision="bf16" if bf16 else "no", log_with="tensorboard", project_dir=str(run)
    )
    accelerator.init_trackers("curves")
    return accelerator


def _pinned(x: Tensor) -> Tensor:
    return x.pin_memory() if x.device.type == "cpu" else x


def _decay_matrices(weight_decay: float) -> Callable[[nn.Module], list[dict[str, Any]]]:
    """Weight decay on matrices and kernels, none on biases and norms; frozen parameters left
    out.
    """

    def groups(network: nn.Module) -> list[dict[str, Any]]:
        trained = [p for p in network.parameters() if p.requires_grad]
        return [
            {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
        ]

    return groups
