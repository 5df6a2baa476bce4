"""Train a class-conditional diffusion model on MNIST or CIFAR-10.

    python -m train.diffusion --data-set mnist      runs/diffusion-mnist; continue with --resume
    python -m train.diffusion --data-set cifar10
    python -m train.diffusion --data-set mnist --init-from-shipped    another training cycle
    python -m train.diffusion --data-set mnist --export     measure the last checkpoint, write
                                                            weights and card
    python -m train.diffusion --data-set mnist --measure    measure the shipped weights again
    python -m train.diffusion --smoke --out DIR     all of it on synthetic digits in under a minute

The method: training.py. The metrics: export.py.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tasks.core import weights
from tasks.networks.diffusion_unet import DiffusionUNet
from train import options, report
from train.common import synthetic
from train.common.generator_metrics import Evaluator
from train.diffusion.data import READERS, test_images
from train.diffusion.export import STEPS_REPORTED, export, stored_with_card
from train.diffusion.plans import ANOTHER_CYCLE, PLANS, Plan
from train.diffusion.training import train


def smoke(out: Path, seed: int, resume: bool) -> weights.Card:
    """Training and export, tiny; everything goes under `out`."""
    plan = PLANS["smoke"]
    digits, test = synthetic.clock_hands(200), synthetic.clock_hands(100, seed=1)
    done = train(plan, digits, seed, out / "diffusion-smoke", resume)
    network, card = stored_with_card(done, "mnist", plan, len(digits), test, seed)
    evaluator = Evaluator.untrained(digits, test)
    return export(network, card, plan, evaluator, (2,), out / "weights")


def make_parser() -> argparse.ArgumentParser:
    parser = options.training(__doc__, "the data sets")
    parser.add_argument("--data-set", choices=list(READERS), default="mnist")
    parser.add_argument("--epochs", type=float, help="instead of the plan's")
    options.add_budget(parser)
    how = "another training cycle, from the shipped weights"
    options.add(parser, "--init-from-shipped", action="store_true", help=how)
    how = "no training: measure the shipped weights, write their card"
    parser.add_argument("--measure", action="store_true", help=how)
    how = "with --measure: only the table of samplers"
    parser.add_argument("--only-table", action="store_true", help=how)
    return parser


def plan_of(args: argparse.Namespace) -> Plan:
    plan = PLANS[args.data_set]
    if args.init_from_shipped:
        plan = replace(plan, **ANOTHER_CYCLE)
    if args.epochs:
        plan = replace(plan, epochs=args.epochs)
    return replace(plan, **options.budget(args))


def main(arguments: Sequence[str] | None = None) -> None:
    args = options.parse(make_parser(), arguments)
    if args.smoke:
        print(smoke(args.out, args.seed, args.resume).headline)
        return
    name, plan = args.data_set, plan_of(args)
    images = READERS[name](args.data, train=True)
    if args.measure:
        test = test_images(name, args.data)
        network, card = weights.load(f"diffusion_{name}", DiffusionUNet, args.out)
    else:
        cycle = "-again" if plan.init_from_shipped else ""
        run = args.runs / f"diffusion-{name}{cycle}"
        before = report.training_before(run, f"diffusion_{name}") if cycle else None
        done = train(plan, images, args.seed, run, args.resume or args.export, name=name)
        if not args.export:
            return
        test = test_images(name, args.data)
        network, card = stored_with_card(done, name, plan, len(images), test, args.seed, before)
    evaluator = Evaluator.of(name, images, test)
    headline = not args.only_table
    card = export(network, card, plan, evaluator, STEPS_REPORTED[name], args.out, headline)
    report.print_metrics(card)


if __name__ == "__main__":
    main()
