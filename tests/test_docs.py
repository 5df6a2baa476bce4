"""The pages in docs/: one for each tab, links and pictures that are there, no figure that was not measured."""

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from tasks import weights
from tests.conftest import ROOT

DOCS = ROOT / "docs"
PAGES = {path.name: path.read_text(encoding="utf-8") for path in sorted(DOCS.glob("*.md"))}
README = (ROOT / "README.md").read_text(encoding="utf-8")
TABS = ("classification", "detection", "segmentation", "denoising", "gan", "diffusion", "compare")
FILMS = ("webcam.webp", "steps.webp")
STILL_BYTES, FILM_BYTES = 300_000, 2_000_000


def test_every_tab_has_a_page() -> None:
    import app

    titles = {tab.TITLE.lower() for tab in app.TABS} - {"start", "about"}
    assert titles == set(TABS)
    for name in TABS:
        assert f"(docs/{name}.md)" in README
        assert f"pictures/{name}.webp" in PAGES[f"{name}.md"]


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
            assert anchor in anchors(path.read_text(encoding="utf-8")), f"{target}#{anchor} is not there"


def test_pictures_are_small_described_and_used() -> None:
    files = {path.name: path for path in (DOCS / "pictures").iterdir()}
    shown = re.findall(r"!\[(.*?)\]\((?:docs/)?pictures/([\w.]+)\)", "\n".join([README, *PAGES.values()]))
    assert {file for _, file in shown} == set(files)
    assert all(len(described) > 40 for described, _ in shown)
    for name, path in files.items():
        with Image.open(path) as picture:
            assert 600 <= picture.width <= 1300
            assert (getattr(picture, "n_frames", 1) > 10) == (name in FILMS)
        assert path.stat().st_size <= (FILM_BYTES if name in FILMS else STILL_BYTES), name


def prose(page: str) -> str:
    """A page without what is generated, code and links' targets."""
    text = weights.FIGURES.sub("", page)
    return re.sub(r"```.*?```|`[^`]*`|\]\([^)]*\)", "", text, flags=re.DOTALL)


@pytest.mark.parametrize("name", TABS)
def test_figures_in_the_prose_were_measured(name: str) -> None:
    """Whatever is not generated from the cards stands in the trainings' diary, a card or a benchmark's result."""
    sources = [ROOT / "train" / "LOG.md", *weights.FOLDER.glob("*.json"), *(ROOT / "benchmarks" / "results").iterdir()]
    known = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    for figure in re.findall(r"\d+\.\d+|\d+(?:\.\d+)?(?= %)", prose(PAGES[f"{name}.md"])):
        assert re.search(rf"(?<![\d.]){re.escape(figure)}(?![\d.]*\d)", known), f"{figure} is in no card and no diary"


@pytest.mark.parametrize("name", TABS)
def test_figures_of_the_cards_are_on_the_page_and_fresh(name: str) -> None:
    page = PAGES[f"{name}.md"]
    assert weights.pages()[DOCS / f"{name}.md"] == page, "run `make cards`"
    named = [names.split() for _, names, _ in weights.FIGURES.findall(page)]
    assert named
    for names in named:
        card = json.loads((weights.FOLDER / f"{names[0]}.json").read_text(encoding="utf-8"))
        value = f"{card['metrics'][0]['value']:.2f}"
        assert value in page


def test_a_changed_figure_is_put_right() -> None:
    page, cards = PAGES["gan.md"], weights.all_cards()
    changed = weights.FIGURES.sub(lambda m: m[0].replace("9", "8"), page)
    assert changed != page
    assert weights.FIGURES.sub(lambda m: m[1] + weights.figures(m[2].split(), cards) + m[3], changed) == page


def test_no_path_of_a_machine_is_in_the_pages() -> None:
    for text in (README, *PAGES.values()):
        assert not re.search(r"/(home|work|root|Users)/", text)


def test_mentioned_modules_are_there() -> None:
    for text in PAGES.values():
        for file in re.findall(r"`((?:tests|benchmarks|train|tasks)/[\w/]+\.py)`", text):
            assert Path(ROOT / file).is_file(), file
