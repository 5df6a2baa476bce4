"""Train the network that finds handwritten ink in photos, on scenes drawn by train/ink/scenes.py.

    python -m train.ink --data DIR         train, measure, write weights and card
    python -m train.ink --smoke --out DIR  a few seconds on printed digits

--resume continues, --no-export trains only. MNIST's test digits are not used. The app does not use
the network yet: what it reads today is measured by `benchmarks/digit_photos.py`.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.core import weights
from tasks.networks.ink_unet import WIDTHS, InkUNet
from train import data, options, report
from train.common import synthetic
from train.common.export import as_stored, milliseconds
from train.ink.scenes import SIDE, Digits, scene
from train.loop import BatchAt, Fit, Recipe, Trainer

NAME = "ink"
N_VAL = 300  # scenes of held-out digits


@dataclass(frozen=True)
class Plan:
    """What is trained, and how long."""

    steps: int = 800
    batch: int = 16  # scenes a step
    lr: float = 2e-3
    ema: float = 0.995
    minutes: float | None = None


def train(
    digits: data.ImageSet, plan: Plan, seed: int, run: Path, resume: bool, n_val: int = N_VAL
) -> Fit:
    """Train on scenes of all but the held-out digits; those give the curve, the mask's IoU."""
    train_set, val_set = data.train_and_val(digits)
    written, held_out = Digits(train_set), Digits(val_set)
    pool = ThreadPoolExecutor(2)
    val = [scene(held_out, (seed + 1, i)) for i in range(n_val)]
    torch.manual_seed(seed)
    recipe = Recipe(
        steps=plan.steps,
        batch=plan.batch,
        lr=plan.lr,
        warmup=0.05,
        weight_decay=0.01,
        ema=plan.ema,
        clip=1.0,
        bf16=False,
        seed=seed,
        minutes=plan.minutes,
    )

    def batch_at(at: BatchAt) -> tuple[Tensor, Tensor]:
        n = plan.batch // at.world
        first = (at.step * at.world + at.rank) * n
        made = list(pool.map(lambda i: scene(written, (seed, i)), range(first, first + n)))
        return to_tensors(made)

    def evaluate(network: nn.Module) -> dict[str, float]:
        return {"val_iou": iou(network, val)}

    trainer = Trainer(InkUNet(), batch_at, loss, recipe, run, resume=resume)
    for _ in trainer.steps():
        if trainer.is_due(max(1, plan.steps // 5)):
            trainer.record(evaluate)
    return trainer.result()


def to_tensors(scenes: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[Tensor, Tensor]:
    """(float32 (B, 3, H, W) in [0, 1], float32 (B, 1, H, W))."""
    images, masks = zip(*scenes, strict=True)
    x = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
    return x, torch.from_numpy(np.stack(masks))[:, None]


def loss(network: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Cross-entropy, ink weighing six times as much as paper, and a little of Dice's loss.

    Ink is 0.3 % of the pixels. With Dice as an equal partner, nothing was found for 500 steps.
    """
    x, true = batch
    logits = network(x).float()
    entropy = F.binary_cross_entropy_with_logits(logits, true, weight=1 + 5 * true)
    found = logits.sigmoid()
    shared = (found * true).sum((1, 2, 3))
    dice = 1 - (2 * shared + 50) / (found.sum((1, 2, 3)) + true.sum((1, 2, 3)) + 50)
    return 4 * entropy + 0.1 * dice.mean()


@torch.inference_mode()
def iou(network: nn.Module, scenes: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    """Percent, over the ink of all scenes, at a threshold of one half."""
    shared = union = 0
    for start in range(0, len(scenes), 16):
        x, true = to_tensors(scenes[start : start + 16])
        found, wanted = network(x) > 0, true > 0.5
        shared += int((found & wanted).sum())
        union += int((found | wanted).sum())
    return 100 * shared / max(1, union)


def export(
    done: Fit, plan: Plan, digits: data.ImageSet, seed: int, folder: Path, n_val: int = N_VAL
) -> weights.Card:
    """Measure on held-out digits, write weights and card."""
    network = as_stored(done.network, InkUNet())
    _, val_set = data.train_and_val(digits)
    held_out = Digits(val_set)
    val = [scene(held_out, (seed + 2, i)) for i in range(n_val)]
    x = torch.zeros(1, 3, SIDE, SIDE)
    with torch.inference_mode():
        took = milliseconds(lambda: network(x))
    card = weights.Card(
        name=NAME,
        task="classification",
        title="Ink of handwritten digits",
        architecture="U-Net of five scales from 1/2 to 1/32, pixel shuffle at its end",
        parameters=report.n_parameters(network),
        config={"widths": list(WIDTHS)},
        preprocess={"size": SIDE, "range": [0, 1], "colour": "RGB"},
        classes=["ink"],
        metrics=[
            weights.Metric(
                "IoU of the ink",
                round(iou(network, val), 1),
                "%",
                "val",
                n_val,
                "drawn scenes of held-out digits",
            ),
            weights.Metric("time", round(took, 1), "ms", "val", 1, f"{SIDE} x {SIDE} px"),
        ],
        data=report.about_data(
            val_set,
            f"{done.images_seen:,} scenes drawn from the training digits",
            f"{n_val} scenes of the held-out ones",
        ),
        training=report.about_training(
            "python -m train.ink" + options.budget_options(plan, Plan()), seed, done.minutes
        ),
        paper="Ronneberger, Fischer, Brox 2015, U-Net (arXiv 1505.04597)",
        limits="Trained on drawn scenes only. Knows digits as MNIST's writers wrote them; what it "
        "takes for no digit it leaves out.",
        selected_on=report.LAST_STEP,
        test_reads="never",
        curve=done.curve,
    )
    return weights.save(network, card, folder, half=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options.training(__doc__, "MNIST/raw", export=True)
    options.add_budget(parser)
    args = options.parse(parser, arguments)
    plan = Plan(**options.budget(args))
    if args.smoke:
        digits, n_val = synthetic.printed_digits(60, args.seed), 8
        run, folder, plan = args.out / "ink-smoke", args.out / "weights", Plan(steps=6, batch=4)
    else:
        digits, n_val = data.mnist(args.data, train=True), N_VAL
        run, folder = args.runs / NAME, args.out
    done = train(digits, plan, args.seed, run, args.resume, n_val)
    if args.export:
        report.print_metrics(export(done, plan, digits, args.seed, folder, n_val))


if __name__ == "__main__":
    main()
