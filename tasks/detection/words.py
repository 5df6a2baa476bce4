"""What is typed to be found: "red mug, green book" -> ("red mug", "green book"). Without torch."""

import re
from collections.abc import Sequence

from tasks.core.images import ImageError
from tasks.models import OPEN_VOCABULARY

MAX_WORDS = 20  # things at once
MAX_LENGTH = 60  # characters of one
EXAMPLE = "“red mug, green book”"


def parse_words(sent: object) -> tuple[str, ...]:
    """The things named in a text, by commas or lines, or in a list of texts; each once.

    Raises ImageError: none, too many, too long, no text.
    """
    listed = [sent] if isinstance(sent, str) else [] if sent is None else sent
    if not isinstance(listed, Sequence) or not all(isinstance(part, str) for part in listed):
        raise ImageError(f"Words are a text such as {EXAMPLE}; {str(sent)[:40]!r} came.")
    parts = (" ".join(part.split()) for text in listed for part in re.split(r"[,\n]", text))
    words = list({part.lower(): part for part in parts if part}.values())
    if not words:
        raise ImageError(f"Type what is to be found, separated by commas: {EXAMPLE}.")
    if len(words) > MAX_WORDS:
        raise ImageError(f"{len(words)} things came; up to {MAX_WORDS} are looked for at once.")
    longest = max(words, key=len)
    if len(longest) > MAX_LENGTH:
        raise ImageError(
            f"“{longest[:30]}…” has {len(longest)} characters; a thing has up to {MAX_LENGTH}. "
            "Separate things by commas."
        )
    return tuple(words)


def check_no_words(model: str, words: object) -> None:
    """Raises ImageError for words that a network with classes of its own was given."""
    if words is not None and words != "":
        raise ImageError(
            f"{model[:40]!r} finds its own classes and takes no words; {OPEN_VOCABULARY!r} does."
        )
