"""The detection tab as the page calls it: frames of cameras, pictures, video files, and what comes of bad ones."""

import base64
import itertools
import threading
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from tasks import compute, weights
from tasks.detection import TRACKING_FLOOR, Detections
from tasks.images import ImageError
from tasks.tabs import detection_live as live
from tasks.tabs import detection_pictures as pictures
from tasks.tabs import detectors
from tasks.tabs.live_camera import JPEG, MAX_FRAME
from tests import hostile

ANNE, BERT = "a" * 32, "b" * 32


class Pretender:
    """A detector that finds one square that moves with the number of calls, and says what it was asked."""

    name, class_names, needs_nms, sizes, default_size, card = "own", ("square", "circle"), True, (320, 416), 416, None

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.takes_s = 0.0

    class engine:
        title = "pretended"

    def check(self, confidence: float, iou: float, classes: Any, size: int | None) -> int:
        if not isinstance(confidence, float | int) or not 0 <= confidence <= 1:
            raise ImageError(f"confidence lies between 0 and 1; {confidence!r} came.")
        return size or self.default_size

    def detect_array(
        self, rgb: np.ndarray, confidence: float = 0.25, iou: float = 0.7, classes: Any = None, size: int | None = None,
        bars: bool = True,
    ) -> Detections:  # fmt: skip
        self.check(confidence, iou, classes, size)
        self.asked.append((rgb.shape, confidence, iou, classes, size))
        time.sleep(self.takes_s)
        x = 10.0 + 2 * len(self.asked)
        box = np.array([[x, 20, x + 40, 60]], np.float32)
        speed = {"preprocess": 1.0, "inference": 2.0, "postprocess": 3.0}
        return Detections(box, np.array([0.9], np.float32), np.array([0]), self.class_names, speed_ms=speed)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Pretender:
    pretender = Pretender()
    monkeypatch.setattr(detectors, "detector", lambda name: pretender)
    monkeypatch.setattr(live, "VISITORS", live.Visitors())
    monkeypatch.setattr(detectors, "TURNS", compute.Turns())
    return pretender


def jpeg(width: int = 160, height: int = 120) -> str:
    buffer = BytesIO()
    Image.new("RGB", (width, height), "white").save(buffer, "JPEG")
    return JPEG + base64.b64encode(buffer.getvalue()).decode()


NUMBERS = itertools.count()


def request(**changes: Any) -> dict[str, Any]:
    asked = {"jpeg": jpeg(), "visitor": ANNE, "frame": next(NUMBERS), "model": "own", "size": 320,
             "confidence": 0.4, "iou": 0.6, "classes": None, "track": False}  # fmt: skip
    return asked | changes


# -- frames of a camera ----------------------------------------------------------------------------------------------


def test_a_frame_comes_back_as_boxes(model: Pretender) -> None:
    answer = live.detect_frame(request())
    assert answer["boxes"] == [pytest.approx([12 / 160, 20 / 120, 52 / 160, 60 / 120], abs=1e-3)]
    assert answer["kind"] == [0] and answer["confidence"] == [0.9] and answer["track"] is None and answer["ms"] > 0
    assert model.asked == [((120, 160, 3), 0.4, 0.6, None, 320)]


def test_settings_act_on_the_next_frame(model: Pretender) -> None:
    live.detect_frame(request(confidence=0.7, iou=0.5, classes=[1], size=416))
    assert model.asked[-1][1:] == (0.7, 0.5, [1], 416)
    live.detect_frame(request(track=True))
    assert model.asked[-1][1] == TRACKING_FLOOR  # unsure boxes may continue a track


def test_two_visitors_have_their_own_numbers(model: Pretender) -> None:
    for _ in range(4):
        anne = live.detect_frame(request(visitor=ANNE, track=True))
        bert = live.detect_frame(request(visitor=BERT, track=True))
        assert anne["track"] == bert["track"] == [1]
    assert len(live.VISITORS) == 2


def test_a_frame_that_a_newer_one_overtook_does_not_go_to_the_tracker(model: Pretender) -> None:
    old, new = request(track=True), request(track=True)
    assert "boxes" in live.detect_frame(new)
    assert live.detect_frame(old) == {"late": True}
    assert "error" in live.detect_frame(request(track=True, frame=1e9))


def test_visitors_are_forgotten(model: Pretender, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(live.MAX_VISITORS + 20):
        live.VISITORS.of(f"{n:032x}", "own")
    assert len(live.VISITORS) == live.MAX_VISITORS
    now = time.monotonic()
    monkeypatch.setattr(live.time, "monotonic", lambda: now + live.GONE_S + 1)
    live.VISITORS.of(ANNE, "own")
    assert len(live.VISITORS) == 1


def test_busy_comes_at_once(model: Pretender) -> None:
    model.takes_s = 0.3
    answers: list[dict[str, Any]] = []
    threads = [threading.Thread(target=lambda: answers.append(live.detect_frame(request()))) for _ in range(4)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
        time.sleep(0.02)
    while not answers:
        time.sleep(0.005)
    assert time.monotonic() - began < 0.29  # refused before the first was done
    for thread in threads:
        thread.join(5)
    assert sum("busy" in a for a in answers) == 2  # one worked, one waited, two were refused
    assert sum("boxes" in a for a in answers) == 2


def test_eight_cameras_share_fairly(model: Pretender) -> None:
    model.takes_s = 0.01
    done, until = dict.fromkeys(range(8), 0), time.monotonic() + 2

    def camera(n: int) -> None:
        while time.monotonic() < until:
            answer = live.detect_frame(request(visitor=f"{n:032x}", track=True))
            done[n] += "boxes" in answer

    threads = [threading.Thread(target=camera, args=(n,)) for n in done]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert min(done.values()) >= 0.7 * max(done.values()) > 0


BAD: dict[str, Any] = {
    "nothing": None,
    "a list": [],
    "no jpeg": request(jpeg=None),
    "a png": request(jpeg="data:image/png;base64,AAAA"),
    "not base64": request(jpeg=JPEG + "!!!"),
    "a text": request(jpeg=JPEG + base64.b64encode(b"hello").decode()),
    "truncated": request(jpeg=jpeg()[:-400]),
    "too long": request(jpeg=JPEG + "A" * MAX_FRAME),
    "too large": request(jpeg=jpeg(2000, 100)),
    "one pixel": request(jpeg=jpeg(1, 1)),
    "no token": request(visitor="me"),
    "a token that is a path": request(visitor="../../etc/passwd"),
    "confidence": request(confidence="x"),
    "confidence with tracks": request(confidence=7, track=True),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_frames_get_a_sentence(model: Pretender, name: str) -> None:
    answer = live.detect_frame(BAD[name])
    assert set(answer) == {"error", "hint"} and "went wrong" not in answer["error"]
    assert "boxes" in live.detect_frame(request())


@pytest.mark.parametrize("name", [None, "", "../weights", "yolo99", 7, ["own"]])
def test_models_that_are_not_offered(name: object) -> None:
    assert "There is no detector" in live.prepare_detector(name)["error"]  # type: ignore[arg-type]


# -- pictures --------------------------------------------------------------------------------------------------------


def test_a_picture(model: Pretender) -> None:
    boxes, said, rows = pictures.find(hostile.scene(), "own", 0.3, 0.7, 320)
    assert boxes.ndim == 3 and rows == [["square", 0.9, 12, 20, 52, 60]]
    assert "1 found" in said and "detections.json" in said and "detections.csv" in said
    assert pictures.find(None, "own", 0.3, 0.7, 320)[0] is None


def test_several_pictures_and_a_bad_one(model: Pretender, tmp_path: Path) -> None:
    Image.new("RGB", (90, 80)).save(tmp_path / "good.png")
    Image.new("RGB", (90, 80)).save(tmp_path / "<b>.png")
    files = [str(tmp_path / "good.png"), str(hostile.text_called_png(tmp_path)), str(tmp_path / "<b>.png")]
    gallery, lines = pictures.find_in_all(files, "own", 0.3, 0.7, 320)
    assert len(gallery) == 2 and "good.png: 1 square" in gallery[0][1]
    assert "not a picture" in lines and "&lt;b&gt;.png" in lines and "<b>.png" not in lines
    with pytest.raises(ImageError, match="at once"):
        pictures.find_in_all(files * 20, "own", 0.3, 0.7, 320)


def test_the_endpoint(model: Pretender) -> None:
    answer = pictures.detect_objects(hostile.scene(), "own")
    assert answer["counts"] == {"square": 1} and answer["boxes"][0]["class"] == "square"
    assert set(answer["speed_ms"]) == {"preprocess", "inference", "postprocess"}


def test_endpoints_for_pictures_and_videos(app_url: str, tmp_path: Path) -> None:
    """As another program calls them: a sheet of digits and a clip of it, then what cannot be used."""
    from tasks.tabs import detection_samples

    client = Client(app_url, verbose=False)
    sheet = tmp_path / "sheet.png"
    Image.fromarray(detection_samples.sheet_of_digits()).save(sheet)
    found = client.predict(handle_file(sheet), "digits", 0.4, 0.7, 416, api_name="/detect_objects")
    assert len(found["boxes"]) >= 10 and set(found["counts"]) <= set("0123456789")
    for clip, model in detection_samples.clip_of_digits():
        video, about = client.predict(handle_file(clip), model, 0.4, 0.7, 320, api_name="/detect_video")
    assert Path(video).suffix in (".mp4", ".webm") and about["frames"] == 60
    assert sum(about["unique"].values()) >= 10 and about["counts"]
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(AppError, match="not a video"):
        client.predict(handle_file(tmp_path / "text.mp4"), "digits", 0.4, 0.7, 320, api_name="/detect_video")
    with pytest.raises(AppError, match="no detector"):
        client.predict(handle_file(sheet), "yolo99", 0.4, 0.7, 320, api_name="/detect_objects")


def test_the_usual_size_is_the_cards() -> None:
    assert pictures.usual_size("digits") == weights.read_card("detector").preprocess["size"]
    assert pictures.usual_size("yolo11n") == 640


def test_csv_defuses_formulas() -> None:
    text = pictures.to_csv([{"picture": "=1+1.png", "class": "dog"}], ("picture", "class"))
    assert text.splitlines() == ["picture,class", "'=1+1.png,dog"]


# -- side by side ----------------------------------------------------------------------------------------------------


def test_the_same_picture_through_several(model: Pretender, monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks import detection_torchvision
    from tasks.tabs import detection_compare as tab
    from tasks.weights import WeightsError

    assert list(tab.OTHERS) == list(detection_torchvision.ARCHITECTURES)
    assert [t.partition(",")[0] for t in tab.OTHERS.values()] == [
        a.title for a in detection_torchvision.ARCHITECTURES.values()
    ]

    def no_network(name: str, progress: object) -> None:
        raise WeightsError("no network here")

    monkeypatch.setattr(detectors, "other", no_network)
    monkeypatch.setattr(Pretender, "detect", lambda self, rgb, confidence: self.detect_array(rgb, confidence), False)
    *_, (gallery, table) = tab.compare(hostile.scene(), ["own", "ssd300_vgg16"], 0.4)
    assert len(gallery) == 1 and "1 square" in table and "no network here" in table
    for picture, names in ((None, ["own"]), (hostile.scene(), [])):
        with pytest.raises(ImageError):
            list(tab.compare(picture, names, 0.4))
