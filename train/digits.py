"""Train the digit reader on MNIST.

    python -m train.digits                       three seeds, ships the first, writes the card
    python -m train.digits --network textbook    the textbook's network and recipe, its score beside ours

Both go on from their checkpoints in runs/ with --resume.
"""

import argparse
import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks import weights
from tasks.classification import DigitClassifier
from tasks.networks.digit_cnn import DigitCNN, DigitCommittee, TextbookCNN
from train import data, report
from train.digit_measures import measure, test_accuracy
from train.loop import Fit, Recipe, fit

HELD_OUT = 2000  # training digits kept for the curve, the choice of the angles and the temperature
BATCH = 128
ANGLES = (-12, -6, 0, 6, 12)  # degrees at which a digit is read; chosen by cross-entropy on held-out digits (LOG.md)


def augment(x: Tensor, strength: float = 1.0) -> Tensor:
    """What hands do to digits: slant, turn, stretch, tremble, press hard or lightly.

    Affine (degrees ~ N(0, 7), shear ~ N(0, 0.15), scale ~ U(0.85, 1.12), shift ~ U(-2.2, 2.2) px), elastic
    distortion (Simard et al. 2003) of up to about 1 px, strokes thickened or thinned, ink faded.
    x: float32 (B, 1, 28, 28) in [0, 1]; returns the same shape and range. `strength` scales all of it.
    """
    n, k = len(x), strength
    angle = torch.randn(n) * 0.122 * k
    shear = torch.randn(n) * 0.15 * k
    zoom_x, zoom_y = (1 / torch.empty(2, n).uniform_(1 - 0.15 * k, 1 + 0.12 * k)).unbind()
    shift = torch.empty(n, 2).uniform_(-2.2 * k, 2.2 * k) / 14
    theta = torch.stack(
        [
            torch.stack([zoom_x * angle.cos(), shear - angle.sin(), shift[:, 0]], 1),
            torch.stack([angle.sin(), zoom_y * angle.cos(), shift[:, 1]], 1),
        ],
        1,
    )  # (B, 2, 3)
    grid = F.affine_grid(theta, [n, 1, 28, 28], align_corners=False)
    tremble = F.interpolate(torch.randn(n, 2, 6, 6) * 0.035 * k, (28, 28), mode="bicubic", align_corners=True)
    x = F.grid_sample(x, grid + tremble.permute(0, 2, 3, 1), align_corners=False)

    pressure = torch.rand(n, 1, 1, 1)
    share = torch.rand(n, 1, 1, 1)
    thick = F.max_pool2d(x, 3, 1, 1)
    thin = -F.max_pool2d(-x, 2, 1, 1)[..., :28, :28]
    x = torch.where(pressure < 0.1 * k, torch.lerp(x, thick, share), x)
    x = torch.where(pressure > 1 - 0.08 * k, torch.lerp(x, thin, 0.7 * share), x)
    return (x * torch.empty(n, 1, 1, 1).uniform_(1 - 0.2 * k, 1.0)).clamp_(0, 1)


def to_tensor(digits: np.ndarray) -> Tensor:
    """uint8 (N, 28, 28) -> float32 (N, 1, 28, 28) in [0, 1]."""
    return torch.from_numpy(digits).unsqueeze(1).float() / 255


@dataclass(frozen=True)
class Cycle:
    """One descent of the learning rate, at whose end a column is taken."""

    epochs: int
    lr: float  # peak
    warmup: float  # share of the steps
    strength: float  # of the augmentation
    reseed: int = 0  # added to the seed, so that two like cycles see different batches


CYCLES = (Cycle(16, 6e-3, 0.2, 1.0), Cycle(3, 3e-3, 0.1, 0.5), Cycle(3, 3e-3, 0.1, 0.5, 1000))
SMOKE_CYCLES = (Cycle(6, 6e-3, 0.2, 0.5), Cycle(2, 3e-3, 0.1, 0.5))
TEXTBOOK = Cycle(5, 1e-3, 0.0, 0.0)  # Adam at a constant learning rate, no augmentation


def train_committee(seed: int, digits: data.ImageSet, cycles: tuple[Cycle, ...], runs: Path, resume: bool) -> Fit:
    """One column for each cycle, each cycle going on from the column before (snapshots: Huang et al. 2017)."""
    torch.manual_seed(seed)
    network: nn.Module = DigitCNN()
    columns: list[nn.Module] = []
    whole = Fit(network)
    for number, cycle in enumerate(cycles):
        done = train(network, cycle, seed, digits, runs / f"digits-seed{seed}-cycle{number}", resume)
        columns.append(done.network)
        whole.curve += [{**p, "step": p["step"] + whole.steps} for p in done.curve]
        whole.steps += done.steps
        whole.minutes += done.minutes
        network = copy.deepcopy(done.network)
    committee = DigitCommittee(len(columns))
    committee.columns.load_state_dict(nn.ModuleList(columns).state_dict())
    whole.network = committee.eval()
    return whole


def train_textbook(seed: int, digits: data.ImageSet, runs: Path, resume: bool) -> Fit:
    """The textbook's network with the textbook's recipe."""
    torch.manual_seed(seed)
    return train(TextbookCNN(), TEXTBOOK, seed, digits, runs / f"digits-textbook-seed{seed}", resume)


def train(network: nn.Module, cycle: Cycle, seed: int, digits: data.ImageSet, run: Path, resume: bool) -> Fit:
    """Train one network on all but HELD_OUT digits, which give the validation curve."""
    held_out = min(HELD_OUT, len(digits) // 5)
    fit_set, val_set = data.hold_out(digits, held_out)
    images, labels = to_tensor(fit_set.images), torch.from_numpy(fit_set.labels)
    val_images, val_labels = to_tensor(val_set.images), torch.from_numpy(val_set.labels)
    textbook = isinstance(network, TextbookCNN)
    batch = min(BATCH, len(images) // 20)  # enough steps where there are few pictures
    per_epoch = len(images) // batch
    recipe = Recipe(
        steps=cycle.epochs * per_epoch,
        batch=batch,
        lr=cycle.lr,
        warmup=None if textbook else cycle.warmup,
        weight_decay=0.0 if textbook else 0.02,
        ema=None if textbook else 0.998,
        seed=seed + cycle.reseed,
    )

    order = data.Shuffled(len(images), batch, seed + cycle.reseed)

    def batch_at(step: int, rank: int, world: int) -> tuple[Tensor, Tensor]:
        index = order.at(step, rank, world)
        x = images[index]
        return (x if textbook else augment(x, cycle.strength)), labels[index]

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        return F.cross_entropy(model(x).float(), y, label_smoothing=0.0 if textbook else 0.05)

    @torch.inference_mode()
    def evaluate(model: nn.Module) -> dict[str, float]:
        device = next(model.parameters()).device
        right = [(model(x.to(device)).argmax(1).cpu() == y).sum().item()
                 for x, y in zip(val_images.split(500), val_labels.split(500), strict=True)]  # fmt: skip
        return {"val_accuracy": sum(right) / len(val_labels)}

    return fit(network, batch_at, loss, recipe, run, resume=resume, evaluate=evaluate, evaluate_every=per_epoch)


# -- measuring and shipping ----------------------------------------------------------------------------------------


def temperature(network: nn.Module, held_out: data.ImageSet) -> float:
    """The softmax temperature with the lowest cross-entropy on held-out digits: confidence becomes a probability."""
    classifier = DigitClassifier(network, blank_card())
    logits = classifier.logits(held_out.images, classifier.angles).cpu()
    labels = torch.from_numpy(held_out.labels)
    grid = [round(0.3 + 0.02 * i, 2) for i in range(60)]
    return min(grid, key=lambda t: F.cross_entropy(logits / t, labels).item())


def ship(
    fits: dict[int, Fit],
    n_train: int,
    held_out: data.ImageSet,
    test: data.ImageSet,
    textbook: Fit | None,
    args: argparse.Namespace,
) -> weights.Card:
    """Write the first seed's network and its card, whatever the seeds score."""
    first, *others = fits
    network = fits[first].network
    assert isinstance(network, DigitCommittee)
    preprocess = {
        "size": 28,
        "range": [0, 1],
        "ink": "bright on black, fitted into 20x20, centred by mass",
        "angles": list(ANGLES),
        "temperature": temperature(network, held_out),
    }
    results = measure(DigitClassifier(network, blank_card(**preprocess)), test, args.variants)
    accuracies = [results["accuracy"]] + [
        test_accuracy(DigitClassifier(fits[s].network, blank_card()), test) for s in others
    ]
    seeds = ", ".join(f"{a:.2f}" for a in accuracies)
    metrics = [
        weights.Metric("accuracy", results["accuracy"], "%", "test", len(test), f"seed {first}, the shipped weights"),
        weights.Metric("mean accuracy", float(np.mean(accuracies)), "%", "test", len(test),
                       f"{len(fits)} seeds: {seeds}; all counted, none chosen"),
        weights.Metric("lowest accuracy by kind of picture", min(results["variants"].values()), "%", "test",
                       args.variants, "pens, places, papers, cameras; train/digit_variants.py"),
    ]  # fmt: skip
    tables = {k: results[k] for k in ("confusion", "hardest", "variants")}
    if textbook is not None:
        score = test_accuracy(DigitClassifier(textbook.network, blank_card(angles=[0])), test)
        conditions = f"{TEXTBOOK.epochs} epochs, {_count(textbook.network):,} parameters"
        metrics.append(weights.Metric("textbook network's accuracy", score, "%", "test", len(test), conditions))
        tables["textbook"] = {"curve": textbook.curve, "minutes": textbook.minutes}
    card = weights.Card(
        name="digits",
        task="classification",
        title="Digit reader",
        architecture=f"{len(CYCLES)} columns of seven 3x3 convolutions in three stages, batch norm, logits averaged",
        parameters=_count(network),
        config={"columns": len(network.columns)},
        preprocess=preprocess,
        classes=list(DigitClassifier.LABELS),
        metrics=metrics,
        data=report.about_data(
            test,
            f"{n_train - len(held_out):,} digits to train on",
            f"{len(held_out):,} for curve, angles and temperature; {len(test):,} test digits",
        ),
        training=report.about_training(
            "python -m train.digits",
            first,
            sum(done.minutes for done in fits.values()),
        ),  # of one thread
        paper="LeCun, Bottou, Bengio, Haffner 1998; Simonyan and Zisserman 2015; Ioffe and Szegedy 2015; "
        "Ciresan, Meier, Schmidhuber 2012; Huang et al. 2017.",
        limits="One digit at a time, written by hand; printed digits and letters are read as the digit they resemble.",
        curve=fits[first].curve,
        tables=tables,
    )
    return weights.save(network, card, args.out)


def _count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def blank_card(**preprocess: Any) -> weights.Card:
    """A card for a network that is measured before it has one."""
    return weights.Card("digits", "", "", "", 0, {}, {"angles": list(ANGLES), **preprocess}, [], [], {}, {}, "", "")


def synthetic(n: int, seed: int = 0) -> data.ImageSet:
    """The hand of a clock at ten hours, for `--smoke`: learnable in seconds and no data set at all."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, n)
    y, x = np.mgrid[-14:14, -14:14] + 0.5
    angle = (labels * 2 * np.pi / 10)[:, None, None]
    along, across = x * np.cos(angle) + y * np.sin(angle), x * np.sin(angle) - y * np.cos(angle)
    images = ((np.abs(across) < 2) & (along > 0) & (along < 10)) * rng.integers(180, 255, (n, 1, 1))
    about = {"name": "clock hands", "url": "made by train/digits.py", "licence": "none", "split": "synthetic"}
    return data.ImageSet(images.astype(np.uint8), labels, about)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=("ours", "textbook"), default="ours")
    parser.add_argument("--data", type=Path, default=data.default_data_dir(), help="folder that holds MNIST/raw")
    parser.add_argument("--seeds", "--seed", type=int, nargs="+", default=[0, 1, 2], help="the first one is shipped")
    parser.add_argument("--variants", type=int, default=500, help="test digits for each kind of picture")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoints in runs/")
    parser.add_argument("--no-ship", action="store_true", help="train only: leave weights/ as it is")
    parser.add_argument("--out", type=Path, default=weights.FOLDER, help="where weights and card go")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--smoke", action="store_true", help="a few seconds on made-up pictures; needs --out")
    args = parser.parse_args()
    if args.smoke and args.out == weights.FOLDER:
        parser.error("--smoke would overwrite the real weights: give --out")
    if args.smoke:
        train_set, test = synthetic(1200), synthetic(200, seed=1)
        args.variants = min(args.variants, 3)
    else:
        train_set, test = data.mnist(args.data, train=True), data.mnist(args.data, train=False)

    fits = {}
    for seed in args.seeds:
        if args.network == "textbook":
            fits[seed] = train_textbook(seed, train_set, args.runs, args.resume)
            classifier = DigitClassifier(fits[seed].network, blank_card(angles=[0]))
        else:
            fits[seed] = train_committee(
                seed, train_set, SMOKE_CYCLES if args.smoke else CYCLES, args.runs, args.resume
            )
            classifier = DigitClassifier(fits[seed].network, blank_card())
        if args.no_ship or args.network == "textbook":
            accuracy = test_accuracy(classifier, test)
            print(f"{args.network}, seed {seed}: test accuracy {accuracy:.2f} %, {fits[seed].minutes:.1f} minutes")
    if args.no_ship or args.network == "textbook":
        return
    textbook = None
    if (args.runs / "digits-textbook-seed0" / "checkpoint.pt").is_file():
        textbook = train_textbook(0, train_set, args.runs, resume=True)
    held_out = data.hold_out(train_set, min(HELD_OUT, len(train_set) // 5))[1]
    print(ship(fits, len(train_set), held_out, test, textbook, args).headline)


if __name__ == "__main__":
    main()
