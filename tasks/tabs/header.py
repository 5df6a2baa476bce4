"""The line on top of the page: its name, and whether the models are ready."""

import logging
import threading
import time

import gradio as gr

from tasks import weights
from tasks.tabs import models

log = logging.getLogger("image_lab")
_state = {"state": "starting"}
_lock = threading.Lock()
_page_is_there = threading.Event()
PATIENCE_S = 8  # for a first page; models are loaded without one, too
PAGE_S = 0.7  # from the page's first question to the end of its rendering


def warm_up() -> None:
    """Import torch and load the bundled models while the visitor reads; never fails, each tab itself says what is.

    The first page comes before that: on two cores the import would make its visitor wait twice as long.
    """
    if _page_is_there.wait(PATIENCE_S):
        time.sleep(PAGE_S)
    with _lock:
        broken = False
        for load in (_warm_digits, models.photo_classifier):
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
            _state.update(state="broken", text="A model is missing or damaged; its tab says which. The others work.")
        else:
            _state.update(state="ready")
        try:  # not waited for: its tab is not the first that is opened, and its library takes seconds to import
            models.diffusion_generator("mnist")
        except weights.WeightsError as error:
            log.warning("%s", error)
        except Exception:
            log.exception("warm-up")


def _warm_digits() -> None:
    import numpy as np

    models.digit_classifier().classify_batch(np.zeros((1, 28, 28), np.uint8))


def readiness(_: object = None) -> dict[str, str]:
    """{"state": "starting" | "ready" | "broken", "device": ..., "text": ...} for the page's line."""
    _page_is_there.set()
    if _state["state"] != "ready":
        return dict(_state)
    from tasks import compute

    return {"state": "ready", "device": compute.device_name()}


def build_header() -> None:
    gr.HTML(
        html_template=(
            "<header class='lab-head'><div><h1>Image Lab</h1><p>Machine learning on images, live: trained here, "
            "measured, shown at work.</p></div><span class='chip' role='status' aria-live='polite'>"
            "<i></i><b>starting…</b></span></header>"
        ),
        css_template=CHIP_CSS,
        js_on_load=CHIP_JS,
        server_functions=[readiness],
        elem_id="header",
    )


CHIP_CSS = """
.lab-head { display: flex; justify-content: space-between; align-items: center; gap: 1rem;
  flex-wrap: wrap; padding: .4rem 0; }
h1 { font-size: 1.6rem; letter-spacing: -.02em; margin: 0; font-weight: 650; }
p { margin: .1rem 0 0; color: var(--body-text-color-subdued); }
.chip { display: inline-flex; align-items: center; gap: .5rem; font-size: .85rem; padding: .3rem .7rem;
  min-width: 15.5rem; border: 1px solid var(--border-color-primary); border-radius: 99px;
  background: var(--background-fill-primary); }
.chip b { font-weight: 500; }
.chip i { width: .55rem; height: .55rem; border-radius: 50%; background: #d29922; flex: none; }
.chip.ready i { background: #2da44e; }
.chip.broken i { background: #cf222e; }
"""

CHIP_JS = """
const chip = element.querySelector('.chip'), text = chip.querySelector('b');
async function ask() {
  let answer;
  try { answer = await server.readiness(); } catch (e) { /* as no answer */ }
  answer = answer || {state: 'starting', text: 'the server does not answer'};
  chip.className = 'chip ' + answer.state;
  text.textContent = answer.state === 'ready' ? 'models ready · ' + answer.device
    : answer.state === 'broken' ? answer.text : answer.text || 'loading the models…';
  if (answer.state === 'starting' && element.isConnected) setTimeout(ask, 400);
}
ask();
"""
