"""The tab: generate, interpolate, steer, the discriminator, and the history of training."""

import gradio as gr

from tasks.gan.tab.discriminator import build_discriminator
from tasks.gan.tab.generate import build_generate
from tasks.gan.tab.history import build_history
from tasks.gan.tab.steer import build_steer
from tasks.ui import model_card
from tasks.ui.page.figures import flow
from tasks.ui.page.lead import lead

TITLE = "GAN"
LEAD = lead(
    "A generator turns 100 random numbers and a class into a digit in one step.",
    "Generator and discriminator are trained together: the discriminator learns to tell generated "
    "digits from real ones, the generator learns to produce digits that it takes for real.",
    flow(
        "code:100 numbers",
        "wide:generator",
        "digit:a digit",
        "narrow:discriminator",
        "bars:real or not",
        back="the generator learns from the answer",
    ),
)


def build_tab() -> None:
    gr.HTML(LEAD)
    with gr.Tabs():
        with gr.Tab("Generate and interpolate", id="gan-generate"):
            build_generate()
        with gr.Tab("Steer", id="gan-steer"):
            build_steer()
        with gr.Tab("Discriminator", id="gan-discriminator"):
            build_discriminator()
        with gr.Tab("Training history", id="gan-history"):
            build_history()
    model_card.show_card("gan")
