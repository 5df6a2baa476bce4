"""Segmentation of road scenes: images, video files and the visitor's camera."""

import gradio as gr

from tasks.segmentation.tab.compare import build_compare
from tasks.segmentation.tab.images import build_images
from tasks.segmentation.tab.inside import build_inside
from tasks.segmentation.tab.live import build_live
from tasks.segmentation.tab.scores import build_scores
from tasks.segmentation.tab.videos import build_videos
from tasks.ui import model_card
from tasks.ui.page.figures import flow
from tasks.ui.page.lead import lead

TITLE = "Segmentation"
LEAD = lead(
    "A U-Net gives every pixel of a road scene a class: road, pavement, car, pedestrian ...",
    "It was trained on 367 images of drives through Cambridge, taken from behind a windscreen. On "
    "other images its uncertainty is higher.",
    flow("image:a road scene", "net:U-Net", "mask:a class per pixel"),
)


def build_tab() -> None:
    gr.HTML(LEAD)
    with gr.Tabs():
        with gr.Tab("Image", id="picture"):
            image = build_images()
        with gr.Tab("Inside the network", id="inside"):
            build_inside(image)
        with gr.Tab("Video files", id="videos"):
            build_videos()
        with gr.Tab("Camera", id="camera"):
            build_live()
        with gr.Tab("Compare", id="compare"):
            build_compare(image)
        with gr.Tab("Scores", id="scores"):
            build_scores()
    model_card.show_card("segmentation")
