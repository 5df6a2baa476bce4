"""Every function that can be called over HTTP, named, private or of a widget, with what no page
would send.

Hypothesis makes up the values: wrong types, numbers out of range, markup, paths and addresses in
place of files. The app is a process of its own that notes each file it opens and each connection it
makes. It must
answer every call, soon, without a trace of its insides, and grow no larger; what it notes must lie
where it may read; and
its log must hold no
bug: all that came was foreseen.
"""

import base64
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tasks.core import images
from tests import hostile
from tests.conftest import ROOT
from tests.detection.test_tab import jpeg
from tests.served import Served, served

pytestmark = pytest.mark.slow

CALLS = 2_000
SLOW_S = 60.0  # for one call, on busy cores
GROWTH = 1_200_000_000  # B over what the app takes once its models are there
MARKUP = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
SECRET = "a-secret-that-was-never-sent"
WATCHED = """
import os, runpy, sys

secret = os.environ["SECRET"]
noted = os.open(os.environ["NOTED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def note(event, args):
    if event in ("open", "os.listdir", "os.scandir", "socket.connect", "subprocess.Popen"):
        what = repr(args[1] if event == "socket.connect" else args[0])
        if event != "open" or secret in what or "passwd" in what:
            os.write(noted, f"{event} {what}\\n".encode())

sys.argv = ["app.py"]
sys.addaudithook(note)
runpy.run_path("app.py", run_name="__main__")
"""
LONG = {
    "digits_to_find",
    "clip_of_digits",
    "clip_of_a_street",
    "lambda_15",
    "fetch",
}  # need nothing, compute a while
PNG = "data:image/png;base64," + base64.b64encode(images.png_bytes(hostile.scene(96, 96))).decode()
PLACE = {"x": 0, "y": 0, "mix": 0.5, "from": "3", "to": "8", "seed": 1}
WIDGETS: dict[str, Any] = {
    "read_drawing": PNG,
    "look_inside": base64.b64encode(bytes(784)).decode(),
    "prepare_detector": "digits",
    "detect_frame": {
        "jpeg": jpeg(),
        "visitor": "a" * 32,
        "frame": 1,
        "model": "digits",
        "size": 320,
        "confidence": 0.4,
        "iou": 0.6,
        "classes": None,
        "track": True,
    },
    "prepare_segmenter": "segmentation",
    "segment_frame": {"jpeg": jpeg(), "visitor": "b" * 32},
    "denoise_drawing": {"drawing": PNG, "sigma": 0.4, "seed": 1},
    "redraw_digit": {"z": base64.b64encode(bytes(400)).decode(), "label": 3},
    "step_player_next": {"run": "c" * 32, "have": 0},
    "step_player_save": {"kind": "png", "run": "c" * 32, "at": 0},
    "steer_digit": PLACE,
    "map_plane": PLACE,
    "score_drawing": {"png": PNG, "label": ""},
    "score_generated": {"seed": 1, "label": "3"},
    "make_picture": {"model": "mnist"},
    "fit_picture": {"model": "cifar10", "picture": PNG},
}
"""What the pages' widgets send."""
PROBES = {
    "ldconfig",
    "lscpu",
    "nvidia-smi",
    "rocm-smi",
    "xpu-smi",
}  # by which libraries look for hardware
INSIDES = ("Traceback", 'File "', "site-packages", str(ROOT), SECRET)


class Target(NamedTuple):
    """A function: an event by its number, or a widget's by its component; and data that it would
    take."""

    name: str
    number: int
    usual: list[Any]
    widget: bool = False
    queued: bool = True


class Hunted(NamedTuple):
    app: Served
    noted: Path
    secret: Path
    inner: int  # port that only the server should be able to reach
    reached: list[bytes]
    targets: list[Target]


@pytest.fixture(scope="module")
def hunted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hunted]:
    folder = tmp_path_factory.mktemp("hunted")
    secret = folder / "outside" / "secret.png"
    secret.parent.mkdir()
    secret.write_text(SECRET)
    reached: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as inner:
        threading.Thread(target=listen, args=(inner, reached), daemon=True).start()
        noted = folder / "noted.txt"
        with served(
            folder, command=("-c", WATCHED), SECRET=str(secret.parent), NOTED=str(noted)
        ) as app:
            app.wait_until_ready()
            yield Hunted(
                app, noted, secret, inner.getsockname()[1], reached, targets_of(app, folder)
            )


def listen(inner: socket.socket, reached: list[bytes]) -> None:
    """A server of the inner network, which notes who calls."""
    while True:
        try:
            connection, _ = inner.accept()
        except OSError:
            return
        with connection:
            reached.append(connection.recv(1000))


def targets_of(app: Served, folder: Path) -> list[Target]:
    config = json.loads(app.request("config")[1])
    values = {c["id"]: c["props"].get("value") for c in config["components"]}
    picture = app.upload(hostile.good_png(folder))
    values |= {c["id"]: picture for c in config["components"] if c["type"] == "image"}
    listed = [d for d in config["dependencies"] if d["backend_fn"] and d["api_name"] not in LONG]
    events = [
        Target(d["api_name"], d["id"], [values[i] for i in d["inputs"]], queued=d["queue"])
        for d in listed
    ]
    widgets = [
        Target(name, c["id"], [WIDGETS.get(name)], widget=True)
        for c in config["components"]
        for name in c["props"].get("server_fns") or ()
    ]
    public = [
        event for event, d in zip(events, listed, strict=True) if d["api_visibility"] == "public"
    ]
    return events + widgets + 2 * public  # of these more is known to strangers


def ask(app: Served, target: Target, data: list[Any], session: str) -> tuple[int, bytes]:
    """What the app answers to a call as the page makes it, or the end of its stream."""
    if target.widget:
        body = {
            "data": data[0],
            "component_id": target.number,
            "fn_name": target.name,
            "session_hash": session,
        }
        return app.request("gradio_api/component_server", json.dumps(body).encode())
    body = {"data": data, "fn_index": target.number, "session_hash": session}
    if not target.queued:
        return app.request("gradio_api/run/predict", json.dumps(body).encode())
    status, answer = app.request("gradio_api/queue/join", json.dumps(body).encode())
    return (
        app.request(f"gradio_api/queue/data?session_hash={session}")
        if status == 200
        else (status, answer)
    )


def files(secret: str, port: int) -> list[Any]:
    """What stands in place of a file."""
    kind = {"_type": "gradio.FileData"}
    paths = [
        *(
            secret,
            "/etc/passwd",
            "../../../../../../etc/passwd",
            f"file://{secret}",
            "/proc/self/environ",
            "app.py",
            "",
        ),
        *(
            f"http://127.0.0.1:{port}/x.png",
            "http://169.254.169.254/latest/meta-data",
            f"http://localhost:{port}/x.png",
        ),
        *(
            f"http://[::1]:{port}/",
            f"concat:{secret}|{secret}",
            "\\\\host\\share\\x",
            "data:image/png;base64,AAAA",
        ),
    ]
    made: list[Any] = [{"path": path, "meta": kind} for path in paths]
    made += [{"path": path} for path in paths] + [
        {"path": None, "url": path, "meta": kind} for path in paths
    ]
    made += [{"path": secret, "meta": kind, "url": "data:image/png;base64,AAAA", "is_stream": True}]
    made += [
        {"video": {"path": secret, "meta": kind}},
        [{"path": secret, "meta": kind}],
        {"image": made[0]},
    ]
    return [
        *made,
        {"__type__": "update", "value": made[0]},
        {"name": secret, "is_file": True, "data": None},
    ]


NAMES = [
    *(
        "mnist",
        "cifar10",
        "digits",
        "segmentation",
        "one of each",
        "any",
        "3",
        "cat",
        "ddim",
        "unipc",
        "walk",
    ),
    *(
        "morph",
        "png",
        "mp4",
        "gan_history",
        "Gaussian",
        "JPEG",
        "Lion",
        "480 px, as in training",
        "as it is",
    ),
    *(
        "own",
        "resnet50",
        "yolo11n",
        "gan_collapse",
        "stabilityai/sd-turbo",
        "/etc",
        "~",
        "./weights",
    ),
]
KEYS = [
    "jpeg",
    "visitor",
    "frame",
    "model",
    "size",
    "confidence",
    "iou",
    "classes",
    "track",
    "drawing",
    "sigma",
    "seed",
    "png",
    "label",
    "run",
    "have",
    "kind",
    "at",
    "a",
    "b",
    "to",
    "z",
    "x",
    "y",
    "mix",
    "from",
    "picture",
    "drawn",
    "mask",
    "times",
    "small",
    "noisy",
    "t",
    "path",
    "url",
    "name",
]


def values(special: list[Any]) -> st.SearchStrategy[Any]:
    """Anything that JSON can say, more often what a function may take for its own."""
    numbers = st.sampled_from(
        [0, 1, -1, 2, 0.5, 7, 28, 100, 320, 2**31, 2**63, -(2**63), 10**40, 1e308, 5e-324]
    )
    texts = st.sampled_from(
        [
            *NAMES,
            MARKUP,
            "",
            "a" * 32,
            "../" * 9 + "etc/passwd",
            "\0",
            "\ud83d\ude00" * 50,
            "x" * 5000,
        ]
    )
    leaves = st.one_of(
        st.none(),
        st.booleans(),
        numbers,
        texts,
        st.sampled_from(special),
        st.text(max_size=20),
        st.floats(width=32),
        st.sampled_from(
            [
                "data:image/png;base64,",
                "data:image/jpeg;base64,AAAA",
                "data:image/svg+xml,<svg onload=x>",
            ]
        ),
    )
    inner = st.recursive(
        leaves,
        lambda s: st.lists(s, max_size=4) | st.dictionaries(st.sampled_from(KEYS), s, max_size=6),
        max_leaves=12,
    )
    return leaves | inner


def arguments(target: Target, special: list[Any]) -> st.SearchStrategy[list[Any]]:
    """All of them made up, or one, or one part of one."""
    anything, usual = values(special), target.usual
    if not usual:
        return st.just([])
    one = st.tuples(st.integers(0, len(usual) - 1), anything).map(
        lambda change: [change[1] if k == change[0] else value for k, value in enumerate(usual)]
    )
    ways = [st.lists(anything, min_size=len(usual), max_size=len(usual)), one, one]
    if isinstance(usual[0], dict) and target.widget:
        part = st.tuples(st.sampled_from(sorted(usual[0])), anything)
        ways += [part.map(lambda change: [usual[0] | {change[0]: change[1]}])] * 3
    return st.one_of(ways)


@pytest.mark.timeout(900)  # s: two thousand calls
def test_nothing_that_is_called_breaks_or_tells_of_its_insides(hunted: Hunted) -> None:
    app, calls, slowest, largest = hunted.app, 0, 0.0, 0
    base = app.rss()
    special = files(str(hunted.secret), hunted.inner)

    @settings(
        max_examples=CALLS,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(target=st.sampled_from(hunted.targets), data=st.data())
    def call(target: Target, data: Any) -> None:
        nonlocal calls, slowest, largest
        sent = data.draw(arguments(target, special))
        calls += 1
        began = time.monotonic()
        status, answer = ask(app, target, sent, f"session{calls}" if calls % 20 == 0 else "hunter")
        slowest = max(slowest, time.monotonic() - began)
        text = answer.decode(errors="replace")
        assert not [word for word in INSIDES if word in text], (target, sent, text[:2000])
        assert status in (200, 400, 404, 422, 500, 503), (target, sent, status, text[:2000])
        if calls % 50 == 0:
            largest = max(largest, app.rss())

    call()
    print(
        f"{calls} calls, slowest {slowest:.1f} s, {base / 1e6:.0f} MB before, {largest / 1e6:.0f} "
        f"MB at most"
    )
    assert calls >= CALLS and slowest < SLOW_S and largest - base < GROWTH


def test_all_that_came_was_foreseen(hunted: Hunted) -> None:
    """After the calls above: whatever nobody had thought of would be in the log."""
    said = hunted.app.said()
    assert "unexpected error" not in said, said[said.index("unexpected error") :][:4000]


def test_nothing_was_read_or_asked_for_but_what_was_sent(hunted: Hunted) -> None:
    port = int(hunted.app.url.rsplit(":", 1)[1].strip("/"))
    own = {
        f"socket.connect ('127.0.0.1', {n})" for n in (port, 9)
    }  # 9: the proxy that is not there
    noted = hunted.noted.read_text().splitlines()
    assert noted and not hunted.reached
    assert [
        line for line in noted if line.startswith("open ") or str(hunted.secret.parent) in line
    ] == []
    assert {line for line in noted if line.startswith("socket.connect")} <= own
    started = {
        line.rsplit("/", 1)[-1].strip("'").split("'")[-1]
        for line in noted
        if line.startswith("subprocess")
    }
    assert started <= PROBES
