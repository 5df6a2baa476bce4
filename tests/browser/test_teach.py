"""Teach it as a visitor uses it: the example, two classes by a held button, dropped files, a saved
classifier opened again, bad files.
"""

from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests import hostile
from tests.browser.conftest import OpenPage

SLOW_MS = 120_000  # the example's features, or those of some dozen frames, on busy cores


def teach_tab(page: Page) -> Locator:
    page.evaluate("location.hash = '#classification/teach'")
    widget = page.locator("#live-teach .live")
    expect(widget.locator(".bar")).to_have_count(3, timeout=SLOW_MS)
    return widget


def add_files(widget: Locator, of: int, *files: Path) -> None:
    widget.locator(".card input[type=file]").nth(of).set_input_files([str(f) for f in files])


@pytest.mark.parametrize("width", [1280, 390])
def test_it_opens_with_a_taught_example(open_page: OpenPage, width: int) -> None:
    page = open_page(width=width)
    widget = teach_tab(page)
    expect(widget.locator(".best")).to_have_text("Cheetah")
    expect(widget.locator(".accuracy")).to_have_text("100 %")
    expect(widget.locator(".confusion td").filter(has_text="8")).to_have_count(3)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert not page.problems  # type: ignore[attr-defined]


def test_two_classes_by_the_camera(open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page()
    widget = teach_tab(page)
    widget.get_by_role("button", name="Teach your own").click()
    expect(widget.locator(".stage.on")).to_be_visible()
    for k in range(2):
        button = widget.locator(".hold").nth(k)
        button.dispatch_event("pointerdown", {"button": 0})
        expect(widget.locator(".count").nth(k)).not_to_have_text("0 of 500")
        button.dispatch_event("pointerup")
    expect(widget).to_have_attribute("data-state", "taught", timeout=SLOW_MS)
    expect(widget.locator(".bar")).to_have_count(2)
    with page.expect_download() as download:
        widget.get_by_role("button", name="Save", exact=True).click()
    file = tmp_path / "taught.safetensors"
    download.value.save_as(file)
    widget.locator(".load-file").set_input_files(str(file))
    expect(widget.locator(".lesson-said")).to_contain_text("is in use: Class 1, Class 2")


def test_files_that_are_none_are_named_and_nothing_is_lost(
    open_page: OpenPage, tmp_path: Path
) -> None:
    page = open_page()
    widget = teach_tab(page)
    page.evaluate(
        "() => { navigator.mediaDevices.getUserMedia = () => Promise.reject({name: 'NotFoundError'}); }"
    )
    widget.get_by_role("button", name="Teach your own").click()
    expect(widget.locator(".said")).to_contain_text("No camera was found")
    add_files(widget, 0, hostile.good_png(tmp_path), hostile.text_called_png(tmp_path))
    said = widget.locator(".lesson-said")
    expect(widget.locator(".count").first).to_have_text("1 of 500")
    expect(said).to_contain_text("only 'Class 1' has any", timeout=SLOW_MS)
    widget.locator(".load-file").set_input_files(str(hostile.text_called_png(tmp_path)))
    expect(said).to_contain_text("damaged or no taught classifier")
    add_files(widget, 1, hostile.good_png(tmp_path))  # the same image in both
    expect(widget.locator(".notes")).to_contain_text("in two classes at once", timeout=SLOW_MS)
    expect(widget.locator(".doubt-frames button")).to_have_count(2)
    widget.locator(".doubt-frames button").first.click()
    expect(widget.locator(".count").filter(has_text="0 of 500")).to_have_count(1)
