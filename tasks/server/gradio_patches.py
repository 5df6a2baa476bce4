"""Every change that this app makes to gradio at run time, each with its reason and a check.

    with patched_import():
        import gradio
    patch_server()

PATCHES_IMPORT hold while gradio is imported, PATCHES_SERVER from then on. A patch whose target no
longer looks as expected is left out, which is logged once. IMAGE_LAB_PATCHES=off leaves out all of
them: everything works without them, with the drawbacks that docs/upstream.md names. The targets
were the same in gradio 5.50 to 6.31.
"""

import importlib.util
import inspect
import logging
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from PIL import Image

log = logging.getLogger("image_lab")
PAGE_TITLE = "Image Lab: machine learning on images, live"
PAGE_TEXT = "Draw, start your camera, scrub a diffusion: each answer shows how it came about."
PAGE_IMAGE = "".join(
    f'<meta {tag} content="{{{{ config["root"] or "" }}}}/gradio_api/file='
    'tasks/ui/previews/link.jpg" />'
    for tag in ('property="og:image"', 'name="twitter:image"')
)
"""docs/make_previews.py composes it; the template's config knows the page's own address."""
PAGE_MARK = "Click to try out the app!"
NOT_FETCHED = "Addresses are not fetched here. Send the image or video itself, as a file."


def _offers_mcp() -> bool:
    return os.environ.get("GRADIO_MCP_SERVER", "").lower() == "true"


def _source(file: str) -> str:
    """A file of gradio, without importing it; "" where there is none."""
    spec = importlib.util.find_spec("gradio")
    folders = spec.submodule_search_locations if spec else None
    path = Path(folders[0]) / file if folders else Path(file)
    return path.read_text(encoding="utf-8") if path.is_file() else ""


# -- import without the writer of .pyi files -----------------------------------------------------
# Gradio rewrites the .pyi files of its own components at each import. They serve editors; reading,
# parsing and comparing them is a third of the import. Gradio skips a class whose source file is
# unknown, so inspect.getfile does not know gradio's classes.


def _skips_unknown_files() -> bool:
    writer = _source("component_meta.py").partition("def create_or_modify_pyi(")[2]
    return "inspect.getfile(component_class))\n    except OSError:" in writer


@contextmanager
def _without_pyi() -> Iterator[None]:
    getfile = inspect.getfile

    def getfile_outside_gradio(of: Any) -> str:
        if inspect.isclass(of) and of.__module__.startswith("gradio."):
            raise OSError("not needed")
        return getfile(of)

    with patch.object(inspect, "getfile", getfile_outside_gradio):
        yield


# -- import without the package mcp --------------------------------------------------------------
# Spaces install gradio[mcp]; importing mcp takes an eighth of the import (0.5 s of processor time
# on two cores of an AMD EPYC) and serves GRADIO_MCP_SERVER only. Gradio works without it.


def _works_without_mcp() -> bool:
    if "mcp" in sys.modules:
        return False
    body = _source("mcp.py").partition("class GradioMCPServer")[2].partition("def __init__")[0]
    return "try:\n        from mcp import types" in body and "except ImportError:" in body


@contextmanager
def _without_mcp() -> Iterator[None]:
    if _offers_mcp():
        yield
        return
    sys.modules["mcp"] = None  # type: ignore[assignment]  # an import of it fails
    try:
        yield
    finally:
        del sys.modules["mcp"]


# -- image files that are complete from their first moment ---------------------------------------
# Gradio names the images that components return by their content and writes them in place: of two
# visitors with the same result, one would read a file that is being written again
# (`python -m benchmarks.load` met it: an answer of 0 bytes).


def save_image_atomically(
    img: Image.Image, cache_dir: str, name: str = "image", format: str = "webp"
) -> str:
    """As gradio's `save_pil_to_cache`, with a rename at the end. Raises OSError."""
    from gradio import processing_utils

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


def _saves_images_by_content() -> bool:
    from gradio import processing_utils

    expected = ["img", "cache_dir", "name", "format"]
    found = list(inspect.signature(processing_utils.save_pil_to_cache).parameters)
    return found == expected and hasattr(processing_utils, "encode_pil_to_bytes")


def _save_images_atomically() -> None:
    from gradio import processing_utils

    processing_utils.save_pil_to_cache = save_image_atomically


# -- no fetching of addresses --------------------------------------------------------------------
# Gradio fetches an address that is sent in place of a file, of any size and any number at once.
# With GRADIO_MCP_SERVER it may: the protocol's clients hardly have another way to send an image.


async def _refuse_address(url: str, cache_dir: str) -> str:
    import gradio as gr

    raise gr.Error(NOT_FETCHED, print_exception=False)


def _fetches_addresses() -> bool:
    from gradio import processing_utils

    fetch = processing_utils.async_ssrf_protected_download
    parameters = list(inspect.signature(fetch).parameters)
    return inspect.iscoroutinefunction(fetch) and parameters == ["url", "cache_dir"]


def _refuse_addresses() -> None:
    from gradio import processing_utils

    if not _offers_mcp():
        processing_utils.async_ssrf_protected_download = _refuse_address


# -- the beginning of an upload that broke off ---------------------------------------------------
# Where a visitor leaves midway or the disk is full, gradio leaves what has arrived in the upload
# folder, and `delete_cache` does not know of it: up to 120 MB, until the process ends.


def _leaves_broken_uploads() -> bool:
    from gradio.route_utils import GradioMultiPartParser

    source = inspect.getsource(GradioMultiPartParser)
    return (
        "except (MultiPartException, MultipartParseError) as exc:" in source
        and "self._files_to_close_on_error.append(tempfile)" in source
    )


def _delete_broken_uploads() -> None:
    from gradio.route_utils import GradioMultiPartParser

    parse = GradioMultiPartParser.parse

    async def parse_or_delete(self: Any) -> Any:
        try:
            return await parse(self)
        except BaseException:  # the task may be cancelled, too
            for file in self._files_to_close_on_error:
                file.close()
                Path(file.name).unlink(missing_ok=True)
            raise

    GradioMultiPartParser.parse = parse_or_delete  # type: ignore[method-assign]  # the patch


# -- the page's own link preview ------------------------------------------------------------------
# The template of gradio's page describes each app as "Gradio - Click to try out the app!", with an
# address that nobody has filled in. A page that is shared is shown by these tags.


def own_tags(html: str) -> str:
    """Gradio's template with this app's title and description."""
    for tag in ('property="og:title"', 'name="twitter:title"'):
        html = html.replace(f'{tag} content="Gradio"', f'{tag} content="{PAGE_TITLE}"')
    html = html.replace(PAGE_MARK, PAGE_TEXT)
    html = html.replace('<meta name="twitter:creator" content="@Gradio" />', "")
    html = html.replace('<meta property="og:url" content="{url}" />', "")
    html = re.sub(r'<meta property="og:url" content="https://gradio.app/" />', "", html)
    html = re.sub(
        r'<meta\s+(property="og:image"|name="twitter:image")\s+content="[^"]*"\s*/>', "", html
    )
    return html.replace("</head>", PAGE_IMAGE + "</head>", 1)


def _has_tags() -> bool:
    page = _source("templates/frontend/index.html")
    return 'property="og:title" content="Gradio"' in page and PAGE_MARK in page


def _describe_page() -> None:
    from gradio import routes
    from jinja2 import BaseLoader, Environment

    loader = routes.templates.env.loader
    assert loader is not None
    inner: BaseLoader = loader

    class OwnTags(BaseLoader):
        def get_source(self, environment: Environment, template: str) -> Any:
            text, *rest = inner.get_source(environment, template)
            return own_tags(text), *rest

    routes.templates.env.loader = OwnTags()


# -- the table -----------------------------------------------------------------------------------


class Patch(NamedTuple):
    name: str
    is_expected: Callable[[], bool]
    """Whether the target looks as the patch needs it."""
    apply: Callable[[], Any]
    """A context manager for PATCHES_IMPORT, a plain function for PATCHES_SERVER."""


PATCHES_IMPORT = (
    Patch("import without .pyi files", _skips_unknown_files, _without_pyi),
    Patch("import without mcp", _works_without_mcp, _without_mcp),
)
PATCHES_SERVER = (
    Patch("atomic image files", _saves_images_by_content, _save_images_atomically),
    Patch("no fetching of addresses", _fetches_addresses, _refuse_addresses),
    Patch("no broken uploads", _leaves_broken_uploads, _delete_broken_uploads),
    Patch("own link preview", _has_tags, _describe_page),
)


def are_on() -> bool:
    return os.environ.get("IMAGE_LAB_PATCHES", "on").lower() != "off"


def _usable(patches: tuple[Patch, ...]) -> Iterator[Patch]:
    for one in patches if are_on() else ():
        try:
            expected = one.is_expected()
        except (AttributeError, ImportError, OSError, TypeError):
            expected = False
        if expected:
            yield one
        else:
            log.warning("gradio has changed; patch left out: %s", one.name)


@contextmanager
def patched_import() -> Iterator[None]:
    """For the block in which gradio is imported for the first time."""
    with ExitStack() as stack:
        for one in _usable(PATCHES_IMPORT):
            stack.enter_context(one.apply())
        yield


def patch_server() -> None:
    """Once, before the app is launched."""
    for one in _usable(PATCHES_SERVER):
        one.apply()
