"""Measure GAN, VAE and diffusion by one protocol, and write benchmarks/results/generators.csv and .json.

    python -m train.evaluate --data DIR            10,000 digits of each; fewer where steps are many

Every generator makes the ten classes in turn from seeds 0, 1, 2, ..., and `train/generator_measures.py` compares the
digits with the 10,000 test digits in the eyes of a recogniser that is used nowhere else. The time is that of 50 digits
at once, divided by 50. The floor is what as many training digits score. Precision is the share of made digits that
look like some real one, recall the share of real ones that some made digit looks like. The nearest training digit in
the same features tells whether digits are copied (train/neighbours.py).

    python -m train.evaluate --data DIR --keep-table       the .json only: where digits lie, their nearest neighbours
"""

import argparse
import csv
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks import weights
from tasks.diffusion import SAMPLERS, DiffusionGenerator
from tasks.gan import GanGenerator, LatentGenerator
from tasks.vae import VaeGenerator
from train import data, report
from train.generator_measures import Judge, Quality, frechet_distance
from train.neighbours import Neighbours

Generate = Callable[[int, int, list[int]], np.ndarray]
"""(n, seed, n classes) -> uint8 (n, 28, 28)."""

AT_ONCE = 50
STEPS = (5, 10, 20, 50, 100, 1000)  # of diffusion
DOTS = 600  # digits of each on the map
RESULT = weights.ROOT / "benchmarks" / "results" / "generators.csv"
COLUMNS = ("generator", "name", "steps", "agreement", "distance", "times_floor", "floor", "ceiling", "precision",
           "recall", "copied", "ms", "parameters", "minutes", "trained_on", "pictures", "n", "device",
           "command")  # fmt: skip


def one_step(generator: LatentGenerator) -> Generate:
    """Of a GAN or VAE."""
    return generator.generate


def many_steps(generator: DiffusionGenerator, n_steps: int, sampler: str) -> Generate:
    """Of a diffusion model, with its own guidance."""
    return lambda n, seed, labels: generator.generate(n, seed, labels, sampler=sampler, n_steps=n_steps)  # type: ignore[arg-type]


def make(generate: Generate, n: int) -> tuple[np.ndarray, np.ndarray, float]:
    """(uint8 (n, 28, 28), their classes, milliseconds a digit); classes in turn, AT_ONCE of a seed."""
    labels = np.arange(n) % 10
    generate(min(n, AT_ONCE), 0, labels[:AT_ONCE].tolist())  # the first pass prepares, and is not timed
    parts, began = [], time.perf_counter()
    for seed, i in enumerate(range(0, n, AT_ONCE)):
        asked = labels[i : i + AT_ONCE].tolist()
        parts.append(generate(len(asked), seed, asked))
    return np.concatenate(parts), labels, 1000 * (time.perf_counter() - began) / n


def figures(quality: Quality, ms: float, how: str) -> list[weights.Metric]:
    """A card's metrics of one generator; the first is its headline."""
    times = quality.distance / quality.floor if quality.floor else 0.0
    between = f"{how}; floor {quality.floor:.4g} (training digits), ceiling {quality.ceiling:.4g} (test digits blurred)"
    rows = [
        ("label agreement", 100 * quality.agreement, "%", how),
        ("Frechet distance", quality.distance, "", between),
        ("Frechet distance, times the floor", times, "", how),
        ("precision", quality.precision, "", how),
        ("recall", quality.recall, "", how),
        ("time for one picture", ms, "ms", f"{AT_ONCE} at once, {report.hardware()}"),
    ]
    return [weights.Metric(name, round(v, 4), unit, "test", quality.n, said) for name, v, unit, said in rows]


class Floor:
    """What as many real training digits score against the test digits: distances grow as samples get fewer."""

    def __init__(self, judge: Judge, train_set: data.ImageSet):
        self.real, self.order = judge.real, np.random.default_rng(0).permutation(len(train_set))
        self.features = judge.features(train_set.images)

    def of(self, n: int) -> float:
        return frechet_distance(self.features[self.order[:n]], self.real)


def row(
    generator: str, name: str, steps: int, generate: Generate, n: int, judge: Judge, floor: Floor,
    near: Neighbours, card: weights.Card,
) -> dict[str, Any]:  # fmt: skip
    """One line of the table."""
    images, labels, ms = make(generate, n)
    q, real = judge(images, labels), floor.of(n)
    values = {
        "generator": generator, "name": name, "steps": steps, "agreement": round(100 * q.agreement, 2),
        "distance": round(q.distance, 3), "times_floor": round(q.distance / real, 2) if real else 0.0,
        "floor": round(real, 3), "ceiling": round(q.ceiling, 3), "precision": round(q.precision, 4),
        "recall": round(q.recall, 4), "copied": round(near.copied(images), 4), "ms": round(ms, 3),
        "parameters": card.parameters, "minutes": round(float(card.training["minutes"]), 1),
        "trained_on": card.training.get("hardware", "unknown"),
        "pictures": int(card.training.get("pictures", 0)), "n": q.n,
        "device": report.hardware(), "command": card.training["command"],
    }  # fmt: skip
    print(*(f"{k} {values[k]}" for k in COLUMNS[:14]), flush=True)
    return values


def generators(folder: Path, steps: Sequence[int]) -> list[tuple[str, str, int, Generate, weights.Card]]:
    """(kind, name, passes through the network, generate, card); diffusion at several numbers of steps."""
    gan, vae = GanGenerator.load(folder), VaeGenerator.load(folder)
    found = [("GAN", "GAN", 1, one_step(gan), gan.card), ("VAE", "VAE", 1, one_step(vae), vae.card)]
    if not steps:
        return found
    diffusion = DiffusionGenerator.load("mnist", folder)
    for count in steps:
        sampler = "ddpm" if count == 1000 else "unipc"
        name = f"{SAMPLERS[sampler]}, {count} steps"
        found.append(("Diffusion", name, count, many_steps(diffusion, count, sampler), diffusion.card))
    return found


def rows(
    judge: Judge, floor: Floor, near: Neighbours, n: int, steps: Sequence[int], passes: int, folder: Path
) -> list[dict[str, Any]]:
    """The table; at most `passes` digits times steps a line."""
    found = []
    for kind, name, count, generate, card in generators(folder, steps):
        few = max(50, min(n, passes // count // 50 * 50))
        found.append(row(kind, name, count, generate, few, judge, floor, near, card))
    return found


def places_and_neighbours(
    judge: Judge, near: Neighbours, test: data.ImageSet, steps: Sequence[int], folder: Path, n: int = 1000
) -> dict[str, Any]:
    """Two principal components of the real digits' features, where real and made digits lie on them, and the made
    ones' nearest training digits.

    {"explained": shares of the variance, "real" and each generator: [[x, y, class], ...], "neighbours": see there}.
    """
    mean = judge.real.mean(0)
    _, sizes, axes = np.linalg.svd(judge.real - mean, full_matrices=False)
    places: dict[str, Any] = {"explained": [round(float(v), 3) for v in (sizes**2 / (sizes**2).sum())[:2]]}

    def placed(features: np.ndarray, labels: np.ndarray) -> list[list[float]]:
        xy = (features - mean) @ axes[:2].T
        return [[round(float(x), 1), round(float(y), 1), int(k)] for (x, y), k in zip(xy, labels, strict=True)]

    places["real"] = placed(judge.real[:DOTS], test.labels[:DOTS])
    made = {}
    for kind, _, _, generate, _ in generators(folder, steps):
        made[kind], labels, _ = make(generate, n)
        places[kind] = placed(judge.features(made[kind][:DOTS]), labels[:DOTS])
    shown = np.arange(min(n, 10)).tolist()  # `make` begins with the ten classes of seed 0
    places["neighbours"] = near.table(made, shown, seed=0, steps=steps[0] if steps else 0)
    return places


def write(found: Sequence[dict[str, Any]], file: Path = RESULT) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(".tmp")
    with temporary.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(found)
    os.replace(temporary, file)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=data.default_data_dir(), help="folder that holds MNIST/raw")
    parser.add_argument("--n", type=int, default=10_000, help="digits of each generator")
    parser.add_argument("--passes", type=int, default=20_000, help="digits times steps of a line, at most")
    parser.add_argument("--steps", type=int, nargs="*", default=list(STEPS), help="of diffusion; none: leave it out")
    parser.add_argument("--keep-table", action="store_true", help="write the .json only")
    parser.add_argument("--weights", type=Path, default=weights.FOLDER, help="where the generators' weights are")
    parser.add_argument("--out", type=Path, default=RESULT, help="the table")
    args = parser.parse_args(arguments)
    pictures, test = data.mnist(args.data, train=True), data.mnist(args.data, train=False)
    judge = Judge.of("mnist", pictures, test)
    floor = Floor(judge, pictures)
    near = Neighbours(judge.features, floor.features, judge.real)
    if not args.keep_table:
        write(rows(judge, floor, near, args.n, args.steps, args.passes, args.weights), args.out)
    places = places_and_neighbours(judge, near, test, (20,) if args.steps else (), args.weights, min(args.n, 1000))
    args.out.with_suffix(".json").write_text(json.dumps(places, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
