"""The data sets, read from tiny ones in the layouts of the real ones; nothing is downloaded."""

import pickle
import struct
import tarfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train import data

# -- makers ----------------------------------------------------------------------------


def write_idx(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        struct.pack(">HBB", 0, 8, array.ndim)
        + struct.pack(f">{array.ndim}I", *array.shape)
        + array.tobytes()
    )


def write_mnist(root: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    rng, parts = np.random.default_rng(0), {"train": 12, "t10k": 5}
    made = {}
    for name, n in parts.items():
        made[name] = (
            rng.integers(0, 256, (n, 28, 28)).astype(np.uint8),
            rng.integers(0, 10, n).astype(np.uint8),
        )
        write_idx(root / "MNIST" / "raw" / f"{name}-images-idx3-ubyte", made[name][0])
        write_idx(root / "MNIST" / "raw" / f"{name}-labels-idx1-ubyte", made[name][1])
    return made


def write_cifar10_pickles(root: Path) -> np.ndarray:
    """Five batches of two photos, a test batch of two; returns the photos of the first batch, (2,
    32, 32, 3).
    """
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(1)
    photos = rng.integers(0, 256, (6, 2, 32, 32, 3)).astype(np.uint8)
    for k, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        rows = (
            photos[k].transpose(0, 3, 1, 2).reshape(2, 3072)
        )  # red plane, green plane, blue plane
        (folder / name).write_bytes(pickle.dumps({"data": rows, "labels": [k, 9 - k]}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list(data.CIFAR10_CLASSES)}))
    return photos[0]


def write_cifar10_archive(path: Path, prefix: str = "") -> None:
    """Two photos a class and split of one grey level: 10 * label + number, test 100 brighter."""
    with tarfile.open(path, "w:xz") as tar:
        for split, base in (("train", 0), ("test", 100)):
            for label, name in reversed(
                list(enumerate(data.CIFAR10_CLASSES))
            ):  # in no particular order
                for number in (2, 1):
                    add(
                        tar,
                        f"{prefix}{split}/{name}/{number:04}.jpg",
                        jpeg(base + 10 * label + number),
                    )
        add(tar, f"{prefix}train/README.txt", b"not an image")


def jpeg(level: int) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (32, 32), (level, level, level)).save(buffer, "JPEG", quality=100)
    return buffer.getvalue()


def add(tar: tarfile.TarFile, name: str, blob: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(blob)
    tar.addfile(member, BytesIO(blob))


@pytest.fixture(autouse=True)
def no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import CIFAR10, MNIST

    def refuse(self: object) -> None:
        raise AssertionError("a download was tried")

    monkeypatch.setattr(MNIST, "download", refuse)
    monkeypatch.setattr(CIFAR10, "download", refuse)


# -- tests -----------------------------------------------------------------------------


@pytest.mark.parametrize(("train", "name"), [(True, "train"), (False, "t10k")])
def test_mnist(train: bool, name: str, tmp_path: Path) -> None:
    images, labels = write_mnist(tmp_path)[name]
    got = data.mnist(tmp_path, train)
    assert np.array_equal(got.images, images)
    assert got.images.dtype == np.uint8
    assert np.array_equal(got.labels, labels)
    assert got.labels.dtype == np.int64
    assert len(got) == len(labels)
    assert got.about["split"] == ("train" if train else "test")


def test_mnist_that_is_not_there_is_downloaded(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="a download was tried"):
        data.mnist(tmp_path, train=True)


@pytest.mark.parametrize("prefix", ["", "CIFAR-10/"])
def test_cifar10_from_the_jpeg_archive(prefix: str, tmp_path: Path) -> None:
    write_cifar10_archive(tmp_path / "cifar10-jpeg.tar.xz", prefix)
    for train, base in ((True, 0), (False, 100)):
        got = data.cifar10(tmp_path, train)
        assert got.images.shape == (20, 32, 32, 3)
        assert got.images.dtype == np.uint8
        assert got.labels.dtype == np.int64
        assert sorted(got.labels) == sorted(list(range(10)) * 2)
        level = got.images.reshape(20, -1).mean(1)
        assert (
            np.abs(level - (base + 10 * got.labels + np.tile([1, 2], 10))).max() < 1.5
        )  # sorted by class and number
        assert "JPEG" in got.about["name"]


def test_cifar10_from_torchvisions_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import CIFAR10

    for part in ("train_list", "test_list"):  # the sums are those of the real files
        monkeypatch.setattr(CIFAR10, part, [[name, None] for name, _ in getattr(CIFAR10, part)])
    monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": None})
    photos = write_cifar10_pickles(tmp_path)
    write_cifar10_archive(tmp_path / "cifar10-jpeg.tar.xz")  # the original goes first
    train, test = data.cifar10(tmp_path, True), data.cifar10(tmp_path, False)
    assert np.array_equal(train.images[:2], photos)
    assert train.labels.tolist() == [0, 9, 1, 8, 2, 7, 3, 6, 4, 5]
    assert test.images.shape == (2, 32, 32, 3)
    assert test.labels.tolist() == [5, 4]
    assert test.labels.dtype == np.int64
    assert "JPEG" not in train.about["name"]


def test_hold_out_is_disjoint_and_complete() -> None:
    everything = data.ImageSet(np.arange(50).reshape(50, 1, 1), np.arange(50), {"name": "x"})
    rest, held_out = data.hold_out(everything, 8)
    assert len(held_out) == 8
    assert sorted([*rest.labels, *held_out.labels]) == list(range(50))
    assert all(np.array_equal(part.images[:, 0, 0], part.labels) for part in (rest, held_out))


def test_hold_out_is_the_same_for_every_training() -> None:
    """These same images: another split would mix validation into a resumed training."""
    _, held_out = data.hold_out(data.ImageSet(np.zeros((20, 1, 1)), np.arange(20), {}), 4)
    _, other = data.hold_out(data.ImageSet(np.zeros((20, 1, 1)), np.arange(20), {}), 4, seed=1)
    assert held_out.labels.tolist() == sorted(np.random.default_rng(0).permutation(20)[:4].tolist())
    assert held_out.labels.tolist() != other.labels.tolist()


def test_data_folder_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IMAGE_LAB_DATA", raising=False)
    assert data.default_data_dir() == Path("data")
    monkeypatch.setenv("IMAGE_LAB_DATA", "/somewhere/else")
    assert data.default_data_dir() == Path("/somewhere/else")
