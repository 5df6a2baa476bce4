"""A folder is deleted with its process, not before; those of dead processes at the next start."""

import subprocess
import sys
from pathlib import Path

import pytest

from tasks.server import temp_files
from tests.conftest import ROOT

HOLD = """
import sys
from tasks.server import temp_files
print(temp_files.use_own_folder(), flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(temp_files.fcntl is None, reason="no locks of this kind on this system")
def test_a_folder_is_deleted_once_its_process_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    (tmp_path / "image-lab-of-somebody-else").mkdir()  # has no lock
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / temp_files.LOCK).touch()
    (tmp_path / "image-lab-link").symlink_to(elsewhere)

    def start() -> "tuple[subprocess.Popen[str], Path]":
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout
        return process, Path(process.stdout.readline().strip())

    first, of_first = start()
    (of_first / temp_files.UPLOADS / "picture.png").write_bytes(b"of a visitor")
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
