"""Many visitors at once: every tab asked by a real client, cameras in a real Chromium, then all
requests at one moment.

    python -m benchmarks.load [--visitors 20] [--cameras 4] [--minutes 5] [--at-once 200]

`--cameras` of the `--visitors` stand before a camera in Chromium; each of the others asks a tab,
looks at the answer for one to five seconds and asks the next. Then `--at-once` requests in the same
moment, all
answered or refused by "Queue is full". Visitors' files are kept for one minute
(IMAGE_LAB_KEEP_MINUTES), so that what
grows can be told from what is kept. Afterwards: how busy the cores are five seconds after the last
visitor left; memory
and cache, two minutes later; and how long a run of 1,000 steps goes on after its page was closed. A
row an endpoint goes
to benchmarks/results/load.csv, the rest to benchmarks/results/load_server.csv.
"""

import argparse
import random
import tempfile
import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from gradio_client import Client
from playwright.sync_api import Browser, sync_playwright

from benchmarks.app_process import resident_mb, running_app_process
from benchmarks.results import record
from benchmarks.startup import FLAGS, calls
from benchmarks.webcam import Chromium, make_clip, read_cameras, start_cameras
from tests.chromium import find_chromium

LOOKS_S = (1.0, 5.0)  # a visitor looks at an answer
KEEP_MINUTES = 1
FULL = "queue is full"
BUSY = "server is busy", "kept the server busy", "computes for other visitors", "other models"


@dataclass
class Outcome:
    """What became of the calls of one endpoint."""

    seconds: list[float] = field(default_factory=list)
    full: int = 0
    busy: int = 0
    failed: list[str] = field(default_factory=list)

    def row(self) -> dict[str, float | int | str]:
        ordered = sorted(self.seconds)
        at = (
            (lambda q: round(ordered[min(len(ordered) - 1, int(q * len(ordered)))], 2))
            if ordered
            else (lambda _: "")
        )
        return {
            "answered": len(ordered),
            "queue_full": self.full,
            "busy": self.busy,
            "failed": len(self.failed),
            "p50_s": at(0.5),
            "p95_s": at(0.95),
            "slowest_s": at(1),
        }


class Tally:
    """Outcomes by endpoint, from many threads."""

    def __init__(self) -> None:
        self.of: defaultdict[str, Outcome] = defaultdict(Outcome)
        self._lock = threading.Lock()

    def call(self, client: Client, endpoint: str, values: tuple[Any, ...]) -> None:
        start = time.monotonic()
        try:
            client.predict(*values, api_name=endpoint)
            error = ""
        except Exception as caught:  # of any kind: it is what is counted
            error = str(caught) or type(caught).__name__
        took = time.monotonic() - start
        with self._lock:
            outcome = self.of[endpoint]
            if not error:
                outcome.seconds.append(took)
            elif FULL in error.lower():
                outcome.full += 1
            elif any(part in error for part in BUSY):
                outcome.busy += 1
            else:
                outcome.failed.append(error)
                print(f"{endpoint} failed: {error[:300]}", flush=True)

    def record(self, phase: str, visitors: int) -> None:
        for endpoint in sorted(self.of):
            record(
                "load",
                {
                    "phase": phase,
                    "visitors": visitors,
                    "endpoint": endpoint,
                    **self.of[endpoint].row(),
                },
            )

    @property
    def failed(self) -> int:
        return sum(len(outcome.failed) for outcome in self.of.values())


def visit(
    client: Client, tally: Tally, asked: list[tuple[str, tuple[Any, ...]]], until: float, seed: int
) -> None:
    """One visitor's time in the app."""
    chance = random.Random(seed)
    while time.monotonic() < until:
        tally.call(client, *chance.choice(asked))
        time.sleep(min(chance.uniform(*LOOKS_S), max(0.0, until - time.monotonic())))


class Watched:
    """The server's process from outside: memory, processor, files."""

    def __init__(self, pid: int, cache: Path):
        self.pid, self.cache, self.process = pid, cache, psutil.Process(pid)
        self.samples: list[float] = []
        self._stop = threading.Event()

    def __enter__(self) -> "Watched":
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(2):
            self.samples.append(resident_mb(self.pid))

    def cache_mb(self) -> float:
        return sum(p.stat().st_size for p in self.cache.rglob("*") if p.is_file()) / 1e6

    def cores(self, seconds: float) -> float:
        """How many cores it keeps busy."""
        return float(self.process.cpu_percent(interval=seconds) / 100)

    def idle_after(self, limit_s: float = 60, quiet: float = 0.15) -> float:
        """Seconds until it keeps less than `quiet` cores busy for a second."""
        start = time.monotonic()
        while time.monotonic() - start < limit_s:
            if self.cores(1) < quiet:
                return time.monotonic() - start - 1
        return limit_s


def under_load(
    url: str,
    asked: list[tuple[str, tuple[Any, ...]]],
    visitors: int,
    cameras: int,
    seconds: float,
    clip: Path,
) -> tuple[Tally, list[float], list[float]]:
    """(outcomes, detections a second of each camera, their p95 in ms)."""
    tally, folder = Tally(), clip.parent / "profile"
    clients = [Client(url, verbose=False) for _ in range(visitors - cameras)]
    with Chromium(clip, folder) as chromium:
        start_cameras(chromium, url, cameras)
        before, until = read_cameras(chromium, url), time.monotonic() + seconds
        with ThreadPoolExecutor(len(clients)) as pool:
            for k, client in enumerate(clients):
                pool.submit(visit, client, tally, asked, until, k)
        after = read_cameras(chromium, url)
    for client in clients:
        client.close()
    rates = [
        1000 * (after[page][1] - answers) / (after[page][0] - began)
        for page, (began, answers, *_) in before.items()
    ]
    return tally, rates, [p95 for *_, p95 in after.values()]


def all_at_once(url: str, asked: list[tuple[str, tuple[Any, ...]]], n: int) -> tuple[Tally, float]:
    """(outcomes of n requests sent in the same moment, seconds until the last was answered)."""
    tally, ready = Tally(), threading.Barrier(n + 1)
    clients = [Client(url, verbose=False) for _ in range(10)]

    def one(k: int) -> None:
        ready.wait()
        tally.call(clients[k % len(clients)], *asked[k % len(asked)])

    threads = [threading.Thread(target=one, args=(k,)) for k in range(n)]
    for thread in threads:
        thread.start()
    ready.wait()
    start = time.monotonic()
    for thread in threads:
        thread.join()
    for client in clients:
        client.close()
    return tally, time.monotonic() - start


def walked_out(browser: Browser, url: str, watched: Watched) -> float:
    """Seconds that a diffusion run of 1,000 steps goes on after its page was closed."""
    page = browser.new_page()
    page.goto(url)
    page.get_by_role("tab", name="Diffusion").click()
    page.locator("#diffusion-steps input").click()
    page.get_by_role("option", name="1000", exact=True).click()
    page.locator("#diffusion-go").click()
    page.locator("#diffusion-player .step-player.filled").wait_for(timeout=60_000)
    page.wait_for_timeout(2000)
    if watched.cores(1) < 0.5:
        raise RuntimeError("the run does not compute")
    page.close()
    return watched.idle_after()


def measure(args: argparse.Namespace, folder: Path) -> dict[str, float | int | str]:
    cache = folder / "gradio"
    asked, clip = list(calls(folder).values()), make_clip(folder / "street.mjpeg")
    variables = {"GRADIO_TEMP_DIR": str(cache), "IMAGE_LAB_KEEP_MINUTES": str(KEEP_MINUTES)}
    with running_app_process(**variables) as (url, pid), Watched(pid, cache) as watched:
        first, client = Tally(), Client(url, verbose=False)
        for endpoint, values in asked * 2:
            first.call(client, endpoint, values)  # every model is loaded, every buffer has its size
        client.close()
        warm_mb = resident_mb(pid)
        tally, rates, p95 = under_load(
            url, asked, args.visitors, args.cameras, 60 * args.minutes, clip
        )
        time.sleep(5)
        left_cores, loaded = watched.cores(3), list(watched.samples)
        tally.record("mixed", args.visitors)
        crowd, took = all_at_once(url, asked, args.at_once)
        crowd.record("at once", args.at_once)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
            stops = walked_out(browser, url, watched)
            browser.close()
        cache_mb = watched.cache_mb()
        time.sleep(60 * (KEEP_MINUTES + 1) + 10)
        half = loaded[len(loaded) // 2 :]
        return {
            "visitors": args.visitors,
            "cameras": args.cameras,
            "minutes": args.minutes,
            "failed": tally.failed + crowd.failed,
            "camera_rate_least": round(min(rates), 1) if rates else "",
            "camera_rate_most": round(max(rates), 1) if rates else "",
            "camera_p95_ms": round(max(p95)) if p95 else "",
            "cores_5_s_after": round(left_cores, 2),
            "warm_mb": round(warm_mb),
            "half_time_mb": round(half[0]),
            "end_mb": round(half[-1]),
            "peak_mb": round(max(watched.samples)),
            "last_mb": round(resident_mb(pid)),
            "cache_peak_mb": round(cache_mb, 1),
            "cache_last_mb": round(watched.cache_mb(), 1),
            "at_once": args.at_once,
            "at_once_s": round(took, 1),
            "walked_out_s": round(stops, 1),
        }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--visitors", type=int, default=20, help="cameras included")
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--at-once", type=int, default=200)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        record("load_server", measure(args, Path(folder)))


if __name__ == "__main__":
    main()
