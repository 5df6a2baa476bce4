"""From the pointer to the GAN's digit: the real app in a real Chromium, a mouse on the plane, the
page's own clock.

    python -m benchmarks.steer [--moves 600]

Time runs from the first pointer event that no digit has answered yet to the frame in which one that
does is painted. Writes benchmarks/results/steer.csv.
"""

import argparse
import math

from playwright.sync_api import sync_playwright

from benchmarks.app_process import running_app
from benchmarks.results import record
from tests.chromium import find_chromium

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
APART_MS = 16  # as a mouse reports where it is
# a server just started goes on importing what other tabs need: p95 is then 100 ms and more
WARM_UP_MS = 12_000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--moves", type=int, default=600, help="pointer events")
    args = parser.parse_args()
    with running_app() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(url)
        page.locator("#header .chip.ready").wait_for(timeout=60_000)
        page.get_by_role("tab", name="GAN").click()
        page.get_by_role("tab", name="Steer").click()
        plane = page.locator("#gan-steer .plane[data-device]")
        plane.wait_for(timeout=60_000)  # the first digit and the map are there
        page.wait_for_timeout(WARM_UP_MS)
        box = plane.bounding_box()
        if box is None:
            raise RuntimeError("the plane is not in the page")
        for k in range(args.moves):  # a slow walk over all of it, stopping now and then
            x, y = 0.5 + 0.45 * math.sin(k / 19), 0.5 + 0.45 * math.cos(k / 31)
            page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
            page.wait_for_timeout(APART_MS if k % 60 else 300)
        page.wait_for_timeout(500)
        p50, p95, network, n = (
            float(plane.get_attribute(f"data-{k}") or 0) for k in ("p50", "p95", "network", "n")
        )
        browser.close()
    record(
        "steer",
        {
            "moves": args.moves,
            "digits": int(n),
            "p50_ms": p50,
            "p95_ms": p95,
            "network_ms": network,
        },
    )


if __name__ == "__main__":
    main()
