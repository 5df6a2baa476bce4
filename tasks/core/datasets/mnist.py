"""MNIST's digits, if they are on this machine.

The folder is that of the trainings: the environment variable IMAGE_LAB_DATA, else data/, with
torchvision's layout: MNIST/raw/train-images-idx3-ubyte, or the same file with .gz.
"""

import gzip
import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

SIDE = 28
HEAD = 16  # bytes before the first image
MAGIC = b"\x00\x00\x08\x03"  # uint8, three dimensions
LABELS_HEAD, LABELS_MAGIC = 8, b"\x00\x00\x08\x01"
DAMAGED = (OSError, EOFError, ValueError)


def training_digits(index: Sequence[int]) -> np.ndarray | None:
    """uint8 (n, 28, 28), or None if MNIST is not here, or damaged."""
    try:
        with _open("train-images-idx3-ubyte") as opened:
            n = _images_in(opened)
            if max(index, default=0) >= n:
                return None
            found = np.empty((len(index), SIDE, SIDE), np.uint8)
            for k in np.argsort(index):  # forward only: seeking back in a gzip file is slow
                opened.seek(HEAD + SIDE * SIDE * int(index[k]))
                found[k] = np.frombuffer(opened.read(SIDE * SIDE), np.uint8).reshape(SIDE, SIDE)
    except DAMAGED:
        return None
    return found


def first_digits(split: str, n: int) -> tuple[np.ndarray, np.ndarray] | None:
    """The first n of "train" or "t10k": uint8 (n, 28, 28) and labels int64 (n,).

    None if MNIST is not here, damaged, or has fewer.
    """
    try:
        with _open(f"{split}-images-idx3-ubyte") as opened:
            if _images_in(opened) < n:
                return None
            pixels = np.frombuffer(opened.read(n * SIDE * SIDE), np.uint8)
        with _open(f"{split}-labels-idx1-ubyte") as opened:
            if opened.read(LABELS_HEAD)[:4] != LABELS_MAGIC:
                return None
            labels = np.frombuffer(opened.read(n), np.uint8)
        if len(labels) != n or labels.max(initial=0) > 9:
            return None
        return pixels.reshape(n, SIDE, SIDE), labels.astype(np.int64)
    except DAMAGED:
        return None


def is_here() -> bool:
    """Whether a first look finds the training digits and their labels."""
    return first_digits("train", 1) is not None


def _open(name: str) -> BinaryIO:
    file = Path(os.environ.get("IMAGE_LAB_DATA", "data")) / "MNIST" / "raw" / name
    if file.is_file():
        return file.open("rb")
    return cast("BinaryIO", gzip.open(file.with_name(file.name + ".gz")))


def _images_in(opened: BinaryIO) -> int:
    """How many the file says that it has; it is read up to the first. Raises ValueError."""
    head = np.frombuffer(opened.read(HEAD), ">u4")
    if head[:1].tobytes() != MAGIC or tuple(head[2:]) != (SIDE, SIDE):
        raise ValueError("not a file of MNIST's images")
    return int(head[1])
