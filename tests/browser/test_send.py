""" "Send to": what a tab made or shows becomes the input of another, as the other tab then says."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tasks.core import weights
from tests import hostile
from tests.browser.conftest import OpenPage, choose

NEEDED = ("gan", "digits", "autoencoder", "diffusion_mnist", "photos", "enhancer")
pytestmark = pytest.mark.skipif(
    not all((weights.FOLDER / f"{name}.json").is_file() for name in NEEDED),
    reason="not all weights are here",
)
SLOW = 120_000  # ms, for a photo on two busy cores


def send(page: Page, menu: str, target: str) -> None:
    page.locator(f"{menu} .opener").click()
    page.get_by_role("menuitem", name=target).click()


def picture_of(page: Page, canvas: str) -> list[int]:
    """A canvas's red values."""
    values: list[int] = page.eval_on_selector(
        canvas,
        "c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data].filter((_, i) => "
        "i % 4 === 0)",
    )
    return values


def arrives(page: Page, canvas: str, digit: list[int]) -> bool:
    """Whether the digit takes the place of the pad's example within ten seconds."""
    for _ in range(100):
        if picture_of(page, canvas) == digit:
            return True
        page.wait_for_timeout(100)
    return False


def made_digit(page: Page) -> list[int]:
    """A seven by the GAN, pinned as A; its pixels."""
    choose(page, "GAN")
    page.locator("#gan-go").click()
    expect(page.locator("#gan-grid .said")).not_to_contain_text(
        "Example"
    )  # its digits are replaced
    page.locator("#gan-grid .digit").nth(7).click()
    return picture_of(page, "#gan-grid canvas.a")


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (390, "dark")])
def test_a_made_digit_goes_everywhere_unchanged(
    open_page: OpenPage, width: int, theme: str
) -> None:
    page = open_page(width=width, theme=theme)
    digit = made_digit(page)
    assert len(digit) == 784 and max(digit) > 200
    send(page, "#gan-grid send-to", "Digit classifier")
    expect(page.locator("#digit-pad .best")).to_have_text("7")
    assert picture_of(page, "#digit-pad .seen") == digit
    send(page, "#digit-pad send-to", "Diffusion: inpaint")  # and on from there
    expect(page.locator("#inpaint-pad .frame")).to_have_class(re.compile("drawn"))
    assert arrives(page, "#inpaint-pad .ink", digit)
    choose(page, "GAN", "Generate and interpolate")
    send(page, "#gan-grid send-to", "Denoising: noisy digits")
    expect(page.locator("#noisy-digit figure").first).to_contain_text("rediction 7")
    choose(page, "GAN", "Generate and interpolate")
    send(page, "#gan-grid send-to", "GAN: the discriminator")
    expect(page.locator("#gan-discriminator .said")).to_contain_text("The given digit, class 7")
    assert picture_of(page, "#gan-discriminator .seen") == digit
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.problems == []  # type: ignore[attr-defined]


def test_the_image_clicked_in_a_step_player_is_sent_by_keyboard(open_page: OpenPage) -> None:
    page = open_page()
    choose(page, "Compare")
    page.locator("#compare-go").click()
    expect(page.locator("#compare-player .save")).to_be_visible(timeout=SLOW)
    frame = page.locator("#compare-player .picked:visible")
    expect(frame).to_have_count(1)  # the first one is framed
    box = page.locator("#compare-player canvas").nth(1).bounding_box()
    assert box is not None
    page.mouse.click(
        box["x"] + 0.9 * box["width"], box["y"] + 0.1 * box["height"]
    )  # the VAE's fifth of twenty: a 4
    expect(frame).to_have_count(1)
    page.keyboard.press("ArrowRight")  # and the next: a 5
    opener = page.locator("#compare-player send-to .opener")
    opener.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitem", name="Digit classifier")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("menuitem")).to_have_count(0)
    expect(opener).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(page.locator("#digit-pad .best")).to_have_text("5")


@pytest.mark.parametrize(("width", "theme"), [(1280, "dark"), (390, "light")])
def test_a_photo_goes_from_tab_to_tab(
    open_page: OpenPage, tmp_path: Path, width: int, theme: str
) -> None:
    page = open_page(width=width, theme=theme)
    choose(page, "Denoising", "Enlarge")
    page.locator("#enlarge-picture input[type=file]").set_input_files(
        str(hostile.good_png(tmp_path))
    )
    expect(page.locator("#enlarge-said")).to_contain_text("Enlarged 2 times", timeout=SLOW)
    after = page.locator("#enlarge-slider img[src*=after]")
    size = after.evaluate("i => [i.naturalWidth, i.naturalHeight]")
    menus = page.locator("send-to:visible")
    expect(menus).to_have_count(2)  # of the input, of the result
    menus.nth(1).locator(".opener").click()
    page.get_by_role("menuitem", name="Photo classifier").click()
    page.wait_for_function(  # in the place of the example
        "size => { const i = document.querySelector('#photo-picture img'); "
        "return i && i.naturalWidth === size[0] && i.naturalHeight === size[1]; }",
        arg=size,
    )
    expect(page.locator("#photo-answer li")).to_have_count(5, timeout=SLOW)
    page.locator(
        "send-to:visible .opener"
    ).first.click()  # and on, from the photo classifier's own picture
    expect(page.get_by_role("menuitem", name="Photo classifier")).to_have_count(
        0
    )  # it is there already
    page.get_by_role("menuitem", name="Detection").click()
    expect(page.locator("#detect-picture img")).to_be_visible()
    expect(page.locator("#detect-said")).to_contain_text("found", timeout=SLOW)
    assert page.problems == []  # type: ignore[attr-defined]


def test_an_empty_input_has_nothing_to_send(open_page: OpenPage) -> None:
    page = open_page()
    choose(page, "Classification", "Photos")
    page.locator("#photo-picture").get_by_label("Remove Image").click()  # the example
    expect(page.locator("#photo-picture img")).to_have_count(0)
    page.locator("send-to:visible .opener").click()
    expect(page.locator("send-to:visible .error")).to_have_text("There is no image yet.")
    expect(page.get_by_role("menuitem")).to_have_count(0)
