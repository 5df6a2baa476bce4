"""Detection: YOLO on the camera in real time, on images and on video files."""

import gradio as gr

from tasks.detection.tab.compare import build_compare
from tasks.detection.tab.images import build_images
from tasks.detection.tab.live import build_live
from tasks.detection.tab.videos import build_videos
from tasks.ui import model_card
from tasks.ui.page.figures import flow
from tasks.ui.page.lead import lead

TITLE = "Detection"
LEAD = lead(
    "Boxes around what a network finds: on your camera, on images, on video files.",
    "YOLO detects objects in one pass: every cell of three grids predicts class confidences and a "
    "box. Of overlapping boxes non-maximum suppression keeps the most confident.",
    flow("image:image", "net:YOLO", "maps:three grids", "box:boxes"),
)


def build_tab() -> None:
    gr.HTML(LEAD)
    with gr.Tabs():
        with gr.Tab("Camera", id="camera"):
            build_live()
        with gr.Tab("Images", id="pictures"):
            build_images()
        with gr.Tab("Video files", id="videos"):
            build_videos()
        with gr.Tab("Side by side", id="compare"):
            build_compare()
    model_card.show_card("detector")
