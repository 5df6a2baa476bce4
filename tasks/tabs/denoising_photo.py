"""Your photo: how noisy it is, the same without noise, and what was taken away.

A picture chosen -> `measure` (estimates the noise, sets the slider) -> `clean` (denoises, tile by tile).
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from tasks import compute, images
from tasks.images import ImageError, ImageLike
from tasks.tabs import restorers
from tasks.tabs.errors import answering, answering_steps
from tasks.tabs.picture import checked_photo_input, picture_input, sample_pictures
from tasks.tabs.restorers import said_html
from tasks.tabs.send import send_to

LEAD = (
    "<p class='lab-lead'>The network sees the noisy picture and a number, how strong the noise is, and answers with "
    "what has to be taken away. It learnt that from clean pictures to which noise was added. Drag the line.</p>"
)
HINT = said_html("Give it a photo, or click one of the examples.")
NO_ANSWER = said_html("No answer here; the message says why.", "Another picture will work.")
SAMPLES = (
    ("gradio", "media_assets/images/cheetah.jpg", 25.0, False),
    ("gradio", "media_assets/images/tower.jpg", 15.0, False),
    ("gradio", "media_assets/images/lion.jpg", 50.0, True),
    ("gradio", "media_assets/images/cheetah1.jpg", 35.0, False),
)
"""(package, file, sigma of the noise that is added, grey)"""
MOST = 75  # grey levels on the slider


def noisy_samples(folder: Path) -> list[list[str]]:
    """The packages' sample pictures with noise, as PNG files in `folder`, for gr.Examples, which copies them."""
    out = []
    for k, (package, file, sigma, grey) in enumerate(SAMPLES):
        for path in sample_pictures(((package, file),)):
            clean = images.to_grey(path) if grey else np.asarray(images.to_rgb(path))
            noise = np.random.default_rng(k).standard_normal(clean.shape) * sigma
            noisy = folder / f"{Path(file).stem}-noise-{sigma:.0f}.png"
            noisy.write_bytes(images.png_bytes((clean + noise).clip(0, 255).round().astype(np.uint8)))
            out.append([str(noisy)])
    return out


def measure(picture: ImageLike) -> Any:
    """The slider, set to the noise that the picture seems to have. Raises ImageError, WeightsError."""
    if picture is None:
        return gr.skip()
    denoiser = restorers.denoiser()
    from tasks.denoising import to_array

    with compute.HEAVY:
        sigma = denoiser.estimate(to_array(picture))
    found = round(min(sigma, MOST), 1)
    return gr.update(value=found, label=f"Noise level, grey levels (estimated: {found:g})")


def clean(picture: ImageLike, sigma: float) -> Iterator[tuple[Any, Any, Any, str]]:
    """(before and after, what was removed, file, in words), a step for each tile. Raises ImageError, WeightsError."""
    if picture is None:
        yield None, None, None, HINT
        return
    from tasks.denoising import from_planes, to_array, to_picture

    x = to_array(picture)
    restorers.check_size(x.shape[1], x.shape[0])
    with compute.stopwatch() as ms:
        for step in restorers.in_turn(restorers.denoiser().steps(x, float(sigma))):
            if step.done < step.total:
                yield gr.skip(), gr.skip(), gr.skip(), restorers.progress_html(step.done, step.total, "Denoising")
    y = from_planes(step.out)
    settings = {"model": "denoiser", "sigma": sigma}
    times = max(1.0, round(255 / (6 * max(sigma, 1))))  # three sigma fill the range
    with tempfile.TemporaryDirectory(prefix="image-lab-") as temporary:
        folder, result = Path(temporary), to_picture(y)
        removed = gr.Image(
            restorers.for_page(restorers.amplified(x - y, times), folder / "removed.png", settings),
            label=f"What was removed, {times:.0f} times amplified",
        )
        before = restorers.for_page(to_picture(x), folder / "before.png", settings)
        after = restorers.for_page(result, folder / "after.png", settings)
        file = restorers.save_png(result, folder / "denoised.png", settings)
        kind = "colour" if x.ndim == 3 else "grey"
        said = said_html(
            f"Noise of {sigma:g} grey levels taken out.",
            f"Removed on average {255 * float(np.sqrt(np.mean((x - y) ** 2))):.1f} grey levels (root mean square); "
            f"mean brightness moved by {255 * float(y.mean() - x.mean()):+.2f}.",
            f"{x.shape[1]} x {x.shape[0]} px, {kind} · {restorers.seconds(ms())} · {compute.device_name()}",
        )
        yield (before, after), removed, gr.update(value=file, interactive=True), said


def denoise_photo(picture: ImageLike, sigma: float | None = None) -> np.ndarray:
    """Take the noise out of a picture.

    Args:
        picture: PNG, JPEG, WebP, GIF, BMP or TIFF, grey or colour, at most 24 megapixels.
        sigma: standard deviation of the noise in grey levels of 255, 0 to 100; none: it is estimated.
    Returns:
        A PNG of the same size.
    """
    from tasks.denoising import from_planes, to_array, to_picture

    if isinstance(sigma, bool) or not isinstance(sigma, float | int | None):
        raise ImageError(f"sigma is a number of grey levels, 0 to 100, or none; {str(sigma)[:20]} came.")
    x = to_array(picture)
    restorers.check_size(x.shape[1], x.shape[0])
    *_, last = restorers.in_turn(restorers.denoiser().steps(x, sigma))
    return np.asarray(to_picture(from_planes(last.out)))


def build_photo() -> None:
    gr.HTML(LEAD)
    with gr.Row():
        with gr.Column(scale=4, min_width=300):
            shown, picture = checked_photo_input("A photo", (), elem_id="noisy-picture")
            with tempfile.TemporaryDirectory(prefix="image-lab-") as temporary:
                gr.Examples(noisy_samples(Path(temporary)), shown, label="Or one of these, with noise added",
                            api_visibility="private")  # fmt: skip
            sigma = gr.Slider(0, MOST, 0, step=0.5, label="Noise level, grey levels", elem_id="noise-level",
                              info="Estimated from the picture; higher takes away more, detail too.")  # fmt: skip
            with gr.Row():
                again = gr.Button("Estimate again")
                halt = gr.Button("Stop", elem_id="denoise-stop")
            said = gr.HTML(HINT, elem_id="denoise-said")
        with gr.Column(scale=7, min_width=300):
            slider = gr.ImageSlider(label="Before and after", format="png", interactive=False, max_height=520,
                                    buttons=["download", "fullscreen"], elem_id="denoise-slider")  # fmt: skip
            send_to("photo", "#denoise-slider img[src*=after]", "Send the result to…")
            removed = gr.Image(label="What was removed", format="png", interactive=False, height=260,
                               buttons=["download", "fullscreen"], elem_id="denoise-removed")  # fmt: skip
            save = gr.DownloadButton("Save the result, PNG", interactive=False, elem_id="denoise-save")
    outputs = [slider, removed, save, said]
    measured = gr.on(
        [picture.change, again.click], answering(measure), picture, sigma, show_progress="minimal",
        show_progress_on=said, trigger_mode="always_last", concurrency_id="heavy", api_visibility="private",
    )  # fmt: skip
    cleaned = [
        begin(answering_steps(clean), [picture, sigma], outputs, show_progress="minimal", show_progress_on=said,
              trigger_mode="always_last", concurrency_id="heavy", api_visibility="private")
        for begin in (measured.success, sigma.release)
    ]  # fmt: skip
    for step in (measured, *cleaned):
        step.failure(lambda: (None, None, None, NO_ANSWER), None, outputs, show_progress="hidden",
                     api_visibility="private")  # fmt: skip
    halt.click(lambda: restorers.STOPPED, None, said, cancels=[measured, *cleaned], queue=False,
               api_visibility="private")  # fmt: skip
    sent, level = picture_input(visible=False, label="picture"), gr.Number(None, visible=False, label="sigma")
    gr.Button(visible=False).click(
        answering(denoise_photo), [sent, level], gr.Image(visible=False, label="result", format="png"),
        api_name="denoise_photo", api_description=denoise_photo.__doc__, concurrency_id="heavy",
    )  # fmt: skip
