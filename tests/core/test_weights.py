"""The cards and the weights: what is written is read again, what is damaged is named, what is
shipped is whole."""

import json
import re
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tasks.core import model_pages, weights
from tasks.core.weights import Card, Metric, WeightsError


class Small(nn.Module):
    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, width, 3)
        self.norm = nn.BatchNorm2d(width)


class Other(nn.Module):
    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.dense = nn.Linear(width, 2)


class Failing(nn.Module):
    def __init__(self, width: int = 3) -> None:
        super().__init__()
        raise AssertionError  # an error without a text


CARD = Card(
    name="small",
    task="classification",
    title="Small network",
    architecture="one convolution",
    parameters=30,
    config={"width": 5},
    preprocess={"size": 28, "range": [0, 1]},
    classes=["a", "b"],
    metrics=[
        Metric("accuracy", 98.765, "%", "test", 10000, "one seed"),
        Metric("loss", 0.1, "", "val", 20, ""),
    ],
    data={
        "name": "MNIST",
        "url": "https://example.org",
        "licence": "free",
        "n": "10",
        "held_out": "2",
    },
    training={
        "command": "python -m train.small",
        "seed": 0,
        "minutes": 1.5,
        "hardware": "2 cores",
        "versions": "torch 2",
        "commit": "abc",
    },
    paper="",
    limits="only a test",
    curve=[{"step": 1.0, "loss": 2.0}],
    tables={"confusion": [[1, 0], [0, 1]]},
)


def small(width: int = 5) -> Small:
    torch.manual_seed(1)
    network = Small(width).to(memory_format=torch.channels_last)
    network.state_dict()["norm.running_var"].uniform_(0.1, 2)
    network.state_dict()["norm.num_batches_tracked"].fill_(7)
    return network


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    weights.save(small(), CARD, tmp_path)
    return tmp_path


# -- written and read ------------------------------------------------------------------------------


def test_round_trip_is_exact(folder: Path) -> None:
    network, card = weights.load("small", Small, folder)
    for key, value in small().state_dict().items():
        assert torch.equal(network.state_dict()[key], value)
    assert not network.training
    assert card == replace(CARD, file="small.safetensors", bytes=card.bytes, sha256=card.sha256)
    assert card.bytes == (folder / card.file).stat().st_size
    assert card == weights.verify("small", folder) == weights.read_card("small", folder)


def test_half_precision_file_gives_float32(folder: Path) -> None:
    whole = weights.read_card("small", folder)
    card = weights.save(small(), CARD, folder, half=True)
    network, _ = weights.load("small", Small, folder)
    assert card.bytes < whole.bytes
    for key, value in small().state_dict().items():
        loaded = network.state_dict()[key]
        assert loaded.dtype == value.dtype
        assert torch.equal(loaded, value.half().float() if value.is_floating_point() else value)


def test_saving_leaves_the_two_files_only(folder: Path) -> None:
    assert sorted(p.name for p in folder.iterdir()) == ["small.json", "small.safetensors"]


# -- damaged ---------------------------------------------------------------------------------------

CARD_FILE, WEIGHTS_FILE = "small.json", "small.safetensors"


def _edit(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        values = json.loads((folder / CARD_FILE).read_text())
        change(values)
        (folder / CARD_FILE).write_text(json.dumps(values))

    return damage


def _flip(name: str, at: int) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        blob = bytearray((folder / name).read_bytes())
        blob[at] ^= 1
        (folder / name).write_bytes(blob)

    return damage


def _cut(name: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / name).write_bytes((folder / name).read_bytes()[:-9])

    return damage


def _folder_instead(folder: Path) -> None:
    (folder / WEIGHTS_FILE).unlink()
    (folder / WEIGHTS_FILE).mkdir()


DAMAGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no card": (lambda f: (f / CARD_FILE).unlink(), CARD_FILE),
    "no weights": (lambda f: (f / WEIGHTS_FILE).unlink(), WEIGHTS_FILE),
    "a folder in its place": (_folder_instead, WEIGHTS_FILE),
    "weights truncated": (_cut(WEIGHTS_FILE), WEIGHTS_FILE),
    "weights empty": (lambda f: (f / WEIGHTS_FILE).write_bytes(b""), WEIGHTS_FILE),
    "one bit of the weights flipped": (_flip(WEIGHTS_FILE, -1), WEIGHTS_FILE),
    "one bit of the header flipped": (_flip(WEIGHTS_FILE, 0), WEIGHTS_FILE),
    "card truncated": (_cut(CARD_FILE), CARD_FILE),
    "card empty": (lambda f: (f / CARD_FILE).write_text(""), CARD_FILE),
    "card not UTF-8": (lambda f: (f / CARD_FILE).write_bytes(b"\xff\xfe{}"), CARD_FILE),
    "card a list": (lambda f: (f / CARD_FILE).write_text("[1, 2]"), CARD_FILE),
    "card a text": (lambda f: (f / CARD_FILE).write_text('"card"'), CARD_FILE),
    "card without metrics": (_edit(lambda v: v.pop("metrics")), CARD_FILE),
    "metrics null": (_edit(lambda v: v.update(metrics=None)), CARD_FILE),
    "metric without split": (_edit(lambda v: v["metrics"][0].pop("split")), CARD_FILE),
    "metric's value a text": (_edit(lambda v: v["metrics"][0].update(value="high")), CARD_FILE),
    "unknown field": (_edit(lambda v: v.update(colour="red")), CARD_FILE),
    "training without minutes": (_edit(lambda v: v["training"].pop("minutes")), CARD_FILE),
    "minutes a text": (_edit(lambda v: v["training"].update(minutes="long")), CARD_FILE),
    "data a text": (_edit(lambda v: v.update(data="MNIST")), CARD_FILE),
    "title missing": (_edit(lambda v: v.pop("title")), CARD_FILE),
    "title a number": (_edit(lambda v: v.update(title=3)), CARD_FILE),
    "curve without steps": (_edit(lambda v: v.update(curve=[{"loss": 1.0}])), CARD_FILE),
    "file name empty": (_edit(lambda v: v.update(file="")), "small"),
    "another configuration": (_edit(lambda v: v.update(config={"width": 4})), WEIGHTS_FILE),
    "unknown argument": (_edit(lambda v: v.update(config={"depth": 4})), WEIGHTS_FILE),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_a_sentence_with_the_file_and_the_remedy(name: str, folder: Path) -> None:
    damage, file = DAMAGES[name]
    damage(folder)
    with pytest.raises(WeightsError, match=re.escape(file)) as caught:
        weights.load("small", Small, folder)
    assert "git checkout" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("network", [Other, Failing])
def test_another_network_is_refused(network: type[nn.Module], folder: Path) -> None:
    with pytest.raises(WeightsError, match=rf"small\.safetensors does not fit {network.__name__}"):
        weights.load("small", network, folder)


def test_a_repaired_file_loads_again(folder: Path) -> None:
    whole = (folder / WEIGHTS_FILE).read_bytes()
    _flip(WEIGHTS_FILE, 40)(folder)
    with pytest.raises(WeightsError):
        weights.load("small", Small, folder)
    (folder / WEIGHTS_FILE).write_bytes(whole)
    weights.load("small", Small, folder)


def test_all_cards_leaves_a_damaged_one_out(folder: Path) -> None:
    weights.save(small(), replace(CARD, name="another"), folder)
    assert [c.name for c in weights.all_cards(folder)] == ["another", "small"]
    _cut(CARD_FILE)(folder)
    assert [c.name for c in weights.all_cards(folder)] == ["another"]


# -- pages -----------------------------------------------------------------------------------------


def test_headline() -> None:
    assert CARD.headline == "accuracy 98.77 % (test, n = 10,000)"
    assert replace(CARD, metrics=CARD.metrics[1:]).headline == "loss 0.10 (val, n = 20)"
    assert replace(CARD, metrics=[]).headline == "not measured"


def test_pages_are_written_once_and_then_fresh(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    document = folder / "docs" / "small.md"
    document.parent.mkdir()
    begin = "<!-- figures of small, generated by `make docs` -->"
    document.write_text(f"# Title\n\n{begin}\nold\n<!-- end of figures -->\n\nThe rest.\n")
    monkeypatch.setattr(weights, "ROOT", folder)
    monkeypatch.setattr(weights, "FOLDER", folder / "weights")
    monkeypatch.setattr(weights, "all_cards", lambda: [weights.read_card("small", folder)])

    def run(*arguments: str) -> int:
        monkeypatch.setattr("sys.argv", ["weights", *arguments])
        return model_pages.main()

    (folder / "weights").mkdir()
    assert run("--check") == 1
    assert "old" in document.read_text()
    assert run() == 0
    assert run("--check") == 0
    text = document.read_text()
    assert text.startswith(f"# Title\n\n{begin}\n**") and "old" not in text
    assert text.endswith("<!-- end of figures -->\n\nThe rest.\n")
    page = (folder / "weights" / "README.md").read_text()
    assert "98.77 %" in page and "98.77 %" in text
    assert "SHA-256" in page


def test_check_names_a_damaged_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _flip(WEIGHTS_FILE, -1)(folder)
    monkeypatch.setattr(weights, "FOLDER", folder)
    monkeypatch.setattr("sys.argv", ["weights", "--check"])
    with pytest.raises(SystemExit) as caught:
        model_pages.main()
    assert caught.value.code == 1


# -- what is shipped -------------------------------------------------------------------------------

SHIPPED = sorted(p.stem for p in weights.FOLDER.glob("*.json"))


def test_every_weights_file_has_a_card() -> None:
    files = {p.name for p in weights.FOLDER.iterdir() if p.suffix not in (".json", ".md")}
    assert files == {weights.read_card(name).file for name in SHIPPED}


def test_generated_pages_are_fresh() -> None:
    for path, text in model_pages.pages().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is stale: run `make docs`"


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_card_is_whole(name: str) -> None:
    card = weights.verify(name)
    assert card.name == name
    assert 0 < card.bytes < 10_000_000  # more needs Git LFS on a Space
    assert card.parameters > 0
    assert card.metrics
    assert all(
        m.n > 0 and m.conditions and m.split in ("test", "val", "train") for m in card.metrics
    )
    texts = {
        k: v
        for k, v in asdict(card).items()
        if k in ("task", "title", "architecture", "paper", "limits", "selected_on", "test_reads")
    }
    empty = [
        k
        for k, v in {**texts, **card.data, **card.training}.items()
        if str(v).strip() in ("", "unknown")
    ]
    assert not empty
    assert card.training["command"].startswith("python -m train.")
    assert card.training["minutes"] > 0
    steps = [p["step"] for p in card.curve]
    assert steps == sorted(set(steps))
    assert not re.search(r"/(home|work|root|tmp|Users)/", json.dumps(asdict(card)))


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_card_survives_its_own_format(name: str) -> None:
    card = weights.read_card(name)
    text = (weights.FOLDER / f"{name}.json").read_text(encoding="utf-8")
    assert json.loads(text) == json.loads(json.dumps(asdict(card), allow_nan=False))
