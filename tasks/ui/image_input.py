"""Inputs for images, and samples to try, as every tab needs them."""

import importlib.util
from abc import ABCMeta
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder, is_in_or_equal
from gradio_client import utils as client_utils

from tasks.core import images
from tasks.core.image_files import formats, tiff
from tasks.core.images import ImageError
from tasks.ui.errors import describe_error
from tasks.ui.send_to import send_to
from tasks.ui.widget import decode_base64

MAX_DRAWING = 500_000  # characters of a drawing's data URL; the pads' own are under 20,000
# px of a drawing, which server functions decode, many at once; the pads send 640 at most
MAX_SIDE = 2048
NOT_SENT = "This file was not sent here. Upload the image; its path on this machine is not enough."
# first bytes of TIFF and PPM, which no browser shows
NOT_IN_BROWSERS = (*tiff.MAGIC, *(f"P{n}".encode() for n in range(1, 8)))


def image_input(**kwargs: Any) -> gr.Image:
    """A `gr.Image` that passes the file undecoded, so that `tasks.core.images` alone decodes.

    The event's function gets the file's path, its bytes for an image sent as a data URL, or None.
    """
    return _UndecodedImage(type="filepath", image_mode=None, **kwargs)


def photo_input(
    label: str, samples: tuple[tuple[str, str], ...], elem_id: str, height: int = 300
) -> gr.Image:
    """An input for upload, paste and camera, with `samples` (see `sample_images`) below it."""
    image = _photo(label, elem_id, height)
    _offer(samples, image)
    return image


def checked_photo_input(
    label: str,
    samples: tuple[tuple[str, str], ...],
    elem_id: str,
    height: int = 300,
    example: str | None = None,
) -> tuple[gr.Image, gr.State]:
    """As `photo_input`, with a state: the path of the usable image in it, or None.

    `example` is the path of an image that is in it from the start. It starts no event: the tab
    shows the recorded result for it (tasks/ui/recordings).

    Events listen to the state and read from it. A file that is no usable image never gets there:
    the input returns to the image that was there before, and a line below it says why.
    """
    image = _photo(label, elem_id, height, example)
    problem = gr.HTML(visible=False, elem_id=f"{elem_id}-trouble")
    send_to("photo", f"#{elem_id} img")
    _offer(samples, image)
    good = gr.State(image.value["path"] if image.value else None)
    image.change(
        check_upload,
        [image, good],
        [image, good, problem],
        show_progress="hidden",
        trigger_mode="always_last",
        api_visibility="private",
    )
    # the same image once more is no change, but the line below it is out of date
    image.upload(
        lambda sent, good: gr.update(value="", visible=False) if sent == good else gr.skip(),
        [image, good],
        problem,
        show_progress="hidden",
        api_visibility="private",
    )
    return image, good


def check_upload(image: str | bytes | None, good: str | None) -> tuple[Any, Any, Any]:
    """(the input, the usable image, the line below): what was sent, or what was there before."""
    if image == good:  # just put back
        return gr.skip(), gr.skip(), gr.skip()
    if image is None:
        return gr.skip(), None, gr.update(value="", visible=False)
    try:
        rgb = images.to_rgb(image)
    except Exception as error:
        text = f"<p class='lab-trouble' role='alert'>{escape(describe_error(error))}</p>"
        return (
            good if good and Path(good).is_file() else None,
            gr.skip(),
            gr.update(value=text, visible=True),
        )
    note = images.note_of(rgb)
    line = gr.update(
        value=f"<p class='lab-lead' role='status'>{escape(note)}</p>", visible=bool(note)
    )
    first = _first_bytes(image)
    if first.startswith(NOT_IN_BROWSERS) or formats.is_heif(first):
        return rgb, gr.skip(), line  # comes back as a PNG, which carries the note
    return gr.skip(), image, line


def _photo(label: str, elem_id: str, height: int, example: str | None = None) -> gr.Image:
    return image_input(
        value=example,
        sources=["upload", "clipboard", "webcam"],
        label=label,
        height=height,
        format="png",
        webcam_options=gr.WebcamOptions(mirror=False),
        elem_id=elem_id,
    )


def _offer(samples: tuple[tuple[str, str], ...], image: gr.Image) -> None:
    if samples:
        gr.Examples(
            [[path] for path in sample_images(samples)],
            image,
            label="Or one of these",
            api_visibility="private",
        )


def _first_bytes(image: str | bytes) -> bytes:
    if isinstance(image, bytes):
        return image[:32]
    with Path(image).open("rb") as opened:
        return opened.read(32)


def _undecoded(self: gr.Image, payload: Any) -> str | bytes | None:
    if payload is None:
        return None
    if payload.path is None and payload.url and payload.url.startswith("data:"):
        return client_utils.decode_base64_to_binary(payload.url)[0]
    # gradio accepts any path without "meta" and relies on its own preprocessing to refuse it
    if payload.path is not None and not is_in_or_equal(payload.path, get_upload_folder()):
        raise gr.Error(NOT_SENT, print_exception=False)
    return payload.path


# A class, because gradio builds a component anew for a visitor to whom it has sent an update of it,
# as each click on an example does. It is created without ComponentMeta's own __new__, which would
# write a .pyi file beside this one. is_template: the page shows it as its parent.
_UndecodedImage: type[gr.Image] = ABCMeta.__new__(
    type(gr.Image),
    "UndecodedImage",
    (gr.Image,),
    {"preprocess": _undecoded, "is_template": True, "__module__": __name__},
)


def sample_images(samples: tuple[tuple[str, str], ...]) -> list[str]:
    """Paths of images in installed packages, given as (package, file in it).

    Missing ones are left out; the packages are not imported.
    """
    found = []
    for package, file in samples:
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or []) if spec else []:
            if (Path(folder) / file).is_file():
                found.append(str(Path(folder) / file))
    return found


def decode_drawing(data_url: object) -> bytes:
    """A drawing pad's PNG data URL -> the PNG's bytes.

    Raises ImageError: no such URL, too long, no base64, no image, too large.
    """
    head, _, body = data_url.partition(",") if isinstance(data_url, str) else ("", "", "")
    if not head.startswith("data:image/png;base64") or len(body) > MAX_DRAWING:
        raise ImageError(
            f"A drawing is needed as a PNG data URL of at most {MAX_DRAWING:,} characters."
        )
    return check_drawing_size(decode_base64(body))


def check_drawing_size(image: bytes) -> bytes:
    """The same bytes. Raises ImageError: not an image, or larger than MAX_SIDE."""
    width, height = images.size_of(image)
    if max(width, height) > MAX_SIDE:
        raise ImageError(
            f"The image is {width} x {height} px; here at most {MAX_SIDE} x {MAX_SIDE} work."
        )
    return image
