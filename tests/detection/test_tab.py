"""The detection tab as the page calls it: frames of cameras, images, video files, and what comes
of bad ones.
"""

import base64
import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from tasks import loaders
from tasks.core import scheduling, weights
from tasks.core.images import ImageError
from tasks.detection.detector import Detections
from tasks.detection.tab import images, live
from tasks.detection.tracker import TRACKING_FLOOR
from tasks.ui.live_camera import JPEG, MAX_FRAME
from tests import hostile
from tests.core.test_scheduling import wait_for_queue

SOON = 60  # s: far longer than anything here takes
ANNE, BERT = "a" * 32, "b" * 32


class Pretender:
    """A detector that finds one square that moves with the number of calls, and says what it was
    asked.
    """

    name, class_names, needs_nms, sizes, default_size, card = (
        "own",
        ("square", "circle"),
        True,
        (320, 416),
        416,
        None,
    )

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.frames = threading.Semaphore(10**6)  # that it may still compute

    class engine:
        title = "pretended"

    def check(self, confidence: float, iou: float, classes: Any, size: int | None) -> int:
        if not isinstance(confidence, float | int) or not 0 <= confidence <= 1:
            raise ImageError(f"confidence lies between 0 and 1; {confidence!r} came.")
        return size or self.default_size

    def detect_array(
        self,
        rgb: np.ndarray,
        confidence: float = 0.25,
        iou: float = 0.7,
        classes: Any = None,
        size: int | None = None,
    ) -> Detections:
        self.check(confidence, iou, classes, size)
        self.asked.append((rgb.shape, confidence, iou, classes, size))
        assert self.frames.acquire(timeout=SOON)
        x = 10.0 + 2 * len(self.asked)
        box = np.array([[x, 20, x + 40, 60]], np.float32)
        speed = {"preprocess": 1.0, "inference": 2.0, "postprocess": 3.0}
        return Detections(
            box, np.array([0.9], np.float32), np.array([0]), self.class_names, speed_ms=speed
        )


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Pretender:
    pretender = Pretender()
    monkeypatch.setattr(loaders, "detector", lambda name: pretender)
    monkeypatch.setattr(loaders, "has_detector", lambda name: True)
    monkeypatch.setattr(live, "VISITORS", live.Visitors())
    monkeypatch.setattr(scheduling, "CORES", scheduling.Cores(at_once=1))
    return pretender


def jpeg(width: int = 160, height: int = 120) -> str:
    buffer = BytesIO()
    Image.new("RGB", (width, height), "white").save(buffer, "JPEG")
    return JPEG + base64.b64encode(buffer.getvalue()).decode()


NUMBERS = itertools.count()


def request(**changes: Any) -> dict[str, Any]:
    asked = {
        "jpeg": jpeg(),
        "visitor": ANNE,
        "frame": next(NUMBERS),
        "model": "own",
        "size": 320,
        "confidence": 0.4,
        "iou": 0.6,
        "classes": None,
        "track": False,
    }
    return asked | changes


# -- frames of a camera ----------------------------------------------------------------------------


def test_a_frame_comes_back_as_boxes(model: Pretender) -> None:
    answer = live.detect_frame(request())
    assert answer["boxes"] == [pytest.approx([12 / 160, 20 / 120, 52 / 160, 60 / 120], abs=1e-3)]
    assert (
        answer["kind"] == [0]
        and answer["confidence"] == [0.9]
        and answer["track"] is None
        and answer["ms"] > 0
    )
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


def test_a_line_on_the_stage_counts(model: Pretender) -> None:
    """The square moves 2 px a frame to the right; the line is at x = 50 of 160 px."""
    line = {"shape": "line", "points": [[50 / 160, 0], [50 / 160, 1]]}
    events = []
    for _ in range(20):
        answer = live.detect_frame(request(track=True, zones=[line]))
        events += answer["events"]
    assert answer["zones"] == [{"zone": "line 1", "in": 1, "out": 0}]
    assert [(e["event"], e["track"], e["class"]) for e in events] == [("in", 1, "square")]
    assert answer["tracks"] == [(0, 1)] or answer["tracks"] == []  # frames come within 0.2 s
    fresh = live.detect_frame(request(track=True, zones=[line, line]))
    assert [zone["in"] for zone in fresh["zones"]] == [0, 0]  # other zones begin anew
    assert live.detect_frame(request(track=True))["zones"] is None
    assert "error" in live.detect_frame(request(track=True, zones=[{"shape": "line"}]))


def test_visitors_are_forgotten(model: Pretender, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(live.MAX_VISITORS + 20):
        live.VISITORS.of(f"{n:032x}", "own")
    assert len(live.VISITORS) == live.MAX_VISITORS
    now = time.monotonic()
    monkeypatch.setattr(live.time, "monotonic", lambda: now + live.GONE_S + 1)
    live.VISITORS.of(ANNE, "own")
    assert len(live.VISITORS) == 1


def test_busy_comes_at_once(model: Pretender) -> None:
    model.frames = threading.Semaphore(0)
    with ThreadPoolExecutor(2) as pool:
        worked = pool.submit(live.detect_frame, request())
        while not model.asked:  # until it is being computed
            with scheduling.CORES._changed:
                scheduling.CORES._changed.wait(0.01)
        waited = pool.submit(live.detect_frame, request())
        wait_for_queue(scheduling.CORES, 1)
        # refused, although none is done
        assert live.detect_frame(request()) == live.detect_frame(request()) == {"busy": True}
        assert not worked.done() and not waited.done()
        model.frames.release(2)
        assert "boxes" in worked.result(SOON) and "boxes" in waited.result(SOON)


def test_eight_cameras_share_fairly(model: Pretender) -> None:
    done, together = dict.fromkeys(range(8), 0), threading.Barrier(8)

    def camera(n: int) -> None:
        together.wait(SOON)
        while sum(done.values()) < 400:
            answer = live.detect_frame(request(visitor=f"{n:032x}", track=True))
            done[n] += "boxes" in answer

    with ThreadPoolExecutor(8) as pool:
        for camera_done in [pool.submit(camera, n) for n in done]:
            camera_done.result(SOON)
    assert min(done.values()) >= 0.7 * max(done.values()) > 0


def test_a_frame_for_a_network_that_is_being_loaded_is_refused_at_once(
    model: Pretender, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads, let = scheduling.Loads(wait_s=0), threading.Event()
    monkeypatch.setattr(scheduling, "LOADS", loads)
    monkeypatch.setattr(loaders, "has_detector", lambda name: let.is_set())
    monkeypatch.setattr(loaders, "detector", lambda name: let.wait(SOON) and model)
    assert live.detect_frame(request()) == live.detect_frame(request()) == {"busy": True}
    let.set()
    assert "boxes" in live.detect_frame(request())


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
    while (answer := live.prepare_detector(name)) == {"loading": True}:  # type: ignore[arg-type]
        pass
    assert "There is no detector" in answer["error"]


# -- images --------------------------------------------------------------------------------------


def test_a_picture(model: Pretender) -> None:
    boxes, said, rows = images.detect(hostile.scene(), "own", 0.3, 0.7, 320)
    assert boxes.ndim == 3 and rows == [["square", 0.9, 12, 20, 52, 60]]
    assert "1 found" in said and "detections.json" in said and "detections.csv" in said
    assert images.detect(None, "own", 0.3, 0.7, 320)[0] is None


def test_several_pictures_and_a_bad_one(model: Pretender, tmp_path: Path) -> None:
    Image.new("RGB", (90, 80)).save(tmp_path / "good.png")
    Image.new("RGB", (90, 80)).save(tmp_path / "<b>.png")
    files = [
        str(tmp_path / "good.png"),
        str(hostile.text_called_png(tmp_path)),
        str(tmp_path / "<b>.png"),
    ]
    gallery, lines = images.detect_in_all(files, "own", 0.3, 0.7, 320)
    assert len(gallery) == 2 and "good.png: 1 square" in gallery[0][1]
    assert "not an image" in lines and "&lt;b&gt;.png" in lines and "<b>.png" not in lines
    with pytest.raises(ImageError, match="at once"):
        images.detect_in_all(files * 20, "own", 0.3, 0.7, 320)


def test_the_endpoint(model: Pretender) -> None:
    answer = images.detect_objects(hostile.scene(), "own")
    assert answer["counts"] == {"square": 1} and answer["boxes"][0]["class"] == "square"
    assert set(answer["speed_ms"]) == {"preprocess", "inference", "postprocess"}


def test_endpoints_for_pictures_and_videos(app_url: str, tmp_path: Path) -> None:
    """As a program calls them: a sheet of digits, a clip of it, then unusable files."""
    from tasks.detection.tab import examples

    client = Client(app_url, verbose=False)
    sheet = tmp_path / "sheet.png"
    Image.fromarray(examples.sheet_of_digits()).save(sheet)
    found = client.predict(handle_file(sheet), "digits", 0.4, 0.7, 416, api_name="/detect_objects")
    assert len(found["boxes"]) >= 10 and set(found["counts"]) <= set("0123456789")
    for clip, model in examples.clip_of_digits():
        video, about = client.predict(
            handle_file(clip), model, 0.4, 0.7, 320, api_name="/detect_video"
        )
    assert Path(video).suffix in (".mp4", ".webm") and about["frames"] == 60
    assert sum(about["tracks"].values()) >= 10 and about["counts"]
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(AppError, match="not a video"):
        client.predict(
            handle_file(tmp_path / "text.mp4"), "digits", 0.4, 0.7, 320, api_name="/detect_video"
        )
    with pytest.raises(AppError, match="no detector"):
        client.predict(handle_file(sheet), "yolo99", 0.4, 0.7, 320, api_name="/detect_objects")


def test_the_training_size_is_the_cards() -> None:
    assert images.training_size("digits") == weights.read_card("detector").preprocess["size"]
    assert images.training_size("yolo11n") == 640


def test_csv_defuses_formulas() -> None:
    text = images.to_csv([{"picture": "=1+1.png", "class": "dog"}], ("picture", "class"))
    assert text.splitlines() == ["picture,class", "'=1+1.png,dog"]


# -- side by side ----------------------------------------------------------------------------------


def test_the_same_picture_through_several(
    model: Pretender, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.core.weights import WeightsError
    from tasks.detection.tab import compare

    def no_network(name: str, progress: object) -> None:
        raise WeightsError("no network here")

    monkeypatch.setattr(loaders, "torchvision_detector", no_network)
    monkeypatch.setattr(Pretender, "detect", Pretender.detect_array, False)
    *_, (gallery, table) = compare.compare(hostile.scene(), ["own", "ssd300_vgg16"], 0.4)
    assert len(gallery) == 1 and "1 square" in table and "no network here" in table
    for image, names in ((None, ["own"]), (hostile.scene(), [])):
        with pytest.raises(ImageError):
            list(compare.compare(image, names, 0.4))
