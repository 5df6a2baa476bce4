"""A job's frames as files: one step as PNG with its settings inside, all steps as GIF or video."""

import io
import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.ui.jobs import Frame

GAP = 1  # px between images, before enlarging
BETWEEN = 4  # px between panels, before enlarging
SIDE = 480  # px that a panel has at least, enlarged by a whole number
GREY = 128
FPS = 10
HOLD = 10  # times that a GIF or video repeats its last frame
MAX_FRAMES = 150  # of a GIF or video; of longer jobs every k-th


def columns(n: int) -> int:
    """Images in a row of a panel's grid; the page lays them out the same way (step_player.js)."""
    return math.ceil(math.sqrt(n))


def grid(panel: np.ndarray) -> np.ndarray:
    """uint8 (n, H, W) or (n, H, W, 3) -> uint8 (H', W', 3): the images of a panel in rows."""
    n, h, w = panel.shape[:3]
    images = panel if panel.ndim == 4 else panel[..., None].repeat(3, -1)
    across = columns(n)
    down = math.ceil(n / across)
    out = np.full((down * (h + GAP) - GAP, across * (w + GAP) - GAP, 3), GREY, np.uint8)
    for i, image in enumerate(images):
        y, x = i // across * (h + GAP), i % across * (w + GAP)
        out[y : y + h, x : x + w] = image
    return out


def sheet(frame: Frame) -> np.ndarray:
    """uint8 (H, W, 3): the panels of a frame side by side.

    Enlarged by a whole number; sides are even, as H.264 needs.
    """
    grids = [grid(panel) for panel in frame.panels]
    height = max(g.shape[0] for g in grids)
    padded = [
        np.pad(
            g,
            ((0, height - g.shape[0]), (0, BETWEEN * (i < len(grids) - 1)), (0, 0)),
            constant_values=GREY,
        )
        for i, g in enumerate(grids)
    ]
    times = 2 * max(1, math.ceil(SIDE / height / 2))
    return np.concatenate(padded, 1).repeat(times, 0).repeat(times, 1)


def to_png(frame: Frame, about: Mapping[str, Any]) -> bytes:
    """The settings lie in the PNG's text chunk "settings", as JSON."""
    from PIL import Image, PngImagePlugin

    info = PngImagePlugin.PngInfo()
    info.add_text("settings", json.dumps({**about, "moment": frame.title}))
    out = io.BytesIO()
    Image.fromarray(sheet(frame)).save(out, "PNG", pnginfo=info)
    return out.getvalue()


def to_gif(frames: Sequence[Frame], about: Mapping[str, Any]) -> bytes:
    """An animation that repeats; the settings are its comment."""
    from PIL import Image

    images = [Image.fromarray(sheet(frame)).quantize(64) for frame in thin_out(frames)]
    out = io.BytesIO()
    times = [1000 // FPS] * (len(images) - 1) + [1000 * HOLD // FPS]
    images[0].save(
        out,
        "GIF",
        save_all=True,
        append_images=images[1:],
        duration=times,
        loop=0,
        comment=json.dumps(dict(about)).encode(),
    )
    return out.getvalue()


def to_video(frames: Sequence[Frame], about: Mapping[str, Any]) -> tuple[bytes, str]:
    """(the video, its suffix): H.264 in MP4, or WebM where PyAV lacks x264.

    The settings are its comment.
    """
    from tasks.core.video.writer import VideoWriter

    sheets = [sheet(frame) for frame in thin_out(frames)]
    height, width = sheets[0].shape[:2]
    with tempfile.TemporaryDirectory() as folder:
        with VideoWriter(
            Path(folder) / "steps", width, height, FPS, comment=json.dumps(dict(about))
        ) as out:
            for image in sheets + sheets[-1:] * HOLD:
                out.write(image)
        return out.path.read_bytes(), out.path.suffix


def thin_out(frames: Sequence[Frame]) -> list[Frame]:
    """At most MAX_FRAMES of them, evenly, with the first and the last."""
    if len(frames) <= MAX_FRAMES:
        return list(frames)
    return [frames[i] for i in np.linspace(0, len(frames) - 1, MAX_FRAMES).round().astype(int)]
