"""Detection in the visitor's own browser, in a real Chromium with a fake camera on the same cores.

    python -m benchmarks.on_device [--seconds 15] [--visitors 1 2] [--size 320]

The runtime for browsers must be here or reachable (IMAGE_LAB_RUNTIME names a folder with it). For
so many visitors whose browsers compute the bundled detector by WebAssembly: detections a second of
the one with the fewest and with the most, round trip, and the processor seconds that the server
used meanwhile. Before that, the same camera computed by the server. Writes
benchmarks/results/on_device.csv.
"""

import argparse
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.app_process import running_app_process
from benchmarks.results import record
from benchmarks.webcam import (
    PREPARE,
    START,
    UNTIL,
    WARM_S,
    Chromium,
    asked,
    make_clip,
    read_cameras,
)

CHOOSE = """(where) => {
  const choice = document.querySelector("#live-detection .where");
  choice.value = where;
  choice.dispatchEvent(new Event("change", {bubbles: true}));
}"""
WAIT = f"""async () => {{
  {UNTIL}
  const said = document.querySelector("#live-detection .where-said");
  await until(() => said.innerText.includes("Computed"));
}}"""
"""Until the browser computes."""


def processor_s(pid: int) -> float:
    """Processor seconds of a process so far."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def measure(url: str, pid: int, where: str, visitors: int, seconds: float, size: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        clip = make_clip(Path(folder) / "street.mjpeg")
        with Chromium(clip, Path(folder) / "profile") as chromium:
            pages = [chromium.open(url) for _ in range(visitors)]
            for page in pages:
                asked(page, PREPARE, size)
                asked(page, CHOOSE, where)
                asked(page, START)
                if where == "device":
                    asked(page, WAIT)
            time.sleep(WARM_S)
            before, used = read_cameras(chromium, url), processor_s(pid)
            time.sleep(seconds)
            used, after = processor_s(pid) - used, read_cameras(chromium, url)
    rates = [1000 * (after[p][1] - n) / (after[p][0] - at) for p, (at, n, _, _) in before.items()]
    record(
        "on_device",
        {
            "where": where,
            "visitors": visitors,
            "size": size,
            "rate_least": round(min(rates), 1),
            "rate_most": round(max(rates), 1),
            "p50_ms": round(max(after[p][2] for p in before), 1),
            "p95_ms": round(max(after[p][3] for p in before), 1),
            "seconds": seconds,
            "server_processor_s": round(used, 2),
        },
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--visitors", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--size", type=int, default=320, help="px that the network sees")
    args = parser.parse_args()
    for where in ("server", "device"):
        for n in args.visitors:
            with running_app_process() as (url, pid):
                measure(url, pid, where, n, args.seconds, args.size)


if __name__ == "__main__":
    main()
