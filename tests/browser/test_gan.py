"""The GAN tab as a visitor uses it: a grid, a walk, a digit that follows the pointer, a drawing
that is judged."""

import json
import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tasks.core import weights
from tests.browser.conftest import OpenPage, choose

pytestmark = pytest.mark.skipif(
    not (weights.FOLDER / "gan.json").is_file(), reason="weights/gan.json is not there"
)


INK = (
    "[...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data]"
    ".reduce((sum, value, i) => i % 4 ? sum : sum + value, 0)"
)


def gan_tab(page: Page) -> Page:
    choose(page, "GAN")
    return page


def generate(page: Page) -> None:
    expect(page.locator("#gan-grid .said")).to_contain_text("Example")
    page.locator("#gan-go").click()
    expect(page.locator("#gan-grid .said")).not_to_contain_text("Example")
    expect(page.locator("#gan-grid .digit")).to_have_count(50)


def ink(page: Page, selector: str) -> int:
    """The sum of a canvas's red values."""
    return int(page.eval_on_selector(selector, f"(canvas) => {INK}"))


def test_pin_two_digits_and_walk(open_page: OpenPage, tmp_path: Path) -> None:
    page = gan_tab(open_page())
    generate(page)
    digits = page.locator("#gan-grid .digit")
    digits.nth(3).click()
    digits.nth(8).focus()
    page.keyboard.press("Enter")
    expect(page.locator("#gan-player .save")).to_be_visible()  # which a recording has not
    expect(page.locator("#gan-player .title")).to_have_text(re.compile("49 of 49"))
    expect(page.locator("#gan-player .text")).to_contain_text("100 % 8")
    last = ink(page, "#gan-player .screen canvas")
    page.locator("#gan-player .scrub").fill("0")
    expect(page.locator("#gan-player .title")).to_have_text(re.compile("^1 of 49"))
    assert ink(page, "#gan-player .screen canvas") != last
    with page.expect_download() as saved:
        page.locator("#gan-grid .json").click()
    with page.expect_download() as grid:
        page.locator("#gan-grid .png").click()
    grid.value.save_as(tmp_path / "grid.png")
    with Image.open(tmp_path / "grid.png") as opened:
        opened.load()
        assert opened.size == (8 * 28, 7 * 28) and json.loads(opened.info["settings"])["n"] == 50
    file = tmp_path / "a.json"
    saved.value.save_as(file)
    latent = json.loads(file.read_text())
    assert len(latent["z"]) == 100 and latent["label"] == 3
    before = ink(page, "#gan-grid canvas.a")
    digits.nth(5).click()  # another A
    page.locator("#gan-grid input[type=file]").set_input_files(str(file))
    expect(page.locator("#gan-grid .said")).to_contain_text("loaded")
    assert (
        abs(ink(page, "#gan-grid canvas.a") - before) < 50
    )  # the same digit again, but for rounding
    assert page.problems == []  # type: ignore[attr-defined]


def test_a_file_that_is_no_latent_is_answered(open_page: OpenPage, tmp_path: Path) -> None:
    page = gan_tab(open_page())
    generate(page)
    for text in ("no json", '{"z": [1, 2], "label": 3}'):
        file = tmp_path / "bad.json"
        file.write_text(text)
        page.locator("#gan-grid input[type=file]").set_input_files(str(file))
        expect(page.locator("#gan-grid .said")).to_contain_text("numbers")


def test_the_digit_follows_the_pointer(open_page: OpenPage) -> None:
    page = gan_tab(open_page(theme="dark"))
    page.get_by_role("tab", name="Steer").click()
    expect(page.locator("#gan-steer .status")).to_contain_text("Example. The discriminator: ")
    box = page.locator("#gan-steer .plane").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    expect(page.locator("#gan-steer .plane")).to_have_attribute("data-n", re.compile("[1-9]"))
    first = ink(page, "#gan-steer .digit-now")
    page.locator("#gan-steer .plane").focus()
    for _ in range(12):
        page.keyboard.press("ArrowRight")
    changed = f"(before) => {{ const canvas = document.querySelector('#gan-steer .digit-now'); return {INK} !== before; }}"
    page.wait_for_function(changed, arg=first)
    assert page.problems == []  # type: ignore[attr-defined]


def test_a_drawing_is_scored(open_page: OpenPage) -> None:
    page = gan_tab(open_page())
    page.get_by_role("tab", name="Discriminator", exact=True).click()
    box = page.locator("#gan-discriminator .ink").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 150, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 130, box["y"] + 240, steps=8)
    page.mouse.up()
    expect(page.locator("#gan-discriminator .score")).to_contain_text("% real")
    expect(page.locator("#gan-discriminator .said")).to_contain_text("class 1")
    page.locator("#gan-discriminator .made").click()
    expect(page.locator("#gan-discriminator .said")).to_contain_text("The GAN’s")


def test_narrow_page_does_not_overflow(open_page: OpenPage) -> None:
    page = gan_tab(open_page(width=390, theme="dark"))
    generate(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
