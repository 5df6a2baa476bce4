"""A run's frames as files: one moment as PNG with its settings inside, all of them as GIF or as a film."""

import io
import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.tabs.runs import Frame

GAP = 1  # px between pictures, before enlarging
BETWEEN = 4  # px between panels, before enlarging
SIDE = 480  # px that a panel has at least, enlarged by a whole number
GREY = 128
FPS = 10
HOLD = 10  # times that a film repeats its last frame
MOST = 150  # frames of a GIF or film; of longer runs every k-th


def columns(n: int) -> int:
    """Pictures in a row of a panel's grid; the page lays them out the same way (film.js)."""
    return math.ceil(math.sqrt(n))


def grid(panel: np.ndarray) -> np.ndarray:
    """uint8 (n, H, W) or (n, H, W, 3) -> uint8 (H', W', 3): the pictures of a panel side by side."""
    n, h, w = panel.shape[:3]
    pictures = panel if panel.ndim == 4 else panel[..., None].repeat(3, -1)
    across = columns(n)
    down = math.ceil(n / across)
    out = np.full((down * (h + GAP) - GAP, across * (w + GAP) - GAP, 3), GREY, np.uint8)
    for i, picture in enumerate(pictures):
        y, x = i // across * (h + GAP), i % across * (w + GAP)
        out[y : y + h, x : x + w] = picture
    return out


def sheet(frame: Frame) -> np.ndarray:
    """uint8 (H, W, 3): the panels of a frame side by side, enlarged by whole pixels; sides are even, as H.264 needs."""
    grids = [grid(panel) for panel in frame.panels]
    height = max(g.shape[0] for g in grids)
    padded = [
        np.pad(g, ((0, height - g.shape[0]), (0, BETWEEN * (i < len(grids) - 1)), (0, 0)), constant_values=GREY)
        for i, g in enumerate(grids)
    ]
    times = 2 * max(1, math.ceil(SIDE / height / 2))
    return np.concatenate(padded, 1).repeat(times, 0).repeat(times, 1)


def png(frame: Frame, about: Mapping[str, Any]) -> bytes:
    """The settings lie in the PNG's text chunk "settings", as JSON."""
    from PIL import Image, PngImagePlugin

    info = PngImagePlugin.PngInfo()
    info.add_text("settings", json.dumps({**about, "moment": frame.title}))
    out = io.BytesIO()
    Image.fromarray(sheet(frame)).save(out, "PNG", pnginfo=info)
    return out.getvalue()


def gif(frames: Sequence[Frame], about: Mapping[str, Any]) -> bytes:
    """An animation that repeats; the settings are its comment."""
    from PIL import Image

    pictures = [Image.fromarray(sheet(frame)).quantize(64) for frame in thinned(frames)]
    out = io.BytesIO()
    times = [1000 // FPS] * (len(pictures) - 1) + [1000 * HOLD // FPS]
    pictures[0].save(out, "GIF", save_all=True, append_images=pictures[1:], duration=times, loop=0,
                     comment=json.dumps(dict(about)).encode())  # fmt: skip
    return out.getvalue()


def mp4(frames: Sequence[Frame], about: Mapping[str, Any]) -> tuple[bytes, str]:
    """(the film, its suffix): H.264 in MP4, or WebM where PyAV lacks x264; the settings are its comment."""
    from tasks.video_writer import VideoWriter

    sheets = [sheet(frame) for frame in thinned(frames)]
    height, width = sheets[0].shape[:2]
    with tempfile.TemporaryDirectory() as folder:
        with VideoWriter(Path(folder) / "film", width, height, FPS, comment=json.dumps(dict(about))) as out:
            for picture in sheets + sheets[-1:] * HOLD:
                out.write(picture)
        return out.path.read_bytes(), out.path.suffix


def thinned(frames: Sequence[Frame]) -> list[Frame]:
    """At most MOST of them, evenly, with the first and the last."""
    if len(frames) <= MOST:
        return list(frames)
    return [frames[i] for i in np.linspace(0, len(frames) - 1, MOST).round().astype(int)]
