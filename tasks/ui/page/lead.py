"""A tab's first line: one sentence, and how it works behind a click."""

LOUPE = (
    "<button type='button' class='lab-loupe' aria-pressed='false' title='Key z: the same place of "
    "all images, enlarged'>Loupe over all images</button>"
)
"""A button for loupe.js."""


def lead(sentence: str, how: str = "", figure: str = "") -> str:
    """HTML.

    Args:
        sentence: at most 90 characters, HTML.
        how: what folds out, HTML; "" for nothing.
        figure: below it, HTML of figures.py.
    """
    more = f"<details><summary>How it works</summary><p>{how}</p>{figure}</details>" if how else ""
    return f"<div class='lab-intro'><p>{sentence}</p>{more}</div>"
