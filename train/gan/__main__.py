"""Train a class-conditional DCGAN (Radford et al. 2016) on MNIST, and measure what stabilises it.

    python -m train.gan                   all runs, in runs/gan-...; continue with --resume
    python -m train.gan --export          measure the last checkpoints, write weights and cards
    python -m train.gan --smoke --out DIR    all of it on synthetic digits in under a minute

The stabilisers are tried one at a time in short runs. The shipped run has those that brought
generated digits nearer to held-out ones. `COLLAPSE` is a run meant to fail, for the tab to show.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from train import data, options, report
from train.common import synthetic
from train.common.generator_metrics import Evaluator
from train.data import ImageSet
from train.gan.export import Trials, export_gan, export_history
from train.gan.plans import COLLAPSE, NONE, SHIPPED, TINY, Plan, with_helpful
from train.gan.training import compare_stabilisers, train


@dataclass(frozen=True)
class Plans:
    """What one call of this script runs."""

    none: Plan = NONE
    shipped: Plan = SHIPPED
    collapse: Plan = COLLAPSE
    n_measured: int = 10_000


SMOKE = Plans(
    replace(NONE, **TINY),
    replace(SHIPPED, **TINY, snapshots=(2, 4)),
    replace(COLLAPSE, **TINY, snapshots=(2, 4)),
    n_measured=100,
)


def run_all(
    plans: Plans,
    digits: ImageSet,
    evaluator: Evaluator,
    seed: int,
    runs: Path,
    resume: bool,
    test: ImageSet | None,
    test_evaluator: Evaluator | None,
    folder: Path,
) -> None:
    """Stabilisers, shipped run, collapse; with a test set also the export of each."""
    table = compare_stabilisers(digits, evaluator, seed, runs, resume, plans.none)
    plan, helped = with_helpful(plans.shipped, table)
    print(json.dumps(table, indent=1), "helped:", ", ".join(helped), flush=True)
    done, _ = train(plan, digits, evaluator, seed, runs / "gan", resume)
    collapsed, _ = train(plans.collapse, digits, evaluator, seed, runs / "gan-collapse", resume)
    if test is None or test_evaluator is None:
        return
    trials: Trials = {"steps": plans.none.steps, "table": table, "helped": helped}
    n = plans.n_measured
    card = export_gan(done, plan, trials, len(digits), test, test_evaluator, seed, n, folder)
    report.print_metrics(card)
    for name, title, of, result in (
        ("gan_history", "GAN along its training", plan, done),
        ("gan_collapse", "GAN that collapsed", plans.collapse, collapsed),
    ):
        run = runs / ("gan" if name == "gan_history" else "gan-collapse")
        export_history(name, title, of, result, card, test_evaluator, run, folder)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options.training(__doc__, "MNIST/raw")
    args = options.parse(parser, arguments)
    if args.minutes:
        parser.error("--minutes: the GAN's snapshots are at fixed steps")
    if args.smoke:
        digits, test = synthetic.clock_hands(200), synthetic.clock_hands(100, seed=1)
        evaluator = Evaluator.untrained(*data.train_and_val(digits))
        scorer = Evaluator.untrained(digits, test)
        runs, folder = args.out / "runs", args.out / "weights"
        run_all(SMOKE, digits, evaluator, args.seed, runs, args.resume, test, scorer, folder)
        return
    digits = data.mnist(args.data, train=True)
    evaluator = Evaluator.of("mnist", *data.train_and_val(digits))
    exported = data.mnist(args.data, train=False) if args.export else None
    test_evaluator = None if exported is None else Evaluator.of("mnist", digits, exported)
    resume = args.resume or args.export
    run_all(
        Plans(),
        digits,
        evaluator,
        args.seed,
        args.runs,
        resume,
        exported,
        test_evaluator,
        args.out,
    )


if __name__ == "__main__":
    main()
