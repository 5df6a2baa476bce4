"""Frames of the step player: images, the caption as it was read, and where each word acts."""

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tasks.ui.jobs import Frame
from tasks.ui.widget import encode_base64

if TYPE_CHECKING:
    from tasks.text_to_image.captions import Caption, Vocabulary, Word
    from tasks.text_to_image.generator import TextStep

PANELS = ("after the step", "what the network predicts for the end")
PART = (Path(__file__).parent, "word_maps")
"""What a player has besides whose frames have words; its fields are #<stem>-prompt and -go."""
ROLES = {
    "thing": "what",
    "first": "first thing",
    "second": "second thing",
    "thing's colour": "its colour",
    "background": "background",
    "style": "style",
    "layout": "layout",
}
"""concepts.ROLES in a visitor's words."""


def frames(
    steps: "Iterator[TextStep]", caption: "Caption | None" = None, note: str = ""
) -> Iterator[Frame]:
    """A frame for each step.

    Args:
        caption: of all images; its words get their maps.
        note: HTML below the words.
    """
    for step in steps:
        words = words_html(caption, step.maps) if caption is not None else ""
        yield Frame(
            (step.noisy, step.images),
            f"Step {step.i} of {step.n}: t = {step.t:.2f} → {step.t * (1 - 1 / _left(step)):.2f}",
            words + note,
        )


def _left(step: "TextStep") -> int:
    return step.n - step.i + 1


def words_html(caption: "Caption", maps: np.ndarray) -> str:
    """Buttons, one for each word that was read, with its maps in this step as data."""
    buttons = [word_html(word, maps[:, k]) for k, word in enumerate(caption.words[: maps.shape[1]])]
    if not buttons:
        return "<p>No word was read, so these are images of anything.</p>"
    return (
        "<p class='words'><span>Point at a word to see where it acts, press it to switch it off: "
        f"</span>{''.join(buttons)}</p>"
    )


def rows_html(captions: Sequence[str]) -> str:
    """What each of nine images is, in rows as the images lie."""
    rows = (" · ".join(escape(text) for text in captions[k : k + 3]) for k in range(0, 9, 3))
    return "".join(f"<p>{row}</p>" for row in rows)


def word_html(word: "Word", maps: np.ndarray) -> str:
    """One word; maps float (n, 8, 8), its share of the attention, shown relative to its most."""
    from tasks.text_to_image.concepts import FIXED

    meant = next((name for name, k in FIXED.items() if k == word.meant[0]), "")
    text = word.text or meant
    levels = (255 * maps / max(float(maps.max()), 1e-6)).round().astype(np.uint8)
    factor = "" if word.weight == 1 else f" × {word.weight:g}"
    return (
        f"<button type='button' class='word' data-maps='{encode_base64(levels)}' "
        f"data-text='{escape(word.text, quote=True)}' data-off='{int(word.weight == 0)}'>"
        f"{escape(text)}{factor} <small>{ROLES[word.role]}</small></button>"
    )


def reading_html(caption: "Caption", vocabulary: "Vocabulary", n: int) -> str:
    """What of the caption was understood otherwise than its writer may think."""
    from tasks.text_to_image.concepts import MAX_WORDS, N_FIXED

    said = []
    for unknown in caption.unknown[:5]:
        near = ", ".join(escape(word) for word in unknown.nearest)
        hint = f" Near it: {near}." if near else ""
        said.append(f"“{escape(unknown.text)}” is not known and was left out.{hint}")
    if len(caption.unknown) > 5:
        said.append(f"{len(caption.unknown) - 5} more words are not known.")
    unused = [*caption.unused, *(word.text for word in caption.words[MAX_WORDS:])]
    if unused:
        names = ", ".join(f"“{escape(text)}”" for text in unused[:5])
        said.append(f"No place was found for {names}: two things and one layout at most.")
    for word in caption.words:
        if len(word.meant) > 1 and word.meant[0] >= N_FIXED:
            chosen = _choices(word.meant, vocabulary, caption.language, n)
            said.append(f"“{escape(word.text)}” may be several things; here: {escape(chosen)}.")
        elif not word.text and word.role == "layout":
            said.append("No word says how the two lie; they are drawn left and right or above.")
    return "".join(f"<p>{text}</p>" for text in said)


def _choices(meant: Sequence[int], vocabulary: "Vocabulary", language: str, n: int) -> str:
    from tasks.text_to_image.concepts import N_FIXED

    chosen = dict.fromkeys(meant[k % len(meant)] for k in range(n))
    return ", ".join(vocabulary.label(k - N_FIXED, language) for k in chosen)
