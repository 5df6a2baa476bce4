"""The hyper-parameters of the diffusion models' trainings."""

from dataclasses import dataclass
from typing import Any

from tasks.diffusion.process import T


@dataclass(frozen=True)
class Plan:
    """What is trained on a data set."""

    config: dict[str, Any]  # of the network
    epochs: float
    batch: int
    lr: float
    ema: float
    flip: bool  # whether images may be mirrored
    guidance: float  # default of the exported model
    guided_times: tuple[int, int]  # first and last time at which it acts
    n_measured: int  # images generated for the headline figures
    n_steps: int = 10  # of UniPC, for the headline figures
    init_from_shipped: bool = False
    minutes: float | None = None  # instead of the epochs
    # full weight at high noise, where the class is decided and min-SNR has next to none
    high_noise: bool = False


PLANS = {
    "mnist": Plan(
        config={
            "channels": 1,
            "side": 28,
            "n_classes": 10,
            "widths": [48, 72, 96],
            "layers": 2,
            "attention": False,
        },
        epochs=10,
        batch=128,
        lr=2e-3,
        ema=0.9995,
        flip=False,
        guidance=2.0,
        guided_times=(250, 700),
        n_measured=10_000,
    ),
    "cifar10": Plan(
        config={
            "channels": 3,
            "side": 32,
            "n_classes": 10,
            "widths": [56, 80, 128],
            "layers": 2,
            "attention": True,
        },
        epochs=3.6,
        batch=32,
        lr=8e-4,
        ema=0.9993,
        flip=True,
        guidance=2.5,
        guided_times=(0, T - 1),
        n_measured=1_000,
    ),
    "smoke": Plan(
        config={
            "channels": 1,
            "side": 28,
            "n_classes": 10,
            "widths": [8, 16],
            "layers": 1,
            "attention": False,
        },
        epochs=1,
        batch=32,
        lr=2e-3,
        ema=0.99,
        flip=False,
        guidance=1.5,
        guided_times=(0, T - 1),
        n_measured=20,
    ),
}

ANOTHER_CYCLE: dict[str, Any] = {
    "init_from_shipped": True,
    "high_noise": True,
    "epochs": 2.0,
    "lr": 1e-3,
    "ema": 0.998,
}
"""Changes to a plan with --init-from-shipped."""
