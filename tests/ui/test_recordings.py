"""What sub-tabs open with: complete, small, shown as it was recorded, and no model needed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tasks.ui import recordings
from tasks.ui.recordings import FOLDER

MOST = 2_500_000  # bytes of all recordings
FILES = sorted(FOLDER.glob("*.json"))
PLAYERS = [file for file in FILES if "shapes" in json.loads(file.read_text(encoding="utf-8"))]


def files_in(value: Any) -> list[str]:
    if isinstance(value, dict):
        if value.keys() == {"file"}:
            return [value["file"]]
        return [file for part in value.values() for file in files_in(part)]
    return [file for part in value for file in files_in(part)] if isinstance(value, list) else []


def test_they_are_small() -> None:
    assert 0 < sum(file.stat().st_size for file in FOLDER.iterdir() if file.is_file()) < MOST


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_file_that_is_named_is_there(file: Path) -> None:
    value = json.loads(file.read_text(encoding="utf-8"))
    named = files_in(value) + ([value["file"]] if isinstance(value.get("file"), str) else [])
    assert all((FOLDER / name).is_file() for name in named)


@pytest.mark.parametrize("file", PLAYERS, ids=lambda file: file.stem)
def test_a_sheet_has_the_images_of_all_frames(file: Path) -> None:
    recorded = json.loads(file.read_text(encoding="utf-8"))
    shapes = recorded["shapes"]
    height, width = shapes[0][1:3]
    assert all(shape[1:3] == [height, width] for shape in shapes)
    with Image.open(file.with_suffix(".webp")) as sheet:
        assert sheet.height == height * len(recorded["frames"])
        assert sheet.width == width * sum(shape[0] for shape in shapes)
        assert np.asarray(sheet.convert("L")).std() > 10  # not empty


def test_without_a_recording_a_component_is_empty() -> None:
    assert recordings.outputs("nothing", 3) == [None, None, None]


def test_paths_and_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "FOLDER", tmp_path)
    value = {"outputs": [[{"file": "a.webp"}, "caption"], {"choice": "x"}, 3]}
    (tmp_path / "some.json").write_text(json.dumps(value), encoding="utf-8")
    shown = recordings.outputs("some", 3)
    assert shown == [[str(tmp_path / "a.webp"), "caption"], {"choice": "x"}, 3]
    assert recordings.outputs("some", 2) == [None, None]  # of another shape: an older recording
    (tmp_path / "some.json").write_text("[", encoding="utf-8")
    assert recordings.outputs("some", 3) == [None] * 3
