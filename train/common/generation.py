"""Digits of the generators, one protocol for GAN, VAE and diffusion: drawn, timed, scored."""

import time
from collections.abc import Callable

import numpy as np

from tasks.core import weights
from tasks.diffusion.generator import DiffusionGenerator
from tasks.gan.generator import LatentGenerator
from train import report
from train.common.generator_metrics import Quality

Generate = Callable[[int, int, list[int]], np.ndarray]
"""(n, seed, n classes) -> uint8 (n, 28, 28)."""

BATCH = 50


def one_step(generator: LatentGenerator) -> Generate:
    """Of a GAN or VAE."""
    return generator.generate


def many_steps(generator: DiffusionGenerator, n_steps: int, sampler: str) -> Generate:
    """Of a diffusion model, with its default guidance."""

    def generate(n: int, seed: int, labels: list[int]) -> np.ndarray:
        return generator.generate(n, seed, labels, sampler=sampler, n_steps=n_steps)  # type: ignore[arg-type]

    return generate


def generate_digits(generate: Generate, n: int) -> tuple[np.ndarray, np.ndarray, float]:
    """n digits, BATCH a seed, classes in turn.

    Returns:
        uint8 (n, 28, 28), their classes, milliseconds a digit.
    """
    labels = np.arange(n) % 10
    generate(min(n, BATCH), 0, labels[:BATCH].tolist())  # the first pass prepares, untimed
    parts, start = [], time.perf_counter()
    for seed, i in enumerate(range(0, n, BATCH)):
        requested = labels[i : i + BATCH].tolist()
        parts.append(generate(len(requested), seed, requested))
    return np.concatenate(parts), labels, 1000 * (time.perf_counter() - start) / n


def metrics_of(quality: Quality, ms: float, how: str) -> list[weights.Metric]:
    """A card's metrics of one generator; the first is its headline."""
    times = quality.distance / quality.floor if quality.floor else 0.0
    between = (
        f"{how}; floor {quality.floor:.4g} (training digits), "
        f"ceiling {quality.ceiling:.4g} (test digits blurred)"
    )
    rows = (
        ("label agreement", 100 * quality.agreement, "%", how),
        ("Frechet distance", quality.distance, "", between),
        ("Frechet distance, times the floor", times, "", how),
        ("precision", quality.precision, "", how),
        ("recall", quality.recall, "", how),
        ("time for one image", ms, "ms", f"batches of {BATCH}, {report.hardware()}"),
    )
    return [
        weights.Metric(name, round(value, 4), unit, "test", quality.n, conditions)
        for name, value, unit, conditions in rows
    ]
