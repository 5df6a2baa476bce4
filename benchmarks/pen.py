"""From the stroke to the bars: the real app in a real Chromium, a mouse that draws, the page's own
clock.

    python -m benchmarks.pen [--digits 40]

Time runs from the pointer event that changed the drawing to the frame in which the bars that answer
it are painted. Writes benchmarks/results/pen.csv.
"""

import argparse
import random

from playwright.sync_api import sync_playwright

from benchmarks.app_process import running_app
from benchmarks.results import record
from tests.chromium import find_chromium

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PATHS = {
    "1": [(0.5, 0.12), (0.5, 0.5), (0.5, 0.88)],
    "7": [(0.25, 0.2), (0.75, 0.18), (0.55, 0.6), (0.46, 0.85)],
    "2": [
        (0.28, 0.3),
        (0.4, 0.14),
        (0.65, 0.2),
        (0.66, 0.4),
        (0.4, 0.7),
        (0.25, 0.86),
        (0.78, 0.86),
    ],
    "0": [
        (0.5, 0.12),
        (0.26, 0.3),
        (0.26, 0.7),
        (0.5, 0.88),
        (0.74, 0.7),
        (0.74, 0.3),
        (0.5, 0.12),
    ],
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--digits", type=int, default=40, help="digits drawn by the mouse")
    args = parser.parse_args()
    with running_app() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(url)
        page.locator("#header .chip.ready").wait_for(timeout=60_000)
        page.get_by_role("tab", name="Classification").click()
        box = page.locator(".reader .ink").bounding_box()
        if box is None:
            raise RuntimeError("the drawing pad is not in the page")
        draw = random.Random(0)
        right = 0
        for _ in range(args.digits):
            digit = draw.choice(list(PATHS))
            first, *rest = [
                (box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in PATHS[digit]
            ]
            page.mouse.move(*first)
            page.mouse.down()
            for point in rest:
                page.mouse.move(*point, steps=8)
                page.wait_for_timeout(25)
            page.mouse.up()
            page.wait_for_timeout(500)
            right += page.locator(".frame").get_attribute("data-answer") == digit
            page.get_by_role("button", name="Clear").click()
        frame = page.locator(".frame")
        p50, p95, n = (float(frame.get_attribute(f"data-{k}") or 0) for k in ("p50", "p95", "n"))
        browser.close()
    record(
        "pen",
        {
            "digits": args.digits,
            "answers": int(n),
            "read_right": right,
            "p50_ms": p50,
            "p95_ms": p95,
        },
    )


if __name__ == "__main__":
    main()
