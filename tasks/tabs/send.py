"""Send to: what one tab made becomes the input of another. The page's side is send.js.

A widget that wants it gives `SERVER_FUNCTIONS` to its server functions and puts `script()` before its own script; then
`sendToClassifier(pixels)` is there.
"""

from pathlib import Path

from tasks.tabs.classification_digits import look_inside

SERVER_FUNCTIONS = (look_inside,)


def script() -> str:
    """The JavaScript functions."""
    return (Path(__file__).parent / "send.js").read_text(encoding="utf-8")
