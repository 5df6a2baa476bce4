"""Compare: the same digit through GAN, VAE and diffusion, and what was measured of the three."""

import gradio as gr

from tasks.tabs.compare_measures import build_measures
from tasks.tabs.compare_side import build_side

TITLE = "Compare"
LEAD = (
    "<p class='lab-lead'>Three ways to make the same digits, trained here on the same pictures and measured by the "
    "same protocol. A GAN and a VAE take one pass through a network, diffusion as many as you give it.</p>"
)


def build_tab() -> None:
    gr.HTML(LEAD)
    build_side()
    build_measures()
