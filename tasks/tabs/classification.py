"""Classification: digits read while they are drawn, photos by transfer learning."""

import gradio as gr

from tasks.tabs.classification_digits import build_digits
from tasks.tabs.classification_photos import build_photos

TITLE = "Classification"


def build_tab() -> None:
    with gr.Tabs():
        with gr.Tab("Digits", id="digits"):
            build_digits()
        with gr.Tab("Photos", id="photos"):
            build_photos()
