"""DDPM (Ho et al. 2020) with v-prediction, min-SNR weights and dropped labels.

The network predicts v (Salimans and Ho 2022) under a squared-cosine schedule. The loss is weighted
by min-SNR (Hang et al. 2023, arXiv 2303.09556); a tenth of the labels is dropped for
classifier-free guidance (Ho and Salimans 2022).
"""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from tasks.core import weights
from tasks.diffusion.process import T, alpha_bars
from tasks.networks.diffusion_unet import DiffusionUNet
from train.data import ImageSet, Shuffled, train_and_val
from train.diffusion.data import to_range, to_tensor
from train.diffusion.plans import Plan
from train.loop import BatchAt, Fit, Recipe, Trainer

NO_LABEL = 0.1  # share of the labels that are dropped
MIN_SNR = 5.0  # largest weight of a time step, in signal-to-noise ratio

Loss = Callable[[nn.Module, tuple[Tensor, ...]], Tensor]


def noised(
    x: Tensor, t: Tensor, bars: Tensor, high_noise: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """x0 float (B, C, H, W) in [-1, 1] -> (x_t, v, weight of each image's loss).

    The weight of the error in x0 is min(SNR, 5), or with `high_noise` min(SNR + 1, 5), which is 1
    at pure noise.
    """
    a = bars.to(x.device)[t].float()[:, None, None, None]
    eps = torch.randn_like(x)
    x_t = a.sqrt() * x + (1 - a).sqrt() * eps
    v = a.sqrt() * eps - (1 - a).sqrt() * x
    snr = a / (1 - a)
    return x_t, v, (snr + high_noise).clamp(max=MIN_SNR) / (snr + 1)


def loss_of(plan: Plan) -> Loss:
    """The loss on a batch of images, uint8 (B, C, H, W), and labels, int64 (B,)."""
    bars = alpha_bars()
    no_label = int(plan.config["n_classes"])

    def loss(model: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
        x, label = to_range(batch[0]), batch[1]
        n, on = len(x), x.device
        if plan.flip:
            x = torch.where(torch.rand(n, 1, 1, 1, device=on) < 0.5, x.flip(3), x)
        label = torch.where(torch.rand(n, device=on) < NO_LABEL, no_label, label)
        # evenly spread times make the gradients less noisy
        evenly = torch.rand(1, device=on) + torch.arange(n, device=on) / n
        t = (evenly % 1 * T).long()
        x_t, v, weight = noised(x, t, bars, plan.high_noise)
        return (weight * (model(x_t, t, label).float() - v) ** 2).mean()

    return loss


def validation_of(val_set: ImageSet) -> Callable[[nn.Module], dict[str, float]]:
    """A network -> its loss on held-out images, at fixed times and with fixed noise."""
    x = to_range(to_tensor(val_set.images))
    fixed_t = torch.randint(0, T, (len(x),), generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        x_t, v, weight = noised(x, fixed_t, alpha_bars())
    parts = [p.split(250) for p in (x_t, fixed_t, torch.from_numpy(val_set.labels), v, weight)]

    @torch.inference_mode()
    def evaluate(model: nn.Module) -> dict[str, float]:
        total, on = 0.0, next(model.parameters()).device
        for batch in zip(*parts, strict=True):
            x_t, t, label, v, weight = (part.to(on) for part in batch)
            error = weight * (model(x_t, t, label).float() - v) ** 2
            total += float(error.mean((1, 2, 3)).sum())
        return {"val_loss": total / len(x)}

    return evaluate


def train(
    plan: Plan,
    dataset: ImageSet,
    seed: int,
    run: Path,
    resume: bool,
    stop_after: int | None = None,
    name: str = "mnist",
) -> Fit:
    """Train on all but the held-out images, whose loss is the validation curve.

    Args:
        name: whose weights `plan.init_from_shipped` loads.
    """
    train_set, val_set = train_and_val(dataset)
    images, labels = to_tensor(train_set.images), torch.from_numpy(train_set.labels)
    torch.manual_seed(seed)
    network = DiffusionUNet(**plan.config)
    if plan.init_from_shipped:
        network.load_state_dict(weights.load(f"diffusion_{name}", DiffusionUNet)[0].state_dict())
    batch = min(plan.batch, len(images))
    per_epoch = len(images) // batch
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
    order = Shuffled(len(images), batch, seed)

    def batch_at(at: BatchAt) -> tuple[Tensor, ...]:
        index = order.at(at.step, at.rank, at.world)
        return images[index], labels[index]

    every = recipe.steps // 12 if plan.minutes else min(per_epoch, recipe.steps // 4)
    evaluate = validation_of(val_set)
    trainer = Trainer(network, batch_at, loss_of(plan), recipe, run, resume=resume)
    for _ in trainer.steps(stop_after):
        if trainer.is_due(every=max(1, every)):
            trainer.record(evaluate)
    return trainer.result()
