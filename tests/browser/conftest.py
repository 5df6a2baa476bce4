"""A Chromium with a fake camera, and a page of the app in it."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.chromium import find_chromium

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
]
OpenPage = Callable[..., Page]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=30_000)  # ms: two busy cores are slow
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Browser, app_url: str) -> Iterator[OpenPage]:
    """open_page(width=1280, height=900, theme="light", touch=False) -> a page; `page.problems`
    lists console errors."""
    contexts = []

    def opened(
        width: int = 1280, height: int = 900, theme: str = "light", touch: bool = False
    ) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, has_touch=touch)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        problems: list[str] = []
        page.problems = problems  # type: ignore[attr-defined]
        page.on(
            "console",
            lambda message: problems.append(message.text) if message.type == "error" else None,
        )
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(f"{app_url}?__theme={theme}")
        page.get_by_role("tab", name="Start").wait_for()
        return page

    yield opened
    for context in contexts:
        context.close()


def choose(page: Page, *names: str) -> None:
    """A tab by its name, then one inside it; where the tabs do not fit, it lies in the menu behind
    the dots."""
    for name in names:
        for _ in range(100):  # a page that has just changed lays its tabs out anew
            if _chosen(page, name):
                break
            page.wait_for_timeout(100)
        else:
            raise AssertionError(f"no tab {name}")


def _chosen(page: Page, name: str) -> bool:
    tab = page.get_by_role("tab", name=name, exact=True)
    if tab.count() and tab.first.is_visible():
        tab.first.click()
        return True
    whole = re.compile(rf"^\s*{re.escape(name)}\s*$")
    for menu in page.locator(
        ".overflow-menu:visible"
    ).all():  # the inner tabs have one of their own
        menu.locator("button").first.click()
        entry = menu.locator(".overflow-dropdown button").filter(has_text=whole)
        if entry.count():
            entry.first.click()
            return True
        menu.locator("button").first.click()
    return False
