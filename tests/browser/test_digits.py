"""The digits tab as a visitor uses it: drawing by mouse and finger, uploads, hints, bad files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests import hostile
from tests.browser.conftest import OpenPage

SEVEN = [(0.25, 0.2), (0.5, 0.19), (0.75, 0.18), (0.65, 0.38), (0.55, 0.6), (0.46, 0.85)]
ONE = [(0.5, 0.12), (0.5, 0.5), (0.5, 0.88)]


def digits_tab(page: Page) -> Page:
    page.get_by_role("tab", name="Classification").click()
    page.locator(".reader .ink").wait_for()
    return page


def points(page: Page, path: list[tuple[float, float]]) -> list[tuple[float, float]]:
    box = page.locator(".reader .ink").bounding_box()
    assert box is not None
    return [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in path]


def draw(page: Page, path: list[tuple[float, float]]) -> None:
    """One stroke with the mouse."""
    first, *rest = points(page, path)
    page.mouse.move(*first)
    page.mouse.down()
    for p in rest:
        page.mouse.move(*p, steps=6)
    page.mouse.up()


def touch(page: Page, path: list[tuple[float, float]]) -> None:
    """One stroke with a finger."""
    session = page.context.new_cdp_session(page)
    first, *rest = points(page, path)
    session.send(
        "Input.dispatchTouchEvent",
        {"type": "touchStart", "touchPoints": [{"x": first[0], "y": first[1]}]},
    )
    for x, y in rest:
        session.send(
            "Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [{"x": x, "y": y}]}
        )
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def expect_answer(page: Page, digit: str) -> None:
    expect(page.locator(".reader .best")).to_have_text(digit)


def test_answer_follows_the_pen(open_page: OpenPage) -> None:
    page = digits_tab(open_page())
    expect(page.locator(".reader .said")).to_contain_text("Example.")
    expect_answer(page, "4")
    draw(page, ONE)  # the first stroke replaces it
    expect_answer(page, "1")
    page.get_by_role("button", name="Clear").click()
    expect_answer(page, "\u2013")  # an en dash
    draw(page, SEVEN)
    expect_answer(page, "7")
    expect(page.locator("#digit-pad .frame")).to_have_attribute("data-inside", "3")
    shares = page.locator(".bar .fill").evaluate_all(
        "bars => bars.map((b) => parseFloat(b.style.width))"
    )
    assert len(shares) == 10
    assert sum(shares) == pytest.approx(100, abs=0.5)
    assert page.problems == []  # type: ignore[attr-defined]


def test_undo_takes_back_one_stroke(open_page: OpenPage) -> None:
    page = digits_tab(open_page())
    draw(page, ONE)
    expect_answer(page, "1")
    draw(page, [(0.2, 0.3), (0.8, 0.3)])
    page.get_by_role("button", name="Undo").click()
    expect_answer(page, "1")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".reader .said")).to_have_text("Nothing drawn yet.")


def test_every_digit_that_the_page_draws_is_read(open_page: OpenPage) -> None:
    page = digits_tab(open_page())
    for digit in "0123456789":
        page.get_by_role("button", name=f"Draw {digit}").click()
        expect(page.locator("#digit-pad .frame")).to_have_attribute("data-answer", digit)


def test_a_finger_on_a_phone(open_page: OpenPage) -> None:
    page = digits_tab(open_page(width=390, height=844, touch=True))
    page.locator(".reader .ink").scroll_into_view_if_needed()
    before = page.evaluate("window.scrollY")
    touch(page, SEVEN)
    expect_answer(page, "7")
    assert page.evaluate("window.scrollY") == before  # the finger drew and did not scroll
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 390


def test_a_dot_and_a_scribble_do_no_harm(open_page: OpenPage) -> None:
    page = digits_tab(open_page())
    box = page.locator(".reader .ink").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 5, box["y"] + 5)
    rng = np.random.default_rng(0)
    draw(page, [(float(x), float(y)) for x, y in rng.uniform(0.02, 0.98, (60, 2))])
    page.get_by_role("button", name="Clear").click()
    draw(page, ONE)
    expect_answer(page, "1")
    assert page.problems == []  # type: ignore[attr-defined]


def open_upload(page: Page) -> Page:
    page.get_by_text("Or an image: upload").click()
    return page


def upload(page: Page, path: Path) -> None:
    page.locator("#digit-picture input[type=file]").set_input_files(path)


def test_a_picture_is_read_and_a_bad_file_answered(open_page: OpenPage, tmp_path: Path) -> None:
    page = open_upload(digits_tab(open_page()))
    upload(page, hostile.text_called_png(tmp_path))
    expect(page.get_by_text("not an image that can be read here")).to_be_visible()
    expect_answer(page, "4")  # the example stays
    page.get_by_role("button", name="Clear", exact=True).or_(
        page.get_by_label("Clear")
    ).last.click()
    one = np.full((200, 200), 255, np.uint8)
    one[40:160, 92:108] = 20
    Image.fromarray(one).save(tmp_path / "one.png")
    upload(page, tmp_path / "one.png")
    expect_answer(page, "1")


def test_the_keyboard_reaches_everything(open_page: OpenPage) -> None:
    page = digits_tab(open_page())
    page.locator(".reader .undo").focus()
    for _ in range(3):
        page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Draw 0")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#digit-pad .frame")).to_have_attribute("data-answer", "0")


def test_about_shows_every_card(open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_role("tab", name="About").click()
    named = page.get_by_text("Digit classifier").locator("visible=true")
    expect(named.first).to_be_visible()


def test_the_page_says_when_the_models_are_ready(open_page: OpenPage) -> None:
    page = open_page()
    expect(page.locator("#header .chip")).to_contain_text("models ready")


def test_the_start_page_leads_to_the_photos(open_page: OpenPage) -> None:
    page = open_page()
    page.locator("#start a[href='#classification/photos']").click()
    expect(page.locator("#photo-picture")).to_be_visible()
