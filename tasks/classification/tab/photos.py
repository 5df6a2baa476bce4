"""Photos: the predicted class, Grad-CAM, and the effect of pretraining.

A new image or model calls `prepare` (downloads, outside the queue of heavy events), then `answer`.
"""

import json
import math
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr
import numpy as np

from tasks import loaders
from tasks.classification import heatmap
from tasks.core import device, images, scheduling, weights
from tasks.core.device import stopwatch
from tasks.core.images import ImageLike
from tasks.core.palettes import INFERNO
from tasks.models import CIFAR10, IMAGENET, IMAGENET_MODELS, PHOTO_MODELS
from tasks.ui import model_card, recordings
from tasks.ui.charts import Axis, Point, Series, chart
from tasks.ui.endpoint import endpoint
from tasks.ui.errors import report_errors
from tasks.ui.image_input import checked_photo_input, image_input, sample_images
from tasks.ui.page.figures import flow
from tasks.ui.page.lead import lead
from tasks.ui.widget import load

TOP = 5
UNCERTAIN = 0.5  # below this probability of the best class the page says so
INPUT_PX = 480  # to which small inputs are enlarged, pixel by pixel

LEAD = lead(
    "A photo, its classes, and where in it the evidence for the top two is.",
    "A network that has learned edges, textures and shapes from a million ImageNet photos needs "
    "only minutes to learn ten new classes: transfer learning. Grad-CAM shows where the evidence "
    "is.",
    flow("image:photo", "narrow:learned on ImageNet", "maps:features", "bars:classes"),
)
MODELS = {
    IMAGENET: "EfficientNet-Lite0 · ImageNet's 1000 classes, bundled",
    **{name: f"{about.title} · {CIFAR10}, bundled" for name, about in PHOTO_MODELS.items()},
    **{
        name: f"{about.title} · ImageNet, downloads {about.megabytes} MB on first use"
        for name, about in IMAGENET_MODELS.items()
    },
}
SAMPLES = (
    ("gradio", "media_assets/images/cheetah.jpg"),
    ("gradio", "media_assets/images/lion.jpg"),
    ("ultralytics", "assets/bus.jpg"),
    ("gradio", "media_assets/images/cheetah1.jpg"),
)
HINT = "<div class='answer'><p>Upload a photo, or click one of the examples.</p></div>"
NO_ANSWER = (
    "<div class='answer'><p>No answer here; the message says why. Another image or model will "
    "work.</p></div>"
)
Outputs = tuple[str, Any, Any, Any, Any]
RECORDED = ("answer", "seen", "first", "second", "compared")
"""What the tab opens with: texts, images, {"titles": of the images, "choices", "choice"}."""


async def prepare(
    image: ImageLike,
    name: str,
    progress: gr.Progress = gr.Progress(),  # noqa: B008
) -> None:
    """Load the chosen model, with its download if need be. Raises WeightsError, BusyError."""
    if image is None or loaders.has_photo_model(name):
        return

    def report(got: int, total: int | None) -> None:
        size = f"of {total / 2**20:.0f} MB" if total else "MB"
        share = got / total if total else None
        progress(share, desc=f"Downloading {name}: {got / 2**20:.0f} {size}")

    await scheduling.LOADS.wait(
        ("photos", str(name)[:40]), lambda told: loaders.photo_model(name, told), report
    )


def answer(image: ImageLike, name: str) -> Outputs:
    """Result, network input, Grad-CAM of the top two classes, choices to compare.

    Raises:
        ImageError, WeightsError.
    """
    if image is None:
        return empty(HINT)
    model = loaders.photo_model(name)
    image = images.to_rgb(image)
    with scheduling.CORES.step():
        with stopwatch() as ms:
            probabilities = model.classify(image)
        top = list(probabilities)[:TOP]
        with stopwatch() as cam_ms:
            cams = model.grad_cams(image, top[:2])
        photo, pixels = model.network_view(image), model.network_input(image)
    times = f"{ms():.0f} ms, Grad-CAM {cam_ms():.0f} ms · {device.name()}"
    first, second = (heat_map(label, photo, cam) for label, cam in zip(top, cams, strict=False))
    side = pixels.shape[0]
    input_update = gr.Image(
        enlarged(pixels),
        label=f"Network input: {side} x {side} px",
        alt_text=f"The photo's central square at {side} by {side} pixels",
    )
    return (
        result_html(probabilities, model.title, times, name in PHOTO_MODELS, model.group_of),
        input_update,
        first,
        second,
        gr.Dropdown(
            [(f"{label} ({percent(probabilities[label])})", label) for label in top],
            value=top[1],
            interactive=True,
        ),
    )


def compare(image: ImageLike, name: str, label: str | None) -> Any:
    """Grad-CAM for another of the top five."""
    if image is None or not label:
        return heat_map("the runner-up")
    model = loaders.photo_model(name)
    if label not in model.classes:  # the model was changed; its own result follows
        return gr.skip()
    with scheduling.CORES.step():
        return heat_map(label, model.network_view(image), model.grad_cam(image, label))


def empty(text: str) -> Outputs:
    """All outputs without a result, with a sentence in its place."""
    seen = gr.Image(None, label="Network input", alt_text="Nothing yet")
    choices = gr.Dropdown([], value=None, interactive=False)
    return text, seen, heat_map("the answer"), heat_map("the runner-up"), choices


def heat_map(label: str, photo: np.ndarray | None = None, cam: np.ndarray | None = None) -> Any:
    """An update of one of the two Grad-CAM images."""
    title = f"Evidence for “{label}”" if photo is not None else f"Evidence for {label}"
    image = heatmap.overlay(photo, cam) if photo is not None and cam is not None else None
    return gr.Image(image, label=title, alt_text=f"Heat map over the photo: {title}")


def enlarged(pixels: np.ndarray) -> np.ndarray:
    """Small images with each pixel as a block, so that no viewer blurs them."""
    times = max(1, INPUT_PX // pixels.shape[0])
    return pixels.repeat(times, 0).repeat(times, 1)


def percent(p: float) -> str:
    return f"{100 * p:.1f} %"


def with_group(label: str, group_of: Mapping[str, str] | None) -> str:
    """ "golden retriever (dog)"; the label alone where it has no everyday word or is one."""
    group = (group_of or {}).get(label, "")
    return f"{label} ({group})" if group and group.lower() not in label.lower() else label


def result_html(
    probabilities: Mapping[str, float],
    title: str,
    times: str,
    ten_classes: bool,
    group_of: Mapping[str, str] | None = None,
) -> str:
    """The predicted class, the top five as bars, entropy, time."""
    top = list(probabilities.items())[:TOP]
    bars = "".join(
        f"<li><span>{escape(with_group(label, group_of))}</span><i><b "
        f"style='width:{100 * p:.2f}%'></b></i><em>{percent(p)}</em></li>"
        for label, p in top
    )
    bits = -sum(p * math.log2(p) for p in probabilities.values() if p > 0)
    doubt = f"entropy {bits:.1f} of {math.log2(len(probabilities)):.1f} bits"
    uncertain = top[0][1] < UNCERTAIN
    certainty = f"Uncertain: {doubt}." if uncertain else f"{doubt.capitalize()}."
    note = (
        " The network knows ten classes and assigns one of them to any photo."
        if ten_classes
        else ""
    )
    css = " class='unsure'" if uncertain else ""
    saved = json.dumps(
        {"model": title, "probabilities": {k: round(p, 6) for k, p in top}, "time": times}, indent=1
    )
    return (
        f"<div class='answer' aria-live='polite'><h2>{escape(with_group(top[0][0], group_of))}</h2>"
        f"<ol>{bars}</ol>"
        f"<p{css}>{certainty}{note}</p><p class='time'>{escape(title)} · {escape(times)} "
        f"<a download='classification.json' href='data:application/json,{quote(saved)}'>"
        "save as JSON</a></p></div>"
    )


def classify_photo(picture: ImageLike, model: str = "cifar10") -> dict[str, float]:
    """Classify a photo: one of ImageNet's thousand classes or of CIFAR-10's ten.

    Args:
        picture: PNG, JPEG, WebP, GIF, BMP, TIFF, HEIC or AVIF; its central square is classified.
        model: "imagenet" (1000 classes, bundled), "cifar10" (an ensemble of two networks),
            "cifar10_lite0" or "cifar10_lite2" (one of them), or, downloaded on first use,
            "efficientnet_b0", "efficientnet_v2_s", "resnet50" or "vgg16".
    Returns:
        {class: probability} of the five most probable classes, best first.
    """
    images.to_rgb(picture)  # no download for an image that will be refused
    classifier = loaders.photo_model(model)
    with scheduling.CORES.step():
        return {k: round(p, 6) for k, p in list(classifier.classify(picture).items())[:TOP]}


def build_photos() -> None:
    gr.HTML(LEAD)
    shown = dict(zip(RECORDED, recordings.outputs("photos", len(RECORDED)), strict=True))
    compared = shown["compared"] or {}
    example = next(iter(sample_images(SAMPLES[:1])), None) if compared else None
    with gr.Row():
        with gr.Column(scale=5, min_width=300):
            _, image = checked_photo_input(
                "A photo", SAMPLES, elem_id="photo-picture", example=example
            )
        with gr.Column(scale=6, min_width=300, elem_classes="lab-result"):
            model = gr.Dropdown(
                [(title, name) for name, title in MODELS.items()],
                value=IMAGENET,
                label="Model",
                filterable=False,
                elem_id="photo-model",
            )
            result = gr.HTML(
                shown["answer"] or HINT,
                css_template=load(Path(__file__).parent, "photos").css,
                elem_id="photo-answer",
            )
    with gr.Row():
        titles = compared.get("titles", ["Network input", "Evidence", "Evidence, second"])
        pixels = _result_image(titles[0], "photo-seen", shown["seen"])
        first = _result_image(titles[1], "photo-cam", shown["first"])
        second = _result_image(titles[2], "photo-cam-other", shown["second"])
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            gr.HTML(legend_html())
        with gr.Column(scale=1, min_width=260):
            other = gr.Dropdown(
                [(text, label) for text, label in compared.get("choices", [])],
                value=compared.get("choice"),
                label="Compare with",
                filterable=False,
                interactive=bool(compared),
                elem_id="photo-other",
            )
    _wire(image, model, other, [result, pixels, first, second, other])
    _api()
    _lessons()
    for about in PHOTO_MODELS.values():
        if len(about.members) == 1:
            model_card.show_card(about.members[0], about.title)


def _result_image(label: str, elem_id: str, value: str | None) -> gr.Image:
    return gr.Image(
        value,
        label=label,
        alt_text=f"The photo: {label}" if value else "Nothing yet",
        format="png",
        interactive=False,
        height=300,
        min_width=260,
        buttons=["download", "fullscreen"],
        elem_id=elem_id,
    )


def _wire(image: gr.State, model: gr.Dropdown, other: gr.Dropdown, outputs: list[Any]) -> None:
    """Classify when image or model changes; another Grad-CAM when `other` does."""
    result, _, _, second, _ = outputs
    prepared = gr.on(
        [image.change, model.change],
        report_errors(prepare),
        [image, model],
        None,
        show_progress_on=result,
        trigger_mode="always_last",
        concurrency_limit=None,  # who waits for a download keeps nobody from another model
        api_visibility="private",
    )
    answered = prepared.success(
        report_errors(answer),
        [image, model],
        outputs,
        trigger_mode="always_last",
        show_progress="minimal",
        show_progress_on=result,
        api_visibility="private",
    )
    for step in (prepared, answered):
        step.failure(
            lambda: empty(NO_ANSWER),
            None,
            outputs,
            show_progress="hidden",
            api_visibility="private",
        )
    other.input(
        report_errors(compare),
        [image, model, other],
        second,
        trigger_mode="always_last",
        show_progress="minimal",
        api_visibility="private",
    )


def _api() -> None:
    """The public endpoint, /classify_photo, on hidden components."""
    sent = image_input(visible=False, label="picture")
    name = gr.Dropdown(list(MODELS), value="cifar10", label="model", visible=False)
    found = gr.JSON(visible=False, label="probabilities")
    endpoint(classify_photo, [sent, name], found)


def _lessons() -> None:
    for name, html in (("photos", curves_html), ("photos_lite2", ensemble_html)):
        try:
            text = html(weights.read_card(name))
        except (weights.WeightsError, KeyError, TypeError, ValueError):
            continue  # no card may break the page; show_card and the model itself say what is wrong
        if text:
            gr.HTML(text)


def ensemble_html(shown: weights.Card) -> str:
    """The effect of the ensemble: test errors of each member, and of both."""
    table = shown.tables.get("together")
    if not table:
        return ""
    n, (one, other), both = shown.metrics[0].n, table["wrong"], table["both_wrong"]
    alone = [f"{100 - 100 * wrong / n:.1f}" for wrong in (one, other)]
    return (
        "<h2 class='lab-section'>Effect of the ensemble</h2><p class='lab-lead'>"
        f"Of {n:,} test photos "
        f"EfficientNet-Lite0 classifies {one:,} wrongly, the larger Lite2 {other:,}; {both:,} are "
        "the same. The mean of their logits is therefore right more often than either: "
        f"{100 * table['accuracy']:.1f} % (alone {' and '.join(alone)} %).</p>"
    )


def curves_html(shown: weights.Card) -> str:
    """The effect of pretraining: learning curves with and without, and both scores."""
    scratch = shown.tables.get("from_scratch")
    if not scratch:
        return ""
    batch = shown.tables.get("batch")
    unit = batch / 1000 if batch else 1

    def points(curve: list[dict[str, float]]) -> list[Point]:
        return [(p["step"] * unit, 100 * p["val_accuracy"]) for p in curve if "val_accuracy" in p]

    curves = chart(
        [Series("ImageNet", points(shown.curve)), Series("random", points(scratch["curve"]))],
        Axis("training images seen, thousands" if batch else "training step"),
        Axis("validation accuracy, %"),
    )
    ours, first = shown.metrics[0].value, shown.tables.get("first_cycle")
    further = (
        f" A further cycle, towards a flatter minimum, brought the first to {ours:.1f} %."
        if first
        else ""
    )
    return (
        "<h2 class='lab-section'>Effect of pretraining</h2><p class='lab-lead'>"
        "The same network on the same "
        f"CIFAR-10 photos, once from ImageNet weights ({100 * first if first else ours:.1f} % of "
        f"the test photos right), once from random ones ({100 * scratch['test_accuracy']:.1f} "
        f"%), in about as many steps.{further}</p>"
        f"{curves}"
    )


def legend_html() -> str:
    return (
        "<div style='display:flex;align-items:center;gap:.6rem;"
        "color:var(--body-text-color-subdued);font-size:.85rem'><span>no evidence</span>"
        "<span role='img' aria-label='colour scale from dark to light' style='flex:1;"
        "max-width:14rem;height:.7rem;border-radius:4px;"
        f"background:linear-gradient(90deg,{','.join(INFERNO)})'>"
        "</span><span>most evidence</span></div>"
    )
