"""Stage two: rectified flow on the latents of composed scenes (Liu et al. 2022, arXiv 2209.03003).

The scenes are encoded once and kept; at every step some are replaced by new ones, so that the U-Net
never waits for them.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from tasks.networks.latent_autoencoder import LatentAutoencoder
from tasks.networks.word_unet import COPIES, Dictionary, TextModel, WordUNet
from train.loop import BatchAt, Fit, Recipe, Trainer
from train.text_to_image import data
from train.text_to_image.autoencoder import to_range
from train.text_to_image.plans import Plan

Sample = tuple[Tensor, Tensor, Tensor, Tensor]  # latents, ids, roles, placements
PLACING = 0.5  # weight of the placements' loss


class Bank:
    """Composed scenes as latents. What it holds at a step is a function of the step alone.

    Scene number k is drawn from (seed, k) and lies at place k modulo the bank's size; at step s the
    scenes up to size + s * refreshed have been drawn.
    """

    def __init__(
        self,
        drawings: data.Drawings,
        autoencoder: LatentAutoencoder,
        size: int,
        refreshed: int,
        seed: int,
    ):
        self.drawings, self.autoencoder, self.seed = drawings, autoencoder.eval(), seed
        self.size, self.refreshed = size, refreshed
        self.latents = torch.zeros(size, autoencoder.channels, 16, 16)
        self.ids = torch.full((size, data.MAX_WORDS), data.NO_WORD)
        self.roles = torch.zeros(size, data.MAX_WORDS, dtype=torch.int64)
        self.placed = torch.zeros(size, data.MAX_WORDS, COPIES, 5)
        self.upto = 0  # scenes drawn so far

    def at_step(self, step: int) -> None:
        """Draw what is missing for a step."""
        upto = self.size + step * self.refreshed
        for start in range(max(self.upto, upto - self.size), upto, 128):
            self._draw(range(start, min(start + 128, upto)))
        self.upto = upto

    @torch.inference_mode()
    def _draw(self, numbers: range) -> None:
        images = []
        for number in numbers:
            rng = np.random.default_rng((self.seed, number))
            scene = data.draw_scene(self.drawings, rng)
            images.append(data.compose(self.drawings, scene, rng))
            place = number % self.size
            ids, roles = data.words(scene)
            self.ids[place] = torch.from_numpy(ids)
            self.roles[place] = torch.from_numpy(roles)
            self.placed[place] = torch.from_numpy(data.placements(scene))
        x = to_range(torch.from_numpy(np.stack(images)))
        places = torch.tensor([number % self.size for number in numbers])
        self.latents[places] = self.autoencoder.encode(x)

    def samples(self, index: Tensor) -> Sample:
        """A batch, its words cut to the longest caption."""
        longest = int((self.ids[index] != data.NO_WORD).sum(1).max())
        ids, roles, placed = (p[index, :longest] for p in (self.ids, self.roles, self.placed))
        return self.latents[index], ids, roles, placed


def logit_normal(n: int, generator: torch.Generator | None = None) -> Tensor:
    """Times in (0, 1), most of them in the middle (Esser et al. 2024, arXiv 2403.03206).

    The normal's quantiles are spread evenly, which makes the gradients less noisy.
    """
    evenly = (torch.rand(1, generator=generator) + torch.arange(n) / n) % 1
    return torch.sigmoid(torch.special.ndtri(evenly.clamp(1e-4, 1 - 1e-4)) * 1.2 + 0.2)


def noised(x0: Tensor, t: Tensor, eps: Tensor) -> tuple[Tensor, Tensor]:
    """(x_t, v)."""
    at = t[:, None, None, None]
    return (1 - at) * x0 + at * eps, eps - x0


def loss(model: nn.Module, batch: Sample) -> Tensor:
    x0, ids, roles, placed = batch
    t = logit_normal(len(x0)).to(x0.device)
    x_t, v = noised(x0, t, torch.randn_like(x0))
    predicted, found = model(x_t, t, ids, roles)
    return (predicted.float() - v).square().mean() + PLACING * misplaced(found.float(), placed)


def misplaced(found: Tensor, placed: Tensor) -> Tensor:
    """Mean squared error of the canvases' places, (B, T, copies, 5) each; `placed` has nan at words
    that bring no thing."""
    of_things = ~placed[:, :, 0, 4].isnan()
    found, placed = found[of_things], placed[of_things].nan_to_num()
    there = placed[..., 4:]
    where = ((found[..., :4] - placed[..., :4]).square() * there).sum() / there.sum().clamp_min(1)
    return where + (found[..., 4] - placed[..., 4]).square().mean()


def validation_of(bank: Bank) -> Callable[[nn.Module], dict[str, float]]:
    """A network -> its loss on other scenes, at fixed times and with fixed noise."""
    bank.at_step(0)
    x0, *words, _ = bank.samples(torch.arange(bank.size))
    generator = torch.Generator().manual_seed(0)
    t = logit_normal(len(x0), generator)
    x_t, v = noised(x0, t, torch.randn(x0.shape, generator=generator))
    parts = [part.split(64) for part in (x_t, t, v, *words)]

    @torch.inference_mode()
    def evaluate(model: nn.Module) -> dict[str, float]:
        total, on = 0.0, next(model.parameters()).device
        for batch in zip(*parts, strict=True):
            x, at, target, *caption = (part.to(on) for part in batch)
            total += float((model(x, at, *caption)[0] - target).square().mean((1, 2, 3)).sum())
        return {"val_loss": total / len(x0)}

    return evaluate


@torch.no_grad()
def latents_of_things(drawings: data.Drawings, autoencoder: LatentAutoencoder) -> Tensor:
    """(n, 16, 8, 8): each thing alone on white, in Noto's style, as the U-Net folds it."""
    rng = np.random.default_rng(0)
    images = [data.compose(drawings, data.Scene((i,)), rng) for i in range(len(drawings.things))]
    x = to_range(torch.from_numpy(np.stack(images)))
    latents = torch.cat([autoencoder.encode(part) for part in x.split(64)])
    return nn.functional.pixel_unshuffle(latents, 2)


def train(
    plan: Plan,
    drawings: data.Drawings,
    autoencoder: LatentAutoencoder,
    seed: int,
    run: Path,
    resume: bool,
    minutes: float | None = None,
    stop_after: int | None = None,
    start: tuple[WordUNet, Dictionary] | None = None,
) -> Fit:
    """Train the U-Net and its dictionary; the autoencoder stays as it is.

    Args:
        start: trained networks to go on from.
        minutes: train for so long instead of `plan.steps`, the learning rate's schedule included.
    """
    torch.manual_seed(seed)
    n_concepts = data.N_FIXED + len(drawings.things)
    network = TextModel(n_concepts, len(data.ROLES), **plan.unet)
    if start is None:
        network.dictionary.from_images(data.N_FIXED, latents_of_things(drawings, autoencoder))
    else:
        network.unet.load_state_dict(start[0].state_dict())
        network.dictionary.load_state_dict(start[1].state_dict())
    recipe = Recipe(
        steps=plan.steps,
        batch=plan.batch,
        lr=plan.lr,
        warmup=0.005,
        weight_decay=0.01,
        ema=plan.ema,
        clip=1.0,
        channels_last=True,
        seed=seed,
        minutes=minutes,
    )
    bank = Bank(drawings, autoencoder, plan.bank, plan.refreshed, seed)
    evaluate = validation_of(Bank(drawings, autoencoder, plan.held_out, 0, seed + 1))

    def batch_at(at: BatchAt) -> Sample:
        bank.at_step(at.step)
        n = plan.batch // at.world
        return bank.samples(torch.randint(bank.size, (n,), generator=at.generator))

    trainer = Trainer(network, batch_at, loss, recipe, run, resume=resume)
    for _ in trainer.steps(stop_after):
        if trainer.is_due(every=min(500, max(1, recipe.steps // 4))):
            trainer.record(evaluate)
    return trainer.result()
