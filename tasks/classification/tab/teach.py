"""Teach it: classes that a visitor shows to the camera or drops as images, recognised at once.

The widget (ui/live_camera.* with teach.*) keeps the images in the page. The server computes
1280 features of each, keeps these for the session, and forgets the image. A page whose lesson was
forgotten (a restart, a long pause) sends its images again by itself.
"""

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np
from PIL import Image

from tasks import loaders
from tasks.classification.tab.teach_example import EXAMPLE
from tasks.core import scheduling
from tasks.core.device import stopwatch
from tasks.core.images import ImageError, ImageLike
from tasks.core.palettes import CLASS_COLOURS
from tasks.ui.errors import report_errors, return_errors
from tasks.ui.image_input import image_input
from tasks.ui.live_camera import decode_frame, live_camera, parse_visitor
from tasks.ui.page.figures import flow
from tasks.ui.page.lead import lead
from tasks.ui.widget import data_url, decode_base64, encode_base64

if TYPE_CHECKING:
    from tasks.classification.teachable import Report, TeachableClassifier

KEPT_S = 1800  # s after its last call that a lesson is kept
MAX_LESSONS = 32
MAX_FRAMES = 16_000  # of all lessons together; each takes 10 KB
AT_ONCE = 4  # frames of one call
LEAD = lead(
    "Show the camera two or more things; a network learns to tell them apart.",
    "EfficientNet-Lite0, trained on ImageNet, turns each image into 1280 features and is not "
    "changed. A linear layer on them is fitted to your images, in a second: transfer learning.",
    flow("image:your images", "narrow:the network", "code:1280 features", "bars:your classes"),
)


@dataclass
class Lesson:
    """What is kept of one open page."""

    taught: "TeachableClassifier"
    seen: float  # s, monotonic
    loaded: "TeachableClassifier | None" = None  # from a file, in use until the next fit
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def in_use(self) -> "TeachableClassifier":
        if self.loaded is None and self.taught.head is None:
            return EXAMPLE().classifier
        return self.taught if self.loaded is None else self.loaded


class Lessons:
    """One a page; those unused for longest are forgotten."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._all: OrderedDict[str, Lesson] = OrderedDict()
        self._lock = threading.Lock()
        self._clock = clock

    def __len__(self) -> int:
        return len(self._all)

    def of(self, request: Any) -> tuple[str, Lesson]:
        """The page's token and its lesson. Raises ImageError."""
        token, now = parse_visitor(request), self._clock()
        with self._lock:
            lesson = self._all.pop(token, None) or Lesson(_new(), now)
            lesson.seen = now
            self._all[token] = lesson
            while len(self._all) > 1 and self._is_too_much(now):
                self._all.popitem(last=False)
        return token, lesson

    def _is_too_much(self, now: float) -> bool:
        lessons = list(self._all.values())
        return (
            len(lessons) > MAX_LESSONS
            or now - lessons[0].seen > KEPT_S
            or sum(len(lesson.taught) for lesson in lessons) > MAX_FRAMES
        )


def _new() -> "TeachableClassifier":
    from tasks.classification.teachable import TeachableClassifier

    return TeachableClassifier(loaders.photo_classifier())


LESSONS = Lessons()


def _of(request: Any) -> tuple[str, Lesson] | None:
    """As `Lessons.of`; None where the page's frames are no longer here."""
    token, lesson = LESSONS.of(request)
    return (token, lesson) if len(lesson.taught) == request.get("have", 0) else None


FORGOTTEN = {"forgotten": True}
BUSY = {"busy": True}


@return_errors
def prepare_teaching(_: Any = None) -> dict[str, Any]:
    """The example, as the page shows it, or {"loading": True} at once, or {"error"}."""
    return scheduling.LOADS.poll(("teach",), load_example) or {"loading": True}


def load_example(_: object = None) -> dict[str, Any]:
    """The example taught, its report, and the images that are shown with their answers."""
    with scheduling.CORES.step():
        example = EXAMPLE()
    shown = []
    for label, jpeg in example.shown:
        answer = _answer(example.classifier, decode_frame(jpeg))
        shown.append({"label": label, "jpeg": jpeg, "answer": answer})
    frames = [{"label": c, "number": n, "jpeg": jpeg} for c, n, jpeg in example.frames]
    report = _report_to_json(example.classifier, example.report)
    return {"frames": frames, "report": report, "shown": shown}


@return_errors
def teach_frames(request: dict[str, Any]) -> dict[str, Any]:
    """Images of one class.

    Args:
        request: "visitor", "have" (frames taught before), "label", "jpegs" (data URLs, 4 at most).
    Returns:
        {"numbers": one each}, {"busy"}, {"forgotten": True} where the lesson is not here any more,
        or {"error"}: nothing of this call was taught.
    """
    found = _of(request)
    if found is None:
        token, lesson = LESSONS.of(request)
        with lesson.lock:
            lesson.taught.remove(lesson.taught.numbers)
        return FORGOTTEN
    token, lesson = found
    jpegs = request.get("jpegs")
    if not isinstance(jpegs, list) or not 1 <= len(jpegs) <= AT_ONCE:
        raise ImageError(f"1 to {AT_ONCE} frames are needed in one call.")
    numbers: list[int] = []
    try:
        with scheduling.CORES.frame(token), lesson.lock:
            frames = [decode_frame(jpeg) for jpeg in jpegs]
            try:
                for frame in frames:
                    numbers.append(lesson.taught.add(request.get("label", ""), frame))
            except ImageError:
                lesson.taught.remove(numbers)
                raise
    except scheduling.BusyError:
        return BUSY
    return {"numbers": numbers}


@return_errors
def remove_frames(request: dict[str, Any]) -> dict[str, Any]:
    """Forget the frames in "numbers": {"have": frames left} or {"error"}."""
    _, lesson = LESSONS.of(request)
    numbers = request.get("numbers")
    if not isinstance(numbers, list) or not all(type(n) is int for n in numbers):
        raise ImageError("The numbers of the frames to remove are needed as a list.")
    with lesson.lock:
        lesson.taught.remove(numbers)
    return {"have": len(lesson.taught)}


@return_errors
def rename_class(request: dict[str, Any]) -> dict[str, Any]:
    """Call the class "old" "new": {"name"} or {"error"}."""
    _, lesson = LESSONS.of(request)
    with lesson.lock:
        lesson.taught.rename(str(request.get("old")), request.get("new", ""))
    return {"name": str(request.get("new")).strip()}


@return_errors
def fit_lesson(request: dict[str, Any]) -> dict[str, Any]:
    """Fit the head on all frames.

    Args:
        request: "visitor", "have", "classes" (names in their order).
    Returns:
        the report, {"busy"}, {"forgotten"} or {"error"}; the classifier before then goes on.
    """
    found = _of(request)
    if found is None:
        return FORGOTTEN
    _, lesson = found
    classes = request.get("classes")
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise ImageError("The names of the classes are needed as a list.")
    try:
        with scheduling.CORES.step(patient=False), lesson.lock, stopwatch() as ms:
            report = lesson.taught.fit(classes)
            lesson.loaded = None
    except scheduling.BusyError:
        return BUSY
    return _report_to_json(lesson.taught, report) | {"ms": round(ms(), 1)}


@return_errors
def predict_frame(request: dict[str, Any]) -> dict[str, Any]:
    """One image, by what was taught, or loaded, or else by the example.

    Args:
        request: "visitor", "have", "jpeg" (data URL).
    Returns:
        {"probabilities": [[class, p], ...] in the classes' order, "nearest": [[number, cosine
        similarity], ...], "place": [x, y], "ms"}, {"busy"}, {"forgotten"} or {"error"}.
    """
    found = _of(request)
    if found is None:
        return FORGOTTEN
    token, lesson = found
    try:
        with scheduling.CORES.frame(token):
            return _answer(lesson.in_use, decode_frame(request.get("jpeg")))
    except scheduling.BusyError:
        return BUSY


def _answer(classifier: "TeachableClassifier", rgb: np.ndarray) -> dict[str, Any]:
    with stopwatch() as ms:
        features = classifier.features(rgb)
        probabilities = classifier.probabilities(features)
        nearest = classifier.nearest(features)
    return {
        "probabilities": [
            [name, round(float(p), 4)]
            for name, p in zip(classifier.classes, probabilities, strict=True)
        ],
        "nearest": [[number, round(similarity, 3)] for number, similarity in nearest],
        "place": [round(v, 3) for v in classifier.place(features)],
        "ms": round(ms(), 2),
    }


@return_errors
def explain_frame(request: dict[str, Any]) -> dict[str, Any]:
    """Grad-CAM of the class "label" over the image "jpeg": {"image": data URL} or {"error"}."""
    from tasks.classification import heatmap

    found = _of(request)
    if found is None:
        return FORGOTTEN
    token, lesson = found
    try:
        with scheduling.CORES.frame(token + "-cam"):
            rgb, classifier = decode_frame(request.get("jpeg")), lesson.in_use
            cam = classifier.grad_cam(rgb, str(request.get("label")))
            view = Image.fromarray(classifier.backbone.network_view(rgb)).resize((240, 240))
    except scheduling.BusyError:
        return BUSY
    buffer = BytesIO()
    Image.fromarray(heatmap.overlay(np.asarray(view), cam)).save(buffer, "JPEG", quality=85)
    return {"image": data_url(buffer.getvalue(), "image/jpeg")}


@return_errors
def save_lesson(request: dict[str, Any]) -> dict[str, Any]:
    """What was taught, or the example, as {"file": base64 of a safetensors file}, or {"error"}."""
    _, lesson = LESSONS.of(request)
    with lesson.lock:
        return {"file": encode_base64(lesson.in_use.to_bytes())}


@return_errors
def export_lesson(request: dict[str, Any]) -> dict[str, Any]:
    """The same as {"file": base64 of an ONNX file}, {"loading": True} at once, or {"error"}."""
    token, lesson = LESSONS.of(request)

    def export(_: object) -> dict[str, Any]:
        with scheduling.CORES.step(), lesson.lock:
            return {"file": encode_base64(lesson.in_use.to_onnx())}

    return scheduling.LOADS.poll(("onnx", token), export) or {"loading": True}


@return_errors
def load_lesson(request: dict[str, Any]) -> dict[str, Any]:
    """Use a saved classifier, "file" in base64, until the next fit.

    Returns {"classes", "counts", "accuracy"} or {"error"}: what is taught stays in use.
    """
    from tasks.classification.teachable import TeachableClassifier

    _, lesson = LESSONS.of(request)
    loaded = TeachableClassifier.load(
        decode_base64(request.get("file")), loaders.photo_classifier()
    )
    with lesson.lock:
        lesson.loaded = loaded
    return {"classes": loaded.classes, "counts": loaded.counts, "accuracy": loaded.accuracy}


def _report_to_json(classifier: "TeachableClassifier", report: "Report") -> dict[str, Any]:
    places = classifier.places()
    return {
        "classes": report.classes,
        "counts": report.counts,
        "accuracy": report.accuracy,
        "confusion": None if report.confusion is None else report.confusion.tolist(),
        "doubtful": report.doubtful,
        "same": report.same,
        "notes": report.notes,
        "places": [[number, round(x, 3), round(y, 3)] for number, (x, y) in places.items()],
    }


def classify_taught(picture: ImageLike, classifier: str | None) -> dict[str, float]:
    """Classify an image by a classifier that was taught in the page and saved there.

    Args:
        picture: PNG, JPEG, WebP, GIF, BMP, TIFF, HEIC or AVIF; its central square is classified.
        classifier: the .safetensors file that "Save" gives.
    Returns:
        {class: probability}, best first.
    """
    from tasks.classification.teachable import TeachableClassifier

    if classifier is None:
        raise ImageError("A classifier is needed: the .safetensors file that Teach it saves.")
    taught = TeachableClassifier.load(classifier, loaders.photo_classifier())
    with scheduling.CORES.step():
        return {k: round(p, 6) for k, p in taught.classify(picture).items()}


def build_teach() -> None:
    gr.HTML(LEAD)
    live_camera(
        "teach",
        Path(__file__).parent,
        "The square that the network gets",
        "answers",
        [
            prepare_teaching,
            teach_frames,
            remove_frames,
            rename_class,
            fit_lesson,
            predict_frame,
            explain_frame,
            save_lesson,
            export_lesson,
            load_lesson,
        ],
        stem="teach",
        palette=escape(json.dumps(CLASS_COLOURS), quote=True),
    )
    sent = image_input(visible=False, label="picture")
    file = gr.File(visible=False, label="classifier")
    gr.Button(visible=False).click(
        report_errors(classify_taught),
        [sent, file],
        gr.JSON(visible=False, label="probabilities"),
        api_name="classify_taught",
        api_description=classify_taught.__doc__,
    )
