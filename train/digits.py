"""Train the digit reader on MNIST.

    python -m train.digits                       three seeds of DigitCNN, ships the first, writes the card
    python -m train.digits --network textbook    the textbook's network and recipe, its score beside ours
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.networks.digit_cnn import DigitCNN, TextbookCNN
from train import data
from train.loop import Fit, Recipe, fit

HELD_OUT = 2000  # training digits kept for the validation curve
EPOCHS = {"ours": 16, "textbook": 5}
BATCH = 128


def augment(x: Tensor) -> Tensor:
    """What hands do to digits: slant, turn, stretch, tremble, press hard or lightly.

    Affine (degrees ~ N(0, 7), shear ~ N(0, 0.15), scale ~ U(0.85, 1.12), shift ~ U(-2.2, 2.2) px), elastic
    distortion (Simard et al. 2003) of up to about 1 px, strokes thickened or thinned, ink faded.
    x: float32 (B, 1, 28, 28) in [0, 1]; returns the same shape and range.
    """
    n = len(x)
    angle = torch.randn(n) * 0.122
    shear = torch.randn(n) * 0.15
    zoom_x, zoom_y = (1 / torch.empty(2, n).uniform_(0.85, 1.12)).unbind()
    shift = torch.empty(n, 2).uniform_(-2.2, 2.2) / 14
    theta = torch.stack(
        [
            torch.stack([zoom_x * angle.cos(), shear - angle.sin(), shift[:, 0]], 1),
            torch.stack([angle.sin(), zoom_y * angle.cos(), shift[:, 1]], 1),
        ],
        1,
    )  # (B, 2, 3)
    grid = F.affine_grid(theta, [n, 1, 28, 28], align_corners=False)
    tremble = F.interpolate(torch.randn(n, 2, 6, 6) * 0.035, (28, 28), mode="bicubic", align_corners=True)
    x = F.grid_sample(x, grid + tremble.permute(0, 2, 3, 1), align_corners=False)

    pressure = torch.rand(n, 1, 1, 1)
    strength = torch.rand(n, 1, 1, 1)
    thick = F.max_pool2d(x, 3, 1, 1)
    thin = -F.max_pool2d(-x, 2, 1, 1)[..., :28, :28]
    x = torch.where(pressure < 0.1, torch.lerp(x, thick, strength), x)
    x = torch.where(pressure > 0.92, torch.lerp(x, thin, 0.7 * strength), x)
    return (x * torch.empty(n, 1, 1, 1).uniform_(0.8, 1.0)).clamp_(0, 1)


def to_tensor(digits: np.ndarray) -> Tensor:
    """uint8 (N, 28, 28) -> float32 (N, 1, 28, 28) in [0, 1]."""
    return torch.from_numpy(digits).unsqueeze(1).float() / 255


def train(network_name: str, seed: int, digits: data.ImageSet, epochs: int, run: Path, resume: bool) -> Fit:
    """Train one network on all but HELD_OUT digits, which give the validation curve and choose nothing."""
    held_out = min(HELD_OUT, len(digits) // 5)
    fit_set, val_set = data.hold_out(digits, held_out)
    images, labels = to_tensor(fit_set.images), torch.from_numpy(fit_set.labels)
    val_images, val_labels = to_tensor(val_set.images), torch.from_numpy(val_set.labels)
    textbook = network_name == "textbook"
    torch.manual_seed(seed)
    network: nn.Module = TextbookCNN() if textbook else DigitCNN()
    per_epoch = len(images) // min(BATCH, len(images))
    recipe = Recipe(
        steps=epochs * per_epoch,
        batch=BATCH,
        lr=1e-3 if textbook else 6e-3,
        warmup=None if textbook else 0.2,
        weight_decay=0.0 if textbook else 0.02,
        ema=None if textbook else 0.998,
        seed=seed,
    )

    def batch_at(step: int, rank: int, world: int) -> tuple[Tensor, Tensor]:
        index = data.Shuffled(len(images), BATCH, seed, rank, world).at(step)
        x = images[index]
        return (x if textbook else augment(x)), labels[index]

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        return F.cross_entropy(model(x).float(), y, label_smoothing=0.0 if textbook else 0.05)

    @torch.inference_mode()
    def evaluate(model: nn.Module) -> dict[str, float]:
        right = [(model(x).argmax(1) == y).sum().item()
                 for x, y in zip(val_images.split(500), val_labels.split(500), strict=True)]  # fmt: skip
        return {"val_accuracy": sum(right) / len(val_labels)}

    return fit(network, batch_at, loss, recipe, run, resume=resume, evaluate=evaluate, evaluate_every=per_epoch)
