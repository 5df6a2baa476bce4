"""Train a diffusion model: DDPM (Ho et al. 2020), class-conditional, on MNIST or CIFAR-10.

    python -m train.diffusion --data-set mnist      runs/diffusion-mnist; go on with --resume
    python -m train.diffusion --data-set cifar10
    python -m train.diffusion --data-set mnist --again      a further cycle from the shipped weights; --ship as above
    python -m train.diffusion --data-set mnist --ship       measure the last checkpoint, write weights and card
    python -m train.diffusion --data-set mnist --measure    measure the shipped weights again, with the plan's guidance
    python -m train.diffusion --smoke --out DIR     all of it on made-up pictures in under a minute

The network predicts v (Salimans and Ho 2022) under a squared-cosine schedule; the loss is weighted by min-SNR (Hang et
al. 2023, arXiv 2303.09556); a tenth of the labels is dropped for classifier-free guidance (Ho and Salimans 2022). What
is measured: train/diffusion_ship.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tasks import weights
from tasks.diffusion import T, alpha_bars
from tasks.networks.diffusion_unet import DiffusionUNet
from train import data, digits, options, report
from train.generator_measures import Judge
from train.loop import Fit, Recipe, fit

HELD_OUT = 2000  # training pictures kept for the curve
NO_LABEL = 0.1  # share of the labels that are dropped
MIN_SNR = 5.0  # the weight of a time step does not grow beyond this signal-to-noise ratio


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
    guided_times: tuple[int, int]  # first and last time at which it acts
    n_measured: int  # pictures made for the headline figures
    n_steps: int = 10  # of UniPC, that they were made in
    again: bool = False  # begin with the shipped weights
    minutes: float | None = None  # instead of the epochs
    high_noise: bool = False  # full weight at high noise, where the class is decided; min-SNR has next to none there


PLANS = {
    "mnist": Plan(
        {"channels": 1, "side": 28, "n_classes": 10, "widths": [48, 72, 96], "layers": 2, "attention": False},
        epochs=10, batch=128, lr=2e-3, ema=0.9995, mirror=False, guidance=2.0,
        guided_times=(250, 700), n_measured=10_000, n_steps=10,
    ),
    "cifar10": Plan(
        {"channels": 3, "side": 32, "n_classes": 10, "widths": [56, 80, 128], "layers": 2, "attention": True},
        epochs=3.6, batch=32, lr=8e-4, ema=0.9993, mirror=True, guidance=2.5, guided_times=(0, T - 1), n_measured=1_000,
    ),
    "smoke": Plan(
        {"channels": 1, "side": 28, "n_classes": 10, "widths": [8, 16], "layers": 1, "attention": False},
        epochs=1, batch=32, lr=2e-3, ema=0.99, mirror=False, guidance=1.5,
        guided_times=(0, T - 1), n_measured=20,
    ),
}  # fmt: skip

AGAIN: dict[str, Any] = {"again": True, "high_noise": True, "epochs": 2.0, "lr": 1e-3, "ema": 0.998}
"""What a further cycle does otherwise."""


def split(pictures: data.ImageSet) -> tuple[data.ImageSet, data.ImageSet]:
    """(for training, for validation)."""
    return data.hold_out(pictures, min(HELD_OUT, len(pictures) // 5))


def to_tensor(pictures: np.ndarray) -> Tensor:
    """uint8 (N, H, W[, C]) -> uint8 (N, C, H, W)."""
    x = torch.from_numpy(pictures)
    return x[:, None] if x.ndim == 3 else x.permute(0, 3, 1, 2).contiguous()


def noised(x: Tensor, t: Tensor, bars: Tensor, high_noise: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """x0 float (B, C, H, W) in [-1, 1] -> (x_t, v, the weight of each picture's loss).

    Of the error in x0 the weight is min(SNR, 5), or with `high_noise` min(SNR + 1, 5), which is 1 at pure noise.
    """
    a = bars.to(x.device)[t].float()[:, None, None, None]
    eps = torch.randn_like(x)
    x_t = a.sqrt() * x + (1 - a).sqrt() * eps
    v = a.sqrt() * eps - (1 - a).sqrt() * x
    snr = a / (1 - a)
    return x_t, v, (snr + high_noise).clamp(max=MIN_SNR) / (snr + 1)


def train(
    plan: Plan, pictures: data.ImageSet, seed: int, run: Path, resume: bool, stop_after: int | None = None,
    name: str = "mnist",
) -> Fit:  # fmt: skip
    """Train on all but HELD_OUT pictures, whose loss at fixed times and noise is the validation curve."""
    fit_set, val_set = split(pictures)
    images, labels = to_tensor(fit_set.images), torch.from_numpy(fit_set.labels)
    torch.manual_seed(seed)
    network = DiffusionUNet(**plan.config)
    if plan.again:
        network.load_state_dict(weights.load(f"diffusion_{name}", DiffusionUNet)[0].state_dict())
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
        minutes=plan.minutes,
    )
    if torch.cuda.is_available():  # on CPUs it is slower (LOG.md)
        network.unet.compile()
    order = data.Shuffled(len(images), batch, seed)

    def batch_at(step: int, rank: int, world: int) -> tuple[Tensor, ...]:
        index = order.at(step, rank, world)
        return images[index], labels[index]

    def loss(model: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
        x, label = batch[0].float() / 127.5 - 1, batch[1]
        n = len(x)
        if plan.mirror:
            x = torch.where(torch.rand(n, 1, 1, 1, device=x.device) < 0.5, x.flip(3), x)
        label = torch.where(torch.rand(n, device=x.device) < NO_LABEL, network.n_classes, label)
        evenly = torch.rand(1, device=x.device) + torch.arange(n, device=x.device) / n  # less noisy gradients
        t = (evenly % 1 * T).long()
        x_t, v, weight = noised(x, t, bars, plan.high_noise)
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
        total, device = 0.0, next(model.parameters()).device
        for parts in zip(*(of.split(250) for of in (val_x, val_t, val_labels, val_v, val_weight)), strict=True):
            x_t, t, label, v, weight = (part.to(device) for part in parts)
            total += float((weight * (model(x_t, t, label).float() - v) ** 2).mean((1, 2, 3)).sum())
        return {"val_loss": total / len(val)}

    return fit(network, batch_at, loss, recipe, run, resume=resume, evaluate=evaluate,
               evaluate_every=max(1, min(per_epoch, recipe.steps // 4)) if plan.minutes is None else recipe.steps // 12,
               stop_after=stop_after)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    from train import diffusion_ship

    parser = options.training(__doc__, "the data sets")
    parser.add_argument("--data-set", choices=("mnist", "cifar10"), default="mnist")
    parser.add_argument("--epochs", type=float, help="instead of the plan's")
    options.add_budget(parser)
    parser.add_argument("--again", action="store_true", help="a further cycle from the shipped weights")
    parser.add_argument("--measure", action="store_true", help="no training: measure what is shipped, write its card")
    parser.add_argument("--only-table", action="store_true", help="with --measure: only the table of samplers")
    args = options.parse(parser, arguments)
    if args.smoke:
        pictures, test = digits.synthetic(200), digits.synthetic(100, seed=1)
        done = train(PLANS["smoke"], pictures, args.seed, args.out / "diffusion-smoke", args.resume)
        judge = diffusion_ship.untrained_judge(pictures, test)
        network, card = diffusion_ship.shipped(done, "mnist", PLANS["smoke"], pictures, test, args.seed)
        print(diffusion_ship.measure(network, card, PLANS["smoke"], judge, (2,), args.out / "weights").headline)
        return
    name, plan = args.data_set, PLANS[args.data_set]
    if args.again:
        plan = replace(plan, **AGAIN)
    if args.epochs:
        plan = replace(plan, epochs=args.epochs)
    plan = replace(plan, **options.budget(args))
    read = data.mnist if name == "mnist" else data.cifar10
    pictures = read(args.data, train=True)
    if args.measure:
        network, card = weights.load(f"diffusion_{name}", DiffusionUNet, args.out)
    else:
        run = args.runs / f"diffusion-{name}{'-again' if plan.again else ''}"
        before = report.before_again(run, f"diffusion_{name}") if plan.again else None
        done = train(plan, pictures, args.seed, run, args.resume or args.ship, name=name)
        if not args.ship:
            return
    test = read(args.data, train=False)
    if name == "cifar10":  # every second one: the photo network, by whose features they are compared, is slow
        test = test.part(np.arange(0, len(test), 2))
    if args.ship:
        network, card = diffusion_ship.shipped(done, name, plan, pictures, test, args.seed, before)
    judge = Judge.of(name, pictures, test)
    steps, headline = diffusion_ship.STEPS_REPORTED[name], not args.only_table
    card = diffusion_ship.measure(network, card, plan, judge, steps, args.out, headline)
    print(card.headline, *(f"{m.name} {m.value} {m.unit}" for m in card.metrics[1:]), sep="\n")


if __name__ == "__main__":
    main()
