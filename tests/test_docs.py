"""The pages in docs/: one for each tab, live links, images that are there, fresh figures."""

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from tasks.core import model_pages, weights
from tests.conftest import ROOT

DOCS = ROOT / "docs"
PAGES = {path.name: path.read_text(encoding="utf-8") for path in sorted(DOCS.glob("*.md"))}
README = (ROOT / "README.md").read_text(encoding="utf-8")
MEASURED = (
    "classification",
    "detection",
    "segmentation",
    "denoising",
    "gan",
    "diffusion",
    "compare",
)
TABS = (*MEASURED, "text_to_image")
ANIMATED = ("webcam.webp", "steps.webp")
STILL_BYTES, ANIMATED_BYTES = 300_000, 2_000_000


def test_every_tab_has_a_page() -> None:
    import app

    titles = {tab.TITLE.lower().replace(" ", "_") for tab in app.TABS} - {"start", "about"}
    assert titles == set(TABS)
    for name in TABS:
        assert f"(docs/{name}.md)" in README
    for name in MEASURED:
        assert f"images/{name}.webp" in PAGES[f"{name}.md"]


def anchors(page: str) -> set[str]:
    """As GitHub makes them of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", [*PAGES, "README.md"])
def test_links_are_alive(name: str) -> None:
    folder, text = (ROOT, README) if name == "README.md" else (DOCS, PAGES[name])
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", text):
        path = (folder / target).resolve() if target else folder / name
        assert path.exists(), f"{target} is not there"
        if anchor:
            assert anchor in anchors(path.read_text(encoding="utf-8")), (
                f"{target}#{anchor} is not there"
            )


def test_images_are_small_described_and_used() -> None:
    files = {path.name: path for path in (DOCS / "images").iterdir()}
    shown = re.findall(
        r"!\[(.*?)\]\((?:docs/)?images/([\w.]+)\)", "\n".join([README, *PAGES.values()])
    )
    assert {file for _, file in shown} == set(files)
    assert all(len(described) > 40 for described, _ in shown)
    for name, path in files.items():
        with Image.open(path) as image:
            assert 600 <= image.width <= 1300
            assert (getattr(image, "n_frames", 1) > 10) == (name in ANIMATED)
        assert path.stat().st_size <= (ANIMATED_BYTES if name in ANIMATED else STILL_BYTES), name


@pytest.mark.parametrize("name", MEASURED)
def test_figures_of_the_cards_are_on_the_page_and_fresh(name: str) -> None:
    page = PAGES[f"{name}.md"]
    assert model_pages.pages()[DOCS / f"{name}.md"] == page, "run `make docs`"
    named = [names.split() for _, names, _ in model_pages.FIGURES.findall(page)]
    assert named
    for names in named:
        card = json.loads((weights.FOLDER / f"{names[0]}.json").read_text(encoding="utf-8"))
        value = f"{card['metrics'][0]['value']:.2f}"
        assert value in page


def test_a_changed_figure_is_put_right() -> None:
    page, cards = PAGES["gan.md"], weights.all_cards()
    changed = model_pages.FIGURES.sub(lambda m: m[0].replace("9", "8"), page)
    assert changed != page
    assert (
        model_pages.FIGURES.sub(
            lambda m: m[1] + model_pages.figures(m[2].split(), cards) + m[3], changed
        )
        == page
    )


def test_no_path_of_a_machine_is_in_the_pages() -> None:
    for text in (README, *PAGES.values()):
        assert not re.search(r"/(home|work|root|Users)/", text)


def test_mentioned_modules_are_there() -> None:
    for text in PAGES.values():
        for file in re.findall(r"`((?:tests|benchmarks|train|tasks)/[\w/]+\.py)`", text):
            assert Path(ROOT / file).is_file(), file
