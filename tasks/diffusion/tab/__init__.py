"""The tab: images from noise, step by step; inpainting, super-resolution, samplers."""

import gradio as gr

from tasks.diffusion.tab.api import build_api
from tasks.diffusion.tab.generate import available, build_generate
from tasks.diffusion.tab.restoration import build_enlarge, build_forward, build_inpaint
from tasks.diffusion.tab.samplers import build_samplers
from tasks.ui import model_card
from tasks.ui.page.figures import flow
from tasks.ui.page.lead import lead

TITLE = "Diffusion"
LEAD = lead(
    "A network removes a little noise at a time until a new image is left.",
    "The network was trained to predict the image in a noisy one. Sampling starts from pure noise; "
    "each step predicts the image and removes a part of the noise.",
    flow(
        "noise:pure noise",
        "net:U-Net",
        "+digit:a part of it",
        "digit:a new digit",
        back="repeat in each step",
    ),
)


def build_tab() -> None:
    gr.HTML(LEAD)
    with gr.Tabs():
        with gr.Tab("Generate", id="generate"):
            build_generate()
        with gr.Tab("Noise and denoise", id="forward"):
            build_forward()
        with gr.Tab("Inpaint", id="inpaint"):
            build_inpaint()
        with gr.Tab("Super-resolve", id="enlarge"):
            build_enlarge()
        with gr.Tab("Samplers side by side", id="samplers"):
            build_samplers()
    build_api()
    for title, name in available().items():
        model_card.show_card(f"diffusion_{name}", title)
