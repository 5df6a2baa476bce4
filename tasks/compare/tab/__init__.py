"""The tab: the same digits by GAN, VAE and diffusion, and the measurements of the three."""

import gradio as gr

from tasks.compare.tab.metrics import build_measures
from tasks.compare.tab.side_by_side import build_side
from tasks.ui.page.figures import flow
from tasks.ui.page.lead import lead

TITLE = "Compare"
LEAD = lead(
    "GAN, VAE and diffusion, trained on the same digits, side by side.",
    "All three were measured by the same protocol. A GAN and a VAE take one pass through a "
    "network, diffusion one for each step.",
    flow("code:random numbers", "wide:GAN or VAE: once", "digit:a digit"),
)


def build_tab() -> None:
    gr.HTML(LEAD)
    build_side()
    build_measures()
