"""Playground: a clean picture made noisy, and every method's answer beside the truth, with PSNR, SSIM and time."""

from collections.abc import Iterator
from html import escape
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from tasks import compute, images, weights
from tasks.tabs import restorers
from tasks.tabs.errors import answering
from tasks.tabs.picture import sample_pictures
from tasks.tabs.send import send_gallery

PICTURES = {
    "Lion": ("gradio", "media_assets/images/lion.jpg"),
    "Cheetah": ("gradio", "media_assets/images/cheetah1.jpg"),
    "Tower": ("gradio", "media_assets/images/tower.jpg"),
    "Bus": ("ultralytics", "assets/bus.jpg"),
}
NOISES = ("Gaussian", "Poisson", "Salt and pepper", "JPEG")  # of tasks.classical_filters, without its import of OpenCV
SIDE = 384  # px of the longer side: reduced, the packages' JPEG files are clean
LEAD = (
    "<p class='lab-lead'>Here the truth is known, so every method can be marked: PSNR counts squared errors, 1 dB more "
    "is a fifth less of them; SSIM compares structures, 1 is perfect. The filters get the strength that suits the "
    "truth best, the network never sees it: find the noise on which it loses.</p>"
)


def clean_picture(name: str) -> np.ndarray:
    """One of PICTURES in grey, float32 (H, W) in [0, 1]. Raises ImageError."""
    found = sample_pictures((PICTURES.get(name, PICTURES["Lion"]),))
    if not found:
        raise images.ImageError(f"The package that brings the picture {name!r} is not installed. Choose another one.")
    picture = images.to_rgb(found[0]).convert("L")
    picture.thumbnail((SIDE, SIDE), Image.Resampling.BICUBIC)
    return np.asarray(picture, np.float32) / 255


def answers(clean: np.ndarray, noisy: np.ndarray, told: float | None) -> Iterator[tuple[str, np.ndarray, float]]:
    """(method, its result, milliseconds); a network whose weights are not here is left out.

    Args:
        told: sigma in grey levels where the noise has one.
    """
    from tasks import classical_filters

    for name, (apply, _) in classical_filters.FILTERS.items():
        _, strength = classical_filters.best(name, noisy, clean)
        with compute.stopwatch() as ms:
            result = apply(noisy, strength).clip(0, 1)
        yield f"{name}, best of {len(classical_filters.FILTERS[name][1])} strengths", result, ms()
    denoiser = restorers.denoiser()
    with compute.stopwatch() as ms:
        result = denoiser.denoise_array(noisy)
    yield "Network, noise level estimated", result, ms()
    if told is not None:
        with compute.stopwatch() as ms:
            result = denoiser.denoise_array(noisy, told)
        yield "Network, noise level told", result, ms()


def deblocked(noisy: np.ndarray) -> Iterator[tuple[str, np.ndarray, float]]:
    """The enhancer's answer to JPEG, if it is there."""
    try:
        enhancer = restorers.enhancer()
    except weights.WeightsError:
        return
    with compute.stopwatch() as ms:
        *_, last = enhancer.deblock_steps(noisy)
    yield "Network for JPEG", last.out, ms()


def play(name: str, kind: str, strength: float, seed: float) -> tuple[list[tuple[np.ndarray, str]], str]:
    """(gallery, table as HTML). Raises ImageError, WeightsError."""
    from tasks import classical_filters
    from tasks.quality import psnr, ssim

    if kind not in NOISES or not 0 <= strength <= 100:
        raise images.ImageError(f"Noise is one of {', '.join(NOISES)}, its strength 0 to 100.")
    clean = clean_picture(name)
    noisy = classical_filters.damage(clean, kind, float(strength), int(seed or 0))
    with compute.HEAVY:
        rows: list[tuple[str, np.ndarray, float | None]] = [("Noisy", noisy, None)]
        rows += answers(clean, noisy, min(float(strength), 100.0) if kind == "Gaussian" else None)
        rows += deblocked(noisy) if kind == "JPEG" else []
    marked = [(title, x, psnr(x, clean), ssim(x, clean), ms) for title, x, ms in rows]
    gallery = [(to_uint8(clean), "The truth")]
    gallery += [(to_uint8(x), f"{title.partition(',')[0]}: {p:.2f} dB") for title, x, p, _, _ in marked]
    return gallery, table_html(marked)


def to_uint8(x: np.ndarray) -> np.ndarray:
    return (x.clip(0, 1) * 255).round().astype(np.uint8)


def table_html(marked: list[tuple[str, np.ndarray, float, float, Any]]) -> str:
    """A row for each method, the highest PSNR and SSIM in bold."""
    best_psnr, best_ssim = max(row[2] for row in marked[1:]), max(row[3] for row in marked[1:])

    def cell(value: float, best: float, text: str) -> str:
        return f"<td class='num'>{f'<b>{text}</b>' if value == best else text}</td>"

    rows = "".join(
        f"<tr><td>{escape(title)}</td>{cell(p, best_psnr, f'{p:.2f} dB')}{cell(s, best_ssim, f'{s:.3f}')}"
        f"<td class='num'>{'' if ms is None else f'{ms:.1f} ms'}</td></tr>"
        for title, _, p, s, ms in marked
    )
    head = "<thead><tr><th>method</th><th>PSNR</th><th>SSIM</th><th>time</th></tr></thead>"
    size = " x ".join(str(n) for n in marked[0][1].shape[::-1])
    return (
        "<div class='lab-card' aria-live='polite'><div class='lab-scroll' tabindex='0'>"
        f"<table>{head}<tbody>{rows}</tbody></table>"
        f"</div><p class='lab-lead'>{size} px, grey · {escape(compute.device_name())}</p></div>"
    )


def build_playground() -> None:
    gr.HTML(LEAD)
    with gr.Row():
        picture = gr.Dropdown(list(PICTURES), value="Lion", label="Picture", filterable=False, min_width=140)
        kind = gr.Radio(list(NOISES), value="Gaussian", label="Noise", min_width=300, elem_id="play-noise")
        strength = gr.Slider(0, 100, 25, step=1, label="Strength", min_width=200, elem_id="play-strength",
                             info="Gaussian: sigma in grey levels; JPEG: 100 - quality.")  # fmt: skip
        seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=2**31 - 1, min_width=90)
    start = gr.Button("Compare the methods", variant="primary", elem_id="play-start")
    gallery = gr.Gallery(label="Side by side", format="png", columns=4, height=640, object_fit="contain",
                         interactive=False, elem_id="play-gallery")  # fmt: skip
    send_gallery("play-gallery")
    table = gr.HTML(restorers.said_html("Choose a noise; every method answers."), elem_id="play-table")
    gr.on(
        [start.click, picture.input, kind.input, strength.release, seed.submit], answering(play),
        [picture, kind, strength, seed], [gallery, table], show_progress="minimal", show_progress_on=table,
        trigger_mode="always_last", concurrency_id="heavy", api_visibility="private",
    )  # fmt: skip
