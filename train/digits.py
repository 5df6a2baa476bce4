"""Train the digit classifier on MNIST.

    python -m train.digits                       three seeds, exports the first
    python -m train.digits --network textbook    the textbook's network and recipe, to compare

Both continue from their checkpoints in runs/ with --resume. --no-export trains only.
"""

import argparse
import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.classification.digits import DigitClassifier
from tasks.core import weights
from tasks.networks.digit_cnn import DigitCNN, DigitEnsemble, TextbookCNN
from train import data, options, report
from train.common import synthetic
from train.digit_measures import measure, test_accuracy
from train.loop import BatchAt, Fit, Recipe, Trainer

BATCH = 128
# degrees at which a digit is read; chosen by cross-entropy on held-out digits (LOG.md)
ANGLES = (-12, -6, 0, 6, 12)


def augment(x: Tensor, strength: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
    """Slant, rotate, stretch and distort digits, thicken, thin and fade their strokes.

    Affine (degrees ~ N(0, 7), shear ~ N(0, 0.15), scale ~ U(0.85, 1.12), shift ~ U(-2.2, 2.2) px)
    and elastic distortion (Simard et al. 2003) of up to about 1 px.

    Args:
        x: float32 (B, 1, 28, 28) in [0, 1]; the result has the same shape and range.
        strength: scales all of it.
        generator: source of chance; None: torch's global one.
    """
    n, k = len(x), strength

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.empty(shape).uniform_(low, high, generator=generator)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    angle = normal(n) * 0.122 * k
    shear = normal(n) * 0.15 * k
    zoom_x, zoom_y = (1 / uniform(1 - 0.15 * k, 1 + 0.12 * k, 2, n)).unbind()
    shift = uniform(-2.2 * k, 2.2 * k, n, 2) / 14
    rows = (
        torch.stack([zoom_x * angle.cos(), shear - angle.sin(), shift[:, 0]], 1),
        torch.stack([angle.sin(), zoom_y * angle.cos(), shift[:, 1]], 1),
    )
    grid = F.affine_grid(torch.stack(rows, 1), [n, 1, 28, 28], align_corners=False)
    coarse = normal(n, 2, 6, 6) * 0.035 * k
    elastic = F.interpolate(coarse, (28, 28), mode="bicubic", align_corners=True)
    x = F.grid_sample(x, grid + elastic.permute(0, 2, 3, 1), align_corners=False)

    pressure = uniform(0, 1, n, 1, 1, 1)
    share = uniform(0, 1, n, 1, 1, 1)
    thick = F.max_pool2d(x, 3, 1, 1)
    thin = -F.max_pool2d(-x, 2, 1, 1)[..., :28, :28]
    x = torch.where(pressure < 0.1 * k, torch.lerp(x, thick, share), x)
    x = torch.where(pressure > 1 - 0.08 * k, torch.lerp(x, thin, 0.7 * share), x)
    return (x * uniform(1 - 0.2 * k, 1.0, n, 1, 1, 1)).clamp_(0, 1)


def to_tensor(digits: np.ndarray) -> Tensor:
    """uint8 (N, 28, 28) -> float32 (N, 1, 28, 28) in [0, 1]."""
    return torch.from_numpy(digits).unsqueeze(1).float() / 255


@dataclass(frozen=True)
class Cycle:
    """One descent of the learning rate, whose last network becomes a member of the ensemble."""

    epochs: int
    lr: float  # peak
    warmup: float  # share of the steps
    strength: float  # of the augmentation
    reseed: int = 0  # added to the seed, so that two like cycles see different batches


CYCLES = (
    Cycle(16, 6e-3, 0.2, 1.0),
    Cycle(3, 3e-3, 0.1, 0.5),
    Cycle(3, 3e-3, 0.1, 0.5, 1000),
)
SMOKE_CYCLES = (Cycle(6, 6e-3, 0.2, 0.5), Cycle(2, 3e-3, 0.1, 0.5))
TEXTBOOK = Cycle(5, 1e-3, 0.0, 0.0)  # Adam at a constant learning rate, no augmentation


def train_ensemble(
    seed: int,
    digits: data.ImageSet,
    cycles: Sequence[Cycle],
    runs: Path,
    resume: bool,
    minutes: float | None = None,
) -> Fit:
    """One member a cycle, each starting from the one before (snapshots: Huang et al. 2017)."""
    torch.manual_seed(seed)
    network: nn.Module = DigitCNN()
    members: list[nn.Module] = []
    total = Fit(network)
    epochs = sum(cycle.epochs for cycle in cycles)
    for number, cycle in enumerate(cycles):
        run = runs / f"digits-seed{seed}-cycle{number}"
        share = None if minutes is None else minutes * cycle.epochs / epochs
        done = train(network, cycle, seed, digits, run, resume, share)
        members.append(done.network)
        total.curve += [{**p, "step": p["step"] + total.steps} for p in done.curve]
        total.steps += done.steps
        total.minutes += done.minutes
        network = copy.deepcopy(done.network)
    ensemble = DigitEnsemble(len(members))
    ensemble.members.load_state_dict(nn.ModuleList(members).state_dict())
    total.network = ensemble.eval()
    return total


def train_textbook(
    seed: int, digits: data.ImageSet, runs: Path, resume: bool, minutes: float | None = None
) -> Fit:
    """The textbook's network with the textbook's recipe."""
    torch.manual_seed(seed)
    run = runs / f"digits-textbook-seed{seed}"
    return train(TextbookCNN(), TEXTBOOK, seed, digits, run, resume, minutes)


def recipe_of(
    cycle: Cycle, textbook: bool, n_images: int, seed: int, minutes: float | None
) -> Recipe:
    batch = min(BATCH, n_images // 20)  # enough steps where there are few images
    return Recipe(
        steps=cycle.epochs * (n_images // batch),
        batch=batch,
        lr=cycle.lr,
        warmup=None if textbook else cycle.warmup,
        weight_decay=0.0 if textbook else 0.02,
        ema=None if textbook else 0.998,
        seed=seed + cycle.reseed,
        minutes=minutes,
    )


def train(
    network: nn.Module,
    cycle: Cycle,
    seed: int,
    digits: data.ImageSet,
    run: Path,
    resume: bool,
    minutes: float | None = None,
) -> Fit:
    """Train one network; held-out digits give the validation curve."""
    train_set, val_set = data.train_and_val(digits)
    images, labels = to_tensor(train_set.images), torch.from_numpy(train_set.labels)
    val_images, val_labels = to_tensor(val_set.images), torch.from_numpy(val_set.labels)
    textbook = isinstance(network, TextbookCNN)
    recipe = recipe_of(cycle, textbook, len(images), seed, minutes)
    order = data.Shuffled(len(images), recipe.batch, recipe.seed)

    def batch_at(at: BatchAt) -> tuple[Tensor, Tensor]:
        index = order.at(at.step, at.rank, at.world)
        x = images[index]
        return (x if textbook else augment(x, cycle.strength, at.generator)), labels[index]

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        return F.cross_entropy(model(x).float(), y, label_smoothing=0.0 if textbook else 0.05)

    @torch.inference_mode()
    def evaluate(model: nn.Module) -> dict[str, float]:
        device = next(model.parameters()).device
        logits = torch.cat([model(x.to(device)).cpu() for x in val_images.split(500)])
        return {"val_accuracy": float((logits.argmax(1) == val_labels).float().mean())}

    trainer = Trainer(network, batch_at, loss, recipe, run, resume=resume)
    for _ in trainer.steps():
        if trainer.is_due(every=recipe.steps // cycle.epochs):
            trainer.record(evaluate)
    return trainer.result()


# -- measurement and export --------------------------------------------------------------------


def temperature(network: nn.Module, held_out: data.ImageSet) -> float:
    """The softmax temperature with the lowest cross-entropy on held-out digits.

    Calibration after Guo et al. 2017, arXiv 1706.04599.
    """
    classifier = classifier_of(network)
    logits = classifier.logits(held_out.images, classifier.angles).cpu()
    labels = torch.from_numpy(held_out.labels)
    grid = [round(0.3 + 0.02 * i, 2) for i in range(60)]
    return min(grid, key=lambda t: F.cross_entropy(logits / t, labels).item())


def classifier_of(network: nn.Module, **preprocess: object) -> DigitClassifier:
    """The app's handler around a network that has no card yet."""
    angles = [0] if isinstance(network, TextbookCNN) else list(ANGLES)
    return DigitClassifier(network, report.blank_card(**{"angles": angles, **preprocess}))


def export(
    fits: dict[int, Fit],
    train_set: data.ImageSet,
    test: data.ImageSet,
    textbook: Fit | None,
    n_variants: int,
    folder: Path,
) -> weights.Card:
    """Write the first seed's network and its card, whatever the seeds score."""
    first, *others = fits
    network = fits[first].network
    assert isinstance(network, DigitEnsemble)
    held_out = data.train_and_val(train_set)[1]
    preprocess = {
        "size": 28,
        "range": [0, 1],
        "ink": "bright on black, fitted into 20x20, centred by mass",
        "angles": list(ANGLES),
        "temperature": temperature(network, held_out),
    }
    results = measure(classifier_of(network, **preprocess), test, n_variants)
    accuracies = [results["accuracy"]]
    accuracies += [test_accuracy(classifier_of(fits[seed].network), test) for seed in others]
    metrics = metrics_of(first, accuracies, results["variants"], len(test), n_variants)
    tables = {k: results[k] for k in ("confusion", "hardest", "variants")}
    if textbook is not None:
        score = test_accuracy(classifier_of(textbook.network), test)
        how = f"{TEXTBOOK.epochs} epochs, {report.n_parameters(textbook.network):,} parameters"
        name = "textbook network's accuracy"
        metrics.append(weights.Metric(name, score, "%", "test", len(test), how))
        tables["textbook"] = {"curve": textbook.curve, "minutes": textbook.minutes}
    minutes = sum(done.minutes for done in fits.values())  # of one thread
    card = weights.Card(
        name="digits",
        task="classification",
        title="Digit classifier",
        architecture=f"ensemble of {len(network.members)}: seven 3x3 convolutions in three stages, "
        "batch norm, logits averaged",
        parameters=report.n_parameters(network),
        config={"members": len(network.members)},
        preprocess=preprocess,
        classes=list(DigitClassifier.LABELS),
        metrics=metrics,
        data=report.about_data(
            test,
            f"{len(train_set) - len(held_out):,} digits to train on",
            f"{len(held_out):,} for curve, angles and temperature; {len(test):,} test digits",
        ),
        training=report.about_training("python -m train.digits", first, minutes),
        paper="LeCun, Bottou, Bengio, Haffner 1998; Simonyan and Zisserman 2015; Ioffe and Szegedy "
        "2015; Ciresan, Meier, Schmidhuber 2012; Huang et al. 2017.",
        limits="One handwritten digit at a time; printed digits and letters get the label of the "
        "digit that they resemble.",
        selected_on=f"{len(held_out):,} held-out training digits (angles, temperature)",
        test_reads="once more at this export; design chosen after earlier reads, see train/LOG.md",
        curve=fits[first].curve,
        tables=tables,
    )
    return weights.save(network, card, folder)


def metrics_of(
    seed: int, accuracies: list[float], variants: dict[str, float], n: int, n_variants: int
) -> list[weights.Metric]:
    """The card's metrics but the textbook's; `accuracies`: of all seeds, the exported one first."""
    seeds = ", ".join(f"{a:.2f}" for a in accuracies)
    values = (
        ("accuracy", accuracies[0], n, f"seed {seed}, the exported weights"),
        (
            "mean accuracy",
            float(np.mean(accuracies)),
            n,
            f"{len(accuracies)} seeds: {seeds}; all counted, none chosen",
        ),
        (
            "lowest accuracy by kind of image",
            min(variants.values()),
            n_variants,
            "pens, places, papers, cameras; train/digit_variants.py",
        ),
    )
    return [
        weights.Metric(name, value, "%", "test", count, how) for name, value, count, how in values
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    args = options.parse(make_parser(), arguments)
    if args.smoke:
        train_set, test = synthetic.clock_hands(1200), synthetic.clock_hands(200, seed=1)
        args.variants = min(args.variants, 3)
    else:
        train_set, test = data.mnist(args.data, train=True), data.mnist(args.data, train=False)
    how = (args.runs, args.resume, args.minutes)
    fits = {}
    for seed in args.seed:
        if args.network == "textbook":
            fits[seed] = train_textbook(seed, train_set, *how)
        else:
            cycles = SMOKE_CYCLES if args.smoke else CYCLES
            fits[seed] = train_ensemble(seed, train_set, cycles, *how)
    if args.network == "textbook" or not args.export:
        for seed, done in fits.items():
            accuracy = test_accuracy(classifier_of(done.network), test)
            score = f"test accuracy {accuracy:.2f} %, {done.minutes:.1f} minutes"
            print(f"{args.network}, seed {seed}: {score}")
        return
    textbook = None
    if (args.runs / "digits-textbook-seed0" / "checkpoint.pt").is_file():
        textbook = train_textbook(0, train_set, args.runs, resume=True)
    print(export(fits, train_set, test, textbook, args.variants, args.out).headline)


def make_parser() -> argparse.ArgumentParser:
    parser = options.training(__doc__, "MNIST/raw", export=True, seed=(0, 1, 2))
    parser.add_argument("--network", choices=("ours", "textbook"), default="ours")
    parser.add_argument(
        "--variants", type=int, default=500, help="test digits for each kind of image"
    )
    return parser


if __name__ == "__main__":
    main()
