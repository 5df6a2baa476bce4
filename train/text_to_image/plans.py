"""The hyper-parameters of the text-to-image trainings."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Plan:
    """What is trained, and for how long."""

    autoencoder: dict[str, Any] = field(default_factory=dict)  # config of the network
    autoencoder_steps: int = 2400
    autoencoder_batch: int = 16
    autoencoder_lr: float = 2e-3
    unet: dict[str, Any] = field(default_factory=dict)
    steps: int = 30_000
    batch: int = 64
    lr: float = 1.5e-3
    ema: float = 0.998
    bank: int = 8192  # composed samples kept as latents
    refreshed: int = 16  # of them replaced at each step
    held_out: int = 256  # samples for the validation loss


PLANS = {
    "usual": Plan(),
    "smoke": Plan(
        autoencoder={"encoder_width": 8, "decoder_width": 16, "fine_width": 8},
        autoencoder_steps=20,
        autoencoder_batch=4,
        unet={"widths": (16, 24), "states": 16, "canvas": 16},
        steps=20,
        batch=4,
        bank=32,
        refreshed=2,
        held_out=8,
    ),
}
