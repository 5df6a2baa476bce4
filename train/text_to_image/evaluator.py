"""Who recognises what was drawn: a classifier of the things that has no part in the generator.

ImageNet's EfficientNet-Lite0 as it is, 128 px, and a linear layer trained on views of all drawings:
any style, any background, shifted, sometimes blurred as an autoencoder blurs.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.networks.efficientnet_lite import EfficientNetLite, normalise
from train.common.imagenet_weights import load_imagenet
from train.text_to_image import data
from train.text_to_image.autoencoder import to_range

INPUT = 128  # px
VIEWS = 5  # of each drawing, to train on
EPOCHS = 60


@dataclass
class Evaluator:
    """Args:
    features: images in [-1, 1] (B, 3, 64, 64) -> (B, 1280).
    mean, std: of the features (1280,).
    head: linear layer, 1280 -> things.
    """

    features: nn.Module
    mean: Tensor
    std: Tensor
    head: nn.Linear

    @torch.inference_mode()
    def __call__(self, images: np.ndarray) -> np.ndarray:
        """uint8 (N, 64, 64, 3) -> float32 (N, things), log-probabilities."""
        return F.log_softmax(self.head(self.normed(images)), 1).numpy()

    @torch.inference_mode()
    def normed(self, images: np.ndarray) -> Tensor:
        """uint8 (N, 64, 64, 3) -> features (N, 1280), each of mean 0 and deviation 1."""
        return (features_of(self.features, images) - self.mean) / self.std


class Lite0Features(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.network = EfficientNetLite(1000)
        load_imagenet(self.network)

    def forward(self, x: Tensor) -> Tensor:  # (B, 3, 64, 64) in [-1, 1]
        larger = F.interpolate(x, size=(INPUT, INPUT), mode="bilinear", antialias=False)
        return self.network.pooled(normalise((larger + 1) / 2))


@torch.inference_mode()
def features_of(network: nn.Module, images: np.ndarray) -> Tensor:
    parts = torch.from_numpy(images).split(64)
    return torch.cat([network(to_range(part)) for part in parts])


def views(drawings: data.Drawings, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """n views of each drawing, uint8 (N, 64, 64, 3), and their things."""
    rng = np.random.default_rng(seed)
    images, things = [], []
    for style, thing in sorted(drawings.pixels):
        for _ in range(n):
            colour = str(rng.choice(list(data.COLOURS))) if rng.random() < 0.5 else None
            scene = data.Scene((thing,), style, background=colour)
            images.append(_blurred(data.compose(drawings, scene, rng), rng))
            things.append(thing)
    return np.stack(images), np.array(things)


def _blurred(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if rng.random() < 0.5:
        return image
    side = int(rng.integers(28, 60))
    x = to_range(torch.tensor(image)[None])
    small = F.interpolate(x, size=(side, side), mode="bilinear", antialias=True)
    back = F.interpolate(small, size=(data.SIDE, data.SIDE), mode="bicubic")
    return ((back[0].permute(1, 2, 0) + 1) * 127.5).clamp(0, 255).byte().numpy()


def train(drawings: data.Drawings, seed: int, features: nn.Module | None = None) -> Evaluator:
    """Train the linear layer; deterministic for a seed."""
    torch.manual_seed(seed)
    network = (features or Lite0Features()).eval()
    images, things = views(drawings, VIEWS, seed)
    x, y = features_of(network, images), torch.from_numpy(things)
    mean, std = x.mean(0), x.std(0).clamp_min(1e-3)
    x = (x - mean) / std
    head = nn.Linear(x.shape[1], len(drawings.things))
    optimizer = torch.optim.AdamW(head.parameters(), lr=2e-3, weight_decay=0.05)
    for epoch in range(EPOCHS):
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * (1 - epoch / EPOCHS)
        for index in torch.randperm(len(x)).split(256):
            loss = F.cross_entropy(head(F.dropout(x[index], 0.2)), y[index], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return Evaluator(network, mean, std, head.eval())


def load_or_train(drawings: data.Drawings, seed: int, file: Path) -> Evaluator:
    """The evaluator in a file; trained and saved where there is none."""
    if not file.is_file():
        evaluator = train(drawings, seed)
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.save(
            {"mean": evaluator.mean, "std": evaluator.std, "head": evaluator.head.state_dict()},
            file,
        )
        return evaluator
    saved = torch.load(file, map_location="cpu", weights_only=True)
    head = nn.Linear(len(saved["mean"]), len(drawings.things))
    head.load_state_dict(saved["head"])
    return Evaluator(Lite0Features().eval(), saved["mean"], saved["std"], head.eval())
