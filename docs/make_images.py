"""The images and animations of README and of the pages in this folder, taken from the app itself.

    python -m docs.make_images                  all, in some minutes; writes docs/images/*.webp
    python -m docs.make_images gan webcam       some, by the names of SCENES

The app is started as a user starts it and driven in Chromium (`python -m tests.chromium` finds or
installs it). The content is generated here or comes with gradio and Ultralytics: digits of the GAN,
their sample photos. The camera is Chromium's fake one, which plays a clip of
`tasks.detection.sample_scenes`.
"""

import argparse
import io
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from benchmarks.app_process import running_app
from docs.screencast import Screencast, save_animation
from tasks.core.weights import ROOT
from tests.chromium import find_chromium

IMAGES = ROOT / "docs" / "images"
WIDTH, HEIGHT = 1200, 1000  # px of the window
MARGIN = 16  # px around what is cut out
QUALITY = 88  # of a still, WebP
DONE = 240_000  # ms: cores that others use, too
CAMERA_FRAMES = 750  # of the clip, played at 30 a second
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--force-color-profile=srgb",
]
SEED = 7  # of the digits on the camera's sheet


# -- stills ----------------------------------------------------------------------------------------


def still(page: Page, name: str, first: str, last: str) -> None:
    """Write an image of the page from the top of one element to the bottom of another, as wide as
    the content."""
    top, _ = reach(page, first)
    _, bottom = reach(page, last)
    left, right = sides(page)
    clip = {
        "x": left,
        "y": top - MARGIN,
        "width": right - left,
        "height": bottom - top + 2 * MARGIN,
    }
    page.mouse.move(2, 2)  # no tooltip, no hovered button
    page.evaluate("document.activeElement && document.activeElement.blur()")
    shot = page.screenshot(full_page=True, clip=clip, animations="disabled")  # type: ignore[arg-type]
    path = IMAGES / f"{name}.webp"
    Image.open(io.BytesIO(shot)).convert("RGB").save(path, "WEBP", quality=QUALITY, method=6)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB")


def reach(page: Page, selector: str) -> tuple[float, float]:
    """(top, bottom) of the first such element that is visible, in px of the whole page."""
    box = page.locator(selector).locator("visible=true").first.bounding_box()
    assert box is not None, selector
    y = box["y"] + float(page.evaluate("window.scrollY"))
    return y, y + box["height"]


def sides(page: Page) -> tuple[float, float]:
    """(left, right) of the tabs' content."""
    box = page.locator("#tabs").bounding_box()
    assert box is not None
    return max(0.0, box["x"] - MARGIN), min(float(WIDTH), box["x"] + box["width"] + MARGIN)


def choose(page: Page, *names: str) -> None:
    """A tab, and one in it."""
    for name in names:
        page.get_by_role("tab", name=name, exact=True).locator("visible=true").first.click()


def digits(page: Page) -> None:
    choose(page, "Classification", "Digits")
    page.locator(".reader .keys button", has_text="4").click()
    expect(page.locator(".reader .best")).to_have_text("4", timeout=DONE)
    page.wait_for_timeout(3000)  # the pen rests, and the network's inside comes
    expect(page.locator(".reader .frame").first).to_have_attribute("data-inside", "3", timeout=DONE)
    still(page, "classification", ".reader", ".reader .inside")


def segmentation(page: Page) -> None:
    choose(page, "Segmentation", "Picture")
    page.locator(".gallery-item:visible").first.click()
    page.locator("#segment-view .stage.filled").wait_for(timeout=DONE)
    page.wait_for_timeout(500)
    still(page, "segmentation", "#segment-picture", "#segment-view")


def denoising(page: Page) -> None:
    choose(page, "Denoising", "Your photo")
    page.wait_for_timeout(1000)
    page.locator(".gallery-item:visible").nth(3).click()
    expect(page.locator("#denoise-said")).to_contain_text("grey levels taken out", timeout=DONE)
    expect(page.locator("#denoise-slider img")).to_have_count(2)
    page.wait_for_timeout(1000)
    still(page, "denoising", "#denoise-slider", "#denoise-removed")


def gan(page: Page) -> None:
    choose(page, "GAN", "Generate and interpolate")
    page.locator("#gan-go").click()
    made = page.locator("#gan-grid .digit")
    expect(made).to_have_count(50, timeout=DONE)
    made.nth(3).click()
    made.nth(18).click()
    expect(page.locator("#gan-player .title")).to_contain_text("49 of 49", timeout=DONE)
    page.locator("#gan-player .scrub").fill("24")
    page.wait_for_timeout(500)
    still(page, "gan", "#gan-class", "#gan-player")


def diffusion(page: Page) -> None:
    generate(page, 10)
    page.locator("#diffusion-player .save").wait_for(timeout=DONE)
    page.locator("#diffusion-player .scrub").fill("4")
    page.wait_for_timeout(500)
    still(page, "diffusion", "#diffusion-player", "#diffusion-player")


def compare(page: Page) -> None:
    choose(page, "Compare")
    page.locator("#compare-go").click()
    page.locator("#compare-player .save").wait_for(timeout=DONE)
    page.wait_for_timeout(500)
    still(page, "compare", "#compare-player", ".lab-scroll:has(.lab-table.compare) + p")


def generate(page: Page, steps: int) -> None:
    """Press Generate in the diffusion tab."""
    choose(page, "Diffusion", "Generate")
    page.locator("#diffusion-steps input").click()
    page.get_by_role("option", name=str(steps), exact=True).click()
    page.locator("#diffusion-go").click()


# -- animations ------------------------------------------------------------------------------------


def webcam(page: Page) -> None:
    """The image `detection` and the animation `webcam`."""
    choose(page, "Detection", "Camera")
    expect(page.locator(".live .said")).to_contain_text("Ready", timeout=DONE)
    page.get_by_label("Mirrored view").uncheck()
    page.get_by_role("button", name="Start camera").click()
    expect(page.locator(".live .said")).to_contain_text("found", timeout=DONE)
    page.wait_for_timeout(8000)  # the first frames compile and fill the queues
    still(page, "detection", ".live", ".live")
    page.set_viewport_size({"width": WIDTH, "height": 780})  # no more to draw than what is recorded
    with Screencast(page, ".live", ".live .readout", every=4) as cast:
        page.wait_for_timeout(9000)
    save_animation(cast.frames, IMAGES / "webcam.webp", width=800, fps=8, quality=62)
    page.locator(".live .stop").click()


def steps(page: Page) -> None:
    """The animation `steps`: digits appear from noise, then the slider goes back and forth."""
    choose(page, "Diffusion", "Generate")
    generate(page, 25)
    page.locator("#diffusion-player .hint").wait_for(state="hidden", timeout=DONE)
    with Screencast(page, "#diffusion-player .step-player") as cast:
        page.locator("#diffusion-player .save").wait_for(timeout=DONE)
        page.wait_for_timeout(1500)
        for at in (*range(22, 2, -2), *range(4, 25, 2)):
            page.locator("#diffusion-player .scrub").fill(str(at))
            page.wait_for_timeout(200)
        page.wait_for_timeout(1500)
    save_animation(cast.frames, IMAGES / "steps.webp", width=640, fps=5, quality=55)


def camera_clip(folder: Path) -> Path:
    """Motion JPEG for Chromium's fake camera: the view wanders over a sheet of digits that the GAN
    made."""
    from tasks.detection.sample_scenes import DIGITS, digit_sheet, moving_view
    from tasks.gan.generator import GanGenerator

    sheet = digit_sheet(GanGenerator.load().generate(DIGITS, SEED), SEED)
    with (folder / "sheet.mjpeg").open("wb") as out:
        for frame in moving_view(sheet, CAMERA_FRAMES):
            Image.fromarray(frame).save(out, "JPEG", quality=92)
    return folder / "sheet.mjpeg"


# -- all of them -----------------------------------------------------------------------------------

SCENES: dict[str, Callable[[Page], None]] = {
    "digits": digits,
    "webcam": webcam,
    "segmentation": segmentation,
    "denoising": denoising,
    "gan": gan,
    "diffusion": diffusion,
    "steps": steps,
    "compare": compare,
}


@contextmanager
def opened(clip: Path) -> Iterator[Callable[[], Page]]:
    """A function that opens the app anew, its models ready, in a Chromium whose camera shows
    `clip`."""
    os.environ.pop("IMAGE_LAB_YOLO", None)  # the bundled detector stands first
    with running_app() as url, sync_playwright() as playwright:
        flags = [*FLAGS, f"--use-file-for-fake-video-capture={clip}"]
        chromium = playwright.chromium.launch(executable_path=find_chromium(), args=flags)

        def page() -> Page:
            context = chromium.new_context(
                viewport={"width": WIDTH, "height": HEIGHT}, permissions=["camera"]
            )
            tab = context.new_page()
            tab.set_default_timeout(DONE)
            tab.goto(f"{url}?__theme=light")
            tab.locator(".chip.ready").wait_for()
            return tab

        yield page
        chromium.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SCENES))
    names = parser.parse_args().names or list(SCENES)
    if unknown := set(names) - set(SCENES):
        parser.error(f"there is no {', '.join(sorted(unknown))}; known are {', '.join(SCENES)}")
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, opened(camera_clip(Path(folder))) as new_page:
        for name in names:
            began = time.monotonic()
            page = new_page()
            SCENES[name](page)
            page.context.close()
            print(f"{name}: {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
