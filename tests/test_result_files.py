"""The same picture, returned to many at once, is whole for each of them."""

import threading
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from gradio import processing_utils

from tasks.tabs import result_files


def test_a_file_is_never_seen_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processing_utils, "save_pil_to_cache", processing_utils.save_pil_to_cache)  # put back later
    result_files.use()
    picture = np.random.default_rng(0).integers(0, 256, (700, 700, 3), np.uint8)
    save = lambda: processing_utils.save_img_array_to_cache(picture, str(tmp_path), format="png")  # noqa: E731
    path = Path(save())
    whole, seen, done = path.stat().st_size, set(), threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(path.stat().st_size)

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(20):
        assert Path(save()) == path
    done.set()
    reader.join()
    assert seen == {whole}
    assert [p.name for p in path.parent.iterdir()] == ["image.png"]


def test_components_use_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processing_utils, "save_pil_to_cache", processing_utils.save_pil_to_cache)
    result_files.use()
    monkeypatch.setattr(result_files.os, "replace", lambda *_: (_ for _ in ()).throw(OSError("by a rename")))
    with pytest.raises(OSError, match="by a rename"):
        gr.Image(format="png", render=False).postprocess(np.zeros((8, 8, 3), np.uint8))


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(result_files.os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        result_files.save_whole(Image.new("RGB", (8, 8)), str(tmp_path), format="png")
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []
