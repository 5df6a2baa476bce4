"""Diffusion with a given picture: noise added in the page, taken away, holes filled, sizes raised;
four samplers."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tasks.core import weights
from tests.browser.conftest import OpenPage
from tests.browser.test_diffusion import (
    DONE,
    SHIPPED,
    choose,
    diffusion,
    grey,
    panel,
    requests_of,
    wait_for_end,
)

pytestmark = SHIPPED
IN_COLOUR = pytest.mark.skipif(
    not (weights.FOLDER / "diffusion_cifar10.json").is_file(),
    reason="weights/diffusion_cifar10.json is not there",
)


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
    page = diffusion(open_page(), "Noise and denoise")
    expect(page.locator("#header")).to_contain_text("models ready", timeout=DONE)  # asks no more
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
    own = ("make_picture", "fit_picture", "step_player_next")  # that it could ask
    assert [call for call in seen if call.endswith(own) or "/queue/join" in call] == []


def test_denoising_from_where_the_slider_stands(open_page: OpenPage) -> None:
    page = diffusion(open_page(), "Noise and denoise")
    stroke(page, "#forward-pad", *ONE)
    page.locator("#forward-pad .slide").fill("200")
    page.locator("#forward-pad .slide").dispatch_event("change")
    page.locator("#forward-go").click()
    wait_for_end(page, "#forward-player")
    expect(page.locator("#forward-player .text")).to_contain_text("(100 %) for the original")
    assert page.locator("#forward-player canvas").count() == 3
    assert np.array_equal(panel(page, "#forward-player"), grey(page, "#forward-pad .ink"))


@pytest.mark.parametrize(
    ("tab", "pad", "go", "player"),
    [
        ("Noise and denoise", "#forward-pad", "#forward-go", "#forward-player"),
        ("Inpaint", "#inpaint-pad", "#inpaint-go", "#inpaint-player"),
        ("Super-resolve", "#small-pad", "#enlarge-go", "#enlarge-player"),
    ],
)
def test_an_empty_pad_gets_a_hint(
    open_page: OpenPage, tab: str, pad: str, go: str, player: str
) -> None:
    page = diffusion(open_page(), tab)
    expect(page.locator(f"{pad} .said")).to_contain_text("Example")
    page.locator(f"{pad} .clear").click()
    expect(page.locator(f"{pad} .hint")).to_be_visible()
    page.locator(go).click()
    expect(page.locator(".toast-body")).to_contain_text("The pad is empty")
    expect(page.locator(f"{player} .status")).not_to_contain_text("Starting")


def test_inpainting_keeps_what_is_not_hidden(open_page: OpenPage) -> None:
    page = diffusion(open_page(), "Inpaint")
    page.locator("#inpaint-pad .make").click()
    expect(page.locator("#inpaint-pad .said")).to_contain_text("Generated: ", timeout=DONE)
    page.locator("#inpaint-go").click()
    wait_for_end(page, "#inpaint-player")
    source, filled = grey(page, "#inpaint-pad .ink"), panel(page, "#inpaint-player")
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
    wait_for_end(page, "#enlarge-player")
    small, first = grey(page, "#small-pad .reduced"), panel(page, "#enlarge-player", 2)[:28, :28]
    assert np.abs(first.reshape(14, 2, 14, 2).mean((1, 3)) - small).max() < 2
    expect(page.locator("#enlarge-player .text")).to_contain_text("grey levels")


def test_samplers_side_by_side(open_page: OpenPage) -> None:
    page = diffusion(open_page(), "Samplers side by side")
    page.locator("#samplers-go").click()
    wait_for_end(page, "#samplers-player")
    pictures = [panel(page, "#samplers-player", k) for k in range(4)]
    assert len({p.shape for p in pictures}) == 1 and min(p.std() for p in pictures) > 15
    assert len({p.tobytes() for p in pictures}) == 4
    expect(page.locator("#samplers-player .text")).to_contain_text(
        re.compile(r"UniPC \d+ ms.*DDPM \d+ ms")
    )


def test_how_far_in_can_you_go(open_page: OpenPage) -> None:
    page = diffusion(open_page(), "Noise and denoise")
    stroke(page, "#forward-pad", *ONE)
    choose(page, "Reversible noise")
    page.locator("#far-go").click()
    expect(page.locator("#far-player .save")).to_be_visible(
        timeout=3 * DONE
    )  # 1,260 pictures and steps
    player = page.locator("#far-player")
    expect(player.locator(".text")).to_contain_text("Prediction for the original: 1")
    expect(player.locator(".text")).to_contain_text(
        re.compile(r"All images keep their class (up to t = \d+|at no t)")
    )
    shown = "els => els.filter((e) => e.getAttribute('d')).length"
    n = player.locator(".dot").count()
    assert player.locator(".dot").evaluate_all(shown) == n == 29
    player.locator(".scrub").fill("0")
    expect(player.locator(".title")).to_contain_text("t = 100, denoised in 10 steps: 9 of 9 are 1")
    assert player.locator(".dot").evaluate_all(shown) == 3


def test_a_mask_over_nothing_or_everything(open_page: OpenPage) -> None:
    page = diffusion(open_page(), "Inpaint")
    page.locator("#inpaint-pad [data-tool=pen]").click()
    stroke(page, "#inpaint-pad", *ONE)
    page.locator("#inpaint-go").click()
    expect(page.locator(".toast-body")).to_contain_text("Paint over a part of the image")
    page.locator("#inpaint-pad [data-tool=hide]").click()
    rows = [(x, y / 10) for y in range(11) for x in ((0.0, 1.0) if y % 2 else (1.0, 0.0))]
    stroke(
        page, "#inpaint-pad", *((min(0.99, max(0.01, x)), min(0.99, max(0.01, y))) for x, y in rows)
    )
    assert (grey(page, "#inpaint-pad .mask") > 0).all()
    expect(page.locator(".toast-body")).to_have_count(0)  # gone after its time
    page.locator("#inpaint-go").click()
    expect(page.locator(".toast-body")).to_contain_text("Paint over a part of the image")
    expect(page.locator("#inpaint-player .status")).not_to_contain_text("Starting")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """Blue above, orange below; wider than high."""
    pixels = np.zeros((120, 200, 3), np.uint8)
    pixels[:60], pixels[60:] = (40, 90, 200), (220, 130, 40)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@IN_COLOUR
@pytest.mark.parametrize(
    ("tab", "pad", "go", "player", "shown"),
    [
        ("Noise and denoise", "#forward-pad", "#forward-go", "#forward-player", 1),
        ("Inpaint", "#inpaint-pad", "#inpaint-go", "#inpaint-player", 4),
        ("Super-resolve", "#small-pad", "#enlarge-go", "#enlarge-player", 4),
    ],
)
def test_a_photo_of_ones_own_in_colour(
    open_page: OpenPage, photo: Path, tab: str, pad: str, go: str, player: str, shown: int
) -> None:
    page = diffusion(open_page(), tab)
    page.locator(f"{pad} .model").select_option("cifar10")
    page.locator(f"{pad} .file").set_input_files(photo)
    expect(page.locator(f"{pad} .said")).to_contain_text("32 × 32 px")
    red = grey(page, f"{pad} .ink")
    assert red.shape == (32, 32) and abs(red[4, 16] - 40) < 8 and abs(red[28, 16] - 220) < 8
    page.locator(go).click()
    wait_for_end(page, player)
    side = 32 if shown == 1 else 65
    last = page.locator(f"{player} .screen canvas").count() - 1
    assert panel(page, player, last).shape == (side, side)
    if tab == "Inpaint":  # the upper half was not hidden
        assert np.array_equal(panel(page, player)[:16, :32], red[:16])
    if tab == "Super-resolve":
        expect(page.locator(f"{pad} .size")).to_have_text("8 × 8 px")
        small = grey(page, f"{pad} .reduced")
        assert (
            np.abs(panel(page, player, 2)[:32, :32].reshape(8, 4, 8, 4).mean((1, 3)) - small).max()
            < 2
        )
    if tab == "Noise and denoise":
        expect(page.locator(f"{player} .text")).to_contain_text("for the original")


@IN_COLOUR
def test_photos_are_generated_in_colour(open_page: OpenPage) -> None:
    page = diffusion(open_page())
    page.locator("#diffusion-model input").click()
    page.get_by_role("option", name="Small photos").click()
    page.locator("#diffusion-class input").click()
    page.get_by_role("option", name="ship", exact=True).click()
    page.get_by_label("number input for Images").fill("4")
    page.locator("#diffusion-go").click()
    wait_for_end(page)
    assert panel(page).shape == (65, 65) and panel(page).std() > 10
