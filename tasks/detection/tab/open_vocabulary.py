"""The words of the open-vocabulary detector: their field, and the network that finds them."""

from typing import TYPE_CHECKING, Any

import gradio as gr

from tasks import loaders, models
from tasks.core import scheduling
from tasks.detection.words import EXAMPLE, MAX_LENGTH, MAX_WORDS, parse_words

if TYPE_CHECKING:
    from tasks.detection.detector import Detector

CHOICE = ("What you type · YOLO-World (open vocabulary)", models.OPEN_VOCABULARY)
HINT = f"<p class='lab-lead'>Type above what is to be found, such as {EXAMPLE}.</p>"


def reads_words(name: str) -> bool:
    """Whether this detector finds what is typed."""
    return name == models.OPEN_VOCABULARY


def lacks_words(name: str, words: str | None) -> bool:
    """Whether it does, and nothing is typed yet."""
    return reads_words(name) and not (words or "").strip()


def word_detector(words: str | None) -> "Detector":
    """The detector of these words. Raises ImageError, WeightsError."""
    from tasks.detection.detector import Detector

    parsed = parse_words(words)  # before anything is downloaded
    vocabulary = loaders.open_vocabulary()
    with scheduling.CORES.step():
        return Detector(models.OPEN_VOCABULARY, vocabulary.engine(parsed))


def words_row(model: gr.Dropdown) -> tuple[gr.Textbox, gr.Button]:
    """What is to be found, and the button; shown for the detector that reads it."""
    with gr.Row(visible=False) as row:
        words = gr.Textbox(
            label="What to find, separated by commas",
            placeholder="red mug, green book",
            max_length=MAX_WORDS * (MAX_LENGTH + 2),
            elem_id="detect-words",
            scale=5,
        )
        find = gr.Button("Find", variant="primary", min_width=110, elem_id="detect-find")
    model.change(
        offer_words,
        model,
        [row, words, find],
        show_progress="hidden",
        queue=False,
        api_visibility="private",
    )
    return words, find


def offer_words(name: str) -> tuple[Any, Any, Any]:
    """(row, field, button): shown where they act; off, with the reason, where they cannot."""
    if not reads_words(name):
        return gr.update(visible=False), gr.skip(), gr.skip()
    said, is_usable = models.open_vocabulary_state()
    field = gr.update(info=said or f"Up to {MAX_WORDS} things, in English.", interactive=is_usable)
    return gr.update(visible=True), field, gr.update(interactive=is_usable)
