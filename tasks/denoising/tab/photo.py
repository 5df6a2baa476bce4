"""Denoising of a photo: estimated noise level, before and after, the removed noise.

A new image calls `measure` (estimates the noise, sets the slider), then `denoise` (tile by tile).
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from tasks import loaders
from tasks.core import device, images, scheduling
from tasks.core.device import stopwatch
from tasks.core.images import ImageLike
from tasks.denoising.tab import results
from tasks.denoising.tab.results import message_html
from tasks.ui import recordings
from tasks.ui.endpoint import endpoint, number
from tasks.ui.errors import report_errors, report_errors_in_steps
from tasks.ui.image_input import checked_photo_input, image_input, sample_images
from tasks.ui.page.figures import flow
from tasks.ui.page.lead import lead
from tasks.ui.send_to import send_to

LEAD = lead(
    "Noise out of a photo. Drag the line to compare before and after.",
    "The network gets the noisy image and the noise level, and predicts the noise. It was trained "
    "on clean images with added noise.",
    flow("noise:noisy photo", "net:network", "noise:its noise", "image:the photo without it"),
)
HINT = message_html("Upload a photo, or click one of the examples.")
NO_ANSWER = message_html("No answer here; the message says why.", "Another image will work.")
NO_NOISE = message_html(
    "There is hardly any noise in this image: below 1 grey level.",
    "Nothing was removed. To denoise it all the same, raise the noise level.",
)
SAMPLES = (
    ("gradio", "media_assets/images/cheetah.jpg", 25.0, False),
    ("gradio", "media_assets/images/tower.jpg", 15.0, False),
    ("gradio", "media_assets/images/lion.jpg", 50.0, True),
    ("gradio", "media_assets/images/cheetah1.jpg", 35.0, False),
)
"""(package, file, sigma of the noise that is added, grey)"""
MAX_LEVEL = 75  # grey levels on the slider
LEAST_LEVEL = 1.0  # grey levels, below which there is nothing to remove


def noisy_samples(folder: Path) -> list[list[str]]:
    """The packages' sample images with noise, as PNG files in `folder`; gr.Examples copies them."""
    out = []
    for k, (package, file, sigma, grey) in enumerate(SAMPLES):
        for path in sample_images(((package, file),)):
            clean = images.to_grey(path) if grey else np.asarray(images.to_rgb(path))
            noise = np.random.default_rng(k).standard_normal(clean.shape) * sigma
            noisy = (clean + noise).clip(0, 255).round().astype(np.uint8)
            target = folder / f"{Path(file).stem}-noise-{sigma:.0f}.png"
            target.write_bytes(images.png_bytes(noisy))
            out.append([str(target)])
    return out


def measure(image: ImageLike) -> Any:
    """The slider, set to the estimated noise level. Raises ImageError, WeightsError."""
    if image is None:
        return gr.skip()
    from tasks.denoising.planes import to_array_and_alpha

    denoiser = loaders.denoiser()
    with scheduling.CORES.step():
        sigma = denoiser.estimate(to_array_and_alpha(image)[0])
    found = round(min(sigma, MAX_LEVEL), 1)
    return gr.update(value=found, label=level_label(found))


def level_label(found: float | None) -> str:
    return "Noise level, grey levels" + ("" if found is None else f" (estimated: {found:g})")


def denoise(image: ImageLike, sigma: float) -> Iterator[tuple[Any, Any, Any, str]]:
    """(before and after, removed noise, file, message), a step for each tile.

    Raises:
        ImageError, WeightsError.
    """
    if image is None:
        yield None, None, None, HINT
        return
    from tasks.denoising.planes import from_planes, to_array_and_alpha, to_image

    x, alpha = to_array_and_alpha(image)
    results.check_size(x.shape[1], x.shape[0])
    if sigma < LEAST_LEVEL:
        yield None, None, gr.update(interactive=False), NO_NOISE
        return
    with stopwatch() as ms:
        for step in scheduling.CORES.job(loaders.denoiser().steps(x, float(sigma))):
            if step.done < step.total:
                bar = results.progress_html(step.done, step.total, "Denoising")
                yield gr.skip(), gr.skip(), gr.skip(), bar
    y = from_planes(step.out)
    settings = {"model": "denoiser", "sigma": sigma}
    times = max(1.0, round(255 / (6 * max(sigma, 1))))  # three sigma fill the range
    with tempfile.TemporaryDirectory(prefix="image-lab-") as temporary:
        folder, result = Path(temporary), to_image(y, alpha)
        noise = results.for_page(results.amplified(x - y, times), folder / "removed.png", settings)
        removed = gr.Image(noise, label=f"Removed noise, {times:.0f} times amplified")
        before = results.for_page(to_image(x, alpha), folder / "before.png", settings)
        after = results.for_page(result, folder / "after.png", settings)
        file = results.save_png(result, folder / "denoised.png", settings)
        kind = "colour" if x.ndim == 3 else "grey"
        rms = 255 * float(np.sqrt(np.mean((x - y) ** 2)))
        message = message_html(
            f"Noise of {sigma:g} grey levels removed.",
            f"Root mean square of the removed noise: {rms:.1f} grey levels; change of the mean "
            f"brightness: {255 * float(y.mean() - x.mean()):+.2f}.",
            f"{x.shape[1]} x {x.shape[0]} px, {kind} · {results.seconds(ms())} · {device.name()}",
        )
        yield (before, after), removed, gr.update(value=file, interactive=True), message


def denoise_photo(picture: ImageLike, sigma: float | None = None) -> np.ndarray:
    """Remove the noise from an image.

    Args:
        picture: PNG, JPEG, WebP, GIF, BMP, TIFF, HEIC or AVIF, grey or colour, at most 24
            megapixels.
        sigma: standard deviation of the noise in grey levels of 255, 0 to 100; none = estimate.
    Returns:
        A PNG of the same size, transparent where the image is.
    """
    from tasks.denoising.planes import from_planes, to_array_and_alpha, to_image

    x, alpha = to_array_and_alpha(picture)
    results.check_size(x.shape[1], x.shape[0])
    *_, last = scheduling.CORES.job(loaders.denoiser().steps(x, sigma))
    return np.asarray(to_image(from_planes(last.out), alpha))


def build_photo() -> None:
    gr.HTML(LEAD)
    compared, noise, said, found = recordings.outputs("denoise-photo", 4)
    level = found or {}
    with gr.Row():
        with gr.Column(scale=4, min_width=300):
            image = _build_input(is_recorded=bool(level))
            sigma = gr.Slider(
                0,
                MAX_LEVEL,
                level.get("sigma", 0),
                step=0.5,
                label=level_label(level.get("sigma")),
                elem_id="noise-level",
                info="Estimated from the image; a higher level removes more, detail too.",
            )
            with gr.Row():
                estimate = gr.Button("Estimate again")
                stop = gr.Button("Stop", elem_id="denoise-stop")
            message = gr.HTML(said or HINT, elem_id="denoise-said")
        with gr.Column(scale=7, min_width=300, elem_classes="lab-result"):
            results_shown = _build_results(compared, noise, level.get("title", "Removed noise"))
    outputs = [*results_shown, message]
    measured = gr.on(
        [image.change, estimate.click],
        report_errors(measure),
        image,
        sigma,
        show_progress="minimal",
        show_progress_on=message,
        trigger_mode="always_last",
        api_visibility="private",
    )
    denoised = [
        begin(
            report_errors_in_steps(denoise),
            [image, sigma],
            outputs,
            show_progress="minimal",
            show_progress_on=message,
            trigger_mode="always_last",
            api_visibility="private",
        )
        for begin in (measured.success, sigma.release)
    ]
    results.wire_end([measured, *denoised], stop, outputs, (None, None, None, NO_ANSWER))
    _api()


def _build_input(is_recorded: bool) -> gr.State:
    """The photo, with noisy samples, the first of them in it if there is a result for it."""
    with tempfile.TemporaryDirectory(prefix="image-lab-") as temporary:
        samples = noisy_samples(Path(temporary))
        example = samples[0][0] if is_recorded and samples else None
        shown, image = checked_photo_input("A photo", (), elem_id="noisy-picture", example=example)
        gr.Examples(
            samples, shown, label="Or one of these, with noise added", api_visibility="private"
        )
    return image


def _build_results(compared: Any, noise: str | None, title: str) -> list[Any]:
    """[before and after, removed noise, file]."""
    slider = gr.ImageSlider(
        compared,
        label="Before and after",
        format="png",
        interactive=False,
        max_height=520,
        buttons=["download", "fullscreen"],
        elem_id="denoise-slider",
    )
    send_to("photo", "#denoise-slider img[src*=after]", "Send the result to…")
    removed = gr.Image(
        noise,
        label=title,
        format="png",
        interactive=False,
        height=260,
        buttons=["download", "fullscreen"],
        elem_id="denoise-removed",
    )
    save = gr.DownloadButton("Save the result, PNG", interactive=False, elem_id="denoise-save")
    return [slider, removed, save]


def _api() -> None:
    """The public endpoint, /denoise_photo, on hidden components."""
    sent = image_input(visible=False, label="picture")
    result = gr.Image(visible=False, label="result", format="png")
    endpoint(denoise_photo, [sent, number(None, "sigma")], result)
