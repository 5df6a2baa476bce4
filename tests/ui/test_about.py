"""About: every card in its task's group, each group with a link to a tab that there is."""

from dataclasses import replace

import pytest

import app
from tasks.core import weights
from tasks.ui.page import about, footer, links
from tests.core.test_weights import CARD


def test_cards_are_grouped_and_sorted() -> None:
    cards = [replace(CARD, title=t, task=k) for t, k in (("B", "gan"), ("A", "gan"), ("C", "new"))]
    html = about.groups_html(cards)
    order = [html.index(text) for text in (">GAN <a", "<b>A</b>", "<b>B</b>", ">new<", "<b>C</b>")]
    assert order == sorted(order)
    assert html.count("<details") == 3


def test_every_card_is_shown() -> None:
    html = about.groups_html(weights.all_cards())
    assert html.count("<details class='lab-row'>") == len(weights.all_cards())


def test_links_lead_to_tabs() -> None:
    tabs = {tab["id"]: {sub["id"] for sub in tab["tabs"]} for tab in links.tabs_of(app.build_app())}
    for _, link in about.TASKS.values():
        tab, _, sub = link.partition("/")
        assert tab in tabs and (not sub or sub in tabs[tab]), link


def test_the_foot_names_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPACE_ID", raising=False)
    monkeypatch.setenv("IMAGE_LAB_SOURCE", "https://example.org/lab")
    html = footer.footer_html()
    assert "href='https://example.org/lab'" in html and "lab/tree/main/docs" in html
    monkeypatch.delenv("IMAGE_LAB_SOURCE")
    assert "ask whoever runs this server" in footer.footer_html()
    monkeypatch.setenv("SPACE_ID", "me/lab")
    assert "https://huggingface.co/spaces/me/lab/tree/main/docs" in footer.footer_html()
