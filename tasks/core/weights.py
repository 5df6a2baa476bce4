"""The cards and the weights: the only reader and writer of `weights/`.

Beside each `<name>.safetensors` lies `<name>.json`, its card: what the network is, what it was
trained on, what it scores and how to train it again. `load` refuses a file whose hash the card does
not know.

"""

import functools
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tasks.core import model_cache

if TYPE_CHECKING:
    from torch import nn


Network = TypeVar("Network", bound="nn.Module")

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "weights"
REQUIRED = {
    "data": {"name", "url", "licence", "n", "held_out"},
    "training": {"command", "seed", "minutes", "hardware", "versions", "commit"},
}


class WeightsError(RuntimeError):
    """A model file or card that is missing, damaged or does not fit; its text names the file and
    the remedy.
    """


@dataclass(frozen=True)
class Metric:
    """One measured figure and what is needed to measure it again."""

    name: str  # "accuracy", "mIoU", "PSNR"
    value: float
    unit: str  # "%", "dB", ""
    split: str  # "test", "val"
    n: int  # how many pictures
    conditions: str  # seeds, size, preprocessing


@dataclass(frozen=True)
class Card:
    """Everything a user should know of a model; the first metric is its headline."""

    name: str
    task: str
    title: str
    architecture: str
    parameters: int
    config: dict[str, Any]  # arguments of the network's constructor
    preprocess: dict[str, Any]
    classes: list[str]
    metrics: list[Metric]
    data: dict[str, Any]  # name, url, licence, n, held_out
    training: dict[str, Any]  # command, seed, minutes, hardware, versions, commit
    paper: str
    limits: str
    selected_on: str = ""  # images by which weights and settings were chosen
    test_reads: str = ""  # how often the test set was read before the figures were final
    curve: list[dict[str, float]] = field(default_factory=list)
    tables: dict[str, Any] = field(
        default_factory=dict
    )  # confusion matrix, robustness, a baseline's curve ...
    file: str = ""
    bytes: int = 0
    sha256: str = ""

    @property
    def headline(self) -> str:
        """ "accuracy 99.71 % (test, n = 10,000)"."""
        if not self.metrics:
            return "not measured"
        m = self.metrics[0]
        return f"{m.name} {value_text(m)} ({m.split}, n = {m.n:,})"


def read_card(name: str, folder: Path = FOLDER) -> Card:
    """Raises WeightsError where the card is missing or not a card."""
    path = folder / f"{name}.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        values["metrics"] = [Metric(**m) for m in values["metrics"]]
        return _checked(Card(**values))
    except FileNotFoundError as error:
        raise WeightsError(
            f"The card {path.name} is missing from {folder.name}/. {_remedy(name)}"
        ) from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise WeightsError(
            f"The card {folder.name}/{path.name} is damaged ({error}). {_remedy(name)}"
        ) from error


def _checked(card: Card) -> Card:
    """The card, if all that the pages show of it is there, else ValueError: no card may break the
    page.
    """
    for field_name in ("data", "training"):
        values = getattr(card, field_name)
        if not isinstance(values, dict) or not REQUIRED[field_name] <= values.keys():
            raise ValueError(f"{field_name} needs {', '.join(sorted(REQUIRED[field_name]))}")
    numbers = [
        card.parameters,
        card.bytes,
        card.training["minutes"],
        *(m.value for m in card.metrics),
    ]
    if not all(isinstance(v, int | float) for v in [*numbers, *(m.n for m in card.metrics)]):
        raise ValueError("a text stands where a number should")
    texts = [
        card.name,
        card.task,
        card.title,
        card.architecture,
        card.paper,
        card.limits,
        card.selected_on,
        card.test_reads,
        card.file,
        card.sha256,
    ]
    if not all(isinstance(v, str) for v in texts):
        raise ValueError("something else stands where a text should")
    if not all(isinstance(p, dict) and "step" in p for p in card.curve):
        raise ValueError("a point of the curve has no step")
    return card


def all_cards(folder: Path = FOLDER) -> list[Card]:
    """Every readable card, by name; a damaged one is left out, its own tab says so."""
    cards = []
    for path in sorted(folder.glob("*.json")):
        try:
            cards.append(read_card(path.stem, folder))
        except WeightsError:
            continue
    return cards


def save(network: "nn.Module", card: Card, folder: Path = FOLDER, *, half: bool = False) -> Card:
    """Write the weights and their card, each at once or not at all; returns the card with file,
    bytes and hash.

    Args:
        half: store floating point tensors as fp16; `load` gives float32 back.
    """
    import torch
    from safetensors.torch import save as to_bytes

    state = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    if half:
        state = {k: v.to(torch.float16) if v.is_floating_point() else v for k, v in state.items()}
    return save_bytes(to_bytes(state), card, f"{card.name}.safetensors", folder)


def save_bytes(blob: bytes, card: Card, file: str, folder: Path = FOLDER) -> Card:
    """As `save`, for weights that keep another library's own format: what is to stand in `file`, as
    it is.

    Of the processes of one training (`accelerate launch`) the first writes.
    """
    stored = {"file": file, "bytes": len(blob), "sha256": hashlib.sha256(blob).hexdigest()}
    card = Card(**{**{k: getattr(card, k) for k in card.__dataclass_fields__}, **stored})
    if int(os.environ.get("RANK", "0")):
        return card
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / card.file, blob)
    write_atomically(
        folder / f"{card.name}.json", (json.dumps(asdict(card), indent=1) + "\n").encode()
    )
    return card


def load(name: str, network: type[Network], folder: Path = FOLDER) -> tuple[Network, Card]:
    """The network in eval mode, on the CPU, float32, and its card.

    Raises:
        WeightsError: card or file missing, hash wrong, tensors that do not fit the network.
    """
    from safetensors.torch import load as from_bytes

    card = read_card(name, folder)
    blob = _verified_bytes(card, folder)
    try:
        with model_cache.BUILDING:
            model = network(**card.config)
            model.load_state_dict(from_bytes(blob), strict=True)
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(":.")
        raise WeightsError(
            f"{folder.name}/{card.file} does not fit {network.__name__}: {reason}. {_remedy(name)}"
        ) from error
    return model.eval(), card


def filled(build: Callable[[], Network], file: Path) -> Network:
    """A network with the tensors of a .pt file that was downloaded, on the CPU. Raises OSError,
    RuntimeError.
    """
    import torch

    with model_cache.BUILDING:
        network = build()
        network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    return network


def verify(name: str, folder: Path = FOLDER) -> Card:
    """The card, if its file is there and has the card's hash; else WeightsError."""
    card = read_card(name, folder)
    _verified_bytes(card, folder)
    return card


def _verified_bytes(card: Card, folder: Path) -> bytes:
    path = folder / card.file
    try:
        blob = path.read_bytes()
    except OSError as error:
        raise WeightsError(
            f"{folder.name}/{card.file} is missing or unreadable. {_remedy(card.name)}"
        ) from error
    if hashlib.sha256(blob).hexdigest() != card.sha256:
        raise WeightsError(
            f"{folder.name}/{card.file} is damaged: {len(blob):,} bytes of {card.bytes:,}, and "
            "its SHA-256 is not the "
            f"card's. {_remedy(card.name)}"
        )
    return blob


def _remedy(name: str) -> str:
    restore = f"`git checkout -- weights/{name}.*`"
    return f"Restore it with {restore} or train it again; the other tabs are not affected."


def write_atomically(path: Path, blob: bytes) -> None:
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(blob)
    os.replace(temporary, path)


def value_text(metric: Metric) -> str:
    return f"{metric.value:.2f}{' ' + metric.unit if metric.unit else ''}"


@functools.cache
def commit() -> str:
    """The short hash of the checked-out commit, for cards; "unknown" outside a git clone."""
    import subprocess

    try:
        found = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:  # no git
        return "unknown"
    return found.stdout.strip() or "unknown"
