"""The same picture through several detectors, boxes and milliseconds side by side."""

from collections.abc import Iterator
from html import escape
from typing import Any

import gradio as gr
import numpy as np

from tasks import compute, images
from tasks.images import ImageError, ImageLike
from tasks.tabs import detectors
from tasks.tabs.detection_pictures import SAMPLES, for_page
from tasks.tabs.errors import answering_steps, sentence
from tasks.tabs.picture import checked_photo_input
from tasks.tabs.send import send_gallery
from tasks.weights import WeightsError

OTHERS = {
    "ssdlite320_mobilenet_v3_large": "SSDlite · MobileNetV3, 13 MB on first use",
    "ssd300_vgg16": "SSD300 · VGG-16, 136 MB on first use",
    "fasterrcnn_resnet50_fpn_v2": "Faster R-CNN · ResNet-50, 167 MB on first use",
}
"""The same names as `tasks.detection_torchvision.ARCHITECTURES`, which needs torch."""

LEAD = (
    "<p class='lab-lead'>YOLO and SSD answer in one pass over the picture; Faster R-CNN proposes regions and looks at "
    "each of them again, which costs seconds. All but the bundled network were trained on COCO.</p>"
)
HINT = "<p class='lab-lead'>Choose a picture and detectors, then compare.</p>"


def compare(
    picture: ImageLike,
    names: list[str],
    confidence: float,
    progress: gr.Progress = gr.Progress(),  # noqa: B008
) -> Iterator[tuple[Any, str]]:
    """(gallery, table as HTML), one detector more in each step; one that cannot be had has its sentence there."""
    if picture is None:
        raise ImageError("No picture came. Upload one, or click one of the examples.")
    if not names:
        raise ImageError("No detector is chosen. Tick at least one.")
    rgb = np.asarray(images.to_rgb(picture))
    gallery: list[Any] = []
    rows: list[str] = []
    for name in names:
        yield gallery, table_html([*rows, f"<td colspan='3'>{escape(title_of(name))}: loading, then looking…</td>"])
        try:
            found, ms = _look(rgb, name, confidence, progress)
        except (WeightsError, ImageError) as error:
            rows.append(f"<td>{escape(title_of(name))}</td><td colspan='2'>{escape(sentence(error))}</td>")
            continue
        from tasks import annotate

        counted = ", ".join(f"{n} {kind}" for kind, n in found.counts().items()) or "nothing"
        gallery.append((for_page(annotate.draw(rgb, found)), f"{title_of(name)}: {len(found)} found, {ms:.0f} ms"))
        rows.append(f"<td>{escape(title_of(name))}</td><td class='num'>{ms:.0f} ms</td><td>{escape(counted)}</td>")
    yield gallery, table_html(rows)


def _look(rgb: np.ndarray, name: str, confidence: float, progress: gr.Progress) -> tuple[Any, float]:
    """What a detector finds, and its milliseconds in a second look: the first one also warms up."""

    def report(got: int, total: int | None) -> None:
        progress(got / total if total else None, desc=f"Downloading {title_of(name)}: {got / 2**20:.0f} MB")

    model = detectors.other(name, report) if name in OTHERS else detectors.detector(name)
    with compute.HEAVY:
        model.detect(rgb, confidence)
        with compute.stopwatch() as ms:
            found = model.detect(rgb, confidence)
    return found, ms()


def title_of(name: str) -> str:
    """What the page calls a detector, without the size of its download."""
    titles = {str(c["name"]): str(c["title"]) for c in detectors.choices()} | OTHERS
    return titles.get(name, str(name)[:40]).partition(",")[0]


def table_html(rows: list[str]) -> str:
    head = "<thead><tr><th>detector</th><th>time</th><th>found</th></tr></thead>"
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<div class='lab-card' aria-live='polite'><table>{head}<tbody>{body}</tbody></table></div>"


def build_compare() -> None:
    gr.HTML(LEAD)
    own = [(title_of(str(c["name"])), str(c["name"])) for c in detectors.choices()]
    offered = own + [(title, name) for name, title in OTHERS.items()]
    with gr.Row():
        with gr.Column(scale=4, min_width=300):
            _, picture = checked_photo_input("A picture", SAMPLES, elem_id="compare-picture", height=260)
        with gr.Column(scale=6, min_width=300):
            chosen = gr.CheckboxGroup(offered, value=[own[0][1]], label="Detectors", elem_id="compare-detectors")
            confidence = gr.Slider(0.05, 0.95, 0.4, step=0.05, label="Confidence")
            with gr.Row():
                start = gr.Button("Compare", variant="primary")
                halt = gr.Button("Stop")
    table = gr.HTML(HINT, elem_id="compare-table")
    gallery = gr.Gallery(label="What each found", format="png", columns=2, height="auto", object_fit="contain",
                         interactive=False, elem_id="compare-gallery", elem_classes="lab-gallery")  # fmt: skip
    send_gallery("compare-gallery")
    running = start.click(answering_steps(compare), [picture, chosen, confidence], [gallery, table],
                          show_progress_on=table, show_progress="minimal", concurrency_id="downloads",
                          api_visibility="private")  # fmt: skip
    halt.click(None, None, None, cancels=[running], api_visibility="private")
