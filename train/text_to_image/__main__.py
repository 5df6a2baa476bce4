"""Train text to image on drawings of emoji, stage by stage.

    python -m train.text_to_image --stage autoencoder --data DIR --minutes 7
    python -m train.text_to_image --stage unet --data DIR --minutes 60      continue with --resume
    python -m train.text_to_image --again --data DIR      another cycle, from the bundled weights
    python -m train.text_to_image --export --data DIR     measure the last checkpoints, write
                                                          weights and cards
    python -m train.text_to_image --smoke --out DIR       all of it on synthetic drawings

The method: autoencoder.py, training.py. The metrics: measure.py, by evaluator.py.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch import nn

from tasks.core import weights
from tasks.networks.latent_autoencoder import LatentAutoencoder
from tasks.text_to_image.generator import TextToImage
from train import options, report
from train.loop import Fit
from train.text_to_image import autoencoder, data, evaluator, training
from train.text_to_image.export import export
from train.text_to_image.plans import PLANS, Plan

STAGES = ("autoencoder", "unet")
AGAIN_LR = 1e-3  # of another cycle


def run_stage(
    stage: str,
    plan: Plan,
    drawings: data.Drawings,
    seed: int,
    runs: Path,
    resume: bool,
    minutes: float | None = None,
    again: bool = False,
) -> Fit:
    """Train a stage; the U-Net finds the autoencoder in its run, whose training has ended.

    Args:
        again: the U-Net starts from the bundled weights, with their autoencoder.
    Raises:
        FileNotFoundError: there is no autoencoder for the U-Net.
    """
    run = runs / "text_to_image-autoencoder"
    if stage == "autoencoder":
        return autoencoder.train(plan, drawings, seed, run, resume, minutes)
    if again:
        bundled = TextToImage.bundled()
        start = bundled.unet, bundled.reader.dictionary
        run = runs / "text_to_image-unet-again"
        return training.train(
            plan, drawings, bundled.reader.autoencoder, seed, run, resume, minutes, start=start
        )
    if not (run / "checkpoint.pt").is_file():
        raise FileNotFoundError(f"no autoencoder in {run}: run --stage autoencoder first")
    trained = autoencoder.load(plan, drawings, run)
    assert isinstance(trained, LatentAutoencoder)
    run = runs / "text_to_image-unet"
    return training.train(plan, drawings, trained, seed, run, resume, minutes)


def smoke(out: Path, seed: int, resume: bool) -> weights.Card:
    """Both stages and the export, tiny, everything under `out`."""
    drawings, plan = data.synthetic(), PLANS["smoke"]
    for stage in STAGES:
        run_stage(stage, plan, drawings, seed, out, resume)
    untrained = nn.Sequential(nn.AvgPool2d(8), nn.Flatten())
    trained = evaluator.train(drawings, seed, untrained)
    return export(plan, drawings, trained, seed, out, out / "weights", 8, 20)


def make_parser() -> argparse.ArgumentParser:
    parser = options.training(__doc__, "emoji/")
    parser.add_argument("--stage", choices=STAGES, default="unet")
    parser.add_argument(
        "--again", action="store_true", help="another training cycle, from the bundled weights"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    args = options.parse(make_parser(), arguments)
    if args.smoke:
        print(smoke(args.out, args.seed, args.resume).headline)
        return
    drawings = data.load(args.data / "emoji")
    plan = replace(PLANS["usual"], lr=AGAIN_LR) if args.again else PLANS["usual"]
    if args.export:
        file = args.runs / "text_to_image-evaluator" / "evaluator.pt"
        trained = evaluator.load_or_train(drawings, args.seed, file)
        card = export(plan, drawings, trained, args.seed, args.runs, args.out, again=args.again)
        report.print_metrics(card)
        return
    run_stage(
        args.stage, plan, drawings, args.seed, args.runs, args.resume, args.minutes, args.again
    )


if __name__ == "__main__":
    main()
