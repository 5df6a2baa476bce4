"""Train YOLO11n (Ultralytics 2024) to find handwritten digits; or fine-tune any YOLO.

python -m train.detector                     on scenes drawn by scenes.py from MNIST, at 320 px
python -m train.detector --export            measure on 2,000 test scenes, write weights and card
python -m train.detector --init yolo11n.pt --data-yaml data.yaml    fine-tune on a data set in
                                             YOLO's format
python -m train.detector --smoke             training and export, tiny, in under a minute
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import torch

from tasks.core import weights
from train import data, options, report
from train.common.synthetic import printed_digits
from train.detector.export import export_detector
from train.detector.fine_tune import FineTuneError, fine_tune
from train.detector.plans import SMOKE, Plan
from train.detector.training import train


def smoke(out: Path, seed: int, resume: bool) -> weights.Card:
    """Training and export, tiny; everything goes under `out`."""
    digits, test = printed_digits(50, seed), printed_digits(20, seed + 1)
    trained = train(seed, digits, SMOKE, out / "detector", resume)
    return export_detector(trained, digits, test, SMOKE, seed, out / "weights")


def make_parser() -> argparse.ArgumentParser:
    parser = options.training(__doc__, "MNIST", folders=False)
    parser.add_argument("--steps", type=int, default=Plan.steps, help="optimiser steps")
    parser.add_argument(
        "--out", type=Path, help="where --smoke writes; default: a temporary folder"
    )
    tuning = parser.add_argument_group("fine-tuning")
    tuning.add_argument("--init", help="YOLO weights: a path, or a name that ultralytics downloads")
    tuning.add_argument("--data-yaml", type=Path, help="the data set, in YOLO's format")
    tuning.add_argument("--epochs", type=int, default=10)
    tuning.add_argument("--imgsz", type=int, default=640, help="px")
    tuning.add_argument("--batch", type=int, default=16, help="images a step; few images: small")
    tuning.add_argument("--lr", type=float, help="peak learning rate; new classes: about 1e-3")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser()
    args = parser.parse_args(arguments)
    if args.init or args.data_yaml:
        if not (args.init and args.data_yaml):
            parser.error("fine-tuning needs both --init and --data-yaml")
        try:
            best = fine_tune(
                args.init,
                args.data_yaml,
                Path("runs"),
                epochs=args.epochs,
                imgsz=args.imgsz,
                seed=args.seed,
                batch=args.batch,
                lr=args.lr,
            )
        except FineTuneError as error:
            parser.exit(1, f"{error}\n")
        print(best)
        return
    if args.smoke:
        with tempfile.TemporaryDirectory() as temporary:
            print(smoke(args.out or Path(temporary), args.seed, args.resume).headline)
        return

    cv2.setNumThreads(torch.get_num_threads())  # OMP_NUM_THREADS=1 means one thread in all
    plan = replace(Plan(), steps=args.steps, minutes=args.minutes)
    digits = data.mnist(args.data, train=True)
    run = Path("runs") / "detector"
    trained = train(args.seed, digits, plan, run, args.resume or args.export)
    if args.export:
        test = data.mnist(args.data, train=False)
        card = export_detector(trained, digits, test, plan, args.seed, weights.FOLDER)
        report.print_metrics(card)


if __name__ == "__main__":
    main()
