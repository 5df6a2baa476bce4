"""Train a U-Net that gives every pixel of a road scene its class.

python -m train.segmentation                  EfficientNet-Lite0 encoder from ImageNet weights,
                                              on CamVid
python -m train.segmentation --init-from-shipped    another training cycle
python -m train.segmentation --arch unet      the textbook U-Net from random weights
python -m train.segmentation --export         measure on the validation images, write weights and
                                              card
python -m train.segmentation --data-set cityscapes  on a local copy; --data-set pairs: any folder
python -m train.segmentation --smoke --out DIR      all of it on synthetic scenes, under a minute

Layouts of the data: data.py. The method: training.py.
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tasks.core import weights
from train import options, report
from train.common import synthetic
from train.segmentation.data import DATA_SETS, write_pairs
from train.segmentation.export import export_segmentation
from train.segmentation.plans import ANOTHER_CYCLE, PLANS, Plan
from train.segmentation.training import train


def smoke(out: Path, arch: str, seed: int, resume: bool) -> weights.Card:
    """Training and export, tiny: 12 images, a few steps; everything goes under `out`."""
    write_pairs(out / "scenes", *synthetic.road_scenes(12, seed), ("sky", "road", "box"))
    scenes, val = (DATA_SETS["pairs"](out / "scenes", split) for split in ("train", "val"))
    small = {"widths": (16, 16, 8, 8)} if arch == "unet-lite0" else {"width": 4}
    plan = replace(PLANS[arch], config=small, epochs=2, batch=4, size_hw=(64, 96))
    done = train(plan, scenes, val, seed, out / f"segmentation-{arch}", resume)
    return export_segmentation(plan, done, scenes, val, arch, seed, out / "weights")


def make_parser() -> argparse.ArgumentParser:
    parser = options.training(__doc__, "the data set", folders=False)
    parser.add_argument("--arch", choices=list(PLANS), default="unet-lite0")
    parser.add_argument("--data-set", choices=list(DATA_SETS), default="camvid")
    parser.add_argument("--epochs", type=float, help="instead of the plan's")
    how = "another training cycle, from the shipped weights"
    options.add(parser, "--init-from-shipped", action="store_true", help=how)
    options.add_budget(parser)
    how = "where --smoke, and --export of other data sets, write"
    parser.add_argument("--out", type=Path, help=how)
    return parser


def plan_of(args: argparse.Namespace) -> Plan:
    plan = replace(PLANS[args.arch], **(ANOTHER_CYCLE if args.init_from_shipped else {}))
    if args.epochs is not None:
        plan = replace(plan, epochs=args.epochs)
    return replace(plan, **options.budget(args))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser()
    args = parser.parse_args(arguments)
    arch, data_set = args.arch, args.data_set
    if args.smoke:
        with tempfile.TemporaryDirectory() as temporary:
            print(smoke(args.out or Path(temporary), arch, args.seed, args.resume).headline)
        return
    if args.init_from_shipped and (arch, data_set) != ("unet-lite0", "camvid"):
        parser.error("--init-from-shipped: the shipped weights are those of unet-lite0 on camvid")
    plan = plan_of(args)
    scenes, val = (DATA_SETS[data_set](args.data, split) for split in ("train", "val"))
    cycle = "-again" if plan.init_from_shipped else ""
    run = Path("runs") / f"segmentation-{arch}-{data_set}{cycle}"
    before = report.training_before(run, "segmentation") if cycle else None
    done = train(plan, scenes, val, args.seed, run, args.resume or args.export)
    if args.export:
        folder = args.out or (weights.FOLDER if data_set == "camvid" else run / "weights")
        card = export_segmentation(plan, done, scenes, val, arch, args.seed, folder, before)
        report.print_metrics(card)


if __name__ == "__main__":
    main()
