"""The denoising tab as a visitor uses it: an example cleaned, methods compared, a digit brought
back."""

import re

import pytest
from playwright.sync_api import Page, expect

from tasks.core import weights
from tests.browser.conftest import OpenPage, choose

DONE = 120_000  # ms: cores that others use, too


def shipped(name: str) -> pytest.MarkDecorator:
    there = (weights.FOLDER / f"{name}.json").is_file()
    return pytest.mark.skipif(not there, reason=f"weights/{name}.json is not there")


def part(page: Page, name: str) -> Page:
    choose(page, "Denoising")
    choose(page, name)
    return page


@shipped("denoiser")
@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (390, "dark")])
def test_an_example_is_cleaned(open_page: OpenPage, width: int, theme: str) -> None:
    page = part(open_page(width=width, theme=theme), "Your photo")
    page.wait_for_timeout(1000)
    page.locator(".gallery-item:visible").first.click()
    expect(page.locator("#denoise-said")).to_contain_text("grey levels removed", timeout=DONE)
    expect(page.locator("#noise-level")).to_contain_text("estimated: 2")  # noise of 25 was added
    expect(page.locator("#denoise-slider img")).to_have_count(2)
    expect(page.locator("#denoise-removed")).to_contain_text(re.compile(r"\d times amplified"))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    level = page.locator("#noise-level input[type=range]")
    level.focus()
    page.keyboard.press("ArrowRight")
    level.dispatch_event("pointerup")
    expect(page.locator("#noise-level input[type=number]")).not_to_have_value("0")


@shipped("denoiser")
def test_methods_side_by_side(open_page: OpenPage) -> None:
    page = part(open_page(), "Playground")
    page.locator("#play-start").click()
    expect(page.locator("#play-table tbody tr")).to_have_count(7, timeout=DONE)
    expect(page.locator("#play-gallery img")).to_have_count(8)
    page.locator("#play-noise").get_by_text("Salt and pepper").click()
    expect(page.locator("#play-table tbody tr")).to_have_count(6, timeout=DONE)


@shipped("autoencoder")
@pytest.mark.parametrize("width", [1280, 390])
def test_a_digit_is_drawn_and_brought_back(open_page: OpenPage, width: int) -> None:
    page = part(open_page(width=width), "Noisy digits")
    pad = page.locator("#noisy-digit .ink")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 140, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 140, box["y"] + 230, steps=12)
    page.mouse.up()
    expect(page.locator("#noisy-digit figure")).to_have_count(4, timeout=DONE)
    expect(page.locator("#noisy-digit figure").first).to_contain_text("prediction 1")
    expect(page.locator("#noisy-digit figure").last).to_contain_text("PSNR")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("#noisy-digit .clear").click()
    expect(page.locator("#noisy-digit figure")).to_have_count(0)
    page.locator("#noisy-digit .write").click()
    expect(page.locator("#noisy-digit figure")).to_have_count(4, timeout=DONE)


@shipped("enhancer")
@pytest.mark.parametrize(
    ("name", "slider", "words"),
    [("Enlarge", "#enlarge-slider", "bicubic"), ("Undo JPEG", "#jpeg-slider", "quality 10")],
)
def test_an_example_is_enhanced(open_page: OpenPage, name: str, slider: str, words: str) -> None:
    page = part(open_page(), name)
    page.wait_for_timeout(1000)
    page.locator(".gallery-item:visible").first.click()
    said = "#enlarge-said" if name == "Enlarge" else "#jpeg-said"
    expect(page.locator(said)).to_contain_text(words, timeout=DONE)
    expect(page.locator(f"{slider} img")).to_have_count(2)


@pytest.mark.skipif((weights.FOLDER / "denoiser.json").is_file(), reason="the denoiser is there")
def test_without_weights_a_sentence(open_page: OpenPage) -> None:
    page = part(open_page(), "Your photo")
    page.wait_for_timeout(1000)
    page.locator(".gallery-item:visible").first.click()
    expect(page.locator(".toast-body")).to_contain_text("missing", timeout=DONE)
    expect(page.locator("#denoise-said")).to_contain_text("No answer here")
