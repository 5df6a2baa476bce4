"""The page's header: its name, and whether the models are ready."""

import logging
import threading
import time
from pathlib import Path

from tasks import loaders
from tasks.core import weights
from tasks.ui.widget import widget

log = logging.getLogger("image_lab")
_state = {"state": "starting"}
_page_is_open = threading.Event()
PATIENCE_S = 8  # for a first page; models are loaded without one, too
PAGE_S = 0.7  # from the page's first question to the end of its rendering


def warm_up() -> None:
    """Import torch and load the bundled models while the visitor reads; never raises.

    The first page is served before that: on two cores the import would double its time. A model
    that cannot be loaded is reported by its own tab.
    """
    if _page_is_open.wait(PATIENCE_S):
        time.sleep(PAGE_S)
    broken = False
    for load in (_warm_digits, loaders.photo_classifier):
        try:
            load()
        except weights.WeightsError as error:
            log.warning("%s", error)
            broken = True
        except Exception:
            log.exception("warm-up")
            broken = True
        _state.update(text="digits ready, loading the photo network…")
    if broken:
        _state.update(
            state="broken",
            text="A model is missing or damaged; its tab says which. The others work.",
        )
    else:
        _state.update(state="ready")
    # after "ready": its tab is not the first to be opened, and its library takes seconds
    try:
        loaders.diffusion_generator("mnist")
    except weights.WeightsError as error:
        log.warning("%s", error)
    except Exception:
        log.exception("warm-up")


def _warm_digits() -> None:
    import numpy as np

    loaders.digit_classifier().classify_batch(np.zeros((1, 28, 28), np.uint8))


def readiness(_: object = None) -> dict[str, str]:
    """{"state": "starting" | "ready" | "broken", "device": ..., "text": ...} for the header."""
    _page_is_open.set()
    if _state["state"] != "ready":
        return dict(_state)
    from tasks.core import device

    return {"state": "ready", "device": device.name()}


def build_header() -> None:
    widget((Path(__file__).parent, "header"), elem_id="header", functions=[readiness])
