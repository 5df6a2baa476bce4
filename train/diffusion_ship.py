"""What a diffusion model's card says: pictures made by the app's own handler, and what a judge thinks of them.

The headline figures are of `Plan.n_measured` pictures in a few steps of UniPC; the table has every sampler at several
numbers of steps, of fewer pictures where there are many steps. A distance says as much about the number of pictures as
about the sampler: each stands beside the floor, what as many training pictures score.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tasks import compute, weights
from tasks.classification import DigitClassifier
from tasks.diffusion import SAMPLERS, DiffusionGenerator
from tasks.networks.diffusion_unet import DiffusionUNet
from tasks.networks.digit_cnn import TextbookCNN
from train import data, digits, options, report
from train.diffusion import PLANS, Plan
from train.generator_measures import Features, Judge, Quality
from train.loop import Fit

STEPS_REPORTED = {"mnist": (5, 10, 20, 50, 100, 1000), "cifar10": (5, 10, 20)}
IN_TABLE = {10: 500, 20: 100, 50: 20, 100: 10, 1000: 4}  # steps up to -> pictures: hours otherwise
ENOUGH = 500  # pictures, for a distance that says something
SAMPLER = "unipc"  # of the headline figures
AT_ONCE = 50


def as_stored(network: nn.Module, config: dict[str, Any]) -> DiffusionUNet:
    """The network as `weights.load` gives it back: rounded to fp16, float32 again."""
    stored = DiffusionUNet(**config)
    stored.load_state_dict({k: v.half().float() for k, v in network.state_dict().items()}, strict=True)
    return stored


def make(
    generator: DiffusionGenerator, n: int, sampler: str, n_steps: int, guidance: float | None
) -> tuple[np.ndarray, np.ndarray, float]:
    """(uint8 (n, H, W[, C]), their classes, seconds a picture); classes take turns, seeds are 0, 1, 2, ...

    On a CPU the seconds are the processor's, over all cores, which other work on the machine changes less.
    """
    clock = time.process_time if compute.device().type == "cpu" else time.perf_counter
    labels = np.arange(n) % len(generator.classes)
    parts, began = [], clock()
    for k, i in enumerate(range(0, n, AT_ONCE)):
        asked = labels[i : i + AT_ONCE].tolist()
        parts.append(generator.generate(len(asked), k, asked, sampler=sampler, n_steps=n_steps, guidance=guidance))
    return np.concatenate(parts), labels, (clock() - began) / n


def row(quality: Quality, seconds: float) -> dict[str, float]:
    """A cell of the table."""
    out = {"agreement": round(100 * quality.agreement, 2), "n": quality.n, "seconds": round(seconds, 5)}
    if quality.n >= ENOUGH:
        out |= {
            "distance": round(quality.distance, 4),
            "times_floor": round(quality.distance / quality.floor, 3) if quality.floor else 0.0,
            "precision": round(quality.precision, 4),
            "recall": round(quality.recall, 4),
        }
    return out


def table_of_samplers(
    generator: DiffusionGenerator, judge: Judge, share: float, steps: Sequence[int]
) -> dict[str, dict[str, dict[str, float]]]:
    """sampler -> steps -> measures, of a share of IN_TABLE's pictures; four at least, as recall needs."""
    table: dict[str, dict[str, dict[str, float]]] = {}
    for sampler in SAMPLERS:
        for count in steps:
            n = max(4, round(share * next(n for up_to, n in IN_TABLE.items() if count <= up_to)))
            images, labels, seconds = make(generator, n, sampler, count, None)
            table.setdefault(sampler, {})[str(count)] = row(judge(images, labels), seconds)
            print(sampler, count, table[sampler][str(count)], flush=True)
    return table


def shipped(
    done: Fit, name: str, plan: Plan, pictures: data.ImageSet, test: data.ImageSet, seed: int,
    before: dict[str, Any] | None = None,
) -> tuple[DiffusionUNet, weights.Card]:  # fmt: skip
    """The network as it will be stored, and its card without measures; `before`: its `training` before --again."""
    held_out = min(2000, len(pictures) // 5)
    network = as_stored(done.network, plan.config)
    command = f"python -m train.diffusion --data-set {name}{' --again' if plan.again else ''}"
    command += options.budget_options(plan, PLANS[name])
    if not plan.again and plan.minutes is None and plan.epochs != PLANS[name].epochs:
        command += f" --epochs {plan.epochs:g}"
    training = report.about_training(command, seed, done.minutes, done.where, done.pictures)
    card = weights.Card(
        name=f"diffusion_{name}",
        task="diffusion",
        title=f"Diffusion, {test.about['name']}",
        architecture=f"U-Net of residual blocks, {'-'.join(map(str, plan.config['widths']))} channels"
        f"{', self-attention at the coarsest scale' if plan.config['attention'] else ''}, on pictures folded to half "
        "resolution; predicts v",
        parameters=sum(p.numel() for p in network.parameters()),
        config=plan.config,
        preprocess={},
        classes=list(data.CIFAR10_CLASSES if name == "cifar10" else "0123456789"),
        metrics=[],
        data=report.about_data(
            test,
            f"{len(pictures) - held_out:,} training pictures",
            f"{held_out:,} for the curve; compared with {len(test):,} test pictures",
        ),
        training=report.again(before, training) if before else training,
        paper="Ho, Jain, Abbeel 2020, arXiv 2006.11239; Nichol and Dhariwal 2021; Salimans and Ho 2022; Ho and "
        "Salimans 2022; Hang et al. 2023; Zhao et al. 2023 (UniPC); Kynkaanniemi et al. 2024 (guided times).",
        limits="Makes pictures of its ten classes at its own small size and nothing else.",
        curve=done.curve,
    )
    return network, card


def measure(
    network: DiffusionUNet, card: weights.Card, plan: Plan, judge: Judge, steps: Sequence[int], out: Path,
    headline: bool = True,
) -> weights.Card:  # fmt: skip
    """Measure with the plan's guidance, write weights and card to `out`; headline=False: only the table again."""
    if headline:
        card = _with_headline(network, card, plan, judge)
        weights.save(network, card, out, half=True)  # whole without the table, which takes longer than all the rest
    generator = DiffusionGenerator(network, card)
    card.tables["samplers"] = table_of_samplers(generator, judge, min(1.0, plan.n_measured / 5_000), steps)
    return weights.save(network, card, out, half=True)


def _with_headline(network: DiffusionUNet, card: weights.Card, plan: Plan, judge: Judge) -> weights.Card:
    used = {"size": plan.config["side"], "range": [-1, 1], "guidance": plan.guidance,
            "guided_times": list(plan.guided_times), "steps": plan.n_steps}  # fmt: skip
    card = replace(card, preprocess=used, metrics=[], tables={})
    generator = DiffusionGenerator(network, card)
    images, labels, seconds = make(generator, plan.n_measured, SAMPLER, plan.n_steps, None)
    best = judge(images, labels)
    first, last = plan.guided_times
    how = (f"{SAMPLERS[SAMPLER]}, {plan.n_steps} steps, guidance {plan.guidance:g} at times {first} to {last}, fp16 "
           "weights, classes in turn")  # fmt: skip

    def metric(title: str, value: float, unit: str = "", conditions: str = how) -> weights.Metric:
        return weights.Metric(title, round(value, 4), unit, "test", best.n, conditions)

    card.metrics.extend([
        metric("label agreement", 100 * best.agreement, "%"),
        metric("Frechet distance", best.distance, "", f"{how}; floor {best.floor:.4g} ({best.n:,} training pictures), "
               f"ceiling {best.ceiling:.4g} (test pictures blurred by 1 px)"),
        metric("Frechet distance, times the floor", best.distance / best.floor if best.floor else 0.0),
        metric("precision", best.precision),
        metric("recall", best.recall),
        metric("time for one picture", 1000 * seconds, "ms", f"{how}, {AT_ONCE} at once; processor time of all "
               f"cores, {report.hardware()}"),
    ])  # fmt: skip
    return card


def untrained_judge(train_set: data.ImageSet, test: data.ImageSet) -> Judge:
    """For `--smoke`: its networks have learnt nothing, so that no weights are needed."""
    torch.manual_seed(0)
    network = TextbookCNN()
    features = Features(nn.Sequential(network.stage1, network.stage2, network.dense))
    return Judge(features, DigitClassifier(network, digits.blank_card(angles=[0])), train_set, test)
