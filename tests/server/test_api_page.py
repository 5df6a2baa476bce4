"""docs/api.md says of every endpoint what is true, and its examples run: Python and curl against
the real app."""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import chdir
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gradio_client import Client
from PIL import Image

from docs import api_tables
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:7860"
INTRODUCTION, _, REST = PAGE.partition("\n## Classification\n")
SECTIONS = {
    name: re.split(r"\n##+ ", text)[0]
    for name, text in re.findall(
        r"^### `/(\w+)`\n(.*?)(?=^### |\Z)", REST, re.MULTILINE | re.DOTALL
    )
}
HANDLERS = REST.partition("\n## From Python, without the page\n")[2].partition("\n## ")[0]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@dataclass
class Reader:
    """Somebody who follows the page from its top: a folder, Python's names so far, and the shell's
    functions."""

    folder: Path
    url: str
    names: dict[str, Any] = field(default_factory=dict)

    def python(self, code: str) -> None:
        """Run a block; what it prints must be what the comments behind `print(...)` say."""
        said: list[str] = []
        self.names["print"] = lambda *values: said.append(" ".join(map(str, values)))
        with chdir(self.folder):
            exec(compile(code.replace(ADDRESS, self.url), "docs/api.md", "exec"), self.names)
        expected = re.findall(r"^ *print\(.*\)  # (.+)$", code, re.MULTILINE)
        assert said[: len(expected)] == expected

    def shell(self, code: str) -> str:
        """What a block prints, run after the page's shell functions."""
        (functions,) = blocks(INTRODUCTION, "sh")
        script = f"set -eu\n{functions}\n{code}".replace(ADDRESS, self.url)
        done = subprocess.run(
            ["sh", "-c", script],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def reader(app_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    reader = Reader(tmp_path_factory.mktemp("reader"), app_url.rstrip("/"))
    for code in blocks(INTRODUCTION, "python"):
        reader.python(code)
    yield reader
    reader.names["client"].close()


@pytest.fixture(scope="module")
def listed(app_url: str) -> Iterator[dict[str, Any]]:
    """What the app says of its endpoints."""
    client = Client(app_url, verbose=False)
    told = client.view_api(return_format="dict", print_info=False)
    assert isinstance(told, dict)
    yield told["named_endpoints"]
    client.close()


def test_every_endpoint_is_on_the_page_and_nothing_else(listed: dict[str, Any]) -> None:
    assert {f"/{name}" for name in SECTIONS} == set(listed)
    assert set(re.findall(r"^\| \[`(/\w+)`\]\(#(?:\w+)\)", INTRODUCTION, re.MULTILINE)) == set(
        listed
    )


def test_tables_are_the_apps_own() -> None:
    assert api_tables.generated(PAGE) == PAGE, "run `make docs`"
    assert [name for _, name, _ in api_tables.TABLE.findall(PAGE)] == list(SECTIONS)


@pytest.mark.parametrize("name", SECTIONS)
def test_examples_run_and_curl_gets_what_python_gets(name: str, reader: Reader) -> None:
    for code in blocks(SECTIONS[name], "python"):
        reader.python(code)
    (code,) = blocks(SECTIONS[name], "sh")
    said = reader.shell(code)
    saved = re.search(r"\| save (\w+)(\.\w+)$", code, re.MULTILINE)
    if saved is None:
        assert same(json.loads(said)[-1], reader.names["answer"])
        return
    ours, theirs = Path(reader.names[saved[1]]), reader.folder / f"{saved[1]}{saved[2]}"
    if saved[2] == ".png":
        with Image.open(ours) as a, Image.open(theirs) as b:
            assert a.size == b.size
            assert np.abs(np.asarray(a, np.int16) - np.asarray(b, np.int16)).max() <= 1
    else:
        assert theirs.stat().st_size > 1000
        assert theirs.read_bytes()[4:8] == ours.read_bytes()[4:8]  # both an MP4, or both a WebM


def same(a: Any, b: Any) -> bool:
    """Whether two answers are equal but for the milliseconds they took."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a if not k.endswith("_ms"))
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == pytest.approx(b, abs=1e-3) if isinstance(a, float) else a == b)


def test_the_handlers_examples_run(reader: Reader) -> None:
    (code,) = blocks(HANDLERS, "python")
    reader.python(code)


def test_the_handlers_have_the_calls_that_the_page_names() -> None:
    import importlib

    rows = re.findall(r"^\| (`\w+\.\w+`.*?) \| (.*) \|$", HANDLERS, re.MULTILINE)
    assert len(rows) == 9
    for classes, calls in rows:
        for module, name in re.findall(r"`(\w+)\.(\w+)`", classes):
            handler = getattr(importlib.import_module(f"tasks.{module}"), name)
            for call in ["load", *re.findall(r"`(\w+)(?:\(|`)", calls.partition(": `")[0])]:
                assert callable(getattr(handler, call)), f"{name}.{call}"


def test_a_refusal_over_http(reader: Reader) -> None:
    """As the page says under Errors."""
    said = reader.shell(
        'id=$(curl -sf -H "Content-Type: application/json" -d \'{"data": [null]}\' '
        '"$APP/call/classify_digit" '
        '| cut -d \'"\' -f 4)\ncurl -sN "$APP/call/classify_digit/$id"'
    )
    assert "event: error" in said
    (data,) = re.findall(r"^data: (.*)$", said, re.MULTILINE)
    assert "No image came" in json.loads(data)["error"]
