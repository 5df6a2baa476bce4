"""The training digits of MNIST, where they are on this machine: for looking at, never needed.

The folder is the one that the trainings read: the environment variable IMAGE_LAB_DATA, else data/; in it torchvision's
layout, MNIST/raw/train-images-idx3-ubyte, or the same file with .gz.
"""

import gzip
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

HEAD = 16  # bytes before the first picture
MAGIC = b"\x00\x00\x08\x03"  # uint8, three dimensions
SIDE = 28


def training_digits(index: Sequence[int]) -> np.ndarray | None:
    """uint8 (n, 28, 28), or None where MNIST is not here, or is not what it should be."""
    file = Path(os.environ.get("IMAGE_LAB_DATA", "data")) / "MNIST" / "raw" / "train-images-idx3-ubyte"
    packed = file.with_name(file.name + ".gz")
    try:
        with file.open("rb") if file.is_file() else gzip.open(packed) as opened:
            head = np.frombuffer(opened.read(HEAD), ">u4")
            if head[:1].tobytes() != MAGIC or tuple(head[2:]) != (SIDE, SIDE) or max(index, default=0) >= head[1]:
                return None
            found = np.empty((len(index), SIDE, SIDE), np.uint8)
            for k in np.argsort(index):  # forward only: a packed file cannot go back cheaply
                opened.seek(HEAD + SIDE * SIDE * int(index[k]))
                found[k] = np.frombuffer(opened.read(SIDE * SIDE), np.uint8).reshape(SIDE, SIDE)
    except (OSError, EOFError, ValueError):
        return None
    return found
