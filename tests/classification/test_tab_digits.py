"""The digits tab through its HTTP interface."""

import base64
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from tasks.classification.tab import digits
from tasks.core.images import png_bytes
from tasks.ui.image_input import MAX_DRAWING
from tests import hostile

WHITE = np.full((280, 280), 255, np.uint8)


@pytest.fixture(scope="module")
def client(app_url: str) -> Iterator[Client]:
    client = Client(app_url, verbose=False)
    yield client
    client.close()


def test_classify_digit(client: Client, tmp_path: Path) -> None:
    answer = client.predict(handle_file(hostile.good_png(tmp_path)), api_name="/classify_digit")
    assert max(answer, key=answer.__getitem__) == "1"
    assert sum(answer.values()) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("name", [n for n in hostile.FILES if n in hostile.REFUSED])
def test_bad_files_are_answered_with_a_sentence(client: Client, name: str, tmp_path: Path) -> None:
    with pytest.raises(AppError) as caught:
        client.predict(handle_file(hostile.REFUSED[name](tmp_path)), api_name="/classify_digit")
    text = str(caught.value)
    assert "Traceback" not in text
    assert "image" in text.lower()
    answer = client.predict(handle_file(hostile.good_png(tmp_path)), api_name="/classify_digit")
    assert max(answer, key=answer.__getitem__) == "1"


@pytest.mark.parametrize(
    "name", [n for n in hostile.FILES if n in hostile.ODD and n != "very wide"]
)
def test_odd_pictures_are_read(client: Client, name: str, tmp_path: Path) -> None:
    answer = client.predict(handle_file(hostile.ODD[name](tmp_path)), api_name="/classify_digit")
    assert max(answer, key=answer.__getitem__) == "1"


def test_an_empty_page_is_said_to_be_empty(client: Client, tmp_path: Path) -> None:
    (tmp_path / "white.png").write_bytes(png_bytes(WHITE))
    with pytest.raises(AppError, match="No digit was found"):
        client.predict(handle_file(tmp_path / "white.png"), api_name="/classify_digit")


def test_nothing_sent(client: Client) -> None:
    with pytest.raises(AppError, match="No image came"):
        client.predict(None, api_name="/classify_digit")


def test_only_documented_endpoints_are_listed(client: Client) -> None:
    listed = client.view_api(return_format="dict", print_info=False)
    assert isinstance(listed, dict)
    assert set(listed["named_endpoints"]) == {
        "/classify_digit",
        "/classify_photo",
        "/classify_taught",
        "/deblock_photo",
        "/denoise_photo",
        "/detect_objects",
        "/detect_video",
        "/enlarge_photo",
        "/generate_by_diffusion",
        "/generate_by_gan",
        "/inpaint_by_diffusion",
        "/noise_and_denoise",
        "/segment_scene",
        "/segment_video",
        "/super_resolve_by_diffusion",
        "/text_to_image",
    }
    assert not listed["unnamed_endpoints"]


# -- what the drawing pad calls --------------------------------------------------------------------


def data_url(blob: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(blob).decode()


def test_the_pad_reads_a_drawing_and_looks_inside() -> None:
    answer = digits.read_drawing(data_url(png_bytes(hostile.scene())))
    order = np.argsort(-np.array(answer["probabilities"]), kind="stable")
    assert order[0] == 1 and sum(answer["probabilities"]) == pytest.approx(1, abs=1e-4)
    inside = digits.look_inside(answer["digit"])
    careful = np.argsort(-np.array(inside["probabilities"]), kind="stable")
    assert careful[0] == 1 and inside["digit"] == answer["digit"]
    # the runner-up that is named is the one that is explained
    assert inside["labels"] == careful[:2].tolist()
    assert inside["probabilities"] != answer["probabilities"]  # five angles, not one
    assert [len(base64.b64decode(image)) for image in inside["why"]] == [28 * 28, 28 * 28]
    assert [(s["count"], s["side"]) for s in inside["stages"]] == [(16, 28), (40, 14), (80, 7)]


SENT = {
    "None": None,
    "a number": 3,
    "empty": "",
    "no picture": "data:image/png;base64,",
    "not base64": "data:image/png;base64,!!!",
    "not ASCII": "data:image/png;base64,\u00e9",
    "a text": data_url(b"This is a letter, not an image."),
    "too long": "data:image/png;base64," + "A" * (MAX_DRAWING + 4),
    "1x1": data_url(png_bytes(np.zeros((1, 1), np.uint8))),
    "empty canvas": data_url(png_bytes(WHITE)),
}


@pytest.mark.parametrize("name", SENT)
def test_the_pad_is_answered_with_a_sentence(name: str) -> None:
    answer = digits.read_drawing(SENT[name])  # type: ignore[arg-type]
    assert set(answer) == {"error", "hint"}
    assert "went wrong" not in answer["error"] and answer["error"].endswith(".")
    assert answer["hint"] == (name == "empty canvas")


@pytest.mark.parametrize("sent", [None, 3, "", "!!!", "\u00e9", "AAAA"])
def test_looking_inside_anything_else_is_refused(sent: object) -> None:
    assert "28 x 28 bytes" in digits.look_inside(sent)["error"]  # type: ignore[arg-type]
