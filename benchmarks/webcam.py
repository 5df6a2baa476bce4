"""Live detection in a real Chromium with a fake camera, against gradio's plain streaming pattern, on the same cores.

    python -m benchmarks.webcam --yolo PATH [--seconds 15] [--visitors 1 2 4 8]

The camera shows a clip of 640x480 px at 30 frames a second, made from a picture that ultralytics brings along. Both
apps run the same network at the same input size. Writes benchmarks/results/webcam.csv: detections a second, round trip
p50 and p95 (from the capture of a frame to its boxes in the page), the ratio to the plain pattern, and for several
visitors the least and the most that one of them gets.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from gradio_client import Client
from PIL import Image
from playwright.sync_api import Page, Playwright, sync_playwright

from benchmarks.app_process import free_port, running_app, wait_for
from benchmarks.results import record
from tests.chromium import find_chromium

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--use-fake-ui-for-media-stream",
         "--use-fake-device-for-media-stream"]  # fmt: skip
WARM_S = 5  # not measured: the first frames compile and fill the queues


def make_clip(path: Path) -> Path:
    """Motion JPEG, 90 frames of 640x480: the view wanders over a street."""
    from ultralytics.utils import ASSETS

    photo = Image.open(ASSETS / "bus.jpg").convert("RGB")
    with path.open("wb") as out:
        for t in range(90):
            top = 150 + round(60 * np.sin(2 * np.pi * t / 90))
            photo.crop((0, top, 810, top + 608)).resize((640, 480)).save(out, "JPEG", quality=85)
    return path


def browser_pages(playwright: Playwright, clip: Path, url: str, n: int) -> list[Page]:
    flags = [*FLAGS, f"--use-file-for-fake-video-capture={clip}"]
    browser = playwright.chromium.launch(executable_path=find_chromium(), args=flags)
    pages = []
    for _ in range(n):
        page = browser.new_context(viewport={"width": 900, "height": 700}).new_page()
        page.goto(url)
        pages.append(page)
    return pages


def ours(
    playwright: Playwright, clip: Path, url: str, visitors: int, seconds: float
) -> list[tuple[float, float, float]]:
    """For each visitor: (detections a second, round trip p50, p95 in ms), read off the page's own readout."""
    pages = browser_pages(playwright, clip, url, visitors)
    for page in pages:
        page.get_by_role("tab", name="Detection").click()
        page.wait_for_function("document.querySelector('.live .said').textContent.startsWith('Ready')", timeout=90_000)
    for page in pages:
        page.get_by_role("button", name="Start camera").click()
    read = """() => {
      const widget = [...document.querySelectorAll("#live-detection, #live-detection *")].find((e) => e.dataset.rate);
      return widget ? [widget.dataset.rate, widget.dataset.p50, widget.dataset.p95].map(Number) : null;
    }"""
    time.sleep(WARM_S)
    samples: list[list[list[float]]] = [[] for _ in pages]
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(1)
        for page, taken in zip(pages, samples, strict=True):
            value = page.evaluate(read)
            if value:
                taken.append(value)
    close(pages[0])
    return [tuple(statistics.median(column) for column in zip(*taken, strict=True)) for taken in samples]  # type: ignore[misc]


PLAIN = """
import sys
import gradio as gr
from ultralytics import YOLO

model, calls = YOLO(sys.argv[1], task="detect"), []

def look(frame):
    if frame is None:
        return None
    calls.append(1)
    return model.predict(frame[..., ::-1], verbose=False)[0].plot()[..., ::-1]

with gr.Blocks() as demo:
    camera, result = gr.Image(sources=["webcam"], streaming=True), gr.Image()
    camera.stream(look, camera, result, stream_every=0.05)
    def count() -> int:
        return len(calls)

    gr.api(count, api_name="calls")
demo.launch()
"""


def plain(playwright: Playwright, clip: Path, yolo: Path, seconds: float) -> float:
    """Detections a second of `gr.Image(streaming=True)` with everything default but `stream_every=0.05`."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    env = {**os.environ, "GRADIO_SERVER_PORT": str(port)}
    process = subprocess.Popen([sys.executable, "-c", PLAIN, str(yolo)], env=env, stdout=subprocess.DEVNULL)
    try:
        wait_for(url, 120)
        (page,) = browser_pages(playwright, clip, url, 1)
        page.get_by_text("Click to Access Webcam").click()
        page.get_by_label("capture photo").click()  # gradio's name for Record
        client = Client(url, verbose=False)
        time.sleep(WARM_S)
        before, began = client.predict(api_name="/calls"), time.monotonic()
        time.sleep(seconds)
        after, ended = client.predict(api_name="/calls"), time.monotonic()
        close(page)
        return float((after - before) / (ended - began))
    finally:
        process.terminate()
        process.wait(20)


def close(page: Page) -> None:
    browser = page.context.browser
    if browser is not None:
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--yolo", type=Path, required=True, help="YOLO weights: a .pt file or an OpenVINO folder")
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--visitors", type=int, nargs="+", default=[1, 2, 4, 8])
    args = parser.parse_args()
    os.environ["IMAGE_LAB_YOLO"] = str(args.yolo)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        clip = make_clip(Path(folder) / "street.mjpeg")
        usual = plain(playwright, clip, args.yolo, args.seconds)
        print(f"plain gr.Image streaming: {usual:.1f} detections a second")
        for n in args.visitors:
            with running_app() as url:
                got = ours(playwright, clip, url, n, args.seconds)
            rates = [rate for rate, _, _ in got]
            record("webcam", {
                "visitors": n,
                "rate_all": round(sum(rates), 1),
                "rate_least": round(min(rates), 1),
                "rate_most": round(max(rates), 1),
                "p50_ms": round(statistics.median(p50 for _, p50, _ in got), 1),
                "p95_ms": round(max(p95 for _, _, p95 in got), 1),
                "plain_rate": round(usual, 1),
                "times_plain": round(sum(rates) / usual, 1) if usual else 0,
            })  # fmt: skip


if __name__ == "__main__":
    main()
