"""Classification: digits while they are drawn, photos by transfer learning, a classifier taught by
the visitor, and one trained before their eyes.
"""

import gradio as gr

from tasks.classification.tab.digits import build_digits
from tasks.classification.tab.photos import build_photos
from tasks.classification.tab.teach import build_teach
from tasks.classification.tab.train import build_train

TITLE = "Classification"


def build_tab() -> None:
    with gr.Tabs():
        with gr.Tab("Digits", id="digits"):
            build_digits()
        with gr.Tab("Photos", id="photos"):
            build_photos()
        with gr.Tab("Teach it", id="teach"):
            build_teach()
        with gr.Tab("Train one", id="train"):
            build_train()
