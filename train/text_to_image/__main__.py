"""Train text to image on drawings of emoji, stage by stage.

    python -m train.text_to_image --stage autoencoder --data DIR --minutes 7
    python -m train.text_to_image --stage unet --data DIR --minutes 60      continue with --resume
    python -m train.text_to_image --smoke --out DIR       both on synthetic drawings, in seconds

The method: autoencoder.py, training.py. There is no exported model yet (LOG.md).
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tasks.networks.latent_autoencoder import LatentAutoencoder
from train import options
from train.loop import Fit
from train.text_to_image import autoencoder, data, training
from train.text_to_image.plans import PLANS, Plan

STAGES = ("autoencoder", "unet")


def run_stage(
    stage: str,
    plan: Plan,
    drawings: data.Drawings,
    seed: int,
    runs: Path,
    resume: bool,
    minutes: float | None = None,
) -> Fit:
    """Train a stage; the U-Net finds the autoencoder in its run, whose training has ended.

    Raises:
        FileNotFoundError: there is no autoencoder for the U-Net.
    """
    run = runs / "text_to_image-autoencoder"
    if stage == "autoencoder":
        return autoencoder.train(plan, drawings, seed, run, resume, minutes)
    if not (run / "checkpoint.pt").is_file():
        raise FileNotFoundError(f"no autoencoder in {run}: run --stage autoencoder first")
    trained = autoencoder.load(plan, drawings, run)
    assert isinstance(trained, LatentAutoencoder)
    run = runs / "text_to_image-unet"
    return training.train(plan, drawings, trained, seed, run, resume, minutes)


def smoke(out: Path, seed: int, resume: bool) -> dict[str, float]:
    """Both stages, tiny, everything under `out`: the last loss of each on held-out scenes."""
    drawings, plan = data.synthetic(), PLANS["smoke"]
    first = run_stage("autoencoder", plan, drawings, seed, out, resume)
    second = run_stage("unet", plan, drawings, seed, out, resume)
    return {"psnr": first.curve[-1]["psnr"], "val_loss": second.curve[-1]["val_loss"]}


def make_parser() -> argparse.ArgumentParser:
    parser = options.training(__doc__, "emoji/")
    parser.add_argument("--stage", choices=STAGES, default="unet")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser()
    args = options.parse(parser, arguments)
    if args.export:
        parser.error("nothing to export yet: this model draws no things that can be recognised")
    if args.smoke:
        print(smoke(args.out, args.seed, args.resume))
        return
    drawings = data.load(args.data / "emoji")
    plan = PLANS["usual"]
    run_stage(args.stage, plan, drawings, args.seed, args.runs, args.resume, args.minutes)


if __name__ == "__main__":
    main()
