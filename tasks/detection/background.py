"""COCO weights that are fetched when the app starts, where a network is reachable.

Five megabytes, beside what visitors do; once they are here they are the camera's default
(`models.detector_choices`), and are made ready for browsers to compute. Without a network nothing
happens and the bundled detector stays.
"""

import logging
import threading

from tasks import models
from tasks.core import downloads
from tasks.core.weights import WeightsError

log = logging.getLogger("image_lab")
_busy = threading.Event()


def start() -> threading.Thread | None:
    """Fetch in a thread of its own; None where that is not wanted or they are here already."""
    if not downloads.may_ask() or models.is_downloaded(models.FETCHED):
        return None
    _busy.set()
    thread = threading.Thread(target=_fetch, daemon=True, name="fetch")
    thread.start()
    return thread


def is_fetching() -> bool:
    return _busy.is_set()


def _fetch() -> None:
    try:
        if not downloads.ask():
            return
        from tasks.detection import checkpoints

        file = checkpoints.download(models.FETCHED)
        checkpoints.exported(file)
        checkpoints.exported(file, to="onnx")
    except WeightsError as error:
        log.warning("%s", error)
    except Exception:  # a full disk, for one; visitors go on with the bundled network
        log.warning("%s could not be prepared", models.FETCHED, exc_info=True)
    finally:
        _busy.clear()
