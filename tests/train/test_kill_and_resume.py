"""Trainings killed at random moments and resumed end with the weights of an undisturbed one.

The processes are forked from one that has imported torch already, so that a restart costs a moment
and not seconds. A checkpoint is written after every step, so that many of the kills come while one
is being written.
"""

import multiprocessing
import random
import time
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.core import weights
from tests.train.test_loop import assert_same, checkpoint
from train import loop
from train.loop import BatchAt, Recipe, Trainer

KILLS = 20
IN_A_WRITE = 0.4  # share of the kills that wait until a checkpoint is being written
RECIPE = Recipe(steps=90, batch=8, lr=1e-2, weight_decay=0.1, ema=0.9, clip=1.0, bf16=False, seed=3)
SLOW = 60.0  # s that a process may take for what takes a tenth of one


class Wide(nn.Module):
    """State that a resume could lose; 3 MB of weights, so that a checkpoint takes time to write."""

    def __init__(self) -> None:
        super().__init__()
        self.into, self.norm, self.dropout = (
            nn.Linear(12, 850),
            nn.BatchNorm1d(850),
            nn.Dropout(0.3),
        )
        self.within, self.head = nn.Linear(850, 850), nn.Linear(850, 3)

    def forward(self, x: Tensor) -> Tensor:  # (B, 12)
        x = self.dropout(self.norm(self.into(x)).relu())  # (B, 850)
        return self.head(self.within(x).relu())  # (B, 3)


def train_wide(run: Path) -> None:
    """A training from its checkpoint where there is one; its result is the file `end.pt`."""
    torch.set_num_threads(1)
    torch.manual_seed(RECIPE.seed)

    def batch_at(at: BatchAt) -> tuple[Tensor, Tensor]:
        x = torch.randn(8, 12, generator=at.generator)
        return x, torch.randint(0, 3, (8,), generator=at.generator)

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return F.cross_entropy(model(batch[0]), batch[1])

    trainer = Trainer(Wide(), batch_at, loss, RECIPE, run, resume=True, checkpoint_minutes=0.0)
    for _ in trainer.steps():
        if trainer.is_due(every=7):
            trainer.record()
    done = trainer.result()
    torch.save({"network": done.network.state_dict(), "curve": done.curve}, run / "end.pt")


def train_vae(run: Path) -> None:
    """`python -m train.vae --smoke`, weights and card included."""
    from train import vae

    torch.set_num_threads(1)
    assert loop.Trainer.__init__.__kwdefaults__
    loop.Trainer.__init__.__kwdefaults__["checkpoint_minutes"] = 0.0
    vae.main(["--smoke", "--resume", "--out", str(run)])


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["torch.utils.tensorboard", "torch._dynamo", "train.vae", __name__]
    )
    return context


Start = Callable[[Callable[[Path], None], Path], ForkServerProcess]


@pytest.fixture
def start(processes: ForkServerContext) -> Iterator[Start]:
    started: list[ForkServerProcess] = []

    def begin(training: Callable[[Path], None], run: Path) -> ForkServerProcess:
        run.mkdir(exist_ok=True)
        started.append(processes.Process(target=training, args=(run,)))
        started[-1].start()
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.join()


def undisturbed(start: Start, training: Callable[[Path], None], run: Path) -> None:
    process = start(training, run)
    process.join(SLOW)
    assert process.exitcode == 0


def written(run: Path) -> dict[Path, int]:
    """When each checkpoint of a script's runs was written."""
    found = {}
    for file in run.rglob("checkpoint.pt"):
        found[file] = file.stat().st_mtime_ns
    return found


def kill_at_random(
    start: Start, training: Callable[[Path], None], run: Path, chance: random.Random
) -> bool:
    """Start or resume it, kill it within its next few checkpoints; whether there was something to
    kill.
    """
    before, changes, until = written(run), chance.choice((0, 1, 1, 2, 3)), time.monotonic() + SLOW
    process = start(training, run)
    while changes and process.is_alive() and time.monotonic() < until:
        now = written(run)
        if now != before:
            before, changes = now, changes - 1
        time.sleep(0.001)
    if chance.random() < IN_A_WRITE:
        while (
            not any(run.rglob("checkpoint.tmp")) and process.is_alive() and time.monotonic() < until
        ):
            pass
    else:
        time.sleep(chance.uniform(0, 0.03))  # s; a step with its checkpoint takes about as long
    killed = process.is_alive()
    process.kill()
    process.join(SLOW)
    return killed


def steps_of_checkpoints(run: Path) -> list[int]:
    """The steps of all checkpoints; fails where one cannot be read."""
    return [torch.load(file, weights_only=True)["step"] for file in sorted(written(run))]


def test_killed_twenty_times_a_training_ends_as_an_undisturbed_one(
    start: Start, tmp_path: Path
) -> None:
    undisturbed(start, train_wide, tmp_path / "straight")
    run, chance = tmp_path / "killed", random.Random(20)
    kills, torn, steps = 0, 0, []
    while kills < KILLS:
        assert kill_at_random(start, train_wide, run, chance), (
            f"the training ended after {kills} kills"
        )
        kills += 1
        torn += (run / "checkpoint.tmp").exists()  # it was writing
        steps += steps_of_checkpoints(run)
    assert steps == sorted(steps) and steps[-1] > 0, "a resume lost what was done"
    assert torn, "no kill came in a write"
    undisturbed(start, train_wide, run)
    assert not (run / "checkpoint.tmp").exists()
    a, b = checkpoint(tmp_path / "straight"), checkpoint(run)
    for state in (a, b):
        state.pop("minutes")
    assert_same(a, b)  # weights, moving average, optimiser, curve
    assert_same(
        *(
            torch.load(tmp_path / name / "end.pt", weights_only=True)
            for name in ("straight", "killed")
        )
    )


def test_a_script_killed_in_training_and_export_ends_with_the_same_weights(
    start: Start, tmp_path: Path
) -> None:
    undisturbed(start, train_vae, tmp_path / "straight")
    run, chance = tmp_path / "killed", random.Random(4)
    for _ in range(6):
        kill_at_random(start, train_vae, run, chance)
        steps_of_checkpoints(run)
    undisturbed(start, train_vae, run)
    a, b = (tmp_path / name / "weights" for name in ("straight", "killed"))
    assert sorted(p.name for p in b.iterdir()) == ["vae.json", "vae.safetensors"]
    assert (a / "vae.safetensors").read_bytes() == (b / "vae.safetensors").read_bytes()
    assert weights.verify("vae", b).curve == weights.verify("vae", a).curve
