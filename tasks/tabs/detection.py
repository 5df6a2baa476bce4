"""Detection: YOLO on the visitor's camera in real time, on pictures and on video files."""

import gradio as gr

from tasks.tabs import card
from tasks.tabs.detection_compare import build_compare
from tasks.tabs.detection_live import build_live
from tasks.tabs.detection_pictures import build_pictures
from tasks.tabs.detection_videos import build_videos

TITLE = "Detection"
LEAD = (
    "<p class='lab-lead'>YOLO looks at the whole picture once: every cell of three grids says how sure it is of each "
    "class and how far its box reaches in each direction; of boxes that overlap the surest stays.</p>"
)


def build_tab() -> None:
    gr.HTML(LEAD)
    with gr.Tabs():
        with gr.Tab("Camera", id="camera"):
            build_live()
        with gr.Tab("Pictures", id="pictures"):
            build_pictures()
        with gr.Tab("Video files", id="videos"):
            build_videos()
        with gr.Tab("Side by side", id="compare"):
            build_compare()
    card.show_card("detector")
