"""Markup in whatever a visitor, a file or a model may name: the page shows it as text and runs none
of it."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests import hostile, hostile_files
from tests.browser.conftest import OpenPage
from tests.served import served

pytestmark = pytest.mark.slow

MARKUP = "<img src=x onerror=window.owned=1>"
"""A name that a file system takes, too; a page that believes it sets window.owned."""


def assert_not_owned(page: Page) -> None:
    page.wait_for_timeout(300)  # ms; a picture that is not there has failed by then
    assert page.evaluate("window.owned") is None
    assert page.locator("img[src=x]").count() == 0


def pictures_tab(page: Page) -> Page:
    page.get_by_role("tab", name="Detection").click()
    page.get_by_role("tab", name="Images").click()
    return page


def test_names_of_files(open_page: OpenPage, tmp_path: Path) -> None:
    page = pictures_tab(open_page())
    good, bad = tmp_path / f"{MARKUP}.png", tmp_path / f"{MARKUP}bad.png"
    shutil.copy(hostile.good_png(tmp_path), good)
    bad.write_text("no picture")
    page.get_by_role("button", name="Several images at once").click()
    page.locator("#detect-files input[type=file]").set_input_files([good, bad])
    expect(page.locator("#detect-lines")).to_contain_text("not an image")
    assert_not_owned(page)


@pytest.mark.parametrize(
    "name", ["SVG", "SVG called .png", "page called .jpg", "PNG and page", "GIF and script"]
)
def test_pictures_that_are_pages(open_page: OpenPage, name: str, tmp_path: Path) -> None:
    page = pictures_tab(open_page())
    file = hostile_files.IMAGES[name](tmp_path)
    page.locator("#detect-picture input[type=file]").set_input_files(file)
    page.wait_for_timeout(2000)
    assert_not_owned(page)
    assert "owned" not in page.title()


def test_an_address_that_is_typed_and_a_prompt(open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_role("tab", name="Text to image").click()
    page.get_by_role("tab", name="Larger pipelines").click()
    name = page.locator("#text-model input")
    name.fill(MARKUP)
    name.press("Enter")
    page.locator("#text-prompt textarea").fill(MARKUP)
    for button in ("#text-look", "#text-go"):
        page.locator(button).click()
        expect(page.locator(".toast-body, [data-testid=toast-body]").last).to_contain_text(
            "onerror=window.owned"
        )
        assert_not_owned(page)


@pytest.fixture(scope="module")
def marked(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The app with a YOLO of its owner's whose file and classes have such names, and which finds
    them everywhere."""
    from ultralytics import YOLO

    folder = tmp_path_factory.mktemp("marked")
    model: Any = YOLO("yolo11n.yaml", task="detect")
    model.model.names = {k: f"{MARKUP}{k}" for k in range(80)}
    for scale in model.model.model[-1].cv3:
        scale[-1].bias.data[:2] = 4.0
    model.save(str(folder / f"{MARKUP}.pt"))
    with served(folder, IMAGE_LAB_YOLO=str(folder / f"{MARKUP}.pt")) as app:
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        page = context.new_page()
        page.set_default_timeout(90_000)
        page.goto(app.url)
        page.get_by_role("tab", name="Detection").click()
        expect(page.locator(".live .said")).to_have_text(
            "Ready. Start the camera.", timeout=120_000
        )
        yield page
        context.close()


def test_classes_of_a_model(marked: Page, tmp_path: Path) -> None:
    expect(marked.locator(".live .classes")).to_contain_text(MARKUP)
    assert_not_owned(marked)
    marked.get_by_role("tab", name="Images").click()
    marked.locator("#detect-picture input[type=file]").set_input_files(hostile.good_png(tmp_path))
    expect(marked.locator("#detect-said")).to_contain_text(f"{MARKUP}0")
    marked.get_by_role("button", name="All boxes as a table").click()
    assert_not_owned(marked)
    marked.get_by_role("tab", name="Side by side").click()
    marked.locator("#compare-picture input[type=file]").set_input_files(hostile.good_png(tmp_path))
    expect(
        marked.locator("#compare-picture img")
    ).to_be_visible()  # else "Compare" may come before the upload's end
    marked.get_by_role("button", name="Compare", exact=True).click()
    expect(marked.locator("#compare-table")).to_contain_text(f"{MARKUP}0")
    assert_not_owned(marked)
