"""Train the class-conditional, convolutional VAE on MNIST.

    python -m train.vae                      runs/vae; continue with --resume
    python -m train.vae --export             measure the last checkpoint, write weights and card
    python -m train.vae --smoke --out DIR    all of it on synthetic digits in under a minute

Kingma and Welling 2014, arXiv 1312.6114; Sohn et al. 2015. The loss is the negative evidence lower
bound: the error of the reconstruction (binary cross-entropy over 784 px) plus the KL divergence of
the encoded places from a standard normal distribution.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.core import weights
from tasks.gan.vae import VaeGenerator
from tasks.networks.vae import ConditionalVAE
from train import data, options, report
from train.common import synthetic
from train.common.export import as_stored
from train.common.generation import generate_digits, metrics_of, one_step
from train.common.generator_metrics import Evaluator
from train.loop import BatchAt, Fit, Recipe, Trainer


@dataclass(frozen=True)
class Plan:
    epochs: float = 12
    minutes: float | None = None  # instead of the epochs
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
    """(reconstruction error, KL divergence to the prior) in nats an image.

    logits, x: (B, 1, 28, 28).
    """
    mean, log_variance = mean.float(), log_variance.float()
    error = F.binary_cross_entropy_with_logits(logits.float(), x, reduction="sum") / len(x)
    divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1).mean()
    return error, divergence


def train(
    plan: Plan,
    digits: data.ImageSet,
    seed: int,
    run: Path,
    resume: bool,
    stop_after: int | None = None,
) -> Fit:
    """Train on all but the held-out digits, whose bound is the curve."""
    train_set, val_set = data.train_and_val(digits)
    images, labels = torch.from_numpy(train_set.images)[:, None], torch.from_numpy(train_set.labels)
    torch.manual_seed(seed)
    batch = min(plan.batch, len(images))
    per_epoch = len(images) // batch
    recipe = Recipe(
        steps=round(plan.epochs * per_epoch),
        batch=batch,
        lr=plan.lr,
        weight_decay=1e-4,
        ema=plan.ema,
        clip=100.0,
        seed=seed,
        minutes=plan.minutes,
    )
    order = data.Shuffled(len(images), batch, seed)

    def batch_at(at: BatchAt) -> tuple[Tensor, ...]:
        index = order.at(at.step, at.rank, at.world)
        noise = torch.randn(len(index), 100, generator=at.generator)
        return images[index].float() / 255, torch.eye(10)[labels[index]], noise

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

    network = ConditionalVAE(**plan.config)
    trainer = Trainer(network, batch_at, loss, recipe, run, resume=resume)
    for _ in trainer.steps(stop_after):
        if trainer.is_due(every=max(1, min(per_epoch, recipe.steps // 4))):
            trainer.record(evaluate)
    return trainer.result()


def active_units(generator: VaeGenerator, test: data.ImageSet) -> int:
    """Values of z whose encoded mean varies by more than 0.01 (Burda et al. 2016)."""
    means = generator.encode(test.images[:2000], test.labels[:2000].tolist())
    return int((means.var(0) > 0.01).sum())


def export(
    done: Fit,
    plan: Plan,
    n_digits: int,
    test: data.ImageSet,
    evaluator: Evaluator,
    seed: int,
    folder: Path,
) -> weights.Card:
    """Measure the network as it will be stored, write weights and card."""
    network = as_stored(done.network, ConditionalVAE(**plan.config))
    held_out = data.n_held_out(n_digits)
    command = f"python -m train.vae{options.budget_options(plan, Plan())}"
    card = weights.Card(
        name="vae",
        task="generation",
        title="VAE, MNIST",
        architecture="two strided convolutions and one more as encoder, the reverse as decoder, "
        "class in both",
        parameters=report.n_parameters(network),
        config=plan.config,
        preprocess={"size": 28, "range": [0, 1], "ink": "bright on black"},
        classes=list("0123456789"),
        metrics=[],
        data=report.about_data(
            test,
            f"{n_digits - held_out:,} training digits",
            f"{held_out:,} for the curve; compared with {len(test):,} test digits",
        ),
        training=report.about_training(command, seed, done.minutes, done.ran_on, done.images_seen),
        paper="Kingma and Welling 2014, arXiv 1312.6114; Sohn, Lee, Yan 2015.",
        limits="Draws soft digits: the average of plausible ones. Its ten classes at 28 x 28 px, "
        "nothing else.",
        selected_on=report.LAST_STEP,
        test_reads="once, at export",
        curve=done.curve,
    )
    generator = VaeGenerator(network, card)
    images, labels, ms = generate_digits(one_step(generator), plan.n_measured)
    how = "fp16 weights, classes in turn, seeds 0, 1, ..."
    card.metrics.extend(metrics_of(evaluator(images, labels), ms, how))
    used, n = active_units(generator, test), min(2000, len(test))
    in_use = weights.Metric("values of z in use", used, "of 100", "test", n, "Burda et al. 2016")
    card.metrics.append(in_use)
    return weights.save(network, card, folder, half=True)


def main(arguments: Sequence[str] | None = None) -> None:
    args = options.parse(options.training(__doc__, "MNIST/raw"), arguments)
    if args.smoke:
        digits, test = synthetic.clock_hands(200), synthetic.clock_hands(100, seed=1)
        plan, run, folder = SMOKE, args.out / "vae-smoke", args.out / "weights"
        evaluator = Evaluator.untrained(digits, test)
    else:
        plan, run, folder = Plan(minutes=args.minutes), args.runs / "vae", args.out
        digits = data.mnist(args.data, train=True)
    done = train(plan, digits, args.seed, run, args.resume or (args.export and not args.smoke))
    if args.export and not args.smoke:
        test = data.mnist(args.data, train=False)
        evaluator = Evaluator.of("mnist", digits, test)
    if args.export or args.smoke:
        card = export(done, plan, len(digits), test, evaluator, args.seed, folder)
        report.print_metrics(card)


if __name__ == "__main__":
    main()
