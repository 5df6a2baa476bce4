"""Downloads: once, whole, with progress, or not at all."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.core import downloads


def published(folder: Path, content: bytes, digest: str | None = None) -> str:
    """A file under the URL of its hash."""
    file = folder / f"net-{(digest or hashlib.sha256(content).hexdigest())[:8]}.pth"
    file.write_bytes(content)
    return file.as_uri()


def test_download_once_with_progress(tmp_path: Path) -> None:
    content = bytes(3 * downloads.CHUNK + 5)
    url, seen = published(tmp_path, content), []
    got = downloads.fetch(url, lambda n, total: seen.append((n, total)), tmp_path / "cache")
    assert got.read_bytes() == content
    assert len(seen) == 4 and seen[-1] == (len(content), len(content))
    downloads.fetch(url, lambda n, total: pytest.fail("downloaded again"), tmp_path / "cache")


def test_a_damaged_cache_is_fetched_again(tmp_path: Path) -> None:
    url = published(tmp_path, b"whole")
    file = downloads.fetch(url, folder=tmp_path / "cache")
    file.write_bytes(b"who")
    assert downloads.fetch(url, folder=tmp_path / "cache").read_bytes() == b"whole"


BROKEN: dict[str, Callable[[Path], str]] = {
    "damaged": lambda folder: published(folder, b"cut off", "0123456789abcdef"),
    "no network": lambda folder: "http://127.0.0.1:9/net-12345678.pth",
    "no such host": lambda folder: "http://nowhere.invalid/net-12345678.pth",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_failed_download_leaves_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(downloads.DownloadError):
        downloads.fetch(BROKEN[name](tmp_path), folder=tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())
