"""Every tab and sub-tab has a link: opened, left by Back, reloaded; on a phone the strip
scrolls."""

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage


def follow(page: Page, link: str) -> None:
    page.evaluate(f"location.hash = '{link}'")


def test_a_link_opens_its_sub_tab(open_page: OpenPage) -> None:
    page = open_page()
    follow(page, "#diffusion/inpaint")
    expect(page.get_by_role("tab", name="Inpaint")).to_have_attribute("aria-selected", "true")
    expect(page).to_have_title("Inpaint · Diffusion · Image Lab")
    page.reload()
    expect(page.get_by_role("tab", name="Inpaint")).to_have_attribute("aria-selected", "true")
    assert not page.problems  # type: ignore[attr-defined]


def test_back_leads_to_the_tab_before(open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_role("tab", name="Detection").click()
    expect(page).to_have_url(re.compile("#detection$"))
    page.get_by_role("tab", name="GAN").click()
    expect(page).to_have_url(re.compile("#gan$"))
    page.go_back()
    expect(page.get_by_role("tab", name="Detection")).to_have_attribute("aria-selected", "true")
    expect(page).to_have_url(re.compile("#detection$"))


def test_an_unknown_link_stays_at_the_start(open_page: OpenPage) -> None:
    page = open_page()
    follow(page, "#<img src=x>/none")
    expect(page.get_by_role("tab", name="Start")).to_have_attribute("aria-selected", "true")
    assert not page.problems  # type: ignore[attr-defined]


def test_a_phone_shows_all_tabs_in_a_strip(open_page: OpenPage) -> None:
    page = open_page(width=390, height=844)
    follow(page, "#compare")
    tab = page.get_by_role("tab", name="Compare")
    expect(tab).to_have_attribute("aria-selected", "true")
    expect(tab).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
