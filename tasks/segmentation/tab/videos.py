"""Segmentation of a video file: progress, Stop that keeps what is done, a playable result."""

import tempfile
import threading
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from tasks import loaders, models
from tasks.core import scheduling
from tasks.core.images import ImageError
from tasks.core.palettes import to_hex
from tasks.ui import recordings, video_progress
from tasks.ui.charts import Axis, Series, chart
from tasks.ui.endpoint import endpoint
from tasks.ui.errors import describe_error, report_errors, report_errors_in_steps
from tasks.ui.jobs import JOBS
from tasks.ui.video_progress import Step, follow_video, stop, stop_event

if TYPE_CHECKING:
    from tasks.segmentation.segmenter import Segmenter
    from tasks.segmentation.video import Progress

HINT = (
    "<p class='lab-lead'>MP4, MOV, WebM, MKV, AVI or GIF, at most 50 MB; of longer clips the "
    "first minute is used. The network was trained on clips from behind a windscreen.</p>"
)
PLOTTED = 6  # classes with the largest shares


async def prepare(path: str | None, name: str) -> None:
    """Load the network. Raises WeightsError, BusyError; ImageError: no video."""
    if path is None:
        raise ImageError("No video came. Upload one first.")
    key = ("segmenter", str(name)[:40], "video")
    await scheduling.LOADS.wait(key, lambda _: loaders.segmenter(name))


def segment_file(path: str | None, name: str, opacity: int, request: gr.Request) -> Iterator[Step]:
    """(progress as HTML, video with classes, shares over time, table), step by step."""
    event = stop_event(str(request.session_hash))
    event.clear()
    try:
        yield from _steps(path, loaders.segmenter(name), opacity / 100, event)
    except ImageError as error:  # earlier results stay
        said = f"<p class='lab-trouble' role='alert'>{escape(describe_error(error))}</p>"
        yield said, gr.skip(), gr.skip(), gr.skip()


def _steps(
    path: str | None, model: "Segmenter", opacity: float, stopped: threading.Event
) -> Iterator[Step]:
    from tasks.segmentation.video import segment_video

    def results(done: "Progress") -> Step:
        colours = dict(zip(model.class_names, to_hex(model.palette), strict=True))
        video = str(done.video) if done.video else None
        return progress_html(done), video, shares_chart(done, colours), str(done.table)

    # gradio copies the files into its cache before the folder is deleted; where the page is closed,
    # the job may still write one frame
    with tempfile.TemporaryDirectory(prefix="image-lab-", ignore_cleanup_errors=True) as folder:
        source = segment_video(path, model, Path(folder), opacity=opacity, stopped=stopped.is_set)
        yield from follow_video(source, stopped, progress_html, results)


def segment_video(
    video: str | None, model: str = "segmentation"
) -> Iterator[tuple[str | None, dict[str, Any]]]:
    """Give every pixel of a video's frames its class.

    Args:
        video: MP4, MOV, WebM, MKV, AVI, GIF, animated WebP or PNG, at most 50 MB; its first
            minute is used.
        model: "segmentation" or "segmentation_unet".
    Returns:
        The video with the classes' colours over it, and {"frames", "shares": class -> [[second,
        share], ...], "note"}: what was left out, if anything.
    """
    from tasks.segmentation.video import segment_video as steps_of

    if video is None:
        raise ImageError("No video came. Send one first.")
    network = loaders.segmenter(model)
    with tempfile.TemporaryDirectory(prefix="image-lab-") as folder:
        progress = JOBS.finish(steps_of(video, network, Path(folder)), 0, "videos")
        result = {"frames": progress.frames, "shares": progress.shares, "note": progress.note}
        yield (
            str(progress.video) if progress.video else None,
            result,
        )


def progress_html(progress: "Progress") -> str:
    """A progress bar with the time left; when done, the mean shares."""
    if progress.table is None:
        return video_progress.bar_html(progress)
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td class='num'>{100 * mean:.1f} %</td></tr>"
        for mean, name in mean_shares(progress)
    )
    head = "<thead><tr><th>class</th><th>mean share of the pixels</th></tr></thead>"
    return video_progress.done_html(progress, f"<table>{head}<tbody>{rows}</tbody></table>")


def mean_shares(progress: "Progress") -> list[tuple[float, str]]:
    """(mean share, class), the largest first."""
    listed = [
        (sum(v for _, v in series) / len(series), name) for name, series in progress.shares.items()
    ]
    return sorted(listed, reverse=True)


def shares_chart(progress: "Progress", colours: Mapping[str, str]) -> str:
    """The largest classes' shares over time."""
    chosen = [name for _, name in mean_shares(progress)[:PLOTTED]]
    lines = [
        Series(
            name, [(second, 100 * share) for second, share in progress.shares[name]], colours[name]
        )
        for name in chosen
    ]
    return chart(lines, Axis("time, s"), Axis("share of the pixels", 0, unit="%"))


def build_videos() -> None:
    offered = models.segmenter_choices()
    shown_said, shown_video, shown_plot = recordings.outputs("segment-video", 3)
    with gr.Row():
        model = gr.Dropdown(
            offered, value=offered[0][1], label="Network", filterable=False, min_width=280
        )
        opacity = gr.Slider(0, 100, 55, step=5, label="Colours, %", min_width=160)
    with gr.Row(elem_classes="lab-first"):
        with gr.Column(min_width=300):
            with gr.Row():
                start = gr.Button("Segment", variant="primary", elem_id="segment-video-start")
                halt = gr.Button("Stop, keep what is done", elem_id="segment-video-stop")
            video = gr.Video(
                sources=["upload"], label="A video", height=240, elem_id="segment-video"
            )
            said = gr.HTML(HINT + (shown_said or ""), elem_id="segment-video-said")
        with gr.Column(min_width=300, elem_classes="lab-result"):
            classes = gr.Video(
                shown_video,
                label="With class colours",
                interactive=False,
                height=320,
                elem_id="segment-video-out",
            )
            table = gr.File(label="Shares of each frame (CSV)", interactive=False)
    plot = gr.HTML(shown_plot, elem_id="segment-video-plot")
    prepared = start.click(
        report_errors(prepare),
        [video, model],
        None,
        show_progress_on=said,
        concurrency_limit=None,  # who waits for a load keeps no thread
        api_visibility="private",
    )
    prepared.success(
        report_errors_in_steps(segment_file),
        [video, model, opacity],
        [said, classes, plot, table],
        show_progress="hidden",
        api_visibility="private",
    )
    halt.click(stop, None, None, queue=False, show_progress="hidden", api_visibility="private")
    _api()


def _api() -> None:
    """The public endpoint, /segment_video, on hidden components."""
    sent = gr.File(visible=False, label="video")
    name = gr.Dropdown(list(models.SEGMENTERS), value="segmentation", label="model", visible=False)
    outputs = [gr.File(visible=False, label="classes"), gr.JSON(visible=False, label="shares")]
    endpoint(segment_video, [sent, name], outputs)
