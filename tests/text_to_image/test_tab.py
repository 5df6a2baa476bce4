"""The text-to-image tab through the running app: /text_to_image from outside, and its widgets."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from PIL import Image

from tasks.core.images import ImageError
from tasks.text_to_image.tab import generate, paint, strips, word_maps

NAME = "/text_to_image"


@pytest.fixture(scope="module")
def client(app_url: str) -> Iterator[Client]:
    connected = Client(app_url, verbose=False)
    yield connected
    connected.close()


def ask(client: Client, **settings: Any) -> np.ndarray:
    path = client.predict(**{"steps": 4, **settings}, api_name=NAME)
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_without_settings_four_images_come(client: Client) -> None:
    with Image.open(client.predict(api_name=NAME)) as image:
        assert image.size == (129, 129)  # two by two, a pixel between them


def test_a_seed_gives_the_same_image(client: Client) -> None:
    one = ask(client, prompt="a fox", n=1, seed=3)
    assert np.array_equal(one, ask(client, prompt="a fox", n=1, seed=3))
    assert not np.array_equal(one, ask(client, prompt="a fox", n=1, seed=4))


BAD: dict[str, dict[str, Any]] = {
    "2,000 words": {"prompt": "fox " * 2000},
    "steps 0": {"steps": 0},
    "steps 5000": {"steps": 5000},
    "guidance NaN": {"guidance": "nan"},
    "ten images": {"n": 10},
    "a style that is not there": {"style": "oil"},
    "a fraction for a seed": {"seed": 1.5},
}


@pytest.mark.parametrize("name", BAD)
def test_bad_settings_get_a_sentence(client: Client, name: str) -> None:
    with pytest.raises(AppError, match=r"\.$"):
        ask(client, **BAD[name])


@pytest.mark.parametrize("prompt", ["", "🦊", "狐狸", "<img src=x onerror=alert(1)>"])
def test_odd_prompts_draw_something(client: Client, prompt: str) -> None:
    assert ask(client, prompt=prompt, n=1).shape == (64, 64, 3)


def test_markup_in_a_prompt_is_text() -> None:
    model, settings = generate.check_request("<b>fox</b> <i>", 1, 0, 2, 3, "noto", "")
    caption = model.read(settings["prompt"])
    html = word_maps.reading_html(caption, model.vocabulary, 1)
    html += word_maps.words_html(caption, np.zeros((1, len(caption.words), 8, 8)))
    assert "<b>" not in html and "<i>" not in html and "fox" in html


def test_suggestions_are_asked_for_by_anything() -> None:
    assert "guitar" in generate.suggest_words({"text": "guit", "language": "en"})["words"]
    odd: list[Any] = [None, [], {"text": {}}, {"text": "a", "language": "x" * 99}, "text"]
    assert all("words" in generate.suggest_words(value) for value in odd)


def test_names_in_nine_languages() -> None:
    model, _ = generate.check_request("fox", 1, 0, 2, 3, "noto", "")
    named = strips.named_in_languages(model, "un zorro azul", "noto")
    assert named[:3] == ["fox", "Fuchs", "renard"]
    with pytest.raises(ImageError, match="Name a thing"):
        strips.named_in_languages(model, "two", "noto")


def canvas(side: int = 200) -> dict[str, Any]:
    return {"background": np.full((side, side + 40, 4), 255, np.uint8), "layers": []}


def test_what_an_editor_sends() -> None:
    value = canvas()
    image, mask = paint.read_editor(value)
    assert image.shape == (64, 64, 3) and mask is None
    layer = np.zeros_like(value["background"])
    layer[:, 140:, 3] = 255  # of 240 columns, of which the middle 200 are kept
    _, mask = paint.read_editor(value | {"layers": [layer]})
    assert mask is not None and not mask[:, :36].any() and mask[:, 40:].all()


@pytest.mark.parametrize("value", [None, {}, {"background": None, "layers": []}, 7, "text"])
def test_without_an_image_a_sentence_says_so(value: Any) -> None:
    with pytest.raises(ImageError, match="image first"):
        paint.begin_paint(value, "a fox", 0.5, 0, "noto")


@pytest.mark.parametrize("strength", [None, "much", 0, 2, float("nan"), True])
def test_a_strength_out_of_range_is_refused(strength: Any) -> None:
    with pytest.raises(ImageError, match="strength"):
        paint.begin_paint(canvas(), "a fox", strength, 0, "noto")


def test_what_the_latent_keeps() -> None:
    strip, said = paint.show_latents(canvas())
    assert strip.dtype == np.uint8 and strip.shape[1] == 7 * 68 * 3
    assert " dB" in said
