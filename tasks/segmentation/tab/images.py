"""Segmentation of an image: classes as an overlay, the value under the pointer, files to save.

A changed image or setting calls `answer`, whose result goes to the viewer (images.html, .css,
.js): the image, a class and a confidence for each pixel, the uncertainty. The viewer needs no
server for opacity, classes and pointer.
"""

import json
import tempfile
from collections.abc import Iterator
from html import escape
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from tasks import loaders, models
from tasks.core import device, images, scheduling
from tasks.core.images import ImageLike, png_bytes
from tasks.core.palettes import INFERNO, to_hex
from tasks.ui.endpoint import endpoint, flag
from tasks.ui.errors import report_errors
from tasks.ui.image_input import checked_photo_input, image_input, sample_images
from tasks.ui.widget import data_url, widget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.segmentation.segmenter import Scene, Segmenter

VIEW_SIDE = 1280  # px of the longer side in the page
UNSURE = 0.5  # entropy, as a share of its maximum, from which a pixel counts as unsure
SAMPLES = (
    ("ultralytics", "assets/bus.jpg"),
    ("gradio", "media_assets/images/tower.jpg"),
    ("gradio", "media_assets/images/lion.jpg"),
)
SIZES = {
    "480 px, as in training": 480,
    "640 px": 640,
    "960 px": 960,
    "all pixels, in tiles": 0,
}
"""Choice in the page -> px of the longer side of the network's input; 0: all pixels, in tiles."""


def answer(image: ImageLike, name: str, size: str, flip: bool, sizes: bool) -> Any:
    """The viewer's value, {} without an image. Raises ImageError, WeightsError."""
    if image is None:
        return {}
    model = loaders.segmenter(name)
    rgb = np.asarray(images.to_rgb(image))
    longest = SIZES.get(size, 640) or None
    with scheduling.CORES.step():
        scene = model.predict(rgb, flip=flip, longest=longest, scales=scales_for(sizes))
    settings = {"model": name, "looked_at": size, "mirror_image_too": flip, "three_sizes": sizes}
    return viewer_value(rgb, scene, model, settings)


def scales_for(three_sizes: bool) -> "Sequence[float]":
    """The scales for `Segmenter.predict`."""
    from tasks.segmentation.segmenter import ONE_SCALE, THREE_SCALES

    return THREE_SCALES if three_sizes else ONE_SCALE


def viewer_value(
    rgb: np.ndarray, scene: "Scene", model: "Segmenter", settings: dict[str, Any]
) -> dict[str, Any]:
    """What images.js shows: images as data URLs, numbers and texts."""
    from PIL import Image

    scale = min(1.0, VIEW_SIDE / max(rgb.shape[:2]))
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    classes = Image.fromarray(scene.class_id).resize(size, Image.Resampling.NEAREST)
    said = (
        f"{rgb.shape[1]} x {rgb.shape[0]} px, network input "
        f"{scene.entropy.shape[1]} x {scene.entropy.shape[0]} px · "
        f"{scene.speed_ms['all']:.0f} ms · {model.engine.title}, {device.name()}, "
        f"{model.engine.precision}"
    )
    unsure = float((scene.entropy > UNSURE).mean())
    return {
        "picture": jpeg_url(
            np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS))
        ),
        "classes": data_url(png_bytes(np.asarray(classes))),
        "confidence": data_url(png_bytes((scene.confidence * 100).round().astype(np.uint8))),
        "entropy": data_url(png_bytes((scene.entropy * 255).round().astype(np.uint8))),
        "names": list(scene.class_names),
        "colours": to_hex(scene.palette),
        "shares": [scene.shares()[name] for name in scene.class_names],
        "unsure": unsure,
        "said": said,
        "mask": data_url(palette_png(scene)),
        "about": json.dumps(mask_info(scene, settings), indent=1),
    }


def mask_info(scene: "Scene", settings: dict[str, Any]) -> dict[str, Any]:
    """The JSON that describes a mask: names, colours and shares of the ids, settings."""
    shares = scene.shares()
    listed = [
        {"id": i, "name": name, "rgb": scene.palette[i].tolist(), "share": round(shares[name], 6)}
        for i, name in enumerate(scene.class_names)
    ]
    high, wide = scene.class_id.shape
    return {"width": wide, "height": high, **settings, "classes": listed}


def palette_png(scene: "Scene") -> bytes:
    """The classes at the image's size as a PNG whose palette has their colours."""
    from PIL import Image

    image = Image.fromarray(scene.class_id, mode=None)
    image.putpalette(scene.palette.tobytes())
    buffer = BytesIO()
    image.save(buffer, "PNG", optimize=False)
    return buffer.getvalue()


def jpeg_url(rgb: np.ndarray, quality: int = 90) -> str:
    from PIL import Image

    buffer = BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=quality)
    return data_url(buffer.getvalue(), "image/jpeg")


def segment_scene(
    picture: ImageLike, model: str = "segmentation", flip: bool = True, sizes: bool = False
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give every pixel of a road scene one of eleven classes: road, pavement, car, pedestrian ...

    Args:
        picture: PNG, JPEG, WebP, GIF, BMP, TIFF, HEIC or AVIF of at least 32 px a side.
        model: "segmentation" or "segmentation_unet".
        flip: test-time augmentation, average with the mirrored image: slightly better, twice the
            time.
        sizes: test-time augmentation, average over three sizes: better again, three times the
            time.
    Returns:
        The classes as a PNG of the image's size, whose values are class ids and whose palette has
        their colours, and {"width", "height", "model", "mirror_image_too", "three_sizes",
        "classes": [{"id", "name", "rgb", "share"}, ...]}.
    """
    network = loaders.segmenter(model)
    rgb = np.asarray(images.to_rgb(picture))
    with scheduling.CORES.step():
        scene = network.predict(rgb, flip=flip, scales=scales_for(sizes))
    # gradio copies the file into its cache before the folder is deleted
    with tempfile.TemporaryDirectory(prefix="image-lab-") as folder:
        file = Path(folder) / "classes.png"
        file.write_bytes(palette_png(scene))
        settings = {"model": model, "mirror_image_too": flip, "three_sizes": sizes}
        yield str(file), mask_info(scene, settings)


def build_images() -> gr.State:
    """The sub-tab "Image"; returns the path of its image."""
    with gr.Row():
        with gr.Column(scale=4, min_width=300):
            _, image = checked_photo_input(
                "A road scene",
                SAMPLES,
                elem_id="segment-picture",
                height=260,
                example=next(iter(sample_images(SAMPLES[:1])), None),
            )
            model = gr.Dropdown(
                models.segmenter_choices(),
                value=models.segmenter_choices()[0][1],
                label="Network",
                filterable=False,
                elem_id="segment-model",
            )
            size = gr.Dropdown(
                list(SIZES),
                value="640 px",
                label="Network input",
                filterable=False,
                elem_id="segment-size",
            )
            flip = gr.Checkbox(
                True, label="Test-time augmentation: flip (slightly better, twice the time)"
            )
            sizes = gr.Checkbox(
                False, label="Test-time augmentation: three sizes (three times the time)"
            )
        with gr.Column(scale=8, min_width=300, elem_classes="lab-result"):
            view = widget(
                (Path(__file__).parent, "images"),
                elem_id="segment-view",
                marks={"heat": escape(json.dumps(INFERNO)), "ramp": ", ".join(INFERNO)},
            )
    gr.on(
        [image.change, model.change, size.change, flip.change, sizes.change],
        report_errors(answer),
        [image, model, size, flip, sizes],
        view,
        trigger_mode="always_last",
        show_progress="minimal",
        api_visibility="private",
    )
    _api()
    return image


def _api() -> None:
    """The public endpoint, /segment_scene, on hidden components."""
    sent = image_input(visible=False, label="picture")
    name = gr.Dropdown(list(models.SEGMENTERS), value="segmentation", label="model", visible=False)
    flags = [flag(True, "flip"), flag(False, "sizes")]
    outputs = [gr.File(visible=False, label="mask"), gr.JSON(visible=False, label="classes")]
    endpoint(segment_scene, [sent, name, *flags], outputs)
