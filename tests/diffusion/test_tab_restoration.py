"""A given image and the diffusion model, as digit and in colour: runs that the page starts, and the
endpoints.

Untrained networks: what is measured is that known pixels, means and sizes hold, and what is said to
bad values.
"""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from tasks import loaders
from tasks.core import weights
from tasks.core.images import ImageError
from tasks.diffusion import restore
from tasks.diffusion.generator import DiffusionGenerator
from tasks.diffusion.tab import api, restoration, reversible_noise, samplers
from tasks.networks.diffusion_unet import DiffusionUNet
from tests.diffusion.test_generator import CONFIG, card
from tests.diffusion.test_tab import SHIPPED, base64_of, run_to_the_end

RNG = np.random.default_rng(0)
PHOTO = {**CONFIG, "channels": 3, "side": 32}
FILL, ENLARGE, BACK = "/inpaint_by_diffusion", "/super_resolve_by_diffusion", "/noise_and_denoise"
SIDES = {"mnist": (28, 1), "cifar10": (32, 3)}


@pytest.fixture(autouse=True)
def small_networks(monkeypatch: pytest.MonkeyPatch) -> dict[str, DiffusionGenerator]:
    torch.manual_seed(0)
    made = {
        "mnist": DiffusionGenerator(DiffusionUNet(**CONFIG), card()),  # type: ignore[arg-type]
        "cifar10": DiffusionGenerator(DiffusionUNet(**PHOTO), card(**PHOTO)),  # type: ignore[arg-type]
    }
    monkeypatch.setattr(loaders, "diffusion_generator", made.__getitem__)
    return made


def image_of(name: str) -> np.ndarray:
    side, channels = SIDES[name]
    shape = (side, side) if channels == 1 else (side, side, channels)
    return RNG.integers(60, 200, shape, np.uint8)


def value_of(name: str, times: int = 4) -> dict[str, Any]:
    """What a pad sends."""
    side, channels = SIDES[name]
    image = image_of(name)
    mask = np.zeros((side, side), np.uint8)
    mask[side // 2 :] = 1
    h = side // times
    means = image.reshape(h, times, h, times, channels).mean((1, 3)).round().astype(np.uint8)
    noisy = np.zeros((side, side, channels), np.int16)
    return {
        "model": name,
        "drawn": True,
        "picture": base64_of(image),
        "mask": base64_of(mask),
        "times": times,
        "small": base64_of(means),
        "noisy": base64_of(noisy),
        "t": 20,
        "pixels": image,
    }


def pixels(panel: dict[str, Any]) -> np.ndarray:
    n, h, w, c = panel["shape"]
    return np.frombuffer(base64.b64decode(panel["data"]), np.uint8).reshape(n, h, w, c)


@pytest.mark.parametrize("name", SIDES)
def test_inpainting_keeps_what_is_not_hidden(name: str) -> None:
    value = value_of(name)
    frames = run_to_the_end(restoration.begin_inpaint(value, "any", 3, 2, 0))
    filled, half = pixels(frames[-1]["panels"][0]), SIDES[name][0] // 2
    assert filled.shape == (3, SIDES[name][0], SIDES[name][0], SIDES[name][1])
    for one in filled:
        assert np.array_equal(one[:half].squeeze(), value["pixels"][:half])
    assert not np.array_equal(filled[0], filled[1])


@pytest.mark.parametrize("times", [2, 4])
@pytest.mark.parametrize("name", SIDES)
def test_super_resolution_keeps_the_means_and_says_how_well(name: str, times: int) -> None:
    value = value_of(name, times)
    frames = run_to_the_end(restoration.begin_enlarge(value, "any", 2, 3, 0))
    bicubic, _, made = (pixels(panel) for panel in frames[-1]["panels"])
    side, channels = SIDES[name]
    assert bicubic.shape == (1, side, side, channels) and made.shape == (2, side, side, channels)
    h = side // times
    small = np.frombuffer(base64.b64decode(value["small"]), np.uint8).reshape(h, h, channels)
    means = made.reshape(2, h, times, h, times, channels).mean((2, 4))
    assert np.abs(means - small).max() < 1.5
    assert "grey levels" in frames[-1]["text"] and "bicubic" in frames[-1]["text"]


@pytest.mark.parametrize("name", SIDES)
def test_denoising_shows_predictions(name: str) -> None:
    frames = run_to_the_end(restoration.begin_denoise(value_of(name), 2))
    assert [panel["shape"] for panel in frames[-1]["panels"]] == [
        [1, SIDES[name][0], SIDES[name][0], SIDES[name][1]]
    ] * 3
    said = frames[-1]["text"]
    assert "grey levels" in said and "Prediction of the classifier" in said


@pytest.mark.parametrize("name", SIDES)
def test_images_are_classified_by_the_classifier_of_their_data_set(name: str) -> None:
    names = weights.read_card(f"diffusion_{name}").classes
    ((label, probability),) = reversible_noise.predict(name, value_of(name)["pixels"][None])
    assert label in names and 0 <= probability <= 1


# -- reversible noise ------------------------------------------------------------------------------


def test_noise_and_denoise_uses_the_same_noise_at_each_time(
    small_networks: dict[str, DiffusionGenerator],
) -> None:
    generator, image = small_networks["mnist"], image_of("mnist")
    steps = list(restore.noise_and_denoise(generator, image, 3, 1, (1, 500, 1000), 4))
    assert [s.t for s in steps] == [1, 500, 1000] and all(
        s.x_t.shape == s.x0.shape == (3, 28, 28, 1) for s in steps
    )
    assert np.abs(steps[0].x_t - (image / 127.5 - 1)[..., None]).max() < 0.2  # hardly any noise
    a = np.corrcoef(steps[1].x_t[0].ravel(), steps[2].x_t[0].ravel())[0, 1]
    assert a > 0.5 and not np.array_equal(steps[2].x_t[0], steps[2].x_t[1])
    with pytest.raises(ImageError):
        next(restore.noise_and_denoise(generator, image, 3, 1, (0,), 4))


@pytest.mark.parametrize("name", SIDES)
def test_reversible_noise_draws_a_curve(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A classifier that reads the original, and images near it, as 7."""
    value = value_of(name)
    original = value["pixels"].astype(float)

    def predict(_: str, images: np.ndarray) -> list[tuple[str, float]]:
        return [("7" if np.abs(one - original).mean() < 30 else "1", 0.9) for one in images]

    monkeypatch.setattr(reversible_noise, "predict", predict)
    monkeypatch.setattr(reversible_noise, "TIMES", (5, 500, 1000))
    monkeypatch.setattr(reversible_noise, "STEPS", 2)
    frames = run_to_the_end(reversible_noise.begin_reversible(value, 0))
    assert (
        len(frames) == 3
        and [p["shape"][0] for p in frames[0]["panels"]] == [reversible_noise.NOISES] * 2
    )
    assert (
        "9 are classified as 7" in frames[0]["text"]
        and "0 are classified as 7" in frames[2]["text"]
        and "others as 1" in frames[2]["text"]
    )
    assert "All images keep their class up to t = 5" in frames[2]["text"]
    seen = [sum(x >= 0 for x, _ in frame["dots"]) for frame in frames]
    assert seen == [3, 5, 7]  # the ring and two more a step
    assert reversible_noise.share_chart().count("class='dot'") == 1 + 2 * 3


@pytest.mark.parametrize(
    "value", [None, {}, {"model": "mnist"}, {"model": "faces", "drawn": True}], ids=repr
)
def test_reversible_noise_of_nothing(value: Any) -> None:
    with pytest.raises(ImageError):
        reversible_noise.begin_reversible(value, 0)
    with pytest.raises(ImageError, match="seed"):
        reversible_noise.begin_reversible(value_of("mnist"), -1)


# -- the endpoints' functions, in colour and grey --------------------------------------------------


@pytest.mark.parametrize("name", SIDES)
def test_endpoints_take_images_of_any_size(name: str) -> None:
    side, _ = SIDES[name]
    large = RNG.integers(0, 256, (90, 120, 3), np.uint8)
    mask = np.zeros((90, 120), np.uint8)
    mask[45:] = 255
    assert api.inpaint_by_diffusion(large, mask, name, "any", 4, 2, 0).shape == (
        2 * side + 1,
        2 * side + 1,
        3,
    )
    assert api.super_resolve_by_diffusion(large, name, side // 4, "3", 1, 2, 0).shape == (
        side,
        side,
        3,
    )
    row = api.noise_and_denoise(large, name, 300, 2, 0)
    assert row.shape == (side, 3 * side, 3)
    untouched = api.noise_and_denoise(large, name, 0, 2, 0)  # t = 0 gives the image back
    assert np.array_equal(untouched[:, :side], untouched[:, side : 2 * side])
    assert np.array_equal(untouched[:, :side], untouched[:, 2 * side :])


def test_too_much_work_is_refused_with_what_would_do() -> None:
    with pytest.raises(ImageError, match="at most 8 images in 250 steps"):
        restoration.begin_inpaint(value_of("cifar10"), "any", 16, 250, 0)


# -- the endpoints through the app -----------------------------------------------------------------


@pytest.fixture(scope="module")
def client(app_url: str) -> Iterator[Client]:
    connected = Client(app_url, verbose=False)
    yield connected
    connected.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A digit, masks over its lower half, nothing and everything; a text file called .png."""
    folder = tmp_path_factory.mktemp("pictures")
    digit = np.zeros((28, 28), np.uint8)
    digit[4:24, 12:16] = 255
    half = np.zeros((28, 28), np.uint8)
    half[14:] = 255
    arrays = {"digit": digit, "half": half, "nothing": half * 0, "everything": half * 0 + 255}
    for key, array in arrays.items():
        Image.fromarray(array).save(folder / f"{key}.png")
    (folder / "text.png").write_text("no image", encoding="utf-8")
    return {key: handle_file(Path(folder / f"{key}.png")) for key in (*arrays, "text")}


def read(answer: Any) -> np.ndarray:
    return np.asarray(
        Image.open(answer["path"] if isinstance(answer, dict) else answer).convert("L")
    )


@SHIPPED
def test_endpoints_answer_through_the_app(client: Client, files: dict[str, Any]) -> None:
    filled = read(
        client.predict(
            files["digit"], files["half"], "mnist", "1", 1, 3, 0, api_name="/inpaint_by_diffusion"
        )
    )
    digit = np.zeros((14, 28))
    digit[4:, 12:16] = 255
    assert filled.shape == (28, 28) and np.array_equal(filled[:14], digit)
    large = read(client.predict(files["digit"], "mnist", 14, "1", 1, 3, 0, api_name=ENLARGE))
    assert large.shape == (28, 28) and large[8:20, 12:16].mean() > 200
    row = read(client.predict(files["digit"], "mnist", 200, 3, 0, api_name=BACK))
    assert row.shape == (28, 84) and row[8:20, 56 + 12 : 56 + 16].mean() > 150


BAD: dict[str, tuple[str, list[Any], str]] = {
    "a mask over nothing": (
        FILL,
        ["digit", "nothing", "mnist", "any", 1, 2, 0],
        "Paint over a part",
    ),
    "a mask over everything": (
        FILL,
        ["digit", "everything", "mnist", "any", 1, 2, 0],
        "Paint over a part",
    ),
    "no mask": (FILL, ["digit", None, "mnist", "any", 1, 2, 0], "No image came"),
    "no image": (FILL, [None, "half", "mnist", "any", 1, 2, 0], "No image came"),
    "a text file": (FILL, ["text", "half", "mnist", "any", 1, 2, 0], "not an image"),
    "0 steps": (FILL, ["digit", "half", "mnist", "any", 1, 0, 0], "1 to 250 steps"),
    "5000 steps": (ENLARGE, ["digit", "mnist", 7, "any", 1, 5000, 0], "1 to 250 steps"),
    "0 images": (ENLARGE, ["digit", "mnist", 7, "any", 0, 2, 0], "1 to 16 images"),
    "unknown class": (ENLARGE, ["digit", "mnist", 7, "cat", 1, 2, 0], "Classes are 0, 1"),
    "a size that is not offered": (ENLARGE, ["digit", "mnist", 9, "any", 1, 2, 0], "7 or 14 px"),
    "a seed of -1": (ENLARGE, ["digit", "mnist", 7, "any", 1, 2, -1], "seed"),
    "t = 1001": (BACK, ["digit", "mnist", 1001, 2, 0], "0 to 1000"),
    "t = 2.5": (BACK, ["digit", "mnist", 2.5, 2, 0], "whole number"),
    "5000 steps back": (BACK, ["digit", "mnist", 300, 5000, 0], "1 to 1000"),
    "unknown model": (BACK, ["digit", "faces", 300, 2, 0], "choices"),
}


@SHIPPED
@pytest.mark.parametrize("name", BAD)
def test_bad_values_are_answered_with_a_sentence(
    client: Client, files: dict[str, Any], name: str
) -> None:
    endpoint, arguments, said = BAD[name]
    sent = [files.get(a, a) if isinstance(a, str) else a for a in arguments]
    with pytest.raises(AppError) as caught:
        client.predict(*sent, api_name=endpoint)
    assert said in str(caught.value) and "went wrong" not in str(caught.value)


# -- the table of samplers -------------------------------------------------------------------------


def test_measures_of_the_samplers_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"agreement": 99.5, "n": 500, "seconds": 0.0412}
    table = {
        "ddim": {"5": row, "1000": {**row, "n": 10, "seconds": 4.2}},
        "unipc": {"5": {**row, "times_floor": 1.37}},
    }
    shown = card()
    shown.tables["samplers"] = table
    monkeypatch.setattr(weights, "read_card", lambda name: shown)
    html = samplers.measured("mnist")
    assert html.index("UniPC") < html.index("DDIM") and "DPM" not in html
    assert "1.4 × floor" in html and "41 ms" in html and "4.2 s" in html and "1000 steps" in html
    shown.tables.clear()
    assert samplers.measured("mnist") == ""
