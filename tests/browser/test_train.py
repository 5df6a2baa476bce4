"""Train one as a visitor uses it: the recorded run, a run of one's own, pause, scrubbing back."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenPage

SLOW_MS = 120_000


def train_tab(page: Page) -> Locator:
    page.evaluate("location.hash = '#classification/train'")
    widget = page.locator("#train-one .trainer")
    expect(widget.locator(".accuracy svg")).to_be_visible(timeout=SLOW_MS)
    return widget


def draw_a_one(page: Page, widget: Locator) -> None:
    pad = widget.locator(".ink")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 0.15 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 0.85 * box["height"], steps=8)
    page.mouse.up()


@pytest.mark.parametrize("width", [1280, 390])
def test_it_opens_with_a_recorded_run(open_page: OpenPage, width: int) -> None:
    page = open_page(width=width)
    widget = train_tab(page)
    expect(widget.locator(".title")).to_contain_text("Example: CNN, Adam")
    expect(widget).to_have_attribute("data-answer", "3", timeout=SLOW_MS)  # when it was played
    expect(widget.locator(".wrong-digits figure").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert not page.problems  # type: ignore[attr-defined]


def test_a_run_is_watched_paused_and_scrubbed(open_page: OpenPage) -> None:
    page = open_page()
    widget = train_tab(page)
    widget.locator(".kind").select_option(label="MLP: dense 256 and 128")
    widget.get_by_role("button", name="Train", exact=True).click()
    expect(widget).to_have_attribute(
        "data-snapshots", re.compile(r"^([4-9]|\d\d+)$"), timeout=SLOW_MS
    )
    draw_a_one(page, widget)
    expect(widget.locator(".drawn-said")).to_contain_text("What the network says now")
    widget.get_by_role("button", name="Pause").click()
    expect(widget).to_have_attribute("data-state", "paused")
    expect(widget.get_by_role("button", name="Go on")).to_be_enabled()
    scrub = widget.get_by_role("slider", name="Moment of the training")
    scrub.fill("0")
    expect(widget.locator(".when")).to_contain_text("step 0")
    expect(widget.locator(".drawn-said")).to_contain_text("What the network said after 0.")


def test_bad_settings_are_answered_with_a_sentence(open_page: OpenPage) -> None:
    widget = train_tab(open_page())
    widget.locator(".lr").fill("")
    widget.get_by_role("button", name="Train", exact=True).click()
    expect(widget.locator(".status")).to_contain_text("The learning rate is a number")
    widget.locator(".lr").fill("0.01")
    widget.locator(".kind").select_option(label="Own layers")
    widget.locator(".layers").fill("conv 8, lstm 4")
    widget.get_by_role("button", name="Train", exact=True).click()
    expect(widget.locator(".status")).to_contain_text("'lstm 4' is no layer here")
    expect(widget.locator(".title")).to_contain_text("Example")
