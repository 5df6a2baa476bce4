"""Detection on pictures: boxes, a table, what was counted, all of it to take away; several at once as a gallery."""

import csv
import io
import json
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import gradio as gr
import numpy as np

from tasks import compute, images
from tasks.images import ImageError, ImageLike
from tasks.tabs import detection_samples, detectors
from tasks.tabs.errors import answering, sentence
from tasks.tabs.picture import checked_photo_input, picture_input
from tasks.tabs.send import send_gallery, send_to

SAMPLES = (
    ("ultralytics", "assets/bus.jpg"),
    ("ultralytics", "assets/zidane.jpg"),
    ("gradio", "media_assets/images/cheetah1.jpg"),
    ("gradio", "media_assets/images/lion.jpg"),
)
MAX_PICTURES = 24  # at once
SHOWN = 1600  # px of the longer side of a picture in the page
HINT = "<p class='lab-lead'>Give it a picture, or click one of the examples.</p>"
Columns = ("class", "confidence", "left", "top", "right", "bottom")


def prepare(picture: ImageLike | list[str], name: str) -> Any:
    """Load the chosen network, with its download if need be; say if the IoU slider acts. Raises WeightsError."""
    return gr.update(visible=detectors.detector(name).needs_nms) if picture else gr.skip()


def find(picture: ImageLike, name: str, confidence: float, iou: float, size: int) -> tuple[Any, str, Any]:
    """(picture with boxes, counts and files as HTML, rows of the table). Raises ImageError, WeightsError."""
    from tasks import annotate

    if picture is None:
        return None, HINT, []
    rgb = np.asarray(images.to_rgb(picture))
    found = _detect(rgb, name, confidence, iou, size)
    shown = annotate.draw(rgb, found)
    rows = [[row[column] for column in Columns] for row in found.rows()]
    settings = {"model": name, "confidence": confidence, "iou": iou, "size": size}
    return for_page(shown), result_html(found, settings, rgb.shape[:2], digits=name == detectors.BUNDLED), rows


def find_in_all(files: list[str] | None, name: str, confidence: float, iou: float, size: int) -> tuple[Any, str]:
    """(gallery of pictures with boxes, a line per picture as HTML). A picture that cannot be read has its sentence."""
    from tasks import annotate

    if not files:
        return None, HINT
    if len(files) > MAX_PICTURES:
        raise ImageError(f"{len(files)} pictures came; {MAX_PICTURES} at once work.")
    gallery, lines, rows = [], [], []
    for file in files:
        label = Path(file).name
        try:
            rgb = np.asarray(images.to_rgb(file))
        except ImageError as error:
            lines.append(f"<li><b>{escape(label)}</b>: {escape(sentence(error))}</li>")
            continue
        found = _detect(rgb, name, confidence, iou, size)
        counted = ", ".join(f"{n} {kind}" for kind, n in found.counts().items()) or "nothing found"
        gallery.append((for_page(annotate.draw(rgb, found)), f"{label}: {counted}"))
        lines.append(f"<li><b>{escape(label)}</b>: {escape(counted)}</li>")
        rows += [{"picture": label, **row} for row in found.rows()]
    link = _link("detections.csv", "text/csv", to_csv(rows, ("picture", *Columns)), "all boxes as CSV")
    return gallery, f"<div class='lab-card'><ul>{''.join(lines)}</ul><p>{link}</p></div>"


def detect_objects(
    picture: ImageLike, model: str, confidence: float = 0.25, iou: float = 0.7, size: int | None = None
) -> dict[str, Any]:
    """Find objects in a picture: handwritten digits with the bundled "digits", COCO's 80 classes with the others.

    Args:
        picture: PNG, JPEG, WebP, GIF, BMP or TIFF.
        model: "digits", or, downloaded on first use, "yolo11n", "yolo11s", "yolo11m", "yolo26n", "yolo26s", "yolo26m".
        confidence: 0 to 1; boxes of which the network is less sure are left out.
        iou: 0 to 1; of two boxes of a class that overlap more than this the surer stays. YOLO26 needs none.
        size: px of the longer side that the network sees, 320, 416 or 640; none or another: as it was trained.
    Returns:
        {"boxes": [{"class", "confidence", "left", "top", "right", "bottom"}, ...] in pixels of the picture, "counts":
        class -> boxes, "speed_ms": of each stage, "prepared_ms": spent on the first picture of its shape}.
    """
    found = _detect(np.asarray(images.to_rgb(picture)), model, confidence, iou, size)
    speed = {k: round(v, 2) for k, v in found.speed_ms.items()}
    prepared = round(found.prepared_ms, 2)
    return {"boxes": found.rows(), "counts": found.counts(), "speed_ms": speed, "prepared_ms": prepared}


def _detect(rgb: np.ndarray, name: str, confidence: float, iou: float, size: int | None) -> Any:
    model = detectors.detector(name)
    size = size if size is None or size in model.sizes else model.default_size
    with detectors.TURNS.turn(uuid4().hex):
        return model.detect_array(rgb, confidence, iou, size=size)


def for_page(rgb: np.ndarray) -> np.ndarray:
    from PIL import Image

    shown = Image.fromarray(rgb)
    shown.thumbnail((SHOWN, SHOWN))
    return np.asarray(shown)


def to_csv(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> str:
    """Lines that spreadsheets read; a text that a spreadsheet would take for a formula is defused."""
    out = io.StringIO()
    writer = csv.DictWriter(out, columns)
    writer.writeheader()
    for row in rows:
        writer.writerow({k: "'" + v if isinstance(v, str) and v[:1] in "=+-@\t\r" else v for k, v in row.items()})
    return out.getvalue()


def _link(name: str, kind: str, text: str, label: str) -> str:
    return f"<a download='{name}' href='data:{kind};charset=utf-8,{quote(text)}'>{label}</a>"


def result_html(found: Any, settings: dict[str, Any], size_hw: tuple[int, int], digits: bool = False) -> str:
    """Counts per class, times, and the boxes as files; `digits`: the bundled network looked, which knows no others."""
    counts = "".join(f"<tr><td>{escape(kind)}</td><td class='num'>{n}</td></tr>" for kind, n in found.counts().items())
    table = (
        f"<table><thead><tr><th>class</th><th>count</th></tr></thead><tbody>{counts}</tbody></table>" if counts else ""
    )
    speed = ", ".join(f"{stage} {ms:.1f} ms" for stage, ms in found.speed_ms.items())
    if found.prepared_ms:
        speed += f"; the network was prepared for pictures of this shape in {found.prepared_ms:.0f} ms, once"
    saved = {**settings, "height": size_hw[0], "width": size_hw[1], "boxes": found.rows()}
    files = " · ".join((
        _link("detections.json", "application/json", json.dumps(saved, indent=1), "JSON"),
        _link("detections.csv", "text/csv", to_csv(found.rows(), Columns), "CSV"),
    ))  # fmt: skip
    said = f"{len(found)} found" if len(found) else "Nothing found; a lower confidence shows what was nearly found"
    if digits and not len(found):
        said += ". This network knows handwritten digits only; those named COCO find people, cars, animals and more"
    return (
        f"<div class='lab-card' aria-live='polite'><p><b>{said}.</b></p>{table}"
        f"<p class='lab-lead'>{speed} · {compute.device_name()} · {files}</p></div>"
    )


def usual_size(name: str) -> int:
    """px at which a detector of the list was trained."""
    return 320 if name == detectors.BUNDLED else 640


def settings_row() -> list[Any]:
    """Model, confidence, IoU, size: the same for pictures and videos."""
    offered = detectors.choices()
    with gr.Row():
        model = gr.Dropdown([(str(c["title"]), str(c["name"])) for c in offered], value=str(offered[0]["name"]),
                            label="Model", filterable=False, scale=2, min_width=280)  # fmt: skip
        confidence = gr.Slider(0.05, 0.95, 0.25, step=0.05, label="Confidence", min_width=190)
        iou = gr.Slider(0.1, 0.95, 0.7, step=0.05, label="Overlap, IoU", min_width=190)
        size = gr.Dropdown([320, 416, 640], value=usual_size(str(offered[0]["name"])), label="Input size, px",
                           filterable=False, min_width=120)  # fmt: skip
    model.change(usual_size, model, size, show_progress="hidden", queue=False, api_visibility="private")
    return [model, confidence, iou, size]


def build_pictures() -> None:
    settings = settings_row()
    with gr.Row():
        with gr.Column(scale=4, min_width=300):
            shown, picture = checked_photo_input("A picture", SAMPLES, elem_id="detect-picture")
            detection_samples.offer_digits(shown, settings[0])
        with gr.Column(scale=6, min_width=300):
            boxes = gr.Image(label="What was found", format="png", interactive=False, elem_id="detect-boxes",
                             buttons=["download", "fullscreen"], height=420)  # fmt: skip
            send_to("photo", "#detect-boxes img", "Send it with its boxes to…")
            said = gr.HTML(HINT, elem_id="detect-said")
    with gr.Accordion("All boxes as a table", open=False):
        table = gr.Dataframe(headers=list(Columns), interactive=False, label="Boxes, in pixels")
    with gr.Accordion("Several pictures at once", open=False):
        files = gr.File(file_count="multiple", file_types=["image"], label=f"Up to {MAX_PICTURES} pictures", height=180,
                        elem_id="detect-files")  # fmt: skip
        gallery = gr.Gallery(label="What was found", format="png", columns=3, height="auto",
                             object_fit="contain", interactive=False, elem_id="detect-gallery",
                             elem_classes="lab-gallery")  # fmt: skip
        send_gallery("detect-gallery")
        lines = gr.HTML(elem_id="detect-lines")
    for given, work, outputs in ((picture, find, [boxes, said, table]), (files, find_in_all, [gallery, lines])):
        prepared = gr.on(
            [given.change, *(s.change for s in settings)], answering(prepare), [given, settings[0]], settings[2],
            show_progress_on=outputs[0], trigger_mode="always_last", concurrency_id="downloads",
            api_visibility="private",
        )  # fmt: skip
        prepared.success(
            answering(work), [given, *settings], outputs, show_progress="minimal", trigger_mode="always_last",
            concurrency_id="heavy", api_visibility="private",
        )  # fmt: skip
    _api()


def _api() -> None:
    """The public endpoint, /detect_objects, on hidden components of its own."""
    offered = detectors.choices()
    sent = picture_input(visible=False, label="picture")
    name = gr.Textbox(str(offered[0]["name"]), label="model", visible=False)
    confidence = gr.Number(0.25, label="confidence", visible=False)
    iou = gr.Number(0.7, label="iou", visible=False)
    size = gr.Number(None, precision=0, label="size", visible=False)
    gr.Button(visible=False).click(
        answering(detect_objects), [sent, name, confidence, iou, size], gr.JSON(visible=False, label="found"),
        api_name="detect_objects", api_description=detect_objects.__doc__, concurrency_id="downloads",
    )  # fmt: skip
