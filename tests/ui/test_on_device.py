"""tasks.ui.on_device: the runtime is checked and kept, its files are sent small and for good."""

import gzip
import hashlib
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from tasks import models
from tasks.core import downloads
from tasks.core.weights import WeightsError
from tasks.ui.on_device import files, runtime

pytestmark = pytest.mark.unit


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IMAGE_LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(models, "PRELOADED", tmp_path / "preloaded")
    return tmp_path / "cache"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as npm's, with other bytes whose hashes are taken for the right ones."""
    folder = tmp_path / "dist"
    folder.mkdir()
    hashes = {}
    for name in runtime.FILES:
        data = (name * 500).encode()
        (folder / name).write_bytes(data)
        hashes[name] = hashlib.sha256(data).hexdigest()
    monkeypatch.setattr(runtime, "FILES", hashes)
    monkeypatch.setenv("IMAGE_LAB_RUNTIME", str(folder))
    return folder


def test_runtime_is_fetched_once(cache: Path, package: Path) -> None:
    found = runtime.fetch()
    assert [file.suffix for file in found] == [".js", ".mjs", ".wasm"]
    assert all(file.parent == cache and downloads.is_complete(file) for file in found)
    for file in package.iterdir():
        file.unlink()
    assert runtime.fetch() == found and runtime.is_here()
    with pytest.raises(downloads.DownloadError):
        runtime.fetch(runtime.GRAPHICS)


def test_image_of_the_app_may_bring_the_runtime(cache: Path, package: Path) -> None:
    runtime.fetch(folder=models.PRELOADED)
    assert [file.parent for file in runtime.fetch()] == [models.PRELOADED] * 3
    assert not cache.exists()


def test_runtime_with_another_hash_is_refused(cache: Path, package: Path, tmp_path: Path) -> None:
    (package / "ort-wasm-simd-threaded.wasm").write_bytes(b"something else")
    with pytest.raises(downloads.DownloadError, match="SHA-256"):
        runtime.fetch()
    (network := tmp_path / "network.onnx").write_bytes(b"network")
    with pytest.raises(WeightsError, match=r"device cannot compute.*SHA-256.*server computes"):
        files.device_files(network, network, lambda *_: None)


def test_reason_where_there_is_no_network(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IMAGE_LAB_RUNTIME", raising=False)
    for reachable, expected in ((None, ""), (True, ""), (False, "no network")):
        monkeypatch.setattr(downloads, "_reachable", reachable)
        reason = runtime.reason_against()
        assert expected in reason and bool(reason) == bool(expected)


def test_files_are_sent_compressed_and_kept_for_good(cache: Path, tmp_path: Path) -> None:
    (network := tmp_path / "net.onnx").write_bytes(b"0123456789" * 1000)
    address = files.publish(network)
    assert hashlib.sha256(network.read_bytes()).hexdigest()[:16] in address
    client = TestClient(Starlette(middleware=[Middleware(files.DeviceFiles)]))
    with client.stream("GET", f"/below/{address}", headers={"Accept-Encoding": "gzip"}) as small:
        assert small.headers["content-encoding"] == "gzip"
        assert "immutable" in small.headers["cache-control"]
        assert gzip.decompress(b"".join(small.iter_raw())) == network.read_bytes()
    plain = client.get(f"/{address}", headers={"Accept-Encoding": "identity"})
    assert plain.content == network.read_bytes()
    assert "content-encoding" not in plain.headers
    for unknown in ("device/other.onnx", "device/../app.py", "device/"):
        assert client.get(f"/{unknown}").status_code == 404
    network.write_bytes(b"changed")
    assert files.publish(network) != address
