"""Playground: noise on a clean image, and every method's result with PSNR, SSIM and time."""

from collections.abc import Iterator
from html import escape
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from tasks import loaders
from tasks.core import device, images, scheduling, weights
from tasks.core.device import stopwatch
from tasks.core.image_metrics import psnr, ssim
from tasks.denoising.classical_filters import FILTERS, NOISES, best, corrupt
from tasks.denoising.tab import results
from tasks.ui import recordings
from tasks.ui.errors import report_errors
from tasks.ui.image_input import sample_images
from tasks.ui.page.figures import flow
from tasks.ui.page.lead import LOUPE, lead
from tasks.ui.send_to import send_gallery

IMAGES = {
    "Lion": ("gradio", "media_assets/images/lion.jpg"),
    "Cheetah": ("gradio", "media_assets/images/cheetah1.jpg"),
    "Tower": ("gradio", "media_assets/images/tower.jpg"),
    "Bus": ("ultralytics", "assets/bus.jpg"),
}
SIDE = 384  # px of the longer side: reduced, the packages' JPEG files are clean
LEAD = lead(
    "Noise on a clean image, and every method's score. On some noise the network loses.",
    "The clean image is known here, so every method has a score. PSNR measures squared errors: 1 "
    "dB more is a fifth less of them. SSIM compares structures, 1 is perfect. Each filter uses the "
    "strength with the highest PSNR; the network never sees the clean image.",
    flow("image:clean image", "+noise:noise", "net:each method", "bars:its score"),
)


def clean_image(name: str) -> np.ndarray:
    """One of IMAGES in grey, float32 (H, W) in [0, 1]. Raises ImageError."""
    if not isinstance(name, str) or name not in IMAGES:
        raise images.ImageError(f"Images are {', '.join(IMAGES)}; {str(name)[:30]!r} came.")
    found = sample_images((IMAGES[name],))
    if not found:
        raise images.ImageError(
            f"The package that brings the image {name!r} is not installed. Choose another one."
        )
    image = images.to_rgb(found[0]).convert("L")
    image.thumbnail((SIDE, SIDE), Image.Resampling.BICUBIC)
    return np.asarray(image, np.float32) / 255


def answers(
    clean: np.ndarray, noisy: np.ndarray, sigma: float | None
) -> Iterator[tuple[str, np.ndarray, float]]:
    """(method, its result, milliseconds) of the filters and the denoiser.

    Args:
        sigma: of the noise in grey levels; None where it has none.
    """
    for name, (apply, strengths) in FILTERS.items():
        _, strength = best(name, noisy, clean)
        with stopwatch() as ms:
            result = apply(noisy, strength).clip(0, 1)
        yield f"{name}, best of {len(strengths)} strengths", result, ms()
    denoiser = loaders.denoiser()
    with stopwatch() as ms:
        result = denoiser.denoise_array(noisy)
    yield "Network, noise level estimated", result, ms()
    if sigma is not None:
        with stopwatch() as ms:
            result = denoiser.denoise_array(noisy, sigma)
        yield "Network, noise level given", result, ms()


def deblocked(noisy: np.ndarray) -> Iterator[tuple[str, np.ndarray, float]]:
    """The enhancer's result, if its weights are here."""
    try:
        enhancer = loaders.enhancer()
    except weights.WeightsError:
        return
    with stopwatch() as ms:
        *_, last = enhancer.deblock_steps(noisy)
    yield "Network for JPEG", last.out, ms()


def play(
    name: str, kind: str, strength: float, seed: float
) -> tuple[list[tuple[np.ndarray, str]], str]:
    """(gallery, table as HTML). Raises ImageError, WeightsError."""
    if kind not in NOISES or not 0 <= strength <= 100:
        raise images.ImageError(f"Noise is one of {', '.join(NOISES)}, its strength 0 to 100.")
    clean = clean_image(name)
    noisy = corrupt(clean, kind, float(strength), int(seed or 0))
    with scheduling.CORES.step():
        rows: list[tuple[str, np.ndarray, float | None]] = [("Noisy", noisy, None)]
        rows += answers(clean, noisy, min(float(strength), 100.0) if kind == "Gaussian" else None)
        rows += deblocked(noisy) if kind == "JPEG" else []
    scored = [(title, x, psnr(x, clean), ssim(x, clean), ms) for title, x, ms in rows]
    gallery = [(to_uint8(clean), "Clean image")]
    gallery += [
        (to_uint8(x), f"{title.partition(',')[0]}: {p:.2f} dB") for title, x, p, _, _ in scored
    ]
    return gallery, table_html(scored)


def to_uint8(x: np.ndarray) -> np.ndarray:
    return (x.clip(0, 1) * 255).round().astype(np.uint8)


def table_html(scored: list[tuple[str, np.ndarray, float, float, Any]]) -> str:
    """A row for each method, the highest PSNR and SSIM in bold."""
    best_psnr, best_ssim = max(row[2] for row in scored[1:]), max(row[3] for row in scored[1:])

    def cell(value: float, best: float, text: str) -> str:
        return f"<td class='num'>{f'<b>{text}</b>' if value == best else text}</td>"

    rows = "".join(
        f"<tr><td>{escape(title)}</td>{cell(p, best_psnr, f'{p:.2f} dB')}"
        f"{cell(s, best_ssim, f'{s:.3f}')}"
        f"<td class='num'>{'' if ms is None else f'{ms:.1f} ms'}</td></tr>"
        for title, _, p, s, ms in scored
    )
    head = "<thead><tr><th>method</th><th>PSNR</th><th>SSIM</th><th>time</th></tr></thead>"
    size = " x ".join(str(n) for n in scored[0][1].shape[::-1])
    return (
        "<div class='lab-card' aria-live='polite'><div class='lab-scroll' tabindex='0'>"
        f"<table>{head}<tbody>{rows}</tbody></table>"
        f"</div><p class='lab-lead'>{size} px, grey · {escape(device.name())}</p></div>"
    )


def build_playground() -> None:
    gr.HTML(LEAD)
    with gr.Row():
        image = gr.Dropdown(
            list(IMAGES), value="Lion", label="Image", filterable=False, min_width=140
        )
        kind = gr.Radio(
            list(NOISES), value="Gaussian", label="Noise", min_width=300, elem_id="play-noise"
        )
        strength = gr.Slider(
            0,
            100,
            25,
            step=1,
            label="Strength",
            min_width=200,
            elem_id="play-strength",
            info="Gaussian: sigma in grey levels; JPEG: 100 - quality.",
        )
        seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=2**31 - 1, min_width=90)
    start = gr.Button("Compare the methods", variant="primary", elem_id="play-start")
    shown, shown_table = recordings.outputs("denoise-playground", 2)
    gallery = gr.Gallery(
        shown,
        label="Side by side",
        format="png",
        columns=4,
        height="auto",
        object_fit="contain",
        interactive=False,
        elem_id="play-gallery",
        elem_classes="lab-gallery",
    )
    send_gallery("play-gallery")
    gr.HTML(LOUPE)
    hint = results.message_html("Choose a kind of noise to compare the methods.")
    table = gr.HTML(shown_table or hint, elem_id="play-table")
    gr.on(
        [start.click, image.input, kind.input, strength.release, seed.submit],
        report_errors(play),
        [image, kind, strength, seed],
        [gallery, table],
        show_progress="minimal",
        show_progress_on=table,
        trigger_mode="always_last",
        api_visibility="private",
    )
