"""Train a diffusion model: DDPM (Ho et al. 2020), class-conditional, on MNIST or CIFAR-10.

    python -m train.diffusion --data-set mnist      runs/diffusion-mnist; go on with --resume
    python -m train.diffusion --data-set cifar10
    python -m train.diffusion --data-set mnist --ship    measure the last checkpoint, write weights and card
    python -m train.diffusion --smoke --out DIR     all of it on made-up pictures in under a minute

The network predicts v (Salimans and Ho 2022) under a squared-cosine schedule; the loss is weighted by min-SNR (Hang et
al. 2023, arXiv 2303.09556); a tenth of the labels is dropped for classifier-free guidance (Ho and Salimans 2022).
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tasks import weights
from tasks.classification import DigitClassifier
from tasks.diffusion import SAMPLERS, DiffusionGenerator, T, alpha_bars
from tasks.networks.diffusion_unet import DiffusionUNet
from tasks.networks.digit_cnn import TextbookCNN
from train import data, digits, report
from train.generator_measures import Features, Judge, Quality
from train.loop import Fit, Recipe, fit

HELD_OUT = 2000  # training pictures kept for the curve
NO_LABEL = 0.1  # share of the labels that are dropped
MIN_SNR = 5.0  # the weight of a time step does not grow beyond this signal-to-noise ratio
STEPS_REPORTED = (5, 10, 20, 50, 100, 1000)
FEWER = {20: 500, 50: 200, 100: 100, 1000: 10}  # steps up to -> pictures made of a thousand: hours otherwise


@dataclass(frozen=True)
class Plan:
    """What is trained on a data set."""

    config: dict[str, Any]  # of the network
    epochs: float
    batch: int
    lr: float
    ema: float
    mirror: bool  # pictures may be mirrored
    guidance: float  # used where none is asked for
    n_measured: int  # pictures made for the headline figures


PLANS = {
    "mnist": Plan(
        {"channels": 1, "side": 28, "n_classes": 10, "widths": [48, 72, 96], "layers": 2, "attention": False},
        epochs=10, batch=128, lr=2e-3, ema=0.9995, mirror=False, guidance=1.5, n_measured=10_000,
    ),
    "cifar10": Plan(
        {"channels": 3, "side": 32, "n_classes": 10, "widths": [56, 80, 128], "layers": 2, "attention": True,
         "dropout": 0.1},
        epochs=60, batch=64, lr=6e-4, ema=0.9998, mirror=True, guidance=1.5, n_measured=10_000,
    ),
    "smoke": Plan(
        {"channels": 1, "side": 28, "n_classes": 10, "widths": [8, 16], "layers": 1, "attention": False},
        epochs=1, batch=32, lr=2e-3, ema=0.99, mirror=False, guidance=1.5, n_measured=20,
    ),
}  # fmt: skip


def split(pictures: data.ImageSet) -> tuple[data.ImageSet, data.ImageSet]:
    """(for training, for validation)."""
    return data.hold_out(pictures, min(HELD_OUT, len(pictures) // 5))


def to_tensor(pictures: np.ndarray) -> Tensor:
    """uint8 (N, H, W[, C]) -> uint8 (N, C, H, W)."""
    x = torch.from_numpy(pictures)
    return x[:, None] if x.ndim == 3 else x.permute(0, 3, 1, 2).contiguous()


def noised(x: Tensor, t: Tensor, bars: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """x0 float (B, C, H, W) in [-1, 1] -> (x_t, v, the weight of each picture's loss)."""
    a = bars[t].float()[:, None, None, None]
    eps = torch.randn_like(x)
    x_t = a.sqrt() * x + (1 - a).sqrt() * eps
    v = a.sqrt() * eps - (1 - a).sqrt() * x
    snr = a / (1 - a)
    return x_t, v, snr.clamp(max=MIN_SNR) / (snr + 1)


def train(
    plan: Plan, pictures: data.ImageSet, seed: int, run: Path, resume: bool, stop_after: int | None = None
) -> Fit:
    """Train on all but HELD_OUT pictures, whose loss at fixed times and noise is the validation curve."""
    fit_set, val_set = split(pictures)
    images, labels = to_tensor(fit_set.images), torch.from_numpy(fit_set.labels)
    torch.manual_seed(seed)
    network = DiffusionUNet(**plan.config)
    batch = min(plan.batch, len(images))
    per_epoch = len(images) // batch
    bars = alpha_bars()
    recipe = Recipe(
        steps=round(plan.epochs * per_epoch),
        batch=batch,
        lr=plan.lr,
        warmup=0.02,
        weight_decay=0.01,
        ema=plan.ema,
        clip=1.0,
        channels_last=False,
        seed=seed,
    )
    order = data.Shuffled(len(images), batch, seed)

    def batch_at(step: int, rank: int, world: int) -> tuple[Tensor, ...]:
        index = order.at(step, rank, world)
        x, label = images[index].float() / 127.5 - 1, labels[index].clone()
        n = len(x)
        if plan.mirror:
            x = torch.where(torch.rand(n, 1, 1, 1) < 0.5, x.flip(3), x)
        label[torch.rand(n) < NO_LABEL] = network.n_classes
        t = ((torch.rand(1) + torch.arange(n) / n) % 1 * T).long()  # spread evenly over the batch: less noisy gradients
        return (*noised(x, t, bars), t, label)

    def loss(model: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
        x_t, v, weight, t, label = batch
        return (weight * (model(x_t, t, label).float() - v) ** 2).mean()

    fixed = torch.Generator().manual_seed(0)
    val = to_tensor(val_set.images).float() / 127.5 - 1
    val_t = torch.randint(0, T, (len(val),), generator=fixed)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        val_x, val_v, val_weight = noised(val, val_t, bars)
    val_labels = torch.from_numpy(val_set.labels)

    @torch.inference_mode()
    def evaluate(model: nn.Module) -> dict[str, float]:
        total = 0.0
        for i in range(0, len(val), 250):
            part = slice(i, i + 250)
            error = (model(val_x[part], val_t[part], val_labels[part]).float() - val_v[part]) ** 2
            total += float((val_weight[part] * error).mean((1, 2, 3)).sum())
        return {"val_loss": total / len(val)}

    return fit(network, batch_at, loss, recipe, run, resume=resume, evaluate=evaluate,
               evaluate_every=max(1, min(per_epoch, recipe.steps // 4)), stop_after=stop_after)  # fmt: skip


# -- what is measured and shipped ------------------------------------------------------------------------------------


def as_stored(network: nn.Module, config: dict[str, Any]) -> DiffusionUNet:
    """The network as `weights.load` gives it back: rounded to fp16, float32 again."""
    stored = DiffusionUNet(**config)
    stored.load_state_dict({k: v.half().float() for k, v in network.state_dict().items()}, strict=True)
    return stored


def make(
    generator: DiffusionGenerator, n: int, sampler: str, n_steps: int, guidance: float | None
) -> tuple[np.ndarray, np.ndarray, float]:
    """(uint8 (n, H, W[, C]), their classes, seconds a picture); classes take turns, seeds are 0, 1, 2, ..."""
    labels = np.arange(n) % len(generator.classes)
    parts, began = [], time.perf_counter()
    for k, i in enumerate(range(0, n, 50)):
        asked = labels[i : i + 50].tolist()
        parts.append(generator.generate(len(asked), k, asked, sampler=sampler, n_steps=n_steps, guidance=guidance))
    return np.concatenate(parts), labels, (time.perf_counter() - began) / n


def row(quality: Quality, seconds: float) -> dict[str, float]:
    """Distances of fewer than 500 pictures say more of their number than of the sampler, and are left out."""
    out = {"agreement": round(100 * quality.agreement, 2), "n": quality.n, "seconds": round(seconds, 5)}
    if quality.n >= 500:
        out |= {
            "distance": round(quality.distance, 4),
            "times_floor": round(quality.distance / quality.floor, 3) if quality.floor else 0.0,
            "precision": round(quality.precision, 4),
            "recall": round(quality.recall, 4),
        }
    return out


def table_of_samplers(
    generator: DiffusionGenerator, judge: Judge, n: int, steps: Sequence[int]
) -> dict[str, dict[str, dict[str, float]]]:
    """sampler -> steps -> measures, of n pictures in few steps and of fewer where there are many (FEWER)."""
    table: dict[str, dict[str, dict[str, float]]] = {}
    for sampler in SAMPLERS:
        for count in steps:
            few = next(k for most, k in FEWER.items() if count <= most) * n // 1000
            few = max(10, few)
            images, labels, seconds = make(generator, few, sampler, count, None)
            table.setdefault(sampler, {})[str(count)] = row(judge(images, labels), seconds)
            print(sampler, count, table[sampler][str(count)], flush=True)
    return table


def ship(
    done: Fit, name: str, plan: Plan, pictures: data.ImageSet, test: data.ImageSet, judge: Judge, seed: int,
    steps: Sequence[int], out: Path,
) -> weights.Card:  # fmt: skip
    """Measure, write weights and card."""
    fit_set, val_set = split(pictures)
    names = data.CIFAR10_CLASSES if name == "cifar10" else tuple("0123456789")
    network = as_stored(done.network, plan.config)
    card = weights.Card(
        name=f"diffusion_{name}",
        task="diffusion",
        title=f"Diffusion, {test.about['name']}",
        architecture=f"U-Net of residual blocks, {'-'.join(map(str, plan.config['widths']))} channels, on pictures "
        "folded to half resolution; predicts v",
        parameters=sum(p.numel() for p in network.parameters()),
        config=plan.config,
        preprocess={"size": plan.config["side"], "range": [-1, 1], "guidance": plan.guidance},
        classes=list(names),
        metrics=[],
        data=report.about_data(
            test,
            f"{len(fit_set):,} training pictures",
            f"{len(val_set):,} for the curve; compared with {len(test):,} test pictures",
        ),
        training=report.about_training(
            f"python -m train.diffusion --data-set {name}",
            seed,
            done.minutes,
            (*report.PACKAGES, "diffusers"),
        ),
        paper="Ho, Jain, Abbeel 2020, arXiv 2006.11239; Nichol and Dhariwal 2021; Salimans and Ho 2022; Ho and "
        "Salimans 2022; Hang et al. 2023; Zhao et al. 2023 (UniPC).",
        limits="Makes pictures of its ten classes at its own small size and nothing else.",
        curve=done.curve,
    )
    generator = DiffusionGenerator(network, card)
    images, labels, seconds = make(generator, plan.n_measured, "unipc", 10, None)
    best = judge(images, labels)
    how = f"UniPC, 10 steps, guidance {plan.guidance:g}, fp16 weights, classes in turn"

    def metric(title: str, value: float, unit: str = "", conditions: str = how) -> weights.Metric:
        return weights.Metric(title, round(value, 4), unit, "test", best.n, conditions)

    card.metrics.extend([
        metric("label agreement", 100 * best.agreement, "%"),
        metric("Frechet distance", best.distance, "", f"{how}; floor {best.floor:.4g} (training pictures), ceiling "
               f"{best.ceiling:.4g} (test pictures blurred by 1 px)"),
        metric("Frechet distance, times the floor", best.distance / best.floor if best.floor else 0.0),
        metric("precision", best.precision),
        metric("recall", best.recall),
        metric("time for one picture", 1000 * seconds, "ms", f"{how}, 50 at once, {report.hardware()}"),
    ])  # fmt: skip
    weights.save(network, card, out, half=True)  # whole without the table, which takes longer than all the rest
    card.tables["samplers"] = table_of_samplers(generator, judge, min(1000, plan.n_measured), steps)
    return weights.save(network, card, out, half=True)


def untrained_judge(train_set: data.ImageSet, test: data.ImageSet) -> Judge:
    """For `--smoke`: its networks have learnt nothing, so that no weights are needed."""
    torch.manual_seed(0)
    network = TextbookCNN()
    features = Features(nn.Sequential(network.stage1, network.stage2, network.dense))
    return Judge(features, DigitClassifier(network, digits.blank_card(angles=[0])), train_set, test)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-set", choices=("mnist", "cifar10"), default="mnist")
    parser.add_argument("--data", type=Path, default=data.default_data_dir(), help="folder with the data sets")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=float, help="instead of the plan's")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument("--ship", action="store_true", help="after the training: measure, write weights and card")
    parser.add_argument("--smoke", action="store_true", help="made-up pictures, under a minute; needs --out")
    parser.add_argument("--out", type=Path, default=weights.FOLDER, help="where weights and card go")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    args = parser.parse_args(arguments)
    if args.smoke:
        if args.out == weights.FOLDER:
            parser.error("--smoke would overwrite the real weights: give --out")
        pictures, test = digits.synthetic(200), digits.synthetic(100, seed=1)
        done = train(PLANS["smoke"], pictures, args.seed, args.out / "diffusion-smoke", args.resume)
        judge = untrained_judge(pictures, test)
        card = ship(done, "mnist", PLANS["smoke"], pictures, test, judge, args.seed, (2,), args.out / "weights")
        print(card.headline)
        return
    name, plan = args.data_set, PLANS[args.data_set]
    if args.epochs:
        plan = Plan(**{**vars(plan), "epochs": args.epochs})
    read = data.mnist if name == "mnist" else data.cifar10
    pictures = read(args.data, train=True)
    done = train(plan, pictures, args.seed, args.runs / f"diffusion-{name}", args.resume or args.ship)
    if args.ship:
        test = read(args.data, train=False)
        judge = Judge.of(name, pictures, test)
        card = ship(done, name, plan, pictures, test, judge, args.seed, STEPS_REPORTED, args.out)
        print(card.headline, *(f"{m.name} {m.value} {m.unit}" for m in card.metrics[1:]), sep="\n")


if __name__ == "__main__":
    main()
