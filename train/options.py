"""The command line that all trainings share: data, seed, resume, export, smoke, minutes."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasks.core import weights
from train import data

RENAMED = {
    "--init-from-shipped": "--again",
    "--sam-rho": "--sharpness",
    "--distilled": "--taught",
}
"""Options -> their earlier names, which commands on older cards use and which stay accepted."""


def training(
    about: str | None,
    data_folder: str,
    *,
    seed: int | Sequence[int] = 0,
    export: bool = False,
    folders: bool = True,
) -> argparse.ArgumentParser:
    """Parser with --data, --seed, --resume, --export, --smoke, --minutes, --out, --runs.

    Args:
        about: the module's docstring.
        data_folder: what --data is to hold.
        seed: default of --seed; several: as many may be given, the first one is exported.
        export: default of --export.
        folders: False where the training has its own --out and --runs.
    """
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, default=data.default_data_dir(), help=f"folder with {data_folder}"
    )
    if isinstance(seed, int):
        parser.add_argument("--seed", type=int, default=seed)
    else:
        several = "the first one is exported"
        parser.add_argument("--seed", "--seeds", type=int, nargs="+", default=seed, help=several)
    parser.add_argument("--resume", action="store_true", help="continue from the last checkpoint")
    parser.add_argument(
        "--export",
        action=argparse.BooleanOptionalAction,
        default=export,
        help="after the training: measure, write weights and card",
    )
    for old, value in (("--ship", True), ("--no-ship", False)):
        parser.add_argument(
            old, dest="export", action="store_const", const=value, help=argparse.SUPPRESS
        )
    needs = "; needs --out" if folders else ""
    parser.add_argument(
        "--smoke", action="store_true", help=f"synthetic data, under a minute{needs}"
    )
    parser.add_argument(
        "--minutes", type=float, help="train for so long instead of a number of steps"
    )
    if folders:
        parser.add_argument(
            "--out", type=Path, default=weights.FOLDER, help="where weights and card go"
        )
        parser.add_argument("--runs", type=Path, default=Path("runs"), help="where checkpoints go")
    return parser


def add(parser: argparse._ActionsContainer, name: str, **how: Any) -> None:
    """Add an option, and hidden its earlier name where it has one."""
    parser.add_argument(name, **how)
    if name in RENAMED:
        hidden = {**how, "help": argparse.SUPPRESS, "dest": name[2:].replace("-", "_")}
        parser.add_argument(RENAMED[name], **hidden)


def parse(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse; --smoke that would overwrite the bundled weights is refused."""
    args = parser.parse_args(arguments)
    if args.smoke and args.out == weights.FOLDER:
        parser.error("--smoke would overwrite the bundled weights: give --out")
    return args


BUDGET = ("minutes", "batch", "lr", "ema")


def add_budget(parser: argparse.ArgumentParser) -> None:
    """Add --batch, --lr and --ema: with --minutes the cost of a training on another machine."""
    parser.add_argument("--batch", type=int, help="images a step")
    parser.add_argument("--lr", type=float, help="peak learning rate")
    parser.add_argument("--ema", type=float, help="decay of the moving average of the weights")


def add_restoration(parser: argparse.ArgumentParser, steps: int, side: int) -> None:
    """Add the options that denoiser and enhancer share."""
    how = f"of 16 crops of {side} px, or as many pixels"
    parser.add_argument("--steps", type=int, default=steps, help=how)
    add(
        parser,
        "--init-from-shipped",
        action="store_true",
        help="another training cycle, from the bundled weights",
    )
    add_budget(parser)


def budget(args: argparse.Namespace) -> dict[str, Any]:
    """Those of "minutes", "batch", "lr" and "ema" that were given."""
    given = {name: getattr(args, name) for name in BUDGET}
    return {name: value for name, value in given.items() if value is not None}


def budget_options(plan: Any, usual: Any) -> str:
    """Options that turn `usual` into `plan`, " --minutes 9 --batch 512": the command on a card."""
    return "".join(
        f" --{name} {getattr(plan, name):g}"
        for name in BUDGET
        if getattr(plan, name) != getattr(usual, name)
    )
