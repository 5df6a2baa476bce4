"""The same picture through several networks: our U-Nets, and torchvision's of COCO side by side."""

from collections.abc import Iterator
from html import escape
from typing import Any

import gradio as gr
import numpy as np

from tasks import compute, images
from tasks.images import ImageError, ImageLike
from tasks.tabs import segmenters
from tasks.tabs.detection_pictures import for_page
from tasks.tabs.errors import answering_steps, sentence
from tasks.tabs.send import send_gallery
from tasks.weights import WeightsError

OTHERS = {
    "lraspp_mobilenet_v3_large": "LRASPP · MobileNetV3, 12 MB on first use",
    "deeplabv3_mobilenet_v3_large": "DeepLabV3 · MobileNetV3, 42 MB on first use",
    "fcn_resnet50": "FCN · ResNet-50, 135 MB on first use",
    "deeplabv3_resnet50": "DeepLabV3 · ResNet-50, 161 MB on first use",
    "maskrcnn_resnet50_fpn_v2": "Mask R-CNN · ResNet-50, 177 MB on first use",
}
"""The same names as `tasks.segmentation_torchvision.ARCHITECTURES`, which needs torch."""

LEAD = (
    "<p class='lab-lead'>FCN, DeepLabV3 and LRASPP label every pixel, as a U-Net does; Mask R-CNN finds single "
    "objects first and draws a mask in each of their boxes. torchvision's weights were trained on COCO: they know "
    "things (person, car, bus), not stuff (road, sky), which they call background.</p>"
)
HINT = "<p class='lab-lead'>Choose a picture in the tab “Picture”, tick networks, then compare.</p>"


def compare(
    picture: ImageLike,
    names: list[str],
    progress: gr.Progress = gr.Progress(),  # noqa: B008
) -> Iterator[tuple[Any, str]]:
    """(gallery, table as HTML), one network more in each step; one that cannot be had has its sentence there."""
    if picture is None:
        raise ImageError("No picture came. Choose one in the tab “Picture” first.")
    if not names:
        raise ImageError("No network is chosen. Tick at least one.")
    rgb = np.asarray(images.to_rgb(picture))
    gallery: list[Any] = []
    rows: list[str] = []
    for name in names:
        yield gallery, table_html([*rows, f"<td colspan='3'>{escape(title_of(name))}: loading, then looking…</td>"])
        try:
            seen, found, ms = _look(rgb, name, progress)
        except (WeightsError, ImageError) as error:
            rows.append(f"<td>{escape(title_of(name))}</td><td colspan='2'>{escape(sentence(error))}</td>")
            continue
        listed = ", ".join(f"{kind} {100 * share:.0f} %" for kind, share in list(found.items())[:5] if share >= 0.005)
        gallery.append((for_page(seen), f"{title_of(name)}, {ms:.0f} ms"))
        rows.append(f"<td>{escape(title_of(name))}</td><td class='num'>{ms:.0f} ms</td>"
                    f"<td>{escape(listed or 'background only')}</td>")  # fmt: skip
    yield gallery, table_html(rows)


def _look(rgb: np.ndarray, name: str, progress: gr.Progress) -> tuple[np.ndarray, dict[str, float], float]:
    """(the picture with colours, shares, milliseconds)."""
    if name not in OTHERS:
        model = segmenters.segmenter(name)
        with compute.HEAVY, compute.stopwatch() as ms:
            scene = model.look(rgb)
        return scene.over(rgb), scene.shares(), ms()

    def report(got: int, total: int | None) -> None:
        progress(got / total if total else None, desc=f"Downloading {title_of(name)}: {got / 2**20:.0f} MB")

    network = segmenters.other(name, report)
    with compute.HEAVY, compute.stopwatch() as ms:
        labelled = network.label(rgb)
    return labelled.over(rgb), labelled.found(), ms()


def title_of(name: str) -> str:
    """What the page calls a network, without the size of its download."""
    return (segmenters.TITLES | OTHERS).get(name, str(name)[:40]).partition(",")[0]


def table_html(rows: list[str]) -> str:
    head = "<thead><tr><th>network</th><th>time</th><th>largest classes</th></tr></thead>"
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<div class='lab-card' aria-live='polite'><table>{head}<tbody>{body}</tbody></table></div>"


def build_compare(picture: gr.State) -> None:
    gr.HTML(LEAD)
    own = segmenters.choices()
    offered = own + [(title, name) for name, title in OTHERS.items()]
    chosen = gr.CheckboxGroup(offered, value=[own[0][1]], label="Networks", elem_id="segment-compare-networks")
    with gr.Row():
        start = gr.Button("Compare", variant="primary", elem_id="segment-compare-start")
        halt = gr.Button("Stop")
    table = gr.HTML(HINT, elem_id="segment-compare-table")
    gallery = gr.Gallery(label="What each makes of the picture", format="png", columns=2, interactive=False,
                         elem_id="segment-compare-gallery")  # fmt: skip
    send_gallery("segment-compare-gallery")
    running = start.click(answering_steps(compare), [picture, chosen], [gallery, table], show_progress_on=table,
                          show_progress="minimal", concurrency_id="downloads", api_visibility="private")  # fmt: skip
    halt.click(None, None, None, cancels=[running], api_visibility="private")
