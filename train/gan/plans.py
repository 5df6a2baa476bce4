"""The hyper-parameters of the GAN's runs: the stabilisers, the shipped run, the collapse."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

# steps whose generators are kept for the tab's "how it learned"
SNAPSHOTS = (50, 100, 200, 400, 800, 1600, 2800, 4000)


@dataclass(frozen=True)
class Plan:
    """One run. The defaults are those without any stabiliser."""

    steps: int
    batch: int = 64
    lr: float = 1e-3  # of the generator; five times Radford's, for a short training
    lr_decay: bool = False  # whether the learning rates fall to 0 at the end
    d_rate: float = 1.0  # learning rate of the discriminator, times the generator's
    real_target: float = 1.0  # of the discriminator on real images; below 1: label smoothing
    norm: str = "batch"  # of the discriminator; or "spectral", or "none"
    shift: int = 0  # largest shift, px, of the discriminator's inputs, real and generated
    ema: float = 0.999
    widths: tuple[int, int, int] = (160, 96, 64)
    d_widths: tuple[int, int, int] = (48, 96, 192)
    snapshots: tuple[int, ...] = ()
    raw: bool = False  # whether the snapshots are of the last weights, not of their average
    log_every: int = 50  # steps between the points of the curve
    measure_every: int = 1000  # steps between measurements on the held-out images

    @property
    def config(self) -> dict[str, Any]:
        """Arguments of the DCGAN as it is stored, where spectral norms are divided out."""
        return {
            "latent": 100,
            "n_classes": 10,
            "generator_widths": list(self.widths),
            "discriminator_widths": list(self.d_widths),
            "norm": "batch" if self.norm == "batch" else "none",
        }


NONE = Plan(steps=500)
AVERAGE = "moving average"
STABILISERS: dict[str, dict[str, Any]] = {
    "label smoothing": {"real_target": 0.9},
    "spectral norm": {"norm": "spectral"},
    "two learning rates": {"lr": 3e-3, "d_rate": 0.2},
    "augmentation": {"shift": 2},
}
SHIPPED = replace(NONE, steps=4000, lr_decay=True, snapshots=SNAPSHOTS)  # and what helped
# A discriminator that learns a hundred times slower: the generator draws one digit only.
COLLAPSE = replace(
    NONE, steps=800, norm="none", lr=3e-3, d_rate=0.01, snapshots=SNAPSHOTS[:5], raw=True
)
TINY: dict[str, Any] = {
    "steps": 4,
    "batch": 20,
    "widths": (8, 8, 8),
    "d_widths": (8, 8, 8),
    "log_every": 2,
}
"""Changes to a plan with --smoke."""


def with_helpful(plan: Plan, table: Mapping[str, Mapping[str, float]]) -> tuple[Plan, list[str]]:
    """The plan with every stabiliser that reduced the distance to held-out digits; their names."""
    best = table[AVERAGE]["distance"]
    helped = [name for name in STABILISERS if table[name]["distance"] < best]
    for name in helped:
        plan = replace(plan, **STABILISERS[name])
    return plan, helped
