"""What helps on every tab: keys, loupe, explanations, earlier results; skips cut in the drawing,
masks in step, the game with the discriminator, what changed in a step."""

import re
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import OpenPage

DONE = 120_000  # ms: cores that others use, too


def follow(page: Page, link: str) -> None:
    page.evaluate("(link) => { location.hash = link; }", f"#{link}")


def draw(page: Page, pad: str) -> None:
    page.locator(f"{pad} canvas.ink").scroll_into_view_if_needed()
    box = page.locator(f"{pad} canvas.ink").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.2 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.8 * box["height"], steps=8)
    page.mouse.up()


def test_arrows_go_along_the_tabs(open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_role("tab", name="GAN", exact=True).click()
    page.keyboard.press("ArrowRight")
    diffusion = page.get_by_role("tab", name="Diffusion", exact=True)
    expect(diffusion).to_have_attribute("aria-selected", "true")
    expect(diffusion).to_be_focused()
    expect(page).to_have_url(re.compile("#diffusion$"))
    page.keyboard.press("ArrowLeft")
    expect(page).to_have_url(re.compile("#gan$"))
    page.keyboard.press("Home")
    expect(page.get_by_role("tab", name="Start")).to_be_focused()


def test_the_list_of_keys(open_page: OpenPage) -> None:
    page = open_page()
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    expect(dialog).to_contain_text("undo the last stroke")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.get_by_role("button", name="Keys", exact=True).click()
    expect(dialog).to_be_visible()


def test_undo_and_delete_of_a_drawing(open_page: OpenPage) -> None:
    page = open_page()
    follow(page, "classification/digits")
    expect(page.locator("#digit-pad .said")).to_contain_text("Example")
    page.keyboard.press("Delete")
    expect(page.locator("#digit-pad .said")).to_have_text("Nothing drawn yet.")
    draw(page, "#digit-pad")
    expect(page.locator("#digit-pad .best")).not_to_have_text("\u2013", timeout=DONE)
    page.keyboard.press("Control+z")
    expect(page.locator("#digit-pad .best")).to_have_text("\u2013")


def test_terms_are_explained_on_hover_and_focus(open_page: OpenPage) -> None:
    page = open_page()
    follow(page, "diffusion/generate")
    page.locator("#diffusion-guidance").hover()
    tip = page.get_by_role("tooltip")
    expect(tip).to_contain_text("pushed towards the class")
    page.keyboard.press("Escape")
    expect(tip).to_have_count(0)
    page.locator("#diffusion-seed input").focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    expect(tip).to_contain_text("same result")
    expect(page.locator("#diffusion-seed input")).to_have_attribute("aria-describedby", "lab-tip")


def test_a_loupe_over_all_images(open_page: OpenPage) -> None:
    page = open_page()
    follow(page, "denoising/denoise-playground")
    images = page.locator("#play-gallery .grid-container img")
    expect(images).to_have_count(8)
    page.locator(".lab-loupe:visible").first.click()
    images.nth(1).scroll_into_view_if_needed()
    images.nth(1).hover()
    expect(page.locator(".lab-lens")).to_have_count(8)
    lens = "c => new Set(c.getContext('2d').getImageData(0, 0, 128, 128).data).size"
    assert page.locator(".lab-lens").first.evaluate(lens) > 5
    page.keyboard.press("z")
    expect(page.locator(".lab-lens")).to_have_count(0)


def test_earlier_results_of_a_tab(open_page: OpenPage) -> None:
    page = open_page()
    follow(page, "gan/gan-generate")
    strip = page.locator(".lab-history")
    expect(page.locator("#gan-grid .said")).to_contain_text("Example")
    expect(strip).to_be_hidden()  # an example is no result of the visitor's
    for k in range(10):
        page.locator("#gan-seed input").fill(str(k))
        page.locator("#gan-go").click()
        expect(page.locator("#gan-grid .said")).to_contain_text(f"seed {k}", timeout=DONE)
    expect(strip.locator("li")).to_have_count(8)
    strip.get_by_role("button", name="seed 9").click()
    dialog = page.get_by_role("dialog", name="Earlier result")
    expect(dialog.get_by_role("link", name="Open it again")).to_have_attribute(
        "href", re.compile("seed=9")
    )
    page.keyboard.press("Escape")
    follow(page, "detection")
    expect(strip).to_be_hidden()


def test_an_arrow_of_the_drawing_cuts_its_skip(open_page: OpenPage) -> None:
    page = open_page()
    follow(page, "segmentation/inside")
    arrow = page.locator("#inside-figure .skip").first
    arrow.scroll_into_view_if_needed()
    arrow.click()
    expect(page.locator("#inside-figure .skip.cut")).to_have_count(1, timeout=DONE)
    expect(page.locator("#inside-cut input:checked")).to_have_count(1)
    expect(page.locator("#inside-figure .changed")).to_contain_text("changed pixels")


def test_masks_in_step(open_page: OpenPage) -> None:
    page = open_page()
    follow(page, "segmentation/camera")
    page.locator("#live-segmentation .in-step").check()
    page.locator("#live-segmentation .start").click()
    page.wait_for_function(
        "document.querySelector('#live-segmentation [data-in-step=yes], "
        "#live-segmentation[data-in-step=yes]')",
        timeout=DONE,
    )
    page.locator("#live-segmentation .in-step").uncheck()
    page.wait_for_function(
        "!document.querySelector('[data-in-step=yes]')",
        timeout=DONE,
    )
    assert page.problems == []  # type: ignore[attr-defined]


def test_a_game_with_the_discriminator(open_page: OpenPage) -> None:
    page = open_page()
    follow(page, "gan/gan-discriminator")
    pane = page.locator("#gan-discriminator")
    expect(pane.locator(".said")).to_contain_text("Example")
    expect(pane.locator(".count")).to_be_disabled()  # a generated digit does not count
    draw(page, "#gan-discriminator")
    expect(pane.locator(".count")).to_be_enabled(timeout=DONE)
    page.wait_for_timeout(1500)  # the last answer to the moving pen
    score = pane.locator(".score").inner_text().split("%")[0]
    pane.locator(".count").click()
    expect(pane.locator(".rounds li").first).to_contain_text(score.strip())
    expect(pane.locator(".game-said")).to_contain_text("4 to go")


def test_what_changed_in_a_step(open_page: OpenPage) -> None:
    page = open_page()
    follow(page, "diffusion/generate")
    player = page.locator("#diffusion-player")
    expect(player.locator(".status")).to_contain_text("Example")
    pixels = "c => c.toDataURL()"
    predicted = player.locator(".stage canvas").last.evaluate(pixels)
    player.locator(".changed").click()
    expect(player.locator(".stage figcaption").last).to_contain_text("changed in this step")
    assert player.locator(".stage canvas").last.evaluate(pixels) != predicted
    player.locator(".changed").click()
    assert player.locator(".stage canvas").last.evaluate(pixels) == predicted


def test_a_feature_map_is_enlarged_with_kernel_and_patch(open_page: OpenPage) -> None:
    page = open_page()
    follow(page, "classification/digits")
    expect(page.locator("#digit-pad .said")).to_contain_text("Example")
    maps = page.locator("#digit-pad .stages canvas")
    maps.nth(1).hover(position={"x": 20, "y": 20})
    zoom = page.locator("#digit-pad .zoom")
    expect(zoom).to_contain_text("stage 2, map 1 of 40")
    above, below = zoom.bounding_box(), maps.nth(1).bounding_box()
    assert above and below and above["y"] < below["y"]  # in sight where the pointer is
    maps.nth(1).focus()
    page.keyboard.press("ArrowRight")
    expect(zoom).to_contain_text("stage 2, map 2 of 40")
    size = (
        "c => [c.width, new Set(c.getContext('2d').getImageData(0, 0, c.width, c.width).data).size]"
    )
    side, values = zoom.locator(".z-patch").evaluate(size)
    assert side == 15 and values > 2  # ink and paper
    page.wait_for_function(
        "document.querySelector('#digit-pad .z-kernel').width === 3", timeout=DONE
    )
    assert page.problems == []  # type: ignore[attr-defined]


def test_the_browsers_language(browser: Browser, app_url: str) -> None:
    context = browser.new_context(locale="de-DE")
    page = context.new_page()
    page.goto(f"{app_url}#diffusion/inpaint")
    expect(page.get_by_role("tab", name="Ergänzen")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#inpaint-go")).to_have_text("Füllen")
    lead = page.locator(".lab-intro:visible").last
    expect(lead).to_contain_text("Verdecken Sie einen Teil")
    expect(lead.locator("summary")).to_have_text("So geht es")
    page.get_by_role("tab", name="Entrauschen", exact=True).click()
    expect(page).to_have_url(re.compile("#denoising$"))
    assert "__i18n__" not in page.locator("body").inner_text()
    context.close()


def test_a_video_that_no_browser_plays(open_page: OpenPage, tmp_path: Path) -> None:
    file = tmp_path / "old.mp4"
    with av.open(str(file), "w") as out:
        stream = out.add_stream("mpeg4", rate=Fraction(10))
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for k in range(5):
            frame = np.full((240, 320, 3), 40 * k, np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame)))
        out.mux(stream.encode())
    page = open_page()
    follow(page, "detection/videos")
    page.locator("#detect-video input[type=file]").set_input_files(str(file))
    expect(page.locator("#detect-video .lab-unplayable")).to_be_visible()
    page.locator("#detect-video-start").click()
    expect(page.locator("#detect-video-said")).to_contain_text("5 frames", timeout=DONE)
    expect(page.locator(".toast-body")).to_have_count(0)


def test_a_drawing_is_one_earlier_result_however_often_it_is_read(open_page: OpenPage) -> None:
    page = open_page()
    follow(page, "classification")
    kept = page.locator(".lab-history li")
    for n, digit in enumerate("47", start=1):
        page.locator("#digit-pad").get_by_role("button", name=f"Draw {digit}").click()
        inside = f"#digit-pad .frame[data-answer='{digit}'][data-inside]"
        page.locator(inside).wait_for(timeout=DONE)
        expect(kept).to_have_count(n)
        expect(kept.first.get_by_role("button", name=f" {digit}, ")).to_be_visible()


def test_a_segmented_image_and_a_snapshot_are_earlier_results(open_page: OpenPage) -> None:
    page = open_page()
    follow(page, "segmentation")
    kept = page.locator(".lab-history li")
    expect(page.locator("#segment-view .under")).to_contain_text("Example")
    expect(kept).to_have_count(0)
    page.locator("button.gallery-item:visible").nth(1).click()
    expect(kept).to_have_count(1, timeout=DONE)
    expect(kept.first.locator("button")).to_have_attribute("title", re.compile(r"\w+ \d+ %, "))
    follow(page, "segmentation/camera")
    page.locator("#live-segmentation .camera .clip").click()
    expect(page.locator("#live-segmentation .snapshot")).to_be_enabled()
    with page.expect_download():
        page.locator("#live-segmentation .snapshot").click()
    expect(kept).to_have_count(2)
    expect(kept.first.locator("button")).to_have_attribute("title", "Snapshot")


def test_the_camera_fills_the_screen_and_leaves_it(open_page: OpenPage) -> None:
    page = open_page()
    follow(page, "detection")
    full = page.locator("#live-detection button.full")
    full.click()
    expect(full).to_have_text("Leave full screen")
    stage = page.locator("#live-detection .stage")
    assert stage.evaluate("e => document.fullscreenElement === e")
    box, size = stage.bounding_box(), page.evaluate("[innerWidth, innerHeight]")
    assert box is not None and [box["width"], box["height"]] == size
    painted = "e => e.width >= e.clientWidth && e.height >= e.clientHeight"
    page.wait_for_function(f"({painted})(document.querySelector('#live-detection .over'))")
    full.click()
    expect(full).to_have_text("Full screen")
    assert page.evaluate("document.fullscreenElement") is None
