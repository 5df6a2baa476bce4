"""Stage one: the KL autoencoder whose latents the diffusion works on (Rombach et al. 2022)."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.networks.latent_autoencoder import LatentAutoencoder
from train.loop import BatchAt, Fit, Recipe, Trainer
from train.text_to_image import data
from train.text_to_image.plans import Plan

KL_WEIGHT = 1e-5  # keeps the latents near zero without costing sharpness
HELD_OUT = 0.05  # share of the things, for the curve


def to_range(images: Tensor) -> Tensor:
    """uint8 (B, H, W, 3) -> float32 (B, 3, H, W) in [-1, 1]."""
    return images.permute(0, 3, 1, 2).float() / 127.5 - 1


def scenes(drawings: data.Drawings, n: int, seed: int) -> Tensor:
    """n random scenes, uint8 (n, 64, 64, 3)."""
    rng = np.random.default_rng(seed)
    drawn = [data.compose(drawings, data.draw_scene(drawings, rng), rng) for _ in range(n)]
    return torch.from_numpy(np.stack(drawn))


def split(drawings: data.Drawings) -> tuple[data.Drawings, data.Drawings]:
    """(things to train on, things held out), the same ones for every training."""
    order = np.random.default_rng(0).permutation(len(drawings.things))
    n = max(1, round(HELD_OUT * len(order)))
    return part(drawings, np.sort(order[n:])), part(drawings, np.sort(order[:n]))


def part(drawings: data.Drawings, index: np.ndarray) -> data.Drawings:
    things = [drawings.things[int(i)] for i in index]
    new = {int(old): k for k, old in enumerate(index)}
    pixels = {(s, new[i]): image for (s, i), image in drawings.pixels.items() if i in new}
    return data.Drawings(things, pixels)


def psnr(x: Tensor, clean: Tensor) -> Tensor:
    """(B,) dB, of images in [-1, 1]."""
    return -10 * torch.log10(((x - clean) / 2).square().mean((1, 2, 3)).clamp_min(1e-10))


def train(
    plan: Plan,
    drawings: data.Drawings,
    seed: int,
    run: Path,
    resume: bool,
    minutes: float | None = None,
) -> Fit:
    """Train on random scenes of all things but a twentieth, whose PSNR is the curve."""
    train_set, val_set = split(drawings)
    torch.manual_seed(seed)
    network = LatentAutoencoder(**plan.autoencoder)
    network.from_patches(to_range(scenes(train_set, min(512, 8 * plan.autoencoder_steps), 1)))
    recipe = Recipe(
        steps=plan.autoencoder_steps,
        batch=plan.autoencoder_batch,
        lr=plan.autoencoder_lr,
        warmup=0.05,
        ema=0.995,
        clip=1.0,
        bf16=False,
        channels_last=False,
        seed=seed,
        minutes=minutes,
    )
    val = to_range(scenes(val_set, 16 * plan.autoencoder_batch, 0))

    def batch_at(at: BatchAt) -> Tensor:
        chosen = int(torch.randint(2**31, (1,), generator=at.generator))
        return scenes(train_set, recipe.batch // at.world, chosen)

    def loss(model: nn.Module, images: Tensor) -> Tensor:
        x = to_range(images)
        noise = torch.randn(len(x), network.channels, 16, 16, device=x.device)
        y, mean, log_variance = model(x, noise)
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum((1, 2, 3)).mean()
        return F.l1_loss(y, x) * 0.2 + 5 * F.mse_loss(y, x) + KL_WEIGHT * kl / 100

    @torch.inference_mode()
    def evaluate(model: nn.Module) -> dict[str, float]:
        assert isinstance(model, LatentAutoencoder)
        values = [
            psnr(model.decode_raw(model.moments(x)[0]).clamp(-1, 1), x) for x in val.split(32)
        ]
        return {"psnr": float(torch.cat(values).mean())}

    trainer = Trainer(network, batch_at, loss, recipe, run, resume=resume)
    for _ in trainer.steps():
        if trainer.is_due(every=max(1, recipe.steps // 12)):
            trainer.record(evaluate)
    done = trainer.result()
    scale_latents(done.network, scaling_images(plan, drawings))
    return done


def load(plan: Plan, drawings: data.Drawings, run: Path) -> LatentAutoencoder:
    """The moving average in a run's checkpoint, its latents scaled."""
    saved = torch.load(run / "checkpoint.pt", map_location="cpu", weights_only=True)
    network = LatentAutoencoder(**plan.autoencoder)
    network.load_state_dict(saved["average"]["module"])
    scale_latents(network, scaling_images(plan, drawings))
    return network.eval()


def scaling_images(plan: Plan, drawings: data.Drawings) -> Tensor:
    """Scenes that set the scale of the latents, always the same ones."""
    n = min(1024, 8 * plan.autoencoder_steps)
    return to_range(scenes(split(drawings)[0], n, 2))


@torch.no_grad()
def scale_latents(network: nn.Module, images: Tensor) -> None:
    """Set the latents' mean and deviation, so that `encode` gives zero mean and unit variance."""
    assert isinstance(network, LatentAutoencoder)
    latents = torch.cat([network.moments(x)[0] for x in images.split(64)])
    network.mean.copy_(latents.mean((0, 2, 3), keepdim=True))
    network.std.copy_(latents.std((0, 2, 3), keepdim=True))
