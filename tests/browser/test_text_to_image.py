"""Text to image as a visitor uses it: a prompt, where its words act, a word switched off, links."""

import base64
import io
import json

import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, choose

DONE = 120_000  # ms: a run on cores that others use, too
PLAYER = "#words-player"


def wait_for_end(page: Page, player: str = PLAYER) -> None:
    expect(page.locator(f"{player} .save")).to_be_visible(timeout=DONE)


def pixels(page: Page, canvas: str) -> np.ndarray:
    """uint8 (h, w, 3): a canvas of the page."""
    url = page.locator(canvas).evaluate("c => c.toDataURL()")
    with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as image:
        return np.asarray(image.convert("RGB"))


def draw(page: Page, prompt: str) -> None:
    page.locator("#words-prompt textarea").fill(prompt)
    page.locator("#words-go").click()
    expect(page.locator(f"{PLAYER} .save")).to_be_hidden()
    wait_for_end(page)


def test_it_opens_with_an_example_and_draws_what_is_asked(open_page: OpenPage) -> None:
    page = open_page()
    choose(page, "Text to image")
    expect(page.locator(f"{PLAYER} .status")).to_contain_text("Example", timeout=DONE)
    draw(page, "whale on a red background")
    drawn = pixels(page, f"{PLAYER} canvas >> nth=-2")  # the last canvas is that of the maps
    assert np.median(drawn[:3, :3].reshape(-1, 3), 0)[0] > 150
    assert np.median(drawn[:3, :3].reshape(-1, 3), 0)[2] < 110
    expect(page.locator(f"{PLAYER} .word")).to_have_count(3)  # with the style


def test_a_word_shows_where_it_acts_and_can_be_switched_off(open_page: OpenPage) -> None:
    page = open_page()
    choose(page, "Text to image")
    draw(page, "a fox on a blue background")
    word = page.locator(f"{PLAYER} .word").nth(0)
    word.hover()
    expect(page.locator(f"{PLAYER} .heat")).to_be_visible()
    fox = pixels(page, f"{PLAYER} .heat")
    page.locator(f"{PLAYER} .word").nth(1).hover()
    blue = pixels(page, f"{PLAYER} .heat")
    assert not np.array_equal(fox, blue)
    page.locator(f"{PLAYER} .title").hover()
    expect(page.locator(f"{PLAYER} .heat")).to_be_hidden()
    page.locator(f"{PLAYER} .word").nth(1).click()
    expect(page.locator("#words-prompt textarea")).to_have_value("a fox on a (blue:0) background")
    expect(page.locator(f"{PLAYER} .save")).to_be_hidden()
    wait_for_end(page)
    corner = pixels(page, f"{PLAYER} canvas >> nth=-2")[:3, :3]
    assert np.median(corner) > 200  # white
    page.locator(f"{PLAYER} .word").nth(1).click()
    expect(page.locator("#words-prompt textarea")).to_have_value("a fox on a blue background")


def test_words_are_suggested_and_unknown_ones_are_named(open_page: OpenPage) -> None:
    page = open_page()
    choose(page, "Text to image")
    box = page.locator("#words-prompt textarea")
    expect(page.locator(".word-suggestions")).to_be_attached(timeout=DONE)
    box.fill("")
    box.press_sequentially("a guit")
    page.locator(".word-suggestions button", has_text="guitar").click(timeout=DONE)
    expect(box).to_have_value("a guitar")
    draw(page, "a guitr on <b>green</b>")
    text = page.locator(f"{PLAYER} .text")
    expect(text).to_contain_text("“guitr” is not known")
    expect(text).to_contain_text("Near it: guitar")


def test_a_link_draws_the_same_image_again(open_page: OpenPage) -> None:
    page = open_page()
    choose(page, "Text to image")
    draw(page, "two cats on yellow")
    first = pixels(page, f"{PLAYER} canvas >> nth=-2")
    started = page.url.partition("#")[0]
    query = "prompt=two%20cats%20on%20yellow&n=4&seed=0&steps=20"
    other = open_page()
    other.goto(f"{started}#text-to-image/generate?{query}")
    wait_for_end(other)
    assert np.array_equal(first, pixels(other, f"{PLAYER} canvas >> nth=-2"))
    expect(other.locator("#words-prompt textarea")).to_have_value("two cats on yellow")


def test_nine_from_one_noise_on_a_phone(open_page: OpenPage) -> None:
    page = open_page(width=390)
    choose(page, "Text to image", "Nine from one noise")
    expect(page.locator("#strips-player .status")).to_contain_text("Example", timeout=DONE)
    page.locator("#strips-go").click()
    wait_for_end(page, "#strips-player")
    expect(page.locator("#strips-player .text")).to_contain_text("50 % of the way")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_png_carries_prompt_and_seed(open_page: OpenPage) -> None:
    page = open_page()
    choose(page, "Text to image")
    draw(page, "a tulip")
    with page.expect_download() as saved:
        page.locator(f"{PLAYER} [data-kind=png]").click()
    with Image.open(saved.value.path()) as picture:
        settings = json.loads(picture.text["settings"])  # type: ignore[attr-defined]
    assert settings["prompt"] == "a tulip" and settings["seed"] == 0
