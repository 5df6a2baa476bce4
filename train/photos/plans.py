"""The hyper-parameters of the photo networks' trainings, and the commands that name them."""

from dataclasses import dataclass, replace
from typing import Any

from tasks.networks.efficientnet_lite import STAGES
from train import options

SIZE = 160  # px to which the 32 px photos are enlarged in use and at the end of the training
SMALL_SIZE = 112  # px at the start: twice as fast
SMALL_UNTIL = 0.5  # share of the training with SMALL_SIZE


@dataclass(frozen=True)
class Plan:
    """Length and method of a training."""

    epochs: float
    lr: float
    batch: int = 32  # on CPUs its activations stay in the cache: 1.15 times faster than 64 (LOG.md)
    ema: float = 0.998
    minutes: float | None = None  # instead of the epochs
    size: int = SIZE
    small_size: int = SMALL_SIZE
    init_from_shipped: bool = False
    folded: int = 3  # stages, after the stem, whose batch norms are folded
    frozen: int = 0  # stages, with the stem before them, that are not trained
    variant: int = 0  # which EfficientNet-Lite
    sam_rho: float | None = None  # radius of sharpness-aware minimisation
    distilled: bool = False  # by TEACHER, as shipped

    def size_at(self, share: float) -> int:
        """px of the images when `share` of the training is done."""
        return min(self.small_size, self.size) if share < SMALL_UNTIL else self.size


# About the same minutes: batch norms at full resolution take time.
PLANS = {"imagenet": Plan(epochs=10.0, lr=7e-4), "scratch": Plan(epochs=7.5, lr=2e-3)}
ANOTHER_CYCLE: dict[str, Any] = {
    "init_from_shipped": True,
    "lr": 1e-4,
    "small_size": SIZE,
    "folded": len(STAGES),
    "frozen": 3,
    "sam_rho": 0.05,
}
"""Changes to a plan with --init-from-shipped: the network fits already, now a flatter minimum."""
DISTILLED: dict[str, Any] = {**ANOTHER_CYCLE, "sam_rho": None, "distilled": True, "lr": 2e-4}
"""Changes to a plan with --distilled."""
NAMES = {0: "photos", 2: "photos_lite2"}
"""Variant -> its file in `weights/`."""
TEACHER = NAMES[2]
METHOD = ("frozen", "folded", "sam_rho")
"""Fields of a plan with an option, besides the budget."""


def command_of(plan: Plan) -> str:
    """The command that trains by `plan`."""
    cycle, changes = "", {}
    if plan.distilled:
        cycle, changes = " --distilled", DISTILLED
    elif plan.init_from_shipped:
        cycle, changes = " --init-from-shipped", ANOTHER_CYCLE
    usual = replace(PLANS["imagenet"], **changes)
    command = f"python -m train.photos{cycle}"
    if plan.variant:
        command += f" --variant {plan.variant}"
    for name in METHOD:
        if getattr(plan, name) != getattr(usual, name):
            command += f" --{name.replace('_', '-')} {getattr(plan, name) or 0:g}"
    return command + options.budget_options(plan, usual)
