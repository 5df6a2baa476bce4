"""A player in the page for what is computed step by step: shown as it comes, then played and scrubbed without a server.

    player = film(("x_t", "predicted x0"), elem_id="made")
    shows(player, button, begin, settings)     # begin returns RUNS.start(frames, total, about)

`begin` only checks the settings and queues the run (tasks/tabs/runs.py); the page then fetches the frames by
`film_next`, and keeps them. Stop, a closed page and a page asleep end the run within one frame.
"""

import base64
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from gradio.components import Component

from tasks import compute
from tasks.images import ImageError
from tasks.tabs.errors import answering, answering_json
from tasks.tabs.runs import RUNS, Frame

HERE = Path(__file__).parent
MOST_AT_ONCE = 40  # frames in one answer
SAVING = compute.PatientLock()  # one file after the other: the frames of one take up to 200 MB, enlarged
TYPES = {"png": "image/png", "gif": "image/gif", ".mp4": "video/mp4", ".webm": "video/webm"}


@answering_json
def film_next(request: dict[str, Any]) -> dict[str, Any]:
    """The frames from number `have` on of run `run`.

    Returns:
        {"frames": [...], "ahead": runs before it, "done", "stopped", "error", "seconds": of computing so far,
        "device"}; "done" and "error" come with the last frames. A frame is {"panels": [{"shape": [n, h, w, c],
        "data": base64 of bytes}, ...], "title", "text", "dots"}.
    """
    have = request.get("have") if isinstance(request, dict) else None
    if type(have) is not int:
        raise ImageError("The run's id and the number of frames that the page has are needed.")
    news = RUNS.since(request.get("run"), have)
    some = news.frames[:MOST_AT_ONCE]
    is_last = len(some) == len(news.frames)
    return {
        "frames": [_told(frame) for frame in some],
        "ahead": news.ahead,
        "done": news.done and is_last,
        "stopped": news.run.stopped,
        "error": news.error if is_last else None,
        "seconds": round(news.run.seconds, 3),
        "device": RUNS.device,
    }


@answering_json
def film_stop(run: str) -> dict[str, Any]:
    """End a run; what it has made stays."""
    RUNS.stop(run)
    return {}


@answering_json
def film_save(request: dict[str, Any]) -> dict[str, Any]:
    """A run as a file: {"kind": "png" | "gif" | "mp4", "run", "at": frame of the PNG} -> {"url": data URL, "name"}."""
    from tasks.tabs import film_files

    if not isinstance(request, dict) or request.get("kind") not in ("png", "gif", "mp4"):
        raise ImageError("A run can be saved as png, gif or mp4.")
    run = RUNS.get(request.get("run"))
    frames, kind, at = list(run.made), request["kind"], request.get("at")
    if not frames:
        raise ImageError("Nothing has been made yet that could be saved.")
    suffix = "." + kind
    with SAVING:
        if kind == "png":
            frame = frames[at] if type(at) is int and 0 <= at < len(frames) else frames[-1]
            data = film_files.png(frame, run.about)
        elif kind == "gif":
            data = film_files.gif(frames, run.about)
        else:
            data, suffix = film_files.mp4(frames, run.about)
    mime = TYPES.get(suffix) or TYPES[kind]
    name = f"{run.about.get('name', 'film')}{suffix}"
    return {"url": f"data:{mime};base64,{base64.b64encode(data).decode()}", "name": name}


def film(
    panels: Sequence[str], elem_id: str, hint: str, chart: str = "", wide: bool = False, picked: int = 0
) -> gr.HTML:
    """A player; an event whose output it is gives it {"run", "total"} and so starts it.

    Args:
        panels: captions of what stands side by side, HTML.
        hint: shown while there is nothing else.
        chart: an SVG below, with one `<circle class='dot'>` for each of a frame's dots.
        wide: panels take all the width there is.
        picked: the panel whose first picture is sent to other tabs until the visitor picks another.
    """
    figures = "".join(
        f"<figure><div class='screen'><canvas width='29' height='29' tabindex='0' role='img' "
        f"aria-label='{_plain(title)}; arrow keys pick a picture'></canvas>"
        f"</div><figcaption>{title}</figcaption></figure>"
        for title in panels
    )
    page = (HERE / "film.html").read_text(encoding="utf-8")
    page = (
        page.replace("<!-- panels -->", figures).replace("<!-- hint -->", escape(hint)).replace("<!-- chart -->", chart)
    )
    return gr.HTML(
        html_template=page.replace("class='film'", f"class='film{' wide' if wide else ''}' data-picked='{picked}'"),
        css_template=(HERE / "film.css").read_text(encoding="utf-8"),
        js_on_load=(HERE / "film.js").read_text(encoding="utf-8"),
        server_functions=[film_next, film_stop, film_save],
        elem_id=elem_id,
    )


def shows(
    player: gr.HTML, button: gr.Button, begin: Callable[..., dict[str, Any]], inputs: Sequence[Component]
) -> None:
    """Let `button` start on `player` what `begin` queues; the player says at once that something is coming."""
    quietly: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    button.click(None, None, player, js="() => ({asked: Date.now()})", **quietly)
    begun = button.click(answering(begin), list(inputs), player, **quietly)
    begun.failure(None, None, player, js="() => ({failed: Date.now()})", **quietly)


def _plain(title: str) -> str:
    for tag in ("<sub>", "</sub>", "<sup>", "</sup>", "<i>", "</i>", "<b>", "</b>"):
        title = title.replace(tag, "")
    return escape(title, quote=True)


def _told(frame: Frame) -> dict[str, Any]:
    panels = []
    for panel in frame.panels:
        n, h, w = panel.shape[:3]
        data = base64.b64encode(np.ascontiguousarray(panel).tobytes()).decode()
        panels.append({"shape": [n, h, w, 1 if panel.ndim == 3 else panel.shape[3]], "data": data})
    return {"panels": panels, "title": frame.title, "text": frame.text, "dots": frame.dots}
