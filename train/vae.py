"""Train the VAE: convolutions, class-conditional, on MNIST (Kingma and Welling 2014; Sohn et al. 2015).

    python -m train.vae                    runs/vae; go on with --resume
    python -m train.vae --ship             measure the last checkpoint, write weights and card
    python -m train.vae --smoke --out DIR    all of it on made-up pictures in under a minute

The loss is the negative evidence lower bound: how badly a digit is drawn again from its place in latent space
(binary cross-entropy over 784 px), and how far these places are from a standard normal (KL divergence).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks import weights
from tasks.networks.vae import ConditionalVAE
from tasks.vae import VaeGenerator
from train import data, digits, options, report
from train.diffusion_ship import untrained_judge
from train.evaluate import figures, make, one_step
from train.generator_measures import Judge
from train.loop import Fit, Recipe, fit

HELD_OUT = 2000  # training pictures kept for the curve


@dataclass(frozen=True)
class Plan:
    epochs: float = 12
    batch: int = 128
    lr: float = 2e-3  # peak; the curve still falls at 1e-3
    ema: float = 0.999
    width: int = 32
    n_measured: int = 10_000

    @property
    def config(self) -> dict[str, Any]:
        """Arguments of the network."""
        return {"latent": 100, "n_classes": 10, "width": self.width}


SMOKE = Plan(epochs=2, batch=32, ema=0.9, width=4, n_measured=100)


def bound(logits: Tensor, x: Tensor, mean: Tensor, log_variance: Tensor) -> tuple[Tensor, Tensor]:
    """(reconstruction error, KL divergence to the prior) in nats a picture; logits and x are (B, 1, 28, 28)."""
    mean, log_variance = mean.float(), log_variance.float()
    error = F.binary_cross_entropy_with_logits(logits.float(), x, reduction="sum") / len(x)
    divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1).mean()
    return error, divergence


def train(
    plan: Plan, pictures: data.ImageSet, seed: int, run: Path, resume: bool, stop_after: int | None = None
) -> Fit:
    """Train on all but HELD_OUT pictures, whose bound is the curve."""
    fit_set, val_set = data.hold_out(pictures, min(HELD_OUT, len(pictures) // 5))
    images, labels = torch.from_numpy(fit_set.images)[:, None], torch.from_numpy(fit_set.labels)
    torch.manual_seed(seed)
    batch = min(plan.batch, len(images))
    per_epoch = len(images) // batch
    recipe = Recipe(steps=round(plan.epochs * per_epoch), batch=batch, lr=plan.lr, ema=plan.ema, clip=100.0,
                    weight_decay=1e-4, seed=seed)  # fmt: skip
    order = data.Shuffled(len(images), batch, seed)

    def batch_at(step: int, rank: int, world: int) -> tuple[Tensor, ...]:
        index = order.at(step, rank, world)
        return images[index].float() / 255, torch.eye(10)[labels[index]], torch.randn(len(index), 100)

    def loss(model: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
        logits, mean, log_variance = model(*batch)
        error, divergence = bound(logits, batch[0], mean, log_variance)
        return error + divergence

    val = torch.from_numpy(val_set.images)[:, None].float() / 255
    val_y = torch.eye(10)[torch.from_numpy(val_set.labels)]
    eps = torch.randn(len(val), 100, generator=torch.Generator().manual_seed(0))

    @torch.inference_mode()
    def evaluate(model: nn.Module) -> dict[str, float]:
        logits, mean, log_variance = model(val, val_y, eps)
        error, divergence = bound(logits, val, mean, log_variance)
        return {"held_out_error": float(error), "held_out_kl": float(divergence)}

    return fit(ConditionalVAE(**plan.config), batch_at, loss, recipe, run, resume=resume, evaluate=evaluate,
               evaluate_every=max(1, min(per_epoch, recipe.steps // 4)), stop_after=stop_after)  # fmt: skip


def active_units(generator: VaeGenerator, test: data.ImageSet) -> int:
    """Values of z that the encoder uses: their mean varies by more than 0.01 (Burda et al. 2016)."""
    means = generator.encode(test.images[:2000], test.labels[:2000].tolist())
    return int((means.var(0) > 0.01).sum())


def ship(
    done: Fit, plan: Plan, pictures: data.ImageSet, test: data.ImageSet, judge: Judge, seed: int, out: Path
) -> weights.Card:
    """Measure the network as it will be stored, write weights and card."""
    network = ConditionalVAE(**plan.config)
    network.load_state_dict({k: v.half().float() for k, v in done.network.state_dict().items()})
    held_out = min(HELD_OUT, len(pictures) // 5)
    card = weights.Card(
        name="vae",
        task="gan",
        title="VAE, MNIST",
        architecture="two strided convolutions and one more as encoder, the reverse as decoder, class in both",
        parameters=sum(p.numel() for p in network.parameters()),
        config=plan.config,
        preprocess={"size": 28, "range": [0, 1], "ink": "bright on black"},
        classes=list("0123456789"),
        metrics=[],
        data=report.about_data(
            test,
            f"{len(pictures) - held_out:,} training pictures",
            f"{held_out:,} for the curve; compared with {len(test):,} test pictures",
        ),
        training=report.about_training("python -m train.vae", seed, done.minutes, done.where, done.pictures),
        paper="Kingma and Welling 2014, arXiv 1312.6114; Sohn, Lee, Yan 2015.",
        limits="Draws soft digits: the average of what might be meant. Its ten classes at 28 x 28 px, nothing else.",
        curve=done.curve,
    )
    generator = VaeGenerator(network, card)
    images, labels, ms = make(one_step(generator), plan.n_measured)
    card.metrics.extend(figures(judge(images, labels), ms, "fp16 weights, classes in turn, seeds 0, 1, ..."))
    used = active_units(generator, test)
    n = min(2000, len(test))
    card.metrics.append(weights.Metric("values of z in use", used, "of 100", "test", n, "Burda et al. 2016"))
    return weights.save(network, card, out, half=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options.training(__doc__, "MNIST/raw")
    args = options.parse(parser, arguments)
    if args.smoke:
        pictures, test = digits.synthetic(200), digits.synthetic(100, seed=1)
        done = train(SMOKE, pictures, args.seed, args.out / "vae-smoke", args.resume)
        judge = untrained_judge(pictures, test)
        print(ship(done, SMOKE, pictures, test, judge, args.seed, args.out / "weights").headline)
        return
    plan, pictures = Plan(), data.mnist(args.data, train=True)
    done = train(plan, pictures, args.seed, args.runs / "vae", args.resume or args.ship)
    if args.ship:
        test = data.mnist(args.data, train=False)
        judge = Judge.of("mnist", pictures, test)
        card = ship(done, plan, pictures, test, judge, args.seed, args.out)
        print(card.headline, *(f"{m.name} {m.value} {m.unit}" for m in card.metrics[1:]), sep="\n")


if __name__ == "__main__":
    main()
