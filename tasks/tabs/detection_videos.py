"""Detection on a video file: progress with the time left, Stop that keeps what is done, a result that plays here."""

import tempfile
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import gradio as gr

from tasks.images import ImageError
from tasks.tabs import detection_samples, detectors, video_progress
from tasks.tabs.detection_pictures import settings_row
from tasks.tabs.errors import answering, answering_steps, sentence

if TYPE_CHECKING:
    from tasks.detection import Detector
    from tasks.detection_video import Progress

HINT = (
    "<p class='lab-lead'>MP4, MOV, WebM, MKV, AVI or GIF, at most 50 MB; of longer clips the first minute is used, of "
    "larger ones 1280 px. Objects are followed: each keeps its number.</p>"
)
SHOW_EVERY = 0.4  # s between two steps of the progress bar
MAX_STOPS = 256  # visitors whose Stop is known
Step = tuple[Any, Any, Any, Any]

_stops: "OrderedDict[str, threading.Event]" = OrderedDict()


def stop_of(session: str) -> threading.Event:
    """The event that this visitor's Stop sets."""
    event = _stops.setdefault(session, threading.Event())
    _stops.move_to_end(session)
    while len(_stops) > MAX_STOPS:
        _stops.popitem(last=False)
    return event


def stop(request: gr.Request) -> None:
    stop_of(str(request.session_hash)).set()


def prepare(path: str | None, name: str) -> Any:
    """Load the chosen network, with its download if need be; say if the IoU slider acts. Raises WeightsError."""
    if path is None:
        raise ImageError("No video came. Upload one first.")
    return gr.update(visible=detectors.detector(name).needs_nms)


def find_in_video(
    path: str | None, name: str, confidence: float, iou: float, size: int, request: gr.Request
) -> Iterator[Step]:
    """(progress as HTML, video with boxes, counts over time, table of all boxes), step by step."""
    event = stop_of(str(request.session_hash))
    event.clear()
    model, job = detectors.detector(name), uuid4().hex
    size = size if size in model.sizes else model.default_size
    untouched = gr.skip(), gr.skip(), gr.skip()
    yield "<p class='lab-lead'>Opening the video…</p>", *untouched
    try:
        yield from _steps(path, model, job, confidence, iou, size, event)
    except ImageError as error:  # what was there before stays
        yield f"<p class='lab-trouble' role='alert'>{escape(sentence(error))}</p>", *untouched


def _steps(
    path: str | None, model: "Detector", job: str, confidence: float, iou: float, size: int, stopped: threading.Event
) -> Iterator[Step]:
    from tasks.detection_video import detect_in_video

    shown = 0.0
    with tempfile.TemporaryDirectory(prefix="image-lab-") as folder:  # gradio copies what is shown into its own cache
        for progress in detect_in_video(
            path, model, Path(folder), confidence=confidence, iou=iou, size=size,
            turn=lambda: detectors.TURNS.turn(job, patient=True), stopped=stopped.is_set,
        ):  # fmt: skip
            if progress.table is not None:
                video = str(progress.video) if progress.video else None
                colours = colours_of(progress, model.class_names)
                yield progress_html(progress, colours), video, counts_plot(progress, colours), str(progress.table)
            elif time.monotonic() - shown > SHOW_EVERY:
                old = gr.skip() if shown else None  # the results of the video before go when this one is under way
                shown = time.monotonic()
                yield progress_html(progress), old, old, old


def detect_video(
    video: str | None, model: str, confidence: float = 0.25, iou: float = 0.7, size: int | None = None
) -> Iterator[tuple[str | None, dict[str, Any]]]:
    """Find and follow objects in a video file.

    Args:
        video: MP4, MOV, WebM, MKV, AVI or GIF, at most 50 MB; its first minute is used.
        model: "digits", or, downloaded on first use, "yolo11n", "yolo11s", "yolo11m", "yolo26n", "yolo26s", "yolo26m".
        confidence: 0 to 1; boxes of which the network is less sure are left out.
        iou: 0 to 1; of two boxes of a class that overlap more than this the surer stays. YOLO26 needs none.
        size: px of the longer side that the network sees, 320, 416 or 640; none or another: as it was trained.
    Returns:
        The video with boxes and numbers (MP4 or WebM), and {"frames", "unique": objects of each class, "counts":
        class -> [[second, objects at once], ...], "note": what was left out, if anything}.
    """
    from tasks.detection_video import detect_in_video

    if video is None:
        raise ImageError("No video came. Send one first.")
    network, job = detectors.detector(model), uuid4().hex
    with tempfile.TemporaryDirectory(prefix="image-lab-") as folder:
        steps = detect_in_video(
            video, network, Path(folder), confidence=confidence, iou=iou, size=size if size in network.sizes else None,
            turn=lambda: detectors.TURNS.turn(job, patient=True),
        )  # fmt: skip
        progress = deque(steps, maxlen=1).pop()
        unique = {kind: len(tracks) for kind, tracks in progress.unique.items()}
        about = {"frames": progress.frames, "unique": unique, "counts": progress.counts, "note": progress.note}
        yield (
            str(progress.video) if progress.video else None,
            about,
        )  # copied into gradio's cache before the folder goes


def colours_of(progress: "Progress", class_names: Sequence[str]) -> dict[str, str]:
    """Class -> the colour of its boxes, for what was found."""
    from tasks import annotate

    return {kind: "#" + bytes(annotate.colour_of(class_names.index(kind))).hex() for kind in progress.counts}


def progress_html(progress: "Progress", colours: Mapping[str, str] = MappingProxyType({})) -> str:
    """A bar with the time left; once done what was counted, with the colours that the plot has."""
    if progress.table is None:
        return video_progress.bar_html(progress)
    swatch = {kind: f"<i class='lab-swatch' style='background:{colour}'></i>" for kind, colour in colours.items()}
    rows = "".join(
        f"<tr><td>{swatch.get(kind, '')}{escape(kind)}</td><td class='num'>{max(n for _, n in series)}</td>"
        f"<td class='num'>{len(progress.unique.get(kind, ()))}</td></tr>"
        for kind, series in sorted(progress.counts.items(), key=lambda item: -len(progress.unique.get(item[0], ())))
    )
    head = "<thead><tr><th>class</th><th>most at once</th><th>unique</th></tr></thead>"
    table = f"<table>{head}<tbody>{rows}</tbody></table>" if rows else "<p>Nothing was found.</p>"
    return video_progress.done_html(progress, table)


def counts_plot(progress: "Progress", colours: dict[str, str]) -> Any:
    """Objects in the picture over time, a line per class."""
    import pandas as pd

    rows = [(second, n, kind) for kind, series in progress.counts.items() for second, n in series]
    return gr.update(value=pd.DataFrame(rows, columns=["second", "count", "class"]), color_map=colours)


def build_videos() -> None:
    settings = settings_row()
    with gr.Row():
        with gr.Column(min_width=300):
            video = gr.Video(sources=["upload"], label="A video", height=320, elem_id="detect-video")
            detection_samples.offer_clips(video, settings[0])
            with gr.Row():
                start = gr.Button("Find objects", variant="primary", elem_id="detect-video-start")
                halt = gr.Button("Stop, keep what is done", elem_id="detect-video-stop")
            said = gr.HTML(HINT, elem_id="detect-video-said")
        with gr.Column(min_width=300):
            boxes = gr.Video(
                label="With boxes and numbers", interactive=False, height=320, elem_id="detect-video-boxes"
            )
            table = gr.File(label="All boxes (CSV)", interactive=False)
    plot = gr.LinePlot(x="second", y="count", color="class", colors_in_legend=[], y_lim=[0, None], x_title="seconds",
                       y_title="at once", label="Counts over time", height=300,
                       elem_id="detect-video-plot")  # fmt: skip
    prepared = start.click(answering(prepare), [video, settings[0]], settings[2], show_progress_on=said,
                           concurrency_id="downloads", api_visibility="private")  # fmt: skip
    prepared.success(
        answering_steps(find_in_video), [video, *settings], [said, boxes, plot, table], show_progress="hidden",
        concurrency_id="videos", concurrency_limit=2, api_visibility="private",
    )  # fmt: skip
    halt.click(stop, None, None, queue=False, show_progress="hidden", api_visibility="private")
    _api()


def _api() -> None:
    """The public endpoint, /detect_video, on hidden components of its own."""
    offered = detectors.choices()
    sent = gr.File(visible=False, label="video")
    name = gr.Textbox(str(offered[0]["name"]), label="model", visible=False)
    confidence = gr.Number(0.25, label="confidence", visible=False)
    iou = gr.Number(0.7, label="iou", visible=False)
    size = gr.Number(None, precision=0, label="size", visible=False)
    outputs = [gr.File(visible=False, label="boxes"), gr.JSON(visible=False, label="found")]
    gr.Button(visible=False).click(
        answering_steps(detect_video), [sent, name, confidence, iou, size], outputs, api_name="detect_video",
        api_description=detect_video.__doc__, concurrency_id="videos", concurrency_limit=2,
    )  # fmt: skip
