"""The same image through several detectors, boxes and milliseconds side by side."""

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from tasks import loaders, models
from tasks.core import images, scheduling
from tasks.core.device import stopwatch
from tasks.core.images import ImageError, ImageLike
from tasks.core.scheduling import BusyError
from tasks.core.weights import WeightsError
from tasks.detection.tab.images import CONFIDENCE, IOU, SAMPLES, example_of, recorded
from tasks.models import TORCHVISION_DETECTORS
from tasks.ui.errors import describe_error, report_errors_in_steps
from tasks.ui.image_input import checked_photo_input
from tasks.ui.page.figures import flow
from tasks.ui.page.lead import LOUPE, lead
from tasks.ui.send_to import send_gallery

if TYPE_CHECKING:
    from tasks.core.downloads import Progress

LEAD = lead(
    "One image through several detectors: boxes and milliseconds.",
    "YOLO and SSD detect in one pass over the image. Faster R-CNN proposes regions and classifies "
    "each of them, which takes seconds. All but the bundled network were trained on COCO.",
    flow("image:one image", "net:each detector", "box:boxes"),
)
HINT = "<p class='lab-lead'>Choose an image and detectors, then compare.</p>"


def compare(image: ImageLike, names: list[str], confidence: float) -> Iterator[tuple[Any, str]]:
    """(gallery, table as HTML), one detector more in each step; a failure is a row of its own."""
    from tasks.detection import annotate

    if image is None:
        raise ImageError("No image came. Upload one, or click one of the examples.")
    if not names:
        raise ImageError("No detector is chosen. Tick at least one.")
    rgb = np.asarray(images.to_rgb(image))
    gallery: list[Any] = []
    rows: list[str] = []
    for name in names:
        title, model = escape(title_of(name)), None
        try:
            yield gallery, table_html([*rows, f"<td colspan='3'>{title}: working…</td>"])
            while (model := _poll(name)) is None:  # ends where Stop is pressed or the page closed
                said = scheduling.LOADS.describe(("comparison", name))
                yield gallery, table_html([*rows, f"<td colspan='3'>{title}: {said}</td>"])
            found, ms = _detect(model, rgb, confidence, name)
        except (BusyError, WeightsError, ImageError) as error:
            rows.append(f"<td>{title}</td><td colspan='2'>{escape(describe_error(error))}</td>")
            continue
        counts = ", ".join(f"{n} {kind}" for kind, n in found.counts().items()) or "nothing"
        caption = f"{title_of(name)}: {len(found)} found, {ms:.0f} ms"
        gallery.append((images.thumbnail(annotate.draw(rgb, found)), caption))
        rows.append(f"<td>{title}</td><td class='num'>{ms:.0f} ms</td><td>{escape(counts)}</td>")
    yield gallery, table_html(rows)


def _poll(name: str) -> Any:
    """The detector, or None while it is loaded. Raises WeightsError, BusyError."""

    def load(report: "Progress") -> Any:
        if name in TORCHVISION_DETECTORS:
            return loaders.torchvision_detector(name, report)
        return loaders.detector(name)

    return scheduling.LOADS.poll(("comparison", name), load, scheduling.LOOK_S)


def _detect(model: Any, rgb: np.ndarray, confidence: float, name: str) -> tuple[Any, float]:
    """Detections, and the milliseconds of a second pass: the first one also warms up."""
    settings = () if name in TORCHVISION_DETECTORS else (IOU,)
    with scheduling.CORES.step():
        model.detect(rgb, confidence, *settings)
        with stopwatch() as ms:
            found = model.detect(rgb, confidence, *settings)
    return found, ms()


def title_of(name: str) -> str:
    """A detector's title on the page, without the size of its download."""
    titles = {str(c["name"]): str(c["title"]) for c in models.detector_choices()}
    if name in titles:
        return titles[name].partition(",")[0]
    return models.title_of(TORCHVISION_DETECTORS, str(name)[:40])


def table_html(rows: list[str]) -> str:
    head = "<thead><tr><th>detector</th><th>time</th><th>found</th></tr></thead>"
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return (
        f"<div class='lab-card' aria-live='polite'><table>{head}<tbody>{body}</tbody></table></div>"
    )


def build_compare() -> None:
    gr.HTML(LEAD)
    yolo = [(title_of(str(c["name"])), str(c["name"])) for c in models.detector_choices()]
    others = [(model.offer, name) for name, model in TORCHVISION_DETECTORS.items()]
    shown, shown_table = recorded("detect-compare", 2)
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=280):
            _, image = checked_photo_input(
                "An image",
                SAMPLES,
                elem_id="compare-picture",
                height=260,
                example=example_of(shown),
            )
        with gr.Column(scale=4, min_width=300):
            with gr.Row():
                start = gr.Button("Compare", variant="primary", elem_id="detect-compare-start")
                stop = gr.Button("Stop")
            chosen = gr.CheckboxGroup(
                yolo + others, value=[yolo[0][1]], label="Detectors", elem_id="compare-detectors"
            )
            confidence = gr.Slider(0.05, 0.95, CONFIDENCE, step=0.05, label="Confidence")
        with gr.Column(scale=5, min_width=300, elem_classes="lab-first"):
            table = gr.HTML(shown_table or HINT, elem_id="compare-table")
            gallery = gr.Gallery(
                shown,
                label="Detections",
                format="png",
                columns=2,
                height="auto",
                object_fit="contain",
                interactive=False,
                elem_id="compare-gallery",
                elem_classes="lab-gallery",
            )
    send_gallery("compare-gallery")
    gr.HTML(LOUPE)
    running = start.click(
        report_errors_in_steps(compare),
        [image, chosen, confidence],
        [gallery, table],
        show_progress_on=table,
        show_progress="minimal",
        api_visibility="private",
    )
    stop.click(None, None, None, cancels=[running], api_visibility="private")
