"""Live detection in a real Chromium with a fake camera, against gradio's plain streaming pattern, on the same cores.

    python -m benchmarks.webcam [--yolo PATH] [--seconds 15] [--visitors 1 2 4 8] [--size 640]

The camera shows a clip of 640x480 px at 30 frames a second, made from a picture that ultralytics brings along; each of
its frames is looked at once at most, so 30 detections a second are all there are. The last row's camera has 60. All
apps run the same network at the same input size. Writes benchmarks/results/webcam.csv: detections a second, round trip
p50 and p95 (from the capture of a frame to its boxes in the page), for several visitors the least and the most that one
of them gets, the server's resident memory when the measured seconds begin and end, and what the plain pattern gives
with all its defaults and with `stream_every=0.05`. `--skip-plain` leaves that out. `--size` is what a visitor chooses
as input size in the page, whose own choice is 416 px; the plain pattern has the file's own, 640 px.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from gradio_client import Client
from PIL import Image
from playwright.sync_api import BrowserContext, Page, Playwright, sync_playwright

from benchmarks.app_process import free_port, resident_mb, running_app_process, wait_for
from benchmarks.detectors import default_yolo
from benchmarks.results import record
from tests.chromium import find_chromium

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--use-fake-ui-for-media-stream",
         "--use-fake-device-for-media-stream"]  # fmt: skip
WARM_S = 5  # not measured: the first frames compile and fill the queues


def frames() -> Iterator[Image.Image]:
    """90 of 640 x 480 px: the view wanders over a street."""
    from ultralytics.utils import ASSETS

    photo = Image.open(ASSETS / "bus.jpg").convert("RGB")
    for t in range(90):
        top = 150 + round(60 * np.sin(2 * np.pi * t / 90))
        yield photo.crop((0, top, 810, top + 608)).resize((640, 480))


def make_clip(path: Path) -> Path:
    """Motion JPEG, which Chromium's fake camera plays at 30 frames a second."""
    with path.open("wb") as out:
        for frame in frames():
            frame.save(out, "JPEG", quality=85)
    return path


def make_fast_clip(path: Path, fps: int) -> Path:
    """Uncompressed (YUV4MPEG2), for a fake camera of another rate."""
    with path.open("wb") as out:
        out.write(f"YUV4MPEG2 W640 H480 F{fps}:1 Ip A1:1 C420\n".encode())
        for frame in frames():
            out.write(b"FRAME\n" + cv2.cvtColor(np.asarray(frame), cv2.COLOR_RGB2YUV_I420).tobytes())
    return path


class Chromium:
    """A Chromium that goes on by itself: Playwright opens pages and reads them, and is not there while they run.

    Attached, it hears of every request of the page, which on two cores costs a tenth of what is to be measured.
    """

    def __init__(self, playwright: Playwright, clip: Path, folder: Path):
        program = find_chromium() or playwright.chromium.executable_path
        flags = [
            *FLAGS,
            f"--use-file-for-fake-video-capture={clip}",
            f"--user-data-dir={folder}",
            "--window-size=900,850",
        ]
        port = free_port()
        self._playwright, self._url = playwright, f"http://127.0.0.1:{port}"
        self._process = subprocess.Popen(
            [program, "--headless", f"--remote-debugging-port={port}", *flags, "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_for(f"{self._url}/json/version")

    @contextmanager
    def attached(self) -> Iterator[BrowserContext]:
        browser = self._playwright.chromium.connect_over_cdp(self._url, timeout=120_000)
        yield browser.contexts[0]
        browser.close()  # detaches

    def open(self, url: str) -> None:
        """In a window of its own: a tab behind another one is hidden, and a hidden page stops its camera."""
        with self.attached() as context:
            session = context.browser.new_browser_cdp_session()  # type: ignore[union-attr]
            session.send("Target.createTarget", {"url": url, "newWindow": True})

    def __enter__(self) -> "Chromium":
        return self

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        self._process.wait(20)


def pages_of(context: BrowserContext, url: str) -> list[Page]:
    return [page for page in context.pages if page.url.startswith(url)]


READ = """() => {
  const of = [...document.querySelectorAll("#live-detection, #live-detection *")].find((e) => e.dataset.rate);
  return of ? [performance.now(), of.dataset.answers, of.dataset.p50, of.dataset.p95].map(Number) : null;
}"""


def start_cameras(chromium: Chromium, url: str, n: int, size: int | None = None) -> None:
    """n pages whose camera is on; `size`: px that the network sees, None: the page's own choice."""
    for _ in range(n):
        chromium.open(url)
    with chromium.attached() as context:
        for page in pages_of(context, url):
            page.get_by_role("tab", name="Detection").click()
            page.locator(".live .said", has_text="Ready").wait_for(timeout=120_000)
            if size is not None:
                page.locator(".live .size").select_option(str(size))
        for page in pages_of(context, url):
            page.get_by_role("button", name="Start camera").click()
    time.sleep(WARM_S)


def read_cameras(chromium: Chromium, url: str) -> dict[float, list[float]]:
    """What READ tells of each page, by the moment it was opened: the order of pages is not fixed."""
    with chromium.attached() as context:
        return {page.evaluate("performance.timeOrigin"): page.evaluate(READ) for page in pages_of(context, url)}


def ours(
    chromium: Chromium, url: str, pid: int, visitors: int, seconds: float, size: int
) -> tuple[list[tuple[float, float, float]], float, float]:
    """For each visitor (detections a second, round trip p50, p95 in ms) by the page's own clock; memory in MB, before
    and after."""
    start_cameras(chromium, url, visitors, size)
    before = read_cameras(chromium, url)
    memory = resident_mb(pid)
    time.sleep(seconds)
    memory_after = resident_mb(pid)
    after = read_cameras(chromium, url)
    got = [
        (1000 * (after[page][1] - answers) / (after[page][0] - began), after[page][2], after[page][3])
        for page, (began, answers, _, _) in before.items()
    ]
    return got, memory, memory_after


PLAIN = """
import sys
import gradio as gr
from ultralytics import YOLO

model, calls = YOLO(sys.argv[1], task="detect"), []
pace = {"stream_every": float(sys.argv[2])} if len(sys.argv) > 2 else {}

def look(frame):
    if frame is None:
        return None
    calls.append(1)
    return model.predict(frame[..., ::-1], verbose=False)[0].plot()[..., ::-1]

with gr.Blocks() as demo:
    camera, result = gr.Image(sources=["webcam"], streaming=True), gr.Image()
    camera.stream(look, camera, result, **pace)
    def count() -> int:
        return len(calls)

    gr.api(count, api_name="calls")
demo.launch()
"""


def plain(chromium: Chromium, yolo: Path, seconds: float, *pace: str) -> float:
    """Detections a second of `gr.Image(streaming=True)` with everything default, or but `stream_every`."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    env = {**os.environ, "GRADIO_SERVER_PORT": str(port)}
    process = subprocess.Popen([sys.executable, "-c", PLAIN, str(yolo), *pace], env=env, stdout=subprocess.DEVNULL)
    try:
        wait_for(url, 120)
        chromium.open(url)
        with chromium.attached() as context:
            (page,) = pages_of(context, url)
            page.get_by_text("Click to Access Webcam").click()
            page.get_by_label("capture photo").click()  # gradio's name for Record
        client = Client(url, verbose=False)
        time.sleep(WARM_S)
        before, began = client.predict(api_name="/calls"), time.monotonic()
        time.sleep(seconds)
        after, ended = client.predict(api_name="/calls"), time.monotonic()
        return float((after - before) / (ended - began))
    finally:
        process.terminate()
        process.wait(20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--yolo", type=Path, default=default_yolo(), help="YOLO weights: a .pt file or an OpenVINO folder"
    )
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--visitors", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--size", type=int, default=640, help="px that the network sees, as chosen in the page")
    parser.add_argument("--skip-plain", action="store_true", help="without the plain pattern, its columns empty")
    args = parser.parse_args()
    if args.yolo is None:
        print("--yolo names no weights, and IMAGE_LAB_YOLO is not set: nothing to measure")
        return
    os.environ["IMAGE_LAB_YOLO"] = str(args.yolo)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        clips = {30: make_clip(Path(folder) / "street.mjpeg"), 60: make_fast_clip(Path(folder) / "street.y4m", 60)}
        usual: list[float] = []
        for pace in () if args.skip_plain else ((), ("0.05",)):
            with Chromium(playwright, clips[30], Path(folder) / "-".join(("plain", *pace))) as chromium:
                usual.append(plain(chromium, args.yolo, args.seconds, *pace))
        if usual:
            print(f"plain gr.Image streaming: {usual[0]:.1f} detections a second, at stream_every=0.05 {usual[1]:.1f}")
        for n, fps in [*((n, 30) for n in args.visitors), *([(1, 60)] if 1 in args.visitors else [])]:
            data = Path(folder) / f"visitors-{n}-{fps}"
            with running_app_process() as (url, pid), Chromium(playwright, clips[fps], data) as chromium:
                got, memory, memory_after = ours(chromium, url, pid, n, args.seconds, args.size)
            rates = [rate for rate, _, _ in got]
            record("webcam", {
                "visitors": n,
                "camera_fps": fps,
                "size": args.size,
                "rate_all": round(sum(rates), 1),
                "rate_least": round(min(rates), 1),
                "rate_most": round(max(rates), 1),
                "p50_ms": round(statistics.median(p50 for _, p50, _ in got), 1),
                "p95_ms": round(max(p95 for _, _, p95 in got), 1),
                "plain_rate": round(usual[0], 1) if usual else "",
                "plain_rate_at_0.05": round(usual[1], 1) if usual else "",
                "memory_mb_start": round(memory),
                "memory_mb_end": round(memory_after),
            })  # fmt: skip


if __name__ == "__main__":
    main()
