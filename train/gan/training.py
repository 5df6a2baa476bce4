"""The GAN's training: both networks in one backward pass, the stabilisers one at a time.

The loss is the paper's binary cross-entropy, the generator's the non-saturating one (Goodfellow et
al. 2014). Stabilisers: one-sided label smoothing (Salimans et al. 2016), spectral norm (Miyato et
al. 2018), two learning rates (Heusel et al. 2017), shifted images (Zhao et al. 2020, DiffAugment),
and a moving average of the generator.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from tasks.networks.dcgan import DCGAN
from train.common.generator_metrics import Evaluator
from train.data import ImageSet, Shuffled, train_and_val
from train.gan.data import fixed_noise, shifted, to_range
from train.gan.plans import AVERAGE, STABILISERS, Plan
from train.loop import BatchAt, Fit, Recipe, Trainer

BETAS = (0.5, 0.999)  # Adam's, as Radford et al.


class Game(nn.Module):
    """One round: the discriminator's logits on real and generated images."""

    def __init__(self, pair: DCGAN, shift: int = 0):
        super().__init__()
        self.pair, self.shift = pair, shift

    def forward(self, real: Tensor, z: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Images (B, 1, 28, 28) in [-1, 1], noise (B, 100), classes one-hot (B, 10).

        Returns:
            Logits on real images, on generated ones without gradient to the generator, and on
            generated ones without gradient to the discriminator.
        """
        discriminator = self.pair.discriminator
        generated = self.pair.generator(z, y)
        on_real = discriminator(shifted(real, self.shift), y)
        on_generated = discriminator(shifted(generated.detach(), self.shift), y)
        discriminator.requires_grad_(False)
        for_generator = discriminator(shifted(generated, self.shift), y)
        discriminator.requires_grad_(True)
        return on_real, on_generated, for_generator


def losses(
    logits: tuple[Tensor, Tensor, Tensor], real_target: float = 1.0
) -> tuple[Tensor, Tensor]:
    """(loss of the discriminator, loss of the generator) of the three logits of `Game`."""
    on_real, on_generated, for_generator = (part.float() for part in logits)
    real = F.binary_cross_entropy_with_logits(on_real, torch.full_like(on_real, real_target))
    return real + F.softplus(on_generated).mean(), F.softplus(-for_generator).mean()


def parameter_groups(d_rate: float) -> Callable[[nn.Module], list[dict[str, Any]]]:
    """A game -> its optimiser's groups, generator and discriminator."""

    def groups(game: nn.Module) -> list[dict[str, Any]]:
        pair: DCGAN = game.pair  # type: ignore[assignment]
        shared = {"betas": BETAS, "weight_decay": 0.0}
        return [
            {"params": list(pair.generator.parameters()), **shared},
            {"params": list(pair.discriminator.parameters()), "lr_scale": d_rate, **shared},
        ]

    return groups


def train(
    plan: Plan,
    digits: ImageSet,
    evaluator: Evaluator,
    seed: int,
    run: Path,
    resume: bool,
    stop_after: int | None = None,
) -> tuple[Fit, Game]:
    """(result with the moving average, the networks with their last weights).

    Args:
        evaluator: measures against the held-out digits.
        run: where the generators of `plan.snapshots` go, too.
    """
    train_set, val_set = train_and_val(digits)
    images, labels = torch.from_numpy(train_set.images)[:, None], torch.from_numpy(train_set.labels)
    torch.manual_seed(seed)
    game = Game(DCGAN(**{**plan.config, "norm": plan.norm}), plan.shift)
    batch = min(plan.batch, len(images))
    recipe = Recipe(
        steps=plan.steps,
        batch=batch,
        lr=plan.lr,
        warmup=0.02 if plan.lr_decay else None,
        ema=plan.ema,
        seed=seed,
    )
    order = Shuffled(len(images), batch, seed)

    def batch_at(at: BatchAt) -> tuple[Tensor, ...]:
        index = order.at(at.step, at.rank, at.world)
        z = torch.randn(len(index), 100, generator=at.generator)
        return to_range(images[index]), z, torch.eye(10)[labels[index]]

    def loss(model: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
        d, g = losses(model(*batch), plan.real_target)
        return d + g

    few = val_set.part(slice(0, 256))
    few_images = to_range(torch.from_numpy(few.images)[:, None])
    look = few_images, fixed_noise(len(few)), torch.eye(10)[few.labels]

    groups = parameter_groups(plan.d_rate)
    trainer = Trainer(game, batch_at, loss, recipe, run, resume=resume, groups=groups)
    for step in trainer.steps(stop_after):
        if step in plan.snapshots and trainer.accelerator.is_main_process:
            source = trainer.network if plan.raw else trainer.averaged
            save_snapshot(source, snapshot(run, step))
        if trainer.is_due(plan.log_every):
            full = step % plan.measure_every == 0 or step == plan.steps
            n = len(val_set) if full else 0
            trainer.record(partial(point_of, look=look, evaluator=evaluator, n=n))
    return trainer.result(), game


@torch.inference_mode()
def point_of(
    game: nn.Module, look: tuple[Tensor, ...], evaluator: Evaluator, n: int
) -> dict[str, float]:
    """A point of the curve: losses and confidences on `look`; quality of n images, if n > 0."""
    logits = game(*look)
    d, g = losses(logits)
    point = {
        "d_loss": float(d),
        "g_loss": float(g),
        "on_real": float(logits[0].sigmoid().mean()),
        "on_made": float(logits[1].sigmoid().mean()),
    }
    if n:
        quality = quality_of(game.pair, evaluator, n)  # type: ignore[arg-type]
        point["val_agreement"] = quality["agreement"] / 100
        point["val_distance"] = quality["distance"]
    return point


def snapshot(run: Path, step: int) -> Path:
    """The file of a generator along the training."""
    return run / f"generator-{step:06d}.safetensors"


def save_snapshot(game: nn.Module, file: Path) -> None:
    """The generator, in fp16."""
    pair: DCGAN = game.pair  # type: ignore[assignment]
    state = {k: v.clone().contiguous() for k, v in pair.generator.state_dict().items()}
    save_file({k: v.half() if v.is_floating_point() else v for k, v in state.items()}, file)


@torch.inference_mode()
def quality_of(pair: DCGAN, evaluator: Evaluator, n: int) -> dict[str, float]:
    """Quality of n generated images, classes in turn; leaves the networks in their mode."""
    was_training = pair.training
    generator = pair.eval().generator
    labels = torch.arange(n) % 10
    one_hot = torch.eye(10)[labels].split(500)
    parts = [generator(z, y) for z, y in zip(fixed_noise(n).split(500), one_hot, strict=True)]
    pair.train(was_training)
    images = ((torch.cat(parts)[:, 0].float() + 1) * 127.5).round().clamp(0, 255).byte().numpy()
    q = evaluator(images, labels.numpy())
    return {
        "agreement": round(100 * q.agreement, 2),
        "distance": round(q.distance, 3),
        "precision": round(q.precision, 4),
        "recall": round(q.recall, 4),
    }


def pair_of(done: Fit) -> DCGAN:
    """The two networks of a result."""
    pair: DCGAN = done.network.pair  # type: ignore[assignment]
    return pair


def compare_stabilisers(
    digits: ImageSet, evaluator: Evaluator, seed: int, runs: Path, resume: bool, none: Plan
) -> dict[str, dict[str, float]]:
    """One stabiliser at a time, each with the moving average -> quality on held-out digits."""
    n = len(train_and_val(digits)[1])
    done, game = train(none, digits, evaluator, seed, runs / "gan-none", resume)
    table = {
        "none": quality_of(game.pair, evaluator, n),
        AVERAGE: quality_of(pair_of(done), evaluator, n),
    }
    for name, change in STABILISERS.items():
        run = runs / f"gan-{name.replace(' ', '-')}"
        done, _ = train(replace(none, **change), digits, evaluator, seed, run, resume)
        table[name] = quality_of(pair_of(done), evaluator, n)
        print(name, table[name], flush=True)
    return table
