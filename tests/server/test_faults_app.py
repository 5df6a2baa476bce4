"""A whole process with faults: damaged weights, no network, a bug, a full disk, a read-only one, a
kill.

Each time what is not touched works, what is touched says why, and a restart is clean.
"""

import functools
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.core import disk_errors
from tasks.ui.errors import BUG
from tests import hostile
from tests.served import Served, copied, served

WITH_A_BUG = """
import app
from tasks import loaders

def broken(name):
    raise ZeroDivisionError("a secret of the server")

loaders.detector = broken
app.main()
"""
PLACE = {"x": 0, "y": 0, "mix": 0.5, "from": "3", "to": "8", "seed": 1}


def replaced(file: Path, content: bytes) -> None:
    """A link becomes a file."""
    file.unlink()
    file.write_bytes(content)


def flipped(file: Path) -> None:
    blob = bytearray(file.read_bytes())
    blob[len(blob) // 2] ^= 1
    replaced(file, bytes(blob))


def of_a_later_version(card: Path) -> None:
    replaced(card, json.dumps(json.loads(card.read_text()) | {"invented_later": 1}).encode())


def of_another_network(folder: Path) -> None:
    """The weights of the enhancer are those of the denoiser, and the card agrees."""
    ours, theirs = (
        json.loads((folder / f"{name}.json").read_text()) for name in ("enhancer", "vae")
    )
    changed = ours | {key: theirs[key] for key in ("file", "bytes", "sha256")}
    replaced(folder / "enhancer.json", json.dumps(changed).encode())


DAMAGES: dict[str, Callable[[Path], None]] = {
    "missing": lambda f: (f / "digits.safetensors").unlink(),
    "truncated": lambda f: replaced(
        f / "photos.safetensors", (f / "photos.safetensors").read_bytes()[:-1000]
    ),
    "one bit flipped": lambda f: flipped(f / "denoiser.safetensors"),
    "later version": lambda f: of_a_later_version(f / "gan.json"),
    "another network": of_another_network,
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(tmp_path_factory.mktemp("house"))


@pytest.fixture(scope="module")
def damaged(house: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    for damage in DAMAGES.values():
        damage(house / "weights")
    with served(tmp_path_factory.mktemp("damaged"), house, ("-c", WITH_A_BUG)) as app:
        app.wait_until_ready()
        yield app


def picture(app: Served, folder: Path) -> dict[str, Any]:
    return app.upload(hostile.good_png(folder))


SAID: dict[str, tuple[tuple[Any, ...], str]] = {
    "classify_digit": ((), "weights/digits.safetensors is missing"),
    "classify_photo": (("cifar10",), "weights/photos.safetensors is damaged"),
    "denoise_photo": ((25,), "weights/denoiser.safetensors is damaged"),
    "deblock_photo": ((), "weights/vae.safetensors does not fit"),
    "detect_objects": (("digits", 0.25, 0.7, 320, False, None), BUG),
}


@pytest.mark.parametrize("endpoint", SAID)
def test_a_damaged_tab_names_its_file(damaged: Served, endpoint: str, tmp_path: Path) -> None:
    data, said = SAID[endpoint]
    good, told = damaged.call(endpoint, picture(damaged, tmp_path), *data)
    assert not good and said in told
    assert "secret" not in told and str(tmp_path.parents[2]) not in told


def test_a_damaged_widget_names_its_file(damaged: Served) -> None:
    told = damaged.server_function("gan-steer", "steer_digit", {})
    assert "gan.json is damaged" in told["error"] and "invented_later" in told["error"]
    assert damaged.server_function("header", "readiness", None)["state"] == "broken"


def test_what_is_not_damaged_works(damaged: Served, tmp_path: Path) -> None:
    assert damaged.call("segment_scene", picture(damaged, tmp_path), "segmentation", False, False)[
        0
    ]
    assert damaged.call("generate_by_diffusion", "mnist", "3", 1, 0, "ddim", 2, 1.0)[0]
    assert damaged.request("")[0] == 200


def test_without_a_network_a_download_says_so(damaged: Served, tmp_path: Path) -> None:
    good, told = damaged.call("classify_photo", picture(damaged, tmp_path), "resnet50")
    assert not good and "no network" in told


def test_a_bug_is_in_the_log_and_nowhere_else(damaged: Served, tmp_path: Path) -> None:
    (arguments, _), photo = SAID["detect_objects"], picture(damaged, tmp_path)
    damaged.call("detect_objects", photo, *arguments)
    assert "ZeroDivisionError: a secret of the server" in damaged.said()


def test_repaired_files_work_without_a_restart_and_after_one(
    damaged: Served, house: Path, tmp_path: Path
) -> None:
    shutil.rmtree(house / "weights")
    copied(tmp_path / "whole")
    shutil.move(tmp_path / "whole" / "weights", house / "weights")
    for endpoint, (data, _) in SAID.items():
        if endpoint != "detect_objects":
            assert damaged.call(endpoint, picture(damaged, tmp_path), *data)[0], endpoint
    with served(tmp_path, house) as app:
        app.wait_until_ready()
        assert app.server_function("header", "readiness", None)["state"] == "ready"
        for endpoint, (data, _) in SAID.items():
            good, told = app.call(endpoint, picture(app, tmp_path), *data)
            assert good, (endpoint, told)
        assert "Traceback" not in app.said()


# -- killed --------------------------------------------------------------------------------------


def test_a_killed_process_leaves_nothing_to_the_next(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        sent = picture(app, tmp_path)
        other = Path(sent["path"])
        assert other.is_file() and other.is_relative_to(app.temporary)
        app.process.send_signal(signal.SIGKILL)
        app.process.wait()
    assert other.is_file()
    with served(tmp_path) as app, served(tmp_path) as second:
        assert not other.exists()
        kept = [picture(a, tmp_path) for a in (app, second)]
        assert app.call("classify_digit", kept[0])[
            0
        ]  # the second start has not touched the first one's
        assert second.call("classify_digit", kept[1])[0]
        assert "Traceback" not in app.said()


# -- disks ---------------------------------------------------------------------------------------


@functools.cache
def namespace() -> tuple[str, ...]:
    """A command that runs another where it may mount, and nobody else sees it; empty where that is
    impossible."""
    rights = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    command = ("unshare", "--mount", *rights)
    probe = [*command, "mount", "-t", "tmpfs", "none", "/mnt"]
    try:
        return (
            command
            if subprocess.run(probe, capture_output=True, check=False).returncode == 0
            else ()
        )
    except OSError:
        return ()


def with_mounts(script: str) -> tuple[str, ...]:
    if not namespace():
        pytest.skip("nothing can be mounted here; tests/server/test_faults.py pretends instead")
    return (*namespace(), "sh", "-c", f'{script} && exec "$@"', "sh")


def test_a_full_disk_is_told_and_empties_itself(tmp_path: Path) -> None:
    room = with_mounts(f"mount -t tmpfs -o size=40m none {tmp_path}/tmp")
    with served(tmp_path, before=room) as app:
        app.wait_until_ready()
        sent = picture(app, tmp_path)
        assert app.call("classify_digit", sent)[0]
        with pytest.raises(AssertionError) as refused:
            app.upload(("large.png", bytes(45_000_000)))
        assert "507" in str(refused.value) and disk_errors.FULL in str(refused.value)
        assert "digit" in app.server_function("gan-steer", "steer_digit", PLACE)
        assert app.call("classify_digit", sent)[0], "the beginning of the upload is still there"


def test_on_a_read_only_disk_with_a_temporary_folder_everything_works(
    house: Path, tmp_path: Path
) -> None:
    room = with_mounts(f"mount --bind {house} {house} && mount -o remount,bind,ro {house}")
    with served(tmp_path, house, before=room) as app:
        app.wait_until_ready()
        assert app.call("segment_scene", picture(app, tmp_path), "segmentation", False, False)[0]
        assert app.call("generate_by_gan", "3", 1, 0, 3.0)[0]
        assert "Traceback" not in app.said()


def test_a_temporary_folder_that_becomes_read_only_is_told(tmp_path: Path) -> None:
    room = with_mounts(f"mount -t tmpfs none {tmp_path}/tmp")
    with served(tmp_path, before=room) as app:
        sent = picture(app, tmp_path)
        inside = ["nsenter", "--target", str(app.process.pid), "--mount"]
        inside += ["--user", "--preserve-credentials"] if os.geteuid() else []
        subprocess.run([*inside, "mount", "-o", "remount,ro", f"{tmp_path}/tmp"], check=True)
        good, told = app.call("classify_digit", sent)
        assert not good and disk_errors.LOCKED in told
        status, answer = app.request("gradio_api/upload", *form("a.png", b"x"))
        assert status == 507 and disk_errors.LOCKED in answer.decode()
        assert "digit" in app.server_function("gan-steer", "steer_digit", PLACE)
        subprocess.run([*inside, "mount", "-o", "remount,rw", f"{tmp_path}/tmp"], check=True)
        assert app.call("classify_digit", sent)[0]


def form(name: str, content: bytes) -> tuple[bytes, str]:
    """(body, its type) of an upload."""
    head = (
        f'--x\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode()
    )
    return head + content + b"\r\n--x--\r\n", "multipart/form-data; boundary=x"
