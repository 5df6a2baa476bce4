"""The detection tab in a real Chromium: the camera is released, settings act, pictures and videos
come back."""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from benchmarks.webcam import make_clip
from tests.browser.conftest import FLAGS
from tests.chromium import find_chromium
from tests.conftest import app_with


def own_yolo(yolo: Path, folder: Path) -> AbstractContextManager[str]:
    """The app of somebody who brings their own YOLO: it stands first in the list."""
    return app_with(folder, IMAGE_LAB_CACHE=str(folder / "cache"), IMAGE_LAB_YOLO=str(yolo))


@pytest.fixture(scope="module")
def coco_app(coco_yolo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with own_yolo(coco_yolo, tmp_path_factory.mktemp("own")) as url:
        yield url


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip for the fake camera: the view wanders over a picture that ultralytics brings along."""
    return make_clip(tmp_path_factory.mktemp("clip") / "street.mjpeg")


@pytest.fixture(scope="module")
def chromium(browser: Browser, street: Path) -> Iterator[Browser]:
    """A Chromium whose fake camera shows the clip."""
    flags = [*FLAGS, f"--use-file-for-fake-video-capture={street}"]
    second = browser.browser_type.launch(executable_path=find_chromium(), args=flags)
    yield second
    second.close()


@pytest.fixture
def tab(chromium: Browser, coco_app: str) -> Iterator[Page]:
    """The detection tab, its network loaded."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(coco_app)
    page.get_by_role("tab", name="Detection").click()
    expect(page.locator(".live .said")).to_have_text("Ready. Start the camera.", timeout=60_000)
    yield page
    context.close()


def looked_at(page: Page, more: int) -> None:
    """Wait until the server has answered for `more` further frames; the page says how many every
    half second."""
    page.wait_for_timeout(600)
    answers = "Math.max(0, ...[...document.querySelectorAll('#live-detection *')].map((e) => +e.dataset.answers || 0))"
    so_far = page.evaluate(answers)
    page.wait_for_function(f"() => {answers} >= {so_far + more}")


def start(page: Page) -> None:
    page.get_by_role("button", name="Start camera").click()
    expect(page.locator(".live .said")).to_contain_text("found")


def released(page: Page) -> bool:
    """Whether every track of the camera has ended."""
    return bool(page.evaluate("window.cameraTracks.every((track) => track.readyState === 'ended')"))


def keep_tracks(page: Page) -> None:
    """Remember the camera's tracks, so that their end can be seen after the page has let go of
    them."""
    page.evaluate(
        "window.cameraTracks = document.querySelector('.live video').srcObject.getTracks()"
    )
    assert not released(page)


LEAVING = {
    "Stop": "document.querySelector('.live .stop').click();",
    "leaving the tab": "[...document.querySelectorAll('#tabs [role=tab]')].find((tab) => tab.innerText === 'About')"
    ".click();",
    # headless pages are always visible: say what the browser would say
    "hiding the page": "Object.defineProperty(document, 'hidden', {get: () => true, configurable: true});"
    "document.dispatchEvent(new Event('visibilitychange'));",
    "closing the page": "window.dispatchEvent(new PageTransitionEvent('pagehide'));",
}


def leave(page: Page, way: str) -> float:
    """Leave in one of these ways: the milliseconds until the camera is released, by the page's own
    clock."""
    return float(
        page.evaluate(
            "new Promise((done) => { const left = "
            "performance.now();" + LEAVING[way] + "(function look() {"
            "if (window.cameraTracks.every((track) => track.readyState === 'ended')) "
            "done(performance.now() - left);"
            "else setTimeout(look, 5); })(); })"
        )
    )


def test_boxes_over_the_live_camera(tab: Page) -> None:
    start(tab)
    tab.wait_for_function("document.querySelectorAll('.live .counts tbody tr').length >= 2")
    counted = tab.locator(".live .counts tbody").inner_text()
    assert "person" in counted and "bus" in counted
    tab.wait_for_timeout(2500)
    expect(tab.locator(".live .rate")).to_contain_text("/ s")
    drawn = tab.evaluate(
        "(() => { const c = document.querySelector('.live .over'); const d = c.getContext('2d')"
        ".getImageData(0, 0, c.width, c.height).data; let n = 0; for (let i = 3; i < d.length; i "
        "+= 4) n += d[i] > 0;"
        " return n; })()"
    )
    assert drawn > 1000
    keep_tracks(tab)
    assert leave(tab, "Stop") < 1000
    expect(tab.locator(".live .said")).to_have_text("Camera off.")


def test_settings_act_without_a_restart(tab: Page) -> None:
    start(tab)
    expect(tab.locator(".live .counts tbody")).to_contain_text("bus")
    tab.locator(".live .filter summary").click()
    tab.locator(".live .none").click()
    tab.get_by_label("person", exact=True).check()
    tab.wait_for_function(
        "[...document.querySelectorAll('.live .counts tbody tr')].some((r) => "
        "r.innerText.startsWith('bus') && r.children[1].textContent === '0')"
    )
    tab.locator(".live .all").click()
    tab.locator(".live .confidence").fill("0.95")
    expect(tab.locator(".live .said")).to_have_text("Nothing found in this frame.")
    assert tab.evaluate("document.querySelector('.live video').srcObject.active")


@pytest.mark.parametrize("way", [way for way in LEAVING if way != "Stop"])
def test_the_camera_is_released(tab: Page, way: str) -> None:
    start(tab)
    keep_tracks(tab)
    assert leave(tab, way) < 1000


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("NotAllowedError", "refused"),
        ("NotFoundError", "No camera"),
        ("NotReadableError", "Another program"),
    ],
)
def test_no_camera_gets_its_own_sentence(tab: Page, error: str, said: str) -> None:
    tab.evaluate(
        f"() => {{ navigator.mediaDevices.getUserMedia = async () => {{ throw new DOMException('no', '{error}'); }}; }}"
    )
    tab.get_by_role("button", name="Start camera").click()
    expect(tab.locator(".live .said")).to_contain_text(said)
    expect(tab.get_by_role("button", name="Start camera")).to_be_enabled()


def test_plain_http_gets_its_own_sentence(tab: Page) -> None:
    tab.evaluate(
        "Object.defineProperty(navigator, 'mediaDevices', {value: undefined, configurable: true})"
    )
    tab.get_by_role("button", name="Start camera").click()
    expect(tab.locator(".live .said")).to_contain_text("plain http")


def test_people_can_be_hidden_and_the_snapshot_taken(tab: Page, tmp_path: Path) -> None:
    start(tab)
    expect(tab.locator(".live .counts tbody")).to_contain_text("person")
    with tab.expect_download() as plain:
        tab.get_by_role("button", name="Snapshot (PNG)").click()
    tab.get_by_label("Hide people").check()
    looked_at(tab, more=3)  # two may have been asked for before
    with tab.expect_download() as hidden:
        tab.get_by_role("button", name="Snapshot (PNG)").click()
    detail = []
    for name, got in (("plain", plain), ("hidden", hidden)):
        got.value.save_as(tmp_path / f"{name}.png")
        grey = np.asarray(Image.open(tmp_path / f"{name}.png").convert("L"), np.float32)
        assert grey.shape == (480, 640)
        detail.append(
            np.abs(np.diff(grey[280:470, 40:270], axis=1)).mean()
        )  # where two people stand in every frame
    assert detail[1] < 0.6 * detail[0]  # a mosaic has few edges
    with tab.expect_download() as counts:
        tab.get_by_role("button", name="Counts (CSV)").click()
    counts.value.save_as(tmp_path / "counts.csv")
    assert re.match(
        r'class,now,tracks\r\n"person",\d+,\d+', (tmp_path / "counts.csv").read_bytes().decode()
    )


def test_a_picture_and_a_video_come_back(tab: Page, street: Path, tmp_path: Path) -> None:
    from tasks.core.video.reader import VideoWriter

    tab.get_by_role("tab", name="Images").click()
    tab.locator("#detect-picture input[type=file]").first.set_input_files(
        {"name": "text.png", "mimeType": "image/png", "buffer": b"no picture"}
    )
    expect(tab.locator("#detect-picture-trouble")).to_contain_text(
        "not an image that can be read here"
    )
    photo = tmp_path / "street.png"
    Image.fromarray(np.full((50, 60, 3), 90, np.uint8)).save(photo)
    tab.locator("#detect-picture input[type=file]").first.set_input_files(photo)
    expect(tab.locator("#detect-said")).to_contain_text("Nothing found")
    expect(tab.locator("#detect-picture-trouble")).to_be_hidden()

    with VideoWriter(tmp_path / "clip", 160, 120, 10) as out:
        for n in range(10):
            out.write(np.full((120, 160, 3), 20 * n, np.uint8))
    tab.get_by_role("tab", name="Video files").click()
    tab.locator("#detect-video input[type=file]").first.set_input_files(out.path)
    expect(tab.locator("#detect-video video")).to_be_attached()
    tab.get_by_role("button", name="Find objects").click()
    expect(tab.locator("#detect-video-said")).to_contain_text("10 frames in")
    tab.wait_for_function("document.querySelector('#detect-video-boxes video')?.readyState >= 1")
    assert tab.evaluate("document.querySelector('#detect-video-boxes video').error") is None
    assert tab.evaluate(
        "document.querySelector('#detect-video-boxes video').duration"
    ) == pytest.approx(1, abs=0.15)


def test_several_pictures_and_side_by_side(tab: Page, tmp_path: Path) -> None:
    """A gallery that shows all of them, one of which is no picture; and what cannot be downloaded
    has its sentence."""
    from ultralytics.utils import ASSETS

    tab.get_by_role("tab", name="Images").click()
    tab.get_by_text("Several images at once").click()
    (tmp_path / "text.png").write_text("no picture")
    good = [ASSETS / "bus.jpg", ASSETS / "zidane.jpg"]
    tab.locator("#detect-files input[type=file]").set_input_files([*good, tmp_path / "text.png"])
    expect(tab.locator("#detect-lines li")).to_have_count(3, timeout=90_000)
    expect(tab.locator("#detect-lines")).to_contain_text("text.png: The file is not an image")
    shown = tab.locator("#detect-gallery .thumbnail-item img")
    expect(shown).to_have_count(2)
    for n in range(2):  # whole, not below the fold of a box that scrolls
        expect(shown.nth(n)).to_be_visible()
    assert tab.locator("#detect-gallery .grid-wrap").evaluate(
        "(box) => box.scrollHeight <= box.clientHeight + 1"
    )

    tab.get_by_role("tab", name="Side by side").click()
    tab.locator("#compare-picture input[type=file]").set_input_files(good[0])
    expect(tab.locator("#compare-picture img")).to_be_visible()
    tab.get_by_label("Handwritten digits").last.check()
    tab.get_by_role("button", name="Compare", exact=True).click()
    expect(tab.locator("#compare-table tbody tr")).to_have_count(2, timeout=90_000)
    expect(tab.locator("#compare-table")).to_contain_text("4 person, 1 bus", timeout=90_000)
    expect(tab.locator("#compare-gallery .thumbnail-item img")).to_have_count(2, timeout=90_000)


def test_digits_to_try_at_one_click(tab: Page) -> None:
    tab.get_by_role("tab", name="Images").click()
    tab.locator("#detect-sheet").click()
    expect(tab.locator("#detect-said")).to_contain_text(re.compile(r"1\d found"), timeout=90_000)
    tab.get_by_role("tab", name="Video files").click()
    tab.locator("#detect-clip-digits").click()
    expect(tab.locator("#detect-video video")).to_be_attached(timeout=90_000)
    tab.get_by_role("button", name="Find objects").click()
    expect(tab.locator("#detect-video-said progress")).to_be_attached()
    tab.get_by_role("button", name="Stop, keep what is done").click()
    expect(tab.locator("#detect-video-said")).to_contain_text(  # or Stop came behind the last frame
        re.compile("Stopped; this is what was done|60 frames in"), timeout=90_000
    )
    tab.wait_for_function("document.querySelector('#detect-video-boxes video')?.readyState >= 1")
    expect(tab.locator("#detect-video-plot svg")).to_be_visible()


def test_a_bad_picture_leaves_what_was_there(tab: Page) -> None:
    tab.get_by_role("tab", name="Images").click()
    tab.locator(".gallery-item:visible").first.click()
    expect(tab.locator("#detect-said")).to_contain_text(
        "3 found", timeout=90_000
    )  # ms: compiles for a new shape
    shown = tab.locator("#detect-picture img").get_attribute("src")
    tab.locator("#detect-picture input[type=file]").first.set_input_files(
        {"name": "text.png", "mimeType": "image/png", "buffer": b"no picture"}
    )
    expect(tab.locator("#detect-picture-trouble")).to_contain_text(
        "not an image that can be read here"
    )
    expect(tab.locator("#detect-picture img")).to_have_attribute(
        "src", str(shown)
    )  # no broken picture
    expect(tab.locator("#detect-said")).to_contain_text("3 found")
    expect(tab.locator("#detect-boxes img")).to_be_visible()
    expect(tab.get_by_text("Error", exact=True).locator("visible=true")).to_have_count(0)


def test_two_first_visitors_at_once(browser: Browser, coco_yolo: Path, tmp_path: Path) -> None:
    """Both ask for the network before ultralytics has been imported."""
    with own_yolo(coco_yolo, tmp_path) as url:
        pages = [browser.new_context().new_page() for _ in range(2)]
        for page in pages:
            page.goto(url)
        for page in pages:
            page.get_by_role("tab", name="Detection").click()
        for page in pages:
            expect(page.locator(".live .said")).to_have_text(
                "Ready. Start the camera.", timeout=90_000
            )
            page.context.close()


def test_on_a_phone(chromium: Browser, coco_app: str) -> None:
    context = chromium.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    page = context.new_page()
    page.goto(f"{coco_app}?__theme=dark#detection")  # the tabs themselves do not fit
    expect(page.locator(".live .said")).to_have_text("Ready. Start the camera.", timeout=60_000)
    start(page)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 390
    context.close()
