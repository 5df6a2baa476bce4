"""Image inputs: what they take, give back and keep."""

from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from gradio.data_classes import ImageData
from PIL import Image

from tasks.ui import image_input
from tests import hostile

SKIPPED = gr.skip()


def saved(folder: Path, name: str) -> str:
    path = folder / name
    Image.fromarray(np.full((20, 30, 3), (10, 90, 200), np.uint8)).save(path)
    return str(path)


def test_a_good_picture_becomes_the_one_to_use(tmp_path: Path) -> None:
    good = saved(tmp_path, "good.png")
    shown, used, line = image_input.check_upload(good, None)
    assert (shown, used) == (SKIPPED, good) and not line["visible"]
    assert image_input.check_upload(good, good) == (SKIPPED,) * 3


def test_a_bad_one_puts_back_what_was_there(tmp_path: Path) -> None:
    good, bad = saved(tmp_path, "good.png"), str(hostile.text_called_png(tmp_path))
    shown, used, line = image_input.check_upload(bad, good)
    assert (shown, used) == (good, SKIPPED)
    assert line["visible"] and "not an image that can be read here" in line["value"]
    assert image_input.check_upload(bad, None)[0] is None
    Path(good).unlink()
    assert image_input.check_upload(bad, good)[0] is None  # its file has been swept away meanwhile


def test_removed(tmp_path: Path) -> None:
    _, used, line = image_input.check_upload(None, saved(tmp_path, "good.png"))
    assert used is None and not line["visible"]


@pytest.mark.parametrize("kind", ["tiff", "ppm"])
def test_what_no_browser_shows_comes_back_as_pixels(tmp_path: Path, kind: str) -> None:
    shown, used, _ = image_input.check_upload(saved(tmp_path, f"good.{kind}"), None)
    assert (
        used == SKIPPED
        and np.asarray(shown).shape == (20, 30, 3)
        and np.asarray(shown)[0, 0].tolist() == [10, 90, 200]
    )


def test_the_file_comes_undecoded_even_from_an_input_that_gradio_has_built_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "sent"))
    (tmp_path / "sent").mkdir()
    bad = str(hostile.text_called_png(tmp_path / "sent"))
    with gr.Blocks():
        first = image_input.image_input(label="A")
    again: Any = first.__class__(**{**first.constructor_args, "label": "B"})
    for made in (first, again):
        assert made.get_block_name() == "image"
        assert made.preprocess(ImageData(path=bad)) == bad
        for elsewhere in (
            saved(tmp_path, "good.png"),
            f"{tmp_path}/sent/../good.png",
            "file:///etc/passwd",
            "app.py",
        ):
            with pytest.raises(gr.Error, match="was not sent here"):
                made.preprocess(ImageData(path=elsewhere))
    assert not list(
        Path(image_input.__file__).parent.glob("*.pyi")
    )  # gradio writes one beside each class of a component
