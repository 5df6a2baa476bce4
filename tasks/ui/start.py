"""The first tab: a digit to draw, a diffusion sampling to scrub, a card for each thing to try.

The moving previews are strips of frames that the app's models computed:
`python -m docs.make_previews`.
"""

from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
from PIL import Image

from tasks import loaders
from tasks.core import weights
from tasks.ui.errors import return_errors
from tasks.ui.image_input import decode_drawing
from tasks.ui.widget import DRAWING_PAD, widget

TITLE = "Start"
PREVIEWS = Path(__file__).parent / "previews"


class Entry(NamedTuple):
    """A card of the page."""

    link: str  # of tasks/ui/page/links.py
    title: str
    line: str
    preview: str  # name of a strip in PREVIEWS
    model: str  # name of the model card whose headline is shown, "" for none


GROUPS = {
    "Recognise": (
        Entry("classification", "Digits", "Draw; see what speaks for it", "digits", "digits"),
        Entry("classification/photos", "Photos", "A thousand classes", "photos", ""),
        Entry("detection", "Detection", "Your camera, live", "detection", "everyday"),
        Entry("segmentation", "Road scenes", "A class per pixel", "segmentation", "segmentation"),
    ),
    "Restore": (
        Entry("denoising", "Denoising", "Noise out of your photo", "denoising", "denoiser"),
        Entry(
            "denoising/enhance-enlarge",
            "Super-resolution",
            "Two to four times",
            "upscaling",
            "enhancer",
        ),
        Entry("diffusion/inpaint", "Inpainting", "Fill what is hidden", "inpainting", ""),
    ),
    "Generate": (
        Entry("gan", "GAN", "Walk through latent space", "gan", "gan"),
        Entry("diffusion", "Diffusion", "One step at a time", "diffusion", "diffusion_mnist"),
        Entry(
            "text-to-image",
            "Text to image",
            "Words become drawings",
            "drawings",
            "text_to_image",
        ),
        Entry("compare", "Compare", "GAN, VAE and diffusion", "comparison", "vae"),
    ),
}


@return_errors
def classify_drawing(data_url: str) -> dict[str, Any]:
    """The pad's PNG as data URL -> {"probabilities": of 0 ... 9, "prediction"} or {"error"}."""
    from tasks.core.digit_preprocessing import extract_digit

    digit = extract_digit(decode_drawing(data_url))
    shares = loaders.digit_classifier().classify_batch(digit[None], upright=True)[0]
    return {"probabilities": shares.tolist(), "prediction": int(shares.argmax())}


def frames_of(preview: str) -> int:
    """How many frames of 3 : 2 stand side by side in a strip; 0 where it is missing."""
    path = PREVIEWS / f"{preview}.webp"
    if not path.is_file():
        return 0
    with Image.open(path) as strip:
        return round(strip.width / (strip.height * 1.5))


def headline(model: str) -> str:
    """The measured figure of a model card, "" where there is no such card."""
    try:
        return weights.read_card(model).headline if model else ""
    except weights.WeightsError:
        return ""


def card_html(entry: Entry) -> str:
    return (
        f"<a href='#{entry.link}'><i class='strip' data-preview='{entry.preview}' "
        f"data-frames='{frames_of(entry.preview)}'></i><b>{escape(entry.title)}</b>"
        f"<span>{escape(entry.line)}</span><small>{escape(headline(entry.model))}</small></a>"
    )


def build_tab() -> None:
    gr.set_static_paths([PREVIEWS])
    groups = "".join(
        f"<section class='group'><h3>{name}</h3><div class='cards'>"
        f"{''.join(map(card_html, entries))}</div></section>"
        for name, entries in GROUPS.items()
    )
    page = (Path(__file__).parent, "start")
    marks = {"groups": groups}
    widget(DRAWING_PAD, page, elem_id="start", functions=[classify_drawing], marks=marks)
