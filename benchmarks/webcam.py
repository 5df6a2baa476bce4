"""Live detection in a real Chromium with a fake camera, against gradio's plain streaming pattern,
on the same cores.

    python -m benchmarks.webcam [--yolo PATH] [--seconds 15] [--visitors 1 2 4 8] [--size 640]

The camera shows a clip of 640x480 px at 30 frames a second, made from a picture that ultralytics
brings along; each of its frames is looked at once at most, so 30 detections a second are all there
are. The last row's
camera has 60. All apps run the same network at the same input size. Writes
benchmarks/results/webcam.csv: detections a
second, round trip p50 and p95 (from the capture of a frame to its boxes in the page), for several
visitors the least
and the most that one of them gets, the server's resident memory when the measured seconds begin and
end, and what the
plain pattern gives with all its defaults and with `stream_every=0.05`. `--skip-plain` leaves that
out. `--size` is what
a visitor chooses as input size in the page, whose own choice is 416 px; the plain pattern has the
file's own, 640 px.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from gradio_client import Client
from PIL import Image
from playwright.sync_api import sync_playwright
from websockets.sync.client import connect

from benchmarks.app_process import end, free_port, resident_mb, running_app_process, wait_for
from benchmarks.detectors import default_yolo
from benchmarks.results import record
from tests.chromium import find_chromium

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
]
ANSWER_S = 300  # that a page may take for an answer, beside others
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
            out.write(
                b"FRAME\n" + cv2.cvtColor(np.asarray(frame), cv2.COLOR_RGB2YUV_I420).tobytes()
            )
    return path


class Chromium:
    """A Chromium that goes on by itself: pages are asked one question at a time, and nobody listens
    in between.

    Playwright, attached, hears of every request of every page, which on two cores costs a tenth of
    what is measured.
    """

    def __init__(self, clip: Path, folder: Path):
        flags = [
            *FLAGS,
            f"--use-file-for-fake-video-capture={clip}",
            f"--user-data-dir={folder}",
            "--window-size=900,850",
        ]
        port = free_port()
        self._url = f"http://127.0.0.1:{port}"
        self._process = subprocess.Popen(
            [program(), "--headless", f"--remote-debugging-port={port}", *flags, "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(f"{self._url}/json/version")

    def _told(self, what: str) -> Any:
        with urllib.request.urlopen(f"{self._url}/json/{what}", timeout=ANSWER_S) as answer:
            return json.load(answer)

    def open(self, url: str) -> str:
        """The page's DevTools address, once it has loaded.

        In a window of its own: a tab behind another one is hidden, and a hidden page stops its
        camera. In a profile of its own, as a visitor of its own: one profile has six connections to
        a server at most, and
        gradio holds one of them for each page.
        """
        browser = self._told("version")["webSocketDebuggerUrl"]
        profile = devtools(browser, "Target.createBrowserContext")["browserContextId"]
        target = devtools(
            browser, "Target.createTarget", url=url, newWindow=True, browserContextId=profile
        )["targetId"]
        page = f"{browser[: browser.index('/devtools/')]}/devtools/page/{target}"
        for _ in range(10 * ANSWER_S):
            try:
                if asked(
                    page,
                    "(url) => location.href.startsWith(url) && document.readyState === 'complete'",
                    url,
                ):
                    return page
            except RuntimeError:  # asked on its way from the empty page to ours
                pass
            time.sleep(0.1)
        raise TimeoutError(f"{url} did not load within {ANSWER_S} s")

    def pages(self, url: str) -> list[str]:
        """DevTools addresses of what shows this address."""
        return [
            p["webSocketDebuggerUrl"]
            for p in self._told("list")
            if p["type"] == "page" and p["url"].startswith(url)
        ]

    def __enter__(self) -> "Chromium":
        return self

    def __exit__(self, *error: object) -> None:
        end(self._process)


def program() -> str:
    """Path of the Chromium: the system's, or Playwright's own."""
    found = find_chromium()
    if found is None:
        with sync_playwright() as playwright:
            found = playwright.chromium.executable_path
    return found


def devtools(address: str, method: str, **values: Any) -> Any:
    """The answer to one call of the Chrome DevTools Protocol. Raises TimeoutError; RuntimeError: it
    failed."""
    with connect(address, max_size=None, open_timeout=ANSWER_S) as socket:
        socket.send(json.dumps({"id": 1, "method": method, "params": values}))
        while (answer := json.loads(socket.recv(ANSWER_S))).get("id") != 1:
            pass  # an event
    if "error" in answer or "exceptionDetails" in answer["result"]:
        raise RuntimeError(f"{method}: {json.dumps(answer)[:500]}")
    return answer["result"]


def asked(page: str, function: str, *arguments: Any) -> Any:
    """What a JavaScript function, which may be async, returns in a page."""
    call = f"({function})(...{json.dumps(arguments)})"
    return devtools(
        page, "Runtime.evaluate", expression=call, awaitPromise=True, returnByValue=True
    )["result"].get("value")


READ = """() => {
  const of = [...document.querySelectorAll("#live-detection, #live-detection *")].find((e) => e.dataset.rate);
  return of ? [performance.now(), of.dataset.answers, of.dataset.p50, of.dataset.p95].map(Number) : null;
}"""

UNTIL = """const until = async (find) => {
  for (let found; ; await new Promise((go) => setTimeout(go, 100))) if ((found = find())) return found;
};"""

PREPARE = f"""async (size) => {{
  {UNTIL}
  const meant = (e) => e.innerText.trim() === "Detection" && getComputedStyle(e).visibility === "visible";
  (await until(() => [...document.querySelectorAll("[role=tab]")].find(meant))).click();
  await until(() => document.querySelector("#live-detection .said")?.innerText.includes("Ready"));
  const choice = document.querySelector("#live-detection .size");
  if (size) choice.value = String(size);
  choice.dispatchEvent(new Event("change", {{bubbles: true}}));
  return choice.value;
}}"""

START = """() => [...document.querySelectorAll("#live-detection button")]
  .find((e) => e.innerText.includes("Start camera")).click()"""


def start_cameras(chromium: Chromium, url: str, n: int, size: int | None = None) -> None:
    """n pages whose camera is on; `size`: px that the network sees, None: the page's own choice."""
    pages = [chromium.open(url) for _ in range(n)]
    for page in pages:
        chosen = asked(page, PREPARE, size)
        if size is not None and chosen != str(size):
            raise RuntimeError(f"{size} px were to be chosen; the page has {chosen}")
    for page in pages:
        asked(page, START)
    time.sleep(WARM_S)


def read_cameras(chromium: Chromium, url: str) -> dict[str, list[float]]:
    """What READ tells of each page."""
    return {page: asked(page, READ) for page in chromium.pages(url)}


def ours(
    chromium: Chromium, url: str, pid: int, visitors: int, seconds: float, size: int
) -> tuple[list[tuple[float, float, float]], float, float]:
    """For each visitor (detections a second, round trip p50, p95 in ms) by the page's own clock;
    memory in MB, before and after."""
    start_cameras(chromium, url, visitors, size)
    before = read_cameras(chromium, url)
    memory = resident_mb(pid)
    time.sleep(seconds)
    memory_after = resident_mb(pid)
    after = read_cameras(chromium, url)
    got = [
        (
            1000 * (after[page][1] - answers) / (after[page][0] - began),
            after[page][2],
            after[page][3],
        )
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


RECORD = f"""async () => {{
  {UNTIL}
  const access = () => [...document.querySelectorAll("button")].find((e) => e.innerText.includes("Access Webcam"));
  (await until(access)).click();
  (await until(() => document.querySelector("[aria-label='capture photo']"))).click();  // gradio's name for Record
}}"""


def plain(chromium: Chromium, yolo: Path, seconds: float, *pace: str) -> float:
    """Detections a second of `gr.Image(streaming=True)` with everything default, or but
    `stream_every`."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    env = {**os.environ, "GRADIO_SERVER_PORT": str(port)}
    process = subprocess.Popen(
        [sys.executable, "-c", PLAIN, str(yolo), *pace], env=env, stdout=subprocess.DEVNULL
    )
    try:
        wait_for(url, 120)
        asked(chromium.open(url), RECORD)
        client = Client(url, verbose=False)
        time.sleep(WARM_S)
        before, began = client.predict(api_name="/calls"), time.monotonic()
        time.sleep(seconds)
        after, ended = client.predict(api_name="/calls"), time.monotonic()
        return float((after - before) / (ended - began))
    finally:
        end(process)


def write_row(
    n: int,
    fps: int,
    size: int,
    got: list[tuple[float, float, float]],
    memory: tuple[float, float],
    usual: list[float],
) -> None:
    """One line of webcam.csv; `got`: (rate, p50 in ms, p95 in ms) of each visitor."""
    rates = [rate for rate, _, _ in got]
    record(
        "webcam",
        {
            "visitors": n,
            "camera_fps": fps,
            "size": size,
            "rate_all": round(sum(rates), 1),
            "rate_least": round(min(rates), 1),
            "rate_most": round(max(rates), 1),
            "p50_ms": round(statistics.median(p50 for _, p50, _ in got), 1),
            "p95_ms": round(max(p95 for _, _, p95 in got), 1),
            "plain_rate": round(usual[0], 1) if usual else "",
            "plain_rate_at_0.05": round(usual[1], 1) if usual else "",
            "memory_mb_start": round(memory[0]),
            "memory_mb_end": round(memory[1]),
        },
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--yolo",
        type=Path,
        default=default_yolo(),
        help="YOLO weights: a .pt file or an OpenVINO folder",
    )
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--visitors", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument(
        "--size", type=int, default=640, help="px that the network sees, as chosen in the page"
    )
    parser.add_argument(
        "--skip-plain", action="store_true", help="without the plain pattern, its columns empty"
    )
    args = parser.parse_args()
    if args.yolo is None:
        print("--yolo names no weights, and IMAGE_LAB_YOLO is not set: nothing to measure")
        return
    os.environ["IMAGE_LAB_YOLO"] = str(args.yolo)
    with tempfile.TemporaryDirectory() as folder:
        clips = {
            30: make_clip(Path(folder) / "street.mjpeg"),
            60: make_fast_clip(Path(folder) / "street.y4m", 60),
        }
        usual: list[float] = []
        for pace in () if args.skip_plain else ((), ("0.05",)):
            with Chromium(clips[30], Path(folder) / "-".join(("plain", *pace))) as chromium:
                usual.append(plain(chromium, args.yolo, args.seconds, *pace))
        if usual:
            print(
                f"plain gr.Image streaming: {usual[0]:.1f} detections a second, at "
                f"stream_every=0.05 {usual[1]:.1f}"
            )
        for n, fps in [
            *((n, 30) for n in args.visitors),
            *([(1, 60)] if 1 in args.visitors else []),
        ]:
            data = Path(folder) / f"visitors-{n}-{fps}"
            with running_app_process() as (url, pid), Chromium(clips[fps], data) as chromium:
                got, memory, memory_after = ours(chromium, url, pid, n, args.seconds, args.size)
            write_row(n, fps, args.size, got, (memory, memory_after), usual)


if __name__ == "__main__":
    main()
