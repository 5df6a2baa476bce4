"""Segmentation: a class for every pixel of a road scene, on pictures, video files and the visitor's camera."""

import gradio as gr

from tasks.tabs import card
from tasks.tabs.segmentation_compare import build_compare
from tasks.tabs.segmentation_inside import build_inside
from tasks.tabs.segmentation_live import build_live
from tasks.tabs.segmentation_pictures import build_pictures
from tasks.tabs.segmentation_score import build_score
from tasks.tabs.segmentation_videos import build_videos

TITLE = "Segmentation"
LEAD = (
    "<p class='lab-lead'>A U-Net says of every pixel whether it is road, pavement, car, pedestrian ... It learnt that "
    "from 367 pictures of drives through Cambridge, taken behind a windscreen: that is what it is for, and elsewhere "
    "its uncertainty says how far it is from home.</p>"
)


def build_tab() -> None:
    gr.HTML(LEAD)
    with gr.Tabs():
        with gr.Tab("Picture", id="picture"):
            picture = build_pictures()
        with gr.Tab("Inside the network", id="inside"):
            build_inside(picture)
        with gr.Tab("Video files", id="videos"):
            build_videos()
        with gr.Tab("Camera", id="camera"):
            build_live()
        with gr.Tab("Compare", id="compare"):
            build_compare(picture)
        with gr.Tab("Scores", id="scores"):
            build_score()
    card.show_card("segmentation")
