"""The handlers that the tabs share, each loaded on first use and once per process; torch comes only then."""

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from tasks.compute import Lazy

if TYPE_CHECKING:
    from tasks.classification import DigitClassifier, PhotoClassifier
    from tasks.downloads import Progress

KEPT = 2  # downloaded networks kept in memory: VGG-16 alone takes 550 MB


def _load_digits() -> "DigitClassifier":
    from tasks.classification import DigitClassifier

    return DigitClassifier.load()


def _load_photos() -> "PhotoClassifier":
    import numpy as np

    from tasks.classification import PhotoClassifier

    classifier = PhotoClassifier.load("cifar10")
    classifier.grad_cam(np.zeros((32, 32, 3), np.uint8), classifier.classes[0])  # a first pass takes ten times longer
    return classifier


digit_classifier = Lazy(_load_digits)
photo_classifier = Lazy(_load_photos)

_downloaded: "OrderedDict[str, PhotoClassifier]" = OrderedDict()
_lock = threading.Lock()  # of _downloaded and _loading, held for an instant
_loading: dict[str, threading.Lock] = {}  # one download or load of each network at a time, several networks at once


def has_photo_model(name: str) -> bool:
    """Whether `photo_model` would answer at once."""
    return photo_classifier.is_loaded if name == "cifar10" else name in _downloaded


def photo_model(name: str, progress: "Progress | None" = None) -> "PhotoClassifier":
    """The bundled network ("cifar10") or a downloaded one; of these the KEPT used last stay in memory.

    Raises:
        WeightsError: file missing or damaged, unknown name, download impossible.
    """
    if name == "cifar10":
        return photo_classifier()
    from tasks.classification import PhotoClassifier

    with _lock:
        loading = _loading.setdefault(str(name)[:40], threading.Lock())
    with loading:
        model = _downloaded.get(name) or PhotoClassifier.load(name, progress=progress)
        with _lock:
            _downloaded[name] = model
            _downloaded.move_to_end(name)
            while len(_downloaded) > KEPT:
                _downloaded.popitem(last=False)
    return model
