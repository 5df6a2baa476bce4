"""The segmentation tab as a visitor uses it: classes under the pointer, toggles, cut skips, the
camera."""

import pytest
from playwright.sync_api import Page, expect

from tasks.core import weights
from tests.browser.conftest import OpenPage, choose

SHIPPED = pytest.mark.skipif(
    not (weights.FOLDER / "segmentation.json").is_file(),
    reason="weights/segmentation.json is not there",
)


def segmentation_tab(page: Page) -> Page:
    choose(page, "Segmentation")
    page.locator("#segment-view .stage").wait_for()
    return page


def first_example(page: Page) -> None:
    page.locator(".gallery-item:visible").first.click()
    page.locator("#segment-view .stage.filled").wait_for()


@SHIPPED
@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (390, "dark")])
def test_the_class_under_the_pointer(open_page: OpenPage, width: int, theme: str) -> None:
    page = segmentation_tab(open_page(width=width, theme=theme))
    first_example(page)
    view = page.locator("#segment-view")
    expect(view.locator(".legend li")).to_have_count(11)
    requests: list[str] = []
    page.on(
        "request",
        lambda request: requests.append(request.url) if "queue/join" in request.url else None,
    )
    view.locator(".over").scroll_into_view_if_needed()
    box = view.locator(".over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(view.locator(".tip")).to_be_visible()
    name = view.locator("li.under-pointer span").inner_text()
    expect(view.locator(".tip")).to_contain_text(name)
    expect(view.locator(".tip")).to_contain_text("%")
    view.locator(".stage").focus()
    page.keyboard.press("ArrowDown")
    expect(view.locator(".tip")).to_be_visible()
    assert not requests
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert not page.problems  # type: ignore[attr-defined]


@SHIPPED
def test_toggles_opacity_and_before_after_change_what_is_drawn(open_page: OpenPage) -> None:
    page = segmentation_tab(open_page())
    first_example(page)
    view = page.locator("#segment-view")
    painted = "e => e.getContext('2d').getImageData(0, 0, e.width, e.height).data.filter((v, i) => i % 4 === 3 && v).length"
    over = view.locator(".over")
    assert over.evaluate(painted) == over.evaluate("e => e.width * e.height")
    view.get_by_role("button", name="none").click()
    assert over.evaluate(painted) == 0
    view.locator(".legend li").first.click()
    assert 0 < over.evaluate(painted) < over.evaluate("e => e.width * e.height")
    view.locator(".opacity").fill("20")
    assert over.evaluate("e => e.style.opacity") == "0.2"
    view.locator(".split").fill("50")
    assert "50%" in over.evaluate("e => e.style.clipPath")
    view.locator(".what").select_option("entropy")
    assert over.evaluate(painted) == over.evaluate("e => e.width * e.height")
    with page.expect_download() as download:
        view.get_by_role("button", name="Class names (JSON)").click()
    assert "Pedestrian" in download.value.path().read_text()


@SHIPPED
def test_cut_skips(open_page: OpenPage) -> None:
    page = segmentation_tab(open_page())
    first_example(page)
    page.get_by_role("tab", name="Inside the network").click()
    expect(page.locator("#inside-figure .skip")).to_have_count(4)
    page.locator("#inside-cut").get_by_label("1/4", exact=True).check()
    expect(page.locator("#inside-figure .skip.cut")).to_have_count(1)
    expect(page.locator("#inside-figure")).to_contain_text("change their class")


@SHIPPED
def test_the_camera_is_segmented(open_page: OpenPage) -> None:
    page = segmentation_tab(open_page())
    page.get_by_role("tab", name="Camera", exact=True).last.click()
    live = page.locator("#live-segmentation")
    live.get_by_role("button", name="Start camera").click()
    page.wait_for_function(
        "[...document.querySelectorAll('#live-segmentation, #live-segmentation *')]"
        ".some((e) => Number(e.dataset.answers) > 2)"
    )
    drawn = "e => e.getContext('2d').getImageData(0, 0, e.width, e.height).data.some((v, i) => i % 4 === 3 && v)"
    assert live.locator(".over").evaluate(drawn)
    live.get_by_role("button", name="Stop").click()
    expect(live.locator(".said")).to_have_text("Camera off.")
    assert page.evaluate("document.querySelector('#live-segmentation video').srcObject") is None
