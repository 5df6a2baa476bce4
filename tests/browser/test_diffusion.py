"""The diffusion tab as a visitor uses it: steps drawn as they come, scrubbed in the page, stopped,
saved, steered."""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, Request, expect

from tasks.core import weights
from tests.browser.conftest import OpenPage, choose

SHIPPED = pytest.mark.skipif(
    not (weights.FOLDER / "diffusion_mnist.json").is_file(),
    reason="weights/diffusion_mnist.json is not there",
)
pytestmark = SHIPPED
DONE = 120_000  # ms: a run on cores that others use, too


def diffusion(page: Page, name: str = "") -> Page:
    choose(page, "Diffusion")
    if name:
        choose(page, name)
    return page


def settle(page: Page, n: int = 4, steps: int = 8) -> None:
    """Fewer pictures and steps than the page suggests: two busy cores are slow."""
    page.get_by_label("number input for Images").fill(str(n))
    page.locator("#diffusion-steps input").click()
    page.get_by_role("option", name=str(steps), exact=True).click()


def generate(page: Page, n: int = 4, steps: int = 8) -> None:
    settle(page, n, steps)
    page.locator("#diffusion-go").click()


def wait_for_end(page: Page, player: str = "#diffusion-player") -> None:
    expect(page.locator(f"{player} .save")).to_be_visible(timeout=DONE)


def grey(page: Page, canvas: str, k: int = 0) -> np.ndarray:
    """(h, w): the red channel of the k-th such canvas."""
    drawn = (
        page.locator(canvas)
        .nth(k)
        .evaluate(
            "c => ({w: c.width, h: c.height, v: [...c.getContext('2d').getImageData(0, 0, c.width, "
            "c.height).data]"
            ".filter((_, i) => i % 4 === 0)})"
        )
    )
    return np.array(drawn["v"]).reshape(drawn["h"], drawn["w"])


def panel(page: Page, player: str = "#diffusion-player", k: int = 0) -> np.ndarray:
    return grey(page, f"{player} .screen canvas", k)


def requests_of(page: Page) -> list[str]:
    """A list that grows with every request from now on, but the heartbeat and what other tabs ask
    until the models are ready: the header for them, Start for its example."""
    seen: list[str] = []

    def note(request: Request) -> None:
        sent = request.post_data or ""
        others = any(name in sent for name in ("readiness", "classify_drawing"))
        if request.url.startswith("http") and "heartbeat" not in request.url and not others:
            called = re.search(r'"fn_name":\s*"(\w+)"', sent)
            seen.append(f"{request.url} {called[1] if called else ''}".strip())

    page.on("request", note)
    return seen


@pytest.fixture
def made(open_page: OpenPage) -> Iterator[Page]:
    """A page with eight steps of four digits, done."""
    page = diffusion(open_page())
    generate(page)
    wait_for_end(page)
    yield page


def test_every_step_is_drawn_as_it_comes(open_page: OpenPage) -> None:
    page = diffusion(open_page())
    expect(page.locator("#diffusion-player .status")).to_contain_text("Example")
    expect(page.locator("#diffusion-player .save")).to_be_hidden()
    page.evaluate(
        "() => { window.titles = []; const t = document.querySelector('#diffusion-player .title');"
        " new MutationObserver(() => titles.push(t.textContent)).observe(t, {childList: true}); }"
    )
    generate(page)
    wait_for_end(page)
    titles = list(dict.fromkeys(page.evaluate("titles")))
    assert len(titles) == 8 and titles[-1].startswith(
        "Step 8 of 8"
    )  # each of them, not only the end
    assert all(re.match(r"Step \d of 8: t = \d+ → \d+", t) for t in titles)
    expect(page.locator("#diffusion-player .status")).to_contain_text(
        re.compile(r"8 steps in .* ms each, on ")
    )
    assert panel(page).shape == (57, 57) and panel(page).std() > 40
    assert "x̂" in page.locator("#diffusion-player .formula").inner_text()
    assert page.locator("#diffusion-player .dot").first.get_attribute("d")
    assert page.problems == []  # type: ignore[attr-defined]


def test_scrubbing_needs_no_server(made: Page) -> None:
    seen = requests_of(made)
    scrub = made.locator("#diffusion-player .scrub")
    pictures, dots, texts = [], [], []
    for at in (0, 3, 7, 0):
        scrub.fill(str(at))
        expect(made.locator("#diffusion-player .title")).to_contain_text(f"Step {at + 1} of 8")
        pictures.append(panel(made))
        dots.append(made.locator("#diffusion-player .dot").first.get_attribute("d"))
        texts.append(made.locator("#diffusion-player .text").inner_text())
    assert np.array_equal(pictures[0], pictures[3])
    assert not np.array_equal(pictures[0], pictures[1]) and not np.array_equal(
        pictures[1], pictures[2]
    )
    assert len(set(dots)) == 3 and len(set(texts)) == 3
    assert panel(made, k=1).std() > 5
    made.locator("#diffusion-player .play").click()
    expect(made.locator("#diffusion-player .title")).to_contain_text("Step 8 of 8")
    assert seen == []


def test_play_pause_and_single_steps(made: Page) -> None:
    player = made.locator("#diffusion-player")
    title = player.locator(".title")
    expect(player.locator(".on")).to_be_disabled()
    player.locator(".back").click()
    expect(title).to_contain_text("Step 7 of 8")
    player.locator(".on").click()
    expect(title).to_contain_text("Step 8 of 8")
    player.locator(".speed").select_option("2")
    player.locator(".play").click()  # from the end: from the beginning
    expect(player.locator(".play")).to_have_text("Pause")
    expect(title).to_contain_text("Step 2 of 8")
    player.locator(".play").click()
    expect(player.locator(".play")).to_have_text("Play")
    held = title.inner_text()
    made.wait_for_timeout(900)
    assert title.inner_text() == held
    player.locator(".speed").select_option("30")
    player.locator(".play").click()
    expect(title).to_contain_text("Step 8 of 8")
    expect(player.locator(".play")).to_have_text("Play")


def test_the_slider_by_keyboard(made: Page) -> None:
    scrub, title = (
        made.locator("#diffusion-player .scrub"),
        made.locator("#diffusion-player .title"),
    )
    scrub.focus()
    for key, step in (
        ("ArrowLeft", 7),
        ("ArrowLeft", 6),
        ("ArrowRight", 7),
        ("Home", 1),
        ("End", 8),
    ):
        made.keyboard.press(key)
        expect(title).to_contain_text(f"Step {step} of 8")
    assert "Step 8" in (scrub.get_attribute("aria-valuetext") or "")
    made.locator("#diffusion-player .play").focus()
    made.keyboard.press("Enter")
    expect(made.locator("#diffusion-player .play")).to_have_text("Pause")


def test_stop_ends_early_and_keeps_what_is_there(open_page: OpenPage) -> None:
    page = diffusion(open_page())
    generate(page, 16, 500)
    player = page.locator("#diffusion-player")
    expect(player.locator(".title")).to_contain_text(
        re.compile(r"Step ([2-9]|\d\d+) of 500"), timeout=DONE
    )
    player.locator(".stop").click()
    wait_for_end(page)
    said = re.search(r"Stopped after (\d+) of 500", player.locator(".status").inner_text())
    assert said is not None
    n = int(said.group(1))
    assert 2 <= n < 400 and player.locator(".scrub").get_attribute("max") == str(n - 1)
    expect(player.locator(".stop")).to_be_hidden()
    player.locator(".scrub").fill("0")
    expect(player.locator(".title")).to_contain_text("Step 1 of 500")
    generate(page, 1, 2)  # and the cores are free again
    expect(player.locator(".status")).to_contain_text("2 steps in", timeout=DONE)


def test_files(made: Page, tmp_path: Path) -> None:
    made.locator("#diffusion-player .scrub").fill("3")
    with made.expect_download() as png:
        made.get_by_role("button", name="This step as PNG").locator("visible=true").click()
    assert png.value.suggested_filename == "diffusion_mnist-generated-seed0.png"
    picture = Image.open(io.BytesIO(Path(png.value.path()).read_bytes()))
    settings = json.loads(str(picture.info["settings"]))
    usual = weights.read_card("diffusion_mnist").preprocess["guidance"]
    asked = {"seed": 0, "n": 4, "n_steps": 8, "sampler": "unipc", "guidance": usual}
    assert {key: settings[key] for key in asked} == asked
    assert settings["moment"].startswith("Step 4 of 8")
    for name, head in (("All as GIF", b"GIF89a"), ("All as MP4", b"ftyp")):
        with made.expect_download() as got:
            made.get_by_role("button", name=name).locator("visible=true").click()
        assert head in Path(got.value.path()).read_bytes()[
            :16
        ] or got.value.suggested_filename.endswith(".webm")


def test_the_same_seed_is_the_same_picture(made: Page) -> None:
    first = panel(made)
    made.locator("#diffusion-go").click()
    expect(made.locator("#diffusion-player .save")).to_be_hidden()
    wait_for_end(made)
    assert np.array_equal(panel(made), first)
    made.locator("#diffusion-seed input").fill("1")
    made.locator("#diffusion-go").click()
    expect(made.locator("#diffusion-player .save")).to_be_hidden()
    wait_for_end(made)
    assert not np.array_equal(panel(made), first)


def test_a_bad_setting_is_answered_with_a_sentence(open_page: OpenPage) -> None:
    page = diffusion(open_page())
    page.locator("#diffusion-seed input").fill("-1")
    page.locator("#diffusion-go").click()
    expect(page.locator(".toast-body")).to_contain_text("The seed is a whole number", timeout=DONE)
    expect(page.locator("#diffusion-player .status")).not_to_contain_text("Starting")
    page.locator("#diffusion-seed input").fill("0")
    generate(page, 1, 2)
    wait_for_end(page)


# -- every screen, several visitors ----------------------------------------------------------------


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_on_a_phone(open_page: OpenPage, theme: str) -> None:
    page = diffusion(open_page(width=390, height=844, theme=theme, touch=True))
    generate(page, 4, 3)
    wait_for_end(page)
    for name in ("", "Noise and denoise", "Inpaint", "Super-resolve", "Samplers side by side"):
        if name:
            choose(page, name)
            page.wait_for_timeout(300)
        assert page.evaluate("document.scrollingElement.scrollWidth") <= 390, name
    corner = Image.open(io.BytesIO(page.screenshot())).convert("RGB").getpixel((1, 1))
    assert isinstance(corner, tuple)
    assert (sum(corner) < 200) == (theme == "dark")
    assert page.problems == []  # type: ignore[attr-defined]


def test_two_visitors_take_turns(open_page: OpenPage) -> None:
    first, second = diffusion(open_page()), diffusion(open_page())
    settle(second, 1, 3)
    generate(first, 16, 100)
    expect(first.locator("#diffusion-player .title")).to_contain_text("of 100", timeout=DONE)
    second.locator("#diffusion-go").click()
    expect(second.locator("#diffusion-player .status")).to_contain_text(
        "In the queue: 1 before you", timeout=DONE
    )
    first.locator("#diffusion-player .stop").click()
    wait_for_end(first)
    wait_for_end(second)
    expect(second.locator("#diffusion-player .status")).to_contain_text("3 steps in")


def test_the_run_of_a_closed_page_ends(open_page: OpenPage) -> None:
    gone, stays = diffusion(open_page()), diffusion(open_page())
    settle(stays, 1, 2)
    generate(gone, 16, 1000)  # minutes, if nobody ended it
    expect(gone.locator("#diffusion-player .title")).to_contain_text("of 1000", timeout=DONE)
    gone.close()
    stays.locator("#diffusion-go").click()
    expect(stays.locator("#diffusion-player .status")).to_contain_text("2 steps in", timeout=40_000)


def test_text_to_image_with_a_pipeline_in_a_folder(open_page: OpenPage, tmp_path: Path) -> None:
    from tests.text_to_image.tiny_pipeline import tiny

    tiny(tmp_path / "words").save_pretrained(tmp_path / "tiny", safe_serialization=True)
    page = open_page(width=390)
    choose(page, "Text to image", "Larger pipelines")
    name = page.locator("#text-model input")
    name.fill(str(tmp_path / "tiny"))
    name.press("Enter")
    page.locator("#text-look").click()
    expect(page.locator("#text-facts")).to_contain_text("nothing, its files are here")
    expect(page.locator("#text-facts")).to_contain_text("GB are free")
    page.locator("#text-steps input").fill("3")
    page.locator("#text-go").click()
    wait_for_end(page, "#text-player")
    expect(page.locator("#text-player .title")).to_have_text("The image, decoded")
    with page.expect_download() as saved:
        page.get_by_role("link", name="The image as PNG").click()
    with Image.open(saved.value.path()) as picture:
        assert picture.size == (512, 512)
        assert json.loads(picture.text["settings"])["n_steps"] == 3  # type: ignore[attr-defined]
    page.locator("#text-player .back").click()
    expect(page.locator("#text-player .title")).to_contain_text("Step 3 of 3")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
