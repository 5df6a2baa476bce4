"""Teach it's server functions: the example, lessons of several pages, what is refused; and
/classify_taught through the running app.
"""

from base64 import b64decode
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from tasks import loaders
from tasks.classification.tab import teach, teach_example
from tasks.core import scheduling
from tasks.ui.widget import data_url, encode_base64
from tests import hostile
from tests.classification.test_teachable import Backbone, colour, taught

ANNA, BEN = "a" * 32, "b" * 32


def jpeg(name: str, k: int = 0) -> str:
    buffer = BytesIO()
    Image.fromarray(colour(name, k)).save(buffer, "JPEG", quality=95)
    return data_url(buffer.getvalue(), "image/jpeg")


@pytest.fixture(autouse=True)
def _lessons(monkeypatch: pytest.MonkeyPatch) -> None:
    """No network: lessons are taught on colours; no lesson of another test."""
    monkeypatch.setattr(teach, "LESSONS", teach.Lessons())
    monkeypatch.setattr(loaders, "photo_classifier", Backbone)


def send(visitor: str, have: int, label: str, *jpegs: str) -> dict[str, Any]:
    return teach.teach_frames(
        {"visitor": visitor, "have": have, "label": label, "jpegs": jpegs and list(jpegs)}
    )


def teach_two(visitor: str, first: str = "red", second: str = "blue") -> dict[str, Any]:
    for have, name in ((0, first), (4, second)):
        send(visitor, have, name, *(jpeg(name, k) for k in range(4)))
    return teach.fit_lesson({"visitor": visitor, "have": 8, "classes": [first, second]})


def predict(visitor: str, name: str, have: int = 8) -> dict[str, Any]:
    return teach.predict_frame({"visitor": visitor, "have": have, "jpeg": jpeg(name, 2)})


def test_a_lesson() -> None:
    report = teach_two(ANNA)
    assert report["classes"] == ("red", "blue") and report["counts"] == (4, 4)
    assert [number for number, _, _ in report["places"]] == list(range(8))
    answer = predict(ANNA, "blue")
    (_, red), (_, blue) = answer["probabilities"]
    assert blue > 0.5 > red and answer["nearest"][0][0] in range(4, 8) and len(answer["place"]) == 2


def test_lessons_of_two_pages_do_not_mix() -> None:
    teach_two(ANNA)
    teach_two(BEN, "green", "blue")
    assert [name for name, _ in predict(ANNA, "red")["probabilities"]] == ["red", "blue"]
    assert [name for name, _ in predict(BEN, "green")["probabilities"]] == ["green", "blue"]


def test_a_forgotten_lesson_is_said_and_can_be_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    teach_two(ANNA)
    monkeypatch.setattr(teach, "LESSONS", teach.Lessons())  # as after a restart
    assert predict(ANNA, "red") == teach.FORGOTTEN
    assert send(ANNA, 8, "red", jpeg("red")) == teach.FORGOTTEN
    assert teach.fit_lesson({"visitor": ANNA, "have": 8, "classes": ["red"]}) == teach.FORGOTTEN
    assert teach_two(ANNA)["counts"] == (4, 4)


def test_a_page_that_lost_count_begins_anew() -> None:
    teach_two(ANNA)
    assert send(ANNA, 3, "red", jpeg("red")) == teach.FORGOTTEN
    assert send(ANNA, 0, "red", jpeg("red"))["numbers"]


def test_old_lessons_make_room() -> None:
    now = [0.0]
    lessons = teach.Lessons(clock=lambda: now[0])
    _, first = lessons.of({"visitor": ANNA})
    assert lessons.of({"visitor": ANNA})[1] is first
    now[0] = teach.KEPT_S + 1.0
    lessons.of({"visitor": BEN})
    assert len(lessons) == 1
    for k in range(teach.MAX_LESSONS + 5):
        lessons.of({"visitor": f"{k:032x}"})
    assert len(lessons) == teach.MAX_LESSONS


def test_many_frames_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teach, "MAX_FRAMES", 6)
    teach_two(ANNA)  # a single lesson is never cut
    send(BEN, 0, "red", jpeg("red"))
    assert predict(ANNA, "red") == teach.FORGOTTEN


@pytest.mark.parametrize(
    ("jpegs", "words"),
    [
        (None, "1 to 4 frames"),
        ([], "1 to 4 frames"),
        (["x"] * 5, "1 to 4 frames"),
        (["data:image/jpeg;base64,AAAA"], "no JPEG"),
        ([jpeg("red"), "data:text/html,x"], "JPEG data URL"),
    ],
)
def test_bad_frames_teach_nothing(jpegs: Any, words: str) -> None:
    request = {"visitor": ANNA, "have": 0, "label": "red", "jpegs": jpegs}
    assert words in teach.teach_frames(request)["error"]
    assert len(teach.LESSONS.of({"visitor": ANNA})[1].taught) == 0


def test_a_bad_name_teaches_nothing() -> None:
    assert "a name of" in send(ANNA, 0, " ", jpeg("red"))["error"]
    assert "token" in teach.teach_frames({"visitor": "me"})["error"]


def test_one_class_is_answered_with_a_sentence_and_the_classifier_goes_on() -> None:
    teach_two(ANNA)
    gone = {"visitor": ANNA, "numbers": [4, 5, 6, 7]}
    assert teach.remove_frames(gone) == {"have": 4}
    answer = teach.fit_lesson({"visitor": ANNA, "have": 4, "classes": ["red", "blue"]})
    assert "only 'red' has any" in answer["error"]
    assert predict(ANNA, "blue", have=4)["probabilities"][1][1] > 0.5
    assert "as a list" in teach.remove_frames({"visitor": ANNA, "numbers": "all"})["error"]


def test_busy_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    teach_two(ANNA)
    cores = scheduling.Cores(at_once=0, frames_waiting=0, steps_waiting=0)
    monkeypatch.setattr(scheduling, "CORES", cores)
    assert predict(ANNA, "red") == teach.BUSY and send(ANNA, 8, "red", jpeg("red")) == teach.BUSY


def test_saved_and_opened_again() -> None:
    teach_two(ANNA)
    file = teach.save_lesson({"visitor": ANNA})["file"]
    opened = teach.load_lesson({"visitor": BEN, "file": file})
    assert opened["classes"] == ("red", "blue") and opened["accuracy"] is None
    assert predict(BEN, "blue", have=0)["probabilities"][1][1] > 0.5
    damaged = encode_base64(b64decode(file)[:99])
    for bad in (damaged, "%", None):
        assert "error" in teach.load_lesson({"visitor": ANNA, "file": bad})
    assert predict(ANNA, "blue")["probabilities"][1][1] > 0.5  # what is taught stays


def test_a_fit_takes_over_from_an_opened_file() -> None:
    teach_two(ANNA)
    teach_two(BEN, "green", "blue")
    teach.load_lesson({"visitor": BEN, "file": teach.save_lesson({"visitor": ANNA})["file"]})
    assert predict(BEN, "red")["probabilities"][0][0] == "red"
    teach.fit_lesson({"visitor": BEN, "have": 8, "classes": ["green", "blue"]})
    assert predict(BEN, "green")["probabilities"][0][0] == "green"


def test_renamed() -> None:
    teach_two(ANNA)
    assert teach.rename_class({"visitor": ANNA, "old": "red", "new": "rouge"}) == {"name": "rouge"}
    assert (
        "already" in teach.rename_class({"visitor": ANNA, "old": "rouge", "new": "blue"})["error"]
    )
    assert predict(ANNA, "red")["probabilities"][0][0] == "rouge"


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (100, 100)])
def test_crops_are_squares_of_the_photo(size: tuple[int, int]) -> None:
    crops = teach_example.crops(Image.new("RGB", size, "teal"), 4, np.random.default_rng(0))
    assert len(crops) == 4 and {c.size for c in crops} == {(256, 256)}
    assert all(c.getpixel((0, 0)) == c.getpixel((255, 255)) == (0, 128, 128) for c in crops)


def test_the_example_is_answered_rightly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the real network
    loaded = teach.load_example()
    assert loaded["report"]["classes"] == tuple(teach_example.PHOTOS)
    assert loaded["report"]["accuracy"] == 1
    for shown in loaded["shown"]:
        best = max(shown["answer"]["probabilities"], key=lambda pair: pair[1])
        assert best[0] == shown["label"] and best[1] > 0.6


# -- the endpoint ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client(app_url: str) -> Iterator[Client]:
    connected = Client(app_url, verbose=False)
    yield connected
    connected.close()


def test_classify_taught(client: Client, tmp_path: Path) -> None:
    classifier = taught()
    classifier.fit()
    classifier.save(tmp_path / "colours.safetensors")
    picture = handle_file(str(hostile.good_png(tmp_path)))
    file = handle_file(str(tmp_path / "colours.safetensors"))
    answer = client.predict(picture, file, api_name="/classify_taught")
    assert set(answer) == {"red", "green", "blue"} and sum(answer.values()) == pytest.approx(1)
    with pytest.raises(AppError, match="A classifier is needed"):
        client.predict(picture, None, api_name="/classify_taught")
    with pytest.raises(AppError, match="damaged"):
        client.predict(picture, picture, api_name="/classify_taught")
    with pytest.raises(AppError, match="No image came"):
        client.predict(None, file, api_name="/classify_taught")
