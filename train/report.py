"""Parts of a card: machine, versions, data, training, calibration, confusion matrix."""

import json
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tasks.core import device, weights
from train import data

LAST_STEP = "nothing: the averaged weights of the last step"  # a card's `selected_on`
PACKAGES = ("torch", "torchvision", "numpy", "accelerate")


def hardware() -> str:
    """ "2 cores, AMD EPYC, no GPU" or "16 cores, Intel Xeon, NVIDIA H100"."""
    cores = device.cores()
    gpu = "no GPU"
    if torch.cuda.is_available():
        gpu = torch.cuda.get_device_name()
    elif torch.backends.mps.is_available():
        gpu = "Apple GPU"
    return f"{cores} core{'s' if cores != 1 else ''}, {_processor()}, {gpu}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def versions(packages: tuple[str, ...] = PACKAGES) -> str:
    """ "Python 3.11.9, torch 2.6.0, ..."; packages that are not installed are left out."""
    found = [f"Python {platform.python_version()}"]
    for package in packages:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def n_parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def about_data(test: data.ImageSet, n: str, held_out: str) -> dict[str, str]:
    """A card's `data`: source, licence, number of training images, held-out images."""
    source = {key: test.about[key] for key in ("name", "url", "licence")}
    return {**source, "n": n, "held_out": held_out}


def machine() -> dict[str, str]:
    """The machine and the libraries of this process."""
    return {"hardware": hardware(), "versions": versions((*PACKAGES, "diffusers"))}


def about_training(
    command: str,
    seed: int,
    minutes: float,
    ran_on: dict[str, str] | None = None,
    images_seen: int | None = None,
) -> dict[str, str | int | float]:
    """A card's `training`: how to repeat it, and what it ran on.

    Args:
        ran_on, images_seen: of a `Fit`; None: this machine, and not said.
    """
    return {
        "command": command,
        "seed": seed,
        "minutes": minutes,
        **(ran_on or {"hardware": hardware(), "versions": versions()}),
        "commit": weights.commit(),
        **({} if images_seen is None else {"pictures": images_seen}),
    }


def blank_card(**preprocess: Any) -> weights.Card:
    """A card for a classifier that is measured before it has one."""
    return weights.Card("", "", "", "", 0, {}, preprocess, [], [], {}, {}, "", "")


def print_metrics(card: weights.Card) -> None:
    others = (f"{m.name} {m.value} {m.unit}; {m.conditions}" for m in card.metrics[1:])
    print(card.headline, *others, sep="\n")


def training_before(run: Path, name: str, folder: Path = weights.FOLDER) -> dict[str, Any]:
    """The bundled card's `training` when another cycle in `run` began; kept there for --export."""
    file = run / "before.json"
    if not file.is_file():
        run.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(weights.read_card(name, folder).training), encoding="utf-8")
    return dict(json.loads(file.read_text(encoding="utf-8")))


def both_cycles(before: dict[str, Any], training: dict[str, Any]) -> dict[str, Any]:
    """A card's `training` after another cycle: both commands, both machines, all minutes."""
    both = training | {
        "command": f"{before['command']}, then {training['command']}",
        "minutes": float(before["minutes"]) + float(training["minutes"]),
    }
    if before.get("hardware") != training.get("hardware"):
        both["hardware"] = f"{before['hardware']}, then {training['hardware']}"
    return both


def expected_calibration_error(
    probabilities: np.ndarray, labels: np.ndarray, bins: int = 15
) -> float:
    """How far confidence is from accuracy, in [0, 1] (Guo et al. 2017, eq. 3).

    Args:
        probabilities: float (N, C), rows that sum to 1.
        labels: int (N,).
        bins: intervals (i / bins, (i + 1) / bins] of the highest probability.
    """
    if len(labels) == 0:
        return 0.0
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == labels
    which = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = [abs(right[which == b].sum() - confidence[which == b].sum()) for b in range(bins)]
    return float(sum(gaps) / len(labels))


def confusion(labels: np.ndarray, predictions: np.ndarray, n: int) -> list[list[int]]:
    """Counts [true class][predicted class], n x n."""
    counts = np.bincount(np.asarray(labels) * n + np.asarray(predictions), minlength=n * n)
    return counts.reshape(n, n).tolist()
