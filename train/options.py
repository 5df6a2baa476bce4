"""The command line that the trainings share: where the data are, how long, resume, ship, smoke."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasks import weights
from train import data


def training(
    about: str | None, data_folder: str, *, seed: int = 0, ship: bool = True, folders: bool = True
) -> argparse.ArgumentParser:
    """The options of a training: --data, --seed, --resume, --ship, --smoke, --out, --runs.

    Args:
        about: the module's docstring.
        data_folder: what --data is to hold.
        ship: False where training and shipping are one.
        folders: False where the training says itself where it writes.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=data.default_data_dir(), help=f"folder with {data_folder}")
    parser.add_argument("--seed", type=int, default=seed)
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    if ship:
        parser.add_argument("--ship", action="store_true", help="after the training: measure, write weights and card")
    needs = "; needs --out" if folders else ""
    parser.add_argument("--smoke", action="store_true", help=f"made-up pictures, under a minute{needs}")
    if folders:
        parser.add_argument("--out", type=Path, default=weights.FOLDER, help="where weights and card go")
        parser.add_argument("--runs", type=Path, default=Path("runs"), help="where checkpoints go")
    return parser


def parse(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """What was given; a --smoke that would write over the real weights is refused."""
    args = parser.parse_args(arguments)
    if args.smoke and args.out == weights.FOLDER:
        parser.error("--smoke would overwrite the real weights: give --out")
    return args


def add_budget(parser: argparse.ArgumentParser) -> None:
    """The options of `budget`: a training's cost, for machines that are faster or slower than ours."""
    parser.add_argument("--minutes", type=float, help="for so long, instead of a number of steps")
    parser.add_argument("--batch", type=int, help="pictures a step")
    parser.add_argument("--lr", type=float, help="peak learning rate")
    parser.add_argument("--ema", type=float, help="decay of the moving average of the weights")


def budget(args: argparse.Namespace) -> dict[str, Any]:
    """What was given of "minutes", "batch", "lr" and "ema"."""
    given = {name: getattr(args, name) for name in ("minutes", "batch", "lr", "ema")}
    return {name: value for name, value in given.items() if value is not None}


def budget_options(plan: Any, usual: Any) -> str:
    """The options that make `usual` to `plan`, " --minutes 9 --batch 512", for the command on a card."""
    return "".join(
        f" --{name} {getattr(plan, name):g}"
        for name in ("minutes", "batch", "lr", "ema")
        if getattr(plan, name) != getattr(usual, name)
    )
