"""Train the GAN: a class-conditional DCGAN (Radford et al. 2016) on MNIST, and see what keeps it stable.

    python -m train.gan                   every run below, in runs/gan-...; go on with --resume
    python -m train.gan --ship            measure the last checkpoints, write weights and cards
    python -m train.gan --smoke --out DIR    all of it on made-up pictures in under a minute

The loss is the paper's binary cross-entropy, the generator's the non-saturating one (Goodfellow et al. 2014).
Stabilisers are tried one at a time in short runs: one-sided label smoothing (Salimans et al. 2016), spectral norm
(Miyato et al. 2018), two learning rates (Heusel et al. 2017), shifted pictures (Zhao et al. 2020, DiffAugment), and a
moving average of the generator. The shipped run has those that brought made digits nearer to held-out ones; `COLLAPSE`
is a run meant to go wrong, for the tab to show.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from tasks.networks.dcgan import DCGAN
from train import data, digits, options
from train.diffusion_ship import untrained_judge
from train.generator_measures import Judge
from train.loop import Fit, Recipe, fit

HELD_OUT = 2000  # training pictures kept for the curve and for comparing the stabilisers
BETAS = (0.5, 0.999)  # Adam's, as Radford et al.
SNAPSHOTS = (50, 100, 200, 400, 800, 1600, 2800, 4000)  # steps whose generators are kept for "how it learned"


@dataclass(frozen=True)
class Plan:
    """One run. The defaults are those without any stabiliser."""

    steps: int
    batch: int = 64
    lr: float = 1e-3  # of the generator; five times Radford's, for a short training
    fall: bool = False  # whether the learning rates fall to 0 in the end
    d_rate: float = 1.0  # learning rate of the discriminator, times the generator's
    real_target: float = 1.0  # what the discriminator shall say of a real picture; below 1: label smoothing
    norm: str = "batch"  # of the discriminator; or "spectral", or "none"
    shift: int = 0  # px by which the discriminator sees pictures shifted, real and made ones alike
    ema: float = 0.999  # kept in every run, shipped only where it is asked for
    widths: tuple[int, int, int] = (160, 96, 64)
    d_widths: tuple[int, int, int] = (48, 96, 192)
    snapshots: tuple[int, ...] = ()
    raw: bool = False  # whether the snapshots are of the last weights, not of their moving average
    look_every: int = 50  # steps between the points of the curve
    measure_every: int = 1000  # steps between measurements on the held-out pictures

    @property
    def config(self) -> dict[str, Any]:
        """Arguments of the DCGAN as it is stored, where spectral norms are divided out."""
        return {
            "latent": 100,
            "n_classes": 10,
            "generator_widths": list(self.widths),
            "discriminator_widths": list(self.d_widths),
            "norm": "batch" if self.norm == "batch" else "none",
        }


NONE = Plan(steps=500)
AVERAGE = "moving average"
STABILISERS: dict[str, dict[str, Any]] = {
    "label smoothing": {"real_target": 0.9},
    "spectral norm": {"norm": "spectral"},
    "two learning rates": {"lr": 3e-3, "d_rate": 0.2},
    "augmentation": {"shift": 2},
}
OURS = replace(NONE, steps=4000, fall=True, snapshots=SNAPSHOTS)  # and the stabilisers that helped
# A discriminator that learns a hundred times slower: the generator runs after the one digit that it likes best.
COLLAPSE = replace(NONE, steps=800, norm="none", lr=3e-3, d_rate=0.01, snapshots=SNAPSHOTS[:5], raw=True)


class Game(nn.Module):
    """One round: the discriminator's logits on real and made pictures, from which both learn in one backward pass."""

    def __init__(self, pair: DCGAN, shift: int = 0):
        super().__init__()
        self.pair, self.shift = pair, shift

    def forward(self, real: Tensor, z: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 1, 28, 28) in [-1, 1] -> logits on real ones, on made ones (no way to G), on made ones (no way to D)."""
        judge = self.pair.discriminator
        made = self.pair.generator(z, y)
        on_real = judge(shifted(real, self.shift), y)
        on_made = judge(shifted(made.detach(), self.shift), y)
        judge.requires_grad_(False)
        for_generator = judge(shifted(made, self.shift), y)
        judge.requires_grad_(True)
        return on_real, on_made, for_generator


def shifted(x: Tensor, most: int) -> Tensor:
    """Each picture by up to `most` px in both directions, chance decides; (B, 1, H, W) in [-1, 1], -1 comes in."""
    if most == 0:
        return x
    n, side = len(x), x.shape[2]
    padded = F.pad(x[:, 0], (most,) * 4, value=-1.0)
    top, left = torch.randint(0, 2 * most + 1, (2, n, 1), device=x.device)
    along = torch.arange(side, device=x.device)
    index = torch.arange(n, device=x.device)[:, None, None]
    return padded[index, (top + along)[:, :, None], (left + along)[:, None, :]][:, None]


def losses(logits: tuple[Tensor, Tensor, Tensor], real_target: float = 1.0) -> tuple[Tensor, Tensor]:
    """(the discriminator's, the generator's): binary cross-entropy of the three kinds of logits of `Game`."""
    on_real, on_made, for_generator = (one.float() for one in logits)
    cross_entropy = F.binary_cross_entropy_with_logits
    d = cross_entropy(on_real, torch.full_like(on_real, real_target)) + F.softplus(on_made).mean()
    return d, F.softplus(-for_generator).mean()


def split(pictures: data.ImageSet) -> tuple[data.ImageSet, data.ImageSet]:
    """(for training, held out)."""
    return data.hold_out(pictures, min(HELD_OUT, len(pictures) // 5))


def train(
    plan: Plan, pictures: data.ImageSet, judge: Judge, seed: int, run: Path, resume: bool, stop_after: int | None = None
) -> tuple[Fit, Game]:
    """(what came out, moving average; the same with the last weights).

    `judge` measures against held-out pictures; the generators of `plan.snapshots` go to `run`.
    """
    fit_set, val_set = split(pictures)
    images, labels = torch.from_numpy(fit_set.images)[:, None], torch.from_numpy(fit_set.labels)
    torch.manual_seed(seed)
    game = Game(DCGAN(**{**plan.config, "norm": plan.norm}), plan.shift)
    batch = min(plan.batch, len(images))
    recipe = Recipe(steps=plan.steps, batch=batch, lr=plan.lr, warmup=0.02 if plan.fall else None, ema=plan.ema,
                    seed=seed)  # fmt: skip
    order = data.Shuffled(len(images), batch, seed)
    now = 0

    def groups(network: nn.Module) -> list[dict[str, Any]]:
        pair: DCGAN = network.pair  # type: ignore[assignment]
        return [
            {"params": list(pair.generator.parameters()), "betas": BETAS, "weight_decay": 0.0},
            {"params": list(pair.discriminator.parameters()), "betas": BETAS, "weight_decay": 0.0,
             "lr_scale": plan.d_rate},
        ]  # fmt: skip

    def batch_at(step: int, rank: int, world: int) -> tuple[Tensor, ...]:
        nonlocal now
        now = step + 1
        index = order.at(step, rank, world)
        return to_range(images[index]), torch.randn(len(index), 100), torch.eye(10)[labels[index]]

    def loss(model: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
        d, g = losses(model(*batch), plan.real_target)
        return d + g

    few = val_set.part(slice(0, 256))
    look = (to_range(torch.from_numpy(few.images)[:, None]), fixed_noise(len(few)), torch.eye(10)[few.labels])

    @torch.inference_mode()
    def evaluate(model: nn.Module) -> dict[str, float]:
        logits = model(*look)
        d, g = losses(logits)
        point = {"d_loss": float(d), "g_loss": float(g),
                 "on_real": float(logits[0].sigmoid().mean()),
                 "on_made": float(logits[1].sigmoid().mean())}  # fmt: skip
        pair: DCGAN = model.pair  # type: ignore[assignment]
        if now in plan.snapshots:
            source = game.pair if plan.raw else pair
            state = {k: v.clone().contiguous() for k, v in source.generator.state_dict().items()}
            save_file({k: v.half() if v.is_floating_point() else v for k, v in state.items()}, snapshot(run, now))
        if now % plan.measure_every == 0 or now == plan.steps:
            quality = measured(pair, judge, len(val_set))
            point |= {"val_agreement": quality["agreement"] / 100, "val_distance": quality["distance"]}
        return point

    done = fit(game, batch_at, loss, recipe, run, resume=resume, evaluate=evaluate, evaluate_every=plan.look_every,
               stop_after=stop_after, groups=groups)  # fmt: skip
    return done, game


def snapshot(run: Path, step: int) -> Path:
    return run / f"generator-{step:06d}.safetensors"


def to_range(images: Tensor) -> Tensor:
    """uint8 -> float32 in [-1, 1]."""
    return images.float() / 127.5 - 1


def fixed_noise(n: int) -> Tensor:
    return torch.randn(n, 100, generator=torch.Generator().manual_seed(0))


@torch.inference_mode()
def measured(pair: DCGAN, judge: Judge, n: int) -> dict[str, float]:
    """Measures of n pictures, classes in turn, as the networks are."""
    was = pair.training
    generator = pair.eval().generator
    labels = torch.arange(n) % 10
    parts = [generator(z, y) for z, y in zip(fixed_noise(n).split(500), torch.eye(10)[labels].split(500), strict=True)]
    pair.train(was)
    images = ((torch.cat(parts)[:, 0].float() + 1) * 127.5).round().clamp(0, 255).byte().numpy()
    q = judge(images, labels.numpy())
    return {"agreement": round(100 * q.agreement, 2), "distance": round(q.distance, 3),
            "precision": round(q.precision, 4), "recall": round(q.recall, 4)}  # fmt: skip


def compare(
    pictures: data.ImageSet, judge: Judge, seed: int, runs: Path, resume: bool, none: Plan
) -> dict[str, dict[str, float]]:
    """One stabiliser at a time, each with the moving average -> measures on held-out pictures."""
    n = len(split(pictures)[1])
    done, game = train(none, pictures, judge, seed, runs / "gan-none", resume)
    table = {"none": measured(game.pair, judge, n), AVERAGE: measured(pair_of(done), judge, n)}
    for name, change in STABILISERS.items():
        run = runs / f"gan-{name.replace(' ', '-')}"
        done, _ = train(replace(none, **change), pictures, judge, seed, run, resume)
        table[name] = measured(pair_of(done), judge, n)
        print(name, table[name], flush=True)
    return table


def with_what_helped(plan: Plan, table: dict[str, dict[str, float]]) -> tuple[Plan, list[str]]:
    """The plan with every stabiliser that brought made digits nearer to held-out ones, and their names."""
    helped = [name for name in STABILISERS if table[name]["distance"] < table[AVERAGE]["distance"]]
    for name in helped:
        plan = replace(plan, **STABILISERS[name])
    return plan, helped


def pair_of(done: Fit) -> DCGAN:
    """The two networks that a training gives out."""
    pair: DCGAN = done.network.pair  # type: ignore[assignment]
    return pair


def main(arguments: Sequence[str] | None = None) -> None:
    from train import gan_cards

    parser = options.training(__doc__, "MNIST/raw")
    args = options.parse(parser, arguments)
    none, ours, collapse, n_measured = NONE, OURS, COLLAPSE, 10_000
    if args.smoke:
        pictures, test = digits.synthetic(200), digits.synthetic(100, seed=1)
        judge, test_judge = untrained_judge(*split(pictures)), untrained_judge(pictures, test)
        tiny: dict[str, Any] = {"steps": 4, "batch": 20, "widths": (8, 8, 8), "d_widths": (8, 8, 8), "look_every": 2}
        none, ours = replace(NONE, **tiny), replace(OURS, **tiny, snapshots=(2, 4))
        collapse = replace(COLLAPSE, **tiny, snapshots=(2, 4))
        n_measured, args.ship, args.runs, args.out = 100, True, args.out / "runs", args.out / "weights"
    else:
        pictures, test = data.mnist(args.data, train=True), data.mnist(args.data, train=False)
        judge, test_judge = Judge.of("mnist", *split(pictures)), None
    resume = args.resume or (args.ship and not args.smoke)
    table = compare(pictures, judge, args.seed, args.runs, resume, none)
    ours, helped = with_what_helped(ours, table)
    print(json.dumps(table, indent=1), "helped:", ", ".join(helped), flush=True)
    done, _ = train(ours, pictures, judge, args.seed, args.runs / "gan", resume)
    if not args.ship:
        train(collapse, pictures, judge, args.seed, args.runs / "gan-collapse", resume)
        return
    test_judge = test_judge or Judge.of("mnist", pictures, test)
    trials: gan_cards.Trials = {"steps": none.steps, "table": table, "helped": helped}
    card = gan_cards.ship(done, ours, trials, pictures, test, test_judge, args.seed, n_measured, args.out)
    gan_cards.ship_history("gan_history", "GAN along its training", ours, done, card, test_judge,
                           args.runs / "gan", args.out)  # fmt: skip
    collapsed, _ = train(collapse, pictures, judge, args.seed, args.runs / "gan-collapse", resume)
    gan_cards.ship_history("gan_collapse", "GAN that collapsed", collapse, collapsed, card, test_judge,
                           args.runs / "gan-collapse", args.out)  # fmt: skip


if __name__ == "__main__":
    main()
