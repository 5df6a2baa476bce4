"""Records a part of a page as an animated WebP, which GitHub and browsers show like an image.

with Screencast(page, ".live") as cast:
    page.wait_for_timeout(5000)
save_animation(cast.frames, Path("live.webp"), width=800, fps=8, quality=60)
"""

import base64
import io
from itertools import pairwise
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page

MARGIN = 8  # px around what is cut out
LAST_S = 1.5  # for which the last frame stays before the animation repeats
Frame = tuple[float, Image.Image]  # when, in seconds; what was seen


class Screencast:
    """Frames of an element as Chromium draws them, each with its time; Chromium sends them by
    itself.

    The element is brought to the top of the window; `last` names one in it below which nothing is
    kept. Of what is drawn, one frame in `every` is taken: each costs time that a live page then
    lacks.
    """

    def __init__(self, page: Page, selector: str, last: str | None = None, every: int = 1):
        self.frames: list[Frame] = []
        page.locator(selector).first.evaluate(
            "e => scrollBy(0, e.getBoundingClientRect().top - 20)"
        )
        box, below = (
            page.locator(name).first.bounding_box() for name in (selector, last or selector)
        )
        assert box is not None and below is not None, selector
        left, top = max(0, round(box["x"]) - MARGIN), max(0, round(box["y"]) - MARGIN)
        right, bottom = box["x"] + box["width"], below["y"] + below["height"]
        self._crop = (left, top, round(right) + MARGIN, round(bottom) + MARGIN)
        self._every = every
        self._page, self._session = page, page.context.new_cdp_session(page)

    def __enter__(self) -> "Screencast":
        self._on = True
        self._session.on("Page.screencastFrame", self._keep)
        self._session.send(
            "Page.startScreencast", {"format": "jpeg", "quality": 92, "everyNthFrame": self._every}
        )
        return self

    def __exit__(self, *error: object) -> None:
        self._on = False
        self._session.send("Page.stopScreencast")
        self._page.wait_for_timeout(500)  # for frames on their way
        self._session.detach()

    def _keep(self, event: dict[str, Any]) -> None:
        if not self._on:
            return
        self._session.send("Page.screencastFrameAck", {"sessionId": event["sessionId"]})
        seen = Image.open(io.BytesIO(base64.b64decode(event["data"])))
        self.frames.append((float(event["metadata"]["timestamp"]), seen.crop(self._crop)))


def save_animation(frames: list[Frame], path: Path, width: int, fps: float, quality: int) -> None:
    """Write an animated WebP that runs as fast as it happened, with at most `fps` of the frames a
    second."""
    kept: list[Frame] = []
    for when, seen in frames:
        if not kept or when - kept[-1][0] >= 1 / fps:
            kept.append((when, seen))
    height = round(kept[0][1].height * width / kept[0][1].width)
    images = [
        seen.resize((width, height), Image.Resampling.LANCZOS).convert("RGB") for _, seen in kept
    ]
    times = [when for when, _ in kept] + [kept[-1][0] + LAST_S]
    durations = [round(1000 * (b - a)) for a, b in pairwise(times)]
    images[0].save(
        path,
        "WEBP",
        save_all=True,
        append_images=images[1:],
        duration=durations,
        loop=0,
        quality=quality,
        method=4,
    )
    print(
        f"{path.name}: {len(kept)} frames, {sum(durations) / 1000:.1f} s, "
        f"{path.stat().st_size / 1000:.0f} kB"
    )
