"""The GAN's three files: the GAN, its generator along the training, and a collapsed training's."""

from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import torch
from safetensors.torch import load_file

from tasks.core import weights
from tasks.gan.generator import GanGenerator
from tasks.networks.dcgan import DCGAN, GeneratorHistory
from train import report
from train.common import export
from train.common.generation import generate_digits, metrics_of, one_step
from train.common.generator_metrics import Evaluator
from train.data import ImageSet, n_held_out
from train.gan.plans import Plan
from train.gan.training import pair_of, quality_of, snapshot
from train.loop import Fit


class Trials(TypedDict):
    """Results of the short runs."""

    steps: int
    table: dict[str, dict[str, float]]  # stabiliser -> quality
    helped: list[str]


def as_stored(done: Fit, plan: Plan) -> DCGAN:
    """The pair as `weights.load` returns it: spectral norms divided out, rounded to fp16."""
    trained = pair_of(done)
    trained.discriminator.bake()
    return export.as_stored(trained, DCGAN(**plan.config))


def export_gan(
    done: Fit,
    plan: Plan,
    trials: Trials,
    n_digits: int,
    test: ImageSet,
    evaluator: Evaluator,
    seed: int,
    n_measured: int,
    folder: Path,
) -> weights.Card:
    """Measure, write weights and card.

    Args:
        n_digits: of the training set, held-out ones included.
        n_measured: digits to generate for the metrics.
    """
    network, held_out = as_stored(done, plan), n_held_out(n_digits)
    card = weights.Card(
        name="gan",
        task="gan",
        title="GAN, MNIST",
        architecture="class-conditional DCGAN: four transposed convolutions against three strided "
        "ones",
        parameters=report.n_parameters(network),
        config=plan.config,
        preprocess={"size": 28, "range": [-1, 1], "ink": "bright on black"},
        classes=list("0123456789"),
        metrics=[],
        data=report.about_data(
            test,
            f"{n_digits - held_out:,} training digits",
            f"{held_out:,} for the curve and the stabilisers; compared with {len(test):,} test "
            "digits",
        ),
        training=report.about_training(
            "python -m train.gan --export", seed, done.minutes, done.ran_on, done.images_seen
        ),
        paper="Radford, Metz, Chintala 2016, arXiv 1511.06434; Miyato et al. 2018 (projection); "
        "Heusel et al. 2017 (two learning rates); Salimans et al. 2016 (label smoothing).",
        limits="Draws its ten classes at 28 x 28 px and nothing else; rare ways of writing are "
        "drawn more rarely than people write them (recall below 1).",
        selected_on="held-out training digits: the stabilisers; the averaged weights of the last "
        "step",
        test_reads="once, at export",
        curve=thinned(done.curve),
        tables={"stabilisers": dict(trials)},
    )
    generator = GanGenerator(network, card)
    images, labels, ms = generate_digits(one_step(generator), n_measured)
    card.tables["scores"] = {
        "real": quantiles(generator.realness(test.images[:2000], test.labels[:2000].tolist())),
        "made": quantiles(generator.realness(images[:2000], labels[:2000].tolist())),
    }
    how = "fp16 weights, classes in turn, seeds 0, 1, ..."
    card.metrics.extend(metrics_of(evaluator(images, labels), ms, how))
    return weights.save(network, card, folder, half=True)


def quantiles(values: np.ndarray) -> list[float]:
    """Of 0, 5, ... 100 %."""
    return [round(float(q), 4) for q in np.quantile(values, np.linspace(0, 1, 21))]


def export_history(
    name: str,
    title: str,
    plan: Plan,
    done: Fit,
    gan: weights.Card,
    evaluator: Evaluator,
    run: Path,
    folder: Path,
) -> None:
    """The generators of a run's snapshots in one file, each with its quality."""
    n = min(2000, len(evaluator.real))
    config: dict[str, Any] = {
        "steps": list(plan.snapshots),
        "latent": 100,
        "n_classes": 10,
        "widths": list(plan.widths),
    }
    network = GeneratorHistory(**config)
    table = {}
    for step, generator in zip(plan.snapshots, network.generators, strict=True):
        generator.load_state_dict(load_file(snapshot(run, step)))
        pair = DCGAN(**plan.config)
        pair.generator.load_state_dict(generator.state_dict())
        table[str(step)] = quality_of(pair, evaluator, n)
        print(name, step, table[str(step)], flush=True)
    last = table[str(plan.snapshots[-1])]
    how = f"after {plan.snapshots[-1]:,} steps, fp16 weights"
    kept = "last weights" if plan.raw else "moving average"
    card = weights.Card(
        name=name,
        task="gan",
        title=title,
        architecture=f"{len(plan.snapshots)} snapshots of the GAN's generator, {kept}; learning "
        f"rate {plan.lr:g} (generator), {plan.lr * plan.d_rate:g} (discriminator), discriminator's "
        f"norm: {plan.norm}",
        parameters=report.n_parameters(network),
        config=config,
        preprocess=gan.preprocess,
        classes=gan.classes,
        metrics=[
            weights.Metric("label agreement", last["agreement"], "%", "test", n, how),
            weights.Metric("Frechet distance", last["distance"], "", "test", n, how),
            weights.Metric("recall", last["recall"], "", "test", n, how),
        ],
        data=gan.data,
        training={**gan.training, "minutes": done.minutes},
        paper=gan.paper,
        limits="Meant to fail: it shows a GAN without its stabilisers."
        if plan.raw
        else "Shows the course of a training; not for generating digits.",
        selected_on="nothing",
        test_reads="once, at export",
        curve=thinned(done.curve),
        tables={"snapshots": table},
    )
    with torch.inference_mode():
        weights.save(network, card, folder, half=True)


def thinned(curve: list[dict[str, float]], at_most: int = 120) -> list[dict[str, float]]:
    """About `at_most` points, all those with a measurement among them; figures of five digits."""
    every = -(-len(curve) // at_most)
    kept = [
        point
        for i, point in enumerate(curve)
        if i % every == 0 or "val_distance" in point or i == len(curve) - 1
    ]
    return [{k: float(f"{v:.5g}") for k, v in point.items()} for point in kept]
