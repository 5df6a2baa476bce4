"""Pictures that the app returns are files of gradio's cache, whole from their first moment.

Gradio names them by their content and writes them in place: of two visitors with the same result one would read what
the other has just begun to write again (`python -m benchmarks.load` met it: an answer of 0 bytes).
"""

import os
import tempfile
from pathlib import Path

from gradio import processing_utils
from PIL import Image


def save_whole(img: Image.Image, cache_dir: str, name: str = "image", format: str = "webp") -> str:
    """As gradio's `save_pil_to_cache`, with a rename at the end. Raises OSError."""
    blob = processing_utils.encode_pil_to_bytes(img, format)
    folder = Path(cache_dir) / processing_utils.hash_bytes(blob)
    folder.mkdir(exist_ok=True, parents=True)
    file = (folder / f"{name}.{format}").resolve()
    handle, part = tempfile.mkstemp(dir=folder)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(blob)
        os.replace(part, file)
    except OSError:
        Path(part).unlink(missing_ok=True)
        raise
    return str(file)


def use() -> None:
    """From now on gradio's components save their pictures so."""
    processing_utils.save_pil_to_cache = save_whole
