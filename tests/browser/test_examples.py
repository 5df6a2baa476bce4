"""Each sub-tab opens with a recorded result; nothing is computed for it; links open results."""

import re

import pytest
from playwright.sync_api import Page, Request, expect

from tests.browser.conftest import OpenPage

DONE = 120_000  # ms: cores that others use, too
OPENED = {  # those that are recorded: `python -m docs.record_examples`
    "classification": ("#digit-pad .best", "4"),
    "classification/photos": ("#photo-answer", "cheetah"),
    "classification/teach": ("#live-teach .best", "Cheetah"),
    "detection/pictures": ("#detect-said", "Example"),
    "detection/videos": ("#detect-video-said", "Example"),
    "detection/compare": ("#compare-table", "Example"),
    "segmentation": ("#segment-view .under", "Example"),
    "segmentation/inside": ("#inside-figure", "Example"),
    "segmentation/videos": ("#segment-video-said", "Example"),
    "segmentation/compare": ("#segment-compare-table", "Example"),
    "denoising": ("#denoise-said", "Example"),
    "denoising/denoise-playground": ("#play-table", "Example"),
    "denoising/denoise-digits": ("#noisy-digit figure >> nth=3", "PSNR"),
    "denoising/enhance-enlarge": ("#enlarge-said", "Example"),
    "denoising/enhance-jpeg": ("#jpeg-said", "Example"),
    "gan": ("#gan-grid .said", "Example"),
    "gan/gan-steer": ("#gan-steer .status", "Example"),
    "gan/gan-discriminator": ("#gan-discriminator .said", "Example"),
    "gan/gan-history": ("#gan-history .status", "Example"),
    "diffusion": ("#diffusion-player .status", "Example"),
    "diffusion/forward": ("#forward-player .status", "Example"),
    "diffusion/inpaint": ("#inpaint-player .status", "Example"),
    "diffusion/enlarge": ("#enlarge-player .status", "Example"),
    "diffusion/samplers": ("#samplers-player .status", "Example"),
    "compare": ("#compare-player .status", "Example"),
}


def follow(page: Page, link: str) -> None:
    page.evaluate("(link) => { location.hash = link; }", f"#{link}")


def test_every_sub_tab_opens_with_a_result_and_computes_nothing(open_page: OpenPage) -> None:
    page = open_page()
    asked: list[str] = []

    def note(request: Request) -> None:
        if "queue/join" in request.url:
            asked.append(page.url)

    page.on("request", note)
    missing = []
    for link, (place, words) in OPENED.items():
        follow(page, link)
        page.locator(place).first.wait_for(state="attached", timeout=10_000)
        page.locator(place).first.evaluate("e => e.scrollIntoView()")  # below: shown when seen
        try:
            expect(page.locator(place)).to_contain_text(words, timeout=10_000)
        except AssertionError:
            missing.append(link)
    assert not missing
    assert not asked
    assert page.problems == []  # type: ignore[attr-defined]


@pytest.mark.parametrize("link", ["detection", "segmentation/camera"])
def test_the_stage_of_a_camera_shows_a_clip(open_page: OpenPage, link: str) -> None:
    page = open_page()
    follow(page, link)
    stage = page.locator(".stage.has-clip:visible")
    expect(stage.locator(".mark")).to_have_text("Example, recorded")
    painted = "e => e.getContext('2d').getImageData(0, 0, e.width, e.height).data.some((v, i) => i % 4 === 3 && v)"
    page.wait_for_timeout(500)
    assert stage.locator(".over").evaluate(painted)
    clip = page.get_by_role("button", name="Play this clip through the network").locator(
        "visible=true"
    )
    clip.click()
    page.wait_for_function(
        "[...document.querySelectorAll('.live, .live *, [id^=live-] *')].some((e) => Number(e.dataset.answers) > 2)",
        timeout=DONE,
    )
    page.get_by_role("button", name="Stop", exact=True).locator("visible=true").first.click()
    expect(page.locator(".live .said:visible")).to_have_text("Clip stopped.")
    expect(stage.locator(".mark")).to_be_visible()  # the recording again


def pixels(page: Page, canvas: str) -> str:
    return str(page.locator(canvas).first.evaluate("c => c.toDataURL('image/png')"))


def test_a_link_opens_the_same_digits(open_page: OpenPage) -> None:
    page = open_page()
    follow(page, "gan")
    page.locator("#gan-seed input").fill("11")
    page.locator("#gan-go").click()
    expect(page.locator("#gan-grid .said")).to_contain_text("seed 11", timeout=DONE)
    first = pixels(page, "#gan-grid .digit canvas")
    page.locator("#gan-grid .copy-link").click()
    link = page.url.partition("#")[2]
    assert "seed=11" in link and link.startswith("gan/gan-generate?")
    other = open_page()
    follow(other, link)
    expect(other.locator("#gan-grid .said")).to_contain_text("seed 11", timeout=DONE)
    assert pixels(other, "#gan-grid .digit canvas") == first
    expect(other.locator("#gan-seed input")).to_have_value("11")


def test_a_link_opens_the_same_diffusion(open_page: OpenPage) -> None:
    link = "diffusion/generate?model=mnist&class=7&n=2&seed=5&sampler=ddim&steps=4&guidance=1"
    drawn = []
    for _ in range(2):
        page = open_page()
        follow(page, link)
        expect(page.locator("#diffusion-player .title")).to_contain_text(
            "Step 4 of 4", timeout=DONE
        )
        expect(page.locator("#diffusion-player .save")).to_be_visible(timeout=DONE)
        drawn.append(pixels(page, "#diffusion-player canvas"))
        expect(page.locator("#diffusion-class input")).to_have_value("7")
        assert page.url.endswith(link)
    assert drawn[0] == drawn[1]
    page.locator("#diffusion-player .copy-link").click()
    assert "seed=5" in page.url and "steps=4" in page.url


def test_the_tour_leads_through_five_steps(open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_role("button", name="Take the tour").click()
    tour = page.get_by_role("dialog", name="Tour of Image Lab")
    for k in range(1, 6):
        expect(tour.locator(".where")).to_have_text(f"Step {k} of 5")
        expect(tour.locator("h2")).to_be_focused()
        expect(page.locator(".tour-target")).to_be_visible(timeout=30_000)
        if k < 5:
            tour.get_by_role("button", name="Next").click()
    expect(page).to_have_url(re.compile("#diffusion"))
    page.keyboard.press("Escape")
    expect(tour).to_have_count(0)
    expect(page.locator(".tour-target")).to_have_count(0)


def test_keys_step_and_play(open_page: OpenPage) -> None:
    page = open_page()
    follow(page, "diffusion")
    player = page.locator("#diffusion-player")
    expect(player.locator(".status")).to_contain_text("Example")
    player.locator("canvas").first.focus()
    last = player.locator(".title").inner_text()
    page.keyboard.press("[")
    expect(player.locator(".title")).not_to_have_text(last)
    page.keyboard.press("]")
    expect(player.locator(".title")).to_have_text(last)


def test_one_sub_tab_for_another_page(open_page: OpenPage) -> None:
    page = open_page()
    page.goto(page.url.partition("?")[0] + "?embed=gan/gan-steer")
    expect(page.locator("#gan-steer .plane")).to_be_visible()
    expect(page.locator("#header")).to_be_hidden()
    expect(page.get_by_role("tab", name="Detection")).to_be_hidden()
