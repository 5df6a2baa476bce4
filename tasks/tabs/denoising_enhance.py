"""Enlarge and undo JPEG: bicubic interpolation or the JPEG itself beside what the network makes of it."""

import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from tasks import compute, images
from tasks.images import ImageError, ImageLike
from tasks.tabs import restorers
from tasks.tabs.errors import answering, answering_steps
from tasks.tabs.picture import checked_photo_input, picture_input
from tasks.tabs.restorers import said_html
from tasks.tabs.send import send_to

SAMPLES = (
    ("gradio", "media_assets/images/cheetah1.jpg"),
    ("gradio", "media_assets/images/lion.jpg"),
    ("gradio", "media_assets/images/tower.jpg"),
)
AS_IT_IS = "as it is"
QUALITIES = (AS_IT_IS, "5", "10", "20", "40")
ENLARGE_LEAD = (
    "<p class='lab-lead'>Bicubic interpolation draws smooth surfaces through the pixels. The network looks at the "
    "result and adds what was usually lost when photos were reduced: sharper edges and lines, never detail that "
    "nothing points to.</p>"
)
JPEG_LEAD = (
    "<p class='lab-lead'>JPEG cuts the picture into blocks of 8 x 8 pixels and rounds their waves, the finer the more: "
    "blocks and rings remain. The network learnt what they look like and takes them away, without being told the "
    "quality.</p>"
)
HINT = said_html("Give it a picture, or click one of the examples.")
NO_ANSWER = said_html("No answer here; the message says why.", "Another picture will work.")
Outputs = tuple[Any, Any, str]


def enlarge(picture: ImageLike, scale: str, compare: bool) -> Iterator[Outputs]:
    """(bicubic and ours, file, in words). Raises ImageError, WeightsError.

    Args:
        scale: "2", "3" or "4".
        compare: reduce the picture first, so that the truth is known.
    """
    if picture is None:
        yield None, None, HINT
        return
    from tasks.denoising import enlarged, to_array

    times, truth = times_of(scale), to_array(picture)
    small = truth
    if compare:
        height, width = (n - n % times for n in truth.shape[:2])
        truth = truth[:height, :width]
        if min(height, width) < 8 * times:
            raise ImageError(
                f"The picture is too small to be reduced {times} times first; untick that, or a larger one."
            )
        small = (enlarged(truth, 1 / times).clip(0, 1) * 255).round() / np.float32(255)
    restorers.check_size(small.shape[1] * times, small.shape[0] * times)
    plain = enlarged(small, times).clip(0, 1)
    with compute.stopwatch() as ms:
        for step in restorers.in_turn(restorers.enhancer().super_resolve_steps(small, times)):
            if step.done < step.total:
                yield gr.skip(), gr.skip(), restorers.progress_html(step.done, step.total, "Enlarging")
    score = marks(plain, step.out, truth, "bicubic", times) if compare else ""
    sizes = f"{small.shape[1]} x {small.shape[0]} px became {plain.shape[1]} x {plain.shape[0]}"
    settings = {"model": "enhancer", "scale": times, "reduced first": compare}
    yield from _result(plain, step.out, f"Enlarged {times} times.", score, f"{sizes} · {_took(ms())}", settings)


def undo_jpeg(picture: ImageLike, quality: str) -> Iterator[Outputs]:
    """(JPEG and ours, file, in words). Raises ImageError, WeightsError.

    Args:
        quality: at which the picture is saved as JPEG first, or AS_IT_IS.
    """
    if picture is None:
        yield None, None, HINT
        return
    from tasks.denoising import to_array
    from tasks.jpeg_quality import jpeg_quality

    if quality not in QUALITIES:
        raise ImageError(f"The quality is one of {', '.join(QUALITIES)}; {str(quality)[:20]} came.")
    truth = to_array(picture)
    bad, found = truth, jpeg_quality(picture)
    if quality != AS_IT_IS:
        bad, found = through_jpeg(images.to_rgb(picture), int(quality))
    restorers.check_size(bad.shape[1], bad.shape[0])
    with compute.stopwatch() as ms:
        for step in restorers.in_turn(restorers.enhancer().deblock_steps(bad)):
            if step.done < step.total:
                yield gr.skip(), gr.skip(), restorers.progress_html(step.done, step.total, "Working")
    said = f"JPEG of quality {found}, by its quantisation table." if found else "No JPEG file; looked at as if it were."
    if found and found > 60:
        said += " The network learnt qualities up to 60: little is left to do, and fine detail may get softer."
    score = marks(bad, step.out, truth, "JPEG") if quality != AS_IT_IS and bad.shape == truth.shape else ""
    size = f"{bad.shape[1]} x {bad.shape[0]} px · {_took(ms())}"
    yield from _result(bad, step.out, said, score, size, {"model": "enhancer", "task": "JPEG", "saved at": quality})


def times_of(scale: Any) -> int:
    """Raises ImageError."""
    if isinstance(scale, bool) or scale not in (2, 3, 4, "2", "3", "4"):
        raise ImageError(f"A picture is enlarged 2, 3 or 4 times; {str(scale)[:20]} came.")
    return int(scale)


def through_jpeg(picture: Image.Image, quality: int) -> tuple[np.ndarray, int | None]:
    """(the picture as JPEG gives it back, the quality that its file tells)."""
    from tasks.denoising import to_array
    from tasks.jpeg_quality import jpeg_quality

    buffer = BytesIO()
    grey = to_array(picture).ndim == 2
    (picture.convert("L") if grey else picture).save(buffer, "JPEG", quality=quality)
    return to_array(buffer.getvalue()), jpeg_quality(buffer.getvalue())


def marks(before: np.ndarray, after: np.ndarray, truth: np.ndarray, name: str, border: int = 0) -> str:
    """PSNR of both against the truth, on brightness."""
    from tasks.denoising import LUMA
    from tasks.quality import psnr

    a, b, t = (x @ LUMA if x.ndim == 3 else x for x in (before, after, truth))
    return f"Against the original: {name} {psnr(a, t, border):.2f} dB, the network {psnr(b, t, border):.2f} dB (PSNR)."


def _took(ms: float) -> str:
    return f"{restorers.seconds(ms)} · {compute.device_name()}"


def _result(
    before: np.ndarray, after: np.ndarray, title: str, score: str, how: str, settings: dict[str, Any]
) -> Iterator[Outputs]:
    from tasks.denoising import to_picture

    with tempfile.TemporaryDirectory(prefix="image-lab-") as temporary:  # copied into gradio's cache before it goes
        folder, result = Path(temporary), to_picture(after)
        shown = [
            restorers.for_page(picture, folder / f"{name}.png", settings)
            for name, picture in (("before", to_picture(before)), ("after", result))
        ]
        file = restorers.save_png(result, folder / "enhanced.png", settings)
        yield tuple(shown), gr.update(value=file, interactive=True), said_html(title, score, how)


def enlarge_photo(picture: ImageLike, scale: int = 2) -> np.ndarray:
    """Enlarge a picture two, three or four times.

    Args:
        picture: PNG, JPEG, WebP, GIF, BMP or TIFF; the result may have 24 megapixels at most.
        scale: 2, 3 or 4.
    Returns:
        A PNG of `scale` times the width and height.
    """
    rgb = images.to_rgb(picture)
    scale = times_of(scale)
    restorers.check_size(rgb.width * scale, rgb.height * scale)
    with compute.HEAVY:
        return np.asarray(restorers.enhancer().super_resolve(picture, scale))


def deblock_photo(picture: ImageLike) -> np.ndarray:
    """Take JPEG's blocks and rings out of a picture.

    Args:
        picture: PNG, JPEG, WebP, GIF, BMP or TIFF, at most 24 megapixels.
    Returns:
        A PNG of the same size.
    """
    rgb = images.to_rgb(picture)
    restorers.check_size(rgb.width, rgb.height)
    with compute.HEAVY:
        return np.asarray(restorers.enhancer().deblock(picture))


def build_enlarge() -> None:
    gr.HTML(ENLARGE_LEAD)
    with gr.Row():
        with gr.Column(scale=4, min_width=300):
            _, picture = checked_photo_input("A picture", SAMPLES, elem_id="enlarge-picture", height=260)
            scale = gr.Radio(["2", "3", "4"], value="3", label="Times", elem_id="enlarge-scale")
            compare = gr.Checkbox(True, label="Reduce it first, then compare with the original")
        outputs, halt = _outputs("Bicubic and network", "enlarge")
    _wire(enlarge, picture, [scale, compare], outputs, halt)
    sent, times = picture_input(visible=False, label="picture"), gr.Number(2, visible=False, label="scale", precision=0)
    _endpoint(enlarge_photo, [sent, times])


def build_jpeg() -> None:
    gr.HTML(JPEG_LEAD)
    with gr.Row():
        with gr.Column(scale=4, min_width=300):
            _, picture = checked_photo_input("A picture", SAMPLES, elem_id="jpeg-picture", height=260)
            quality = gr.Radio(list(QUALITIES), value="10", label="Save it as JPEG first, at quality",
                               info="For a JPEG that is bad already: as it is.", elem_id="jpeg-quality")  # fmt: skip
        outputs, halt = _outputs("JPEG and network", "jpeg")
    _wire(undo_jpeg, picture, [quality], outputs, halt)
    _endpoint(deblock_photo, [picture_input(visible=False, label="picture")])


def _outputs(label: str, name: str) -> tuple[list[Any], gr.Button]:
    with gr.Column(scale=7, min_width=300):
        slider = gr.ImageSlider(label=label, format="png", interactive=False, max_height=520,
                                buttons=["download", "fullscreen"], elem_id=f"{name}-slider")  # fmt: skip
        send_to("photo", f"#{name}-slider img[src*=after]", "Send the result to…")
        said = gr.HTML(HINT, elem_id=f"{name}-said")
        with gr.Row():
            save = gr.DownloadButton("Save the result, PNG", interactive=False, elem_id=f"{name}-save")
            halt = gr.Button("Stop")
    return [slider, save, said], halt


def _wire(work: Any, picture: Any, settings: list[Any], outputs: list[Any], halt: gr.Button) -> None:
    """A picture or a setting changed: work; Stop ends it between two tiles."""
    running = gr.on(
        [picture.change, *(s.input for s in settings)], answering_steps(work), [picture, *settings], outputs,
        show_progress="minimal", show_progress_on=outputs[-1], trigger_mode="always_last", concurrency_id="heavy",
        api_visibility="private",
    )  # fmt: skip
    running.failure(lambda: (None, None, NO_ANSWER), None, outputs, show_progress="hidden", api_visibility="private")
    halt.click(lambda: restorers.STOPPED, None, outputs[-1], cancels=[running], queue=False, api_visibility="private")


def _endpoint(function: Any, inputs: list[Any]) -> None:
    """A public endpoint, named as its function, on hidden components of its own."""
    gr.Button(visible=False).click(
        answering(function), inputs, gr.Image(visible=False, label="result", format="png"),
        api_name=function.__name__, api_description=function.__doc__, concurrency_id="heavy",
    )  # fmt: skip
