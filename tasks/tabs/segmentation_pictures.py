"""Segmentation of a picture: classes over it, read under the pointer in the page, to take away.

A picture or a setting -> `answer` (computes) -> the viewer (segmentation_view.html, .css, .js), which has all it needs:
the picture, a class and a confidence for each pixel, the uncertainty. Opacity, classes and pointer ask nobody.
"""

import base64
import json
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from tasks import compute, images
from tasks.images import ImageLike, png_bytes
from tasks.tabs import segmenters
from tasks.tabs.errors import answering, answering_steps
from tasks.tabs.picture import checked_photo_input, picture_input

if TYPE_CHECKING:
    from tasks.segmentation import Scene, Segmenter

HERE = Path(__file__).parent
SHOWN = 1280  # px of the longer side in the page
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
"""What the page offers -> px of the longer side to which larger pictures are reduced; 0: none are."""


def answer(picture: ImageLike, name: str, size: str, flip: bool, sizes: bool) -> Any:
    """All that the viewer shows, or {} without a picture. Raises ImageError, WeightsError."""
    if picture is None:
        return {}
    model = segmenters.segmenter(name)
    rgb = np.asarray(images.to_rgb(picture))
    longest = SIZES.get(size, 640) or None
    with compute.HEAVY:
        scene = model.look(rgb, flip=flip, longest=longest, scales=segmenters.scales(sizes))
    settings = {"model": name, "looked_at": size, "mirror_image_too": flip, "three_sizes": sizes}
    return shown(rgb, scene, model, settings)


def shown(rgb: np.ndarray, scene: "Scene", model: "Segmenter", settings: dict[str, Any]) -> dict[str, Any]:
    """The viewer's value: pictures as data URLs, the rest as it is."""
    from PIL import Image

    scale = min(1.0, SHOWN / max(rgb.shape[:2]))
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    classes = Image.fromarray(scene.class_id).resize(size, Image.Resampling.NEAREST)
    looked = f"{scene.entropy.shape[1]} x {scene.entropy.shape[0]} px"
    unsure = float((scene.entropy > UNSURE).mean())
    return {
        "picture": jpeg_url(np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS))),
        "classes": url(png_bytes(np.asarray(classes))),
        "confidence": url(png_bytes((scene.confidence * 100).round().astype(np.uint8))),
        "entropy": url(png_bytes((scene.entropy * 255).round().astype(np.uint8))),
        "names": list(scene.class_names),
        "colours": ["#{:02x}{:02x}{:02x}".format(*colour) for colour in scene.palette.tolist()],
        "shares": [scene.shares()[name] for name in scene.class_names],
        "unsure": unsure,
        "said": f"{rgb.shape[1]} x {rgb.shape[0]} px, looked at as {looked} · {scene.speed_ms['all']:.0f} ms · "
        f"{model.engine.title}, {compute.device_name()}",
        "mask": url(palette_png(scene)),
        "about": json.dumps(about(scene, settings), indent=1),
    }


def about(scene: "Scene", settings: dict[str, Any]) -> dict[str, Any]:
    """What goes with a mask: the ids' names and colours, their shares, the settings."""
    shares = scene.shares()
    listed = [{"id": i, "name": name, "rgb": scene.palette[i].tolist(), "share": round(shares[name], 6)}
              for i, name in enumerate(scene.class_names)]  # fmt: skip
    high, wide = scene.class_id.shape
    return {"width": wide, "height": high, **settings, "classes": listed}


def palette_png(scene: "Scene") -> bytes:
    """The classes at the picture's own size as a PNG whose palette has their colours."""
    from PIL import Image

    image = Image.fromarray(scene.class_id, mode=None)
    image.putpalette(scene.palette.tobytes())
    buffer = BytesIO()
    image.save(buffer, "PNG", optimize=False)
    return buffer.getvalue()


def url(blob: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(blob).decode()}"


def jpeg_url(rgb: np.ndarray, quality: int = 90) -> str:
    from PIL import Image

    buffer = BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=quality)
    return url(buffer.getvalue(), "image/jpeg")


def segment_scene(
    picture: ImageLike, model: str = "segmentation", flip: bool = True, sizes: bool = False
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give every pixel of a road scene one of eleven classes: road, pavement, car, pedestrian ...

    Args:
        picture: PNG, JPEG, WebP, GIF, BMP or TIFF of at least 32 px a side.
        model: "segmentation", the only one so far.
        flip: look at the mirror image, too, and average; a little better, twice the time.
        sizes: look at three sizes of the picture and average; a little better again, three times the time.
    Returns:
        The classes as a PNG of the picture's own size, whose values are class ids and whose palette has their colours,
        and {"width", "height", "model", "mirror_image_too", "three_sizes", "classes": [{"id", "name", "rgb", "share"},
        ...]}.
    """
    network = segmenters.segmenter(model)
    rgb = np.asarray(images.to_rgb(picture))
    with compute.HEAVY:
        scene = network.look(rgb, flip=flip, scales=segmenters.scales(sizes))
    with tempfile.TemporaryDirectory(prefix="image-lab-") as folder:  # copied into gradio's cache before it goes
        file = Path(folder) / "classes.png"
        file.write_bytes(palette_png(scene))
        yield str(file), about(scene, {"model": model, "mirror_image_too": flip, "three_sizes": sizes})


def build_pictures() -> gr.State:
    """The picture's part of the tab; returns the path of the picture that is in it."""
    with gr.Row():
        with gr.Column(scale=4, min_width=300):
            _, picture = checked_photo_input("A road scene", SAMPLES, elem_id="segment-picture", height=260)
            model = gr.Dropdown(segmenters.choices(), value=segmenters.choices()[0][1], label="Network",
                                filterable=False, elem_id="segment-model")  # fmt: skip
            size = gr.Dropdown(list(SIZES), value="640 px", label="Larger pictures are looked at in", filterable=False,
                               elem_id="segment-size")  # fmt: skip
            flip = gr.Checkbox(True, label="Look at the mirror image, too (a little better, twice the time)")
            sizes = gr.Checkbox(False, label="Look at three sizes (better again, three times the time)")
        with gr.Column(scale=8, min_width=300):
            view = gr.HTML(
                html_template=(HERE / "segmentation_view.html").read_text(encoding="utf-8"),
                css_template=(HERE / "segmentation_view.css").read_text(encoding="utf-8"),
                js_on_load=(HERE / "segmentation_view.js").read_text(encoding="utf-8"),
                elem_id="segment-view",
            )
    gr.on(
        [picture.change, model.change, size.change, flip.change, sizes.change], answering(answer),
        [picture, model, size, flip, sizes], view,
        trigger_mode="always_last", show_progress="minimal", concurrency_id="heavy", api_visibility="private",
    )  # fmt: skip
    _api()
    return picture


def _api() -> None:
    """The public endpoint, /segment_scene, on hidden components of its own."""
    sent = picture_input(visible=False, label="picture")
    name = gr.Dropdown(list(segmenters.TITLES), value="segmentation", label="model", visible=False)
    flip = gr.Checkbox(True, label="flip", visible=False)
    sizes = gr.Checkbox(False, label="sizes", visible=False)
    outputs = [gr.File(visible=False, label="mask"), gr.JSON(visible=False, label="classes")]
    gr.Button(visible=False).click(
        answering_steps(segment_scene), [sent, name, flip, sizes], outputs, api_name="segment_scene",
        api_description=segment_scene.__doc__, concurrency_id="heavy",
    )  # fmt: skip
