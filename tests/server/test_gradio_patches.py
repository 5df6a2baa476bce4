"""The patches of gradio: what each changes; a changed gradio stays unpatched; all of them off."""

import asyncio
import inspect
import logging
import os
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from gradio import processing_utils
from gradio.route_utils import GradioMultiPartParser
from PIL import Image
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect

from tasks.core import weights
from tasks.core.weights import ROOT
from tasks.server import gradio_patches
from tasks.server.gradio_patches import PATCHES_IMPORT, PATCHES_SERVER, Patch, patched_import
from tests import hostile
from tests.served import served


@pytest.fixture
def patched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The server's patches, for one test."""
    for target, name in (
        (processing_utils, "save_pil_to_cache"),
        (processing_utils, "async_ssrf_protected_download"),
        (GradioMultiPartParser, "parse"),
    ):
        monkeypatch.setattr(target, name, getattr(target, name))  # put back later
    gradio_patches.patch_server()
    yield


def run(code: str, **environment: str) -> str:
    """What a new Python prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


# -- the table -----------------------------------------------------------------------------------


def test_the_installed_gradio_is_the_one_that_was_checked() -> None:
    code = (
        "from tasks.server.gradio_patches import PATCHES_IMPORT as a, PATCHES_SERVER as b\n"
        "print(all([p.is_expected() for p in a]) and all([p.is_expected() for p in b]))"
    )
    assert run(code) == "True"


def raise_attribute_error() -> bool:
    raise AttributeError("no such function")


@pytest.mark.parametrize("is_expected", [lambda: False, raise_attribute_error])
def test_a_changed_target_is_logged_and_left_alone(
    is_expected: object, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    applied: list[str] = []
    changed = Patch("one", is_expected, lambda: applied.append("one"))  # type: ignore[arg-type]
    good = Patch("two", lambda: True, lambda: applied.append("two"))
    monkeypatch.setattr(gradio_patches, "PATCHES_SERVER", (changed, good))
    with caplog.at_level(logging.WARNING, "image_lab"):
        gradio_patches.patch_server()
    assert applied == ["two"]
    assert [r.getMessage() for r in caplog.records] == ["gradio has changed; patch left out: one"]


CHANGES = {
    "atomic image files": (processing_utils, "save_pil_to_cache"),
    "no fetching of addresses": (processing_utils, "async_ssrf_protected_download"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_another_signature_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (one,) = (p for p in PATCHES_SERVER if p.name == name)
    assert one.is_expected()
    monkeypatch.setattr(*CHANGES[name], lambda img, folder: "")
    assert not one.is_expected()


def test_another_source_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradio_patches, "_source", lambda file: "def create_or_modify_pyi(): ...")
    assert not any(one.is_expected() for one in PATCHES_IMPORT)


# -- the import ----------------------------------------------------------------------------------


def test_only_gradios_classes_have_no_source() -> None:
    with patched_import():
        with pytest.raises(OSError, match="not needed"):
            inspect.getfile(gr.Image)
        assert inspect.getfile(weights.Card).endswith("weights.py")
    assert inspect.getfile(gr.Image).endswith("image.py")


def test_the_patched_import_reads_no_source_and_is_complete() -> None:
    code = (
        "from pathlib import Path; read = []; real = Path.read_text\n"
        "from tasks.server.gradio_patches import patched_import\n"
        "with patched_import():\n"
        "    Path.read_text = lambda p, *a, **k: (read.append(p.name), real(p, *a, **k))[1]\n"
        "    import gradio\n"
        "assert gradio.Image().upload and gradio.Blocks().queue, 'events are missing'\n"
        "print([name for name in read if name.endswith(('.py', '.pyi'))])"
    )
    assert run(code) == "[]"


@pytest.mark.parametrize("wanted", [False, True])
def test_mcp_is_imported_only_if_asked_for(wanted: bool) -> None:
    code = (
        "import sys\nfrom tasks.server.gradio_patches import patched_import\n"
        "with patched_import():\n    import gradio\n"
        "server = gradio.mcp.GradioMCPServer\n"
        "print('mcp' in sys.modules, hasattr(server, 'StreamableHTTPSessionManager'))\n"
        "import mcp"
    )
    assert run(code, GRADIO_MCP_SERVER=str(wanted)).split() == [str(wanted)] * 2


# -- image files ---------------------------------------------------------------------------------


def test_a_file_is_never_seen_half_written(tmp_path: Path, patched: None) -> None:
    image = np.random.default_rng(0).integers(0, 256, (700, 700, 3), np.uint8)

    def save() -> Path:
        return Path(processing_utils.save_img_array_to_cache(image, str(tmp_path), format="png"))

    path = save()
    complete, seen, done = path.stat().st_size, set(), threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(path.stat().st_size)

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(20):
        assert save() == path
    done.set()
    reader.join()
    assert seen == {complete}
    assert [p.name for p in path.parent.iterdir()] == ["image.png"]


def fail_to_replace(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_components_save_by_a_rename(patched: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradio_patches.os, "replace", fail_to_replace)
    with pytest.raises(OSError, match="No space"):
        gr.Image(format="png", render=False).postprocess(np.zeros((8, 8, 3), np.uint8))


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradio_patches.os, "replace", fail_to_replace)
    with pytest.raises(OSError, match="No space"):
        gradio_patches.save_image_atomically(Image.new("RGB", (8, 8)), str(tmp_path), format="png")
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


# -- addresses and uploads -----------------------------------------------------------------------


def test_the_link_preview_is_our_own() -> None:
    template = Path(gr.__file__).parent / "templates" / "frontend" / "index.html"
    page = gradio_patches.own_tags(template.read_text(encoding="utf-8"))
    head = page.partition("</head>")[0]
    assert head.count(f'content="{gradio_patches.PAGE_TITLE}"') == 2
    assert head.count(f'content="{gradio_patches.PAGE_TEXT}"') == 2
    assert head.count("tasks/ui/previews/link.jpg") == 2 and head.count("og:image") == 1
    assert "Click to try" not in head and "{url}" not in head and "header-image.jpg" not in head


def test_an_address_is_not_fetched(tmp_path: Path, patched: None) -> None:
    with pytest.raises(gr.Error, match="not fetched"):
        asyncio.run(
            processing_utils.async_ssrf_protected_download("http://127.0.0.1/", str(tmp_path))
        )


BEGINNING = (
    b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n' + b"x" * 5000
)
END = b"\r\n--x--\r\n"


def upload(folder: Path, error: BaseException | None) -> None:
    """The beginning of an upload as gradio receives it, and its end or an error."""

    async def stream() -> AsyncGenerator[bytes, None]:
        yield BEGINNING
        if error is not None:
            raise error
        yield END

    headers = Headers({"content-type": "multipart/form-data; boundary=x"})
    parser = GradioMultiPartParser(
        headers, stream(), max_files=10, max_fields=10, max_file_size=10**6, upload_dir=str(folder)
    )
    form = asyncio.run(parser.parse())
    asyncio.run(form.close())


@pytest.mark.parametrize(
    "error", [ClientDisconnect(), OSError(28, "No space left on device"), asyncio.CancelledError()]
)
def test_an_upload_that_breaks_off_leaves_nothing(
    tmp_path: Path, error: BaseException, request: pytest.FixtureRequest
) -> None:
    with pytest.raises(type(error)):
        upload(tmp_path, error)
    assert len(list(tmp_path.iterdir())) == 1, "gradio deletes it by itself: the patch may go"
    next(tmp_path.iterdir()).unlink()
    request.getfixturevalue("patched")
    with pytest.raises(type(error)):
        upload(tmp_path, error)
    assert not list(tmp_path.iterdir())


def test_a_complete_upload_stays(tmp_path: Path, patched: None) -> None:
    upload(tmp_path, None)
    (file,) = tmp_path.iterdir()
    assert file.read_bytes() == b"x" * 5000


# -- all off -------------------------------------------------------------------------------------


def test_without_any_patch_the_app_works(tmp_path: Path) -> None:
    with served(tmp_path, IMAGE_LAB_PATCHES="off") as app:
        app.wait_until_ready()
        photo = app.upload(hostile.good_png(tmp_path))
        for name, arguments in {
            "classify_digit": (photo,),
            "classify_photo": (photo, "cifar10"),
            "detect_objects": (photo, "digits", 0.25, 0.7, 320, False, None),
            "segment_scene": (photo, "segmentation", False, False),
            "denoise_photo": (photo, 25),
            "generate_by_gan": ("3", 1, 0, 3.0),
            "generate_by_diffusion": ("mnist", "3", 1, 0, "ddim", 2, 1.0),
        }.items():
            succeeded, answer = app.call(name, *arguments)
            assert succeeded, (name, answer)
        place = {"x": 0, "y": 0, "mix": 0.5, "from": "3", "to": "8", "seed": 1}
        assert "digit" in app.server_function("gan-steer", "steer_digit", place)
        assert "Traceback" not in app.said() and "patch left out" not in app.said()
