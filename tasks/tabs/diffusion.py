"""Diffusion: pictures out of noise, one step at a time, seen, scrubbed and steered."""

import gradio as gr

from tasks.tabs import card
from tasks.tabs.diffusion_api import build_api
from tasks.tabs.diffusion_generate import available, build_generate
from tasks.tabs.diffusion_samplers import build_samplers
from tasks.tabs.diffusion_steer import build_enlarge, build_forward, build_inpaint
from tasks.tabs.diffusion_text import build_text

TITLE = "Diffusion"
LEAD = (
    "<p class='lab-lead'>A network learnt one thing only: to see, in a picture drowned in noise, the picture. Start "
    "from nothing but noise, take a little of it away, look again, and a picture that never was comes out.</p>"
)


def build_tab() -> None:
    gr.HTML(LEAD)
    with gr.Tabs():
        with gr.Tab("Generate", id="generate"):
            build_generate()
        with gr.Tab("Forward and back", id="forward"):
            build_forward()
        with gr.Tab("Inpaint", id="inpaint"):
            build_inpaint()
        with gr.Tab("Super-resolve", id="enlarge"):
            build_enlarge()
        with gr.Tab("Samplers side by side", id="samplers"):
            build_samplers()
        with gr.Tab("Text to image", id="text"):
            build_text()
    build_api()
    for title, name in available().items():
        card.show_card(f"diffusion_{name}", title)
