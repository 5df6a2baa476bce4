"""Detection on a video file: progress, Stop that keeps what is done, a playable result."""

import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import gradio as gr

from tasks import loaders, models
from tasks.core.images import ImageError
from tasks.core.palettes import CLASS_COLOURS
from tasks.detection.tab import examples, images
from tasks.detection.tab.images import recorded, settings_row
from tasks.ui import video_progress
from tasks.ui.charts import Axis, Point, Series, chart
from tasks.ui.endpoint import endpoint, number
from tasks.ui.errors import describe_error, report_errors, report_errors_in_steps
from tasks.ui.jobs import JOBS
from tasks.ui.video_progress import Step, follow_video, stop, stop_event
from tasks.ui.widget import data_url, widget

if TYPE_CHECKING:
    from tasks.detection.detector import Detector
    from tasks.detection.video import Progress
    from tasks.detection.zones import Zone

HINT = (
    "<p class='lab-lead'>MP4, MOV, WebM, MKV, AVI or GIF, at most 50 MB; of longer clips the "
    "first minute is used, of larger ones 1280 px. Objects are tracked: each keeps its "
    "number.</p>"
)


async def prepare(path: str | None, name: str) -> Any:
    """Load the chosen network; hide the IoU slider where it has no effect.

    Raises WeightsError, BusyError; ImageError: no video.
    """
    if path is None:
        raise ImageError("No video came. Upload one first.")
    return await images.prepare(path, name)


def detect_file(
    path: str | None,
    name: str,
    confidence: float,
    iou: float,
    size: int,
    drawn: Any,
    request: gr.Request,
) -> Iterator[Step]:
    """(progress as HTML, video with boxes, counts over time, files), step by step.

    Args:
        drawn: value of the widget: {"zones": as `parse_zones` takes them}, or None.
    """
    event = stop_event(str(request.session_hash))
    event.clear()
    model = loaders.detector(name)
    size = size if size in model.sizes else model.default_size
    try:
        regions = parse_zones(drawn.get("zones") if isinstance(drawn, dict) else None)
        yield from _steps(path, model, confidence, iou, size, regions, event)
    except ImageError as error:  # earlier results stay
        said = f"<p class='lab-trouble' role='alert'>{escape(describe_error(error))}</p>"
        yield said, gr.skip(), gr.skip(), gr.skip()


def parse_zones(value: object) -> Sequence["Zone"]:
    from tasks.detection import zones  # imports OpenCV

    return zones.parse_zones(value)


def _steps(
    path: str | None,
    model: "Detector",
    confidence: float,
    iou: float,
    size: int,
    regions: Sequence["Zone"],
    stopped: threading.Event,
) -> Iterator[Step]:
    from tasks.detection.video import detect_in_video

    def results(done: "Progress") -> Step:
        colours = colours_of(done, model.class_names)
        video = str(done.video) if done.video else None
        files = [str(file) for file in done.files]
        return progress_html(done, colours), video, counts_chart(done, colours), files

    # gradio copies the files into its cache before the folder is deleted; where the page is closed,
    # the job may still write one frame
    with tempfile.TemporaryDirectory(prefix="image-lab-", ignore_cleanup_errors=True) as folder:
        source = detect_in_video(
            path,
            model,
            Path(folder),
            confidence=confidence,
            iou=iou,
            size=size,
            regions=regions,
            stopped=stopped.is_set,
        )
        yield from follow_video(source, stopped, progress_html, results)


def detect_video(
    video: str | None,
    model: str,
    confidence: float = 0.25,
    iou: float = 0.7,
    size: int | None = None,
    zones: list[Any] | None = None,
) -> Iterator[tuple[str | None, dict[str, Any]]]:
    """Detect and track objects in a video file; count at lines and in areas.

    Args:
        video: MP4, MOV, WebM, MKV, AVI, GIF, animated WebP or PNG, at most 50 MB; its first
            minute is used, at most 1280 px of it.
        model: "everyday" (COCO's classes, bundled) or "digits" (bundled), or, downloaded on first
            use, "yolo11n", "yolo11s", "yolo11m", "yolo26n", "yolo26s" or "yolo26m"; "own" where
            the server names weights in IMAGE_LAB_YOLO, and then the default.
        confidence: least confidence of a box, 0 to 1.
        iou: IoU threshold of non-maximum suppression, 0 to 1; YOLO26 needs none.
        size: px of the longer side of the network's input, 320, 416 or 640; none or another: as
            it was trained.
        zones: list of {"shape": "line" or "area", "points": [[x, y], ...]}, at most 8, in shares
            of the frame's sides; a line has two points, an area three to 24.
    Returns:
        The video with boxes and numbers (MP4, or WebM where H.264 cannot be written), and
        {"frames", "tracks", "counts", "note", "zones", "events"}: "tracks" of each class, those
        seen in several frames (who leaves and returns may get two), "counts" as class ->
        [[second, objects at once], ...], what was left out, "in" and "out" of each line, "now",
        "visits", "mean_s" and "longest_s" of each area, and a row for each crossing, entry and
        leaving. Who crosses a line drawn downwards from left to right goes "in".
    """
    from tasks.detection.video import detect_in_video

    if video is None:
        raise ImageError("No video came. Send one first.")
    regions = parse_zones(zones)
    network = loaders.detector(model)
    with tempfile.TemporaryDirectory(prefix="image-lab-") as folder:
        steps = detect_in_video(
            video,
            network,
            Path(folder),
            confidence=confidence,
            iou=iou,
            size=size if size in network.sizes else None,
            regions=regions,
        )
        progress = JOBS.finish(steps, 0, "videos")
        about = {
            "frames": progress.frames,
            "tracks": progress.tracks,
            "counts": progress.counts,
            "note": progress.note,
            "zones": progress.zones,
            "events": [event.row() for event in progress.events],
        }
        # copied into gradio's cache before the folder goes
        yield (
            str(progress.video) if progress.video else None,
            about,
        )


def colours_of(progress: "Progress", class_names: Sequence[str]) -> dict[str, str]:
    """Class -> the colour of its boxes, for what was found."""
    return {
        kind: CLASS_COLOURS[class_names.index(kind) % len(CLASS_COLOURS)]
        for kind in progress.counts
    }


def progress_html(progress: "Progress", colours: Mapping[str, str] = MappingProxyType({})) -> str:
    """A progress bar with the time left; when done, the counts in the colours of the plot."""
    if progress.table is None:
        return video_progress.bar_html(progress)
    swatch = {
        kind: f"<i class='lab-swatch' style='background:{colour}'></i>"
        for kind, colour in colours.items()
    }
    rows = "".join(
        f"<tr><td>{swatch.get(kind, '')}{escape(kind)}</td><td "
        f"class='num'>{max(n for _, n in series)}</td><td "
        f"class='num'>{progress.tracks.get(kind, 0)}</td></tr>"
        for kind, series in sorted(
            progress.counts.items(), key=lambda item: -progress.tracks.get(item[0], 0)
        )
    )
    head = "<thead><tr><th>class</th><th>most in one frame</th><th>tracks</th></tr></thead>"
    table = f"<table>{head}<tbody>{rows}</tbody></table>" if rows else "<p>Nothing was found.</p>"
    return video_progress.done_html(progress, table + zones_html(progress.zones))


def zones_html(summaries: list[dict[str, Any]]) -> str:
    """What was counted at lines and in areas, as tables."""
    tables = []
    for columns in (("zone", "in", "out"), ("zone", "now", "visits", "mean_s", "longest_s")):
        rows = [s for s in summaries if tuple(s) == columns]
        if rows:
            head = "".join(f"<th>{c.replace('_s', ', s')}</th>" for c in columns)
            cells = ["".join(f"<td class='num'>{row[c]}</td>" for c in columns) for row in rows]
            body = "".join(f"<tr>{cell}</tr>" for cell in cells)
            tables.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
    return "".join(tables)


def first_frame(path: str | None) -> dict[str, Any]:
    """The widget's value for a video: {"frame": data URL of its first frame}, or no frame."""
    from tasks.core import images
    from tasks.core.video.reader import open_video

    if path is None:
        return {"frame": None, "zones": []}
    try:
        with open_video(path) as video:
            frame = next(iter(video), None)
    except ImageError:  # said when it is to be processed
        frame = None
    if frame is None:
        return {"frame": None, "zones": []}
    picture = images.thumbnail(frame.rgb, 960)
    return {"frame": data_url(images.jpeg_bytes(picture), "image/jpeg"), "zones": []}


def counts_chart(progress: "Progress", colours: Mapping[str, str]) -> str:
    """Objects in the image over time, a line for each class."""
    lines = [
        Series(kind, step_line(points), colours[kind]) for kind, points in progress.counts.items()
    ]
    legend = [(kind, colours[kind]) for kind in progress.counts] if len(lines) == 1 else []
    return chart(lines, Axis("time, s"), Axis("objects at once", 0), legend=legend)


def step_line(points: Sequence[Point]) -> list[Point]:
    """The corners of a count, which jumps from one value to the next."""
    corners = [(after[0], before[1]) for before, after in pairwise(points)]
    return [point for pair in zip(points, corners, strict=False) for point in pair] + list(
        points[-1:]
    )


def build_videos() -> None:
    settings = settings_row()
    shown_said, shown_video, shown_plot = recorded("detect-video", 3)
    with gr.Row(elem_classes="lab-first"):
        with gr.Column(min_width=300):
            with gr.Row():
                start = gr.Button("Find objects", variant="primary", elem_id="detect-video-start")
                halt = gr.Button("Stop, keep what is done", elem_id="detect-video-stop")
            video = gr.Video(
                sources=["upload"], label="A video", height=240, elem_id="detect-video"
            )
            examples.offer_clips(video, settings[0])
            drawn = widget(
                (Path(__file__).parent, "zone_editor"),
                (Path(__file__).parent, "zones"),
                elem_id="detect-zones",
            )
            video.change(
                report_errors(first_frame),
                video,
                drawn,
                show_progress="hidden",
                api_visibility="private",
            )
            said = gr.HTML(HINT + (shown_said or ""), elem_id="detect-video-said")
        with gr.Column(min_width=300, elem_classes="lab-result"):
            boxes = gr.Video(
                shown_video,
                label="With boxes and numbers",
                interactive=False,
                height=320,
                elem_id="detect-video-boxes",
            )
            table = gr.File(
                label="Boxes, heat map, events", file_count="multiple", interactive=False
            )
    plot = gr.HTML(shown_plot, elem_id="detect-video-plot")
    prepared = start.click(
        report_errors(prepare),
        [video, settings[0]],
        settings[2],
        show_progress_on=said,
        concurrency_limit=None,  # who waits for a download keeps nobody from another model
        api_visibility="private",
    )
    prepared.success(
        report_errors_in_steps(detect_file),
        [video, *settings, drawn],
        [said, boxes, plot, table],
        show_progress="hidden",
        api_visibility="private",
    )
    halt.click(stop, None, None, queue=False, show_progress="hidden", api_visibility="private")
    _api()


def _api() -> None:
    """The public endpoint, /detect_video, on hidden components."""
    offered = models.detector_choices()
    sent = gr.File(visible=False, label="video")
    name = gr.Textbox(str(offered[0]["name"]), label="model", visible=False)
    numbers = [number(0.25, "confidence"), number(0.7, "iou"), number(None, "size")]
    regions = gr.JSON(None, label="zones", visible=False)
    outputs = [gr.File(visible=False, label="boxes"), gr.JSON(visible=False, label="found")]
    endpoint(detect_video, [sent, name, *numbers, regions], outputs)
