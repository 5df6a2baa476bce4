"""Picture input, and pictures to try, as every tab needs them."""

import importlib.util
from pathlib import Path
from typing import Any

import gradio as gr
from gradio_client import utils as client_utils


def picture_input(**kwargs: Any) -> gr.Image:
    """A `gr.Image` that hands over the file as it came, undecoded, so that `tasks.images` alone judges it.

    The event's function gets the file's path (or its bytes, for a picture sent as a data URL), or None.
    """
    image = gr.Image(type="filepath", image_mode=None, **kwargs)
    image.preprocess = _undecoded  # type: ignore[method-assign, assignment]  # a subclass would be a custom component
    return image


def photo_input(label: str, samples: tuple[tuple[str, str], ...], elem_id: str, height: int = 300) -> gr.Image:
    """A picture input for upload, paste and camera, with `samples` (see `sample_pictures`) below it to try."""
    picture = picture_input(
        sources=["upload", "clipboard", "webcam"],
        label=label,
        height=height,
        webcam_options=gr.WebcamOptions(mirror=False),
        elem_id=elem_id,
    )
    if samples:
        gr.Examples(
            [[path] for path in sample_pictures(samples)], picture, label="Or one of these", api_visibility="private"
        )
    return picture


def _undecoded(payload: Any) -> str | bytes | None:
    if payload is None:
        return None
    if payload.path is None and payload.url and payload.url.startswith("data:"):
        return client_utils.decode_base64_to_binary(payload.url)[0]
    return payload.path


def sample_pictures(samples: tuple[tuple[str, str], ...]) -> list[str]:
    """Pictures that installed packages bring along, as (package, file in it); missing ones are left out.

    The packages are found without being imported.
    """
    found = []
    for package, file in samples:
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or []) if spec else []:
            if (Path(folder) / file).is_file():
                found.append(str(Path(folder) / file))
    return found
