"""The training loop: resumed runs equal straight ones; schedule, averages, batches, curves."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from train import loop, options
from train.data import Shuffled
from train.loop import BatchAt, Fit, Recipe, Trainer
from train.photos.plans import PLANS

N, BATCH = 40, 8
RECIPE = Recipe(
    steps=23, batch=BATCH, lr=1e-2, weight_decay=0.1, ema=0.9, clip=1.0, bf16=False, seed=3
)

Curve = list[dict[str, float]]


class Small(nn.Module):
    """State that a resume could lose: batch norm's statistics, dropout, a frozen layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.frozen = nn.Conv2d(4, 4, 1).requires_grad_(False)
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:  # (B, 1, 6, 6)
        x = self.frozen(self.norm(self.conv(x)).relu())  # (B, 4, 4, 4)
        return self.head(self.dropout(x.mean((2, 3))))  # (B, 3)


def images_and_labels() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(N, 1, 6, 6, generator=generator), torch.randint(
        0, 3, (N,), generator=generator
    )


def train(
    run: Path,
    recipe: Recipe = RECIPE,
    stop_after: int | None = None,
    every: int | None = 5,
    **options: Any,
) -> Fit:
    images, labels = images_and_labels()
    torch.manual_seed(recipe.seed)
    network = Small()

    def batch_at(at: BatchAt) -> tuple[Tensor, Tensor]:
        index = Shuffled(N, BATCH, recipe.seed).at(at.step, at.rank, at.world)
        x = images[index]
        noise = torch.randn(x.shape, generator=at.generator)
        return x + 0.1 * noise, labels[index]

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return F.cross_entropy(model(batch[0]), batch[1])

    @torch.inference_mode()
    def evaluate(model: nn.Module) -> dict[str, float]:
        torch.rand(7)  # an evaluation that draws from the generator must not matter
        return {"val_accuracy": float((model(images).argmax(1) == labels).float().mean())}

    trainer = Trainer(network, batch_at, loss, recipe, run, **options)
    for _ in trainer.steps(stop_after):
        if trainer.is_due(every):
            trainer.record(evaluate)
    return trainer.result()


def checkpoint(run: Path) -> dict[str, Any]:
    return torch.load(run / "checkpoint.pt", weights_only=True)


def assert_same(a: Any, b: Any) -> None:
    """Bitwise, through dictionaries and lists."""
    if isinstance(a, Tensor):
        assert a.dtype == b.dtype
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    else:
        assert a == b


# -- interrupted and resumed -----------------------------------------------------------


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> tuple[Fit, dict[str, Any]]:
    run = tmp_path_factory.mktemp("straight")
    return train(run), checkpoint(run)


@pytest.mark.parametrize("stops", [(1,), (5,), (12,), (22,), (3, 4, 13)], ids=str)
def test_resumed_run_is_bitwise_the_straight_one(
    stops: tuple[int, ...], straight: tuple[Fit, dict[str, Any]], tmp_path: Path
) -> None:
    for i, stop in enumerate(stops):
        part = train(tmp_path, stop_after=stop, resume=i > 0)
        assert part.steps == stop
    resumed = train(tmp_path, resume=True)
    assert resumed.steps == RECIPE.steps
    assert_same(
        straight[0].network.state_dict(), resumed.network.state_dict()
    )  # the moving average
    assert straight[0].curve == resumed.curve
    a, b = straight[1], checkpoint(tmp_path)
    for state in (a, b):
        state.pop("minutes", None)
    assert_same(a, b)  # weights, moving average, optimiser, curve


@pytest.mark.parametrize("prefetch", [0, 1, 7])
def test_prefetching_changes_no_number(
    prefetch: int, straight: tuple[Fit, dict[str, Any]], tmp_path: Path
) -> None:
    train(tmp_path, stop_after=9, prefetch=prefetch)
    done = train(tmp_path, prefetch=prefetch, resume=True)
    assert done.curve == straight[0].curve
    assert_same(done.network.state_dict(), straight[0].network.state_dict())


def test_batches_are_made_in_a_thread_and_end_with_the_training(tmp_path: Path) -> None:
    threads = set()

    def batch_at(at: BatchAt) -> Tensor:
        threads.add(threading.current_thread().name)
        return torch.rand(2, 3, generator=at.generator)

    recipe = Recipe(steps=5, batch=2, lr=0.1, bf16=False)
    network = nn.Linear(3, 1)
    trainer = Trainer(network, batch_at, lambda m, x: m(x).mean(), recipe, tmp_path)
    assert list(trainer.steps()) == [1, 2, 3, 4, 5]
    assert len(threads) == 1 and threads.isdisjoint(t.name for t in threading.enumerate())


def test_a_batch_that_fails_ends_the_training_with_its_error(tmp_path: Path) -> None:
    def batch_at(at: BatchAt) -> Tensor:
        if at.step == 3:
            raise OSError("the photo cannot be read")
        return torch.ones(2, 3)

    recipe = Recipe(steps=9, batch=2, lr=0.1, bf16=False)
    trainer = Trainer(nn.Linear(3, 1), batch_at, lambda m, x: m(x).mean(), recipe, tmp_path)
    with pytest.raises(OSError, match="cannot be read"):
        list(trainer.steps())
    assert trainer.step == 3


@pytest.mark.parametrize(
    "change",
    [{"ema": None}, {"warmup": None}, {"clip": None}, {"weight_decay": 0.0}],
    ids=lambda c: next(iter(c)),
)
def test_resume_with_parts_off(change: dict[str, Any], tmp_path: Path) -> None:
    recipe = replace(RECIPE, steps=9, **change)
    straight = train(tmp_path / "straight", recipe)
    train(tmp_path / "parts", recipe, stop_after=4)
    assert_same(
        straight.network.state_dict(),
        train(tmp_path / "parts", recipe, resume=True).network.state_dict(),
    )


def test_another_seed_is_another_run(straight: tuple[Fit, dict[str, Any]], tmp_path: Path) -> None:
    other = train(tmp_path, replace(RECIPE, seed=4))
    assert not torch.equal(
        straight[0].network.state_dict()["head.weight"], other.network.state_dict()["head.weight"]
    )


def test_resume_without_checkpoint_starts(
    straight: tuple[Fit, dict[str, Any]], tmp_path: Path
) -> None:
    assert train(tmp_path, resume=True).curve == straight[0].curve


def test_without_resume_a_checkpoint_is_not_read(
    straight: tuple[Fit, dict[str, Any]], tmp_path: Path
) -> None:
    train(tmp_path, stop_after=9)
    assert train(tmp_path).curve == straight[0].curve


def test_resume_of_a_finished_run_changes_nothing(
    straight: tuple[Fit, dict[str, Any]], tmp_path: Path
) -> None:
    train(tmp_path)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    again = train(tmp_path, resume=True)
    assert again.curve == straight[0].curve
    assert again.minutes > 0
    assert_same(again.network.state_dict(), straight[0].network.state_dict())
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_resume_with_another_recipe_is_refused(tmp_path: Path) -> None:
    train(tmp_path, stop_after=2)
    with pytest.raises(ValueError, match="was written by the recipe"):
        train(tmp_path, replace(RECIPE, lr=1.0), resume=True)


def test_an_interrupted_save_keeps_the_checkpoint(
    straight: tuple[Fit, dict[str, Any]], tmp_path: Path
) -> None:
    train(tmp_path, stop_after=7)
    (tmp_path / "checkpoint.tmp").write_bytes(
        b"half a checkpoint"
    )  # what a kill while saving leaves
    assert train(tmp_path, resume=True).curve == straight[0].curve
    assert not (tmp_path / "checkpoint.tmp").exists()


def test_a_failing_save_keeps_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(tmp_path, stop_after=7)
    before = (tmp_path / "checkpoint.pt").read_bytes()

    def full_disk(state: Any, path: Path) -> None:
        Path(path).write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(OSError, match="no space"):
        train(tmp_path, resume=True)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_checkpoints_come_by_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []
    save = torch.save

    def note_and_save(state: dict[str, Any], path: Path) -> None:
        steps.append(state["step"])
        save(state, path)

    monkeypatch.setattr(torch, "save", note_and_save)
    train(tmp_path, replace(RECIPE, steps=4), checkpoint_minutes=0.0)
    assert steps[:4] == [1, 2, 3, 4]


# -- by the clock ----------------------------------------------------------------------


def test_the_clock_can_be_the_schedule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 9.5 seconds, each step takes one and the first, in which kernels are compiled, 30 more."""
    now, shares = [100.0], []
    monkeypatch.setattr(loop.time, "monotonic", lambda: now[0])

    def batch_at(at: BatchAt) -> Tensor:
        now[0] += 1 if at.step else 31
        shares.append(at.share)
        return torch.ones(2, 3)

    recipe = Recipe(steps=100, batch=2, lr=1.0, warmup=None, bf16=False, minutes=9.5 / 60)

    def run(resume: bool) -> Fit:
        options: dict[str, Any] = {"resume": resume, "prefetch": 0, "checkpoint_minutes": 99}
        network = nn.Linear(3, 1)
        trainer = Trainer(network, batch_at, lambda m, x: m(x).mean(), recipe, tmp_path, **options)
        for _ in trainer.steps():
            if trainer.is_due(every=50):
                trainer.record()
        return trainer.result()

    done = run(resume=False)
    assert shares == [pytest.approx(max(0, i - 1) / 9.5) for i in range(11)]
    assert done.steps == 11 and [p["step"] for p in done.curve] == [6, 11]
    assert done.minutes == pytest.approx(41 / 60)  # the truth, compiling included
    again = run(resume=True)
    assert again.steps == 11 and again.curve == done.curve


def test_machine_is_kept(tmp_path: Path) -> None:
    done = train(tmp_path)
    assert done.ran_on["versions"].startswith("Python ") and "core" in done.ran_on["hardware"]
    kept = checkpoint(tmp_path)
    torch.save(
        kept | {"where": {"hardware": "a large one", "versions": "old"}}, tmp_path / "checkpoint.pt"
    )
    assert (
        train(tmp_path, resume=True).ran_on["hardware"] == "a large one"
    )  # nothing was trained here
    assert kept["optimizer"] is None  # it has ended


def test_budget_options_for_the_card() -> None:
    parser = options.training("", "MNIST")
    options.add_budget(parser)
    assert options.budget(parser.parse_args([])) == {}
    given = options.budget(parser.parse_args(["--minutes", "2.25", "--batch", "128"]))
    usual = replace(PLANS["imagenet"])
    assert options.budget_options(replace(usual, **given), usual) == " --minutes 2.25 --batch 128"
    assert options.budget_options(usual, usual) == ""


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], False),
        (["--export"], True),
        (["--ship"], True),
        (["--no-export"], False),
        (["--export", "--no-ship"], False),
    ],
)
def test_earlier_names_of_export_are_accepted(given: list[str], expected: bool) -> None:
    assert options.training("", "MNIST").parse_args(given).export is expected


@pytest.mark.parametrize("name", options.RENAMED)
def test_earlier_names_of_options_are_accepted(name: str) -> None:
    parser = options.training("", "MNIST")
    options.add(parser, name, type=float, default=1.0, help="how much")
    attribute = name[2:].replace("-", "_")
    for option in (name, options.RENAMED[name]):
        assert getattr(parser.parse_args([option, "0.5"]), attribute) == 0.5
    assert getattr(parser.parse_args([]), attribute) == 1.0
    assert options.RENAMED[name] not in parser.format_help()


# -- curve, averages, schedule ---------------------------------------------------------


def test_curve_has_a_point_at_every_evaluation_and_at_the_end(
    straight: tuple[Fit, dict[str, Any]],
) -> None:
    curve = straight[0].curve
    assert [point["step"] for point in curve] == [5, 10, 15, 20, 23]
    assert all(set(point) == {"step", "loss", "val_accuracy"} for point in curve)


def test_is_due_at_the_end_without_a_number_of_steps(tmp_path: Path) -> None:
    assert [p["step"] for p in train(tmp_path, every=None).curve] == [23]


def test_tensorboard_event_file_holds_the_curve(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    curve = train(tmp_path).curve
    (events,) = tmp_path.rglob("events.out.tfevents.*")
    reader = EventAccumulator(str(events.parent))
    reader.Reload()
    read = [(event.step, event.value) for event in reader.Scalars("val_accuracy")]
    assert read == [(p["step"], pytest.approx(p["val_accuracy"])) for p in curve]


def test_resulting_network_is_in_eval_mode(straight: tuple[Fit, dict[str, Any]]) -> None:
    assert not any(module.training for module in straight[0].network.modules())


def test_frozen_layer_stays(straight: tuple[Fit, dict[str, Any]]) -> None:
    torch.manual_seed(RECIPE.seed)
    assert torch.equal(straight[0].network.state_dict()["frozen.weight"], Small().frozen.weight)


def test_moving_average_is_the_reference(tmp_path: Path) -> None:
    """Of each step's weights and norm statistics: a <- d a + (1 - d) w.

    d = min(decay, (1 + n) / (10 + n)).
    """
    recipe = replace(RECIPE, steps=6)
    states = []
    for stop in range(1, 7):
        train(tmp_path, recipe, stop_after=stop, resume=stop > 1)
        states.append(checkpoint(tmp_path)["network"])
    expected = states[0]
    for n, state in enumerate(states[1:], start=1):
        decay = min(0.9, (1 + n) / (10 + n))
        for key, value in state.items():
            floating = value.is_floating_point()
            expected[key] = decay * expected[key] + (1 - decay) * value if floating else value
    averaged = train(tmp_path, recipe, resume=True).network.state_dict()
    for key, value in expected.items():
        torch.testing.assert_close(averaged[key], value, rtol=1e-5, atol=1e-6)


def test_one_step_is_adamw_on_matrices_only(tmp_path: Path) -> None:
    """Against torch's own optimiser on a network without randomness; biases and norms do not
    decay.
    """
    recipe = Recipe(steps=3, batch=4, lr=0.1, warmup=None, weight_decay=0.5, bf16=False)
    x, y = torch.randn(4, 5, generator=torch.Generator().manual_seed(1)), torch.tensor([0, 1, 0, 1])
    torch.manual_seed(0)
    network, reference = nn.Linear(5, 2), nn.Linear(5, 2)
    reference.load_state_dict(network.state_dict())
    groups = [
        {"params": [reference.weight], "weight_decay": 0.5},
        {"params": [reference.bias], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        F.cross_entropy(reference(x), y).backward()
        optimizer.step()

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return F.cross_entropy(model(batch[0]), batch[1])

    trainer = Trainer(network, lambda at: (x, y), loss, recipe, tmp_path)
    assert list(trainer.steps()) == [1, 2, 3]
    assert_same(trainer.result().network.state_dict(), reference.state_dict())


@pytest.mark.parametrize(
    ("step", "lr"), [(0, 0.1), (4, 0.5), (9, 1.0), (10, 1.0), (55, 0.5), (100, 0.0)]
)
def test_lr_rises_linearly_then_falls_as_a_cosine(step: int, lr: float) -> None:
    assert Recipe(steps=100, batch=1, lr=1.0, warmup=0.1).lr_at(step) == pytest.approx(lr, abs=0.01)


def test_lr_without_warmup_is_constant() -> None:
    assert {Recipe(steps=9, batch=1, lr=0.3, warmup=None).lr_at(s) for s in range(9)} == {0.3}


# -- batches ---------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "batch"), [(12, 4), (13, 4), (3, 8), (1, 1)])
def test_shuffled_shows_each_index_once_an_epoch(n: int, batch: int) -> None:
    shuffled = Shuffled(n, batch, seed=5)
    for epoch in range(3):
        seen = torch.cat(
            [shuffled.at(epoch * shuffled.per_epoch + k) for k in range(shuffled.per_epoch)]
        ).tolist()
        assert len(set(seen)) == len(seen) == n // min(batch, n) * min(batch, n)
        assert set(seen) <= set(range(n))


def test_shuffled_is_a_function_of_seed_and_step() -> None:
    forward = [Shuffled(10, 3, seed=1).at(s).tolist() for s in range(9)]
    one = Shuffled(10, 3, seed=1)
    assert [one.at(s).tolist() for s in reversed(range(9))] == forward[::-1]
    assert [Shuffled(10, 3, seed=2).at(s).tolist() for s in range(9)] != forward
    assert sorted(map(tuple, forward[:3])) != sorted(
        map(tuple, forward[3:6])
    )  # another order in the next epoch


@pytest.mark.parametrize("world", [2, 3, 4])
def test_ranks_partition_a_batch(world: int) -> None:
    batch = Shuffled(40, 12, seed=0).at(4).tolist()
    parts = [Shuffled(40, 12, 0).at(4, rank, world).tolist() for rank in range(world)]
    assert {len(part) for part in parts} == {12 // world}
    assert sorted(index for part in parts for index in part) == sorted(batch)
