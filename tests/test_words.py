"""The glossary of CONTRIBUTING.md holds: its left column stays out of code and page."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

CODE = sorted(
    path
    for top in ("app.py", "benchmarks", "docs", "tasks", "train")
    for path in ([ROOT / top] if top.endswith(".py") else (ROOT / top).rglob("*"))
    if path.suffix in (".py", ".js", ".html", ".css")
)
OLD_OPTIONS = ("train/options.py",)  # commands on older cards stay accepted


def glossary() -> Iterator[tuple[str, str]]:
    """(not, but) of each row."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.partition("## Glossary")[2].partition("\n## ")[0]
    for row in re.findall(r"^\| (.+?) \| (.+?) \|", table, re.MULTILINE)[1:]:
        yield from ((word, row[1]) for word in row[0].split(", "))


def places(word: str) -> list[str]:
    """file:line where the word stands by itself."""
    pattern = re.compile(rf"(?<![A-Za-z]){re.escape(word)}(?![a-z])")
    found = []
    for path in CODE:
        name = str(path.relative_to(ROOT))
        if name in OLD_OPTIONS:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if pattern.search(line):
                found.append(f"{name}:{number}")
    return found


def test_there_are_thirty_words() -> None:
    assert len({but for _, but in glossary()}) >= 30 - 1


@pytest.mark.parametrize(("word", "better"), [row for row in glossary() if row[0][:3] != "---"])
def test_word_does_not_come_back(word: str, better: str) -> None:
    assert not places(word), f"say {better!r}"


def test_a_word_is_found(tmp_path: Path) -> None:
    assert places("Image")  # the search itself works
