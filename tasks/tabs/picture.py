"""Picture input, and pictures to try, as every tab needs them."""

import base64
import importlib.util
from abc import ABCMeta
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder, is_in_or_equal
from gradio_client import utils as client_utils

from tasks import images
from tasks.images import ImageError
from tasks.tabs.errors import sentence
from tasks.tabs.send import send_to

MAX_DRAWING = 500_000  # characters of a drawing's data URL; the pads' own are under 20,000
MAX_SIDE = 2048  # px of what comes past the queue, where many are decoded at once; the pads send 640 at most
NOT_SENT = "This file was not sent here. Upload the picture; its path on this machine is not enough."
NOT_IN_BROWSERS = (b"II*\0", b"MM\0*", *(f"P{n}".encode() for n in range(1, 8)))
"""First bytes of TIFF and PPM, which are read here but which a page would show as a broken picture."""


def picture_input(**kwargs: Any) -> gr.Image:
    """A `gr.Image` that hands over the file as it came, undecoded, so that `tasks.images` alone judges it.

    The event's function gets the file's path (or its bytes, for a picture sent as a data URL), or None.
    """
    return _PictureInput(type="filepath", image_mode=None, **kwargs)


def photo_input(label: str, samples: tuple[tuple[str, str], ...], elem_id: str, height: int = 300) -> gr.Image:
    """A picture input for upload, paste and camera, with `samples` (see `sample_pictures`) below it to try."""
    picture = _photo(label, elem_id, height)
    _offer(samples, picture)
    return picture


def checked_photo_input(
    label: str, samples: tuple[tuple[str, str], ...], elem_id: str, height: int = 300
) -> tuple[gr.Image, gr.State]:
    """As `photo_input`, and the path of the picture in it that can be used, or None: the one to listen and read from.

    A file that is no usable picture never gets there. The input goes back to the picture that was there before, and a
    line below it says why.
    """
    picture = _photo(label, elem_id, height)
    trouble = gr.HTML(visible=False, elem_id=f"{elem_id}-trouble")
    send_to("photo", f"#{elem_id} img")
    _offer(samples, picture)
    good = gr.State(None)
    picture.change(
        check, [picture, good], [picture, good, trouble], show_progress="hidden", concurrency_id="pictures",
        concurrency_limit=2, trigger_mode="always_last", api_visibility="private",
    )  # fmt: skip
    picture.upload(  # the very picture that is there changes nothing, but the line below it is out of date
        lambda sent, good: gr.update(value="", visible=False) if sent == good else gr.skip(), [picture, good], trouble,
        show_progress="hidden", concurrency_id="pictures", api_visibility="private",
    )  # fmt: skip
    return picture, good


def check(picture: str | bytes | None, good: str | None) -> tuple[Any, Any, Any]:
    """(the input, what can be used, the line below): what came, or what was there before it."""
    if picture == good:  # just put back
        return gr.skip(), gr.skip(), gr.skip()
    silent = gr.update(value="", visible=False)
    if picture is None:
        return gr.skip(), None, silent
    try:
        rgb = images.to_rgb(picture)
    except Exception as error:
        told = f"<p class='lab-trouble' role='alert'>{escape(sentence(error))}</p>"
        return good if good and Path(good).is_file() else None, gr.skip(), gr.update(value=told, visible=True)
    if _first_bytes(picture).startswith(NOT_IN_BROWSERS):
        return rgb, gr.skip(), silent  # comes back as a PNG
    return gr.skip(), picture, silent


def _photo(label: str, elem_id: str, height: int) -> gr.Image:
    return picture_input(
        sources=["upload", "clipboard", "webcam"],
        label=label,
        height=height,
        format="png",
        webcam_options=gr.WebcamOptions(mirror=False),
        elem_id=elem_id,
    )


def _offer(samples: tuple[tuple[str, str], ...], picture: gr.Image) -> None:
    if samples:
        gr.Examples(
            [[path] for path in sample_pictures(samples)], picture, label="Or one of these", api_visibility="private"
        )


def _first_bytes(picture: str | bytes) -> bytes:
    if isinstance(picture, bytes):
        return picture[:4]
    with Path(picture).open("rb") as opened:
        return opened.read(4)


def _undecoded(self: gr.Image, payload: Any) -> str | bytes | None:
    if payload is None:
        return None
    if payload.path is None and payload.url and payload.url.startswith("data:"):
        return client_utils.decode_base64_to_binary(payload.url)[0]
    # gradio itself lets any path through that comes without "meta", and trusts its own preprocessing to refuse it
    if payload.path is not None and not is_in_or_equal(payload.path, get_upload_folder()):
        raise gr.Error(NOT_SENT, print_exception=False)
    return payload.path


# A class, because gradio builds a component anew for a visitor to whom it has sent an update of it, as each click on an
# example does. Made without ComponentMeta's own __new__, which would write a .pyi file beside this one.
_PictureInput: type[gr.Image] = ABCMeta.__new__(
    type(gr.Image), "PictureInput", (gr.Image,), {"preprocess": _undecoded, "is_template": True, "__module__": __name__}
)  # is_template: the page shows it as its parent


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


def decode_drawing(data_url: object) -> bytes:
    """A drawing pad's PNG data URL -> the PNG's bytes.

    Raises ImageError: no such URL, too long, no base64, no picture, too large.
    """
    head, _, body = data_url.partition(",") if isinstance(data_url, str) else ("", "", "")
    if not head.startswith("data:image/png;base64") or len(body) > MAX_DRAWING:
        raise ImageError(f"A drawing is needed as a PNG data URL of at most {MAX_DRAWING:,} characters.")
    try:
        picture = base64.b64decode(body, validate=True)
    except ValueError as error:  # binascii.Error is one
        raise ImageError("The drawing's data URL is not valid base64.") from error
    return of_a_pad(picture)


def of_a_pad(picture: bytes) -> bytes:
    """The same, if its header says so. Raises ImageError: not a picture, or larger than MAX_SIDE."""
    width, height = images.size_of(picture)
    if max(width, height) > MAX_SIDE:
        raise ImageError(f"The picture is {width} x {height} px; here at most {MAX_SIDE} x {MAX_SIDE} work.")
    return picture
