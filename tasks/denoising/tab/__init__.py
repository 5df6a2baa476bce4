"""Denoising, a playground of methods, noisy digits, super-resolution and JPEG repair."""

import gradio as gr

from tasks.core import weights
from tasks.denoising.tab.digits import build_digits
from tasks.denoising.tab.enhance import build_enlarge, build_jpeg
from tasks.denoising.tab.photo import build_photo
from tasks.denoising.tab.playground import build_playground
from tasks.ui import model_card
from tasks.ui.charts import Axis, Series, chart

TITLE = "Denoising"
CURVES = {
    "denoiser": "psnr_25",
    "enhancer": "psnr_x3",
    "autoencoder": "psnr_0.4",
}
"""Card -> the score in its learning curve."""


def build_tab() -> None:
    with gr.Tabs():
        with gr.Tab("Your photo", id="denoise-photo"):
            build_photo()
            _show_card("denoiser")
        with gr.Tab("Playground", id="denoise-playground"):
            build_playground()
        with gr.Tab("Noisy digits", id="denoise-digits"):
            build_digits()
            _show_card("autoencoder")
        with gr.Tab("Enlarge", id="enhance-enlarge"):
            build_enlarge()
            _show_card("enhancer")
        with gr.Tab("Undo JPEG", id="enhance-jpeg"):
            build_jpeg()
            _show_card("enhancer")


def _show_card(name: str) -> None:
    model_card.show_card(name)
    try:
        curve = weights.read_card(name).curve
    except weights.WeightsError:
        return  # show_card says so
    points = [(p["step"], p[CURVES[name]]) for p in curve if CURVES[name] in p]
    with gr.Accordion("Learning curve", open=False):
        gr.HTML(
            chart(
                [Series("validation", points)], Axis("training step"), Axis("validation PSNR, dB")
            )
        )
