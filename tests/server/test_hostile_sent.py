"""What is sent as a file or in place of one: bombs, polyglots, markup, paths and addresses, through
the app's own door.

`test_hostile_api.py` makes up the values of calls; here it is the files, their names, and requests
that are no calls.
"""

import json
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.server import gradio_patches, request_limits
from tests import hostile, hostile_files
from tests.conftest import ROOT
from tests.hostile_video import mp4
from tests.served import Served, served

SLOW_S = 60.0  # on busy cores
GROWTH = (
    700_000_000  # B: a picture of 64 megapixels takes 192 MB decoded, and is copied once or twice
)
INSIDES = ("Traceback", 'File "', "site-packages", str(ROOT), "root:x:")
MARKUP = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("sent")) as running:
        running.wait_until_ready()
        yield running


def told(app: Served, endpoint: str, *data: Any) -> tuple[bool, Any]:
    """As `call`; fails where it takes too long, leaks, is no sentence, or where the next good
    picture does not work."""
    began, before = time.monotonic(), app.rss()
    good, answer = app.call(endpoint, *data)
    assert time.monotonic() - began < SLOW_S
    assert app.rss() - before < GROWTH
    assert not [word for word in INSIDES if word in json.dumps(answer)]
    assert good or (isinstance(answer, str) and len(answer) > 20), (endpoint, answer)
    return good, answer


# -- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", hostile_files.IMAGES)
def test_a_hostile_picture_is_an_answer_or_a_sentence(
    app: Served, name: str, tmp_path: Path
) -> None:
    told(app, "classify_digit", app.upload(hostile_files.IMAGES[name](tmp_path)))
    assert app.call("classify_digit", app.upload(hostile.good_png(tmp_path)))[0]


WORST = (
    "SVG",
    "text bomb",
    "2147483647 x 2147483647",
    "ring of TIFFs",
    "20000x20000",
    "10,000 frames",
    "truncated PNG",
)
ENDPOINTS: dict[str, tuple[Any, ...]] = {
    "classify_photo": ("cifar10",),
    "detect_objects": ("digits", 0.25, 0.7, 320, False, None),
    "segment_scene": ("segmentation", False, False),
    "denoise_photo": (25,),
    "deblock_photo": (),
    "super_resolve_by_diffusion": ("mnist", 7, "any", 1, 1, 0),
    "noise_and_denoise": ("mnist", 100, 1, 0),
}


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_the_worst_at_every_endpoint_that_takes_a_picture(
    app: Served, endpoint: str, tmp_path: Path
) -> None:
    for name in WORST:
        told(app, endpoint, app.upload(hostile_files.IMAGES[name](tmp_path)), *ENDPOINTS[endpoint])


@pytest.mark.parametrize("name", hostile_files.CLIPS)
@pytest.mark.parametrize("endpoint", ["detect_video", "segment_video"])
def test_a_hostile_clip(app: Served, endpoint: str, name: str, tmp_path: Path) -> None:
    data = ("digits", 0.25, 0.7, 320, None) if endpoint == "detect_video" else ("segmentation",)
    told(app, endpoint, app.upload(hostile_files.CLIPS[name](tmp_path)), *data)


# -- names and what is served --------------------------------------------------------------------

NAMES = [
    "../../../../../../tmp/evil.png",
    "..",
    ".",
    "/etc/evil.png",
    f"{MARKUP}.png",
    "a" * 400 + ".png",
    ".htaccess",
    "x.png\0.html",
    "\u202egnp.exe",
    "con.png",
    "a\\..\\..\\b.png",
    "%2e%2e%2fx.png",
    "x;y.png",
    "' OR 1.png",
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_no_name_leads_out_of_the_temporary_folder(app: Served, name: str, tmp_path: Path) -> None:
    before = set(Path("/tmp").iterdir())
    try:
        sent = app.upload((name.replace('"', ""), hostile.good_png(tmp_path).read_bytes()))
    except AssertionError as refused:
        assert "400" in str(refused) or "500" in str(refused)
        assert not [word for word in INSIDES if word in str(refused)]
        return
    assert Path(sent["path"]).resolve().is_relative_to(app.temporary)
    assert {
        path.name for path in set(Path("/tmp").iterdir()) - before if "evil" in path.name
    } == set()
    told(app, "classify_digit", sent)


@pytest.mark.parametrize("endpoint", ["classify_digit", *ENDPOINTS])
def test_a_picture_of_the_machine_s_own_cannot_be_asked_for(
    app: Served, endpoint: str, tmp_path: Path
) -> None:
    own = str(hostile.good_png(tmp_path))
    for sent in (
        {"path": own},
        {"path": own, "meta": {"_type": "gradio.FileData"}},
        {"path": own, "meta": {}},
        own,
    ):
        good, said = app.call(endpoint, sent, *ENDPOINTS.get(endpoint, ()))
        assert not good and (said is None or "was not sent here" in said), sent
    above = Path(own).relative_to(app.temporary.parents[1])
    up = f"{app.temporary}/image-lab-x/gradio/../../../{above}"
    assert not app.call(endpoint, {"path": up}, *ENDPOINTS.get(endpoint, ()))[0]


@pytest.mark.parametrize("endpoint", ["detect_video", "segment_video"])
def test_a_clip_of_the_machine_s_own_cannot_be_asked_for(
    app: Served, endpoint: str, tmp_path: Path
) -> None:
    own = str(mp4(tmp_path))
    data = ("digits", 0.25, 0.7, 320, None) if endpoint == "detect_video" else ("segmentation",)
    for sent in (
        {"path": own},
        {"path": own, "meta": {"_type": "gradio.FileData"}},
        [{"path": own}],
        own,
    ):
        assert not app.call(endpoint, sent, *data)[0], sent


def headers_of(app: Served, path: str) -> dict[str, str]:
    with urllib.request.urlopen(
        f"{app.url}gradio_api/file={urllib.parse.quote(path)}", timeout=SLOW_S
    ) as answer:
        return {key.lower(): value for key, value in answer.headers.items()}


@pytest.mark.parametrize(
    "name", ["drawing.svg", "page.html", "page.xhtml", "run.js", "page.xml", "page"]
)
def test_what_could_run_in_a_page_is_served_as_a_download(app: Served, name: str) -> None:
    sent = app.upload((name, hostile_files.SVG.format(secret="x").encode()))
    served_as = headers_of(app, sent["path"])
    assert served_as["content-disposition"].startswith("attachment"), served_as
    assert "html" not in served_as["content-type"] and "svg" not in served_as["content-type"]


PATHS = [
    "/etc/passwd",
    "../../../../etc/passwd",
    "app.py",
    "weights/digits.json",
    "tasks/core/weights.py",
    "/proc/self/environ",
    "/proc/self/fd/0",
    "file:///etc/passwd",
    "//etc/passwd",
    "/tmp/../etc/passwd",
    ".",
    "/",
    "/root",
    "\0",
    "x" * 9000,
]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: ascii(path)[:40])
def test_no_path_leads_out_of_the_temporary_folder(app: Served, path: str) -> None:
    for route in ("gradio_api/file=", "file=", "gradio_api/file/", "static/", "assets/", "svelte/"):
        for written in (
            urllib.parse.quote(path),
            urllib.parse.quote(path, safe=""),
            path.replace("/", "%2f"),
        ):
            if any(ord(letter) < 33 for letter in written):
                continue
            status, answer = app.request(route + written)
            assert (
                status in (400, 403, 404, 405, 414, 422, 500)
                or b"<!doctype html>" in answer[:100].lower()
            ), route
            assert (
                b"root:x:" not in answer
                and b"WeightsError" not in answer
                and b"Traceback" not in answer
            )


# -- addresses -----------------------------------------------------------------------------------


def test_no_address_is_asked_for(app: Served) -> None:
    with socket.create_server(("127.0.0.1", 0)) as inner:
        inner.settimeout(0.5)
        own = f"http://127.0.0.1:{inner.getsockname()[1]}/x.png"
        for address in (
            own,
            own.replace("127.0.0.1", "localhost"),
            own.replace("127.0.0.1", "0x7f.1"),
        ):
            for sent in (
                {"path": address},
                {"path": address, "url": address},
                {"path": None, "url": address},
            ):
                good, said = app.call(
                    "classify_digit", sent | {"meta": {"_type": "gradio.FileData"}}
                )
                assert not good
                if sent["path"]:
                    assert said == gradio_patches.NOT_FETCHED
            assert app.request("gradio_api/file=" + address)[0] in (403, 404)
            assert app.request("gradio_api/proxy=" + address)[0] == 404
        with pytest.raises(TimeoutError):
            inner.accept()


# -- requests ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "route", ["process_recording", "deep_link?session_hash=hunter", "proxy=http://example.org/"]
)
def test_routes_that_no_page_uses_are_closed(app: Served, route: str) -> None:
    assert app.request(f"gradio_api/{route}")[0] == 404
    assert (
        app.request(f"gradio_api/{route}", b"--x--\r\n", "multipart/form-data; boundary=x")[0]
        == 404
    )


def test_nobody_passes_the_queue_by(app: Served) -> None:
    assert app.request("gradio_api/run/classify_digit", b'{"data": [null]}')[0] == 404


def test_a_call_that_is_too_long_is_refused_before_it_is_read(app: Served) -> None:
    before = app.rss()
    status, answer = app.request(
        "gradio_api/call/classify_digit",
        b'{"data": ["' + b"x" * (request_limits.MAX_JSON + 1) + b'"]}',
    )
    assert status == 413 and b"At most 16 MB" in answer
    status, _ = app.request(
        "gradio_api/upload", b"x" * (request_limits.MAX_FORM + 1), "multipart/form-data; boundary=x"
    )
    assert status == 413
    assert app.rss() - before < 50_000_000


def test_one_that_does_not_say_how_long_it_is(app: Served) -> None:
    host, port = app.url.split("/")[2].split(":")
    head = f"POST /gradio_api/queue/join HTTP/1.1\r\nHost: {host}\r\n"
    head += "Content-Type: application/json\r\n"
    with socket.create_connection((host, int(port)), timeout=SLOW_S) as line:
        line.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(request_limits.MAX_JSON // 1_000_000 + 2):
            line.sendall(b"f4240\r\n" + b"[" * 1_000_000 + b"\r\n")
        line.sendall(b"0\r\n\r\n")
        assert line.recv(100).split()[1] in (b"400", b"413")
    assert app.request("")[0] == 200


BODIES = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"\xff\xfe",
    b'{"data": 1}',
    b'{"data": [NaN], "fn_index": 0}',
    b"[" * 100_000,
    b'{"fn_index": -1, "data": []}',
    b'{"fn_index": 99999, "data": [1]}',
    b'{"component_id": [], "data": 1}',
    b'{"component_id": 1, "fn_name": "__init__", "data": 1, "session_hash": "x"}',
    b'{"component_id": 1, "fn_name": "preprocess", "data": "/etc/passwd", "session_hash": "x"}',
]
ROUTES = [
    "call/classify_digit",
    "call/nowhere",
    "call/v2/classify_digit",
    "call/v2/nowhere",
    "queue/join",
    "upload",
    "component_server",
    "cancel",
    "reset",
    "stream/x",
    "run/classify_digit",
    "api/classify_digit",
]


@pytest.mark.parametrize("route", ROUTES)
def test_bodies_that_are_none(app: Served, route: str) -> None:
    for body in BODIES:
        for kind in (
            "application/json",
            "multipart/form-data; boundary=x",
            "multipart/form-data",
            "text/plain",
            "\x01",
        ):
            status, answer = app.request(f"gradio_api/{route}", body or b" ", kind)
            assert status in (200, 400, 404, 405, 413, 415, 422, 500), (body[:60], kind)
            assert not [word for word in INSIDES if word in answer.decode(errors="replace")]
    assert app.request("")[0] == 200
