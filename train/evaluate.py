"""Measure GAN, VAE and diffusion by one protocol: benchmarks/results/generators.csv and .json.

    python -m train.evaluate --data DIR               10,000 digits each; fewer where steps are many
    python -m train.evaluate --data DIR --keep-table  the .json only: map of digits, neighbours

Every generator draws the ten classes in turn from seeds 0, 1, 2, ..., and
`train/common/generator_metrics.py` compares the digits with the 10,000 test digits in the features
of a network that is used for nothing else. The time is that of a batch of 50, divided by 50. The
floor is the distance of as many training digits. Precision is the share of generated digits that
look like some real one, recall the share of real ones that some generated digit looks like. The
distance to the nearest training digit tells whether digits are copies (train/common/neighbours.py).
"""

import argparse
import csv
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tasks.core import weights
from tasks.diffusion.generator import SAMPLERS, DiffusionGenerator
from tasks.gan.generator import GanGenerator
from tasks.gan.vae import VaeGenerator
from train import data, report
from train.common.generation import Generate, generate_digits, many_steps, one_step
from train.common.generator_metrics import Evaluator, frechet_distance
from train.common.neighbours import Neighbours

STEPS = (5, 10, 20, 50, 100, 1000)  # of diffusion
DOTS = 600  # digits of each on the map
RESULT = weights.ROOT / "benchmarks" / "results" / "generators.csv"
COLUMNS = (
    "generator",
    "name",
    "steps",
    "agreement",
    "distance",
    "times_floor",
    "floor",
    "ceiling",
    "precision",
    "recall",
    "copied",
    "ms",
    "parameters",
    "minutes",
    "trained_on",
    "pictures",
    "n",
    "device",
    "command",
)


class Floor:
    """Distance of n training digits from the test digits: distances grow as n gets smaller."""

    def __init__(self, evaluator: Evaluator, train_set: data.ImageSet):
        self.real = evaluator.real
        self.order = np.random.default_rng(0).permutation(len(train_set))
        self.features = evaluator.features(train_set.images)

    def of(self, n: int) -> float:
        return frechet_distance(self.features[self.order[:n]], self.real)


@dataclass(frozen=True)
class Candidate:
    """One generator with its settings."""

    kind: str  # "GAN", "VAE", "Diffusion"
    name: str
    steps: int  # passes through the network
    generate: Generate
    card: weights.Card


def candidates(folder: Path, steps: Sequence[int]) -> list[Candidate]:
    """GAN, VAE, and diffusion at each number of steps."""
    gan, vae = GanGenerator.load(folder), VaeGenerator.load(folder)
    found = [
        Candidate("GAN", "GAN", 1, one_step(gan), gan.card),
        Candidate("VAE", "VAE", 1, one_step(vae), vae.card),
    ]
    if not steps:
        return found
    diffusion = DiffusionGenerator.load("mnist", folder)
    for count in steps:
        sampler = "ddpm" if count == 1000 else "unipc"
        name = f"{SAMPLERS[sampler]}, {count} steps"
        generate = many_steps(diffusion, count, sampler)
        found.append(Candidate("Diffusion", name, count, generate, diffusion.card))
    return found


def row(
    candidate: Candidate, n: int, evaluator: Evaluator, floor: Floor, near: Neighbours
) -> dict[str, Any]:
    """One line of the table."""
    images, labels, ms = generate_digits(candidate.generate, n)
    quality, real = evaluator(images, labels), floor.of(n)
    card = candidate.card
    values = {
        "generator": candidate.kind,
        "name": candidate.name,
        "steps": candidate.steps,
        "agreement": round(100 * quality.agreement, 2),
        "distance": round(quality.distance, 3),
        "times_floor": round(quality.distance / real, 2) if real else 0.0,
        "floor": round(real, 3),
        "ceiling": round(quality.ceiling, 3),
        "precision": round(quality.precision, 4),
        "recall": round(quality.recall, 4),
        "copied": round(near.copied(images), 4),
        "ms": round(ms, 3),
        "parameters": card.parameters,
        "minutes": round(float(card.training["minutes"]), 1),
        "trained_on": card.training.get("hardware", "unknown"),
        "pictures": int(card.training.get("pictures", 0)),
        "n": quality.n,
        "device": report.hardware(),
        "command": card.training["command"],
    }
    print(*(f"{k} {values[k]}" for k in COLUMNS[:14]), flush=True)
    return values


def map_and_neighbours(
    evaluator: Evaluator,
    near: Neighbours,
    test: data.ImageSet,
    steps: Sequence[int],
    folder: Path,
    n: int = 1000,
) -> dict[str, Any]:
    """Real and generated digits on two principal components of the real ones' features.

    Returns:
        {"explained": shares of the variance, "real" and each generator: [[x, y, class], ...],
        "neighbours": nearest training digits of the generated ones, see there}.
    """
    mean = evaluator.real.mean(0)
    _, sizes, axes = np.linalg.svd(evaluator.real - mean, full_matrices=False)
    shares = (sizes**2 / (sizes**2).sum())[:2]
    places: dict[str, Any] = {"explained": [round(float(share), 3) for share in shares]}

    def placed(features: np.ndarray, labels: np.ndarray) -> list[list[float]]:
        points = (features - mean) @ axes[:2].T
        return [
            [round(float(x), 1), round(float(y), 1), int(k)]
            for (x, y), k in zip(points, labels, strict=True)
        ]

    places["real"] = placed(evaluator.real[:DOTS], test.labels[:DOTS])
    generated = {}
    for candidate in candidates(folder, steps):
        kind = candidate.kind
        generated[kind], labels, _ = generate_digits(candidate.generate, n)
        places[kind] = placed(evaluator.features(generated[kind][:DOTS]), labels[:DOTS])
    listed = np.arange(min(n, 10)).tolist()  # `generate_digits` begins with the classes of seed 0
    places["neighbours"] = near.table(generated, listed, 0, steps[0] if steps else 0)
    return places


def write(rows: Sequence[dict[str, Any]], file: Path = RESULT) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(".tmp")
    with temporary.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    os.replace(temporary, file)


def main(arguments: Sequence[str] | None = None) -> None:
    args = make_parser().parse_args(arguments)
    train_set, test = data.mnist(args.data, train=True), data.mnist(args.data, train=False)
    evaluator = Evaluator.of("mnist", train_set, test)
    floor = Floor(evaluator, train_set)
    near = Neighbours(evaluator.features, floor.features, evaluator.real)
    if not args.keep_table:
        rows = []
        for candidate in candidates(args.weights, args.steps):
            n = max(50, min(args.n, args.passes // candidate.steps // 50 * 50))
            rows.append(row(candidate, n, evaluator, floor, near))
        write(rows, args.out)
    steps = (20,) if args.steps else ()
    places = map_and_neighbours(evaluator, near, test, steps, args.weights, min(args.n, 1000))
    text = json.dumps(places, separators=(",", ":"))
    args.out.with_suffix(".json").write_text(text + "\n", encoding="utf-8")


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, default=data.default_data_dir(), help="folder that holds MNIST/raw"
    )
    parser.add_argument("--n", type=int, default=10_000, help="digits of each generator")
    parser.add_argument(
        "--passes", type=int, default=20_000, help="digits times steps of a line, at most"
    )
    parser.add_argument(
        "--steps", type=int, nargs="*", default=list(STEPS), help="of diffusion; none: leave it out"
    )
    parser.add_argument("--keep-table", action="store_true", help="write the .json only")
    parser.add_argument(
        "--weights", type=Path, default=weights.FOLDER, help="where the generators' weights are"
    )
    parser.add_argument("--out", type=Path, default=RESULT, help="the table")
    return parser


if __name__ == "__main__":
    main()
