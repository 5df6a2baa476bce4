"""Super-resolution and JPEG repair: bicubic interpolation or the JPEG beside the network."""

import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np
from PIL import Image

from tasks import loaders
from tasks.core import device, images, scheduling
from tasks.core.device import stopwatch
from tasks.core.images import ImageError, ImageLike
from tasks.denoising.tab import results
from tasks.denoising.tab.results import message_html
from tasks.ui import recordings
from tasks.ui.endpoint import endpoint, number
from tasks.ui.errors import report_errors_in_steps
from tasks.ui.image_input import checked_photo_input, image_input, sample_images
from tasks.ui.page.figures import flow
from tasks.ui.page.lead import lead
from tasks.ui.send_to import send_to

if TYPE_CHECKING:
    from tasks.denoising.jpeg_quality import JpegGrid

SAMPLES = (
    ("gradio", "media_assets/images/cheetah1.jpg"),
    ("gradio", "media_assets/images/lion.jpg"),
    ("gradio", "media_assets/images/tower.jpg"),
)
AS_IT_IS = "as it is"
QUALITIES = (AS_IT_IS, "5", "10", "20", "40")
ENLARGE_LEAD = lead(
    "Bicubic interpolation beside a network that adds sharp edges and lines.",
    "Bicubic interpolation fits smooth surfaces through the pixels. The network gets its result "
    "and adds what photos usually lose when they are reduced.",
    flow("small:small image", "image:bicubic", "net:network", "image:with details"),
)
JPEG_LEAD = lead(
    "Blocks and rings of JPEG, removed at any quality.",
    "JPEG splits the image into blocks of 8 x 8 pixels and quantises their frequencies, which "
    "leaves blocks and rings. The network removes them; the better the quality, the less it may "
    "change.",
    flow("blocks:JPEG", "net:network", "image:without blocks"),
)
HINT = message_html("Upload an image, or click one of the examples.")
NO_ANSWER = message_html("No answer here; the message says why.", "Another image will work.")
Outputs = tuple[Any, Any, str]


def enlarge(image: ImageLike, scale: str, compare: bool) -> Iterator[Outputs]:
    """(bicubic and network, file, message). Raises ImageError, WeightsError.

    Args:
        scale: "2", "3" or "4".
        compare: reduce the image first, so that the original is known.
    """
    if image is None:
        yield None, None, HINT
        return
    from tasks.denoising.enhancer import enlarged
    from tasks.denoising.planes import to_array_and_alpha

    times, (truth, alpha) = parse_scale(scale), to_array_and_alpha(image)
    small = truth
    if compare:
        height, width = (n - n % times for n in truth.shape[:2])
        truth = truth[:height, :width]
        if min(height, width) < 8 * times:
            raise ImageError(
                f"The image is too small to be reduced {times} times first; untick that, or a "
                "larger one."
            )
        small = (enlarged(truth, 1 / times).clip(0, 1) * 255).round() / np.float32(255)
        alpha = None if alpha is None else enlarged(alpha[:height, :width], 1 / times)
    results.check_size(small.shape[1] * times, small.shape[0] * times)
    plain = enlarged(small, times).clip(0, 1)
    with stopwatch() as ms:
        for step in scheduling.CORES.job(loaders.enhancer().super_resolve_steps(small, times)):
            if step.done < step.total:
                bar = results.progress_html(step.done, step.total, "Enlarging")
                yield gr.skip(), gr.skip(), bar
    score = psnr_text(plain, step.out, truth, "bicubic", times) if compare else ""
    sizes = f"{small.shape[1]} x {small.shape[0]} px became {plain.shape[1]} x {plain.shape[0]}"
    settings = {"model": "enhancer", "scale": times, "reduced first": compare}
    yield from _result(
        plain,
        step.out,
        f"Enlarged {times} times.",
        score,
        f"{sizes} · {_time_text(ms())}",
        settings,
        None if alpha is None else enlarged(alpha, times),
    )


def undo_jpeg(image: ImageLike, quality: str) -> Iterator[Outputs]:
    """(JPEG and network, file, message). Raises ImageError, WeightsError.

    Args:
        quality: at which the image is saved as JPEG first, or AS_IT_IS.
    """
    if image is None:
        yield None, None, HINT
        return
    from tasks.denoising.enhancer import LUMA
    from tasks.denoising.jpeg_quality import find_grid, jpeg_grid
    from tasks.denoising.planes import to_array_and_alpha

    if quality not in QUALITIES:
        raise ImageError(f"The quality is one of {', '.join(QUALITIES)}; {str(quality)[:20]} came.")
    truth, alpha = to_array_and_alpha(image)
    damaged, grid, is_file = truth, jpeg_grid(image), True
    if quality != AS_IT_IS:
        damaged, grid = through_jpeg(images.to_rgb(image), int(quality))
        alpha = None
    results.check_size(damaged.shape[1], damaged.shape[0])
    if grid is None:
        grid, is_file = find_grid(damaged if damaged.ndim == 2 else damaged @ LUMA), False
    with stopwatch() as ms:
        steps = loaders.enhancer().deblock_steps(damaged, grid=grid)
        for step in scheduling.CORES.job(steps):
            if step.done < step.total:
                yield gr.skip(), gr.skip(), results.progress_html(step.done, step.total, "Working")
    score = (
        psnr_text(damaged, step.out, truth, "JPEG")
        if quality != AS_IT_IS and damaged.shape == truth.shape
        else ""
    )
    size = f"{damaged.shape[1]} x {damaged.shape[0]} px · {_time_text(ms())}"
    settings = {"model": "enhancer", "task": "JPEG", "saved at": quality}
    title = origin_text(grid, is_file)
    yield from _result(damaged, step.out, title, score, size, settings, alpha)


def origin_text(grid: "JpegGrid | None", is_file: bool) -> str:
    """Where the quality is from, and what it means for the result."""
    if grid is None:
        return "Not a JPEG file, and its pixels tell of none: nothing was changed."
    if is_file:
        text = f"JPEG of quality {grid.quality}, from its quantisation table."
    else:
        text = f"Not a JPEG file; its pixels tell of JPEG of quality about {grid.quality}."
    return f"{text} Little is changed at such a quality." if grid.quality > 60 else text


def parse_scale(scale: Any) -> int:
    """Raises ImageError."""
    if isinstance(scale, bool) or scale not in (2, 3, 4, "2", "3", "4"):
        raise ImageError(f"An image is enlarged 2, 3 or 4 times; {str(scale)[:20]} came.")
    return int(scale)


def through_jpeg(image: Image.Image, quality: int) -> tuple[np.ndarray, "JpegGrid | None"]:
    """(the image after JPEG compression, what its file says of it)."""
    from tasks.denoising.jpeg_quality import jpeg_grid
    from tasks.denoising.planes import to_array

    buffer = BytesIO()
    grey = to_array(image).ndim == 2
    (image.convert("L") if grey else image).save(buffer, "JPEG", quality=quality)
    return to_array(buffer.getvalue()), jpeg_grid(buffer.getvalue())


def psnr_text(
    before: np.ndarray, after: np.ndarray, truth: np.ndarray, name: str, border: int = 0
) -> str:
    """PSNR of both against the truth, on brightness."""
    from tasks.core.image_metrics import psnr
    from tasks.denoising.enhancer import LUMA

    a, b, t = (x @ LUMA if x.ndim == 3 else x for x in (before, after, truth))
    return (
        f"Against the original: {name} {psnr(a, t, border):.2f} dB, the network "
        f"{psnr(b, t, border):.2f} dB (PSNR)."
    )


def _time_text(ms: float) -> str:
    return f"{results.seconds(ms)} · {device.name()}"


def _result(
    before: np.ndarray,
    after: np.ndarray,
    title: str,
    score: str,
    how: str,
    settings: dict[str, Any],
    alpha: np.ndarray | None = None,
) -> Iterator[Outputs]:
    """Of two images, float in [0, 1], and the opacity of both, if not all is opaque."""
    from tasks.denoising.planes import to_image

    # gradio copies the files into its cache before the folder is deleted
    with tempfile.TemporaryDirectory(prefix="image-lab-") as temporary:
        folder, result = Path(temporary), to_image(after, alpha)
        shown = [
            results.for_page(image, folder / f"{name}.png", settings)
            for name, image in (("before", to_image(before, alpha)), ("after", result))
        ]
        file = results.save_png(result, folder / "enhanced.png", settings)
        yield tuple(shown), gr.update(value=file, interactive=True), message_html(title, score, how)


def enlarge_photo(picture: ImageLike, scale: int = 2) -> np.ndarray:
    """Enlarge an image two, three or four times.

    Args:
        picture: PNG, JPEG, WebP, GIF, BMP, TIFF, HEIC or AVIF; the result may have 24 megapixels
            at most.
        scale: 2, 3 or 4.
    Returns:
        A PNG of `scale` times the width and height, transparent where the image is.
    """
    rgb = images.to_rgb(picture)
    scale = parse_scale(scale)
    results.check_size(rgb.width * scale, rgb.height * scale)
    with scheduling.CORES.step():
        return np.asarray(loaders.enhancer().super_resolve(picture, scale))


def deblock_photo(picture: ImageLike) -> np.ndarray:
    """Remove JPEG's blocks and rings from an image; the better its quality, the less is changed.

    Args:
        picture: PNG, JPEG, WebP, GIF, BMP, TIFF, HEIC or AVIF, at most 24 megapixels.
    Returns:
        A PNG of the same size, transparent where the image is.
    """
    rgb = images.to_rgb(picture)
    results.check_size(rgb.width, rgb.height)
    with scheduling.CORES.step():
        return np.asarray(loaders.enhancer().deblock(picture))


def _example(recorded: list[Any]) -> str | None:
    """The image that a recorded result is about."""
    return next(iter(sample_images(SAMPLES[:1])), None) if recorded[0] else None


def build_enlarge() -> None:
    gr.HTML(ENLARGE_LEAD)
    recorded = recordings.outputs("enlarge", 2)
    with gr.Row():
        with gr.Column(scale=4, min_width=300):
            _, image = checked_photo_input(
                "An image",
                SAMPLES,
                elem_id="enlarge-picture",
                height=260,
                example=_example(recorded),
            )
            scale = gr.Radio(["2", "3", "4"], value="2", label="Times", elem_id="enlarge-scale")
            compare = gr.Checkbox(True, label="Reduce it first, then compare with the original")
        outputs, stop = _outputs("Bicubic and network", "enlarge", *recorded)
    _wire(enlarge, image, [scale, compare], outputs, stop)
    sent = image_input(visible=False, label="picture")
    _endpoint(enlarge_photo, [sent, number(2, "scale")])


def build_jpeg() -> None:
    gr.HTML(JPEG_LEAD)
    recorded = recordings.outputs("jpeg", 2)
    with gr.Row():
        with gr.Column(scale=4, min_width=300):
            _, image = checked_photo_input(
                "An image",
                SAMPLES,
                elem_id="jpeg-picture",
                height=260,
                example=_example(recorded),
            )
            quality = gr.Radio(
                list(QUALITIES),
                value="10",
                label="Save it as JPEG first, at quality",
                info="For an image with JPEG artefacts: as it is.",
                elem_id="jpeg-quality",
            )
        outputs, stop = _outputs("JPEG and network", "jpeg", *recorded)
    _wire(undo_jpeg, image, [quality], outputs, stop)
    _endpoint(deblock_photo, [image_input(visible=False, label="picture")])


def _outputs(label: str, name: str, shown: Any, said: str | None) -> tuple[list[Any], gr.Button]:
    with gr.Column(scale=7, min_width=300, elem_classes="lab-result"):
        slider = gr.ImageSlider(
            shown,
            label=label,
            format="png",
            interactive=False,
            max_height=520,
            buttons=["download", "fullscreen"],
            elem_id=f"{name}-slider",
        )
        send_to("photo", f"#{name}-slider img[src*=after]", "Send the result to…")
        message = gr.HTML(said or HINT, elem_id=f"{name}-said")
        with gr.Row():
            save = gr.DownloadButton(
                "Save the result, PNG", interactive=False, elem_id=f"{name}-save"
            )
            stop = gr.Button("Stop")
    return [slider, save, message], stop


def _wire(work: Any, image: Any, settings: list[Any], outputs: list[Any], stop: gr.Button) -> None:
    """Call `work` when the image or a setting changes; Stop ends it between two tiles."""
    running = gr.on(
        [image.change, *(s.input for s in settings)],
        report_errors_in_steps(work),
        [image, *settings],
        outputs,
        show_progress="minimal",
        show_progress_on=outputs[-1],
        trigger_mode="always_last",
        api_visibility="private",
    )
    results.wire_end([running], stop, outputs, (None, None, NO_ANSWER))


def _endpoint(function: Any, inputs: list[Any]) -> None:
    """A public endpoint that returns an image."""
    result = gr.Image(visible=False, label="result", format="png")
    endpoint(function, inputs, result)
