"""The same image through several networks: our U-Nets, and torchvision's of COCO."""

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
from tasks.models import SEGMENTERS, TORCHVISION_SEGMENTERS
from tasks.ui import recordings
from tasks.ui.errors import describe_error, report_errors_in_steps
from tasks.ui.page.figures import flow
from tasks.ui.page.lead import LOUPE, lead
from tasks.ui.send_to import send_gallery

if TYPE_CHECKING:
    from tasks.core.downloads import Progress

LISTED = 5  # classes in a row of the table
LEAD = lead(
    "One image through several networks: classes and milliseconds.",
    "FCN, DeepLabV3 and LRASPP label every pixel, as a U-Net does. Mask R-CNN detects single "
    "objects first and draws a mask in each box. torchvision's weights were trained on COCO: they "
    "know things (person, car, bus), not stuff (road, sky), which they call background.",
    flow("image:one image", "net:each network", "mask:a class per pixel"),
)
HINT = "<p class='lab-lead'>Choose an image in the tab “Image”, tick networks, then compare.</p>"


def compare(image: ImageLike, names: list[str]) -> Iterator[tuple[Any, str]]:
    """(gallery, table as HTML), one network more in each step; a failure is a row of its own."""
    if image is None:
        raise ImageError("No image came. Choose one in the tab “Image” first.")
    if not names:
        raise ImageError("No network is chosen. Tick at least one.")
    rgb = np.asarray(images.to_rgb(image))
    gallery: list[Any] = []
    rows: list[str] = []
    for name in names:
        title = escape(title_of(name))
        try:
            yield gallery, table_html([*rows, f"<td colspan='3'>{title}: working…</td>"])
            while (network := _poll(name)) is None:  # ends where Stop is pressed or the page closed
                said = scheduling.LOADS.describe(("comparison", name))
                yield gallery, table_html([*rows, f"<td colspan='3'>{title}: {said}</td>"])
            overlay, shares, ms = _segment(network, rgb, name)
        except (BusyError, WeightsError, ImageError) as error:
            rows.append(f"<td>{title}</td><td colspan='2'>{escape(describe_error(error))}</td>")
            continue
        largest = [(kind, share) for kind, share in shares.items() if share >= 0.005][:LISTED]
        listed = ", ".join(f"{kind} {100 * share:.0f} %" for kind, share in largest)
        gallery.append((images.thumbnail(overlay), f"{title_of(name)}, {ms:.0f} ms"))
        rows.append(
            f"<td>{title}</td><td class='num'>{ms:.0f} ms</td>"
            f"<td>{escape(listed or 'background only')}</td>"
        )
    yield gallery, table_html(rows)


def _poll(name: str) -> Any:
    """The network, or None while it is loaded. Raises WeightsError, BusyError."""

    def load(report: "Progress") -> Any:
        if name in TORCHVISION_SEGMENTERS:
            return loaders.torchvision_segmenter(name, report)
        return loaders.segmenter(name)

    return scheduling.LOADS.poll(("comparison", name), load, scheduling.LOOK_S)


def _segment(
    network: Any, rgb: np.ndarray, name: str
) -> tuple[np.ndarray, dict[str, float], float]:
    """(the image with class colours, shares, milliseconds)."""
    with scheduling.CORES.step(), stopwatch() as ms:
        is_ours = name not in TORCHVISION_SEGMENTERS
        labelled = network.predict(rgb) if is_ours else network.segment(rgb)
    overlay = labelled.overlay(rgb)
    return overlay, labelled.shares(), ms()


def title_of(name: str) -> str:
    """A network's title on the page, without the size of its download."""
    return SEGMENTERS.get(name) or models.title_of(TORCHVISION_SEGMENTERS, str(name)[:40])


def table_html(rows: list[str]) -> str:
    head = "<thead><tr><th>network</th><th>time</th><th>largest classes</th></tr></thead>"
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return (
        f"<div class='lab-card' aria-live='polite'><table>{head}<tbody>{body}</tbody></table></div>"
    )


def build_compare(image: gr.State) -> None:
    gr.HTML(LEAD)
    bundled = models.segmenter_choices()
    downloads = [(model.offer, name) for name, model in TORCHVISION_SEGMENTERS.items()]
    shown, shown_table = recordings.outputs("segment-compare", 2)
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=300):
            with gr.Row():
                start = gr.Button("Compare", variant="primary", elem_id="segment-compare-start")
                stop = gr.Button("Stop")
            chosen = gr.CheckboxGroup(
                bundled + downloads,
                value=[bundled[0][1]],
                label="Networks",
                elem_id="segment-compare-networks",
            )
        with gr.Column(scale=6, min_width=300, elem_classes="lab-first"):
            table = gr.HTML(shown_table or HINT, elem_id="segment-compare-table")
            gallery = gr.Gallery(
                shown,
                label="The image in each network's classes",
                format="png",
                columns=2,
                interactive=False,
                elem_id="segment-compare-gallery",
                elem_classes="lab-gallery",
            )
    send_gallery("segment-compare-gallery")
    gr.HTML(LOUPE)
    running = start.click(
        report_errors_in_steps(compare),
        [image, chosen],
        [gallery, table],
        show_progress_on=table,
        show_progress="minimal",
        api_visibility="private",
    )
    stop.click(None, None, None, cancels=[running], api_visibility="private")
