"""The tab: drawings from captions, with the bundled model; larger pipelines of diffusers."""

import gradio as gr

from tasks.text_to_image.tab.generate import build_generate
from tasks.text_to_image.tab.larger import build_pipelines
from tasks.text_to_image.tab.paint import build_paint
from tasks.text_to_image.tab.strips import build_strips
from tasks.ui import model_card
from tasks.ui.page.figures import flow
from tasks.ui.page.lead import lead

TITLE = "Text to image"
LEAD = lead(
    "Words steer how a network turns noise into a drawing, step by step.",
    "Each concept of the caption brings a small canvas, which the caption shrinks, copies "
    "or moves to its place, and at every position of the image an attention decides whose canvas "
    "counts. Trained here, on 931 drawings of emoji.",
    flow(
        "bars:words",
        "noise:noise",
        "net:U-Net",
        "+maps:a part of it",
        "image:a drawing",
        back="repeat in each step",
    ),
)


def build_tab() -> None:
    gr.HTML(LEAD)
    with gr.Tabs():
        with gr.Tab("Generate", id="generate"):
            build_generate()
        with gr.Tab("Nine from one noise", id="strips"):
            build_strips()
        with gr.Tab("Paint over", id="paint"):
            build_paint()
        with gr.Tab("Larger pipelines", id="pipelines"):
            build_pipelines()
    for name, title in (("text_to_image", "U-Net"), ("text_to_image_words", "dictionary")):
        model_card.show_card(name, title)
