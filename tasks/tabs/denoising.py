"""Denoising and enhancement: one before, one after, and the proof between."""

import gradio as gr

from tasks import weights
from tasks.tabs import card
from tasks.tabs.denoising_digits import build_digits
from tasks.tabs.denoising_enhance import build_enlarge, build_jpeg
from tasks.tabs.denoising_photo import build_photo
from tasks.tabs.denoising_playground import build_playground

TITLE = "Denoising"
CURVES = {"denoiser": "psnr_25", "denoiser_colour": "psnr_25", "enhancer": "psnr_x3", "autoencoder": "psnr_0.4"}
"""Card -> the score in its curve."""


def build_tab() -> None:
    with gr.Tabs():
        with gr.Tab("Your photo", id="denoise-photo"):
            build_photo()
            _show_card("denoiser")
            _show_card("denoiser_colour", "The model for colours")
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


def _show_card(name: str, title: str = "The model") -> None:
    card.show_card(name, title)
    try:
        curve = weights.read_card(name).curve
    except weights.WeightsError:
        return  # show_card says so
    points = [(p["step"], p[CURVES[name]]) for p in curve if CURVES[name] in p]
    with gr.Accordion("How it learnt" + (" colours" if name == "denoiser_colour" else ""), open=False):
        svg = card.learning_curves({"validation": points}, "training step", "validation PSNR, dB")
        gr.HTML(f"<div class='lab-scroll' tabindex='0'>{svg}</div>")
