"""Photos: what a network takes a picture for, where it looked, and what pretraining buys.

A picture or a model chosen -> `prepare` (downloads, outside the queue of heavy events) -> `answer` (computes).
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

from tasks import compute, heatmap, images, weights
from tasks.images import ImageLike
from tasks.photo_models import BUNDLED_MODELS, CIFAR10, IMAGENET_MODELS
from tasks.tabs import card, models
from tasks.tabs.errors import answering
from tasks.tabs.picture import checked_photo_input, picture_input

TOP = 5
UNSURE = 0.5  # below this probability of the best class the page says so
SEEN_PX = 480  # to which small inputs are enlarged, pixel by pixel
HERE = Path(__file__).parent

LEAD = (
    "<p class='lab-lead'>A network that has learnt edges, textures and shapes from a million ImageNet photos needs "
    "only minutes to learn ten new classes: that is transfer learning. Give it a photo; Grad-CAM shows which part of "
    "it spoke for the answer, and which for the runner-up.</p>"
)
MODELS = {
    **{name: f"{about.title} · {CIFAR10}, bundled" for name, about in BUNDLED_MODELS.items()},
    **{
        name: f"{about.title} · ImageNet, downloads {about.megabytes} MB on first use"
        for name, about in IMAGENET_MODELS.items()
    },
}
SAMPLES = (
    ("gradio", "media_assets/images/cheetah1.jpg"),
    ("gradio", "media_assets/images/lion.jpg"),
    ("gradio", "media_assets/images/cheetah.jpg"),
    ("ultralytics", "assets/bus.jpg"),
    ("gradio", "media_assets/images/tower.jpg"),
)
HINT = "<div class='answer'><p>Give it a photo, or click one of the examples.</p></div>"
NO_ANSWER = "<div class='answer'><p>No answer here; the message says why. Another picture or model will work.</p></div>"
Outputs = tuple[str, Any, Any, Any, Any]


def prepare(picture: ImageLike, name: str, progress: gr.Progress = gr.Progress()) -> None:  # noqa: B008
    """Load the chosen model, with its download if need be. Raises WeightsError, ImageError."""
    if picture is None or models.has_photo_model(name):
        return
    images.to_rgb(picture)  # no download for a picture that will be refused

    def report(got: int, total: int | None) -> None:
        size = f"of {total / 2**20:.0f} MB" if total else "MB"
        progress(got / total if total else None, desc=f"Downloading {name}: {got / 2**20:.0f} {size}")

    models.photo_model(name, report)


def answer(picture: ImageLike, name: str) -> Outputs:
    """Result, "what the network sees", Grad-CAM of answer and runner-up, choices to compare. Raises ImageError."""
    if picture is None:
        return empty(HINT)
    model = models.photo_model(name)
    picture = images.to_rgb(picture)
    with compute.HEAVY:
        with compute.stopwatch() as ms:
            probabilities = model.classify(picture)
        top = list(probabilities)[:TOP]
        with compute.stopwatch() as cam_ms:
            cams = model.grad_cams(picture, top[:2])
        photo, seen = model.viewed(picture), model.seen(picture)
    times = f"{ms():.0f} ms, Grad-CAM {cam_ms():.0f} ms · {compute.device_name()}"
    first, second = (where(label, photo, cam) for label, cam in zip(top, cams, strict=False))
    side = seen.shape[0]
    seen_update = gr.Image(enlarged(seen), label=f"What the network sees: {side} x {side} px",
                           alt_text=f"The photo's central square at {side} by {side} pixels")  # fmt: skip
    return (result_html(probabilities, model.title, times, name in BUNDLED_MODELS), seen_update, first, second,
            gr.Dropdown([(f"{label} ({percent(probabilities[label])})", label) for label in top], value=top[1],
                        interactive=True))  # fmt: skip


def compare(picture: ImageLike, name: str, label: str | None) -> Any:
    """Grad-CAM for another of the top five."""
    if picture is None or not label:
        return where("the runner-up")
    model = models.photo_model(name)
    if label not in model.classes:  # the model has just been changed; its own answer is on its way
        return gr.skip()
    with compute.HEAVY:
        return where(label, model.viewed(picture), model.grad_cam(picture, label))


def empty(text: str) -> Outputs:
    """All outputs without a result, with a sentence in its place."""
    seen = gr.Image(None, label="What the network sees", alt_text="Nothing yet")
    choices = gr.Dropdown([], value=None, interactive=False)
    return text, seen, where("the answer"), where("the runner-up"), choices


def where(label: str, photo: np.ndarray | None = None, cam: np.ndarray | None = None) -> Any:
    """An update of one of the two heat maps."""
    title = f"Where it looked for “{label}”" if photo is not None else f"Where it looked for {label}"
    picture = heatmap.overlay(photo, cam) if photo is not None and cam is not None else None
    return gr.Image(picture, label=title, alt_text=f"Heat map over the photo: {title}")


def enlarged(seen: np.ndarray) -> np.ndarray:
    """Small pictures with each pixel as a block, so that no viewer blurs them."""
    times = max(1, SEEN_PX // seen.shape[0])
    return seen.repeat(times, 0).repeat(times, 1)


def percent(p: float) -> str:
    return f"{100 * p:.1f} %"


def result_html(probabilities: Mapping[str, float], title: str, times: str, ten_classes: bool) -> str:
    """The answer, the five best as bars, how sure it is, what it took."""
    top = list(probabilities.items())[:TOP]
    bars = "".join(
        f"<li><span>{escape(label)}</span><i><b style='width:{100 * p:.2f}%'></b></i><em>{percent(p)}</em></li>"
        for label, p in top
    )
    bits = -sum(p * math.log2(p) for p in probabilities.values() if p > 0)
    doubt = f"entropy {bits:.1f} of {math.log2(len(probabilities)):.1f} bits"
    sure = f"It is unsure: {doubt}." if top[0][1] < UNSURE else f"How spread its belief is: {doubt}."
    note = " It knows ten classes only and will choose one of them for anything." if ten_classes else ""
    unsure = " class='unsure'" if top[0][1] < UNSURE else ""
    saved = json.dumps({"model": title, "probabilities": {k: round(p, 6) for k, p in top}, "time": times}, indent=1)
    return (
        f"<div class='answer' aria-live='polite'><h3>{escape(top[0][0])}</h3><ol>{bars}</ol>"
        f"<p{unsure}>{sure}{note}</p><p class='time'>{escape(title)} · {escape(times)} "
        f"<a download='classification.json' href='data:application/json,{quote(saved)}'>save as JSON</a></p></div>"
    )


def classify_photo(picture: ImageLike, model: str = "cifar10") -> dict[str, float]:
    """Say what a photo shows: one of ten classes (bundled) or of ImageNet's thousand.

    Args:
        picture: PNG, JPEG, WebP, GIF, BMP or TIFF; its central square is classified.
        model: "cifar10" (two networks together), "cifar10_lite0" or "cifar10_lite2" (one of them), or, downloaded on
            first use, "efficientnet_b0", "efficientnet_v2_s", "resnet50" or "vgg16".
    Returns:
        {class: probability} of the five most probable classes, best first.
    """
    images.to_rgb(picture)  # no download for a picture that will be refused
    classifier = models.photo_model(model)
    with compute.HEAVY:
        return {k: round(p, 6) for k, p in list(classifier.classify(picture).items())[:TOP]}


def build_photos() -> None:
    gr.HTML(LEAD)
    with gr.Row():
        with gr.Column(scale=5, min_width=300):
            _, picture = checked_photo_input("A photo", SAMPLES, elem_id="photo-picture")
        with gr.Column(scale=6, min_width=300):
            model = gr.Dropdown([(title, name) for name, title in MODELS.items()], value="cifar10", label="Model",
                                filterable=False, elem_id="photo-model")  # fmt: skip
            result = gr.HTML(HINT, css_template=(HERE / "photo_answer.css").read_text(encoding="utf-8"),
                             elem_id="photo-answer")  # fmt: skip
    with gr.Row():
        seen, first, second = (
            gr.Image(label=label, format="png", interactive=False, height=300, min_width=260,
                     buttons=["download", "fullscreen"], elem_id=elem_id)
            for label, elem_id in (("What the network sees", "photo-seen"),
                                   ("Where it looked for the answer", "photo-cam"),
                                   ("Where it looked for the runner-up", "photo-cam-other"))
        )  # fmt: skip
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            gr.HTML(legend_html())
        with gr.Column(scale=1, min_width=260):
            other = gr.Dropdown([], label="Compare with", filterable=False, interactive=False, elem_id="photo-other")
    outputs = [result, seen, first, second, other]
    prepared = gr.on(
        [picture.change, model.change], answering(prepare), [picture, model], None, show_progress_on=result,
        trigger_mode="always_last", concurrency_id="downloads", api_visibility="private",
    )  # fmt: skip
    answered = prepared.success(
        answering(answer), [picture, model], outputs, trigger_mode="always_last", show_progress="minimal",
        show_progress_on=result, concurrency_id="heavy", api_visibility="private",
    )  # fmt: skip
    for step in (prepared, answered):
        step.failure(lambda: empty(NO_ANSWER), None, outputs, show_progress="hidden", api_visibility="private")
    other.input(answering(compare), [picture, model, other], second, trigger_mode="always_last",
                show_progress="minimal", concurrency_id="heavy", api_visibility="private")  # fmt: skip
    _api()
    _lessons()
    for about in BUNDLED_MODELS.values():
        if len(about.members) == 1:
            card.show_card(about.members[0], about.title)


def _api() -> None:
    """The public endpoint, /classify_photo, on hidden components of its own."""
    sent = picture_input(visible=False, label="picture")
    name = gr.Dropdown(list(MODELS), value="cifar10", label="model", visible=False)
    gr.Button(visible=False).click(
        answering(classify_photo), [sent, name], gr.JSON(visible=False, label="probabilities"),
        api_name="classify_photo", api_description=classify_photo.__doc__, concurrency_id="downloads",
    )  # fmt: skip


def _lessons() -> None:
    for name, html in (("photos", curves_html), ("photos_lite2", together_html)):
        try:
            text = html(weights.read_card(name))
        except (weights.WeightsError, KeyError, TypeError, ValueError):
            continue  # no card may break the page; show_card and the model itself say what is wrong
        if text:
            gr.HTML(text)


def together_html(shown: weights.Card) -> str:
    """What a second network buys: what each has wrong on the test photos, and both."""
    table = shown.tables.get("together")
    if not table:
        return ""
    n, (one, other), both = shown.metrics[0].n, table["wrong"], table["both_wrong"]
    alone = [f"{100 - 100 * wrong / n:.1f}" for wrong in (one, other)]
    return (
        "<h3>What a second network buys</h3><p class='lab-lead'>"
        f"Of {n:,} test photos EfficientNet-Lite0 has {one:,} wrong, the larger Lite2 {other:,}; {both:,} are the "
        "same. So the mean of their logits is right more often than either: "
        f"{100 * table['accuracy']:.1f} % (alone {' and '.join(alone)} %). "
        "Choose one of them above, and see where they part.</p>"
    )


def curves_html(shown: weights.Card) -> str:
    """What pretraining buys: both learning curves over the pictures seen, and both scores."""
    scratch = shown.tables.get("from_scratch")
    if not scratch:
        return ""
    batch = shown.tables.get("batch")
    unit = batch / 1000 if batch else 1

    def points(curve: list[dict[str, float]]) -> card.Curve:
        return [(p["step"] * unit, 100 * p["val_accuracy"]) for p in curve if "val_accuracy" in p]

    svg = card.learning_curves(
        {"ImageNet": points(shown.curve), "random": points(scratch["curve"])},
        "training pictures seen, thousands" if batch else "training step",
        "validation accuracy, %",
    )
    ours, first = shown.metrics[0].value, shown.tables.get("first_cycle")
    further = f" A further cycle, towards a flatter minimum, brought the first to {ours:.1f} %." if first else ""
    return (
        "<h3>What pretraining buys</h3><p class='lab-lead'>The same network on the same CIFAR-10 photos, once from "
        f"ImageNet weights ({100 * first if first else ours:.1f} % of the test photos right), once from random ones "
        f"({100 * scratch['test_accuracy']:.1f} %), in about as many steps.{further}</p>"
        f"<div class='lab-scroll' tabindex='0'>{svg}</div>"
    )


def legend_html() -> str:
    return (
        "<div style='display:flex;align-items:center;gap:.6rem;color:var(--body-text-color-subdued);font-size:.85rem'>"
        "<span>said nothing</span><span role='img' aria-label='colour scale from dark to light' style='flex:1;"
        f"max-width:14rem;height:.7rem;border-radius:4px;background:linear-gradient(90deg,{','.join(heatmap.STOPS)})'>"
        "</span><span>spoke for it most</span></div>"
    )
