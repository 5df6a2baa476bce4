"""Detection on images: boxes, counts and a table to save; several images at once as a gallery."""

import csv
import io
import json
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import uuid4

import gradio as gr
import numpy as np

from tasks import loaders, models
from tasks.core import device, images, scheduling
from tasks.core.images import ImageError, ImageLike
from tasks.detection.tab import examples, open_vocabulary
from tasks.detection.tab.open_vocabulary import lacks_words, reads_words, words_row
from tasks.detection.words import check_no_words, parse_words
from tasks.ui import recordings
from tasks.ui.endpoint import endpoint, flag, number
from tasks.ui.errors import describe_error, report_errors
from tasks.ui.image_input import checked_photo_input, image_input, sample_images
from tasks.ui.send_to import send_gallery, send_to

if TYPE_CHECKING:
    from tasks.core.downloads import Progress

SAMPLES = (("ultralytics", "assets/zidane.jpg"),)
CONFIDENCE, IOU = 0.35, 0.5
"""What the fields open with: the bundled network boxes some people twice at a laxer IoU."""
MAX_IMAGES = 24  # at once
HINT = "<p class='lab-lead'>Upload an image, or click one of the examples.</p>"
COLUMNS = ("class", "confidence", "left", "top", "right", "bottom")


async def prepare(
    image: ImageLike | list[str],
    name: str,
    words: str | None = None,
    progress: gr.Progress = gr.Progress(),  # noqa: B008
) -> Any:
    """Load the chosen network; hide the IoU slider where it has no effect.

    Raises ImageError, WeightsError, BusyError.
    """
    if not image or lacks_words(name, words):
        return gr.skip()
    if reads_words(name):
        parse_words(words)  # before anything is downloaded

    def load(told: "Progress") -> bool:
        if reads_words(name):
            loaders.open_vocabulary(told)
            return True
        return loaders.detector(name).needs_nms

    def report(got: int, total: int | None) -> None:
        size = f"of {total / 2**20:.0f} MB" if total else "MB"
        progress(got / total if total else None, desc=f"Downloading: {got / 2**20:.0f} {size}")

    key = ("detector", str(name)[:40], "needs_nms")
    return gr.update(visible=await scheduling.LOADS.wait(key, load, report))


def detect(
    image: ImageLike,
    name: str,
    confidence: float,
    iou: float,
    size: int,
    tiled: bool = False,
    words: str | None = None,
) -> tuple[Any, str, Any]:
    """(image with boxes, counts and files as HTML, rows of the table).

    Raises:
        ImageError, WeightsError.
    """
    from tasks.detection import annotate

    if image is None:
        return None, HINT, []
    if lacks_words(name, words):
        return None, open_vocabulary.HINT, []
    rgb = np.asarray(images.to_rgb(image))
    found, note = _detect(rgb, name, confidence, iou, size, tiled, words)
    rows = [[row[column] for column in COLUMNS] for row in found.rows()]
    settings: dict[str, Any] = {"model": name, "confidence": confidence, "iou": iou, "size": size}
    settings["tiles"] = tiled
    if reads_words(name):
        settings["words"] = list(found.class_names)
    html = result_html(found, settings, rgb.shape[:2], name == examples.DIGITS, note)
    return images.thumbnail(annotate.draw(rgb, found)), html, rows


def detect_in_all(
    files: list[str] | None,
    name: str,
    confidence: float,
    iou: float,
    size: int,
    tiled: bool = False,
    words: str | None = None,
) -> tuple[Any, str]:
    """(gallery of images with boxes, a line for each image as HTML, errors included)."""
    from tasks.detection import annotate

    if not files:
        return None, HINT
    if lacks_words(name, words):
        return None, open_vocabulary.HINT
    if len(files) > MAX_IMAGES:
        raise ImageError(f"{len(files)} images came; {MAX_IMAGES} at once work.")
    gallery, lines, rows = [], [], []
    for file in files:
        label = Path(file).name
        try:
            rgb = np.asarray(images.to_rgb(file))
        except ImageError as error:
            lines.append(f"<li><b>{escape(label)}</b>: {escape(describe_error(error))}</li>")
            continue
        found, _ = _detect(rgb, name, confidence, iou, size, tiled, words)
        counted = ", ".join(f"{n} {kind}" for kind, n in found.counts().items()) or "nothing found"
        gallery.append((images.thumbnail(annotate.draw(rgb, found)), f"{label}: {counted}"))
        lines.append(f"<li><b>{escape(label)}</b>: {escape(counted)}</li>")
        rows += [{"picture": label, **row} for row in found.rows()]
    link = _link(
        "detections.csv", "text/csv", to_csv(rows, ("picture", *COLUMNS)), "all boxes as CSV"
    )
    return gallery, f"<div class='lab-card'><ul>{''.join(lines)}</ul><p>{link}</p></div>"


def detect_objects(
    picture: ImageLike,
    model: str,
    confidence: float = 0.25,
    iou: float = 0.7,
    size: int | None = None,
    tiles: bool = False,
    words: str | None = None,
) -> dict[str, Any]:
    """Detect objects: everyday ones, handwritten digits, COCO's 80 classes, or what is typed.

    Args:
        picture: PNG, JPEG, WebP, GIF, BMP, TIFF, HEIC or AVIF.
        model: "everyday" (COCO's classes, bundled) or "digits" (bundled), or, downloaded on first
            use, "yolo11n", "yolo11s", "yolo11m", "yolo26n", "yolo26s" or "yolo26m", or
            "yolov8s-worldv2", which finds what `words` say (604 MB); "own" where the server names
            weights in IMAGE_LAB_YOLO, and then the default.
        confidence: least confidence of a box, 0 to 1.
        iou: IoU threshold of non-maximum suppression, 0 to 1; YOLO26 needs none.
        size: px of the longer side of the network's input, 320, 416 or 640; none or another: as
            it was trained.
        tiles: whether a large image is looked at in tiles, too, for small objects in it.
        words: what "yolov8s-worldv2" is to find, separated by commas: up to 20 things of up to 60
            characters; none for the other models.
    Returns:
        {"boxes": [{"class", "confidence", "left", "top", "right", "bottom"}, ...], "counts",
        "speed_ms", "prepared_ms", "note"}: boxes in pixels of the image, how many there are of each
        class, the time of each stage, what the first image of a shape costs once, and a sentence
        where small objects were probably missed.
    """
    if not reads_words(model):
        check_no_words(model, words)
    rgb = np.asarray(images.to_rgb(picture))
    found, note = _detect(rgb, model, confidence, iou, size, tiles, words)
    speed = {k: round(v, 2) for k, v in found.speed_ms.items()}
    return {
        "boxes": found.rows(),
        "counts": found.counts(),
        "speed_ms": speed,
        "prepared_ms": round(found.prepared_ms, 2),
        "note": note,
    }


def _detect(
    rgb: np.ndarray,
    name: str,
    confidence: float,
    iou: float,
    size: int | None,
    tiled: bool,
    words: str | None,
) -> tuple[Any, str]:
    """(detections, a sentence where tiles would find more or "")."""
    from tasks.detection import tiles

    model = open_vocabulary.word_detector(words) if reads_words(name) else loaders.detector(name)
    job = uuid4().hex
    size = size if size is not None and size in model.sizes else model.default_size
    if tiled:
        turn = lambda: scheduling.CORES.frame(job, patient=True)  # noqa: E731
        return tiles.detect_in_tiles(model, rgb, confidence, iou, size=size, turn=turn), ""
    with scheduling.CORES.frame(job):
        found = model.detect_array(rgb, confidence, iou, size=size)
    if not tiles.would_help(found, rgb.shape[:2], size):
        return found, ""
    height, width = rgb.shape[:2]
    return found, (
        f"The image has {width} x {height} px and was looked at with {size} px on its longer side: "
        'small objects are missed. Tick "In tiles" to look at its parts, too.'
    )


def to_csv(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> str:
    """CSV; text that a spreadsheet would read as a formula gets a leading apostrophe."""
    out = io.StringIO()
    writer = csv.DictWriter(out, columns)
    writer.writeheader()
    for row in rows:
        writer.writerow({key: _escape_formula(value) for key, value in row.items()})
    return out.getvalue()


def _escape_formula(value: Any) -> Any:
    return "'" + value if isinstance(value, str) and value[:1] in "=+-@\t\r" else value


def _link(name: str, kind: str, text: str, label: str) -> str:
    return f"<a download='{name}' href='data:{kind};charset=utf-8,{quote(text)}'>{label}</a>"


def result_html(
    found: Any,
    settings: dict[str, Any],
    size_hw: tuple[int, int],
    digits: bool = False,
    note: str = "",
) -> str:
    """Counts per class, times, and the boxes as files.

    Args:
        digits: the bundled network was used, which knows digits only.
        note: what else is to be said.
    """
    counts = "".join(
        f"<tr><td>{escape(kind)}</td><td class='num'>{n}</td></tr>"
        for kind, n in found.counts().items()
    )
    table = (
        f"<table><thead><tr><th>class</th><th>count</th></tr></thead><tbody>{counts}</tbody></table>"
        if counts
        else ""
    )
    speed = ", ".join(f"{stage} {ms:.1f} ms" for stage, ms in found.speed_ms.items())
    if found.prepared_ms:
        speed += (
            f"; the network was prepared for images of this shape in {found.prepared_ms:.0f} "
            "ms, once"
        )
    saved = {**settings, "height": size_hw[0], "width": size_hw[1], "boxes": found.rows()}
    files = " · ".join(
        (
            _link("detections.json", "application/json", json.dumps(saved, indent=1), "JSON"),
            _link("detections.csv", "text/csv", to_csv(found.rows(), COLUMNS), "CSV"),
        )
    )
    summary = (
        f"{len(found)} found"
        if len(found)
        else "Nothing found; a lower confidence threshold may show more"
    )
    if digits and not len(found):
        summary += (
            ". This network knows handwritten digits only; those named COCO find people, cars, "
            "animals and more"
        )
    return (
        f"<div class='lab-card' aria-live='polite'><p><b>{summary}.</b> {escape(note)}</p>{table}"
        f"<p class='lab-lead'>{speed} · {device.name()}, {found.precision} · {files}</p></div>"
    )


def training_size(name: str) -> int:
    """px at which a detector of the page was trained."""
    return 320 if name in models.BUNDLED_DETECTORS else 640


def settings_row(typed: bool = False) -> list[Any]:
    """Model, confidence, IoU, size: the same for images and videos; `typed`: the detector of words,
    too.
    """
    offered = models.detector_choices()
    choices = [(str(c["title"]), str(c["name"])) for c in offered]
    if typed:
        choices.append(open_vocabulary.CHOICE)
    with gr.Row():
        model = gr.Dropdown(
            choices,
            value=str(offered[0]["name"]),
            label="Model",
            filterable=False,
            scale=2,
            min_width=280,
        )
        confidence = gr.Slider(0.05, 0.95, CONFIDENCE, step=0.05, label="Confidence", min_width=190)
        iou = gr.Slider(0.1, 0.95, IOU, step=0.05, label="NMS IoU threshold", min_width=190)
        size = gr.Dropdown(
            [320, 416, 640],
            value=training_size(str(offered[0]["name"])),
            label="Input size, px",
            filterable=False,
            min_width=120,
        )
    model.change(
        training_size, model, size, show_progress="hidden", queue=False, api_visibility="private"
    )
    return [model, confidence, iou, size]


def recorded(name: str, n: int) -> list[Any]:
    """`recordings.outputs`, made by the bundled network: none where another one stands first."""
    bundled = models.detector_choices()[0]["name"] == "everyday"
    return recordings.outputs(name, n) if bundled else [None] * n


def example_of(shown: Any) -> str | None:
    """The image that a recorded result `shown` is about."""
    return next(iter(sample_images(SAMPLES[:1])), None) if shown else None


def build_images() -> None:
    chosen = settings_row(typed=True)
    words, find = words_row(chosen[0])
    settings = [*chosen, gr.Checkbox(False, label="In tiles (large images)")]
    shown_boxes, shown_summary, shown_rows = recorded("detect-images", 3)
    with gr.Row(elem_classes="lab-first"):
        with gr.Column(scale=4, min_width=300):
            shown, image = checked_photo_input(
                "An image", SAMPLES, elem_id="detect-picture", example=example_of(shown_boxes)
            )
            examples.offer_digits(shown, settings[0])
        with gr.Column(scale=6, min_width=300, elem_classes="lab-result"):
            boxes = gr.Image(
                shown_boxes,
                label="Detections",
                format="png",
                interactive=False,
                elem_id="detect-boxes",
                buttons=["download", "fullscreen"],
                height=420,
            )
            send_to("photo", "#detect-boxes img", "Send it with its boxes to…")
            summary = gr.HTML(shown_summary or HINT, elem_id="detect-said")
    with gr.Accordion("All boxes as a table", open=False):
        table = gr.Dataframe(
            shown_rows, headers=list(COLUMNS), interactive=False, label="Boxes, in pixels"
        )
    _wire(image, detect, settings, words, find, [boxes, summary, table])
    _build_several(settings, words, find)
    _api()


def _build_several(settings: list[Any], words: gr.Textbox, find: gr.Button) -> None:
    with gr.Accordion("Several images at once", open=False):
        files = gr.File(
            file_count="multiple",
            file_types=["image"],
            label=f"Up to {MAX_IMAGES} images",
            height=180,
            elem_id="detect-files",
        )
        gallery = gr.Gallery(
            label="Detections",
            format="png",
            columns=3,
            height="auto",
            object_fit="contain",
            interactive=False,
            elem_id="detect-gallery",
            elem_classes="lab-gallery",
        )
        send_gallery("detect-gallery")
        lines = gr.HTML(elem_id="detect-lines")
    _wire(files, detect_in_all, settings, words, find, [gallery, lines])


def _wire(
    given: Any,
    work: Any,
    settings: list[Any],
    words: gr.Textbox,
    find: gr.Button,
    outputs: list[Any],
) -> None:
    """Call `work` when `given` or a setting changes, or the words are sent, after the model is
    loaded.
    """
    prepared = gr.on(
        [given.change, *(s.change for s in settings), words.submit, find.click],
        report_errors(prepare),
        [given, settings[0], words],
        settings[2],
        show_progress_on=outputs[0],
        trigger_mode="always_last",
        concurrency_limit=None,  # who waits for a download keeps nobody from another model
        api_visibility="private",
    )
    prepared.success(
        report_errors(work),
        [given, *settings, words],
        outputs,
        show_progress="minimal",
        trigger_mode="always_last",
        api_visibility="private",
    )


def _api() -> None:
    """The public endpoint, /detect_objects, on hidden components."""
    offered = models.detector_choices()
    sent = image_input(visible=False, label="picture")
    name = gr.Textbox(str(offered[0]["name"]), label="model", visible=False)
    numbers = [number(0.25, "confidence"), number(0.7, "iou"), number(None, "size")]
    found = gr.JSON(visible=False, label="found")
    words = gr.Textbox(None, label="words", visible=False)
    endpoint(detect_objects, [sent, name, *numbers, flag(False, "tiles"), words], found)
