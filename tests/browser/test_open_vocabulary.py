"""What is typed is found, on the page: the field says what is to be downloaded, words come back as
labels, markup as text. The weights are random and already here.
"""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests import hostile
from tests.detection import tiny_world
from tests.served import served

MARKUP = "<img src=x onerror=alert(1)>"
APP = """
import app  # first: it sets up what libraries read when they are imported
import sys
from pathlib import Path
from tests.detection import tiny_world

tiny_world.offer(Path(sys.argv[1]))
app.main()
"""


def test_words_are_typed_and_found(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_world.write(tmp_path)
    monkeypatch.setenv("IMAGE_LAB_CACHE", str(tmp_path / "cache"))
    with served(tmp_path, command=("-c", APP, str(tmp_path))) as app:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(120_000)
        page.goto(app.url)
        page.get_by_role("tab", name="Detection").click()
        page.get_by_role("tab", name="Images").click()
        model = page.get_by_label("Model", exact=True).locator("visible=true").first
        said, words = (
            page.locator("#detect-said"),
            page.locator("#detect-words").locator("textarea, input"),
        )
        expect(words).to_be_hidden()
        model.click()
        page.get_by_role("option", name="What you type").click()
        expect(page.locator("#detect-words")).to_contain_text("The first search downloads")
        page.locator("#detect-picture input[type=file]").set_input_files(hostile.good_png(tmp_path))
        expect(said).to_contain_text("Type above what is to be found")

        tiny_world.put_into_cache(tmp_path)
        words.fill("red mug, green book")
        page.locator("#detect-find").click()
        expect(said.locator("tbody")).to_contain_text("red mug")
        words.fill(MARKUP)
        words.press("Enter")
        expect(said.locator("tbody")).to_contain_text(MARKUP)
        page.get_by_role("button", name="All boxes as a table").click()
        expect(page.get_by_text(MARKUP).last).to_be_visible()
        assert page.locator("img[src=x]").count() == 0

        model.click()
        page.get_by_role("option", name="Handwritten digits").click()
        expect(words).to_be_hidden()
        expect(said).not_to_contain_text(MARKUP)
        page.close()
