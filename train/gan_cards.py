"""What `train/gan.py` ships: the GAN, its generator along the training, and the one of a training that collapsed."""

from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import torch
from safetensors.torch import load_file

from tasks import weights
from tasks.gan import GanGenerator
from tasks.networks.dcgan import DCGAN, GeneratorHistory
from train import data, report
from train.evaluate import figures, make, one_step
from train.gan import Plan, measured, pair_of, snapshot, split
from train.generator_measures import Judge
from train.loop import Fit


class Trials(TypedDict):
    """What the short runs found."""

    steps: int
    table: dict[str, dict[str, float]]  # stabiliser -> measures
    helped: list[str]


def as_stored(done: Fit, plan: Plan) -> DCGAN:
    """The pair as `weights.load` gives it back: spectral norms divided out, rounded to fp16, float32 again."""
    trained = pair_of(done)
    trained.discriminator.bake()
    stored = DCGAN(**plan.config)
    stored.load_state_dict({k: v.half().float() if v.is_floating_point() else v
                            for k, v in trained.state_dict().items()})  # fmt: skip
    return stored.eval()


def ship(
    done: Fit, ours: Plan, trials: Trials, pictures: data.ImageSet, test: data.ImageSet, judge: Judge, seed: int,
    n_measured: int, out: Path,
) -> weights.Card:  # fmt: skip
    """Measure, write weights and card."""
    network = as_stored(done, ours)
    fit_set, val_set = split(pictures)
    card = weights.Card(
        name="gan",
        task="gan",
        title="GAN, MNIST",
        architecture="class-conditional DCGAN: four transposed convolutions against three strided ones",
        parameters=sum(p.numel() for p in network.parameters()),
        config=ours.config,
        preprocess={"size": 28, "range": [-1, 1], "ink": "bright on black"},
        classes=list("0123456789"),
        metrics=[],
        data=report.about_data(
            test,
            f"{len(fit_set):,} training pictures",
            f"{len(val_set):,} for the curve and the stabilisers; compared with {len(test):,} test pictures",
        ),
        training=report.about_training("python -m train.gan", seed, done.minutes, done.where, done.pictures),
        paper="Radford, Metz, Chintala 2016, arXiv 1511.06434; Miyato et al. 2018 (projection); Heusel et al. "
        "2017 (two learning rates); Salimans et al. 2016 (label smoothing).",
        limits="Draws its ten classes at 28 x 28 px and nothing else; rare ways of writing are drawn more rarely than "
        "people write them (recall below 1).",
        curve=thinned(done.curve),
        tables={"stabilisers": dict(trials)},
    )
    generator = GanGenerator(network, card)
    images, labels, ms = make(one_step(generator), n_measured)
    card.tables["scores"] = {
        "real": quantiles(generator.realness(test.images[:2000], test.labels[:2000].tolist())),
        "made": quantiles(generator.realness(images[:2000], labels[:2000].tolist())),
    }
    card.metrics.extend(figures(judge(images, labels), ms, "fp16 weights, classes in turn, seeds 0, 1, ..."))
    card = weights.save(network, card, out, half=True)
    print(card.headline, *(f"{m.name} {m.value} {m.unit}" for m in card.metrics[1:]), sep="\n")
    return card


def quantiles(values: np.ndarray) -> list[float]:
    """Of 0, 5, ... 100 %."""
    return [round(float(q), 4) for q in np.quantile(values, np.linspace(0, 1, 21))]


def ship_history(
    name: str, title: str, plan: Plan, done: Fit, of: weights.Card, judge: Judge, run: Path, out: Path
) -> None:
    """The generators of a run's snapshots in one file, each with its measures."""
    n = min(2000, len(judge.real))
    config: dict[str, Any] = {"steps": list(plan.snapshots), "latent": 100, "n_classes": 10,
                              "widths": list(plan.widths)}  # fmt: skip
    network = GeneratorHistory(**config)
    table = {}
    for step, generator in zip(plan.snapshots, network.generators, strict=True):
        generator.load_state_dict(load_file(snapshot(run, step)))
        pair = DCGAN(**plan.config)
        pair.generator.load_state_dict(generator.state_dict())
        table[str(step)] = measured(pair, judge, n)
        print(name, step, table[str(step)], flush=True)
    last = table[str(plan.snapshots[-1])]
    how = f"after {plan.snapshots[-1]:,} steps, fp16 weights"
    lr = f"learning rate {plan.lr:g} (generator), {plan.lr * plan.d_rate:g} (discriminator)"
    kept = "last weights" if plan.raw else "moving average"
    card = weights.Card(
        name=name,
        task="gan",
        title=title,
        architecture=f"{len(plan.snapshots)} snapshots of the GAN's generator, {kept}; {lr}, discriminator's norm: "
        f"{plan.norm}",
        parameters=sum(p.numel() for p in network.parameters()),
        config=config,
        preprocess=of.preprocess,
        classes=of.classes,
        metrics=[
            weights.Metric("label agreement", last["agreement"], "%", "test", n, how),
            weights.Metric("Frechet distance", last["distance"], "", "test", n, how),
            weights.Metric("recall", last["recall"], "", "test", n, how),
        ],
        data=of.data,
        training={**of.training, "minutes": done.minutes},
        paper=of.paper,
        limits="For showing how a training went, not for making digits." if not plan.raw else
        "Meant to go wrong: it shows what a GAN does without what stabilises it.",
        curve=thinned(done.curve),
        tables={"snapshots": table},
    )  # fmt: skip
    with torch.inference_mode():
        weights.save(network, card, out, half=True)


def thinned(curve: list[dict[str, float]], most: int = 120) -> list[dict[str, float]]:
    """At most about `most` points, those with a measurement among them; figures of five digits."""
    every = -(-len(curve) // most)
    kept = [p for i, p in enumerate(curve) if i % every == 0 or "val_distance" in p or i == len(curve) - 1]
    return [{k: float(f"{v:.5g}") for k, v in p.items()} for p in kept]
