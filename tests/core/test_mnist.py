"""tasks/core/datasets/mnist.py: MNIST's files, plain or packed, missing, damaged."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from tasks.core.datasets import mnist


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with twelve digits, the k-th of grey k and class k % 10."""
    monkeypatch.setenv("IMAGE_LAB_DATA", str(tmp_path))
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    pixels = np.repeat(np.arange(12, dtype=np.uint8), 784)
    head = np.array([0x803, 12, 28, 28], ">u4").tobytes()
    (folder / "train-images-idx3-ubyte").write_bytes(head + pixels.tobytes())
    labels = (np.arange(12) % 10).astype(np.uint8)
    head = np.array([0x801, 12], ">u4").tobytes()
    with gzip.open(folder / "train-labels-idx1-ubyte.gz", "wb") as out:
        out.write(head + labels.tobytes())
    return folder


@pytest.mark.usefixtures("raw")
def test_the_first_digits_and_their_labels() -> None:
    found = mnist.first_digits("train", 11)
    assert found is not None
    images, labels = found
    assert images.shape == (11, 28, 28) and images[:, 5, 5].tolist() == list(range(11))
    assert labels.tolist() == [*range(10), 0] and labels.dtype == np.int64
    assert mnist.is_here()


@pytest.mark.usefixtures("raw")
def test_what_is_not_there_is_none() -> None:
    assert mnist.first_digits("train", 13) is None and mnist.first_digits("t10k", 1) is None


@pytest.mark.parametrize("broken", [b"", b"\0" * 2000, b"no labels"])
def test_damaged_labels_are_none(raw: Path, broken: bytes) -> None:
    (raw / "train-labels-idx1-ubyte").write_bytes(broken)
    assert mnist.first_digits("train", 5) is None and not mnist.is_here()
    (raw / "train-labels-idx1-ubyte").unlink()
    (raw / "train-images-idx3-ubyte").write_bytes(broken)
    assert mnist.first_digits("train", 5) is None
