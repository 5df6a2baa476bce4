"""Segmentation of a video file: progress with the time left, Stop that keeps what is done, a result that plays here."""

import tempfile
import time
from collections import deque
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import gradio as gr

from tasks.images import ImageError
from tasks.tabs import detectors, segmenters, video_progress
from tasks.tabs.detection_videos import stop, stop_of
from tasks.tabs.errors import answering, answering_steps

if TYPE_CHECKING:
    from tasks.segmentation_video import Progress

HINT = (
    "<p class='lab-lead'>MP4, MOV, WebM, MKV, AVI or GIF, at most 50 MB; of longer clips the first minute is used. A "
    "clip from behind a windscreen is what the network knows.</p>"
)
SHOW_EVERY = 0.4  # s between two steps of the progress bar
PLOTTED = 6  # classes with the largest shares
Step = tuple[Any, Any, Any, Any]


def prepare(path: str | None, name: str) -> None:
    """Load the network. Raises WeightsError; ImageError: no video."""
    if path is None:
        raise ImageError("No video came. Upload one first.")
    segmenters.segmenter(name)


def segment_file(path: str | None, name: str, opacity: int, request: gr.Request) -> Iterator[Step]:
    """(progress as HTML, video with classes, shares over time, table), step by step."""
    from tasks.segmentation_video import segment_video

    event = stop_of(str(request.session_hash))
    event.clear()
    model, job, shown = segmenters.segmenter(name), uuid4().hex, 0.0
    yield "<p class='lab-lead'>Opening the video…</p>", None, None, None
    with tempfile.TemporaryDirectory(prefix="image-lab-") as folder:  # gradio copies what is shown into its own cache
        for progress in segment_video(
            path, model, Path(folder), opacity=opacity / 100,
            turn=lambda: detectors.TURNS.turn(job, patient=True), stopped=event.is_set,
        ):  # fmt: skip
            if progress.table is not None:
                video = str(progress.video) if progress.video else None
                yield progress_html(progress), video, shares_plot(progress), str(progress.table)
            elif time.monotonic() - shown > SHOW_EVERY:
                shown = time.monotonic()
                yield progress_html(progress), gr.skip(), gr.skip(), gr.skip()


def segment_video(video: str | None, model: str = "segmentation") -> Iterator[tuple[str | None, dict[str, Any]]]:
    """Give every pixel of a video's frames its class.

    Args:
        video: MP4, MOV, WebM, MKV, AVI or GIF, at most 50 MB; its first minute is used.
        model: "segmentation", the only one so far.
    Returns:
        The video with the classes' colours over it, and {"frames", "shares": class -> [[second, share], ...], "note":
        what was left out, if anything}.
    """
    from tasks import segmentation_video

    if video is None:
        raise ImageError("No video came. Send one first.")
    network, job = segmenters.segmenter(model), uuid4().hex
    with tempfile.TemporaryDirectory(prefix="image-lab-") as folder:
        steps = segmentation_video.segment_video(
            video, network, Path(folder), turn=lambda: detectors.TURNS.turn(job, patient=True)
        )
        progress = deque(steps, maxlen=1).pop()
        told = {"frames": progress.frames, "shares": progress.shares, "note": progress.note}
        yield str(progress.video) if progress.video else None, told  # copied before the folder goes


def progress_html(progress: "Progress") -> str:
    """A bar with the time left; once done the mean shares."""
    if progress.table is None:
        return video_progress.bar_html(progress)
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td class='num'>{100 * mean:.1f} %</td></tr>" for mean, name in means(progress)
    )
    head = "<thead><tr><th>class</th><th>mean share of the pixels</th></tr></thead>"
    return video_progress.done_html(progress, f"<table>{head}<tbody>{rows}</tbody></table>")


def means(progress: "Progress") -> list[tuple[float, str]]:
    """(mean share, class), the largest first."""
    listed = [(sum(v for _, v in series) / len(series), name) for name, series in progress.shares.items()]
    return sorted(listed, reverse=True)


def shares_plot(progress: "Progress") -> Any:
    """The largest classes' shares over time."""
    import pandas as pd

    chosen = [name for _, name in means(progress)[:PLOTTED]]
    rows = [(second, round(100 * v, 3), name) for name in chosen for second, v in progress.shares[name]]
    return pd.DataFrame(rows, columns=["second", "per cent", "class"])


def build_videos() -> None:
    offered = segmenters.choices()
    with gr.Row():
        model = gr.Dropdown(offered, value=offered[0][1], label="Network", filterable=False, min_width=280)
        opacity = gr.Slider(0, 100, 55, step=5, label="Colours, %", min_width=160)
    with gr.Row():
        with gr.Column(min_width=300):
            video = gr.Video(sources=["upload"], label="A video", height=320, elem_id="segment-video")
            with gr.Row():
                start = gr.Button("Segment", variant="primary", elem_id="segment-video-start")
                halt = gr.Button("Stop, keep what is done", elem_id="segment-video-stop")
            said = gr.HTML(HINT, elem_id="segment-video-said")
        with gr.Column(min_width=300):
            classes = gr.Video(label="With its classes", interactive=False, height=320, elem_id="segment-video-out")
            table = gr.File(label="Shares of each frame (CSV)", interactive=False)
    plot = gr.LinePlot(x="second", y="per cent", color="class", label="Share of the pixels over time, %", height=240)
    prepared = start.click(answering(prepare), [video, model], None, show_progress_on=said, concurrency_id="downloads",
                           api_visibility="private")  # fmt: skip
    prepared.success(
        answering_steps(segment_file), [video, model, opacity], [said, classes, plot, table], show_progress="hidden",
        concurrency_id="videos", concurrency_limit=2, api_visibility="private",
    )  # fmt: skip
    halt.click(stop, None, None, queue=False, show_progress="hidden", api_visibility="private")
    _api()


def _api() -> None:
    """The public endpoint, /segment_video, on hidden components of its own."""
    sent = gr.File(visible=False, label="video")
    name = gr.Dropdown(list(segmenters.TITLES), value="segmentation", label="model", visible=False)
    outputs = [gr.File(visible=False, label="classes"), gr.JSON(visible=False, label="shares")]
    gr.Button(visible=False).click(
        answering_steps(segment_video), [sent, name], outputs, api_name="segment_video",
        api_description=segment_video.__doc__, concurrency_id="videos", concurrency_limit=2,
    )  # fmt: skip
