"""From `python app.py` to the page, to each tab's first answer, and the memory that all of them
take.

    python -m benchmarks.startup [--runs 3]

page_s: until / answers with status 200. interactive_s: until a click on a tab opens it, in a
Chromium that asks for the page as soon as the server answers. digit_s: until a first call of
/classify_digit, sent as soon as
the page is there, has its answer. Then, once the app says "models ready", each tab for the first
time, one after the
other, milliseconds from the call to the answer. Memory is the process's resident set: idle once the
models are ready,
twelve seconds after every tab was used once, and its peak. Medians of all runs; wanted: interactive
in 4 s, 1,500 MB.
Writes benchmarks/results/startup.csv.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from gradio_client import Client, handle_file
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Page, sync_playwright
from ultralytics.utils import ASSETS

from benchmarks.app_process import peak_mb, resident_mb, starting_app, wait_for
from benchmarks.results import record
from tests.chromium import find_chromium

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
WANTED_S, WANTED_MB = 4.0, 1500


def draw_seven(path: Path) -> Path:
    image = Image.new("L", (280, 280), "white")
    ImageDraw.Draw(image).line(
        [(80, 70), (200, 70), (120, 220)], fill="black", width=20, joint="curve"
    )
    image.save(path)
    return path


def calls(folder: Path) -> dict[str, tuple[str, tuple[Any, ...]]]:
    """Each tab's way to be asked from a program: tab -> (endpoint, arguments)."""
    seven, street = (
        handle_file(str(draw_seven(folder / "seven.png"))),
        handle_file(str(ASSETS / "bus.jpg")),
    )
    return {
        "digit": ("/classify_digit", (seven,)),
        "photo": ("/classify_photo", (street,)),
        "detection": ("/detect_objects", (street, "digits", 0.4, 0.7, 320)),
        "segmentation": ("/segment_scene", (street,)),
        "denoising": ("/denoise_photo", (street, 25)),
        "gan": ("/generate_by_gan", ()),
        "diffusion": ("/generate_by_diffusion", ()),
    }


def opened(browser: Browser, url: str) -> Page:
    """The page, as soon as the server answers, once a tab of it has opened by a click."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    wait_for(url)
    page.goto(url)
    page.get_by_role("tab", name="Classification").click()
    page.locator("#digit-pad").wait_for()
    return page


def compare(page: Page) -> None:
    """The tab that no endpoint has: GAN, VAE and diffusion side by side."""
    page.get_by_role("tab", name="Compare").click()
    page.locator("#compare-go").click()
    page.locator("#compare-player table.lab-table").first.wait_for(timeout=60_000)


def measure(browser: Browser, folder: Path) -> dict[str, float]:
    """One start: seconds, milliseconds and megabytes by their column's name."""
    asked, found = calls(folder), {}
    with starting_app() as (url, pid, began):
        page = opened(browser, url)
        found["interactive_s"] = time.monotonic() - began
        client = Client(url, verbose=False)
        page.locator("#header .chip.ready").wait_for(timeout=60_000)
        found["ready_s"] = time.monotonic() - began
        found["idle_mb"] = resident_mb(pid)
        for name, (endpoint, values) in asked.items():
            start = time.monotonic()
            client.predict(*values, api_name=endpoint)
            found[f"{name}_ms"] = 1000 * (time.monotonic() - start)
        start = time.monotonic()
        compare(page)
        found["compare_ms"] = 1000 * (time.monotonic() - start)
        time.sleep(12)
        found["used_mb"], found["peak_mb"] = resident_mb(pid), peak_mb(pid)
        page.close()
        client.close()
    return found


def first_digit(folder: Path) -> dict[str, float]:
    """Another start, without a browser: seconds to the page, and to the first digit that is
    read."""
    endpoint, values = calls(folder)["digit"]
    with starting_app() as (url, _, began):
        wait_for(url)
        page = time.monotonic() - began
        Client(url, verbose=False).predict(*values, api_name=endpoint)
        return {"page_s": page, "digit_s": time.monotonic() - began}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    runs = []
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        for k in range(args.runs):
            runs.append({**first_digit(folder), **measure(browser, folder)})
            print(k + 1, {key: round(value, 2) for key, value in runs[-1].items()}, flush=True)
        browser.close()
    row: dict[str, float | int | str] = {"runs": args.runs}
    for key in runs[0]:
        value = statistics.median(run[key] for run in runs)
        row[key] = round(value, 2) if key.endswith("_s") else round(value)
    record("startup", row)
    for key, wanted in (("interactive_s", WANTED_S), ("used_mb", WANTED_MB)):
        print(
            f"wanted: {key} at most {wanted:g}: {'met' if float(row[key]) <= wanted else 'missed'}"
        )


if __name__ == "__main__":
    main()
