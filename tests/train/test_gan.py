"""Training GAN and VAE: smoke, exact resume, losses, the shipped cards; the common protocol."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tasks.core import weights
from tasks.gan.generator import GanGenerator
from tasks.gan.history import GanHistory
from tasks.gan.vae import VaeGenerator
from tasks.networks.dcgan import DCGAN
from train import evaluate, vae
from train.common import synthetic
from train.common.generation import generate_digits, one_step
from train.common.generator_metrics import Evaluator
from train.common.neighbours import Neighbours
from train.data import train_and_val
from train.gan import __main__ as gan
from train.gan.data import shifted
from train.gan.plans import NONE, SHIPPED, STABILISERS, with_helpful
from train.gan.training import Game, fixed_noise, losses, train

TINY = replace(
    NONE,
    steps=6,
    batch=20,
    widths=(8, 8, 8),
    d_widths=(4, 4, 4),
    log_every=2,
    measure_every=100,
)


@pytest.fixture(scope="module")
def evaluator() -> Evaluator:
    return Evaluator.untrained(*train_and_val(synthetic.clock_hands(120)))


def test_gan_smoke(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gan.main(["--smoke", "--out", str(tmp_path)])
    shipped = tmp_path / "weights"
    card = weights.read_card("gan", shipped)
    assert card.headline in capsys.readouterr().out
    assert set(card.tables["stabilisers"]["table"]) == {"none", "moving average", *STABILISERS}
    assert len(card.tables["scores"]["real"]) == 21 and card.curve[-1]["val_agreement"] >= 0
    assert GanGenerator.load(shipped).generate(2, 0, 1).shape == (2, 28, 28)
    for name in ("gan_history", "gan_collapse"):
        history = GanHistory.load(name, shipped)
        assert history.generate(np.zeros((2, 100)), [1, 2]).shape == (2, 2, 28, 28)
        assert set(history.card.tables["snapshots"]) == {"2", "4"}
    gan.main(["--smoke", "--resume", "--out", str(tmp_path)])  # finished: trains no further
    assert weights.read_card("gan", shipped).sha256 == card.sha256


def test_vae_smoke(tmp_path: Path) -> None:
    vae.main(["--smoke", "--out", str(tmp_path)])
    card = weights.read_card("vae", tmp_path / "weights")
    assert card.curve[-1]["held_out_error"] < card.curve[0]["held_out_error"]
    assert VaeGenerator.load(tmp_path / "weights").generate(2, 0, 1).shape == (2, 28, 28)
    vae.main(["--smoke", "--resume", "--out", str(tmp_path)])
    assert weights.read_card("vae", tmp_path / "weights").sha256 == card.sha256


@pytest.mark.parametrize("script", [gan, vae])
def test_smoke_never_overwrites_what_is_shipped(script: object) -> None:
    with pytest.raises(SystemExit):
        script.main(["--smoke"])  # type: ignore[attr-defined]


@pytest.mark.parametrize("norm", ["batch", "spectral"])
def test_an_interrupted_training_ends_the_same(
    tmp_path: Path, evaluator: Evaluator, norm: str
) -> None:
    plan, pictures = replace(TINY, norm=norm, shift=1), synthetic.clock_hands(120)
    straight, _ = train(plan, pictures, evaluator, 0, tmp_path / "straight", False)
    train(plan, pictures, evaluator, 0, tmp_path / "cut", False, stop_after=3)
    resumed, _ = train(plan, pictures, evaluator, 0, tmp_path / "cut", True)
    for name, value in straight.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name]), name


@pytest.mark.parametrize("norm", ["batch", "spectral", "none"])
def test_each_player_learns_from_its_own_loss_only(norm: str) -> None:
    torch.manual_seed(0)
    game = Game(
        DCGAN(generator_widths=(8, 8, 8), discriminator_widths=(4, 4, 4), norm=norm)
    ).train()
    batch = torch.rand(6, 1, 28, 28) * 2 - 1, torch.randn(6, 100), torch.eye(10)[:6]

    def gradients(which: int) -> tuple[bool, bool]:
        game.zero_grad()
        with torch.autocast(
            "cpu", torch.bfloat16
        ):  # as trained: its cache of weights must not let anything through
            logits = game(*batch)
        losses(logits)[which].backward()
        return tuple(
            any(p.grad is not None and bool(p.grad.any()) for p in network.parameters())
            for network in (game.pair.generator, game.pair.discriminator)
        )  # type: ignore[return-value]

    assert gradients(0) == (False, True)
    assert gradients(1) == (True, False)


def test_losses_are_the_papers() -> None:
    real, made = torch.tensor([2.0, -1.0]), torch.tensor([0.5, 0.0])
    d, g = losses((real, made, made), real_target=0.9)
    p, q = real.sigmoid(), made.sigmoid()
    expected = -(0.9 * p.log() + 0.1 * (1 - p).log()).mean() - (1 - q).log().mean()
    torch.testing.assert_close(d, expected)
    torch.testing.assert_close(g, -q.log().mean())


def test_shifted_images_move_as_one() -> None:
    x = -torch.ones(40, 1, 8, 8)
    x[:, 0, 4, 4] = 1
    torch.manual_seed(0)
    moved = shifted(x, 2)
    places = moved[:, 0].flatten(1).argmax(1)
    rows, columns = places // 8, places % 8
    assert ((moved > 0).sum((1, 2, 3)) == 1).all() and set(rows.tolist()) == set(
        columns.tolist()
    ) == {2, 3, 4, 5, 6}
    assert shifted(x, 0) is x


def test_only_what_helped_is_taken() -> None:
    table = {name: {"distance": 9.0} for name in STABILISERS} | {
        "moving average": {"distance": 5.0}
    }
    table["label smoothing"] = {"distance": 4.0}
    plan, helped = with_helpful(SHIPPED, table)
    assert (
        helped == ["label smoothing"]
        and plan.real_target == 0.9
        and plan.norm == "batch"
        and plan.shift == 0
    )


def test_bound_is_zero_where_nothing_is_lost() -> None:
    x = torch.tensor([[[[0.0, 1.0]]]])
    error, divergence = vae.bound(
        torch.tensor([[[[-60.0, 60.0]]]]), x, torch.zeros(1, 3), torch.zeros(1, 3)
    )
    assert float(error) < 1e-6 and float(divergence) == 0
    q, p = torch.distributions.Normal(1.0, 2.0), torch.distributions.Normal(0.0, 1.0)
    _, divergence = vae.bound(x, x, torch.ones(1, 1), torch.full((1, 1), 2 * np.log(2.0)))
    torch.testing.assert_close(divergence, torch.distributions.kl_divergence(q, p))


def test_parameters_are_within_the_budget() -> None:
    assert sum(p.numel() for p in DCGAN(**SHIPPED.config).parameters()) <= 3e6


def test_protocol_measures_copies_and_writes_the_table(
    tmp_path: Path, evaluator: Evaluator
) -> None:
    def noise(seed: int) -> np.ndarray:
        return np.random.default_rng(seed).integers(0, 255, (60, 28, 28), dtype=np.uint8)

    floor = evaluate.Floor(evaluator, replace(synthetic.clock_hands(60), images=noise(99)))
    near = Neighbours(evaluator.features, floor.features, evaluator.real)
    assert near.copied(noise(99)[:20]) == 1.0
    card = weights.Card(
        "x", "gan", "", "", 7, {}, {}, [], [], {}, {"minutes": 2, "command": "c"}, "", ""
    )

    def generate(n: int, seed: int, labels: list[int]) -> np.ndarray:
        return noise(seed)[:n] // 2

    candidate = evaluate.Candidate("GAN", "noise", 1, generate, card)
    found = evaluate.row(candidate, 60, evaluator, floor, near)
    assert found["copied"] == 0.0 and found["n"] == 60 and found["floor"] > 0
    evaluate.write([found], tmp_path / "generators.csv")
    with (tmp_path / "generators.csv").open(newline="") as file:
        [read] = csv.DictReader(file)
    assert tuple(read) == evaluate.COLUMNS and read["parameters"] == "7"


def test_neighbours_are_the_nearest_and_tell_copies_from_new_ones() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (50, 4, 4), dtype=np.uint8)

    def features(images: np.ndarray) -> np.ndarray:
        return images.reshape(len(images), -1).astype(np.float64)

    train, test = features(pixels), features(rng.integers(0, 255, (30, 4, 4), dtype=np.uint8))
    near = Neighbours(features, train, test)
    known = np.linalg.norm(test[:, None] - train[None], axis=2)
    np.testing.assert_allclose(near.test, known.min(1), rtol=1e-4)
    made = {"GAN": pixels[[7, 3, 7]], "VAE": rng.integers(0, 255, (20, 4, 4), dtype=np.uint8)}
    table = near.table(made, labels=[0, 1], seed=0, steps=20)
    json.dumps(table)
    assert [s["index"] for s in table["samples"]["GAN"]] == [7, 3] and table["samples"]["GAN"][0][
        "distance"
    ] < 0.5
    assert [s["class"] for s in table["samples"]["VAE"]] == [0, 1]
    assert {k: sum(n) for k, n in table["counts"].items()} == {"test": 30, "GAN": 3, "VAE": 20}
    assert (
        table["counts"]["GAN"][0] == 3
        and table["medians"]["GAN"] < table["usual"] / 10 < table["medians"]["VAE"]
    )


@pytest.mark.slow  # measures the shipped network
@pytest.mark.parametrize(("name", "n"), [("gan", 2000), ("vae", 10_000)])
def test_shipped_card_is_true(name: str, n: int) -> None:
    """The headline: label agreement, of the first n of the digits that the card is about."""
    from tasks.classification.digits import DigitClassifier

    generator = GanGenerator.load() if name == "gan" else VaeGenerator.load()
    images, labels, _ = generate_digits(one_step(generator), n)
    agreement = 100 * (DigitClassifier.load().classify_batch(images).argmax(1) == labels).mean()
    # 3 sigma of 2,000 digits; of all 10,000 only rounding is left
    assert agreement == pytest.approx(generator.card.metrics[0].value, abs=0.4)


@pytest.mark.slow  # measures the shipped networks
@pytest.mark.parametrize("name", ["gan_history", "gan_collapse"])
def test_shipped_history_is_true(name: str) -> None:
    """The headline: label agreement of the last generator, of all the digits of the card."""
    from tasks.classification.digits import DigitClassifier

    history, labels = GanHistory.load(name), np.arange(2000) % 10
    images = history.generate(fixed_noise(len(labels)).numpy(), labels.tolist())[-1]
    agreement = 100 * (DigitClassifier.load().classify_batch(images).argmax(1) == labels).mean()
    assert agreement == pytest.approx(history.card.metrics[0].value, abs=0.3)
