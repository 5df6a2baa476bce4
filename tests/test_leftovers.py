"""Leftovers: uploads that broke off go, those that grow stay; a folder goes with its process and not before."""

import subprocess
import sys
from pathlib import Path

import pytest

from tasks.tabs import leftovers
from tests.conftest import ROOT

HOLD = "import sys; from tasks.tabs import leftovers; print(leftovers.own_folder(), flush=True); sys.stdin.read()"


def test_an_upload_that_broke_off_goes_and_one_that_grows_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(leftovers.time, "monotonic", lambda: now[0])
    left, growing, whole = (tmp_path / name for name in ("tmpleft", "tmpgrowing", "picture.png"))
    for file in (left, growing, whole):
        file.write_bytes(b"beginning")
    (tmp_path / "tmpfolder").mkdir()
    unfinished = leftovers.Unfinished(tmp_path)
    for _ in range(12):
        unfinished.sweep()
        now[0] += leftovers.STILL_S / 10
        with growing.open("ab") as out:
            out.write(b"more")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["picture.png", "tmpfolder", "tmpgrowing"]


@pytest.mark.skipif(leftovers.fcntl is None, reason="no locks of this kind on this system")
def test_a_folder_is_deleted_once_its_process_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    (tmp_path / "image-lab-of-somebody-else").mkdir()  # has no lock
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / leftovers.LOCK).touch()
    (tmp_path / "image-lab-link").symlink_to(elsewhere)

    def start() -> "tuple[subprocess.Popen[str], Path]":
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout
        return process, Path(process.stdout.readline().strip())

    first, of_first = start()
    (of_first / leftovers.UPLOADS / "picture.png").write_bytes(b"of a visitor")
    second, of_second = start()
    assert of_first.is_dir() and of_second.is_dir() and of_first.stat().st_mode & 0o077 == 0
    first.kill()
    first.wait()
    third, of_third = start()
    assert not of_first.exists() and of_second.is_dir()
    for process in (second, third):  # end as they should, and take their folders along
        process.communicate("")
    assert not of_second.exists() and not of_third.exists()
    assert elsewhere.is_dir() and (tmp_path / "image-lab-of-somebody-else").is_dir()
    if first.stdin and first.stdout:
        first.stdin.close()
        first.stdout.close()
