"""A player for what is computed step by step: shown as it comes, then played and scrubbed.

    player = step_player(("x_t", "predicted x0"), elem_id="digits-player", hint="Press Generate.")
    start_on_click(player, button, begin, settings)

`begin` returns `JOBS.start(frames, total, about)`: it only checks the settings and queues the job
(tasks/ui/jobs.py). The page then polls for the frames by `step_player_next` and keeps them: playing
and scrubbing need no server. Stop, a closed page and a page asleep end the job within one frame.
"""

from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from tasks.core import scheduling
from tasks.core.images import ImageError
from tasks.ui import recordings
from tasks.ui.errors import report_errors, return_errors
from tasks.ui.jobs import JOBS, Frame
from tasks.ui.page import result_links
from tasks.ui.send_to import link_of
from tasks.ui.widget import data_url, encode_base64, widget

MAX_FRAMES = 40  # in one answer
TYPES = {"png": "image/png", "gif": "image/gif", ".mp4": "video/mp4", ".webm": "video/webm"}


@return_errors
def step_player_next(request: dict[str, Any]) -> dict[str, Any]:
    """The frames from number `have` on of job `run`.

    Returns:
        {"frames": [...], "ahead": jobs before it, "wait_s": that they still take, estimated,
        "done", "stopped", "error", "seconds": of computing so far, "device"}; "done" and "error"
        come with the last frames. A frame is {"panels": [{"shape": [n, h, w, c], "data": base64 of
        bytes}, ...], "title", "text", "dots"}.
    """
    have = request.get("have") if isinstance(request, dict) else None
    if type(have) is not int:
        raise ImageError("The job's id and the number of frames that the page has are needed.")
    update = JOBS.poll(request.get("run"), have)
    frames = update.frames[:MAX_FRAMES]
    is_last = len(frames) == len(update.frames)
    return {
        "frames": [_to_json(frame) for frame in frames],
        "ahead": update.ahead,
        "wait_s": round(update.wait_s, 1),
        "done": update.done and is_last,
        "stopped": update.job.stopped,
        "error": update.error if is_last else None,
        "seconds": round(update.job.seconds, 3),
        "device": JOBS.device,
    }


@return_errors
def step_player_stop(run: str) -> dict[str, Any]:
    """End a job; its frames stay."""
    JOBS.stop(run)
    return {}


@return_errors
def step_player_save(request: dict[str, Any]) -> dict[str, Any]:
    """A job as a file: {"kind": "png" | "gif" | "mp4", "run", "at": frame of the PNG}.

    Returns:
        {"url": data URL, "name": of the file}.
    """
    from tasks.ui import step_player_files

    if not isinstance(request, dict) or request.get("kind") not in ("png", "gif", "mp4"):
        raise ImageError("The steps can be saved as png, gif or mp4.")
    job = JOBS.get(request.get("run"))
    frames, kind, at = list(job.frames), request["kind"], request.get("at")
    if not frames:
        raise ImageError("No step has been computed yet that could be saved.")
    suffix = "." + kind
    # one file after the other: the enlarged frames of one take up to 200 MB
    with scheduling.CORES.step(patient=False):
        if kind == "png":
            frame = frames[at] if type(at) is int and 0 <= at < len(frames) else frames[-1]
            data = step_player_files.to_png(frame, job.about)
        elif kind == "gif":
            data = step_player_files.to_gif(frames, job.about)
        else:
            data, suffix = step_player_files.to_video(frames, job.about)
    mime = TYPES.get(suffix) or TYPES[kind]
    name = f"{job.about.get('name', 'steps')}{suffix}"
    return {"url": data_url(data, mime), "name": name}


def step_player(
    panels: Sequence[str],
    elem_id: str,
    hint: str,
    chart: str = "",
    wide: bool = False,
    picked: int = 0,
    parts: Sequence[tuple[Path, str]] = (),
    functions: Sequence[Callable[..., Any]] = (),
) -> gr.HTML:
    """A player; an event whose output it is starts it by {"run", "total"}.

    It opens with the recording <elem_id>.json and .webp of tasks/ui/recordings, if there is one.

    Args:
        panels: captions of the images side by side, HTML.
        hint: shown while there is nothing else.
        chart: an SVG below, with one `<circle class='dot'>` for each of a frame's dots.
        wide: panels take all the width there is.
        picked: the panel whose first image is sent to other tabs until the visitor picks another.
        parts, functions: more of the widget, as in `widget`; behind the player's own.
    """
    figures = "".join(
        f"<figure><div class='screen'><canvas width='29' height='29' tabindex='0' role='img' "
        f"aria-label='{_plain_text(title)}; arrow keys choose an image, space plays, [ and ] "
        f"step'></canvas></div><figcaption>{title}</figcaption></figure>"
        for title in panels
    )
    return widget(
        (Path(__file__).parent, "step_player"),
        *parts,
        elem_id=elem_id,
        functions=[step_player_next, step_player_stop, step_player_save, *functions],
        marks={
            "panels": figures,
            "hint": escape(hint),
            "chart": chart,
            "wide": "wide" if wide else "",
            "picked": str(picked),
            "name": elem_id if (recordings.FOLDER / f"{elem_id}.json").is_file() else "",
        },
    )


def start_on_click(
    player: gr.HTML,
    button: gr.Button,
    begin: Callable[..., dict[str, Any]],
    inputs: Sequence[Component],
    names: Sequence[str] = (),
    refresh: result_links.Refresh | None = None,
) -> None:
    """Let `button` start on `player` the job that `begin` queues; the player says so at once.

    Args:
        names: of the inputs in the link to a result, "seed" among them; none: it has no link.
        refresh: as in `result_links.link_results`.
    """
    if names:
        begin = _with_link(begin, names, link_of(player))
        fields = dict(zip(names, inputs, strict=True))
        result_links.link_results(player, begin, fields, refresh)
    quietly: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    button.click(None, None, player, js="() => ({asked: Date.now()})", **quietly)
    started = button.click(report_errors(begin), list(inputs), player, **quietly)
    started.failure(None, None, player, js="() => ({failed: Date.now()})", **quietly)


def _with_link(
    begin: Callable[..., dict[str, Any]], names: Sequence[str], place: str
) -> Callable[..., dict[str, Any]]:
    """`begin`, whose result also has the link that starts the same job again."""

    def begin_with_link(*values: Any) -> dict[str, Any]:
        started = begin(*values)
        settings = dict(zip(names, values, strict=True))
        settings["seed"] = JOBS.get(started["run"]).about["seed"]  # where the field was empty
        return {**started, "link": f"{place}?{result_links.query(settings)}"}

    return begin_with_link


def _plain_text(title: str) -> str:
    for tag in ("<sub>", "</sub>", "<sup>", "</sup>", "<i>", "</i>", "<b>", "</b>"):
        title = title.replace(tag, "")
    return escape(title, quote=True)


def _to_json(frame: Frame) -> dict[str, Any]:
    panels = []
    for panel in frame.panels:
        n, h, w = panel.shape[:3]
        data = encode_base64(panel)
        panels.append({"shape": [n, h, w, 1 if panel.ndim == 3 else panel.shape[3]], "data": data})
    return {"panels": panels, "title": frame.title, "text": frame.text, "dots": frame.dots}
