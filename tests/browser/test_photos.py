"""The photos tab as a visitor uses it: examples, uploads, comparing by keyboard, bad files."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tasks.core import weights
from tests import hostile
from tests.browser.conftest import OpenPage

SHIPPED = pytest.mark.skipif(
    not (weights.FOLDER / "photos.json").is_file(), reason="weights/photos.json is not there"
)


def photos_tab(page: Page) -> Page:
    page.get_by_role("tab", name="Classification").click()
    page.get_by_role("tab", name="Photos").click()
    expect(page.locator("#photo-answer li")).to_have_count(5, timeout=60_000)  # the example's
    return page


def upload(page: Page, file: Path) -> None:
    page.locator("#photo-picture input[type=file]").first.set_input_files(str(file))


def test_a_bad_file_is_answered_with_a_sentence(open_page: OpenPage, tmp_path: Path) -> None:
    page = photos_tab(open_page())
    expect(page.locator("#photo-answer")).to_contain_text("cheetah")  # the tab opens answered
    upload(page, hostile.text_called_png(tmp_path))
    expect(page.locator("#photo-picture-trouble")).to_contain_text(
        "not an image that can be read here"
    )
    expect(page.locator("#photo-picture img")).to_have_count(1)  # the example is back
    expect(page.locator("#photo-answer")).to_contain_text("cheetah")
    expect(page.get_by_text("Error", exact=True).locator("visible=true")).to_have_count(0)


@SHIPPED
def test_the_same_good_picture_again_takes_the_sentence_away(
    open_page: OpenPage, tmp_path: Path
) -> None:
    page, good = photos_tab(open_page()), hostile.good_png(tmp_path)
    trouble = page.locator("#photo-picture-trouble")
    upload(page, good)
    expect(page.locator("#photo-answer li")).to_have_count(5)
    upload(page, hostile.text_called_png(tmp_path))
    expect(trouble).to_contain_text("not an image that can be read here")
    expect(page.locator("#photo-picture img")).to_have_count(1)  # the good one is back
    upload(page, good)
    expect(trouble).to_be_hidden()


@SHIPPED
@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (390, "dark")])
def test_an_example_is_answered_without_moving_the_page(
    open_page: OpenPage, width: int, theme: str
) -> None:
    page = photos_tab(open_page(width=width, theme=theme))
    # on the page, not in the window: a click may scroll to its target
    place = "document.querySelector('#photo-seen').getBoundingClientRect().y + scrollY"
    page.wait_for_timeout(1500)  # fonts and thumbnails
    before = page.evaluate(place)
    page.locator(".gallery-item:visible").first.click()
    expect(page.locator("#photo-answer li")).to_have_count(5)
    for image in ("#photo-seen img", "#photo-cam img", "#photo-cam-other img"):
        expect(page.locator(image)).to_have_attribute("alt", re.compile("photo"))
    assert abs(page.evaluate(place) - before) < 2
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@SHIPPED
def test_compare_by_keyboard(open_page: OpenPage, tmp_path: Path) -> None:
    page = photos_tab(open_page())
    upload(page, hostile.good_png(tmp_path))
    expect(page.locator("#photo-answer li")).to_have_count(5)
    page.locator("#photo-other input").focus()
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    expect(page.locator("#photo-other input")).not_to_have_value("")
    chosen = page.locator("#photo-other input").input_value().split(" (")[0]
    expect(page.locator("#photo-cam-other")).to_contain_text(f"“{chosen}”")
    assert chosen in page.locator("#photo-answer ol").inner_text()
