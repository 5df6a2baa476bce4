"""The bundled text-to-image model: what it draws, and what it answers to odd settings."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from tasks.core.images import ImageError
from tasks.text_to_image import TextToImage
from tasks.text_to_image.concepts import COLOURS
from tasks.text_to_image.generator import Given
from tasks.text_to_image.tab.generate import EXAMPLES

FEW: dict[str, Any] = {"n_steps": 8}


@pytest.fixture(scope="module")
def model() -> TextToImage:
    loaded = TextToImage.load()
    assert isinstance(loaded, TextToImage)
    return loaded


def corners(images: np.ndarray) -> np.ndarray:
    """(n, 3): the median colour of each image's corners."""
    ends = (slice(0, 3), slice(-3, None))
    parts = [images[:, y, x].reshape(len(images), -1, 3) for y in ends for x in ends]
    return np.median(np.concatenate(parts, 1), 1)


@pytest.mark.parametrize("colour", ["red", "blue", "green", "black"])
def test_background_has_the_colour_that_was_asked_for(model: TextToImage, colour: str) -> None:
    found = corners(model.generate(f"a fox on a {colour} background", 4, 0, **FEW))
    palette = np.array(list(COLOURS.values()))
    nearest = np.square(found[:, None] - palette).sum(2).argmin(1)
    assert [list(COLOURS)[k] for k in nearest] == [colour] * 4


def test_a_fox_is_orange_and_a_whale_is_blue(model: TextToImage) -> None:
    fox, whale = (model.generate(name, 1, 0, **FEW)[0].astype(int) for name in ("fox", "whale"))
    middle = np.s_[20:44, 20:44]
    assert (fox[middle][..., 0] - fox[middle][..., 2]).mean() > 60
    assert (whale[middle][..., 2] - whale[middle][..., 0]).mean() > 20


@pytest.mark.parametrize(
    ("prompt", "colour"),
    [
        ("橙色背景上的企鹅", "orange"),
        ("un cohete sobre fondo negro", "black"),
        ("🎸 on yellow", "yellow"),
    ],
)
def test_examples_have_their_background(model: TextToImage, prompt: str, colour: str) -> None:
    assert [prompt] in EXAMPLES
    found = corners(model.generate(prompt, 4, 0))
    assert np.abs(found - COLOURS[colour]).max() < 40


def test_languages_lead_to_the_same_image(model: TextToImage) -> None:
    images = [
        model.generate(p, 1, 3, **FEW) for p in ("a fox", "ein Fuchs", "un zorro", "狐狸", "🦊")
    ]
    assert all(np.array_equal(images[0], other) for other in images[1:])


def test_image_depends_on_seed_and_number_only(model: TextToImage) -> None:
    four = model.generate("a cat", 4, 5, **FEW)
    assert np.array_equal(four, model.generate("a cat", 4, 5, **FEW))
    assert np.abs(four[:2].astype(int) - model.generate("a cat", 2, 5, **FEW)).max() <= 2
    assert not np.array_equal(four, model.generate("a cat", 4, 6, **FEW))


def test_steps_maps_and_a_word_switched_off(model: TextToImage) -> None:
    steps = list(model.steps("a fox on a blue background", 2, 0, n_steps=6))
    assert [s.i for s in steps] == [1, 2, 3, 4, 5, 6]
    last = steps[-1]
    assert last.images.shape == last.noisy.shape == (2, 64, 64, 3)
    assert last.maps.shape == (2, 3, 8, 8) and last.latents.shape == (2, 16, 16, 4)
    assert last.maps.min() >= 0 and last.maps.sum(1).max() <= 1 + 1e-4
    blue = corners(last.images)
    *_, off = model.steps("a fox on a (blue:0) background", 2, 0, n_steps=6)
    assert off.maps[:, 1].max() < 0.01
    assert corners(off.images).min() > 200 > blue[:, 0].max()  # white again


def test_walk_begins_and_ends_at_its_prompts(model: TextToImage) -> None:
    *_, walk = model.walk("a fox", "a frog", 3, 0, n_steps=8)
    ends = [
        list(model.steps(p, 3, 0, n_steps=8, same_noise=True))[-1].images
        for p in ("a fox", "a frog")
    ]
    first, last = (walk.images[k].astype(float) for k in (0, 2))
    for image, own, other in ((first, *ends), (last, *ends[::-1])):
        assert np.abs(image - own[0]).mean() < np.abs(image - other[0]).mean()


def test_painting_keeps_what_is_not_painted(model: TextToImage) -> None:
    image = model.generate("pizza", 1, 0, **FEW)[0]
    mask = np.zeros((64, 64), bool)
    mask[:, 32:] = True
    painted = model.generate("a fox on blue", 1, 0, given=Given(image, 1.0, mask), **FEW)[0]
    kept = model.decode(model.encode(image[None]))[0].astype(float)
    change = np.abs(painted - kept)
    assert change[:, :24].mean() < 6 < change[:, 40:].mean()


def test_strength_says_how_much_stays(model: TextToImage) -> None:
    image = model.generate("pizza", 1, 0, **FEW)[0]
    kept = model.decode(model.encode(image[None]))[0].astype(float)
    far = [
        float(np.abs(model.generate("a fox", 1, 0, given=Given(image, s), **FEW)[0] - kept).mean())
        for s in (0.1, 0.5, 1.0)
    ]
    assert far[0] < far[1] < far[2]


def test_as_a_pipeline_of_diffusers_it_makes_the_same_images(model: TextToImage) -> None:
    """With diffusers' scheduler in place of our own steps."""
    from tasks.text_to_image.diffusers_pipeline import as_pipeline

    ours = model.generate("a fox on blue", 2, 4, n_steps=6, guidance=3.0)
    made = as_pipeline(model)(
        ["a fox on blue"] * 2,
        num_inference_steps=6,
        guidance_scale=3.0,
        latents=model._noise(2, 4, same=False),
    )
    for image, expected in zip(made.images, ours, strict=True):
        assert np.abs(np.asarray(image).astype(int) - expected).max() <= 2
    drawn = as_pipeline(model)("a fox", generator=torch.Generator().manual_seed(0))
    assert drawn.images[0].size == (64, 64)


def test_decoded_image_is_near_the_encoded_one(model: TextToImage) -> None:
    image = model.generate("tulip", 1, 0, **FEW)
    again = model.decode(model.encode(image)).astype(float)
    assert 10 * math.log10(255**2 / float(np.square(again - image).mean())) > 24


BAD: dict[str, dict[str, Any]] = {
    "no text": {"prompt": 7},
    "two thousand words": {"prompt": "fox " * 2000},
    "no steps": {"n_steps": 0},
    "5000 steps": {"n_steps": 5000},
    "guidance NaN": {"guidance": math.nan},
    "guidance as a text": {"guidance": "high"},
    "no images": {"n": 0},
    "a negative seed": {"seed": -1},
    "a style that is not there": {"style": "oil"},
    "as many guidances as images": {"guidance": [1.0, 2.0], "n": 3},
}


@pytest.mark.parametrize("name", BAD)
def test_bad_settings_are_answered_with_a_sentence(model: TextToImage, name: str) -> None:
    asked: dict[str, Any] = {"prompt": "a fox", "n": 1, "seed": 0} | BAD[name]
    with pytest.raises(ImageError, match=r"\w+ .*\.$"):
        list(model.steps(**asked))


@pytest.mark.parametrize("prompt", ["", "   ", "<script>alert(1)</script>", "кириллица латиница"])
def test_a_prompt_without_known_words_draws_something(model: TextToImage, prompt: str) -> None:
    assert model.generate(prompt, 1, 0, n_steps=2).shape == (1, 64, 64, 3)


def test_a_damaged_file_is_named(tmp_path: Any) -> None:
    from shutil import copy

    from tasks.core import weights
    from tasks.core.weights import WeightsError

    for file in weights.FOLDER.glob("text_to_image*"):
        copy(file, tmp_path)
    (tmp_path / "text_to_image.safetensors").write_bytes(b"broken")
    with pytest.raises(WeightsError, match="text_to_image"):
        TextToImage.load(folder=tmp_path)
