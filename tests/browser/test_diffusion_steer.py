"""Diffusion with a given picture: noise added in the page, taken away, holes filled, sizes raised; four samplers."""

import re

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.test_diffusion import DONE, SHIPPED, diffusion, grey, panel, requests_of, wait_for_end

pytestmark = SHIPPED


def stroke(page: Page, pad: str, *points: tuple[float, float]) -> None:
    ink = page.locator(f"{pad} .ink")
    ink.scroll_into_view_if_needed()
    box = ink.bounding_box()
    assert box is not None
    for i, (x, y) in enumerate(points):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=4)
        if i == 0:
            page.mouse.down()
    page.mouse.up()


ONE = ((0.5, 0.2), (0.5, 0.8))


def test_noise_follows_the_slider_without_the_server(open_page: OpenPage) -> None:
    page = diffusion(open_page(), "Forward and back")
    stroke(page, "#forward-pad", *ONE)
    page.wait_for_timeout(300)
    seen = requests_of(page)
    slide, said = page.locator("#forward-pad .slide"), page.locator("#forward-pad .formula")

    slide.fill("0")
    expect(said).to_contain_text("= 1.000 x0 + 0.000 ε")
    for view in (".closed", ".chain"):
        assert np.array_equal(grey(page, f"#forward-pad {view}"), grey(page, "#forward-pad .ink"))
    slide.fill("1000")
    expect(said).to_contain_text("= 0.000 x0 + 1.000 ε")
    for view in (".closed", ".chain"):  # noise also where the picture is black
        assert grey(page, f"#forward-pad {view}")[:8, :8].mean() > 60
    slide.focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#forward-pad .t")).to_have_text("999")
    assert [url for url in seen if "component_server" in url or "queue/join" in url] == []


def test_denoising_from_where_the_slider_stands(open_page: OpenPage) -> None:
    page = diffusion(open_page(), "Forward and back")
    stroke(page, "#forward-pad", *ONE)
    page.locator("#forward-pad .slide").fill("200")
    page.locator("#forward-pad .slide").dispatch_event("change")
    page.locator("#forward-go").click()
    wait_for_end(page, "#forward-film")
    expect(page.locator("#forward-film .text")).to_contain_text("reads the original as 1")
    assert page.locator("#forward-film canvas").count() == 3
    assert np.array_equal(panel(page, "#forward-film"), grey(page, "#forward-pad .ink"))


@pytest.mark.parametrize(
    ("tab", "pad", "go", "film"),
    [("Forward and back", "#forward-pad", "#forward-go", "#forward-film"),
     ("Inpaint", "#inpaint-pad", "#inpaint-go", "#inpaint-film"),
     ("Super-resolve", "#small-pad", "#enlarge-go", "#enlarge-film")],
)  # fmt: skip
def test_an_empty_pad_gets_a_hint(open_page: OpenPage, tab: str, pad: str, go: str, film: str) -> None:
    page = diffusion(open_page(), tab)
    expect(page.locator(f"{pad} .hint")).to_be_visible()
    page.locator(go).click()
    expect(page.locator(".toast-body")).to_contain_text("The pad is empty")
    expect(page.locator(f"{film} .status")).not_to_contain_text("Starting")


def test_inpainting_keeps_what_is_not_hidden(open_page: OpenPage) -> None:
    page = diffusion(open_page(), "Inpaint")
    page.locator("#inpaint-pad .make").click()
    expect(page.locator("#inpaint-pad .said")).to_contain_text("Made just now", timeout=DONE)
    page.locator("#inpaint-go").click()
    wait_for_end(page, "#inpaint-film")
    source, filled = grey(page, "#inpaint-pad .ink"), panel(page, "#inpaint-film")
    for y, x in ((0, 0), (0, 29), (29, 0), (29, 29)):  # four answers; the upper half was not hidden
        assert np.array_equal(filled[y : y + 14, x : x + 28], source[:14])
    page.locator("#inpaint-pad .clear").click()
    stroke(page, "#inpaint-pad", *ONE)  # hides, on an empty picture
    page.locator("#inpaint-go").click()
    expect(page.locator(".toast-body")).to_contain_text("The pad is empty")


def test_super_resolution_agrees_with_the_small_picture(open_page: OpenPage) -> None:
    page = diffusion(open_page(), "Super-resolve")
    stroke(page, "#small-pad", *ONE)
    page.locator("#small-pad [data-times='2']").click()
    expect(page.locator("#small-pad .size")).to_have_text("14 × 14 px")
    page.locator("#enlarge-go").click()
    wait_for_end(page, "#enlarge-film")
    small, first = grey(page, "#small-pad .reduced"), panel(page, "#enlarge-film", 2)[:28, :28]
    assert np.abs(first.reshape(14, 2, 14, 2).mean((1, 3)) - small).max() < 2
    expect(page.locator("#enlarge-film .text")).to_contain_text("grey levels")


def test_samplers_side_by_side(open_page: OpenPage) -> None:
    page = diffusion(open_page(), "Samplers side by side")
    page.locator("#samplers-go").click()
    wait_for_end(page, "#samplers-film")
    pictures = [panel(page, "#samplers-film", k) for k in range(4)]
    assert all(p.shape == (57, 57) and p.std() > 40 for p in pictures)
    assert len({p.tobytes() for p in pictures}) == 4
    expect(page.locator("#samplers-film .text")).to_contain_text(re.compile(r"UniPC \d+ ms.*DDPM \d+ ms"))
