"""The cards and the weights: the only reader and writer of `weights/`.

Beside each `<name>.safetensors` lies `<name>.json`, its card: what the network is, what it was trained on, what it
scores and how to train it again. `load` refuses a file whose hash the card does not know.

    python -m tasks.weights            write weights/README.md, the table in README.md and the figures in docs/
    python -m tasks.weights --check    fail if they are stale
"""

import argparse
import functools
import hashlib
import json
import os
import re
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tasks import compute

if TYPE_CHECKING:
    from torch import nn

Network = TypeVar("Network", bound="nn.Module")

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "weights"
REQUIRED = {
    "data": {"name", "url", "licence", "n", "held_out"},
    "training": {"command", "seed", "minutes", "hardware", "versions", "commit"},
}


class WeightsError(RuntimeError):
    """A model file or card that is missing, damaged or does not fit; its text names the file and the remedy."""


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
    curve: list[dict[str, float]] = field(default_factory=list)
    tables: dict[str, Any] = field(default_factory=dict)  # confusion matrix, robustness, a baseline's curve ...
    file: str = ""
    bytes: int = 0
    sha256: str = ""

    @property
    def headline(self) -> str:
        """ "accuracy 99.71 % (test, n = 10,000)"."""
        if not self.metrics:
            return "not measured"
        m = self.metrics[0]
        return f"{m.name} {_value(m)} ({m.split}, n = {m.n:,})"


def read_card(name: str, folder: Path = FOLDER) -> Card:
    """Raises WeightsError where the card is missing or not a card."""
    path = folder / f"{name}.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        values["metrics"] = [Metric(**m) for m in values["metrics"]]
        return _checked(Card(**values))
    except FileNotFoundError as error:
        raise WeightsError(f"The card {path.name} is missing from {folder.name}/. {_remedy(name)}") from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise WeightsError(f"The card {folder.name}/{path.name} is damaged ({error}). {_remedy(name)}") from error


def _checked(card: Card) -> Card:
    """The card, if all that the pages show of it is there, else ValueError: no card may break the page."""
    for field_name in ("data", "training"):
        values = getattr(card, field_name)
        if not isinstance(values, dict) or not REQUIRED[field_name] <= values.keys():
            raise ValueError(f"{field_name} needs {', '.join(sorted(REQUIRED[field_name]))}")
    numbers = [card.parameters, card.bytes, card.training["minutes"], *(m.value for m in card.metrics)]
    if not all(isinstance(v, int | float) for v in [*numbers, *(m.n for m in card.metrics)]):
        raise ValueError("a text stands where a number should")
    texts = [card.name, card.task, card.title, card.architecture, card.paper, card.limits, card.file, card.sha256]
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
    """Write the weights and their card, each at once or not at all; returns the card with file, bytes and hash.

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
    """As `save`, for weights that keep another library's own format: what is to stand in `file`, as it is.

    Of the processes of one training (`accelerate launch`) the first writes.
    """
    stored = {"file": file, "bytes": len(blob), "sha256": hashlib.sha256(blob).hexdigest()}
    card = Card(**{**{k: getattr(card, k) for k in card.__dataclass_fields__}, **stored})
    if int(os.environ.get("RANK", "0")):
        return card
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / card.file, blob)
    _write(folder / f"{card.name}.json", (json.dumps(asdict(card), indent=1) + "\n").encode())
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
        with compute.BUILDING:
            model = network(**card.config)
            model.load_state_dict(from_bytes(blob), strict=True)
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(":.")
        raise WeightsError(
            f"{folder.name}/{card.file} does not fit {network.__name__}: {reason}. {_remedy(name)}"
        ) from error
    return model.eval(), card


def filled(build: Callable[[], Network], file: Path) -> Network:
    """A network with the tensors of a .pt file that was downloaded, on the CPU. Raises OSError, RuntimeError."""
    import torch

    with compute.BUILDING:
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
        raise WeightsError(f"{folder.name}/{card.file} is missing or unreadable. {_remedy(card.name)}") from error
    if hashlib.sha256(blob).hexdigest() != card.sha256:
        raise WeightsError(
            f"{folder.name}/{card.file} is damaged: {len(blob):,} bytes of {card.bytes:,}, and its SHA-256 is not the "
            f"card's. {_remedy(card.name)}"
        )
    return blob


def _remedy(name: str) -> str:
    return f"Restore it with `git checkout -- weights/{name}.*` or train it again; the other tabs are not affected."


def _write(path: Path, blob: bytes) -> None:
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(blob)
    os.replace(temporary, path)


# -- the tables generated from the cards ---------------------------------------------------------------------------

MARKS = ("<!-- cards:begin, generated by `make cards` -->", "<!-- cards:end -->")


def table(cards: list[Card]) -> str:
    """The models and their scores as a Markdown table."""
    rows = ["| model | network | parameters | measured | train it again |", "|---|---|---|---|---|"]
    rows += [
        f"| **{c.title}** (`{c.file}`, {c.bytes / 1e6:.1f} MB) | {c.architecture} | {c.parameters:,} "
        f"| {c.headline} | `{c.training['command']}`, {_spent(c)} |"
        for c in cards
    ]
    return "\n".join(rows)


FIGURES = re.compile(
    r"(<!-- figures of ([\w ]+), generated by `make cards` -->\n).*?(<!-- end of figures -->)", re.DOTALL
)
"""In a page of docs/: what the cards of these models say, one in full or several side by side."""


def figures(names: list[str], cards: list[Card]) -> str:
    """What stands between FIGURES' marks. Raises WeightsError for a card that is not there."""
    by_name = {card.name: card for card in cards}
    chosen = [by_name[name] if name in by_name else read_card(name) for name in names]
    if len(chosen) == 1:
        (card,) = chosen
        return f"**{card.title}.** {_facts(card)}"
    rows = [f"| measured | {' | '.join(card.title for card in chosen)} |", f"|---{'|---' * len(chosen)}|"]
    for name in [m.name for m in chosen[0].metrics]:
        found = [next((m for m in card.metrics if m.name == name), None) for card in chosen]
        rows.append(f"| {name} | {' | '.join(_value(m) if m else 'not measured' for m in found)} |")
    conditions = " / ".join(f"{c.metrics[0].n:,} made, {c.metrics[0].conditions}" for c in chosen)
    rows.append(f"| time of training | {' | '.join(map(_spent, chosen))} |")
    return "\n".join([*rows, "", f"Each against the {chosen[0].metrics[0].split} pictures: {conditions}.", ""])


def _spent(card: Card) -> str:
    """The time of a training: "10 min", or "10 min of an NVIDIA H200" where all of it was a GPU's."""
    gpu = re.fullmatch(r"(?!.*, then ).*, ((?:NVIDIA|AMD Instinct) .+)", card.training["hardware"])
    return f"{card.training['minutes']:.0f} min{f' of an {gpu[1]}' if gpu else ''}"


def _value(metric: Metric) -> str:
    return f"{metric.value:.2f}{' ' + metric.unit if metric.unit else ''}"


def _card_page(card: Card) -> str:
    file = f"- **File**: `{card.file}`, {card.bytes:,} bytes, SHA-256 `{card.sha256}`"
    return f"## {card.title}\n\n{_facts(card)}{file}\n"


def _facts(card: Card) -> str:
    """Network, figures, data, recipe and limits, as Markdown; ends with a new line."""
    lines = [f"{card.architecture}; {card.parameters:,} parameters. {card.paper}", ""]
    lines += ["| measured | value | split | n | conditions |", "|---|---|---|---|---|"]
    lines += [f"| {m.name} | {_value(m)} | {m.split} | {m.n:,} | {m.conditions} |" for m in card.metrics]
    data, training = card.data, card.training
    lines += [
        "",
        f"- **Data**: [{data['name']}]({data['url']}), {data['licence']}; {data['n']}; held out: {data['held_out']}.",
        f"- **Training**: `{training['command']}`, seed {training['seed']}, {training['minutes']:.0f} minutes on "
        f"{training['hardware']}; {training['versions']}.",
        f"- **Limits**: {card.limits}",
        "",
    ]
    return "\n".join(lines)


def pages() -> dict[Path, str]:
    """The files generated from the cards, with the text they should have."""
    cards = all_cards()
    weights_page = "\n".join(
        ["# The models", "", "Generated from the cards by `make cards`; do not edit.", "", table(cards), ""]
        + [_card_page(c) for c in cards]
    )
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    before, _, rest = text.partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    readme_text = f"{before}{MARKS[0]}\n{table(cards)}\n{MARKS[1]}{after}"
    documents = {}
    for path in sorted((ROOT / "docs").glob("*.md")):
        text = path.read_text(encoding="utf-8")
        documents[path] = FIGURES.sub(lambda m: m[1] + figures(m[2].split(), cards) + m[3], text)
    return {FOLDER / "README.md": weights_page, readme: readme_text, **documents}


@functools.cache
def commit() -> str:
    """The short hash of the checked-out commit, for cards; "unknown" outside a git clone."""
    import subprocess

    try:
        found = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
        )
    except OSError:  # no git
        return "unknown"
    return found.stdout.strip() or "unknown"


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the pages generated from the cards.")
    parser.add_argument("--check", action="store_true", help="write nothing, fail if a page is stale")
    check = parser.parse_args().check
    try:
        for path in sorted(FOLDER.glob("*.json")):
            verify(path.stem)
        wanted = pages()
    except WeightsError as error:
        parser.exit(1, f"{error}\n")
    stale = [p for p, text in wanted.items() if not p.is_file() or p.read_text(encoding="utf-8") != text]
    for path in stale:
        print(f"{'stale' if check else 'written'}: {path.relative_to(ROOT)}")
    if not check:
        for path, text in wanted.items():
            _write(path, text.encode())
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
