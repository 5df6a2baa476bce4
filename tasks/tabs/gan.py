"""GAN: digits in one step, the way between them, both players of the game, and how they learned it."""

import gradio as gr

from tasks.tabs import card
from tasks.tabs.gan_generate import build_generate
from tasks.tabs.gan_history import build_history
from tasks.tabs.gan_judge import build_judge
from tasks.tabs.gan_steer import build_steer

TITLE = "GAN"
LEAD = (
    "<p class='lab-lead'>Two networks play: the generator turns 100 random numbers and a class into a digit, in one "
    "step; the discriminator says whether it was written by people. Each learns from the other’s mistakes, until "
    "made digits pass.</p>"
)


def build_tab() -> None:
    gr.HTML(LEAD)
    with gr.Tabs():
        with gr.Tab("Generate and walk", id="gan-generate"):
            build_generate()
        with gr.Tab("Steer", id="gan-steer"):
            build_steer()
        with gr.Tab("The discriminator", id="gan-judge"):
            build_judge()
        with gr.Tab("How it learned", id="gan-history"):
            build_history()
    card.show_card("gan")
