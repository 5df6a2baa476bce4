"""The diffusion tab through the running app: /generate_by_diffusion from outside, and what the
page's pads may send.
"""

import base64
import json
import math
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import gradio as gr
import numpy as np
import pytest
import torch
from gradio_client import Client
from gradio_client.exceptions import AppError
from PIL import Image

from tasks import loaders
from tasks.core import weights
from tasks.core.images import ImageError
from tasks.diffusion.generator import DiffusionGenerator
from tasks.diffusion.tab import generate, pad, restoration, samplers
from tasks.networks.diffusion_unet import DiffusionUNet
from tasks.ui import step_player
from tasks.ui.errors import BUG
from tests.diffusion.test_generator import CONFIG, card

NAME = "/generate_by_diffusion"
JPEG = "data:image/jpeg;base64,"
SHIPPED = pytest.mark.skipif(
    not (weights.FOLDER / "diffusion_mnist.json").is_file(),
    reason="weights/diffusion_mnist.json is not there",
)
SETTINGS: dict[str, Any] = {
    "data_set": "mnist",
    "label": "7",
    "n": 2,
    "seed": 5,
    "sampler": "unipc",
    "steps": 2,
    "guidance": 1.5,
}


@pytest.fixture(scope="module")
def client(app_url: str) -> Iterator[Client]:
    connected = Client(app_url, verbose=False)
    yield connected
    connected.close()


def made(client: Client, **settings: Any) -> np.ndarray:
    answer = client.predict(**{**SETTINGS, **settings}, api_name=NAME)
    path = answer["path"] if isinstance(answer, dict) else answer
    assert str(path).endswith(".png")
    return np.asarray(Image.open(path).convert("RGB"))


def test_the_endpoint_is_documented_and_the_inner_ones_are_not(client: Client) -> None:
    named = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    about = named[NAME]
    assert [p["parameter_name"] for p in about["parameters"]] == list(SETTINGS)
    assert all(p["parameter_has_default"] for p in about["parameters"])
    assert not {
        "/begin",
        "/begin_samplers",
        "/begin_inpaint",
        "/begin_enlarge",
        "/begin_denoise",
    } & set(named)


@SHIPPED
def test_a_seed_gives_the_same_image(client: Client) -> None:
    first, again, other = made(client), made(client), made(client, seed=6)
    assert first.shape == (28, 28 + 1 + 28, 3)
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    # the first of two is the only one
    assert np.abs(made(client, n=1)[:, :28].astype(int) - first[:, :28]).max() <= 1


@SHIPPED
@pytest.mark.parametrize(
    "settings",
    [
        {"label": "any"},
        {"label": "one of each"},
        {"sampler": "ddpm"},
        {"guidance": 0},
        {"guidance": 10},
        {"n": 5, "steps": 1},
    ],
    ids=str,
)
def test_other_settings(client: Client, settings: dict[str, Any]) -> None:
    image = made(client, **settings)
    assert image.shape[0] in (28, 57) and image.std() > 5


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "0 steps": ({"steps": 0}, "1 to 1000"),
    "5000 steps": ({"steps": 5000}, "1 to 1000"),
    "-1 steps": ({"steps": -1}, "1 to 1000"),
    "no steps": ({"steps": None}, "whole number"),
    "steps in words": ({"steps": "ten"}, "number"),
    "2.5 steps": ({"steps": 2.5}, "whole number"),
    "1e9 steps": ({"steps": 1e9}, "1 to 1000"),
    "0 images": ({"n": 0}, "1 to 64"),
    "1e9 images": ({"n": 1e9}, "1 to 64"),
    "1e9 images in 0 steps": ({"n": 1e9, "steps": 0, "label": "one of each"}, "1 to 64"),
    "-3 images": ({"n": -3}, "1 to 64"),
    "too much work": ({"n": 64, "steps": 1000}, "24 images in 1000 steps"),
    "a negative seed": ({"seed": -1}, "seed"),
    "a huge seed": ({"seed": 2**40}, "seed"),
    "a seed in words": ({"seed": "lucky"}, "number"),
    "guidance in words": ({"guidance": "much"}, "a number"),
    "guidance -1": ({"guidance": -1}, "between 0 and 10"),
    "guidance 1e9": ({"guidance": 1e9}, "between 0 and 10"),
    "unknown class": ({"label": "11"}, "Classes are 0, 1, 2"),
    "markup as class": ({"label": "<img src=x>"}, "Classes are"),
    "no class": ({"label": None}, "Classes are"),
    "unknown sampler": ({"sampler": "magic"}, "choices"),
    "unknown model": ({"data_set": "faces"}, "choices"),
}


@SHIPPED
@pytest.mark.parametrize("name", BAD)
def test_bad_values_are_answered_with_a_sentence(client: Client, name: str) -> None:
    settings, said = BAD[name]
    with pytest.raises(AppError) as caught:
        made(client, **settings)
    text = str(caught.value)
    assert (
        said in text and "Traceback" not in text and "went wrong" not in text and "<img" not in text
    )


@SHIPPED
@pytest.mark.parametrize(
    ("key", "value"),
    [("guidance", "NaN"), ("guidance", "Infinity"), ("steps", "NaN"), ("n", "-Infinity")],
)
def test_numbers_that_json_has_not(app_url: str, key: str, value: str) -> None:
    """Python's client refuses to send them; others do."""
    data = ", ".join(
        value if name == key else json.dumps(default) for name, default in SETTINGS.items()
    )
    url = f"{app_url}gradio_api/call/{NAME[1:]}"
    head = {"Content-Type": "application/json"}
    call = urllib.request.Request(url, f'{{"data": [{data}]}}'.encode(), head)
    try:
        with urllib.request.urlopen(call, timeout=60) as answer:
            event = json.load(answer)["event_id"]
    except urllib.error.HTTPError as error:
        assert error.code in (400, 422)
        error.close()
        return
    with urllib.request.urlopen(f"{url}/{event}", timeout=60) as stream:
        told = stream.read().decode()
    assert (
        "event: error" in told
        and ("uidance" in told or "whole number" in told)
        and "went wrong" not in told
    )


# -- the page's functions, with a small network ----------------------------------------------------


@pytest.fixture(autouse=True)
def small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """An untrained network; only what is not an image is checked with it."""
    torch.manual_seed(0)
    generator = DiffusionGenerator(DiffusionUNet(**CONFIG), card())  # type: ignore[arg-type]
    monkeypatch.setattr(loaders, "diffusion_generator", lambda name: generator)


def base64_of(array: np.ndarray) -> str:
    return base64.b64encode(array.tobytes()).decode()


PICTURE = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
MASK = np.zeros((28, 28), np.uint8)
MASK[14:] = 1
GOOD: dict[str, Any] = {
    "model": "mnist",
    "drawn": True,
    "picture": base64_of(PICTURE),
    "mask": base64_of(MASK),
    "times": 4,
    "small": base64_of(PICTURE[::4, ::4]),
    "noisy": base64_of(np.zeros((28, 28, 1), np.int16)),
    "t": 20,
}
WAYS = {
    "inpaint": lambda value: restoration.begin_inpaint(value, "any", 2, 2, 0),
    "enlarge": lambda value: restoration.begin_enlarge(value, "3", 2, 2, 0),
    "denoise": lambda value: restoration.begin_denoise(value, 2),
}


def run_to_the_end(told: dict[str, Any]) -> list[dict[str, Any]]:
    frames: list[dict[str, Any]] = []
    while True:
        answer = step_player.step_player_next({"run": told["run"], "have": len(frames)})
        assert answer["error"] is None
        frames += answer["frames"]
        if answer["done"]:
            return frames


@pytest.mark.parametrize(
    ("way", "images"), [("inpaint", [2, 2]), ("enlarge", [1, 2, 2]), ("denoise", [1, 1, 1])]
)
def test_pads_start_runs(way: str, images: list[int]) -> None:
    frames = run_to_the_end(WAYS[way](GOOD))
    assert len(frames) == 2
    for frame in frames:
        assert [panel["shape"] for panel in frame["panels"]] == [[n, 28, 28, 1] for n in images]
        assert frame["text"] and len(frame["dots"]) == 2


def test_the_other_runs() -> None:
    frames = run_to_the_end(generate.begin("mnist", "one of each", 3, "", "ddim", 4, 1.0))
    assert (
        len(frames) == 4
        and "x̂<sub>0</sub>" in frames[1]["text"]
        and "t = 1000 → 750" in frames[0]["title"]
    )
    frames = run_to_the_end(samplers.begin_samplers("mnist", "5", 0, 3, 2.0))
    assert "PSNR to 100 steps: UniPC" in frames[-1]["text"] and "PSNR" not in frames[0]["text"]
    assert len(frames) == 3 and [p["shape"][0] for p in frames[0]["panels"]] == [4] * 4


CHANGES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "nothing drawn": ({"drawn": False}, tuple(WAYS)),
    "another model": ({"model": "faces"}, tuple(WAYS)),
    "no model": ({"model": None}, tuple(WAYS)),
    "model a list": ({"model": ["mnist"]}, tuple(WAYS)),
    "model a dict": ({"model": {}}, tuple(WAYS)),
    "no image": ({"picture": None}, tuple(WAYS)),
    "image a list": ({"picture": [1, 2]}, tuple(WAYS)),
    "image a number": ({"picture": 7}, tuple(WAYS)),
    "image no base64": ({"picture": "!!!"}, tuple(WAYS)),
    "image not ASCII": ({"picture": "é" * 8}, tuple(WAYS)),
    "image too short": ({"picture": base64_of(PICTURE[:5])}, tuple(WAYS)),
    "image too long": ({"picture": base64_of(np.zeros((32, 32, 3), np.uint8))}, tuple(WAYS)),
    "image of the other model": ({"model": "cifar10"}, tuple(WAYS)),
    "mask over nothing": ({"mask": base64_of(MASK * 0)}, ("inpaint",)),
    "mask over everything": ({"mask": base64_of(MASK * 0 + 1)}, ("inpaint",)),
    "no mask": ({"mask": None}, ("inpaint",)),
    "mask too short": ({"mask": base64_of(MASK[:3])}, ("inpaint",)),
    "no small image": ({"small": None}, ("enlarge",)),
    "small of another size": ({"times": 2}, ("enlarge",)),
    "times 0": ({"times": 0}, ("enlarge",)),
    "times 3": ({"times": 3}, ("enlarge",)),
    "times a list": ({"times": [4]}, ("enlarge",)),
    "no noise": ({"noisy": None}, ("denoise",)),
    "noise too short": ({"noisy": base64_of(PICTURE)}, ("denoise",)),
    "t = 0": ({"t": 0}, ("denoise",)),
    "t = -1": ({"t": -1}, ("denoise",)),
    "t = 1001": ({"t": 1001}, ("denoise",)),
    "t = 2.5": ({"t": 2.5}, ("denoise",)),
    "t NaN": ({"t": math.nan}, ("denoise",)),
    "no t": ({"t": None}, ("denoise",)),
    "t in words": ({"t": "late"}, ("denoise",)),
}


@pytest.mark.parametrize(
    ("name", "way"), [(name, way) for name, (_, ways) in CHANGES.items() for way in ways]
)
def test_what_a_pad_may_send_wrongly(name: str, way: str) -> None:
    with pytest.raises(ImageError):
        WAYS[way]({**GOOD, **CHANGES[name][0]})


@pytest.mark.parametrize("missing", GOOD)
def test_missing_keys(missing: str) -> None:
    value = {key: part for key, part in GOOD.items() if key != missing}
    needed = {
        "mask": ["inpaint"],
        "times": ["enlarge"],
        "small": ["enlarge"],
        "noisy": ["denoise"],
        "t": ["denoise"],
    }
    for way in needed.get(missing, list(WAYS)):
        with pytest.raises(ImageError):
            WAYS[way](value)


@pytest.mark.parametrize("value", [None, "", [], 3, "mnist", {}], ids=repr)
def test_a_pad_that_was_never_touched(value: object) -> None:
    for way in WAYS.values():
        with pytest.raises(ImageError, match="pad is empty"):
            way(value)


@pytest.mark.parametrize(
    ("n", "n_steps", "seed"),
    [
        (0, 2, 0),
        (17, 2, 0),
        (1e9, 2, 0),
        (math.nan, 2, 0),
        (2, 0, 0),
        (2, 251, 0),
        (2, math.inf, 0),
        ("2", 2, 0),
        (None, 2, 0),
        (True, 2, 0),
        (2, 2, -1),
        (2, 2, 2.5),
        (2, 2, "seven"),
        (2, 2, math.nan),
        (2, 2, 2**31),
    ],
)
def test_bad_numbers_beside_a_pad(n: Any, n_steps: Any, seed: Any) -> None:
    for begin in (restoration.begin_inpaint, restoration.begin_enlarge):
        with pytest.raises(ImageError):
            begin(GOOD, "any", n, n_steps, seed)


@pytest.mark.parametrize("n_steps", [0, -1, 1001, math.nan, None, "2", 2.5, 1e9])
def test_bad_numbers_of_steps_elsewhere(n_steps: Any) -> None:
    with pytest.raises(ImageError):
        restoration.begin_denoise(GOOD, n_steps)
    with pytest.raises(ImageError):
        samplers.begin_samplers("mnist", "any", 0, n_steps, 1.5)
    with pytest.raises(ImageError):
        generate.begin("mnist", "any", 1, 0, "unipc", n_steps, 1.5)


def test_classes_follow_the_pads_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        generate, "class_names", lambda name: ["cat", "ship"] if name == "cifar10" else ["0", "1"]
    )
    chosen = restoration.classes_of({**GOOD, "model": "cifar10"})
    assert [value for _, value in chosen.choices] == [
        "cat",
        "ship",
        "any",
    ] and chosen.value == "any"


@pytest.mark.parametrize("times", [2, 4])
def test_consistency_is_zero_for_the_means_themselves(times: int) -> None:
    small = np.random.default_rng(1).integers(0, 256, (28 // times, 28 // times), np.uint8)
    large = small.repeat(times, 0).repeat(times, 1)
    assert restoration.consistency(large[None], small) == 0
    assert restoration.consistency(large[None] ^ 1, small) == pytest.approx(1)


# -- images for the pads ---------------------------------------------------------------------------


def test_an_image_is_made() -> None:
    answer = pad.make_picture({"model": "mnist"})
    assert len(base64.b64decode(answer["picture"])) == 28 * 28 and "10 steps" in answer["said"]


def jpeg(array: np.ndarray) -> str:
    import cv2

    return JPEG + base64.b64encode(cv2.imencode(".jpg", array)[1].tobytes()).decode()


def test_an_upload_is_fitted() -> None:
    page = np.full((120, 200, 3), 255, np.uint8)
    page[30:90, 96:104] = 0  # a one
    digit = np.frombuffer(
        base64.b64decode(pad.fit_picture({"model": "mnist", "picture": jpeg(page)})["picture"]),
        np.uint8,
    )
    digit = digit.reshape(28, 28)
    assert digit[14, 10:18].max() > 200 and digit[:, :8].max() < 40  # white on black, in the middle
    photo = pad.fit_picture({"model": "cifar10", "picture": jpeg(page)})
    assert len(base64.b64decode(photo["picture"])) == 32 * 32 * 3


@pytest.mark.parametrize(
    "request_",
    [
        None,
        [],
        "mnist",
        {},
        {"model": "mnist"},
        {"model": "mnist", "picture": 3},
        {"model": "mnist", "picture": ""},
        {"model": "mnist", "picture": JPEG},
        {"model": "mnist", "picture": JPEG + "!!!"},
        {"model": "cifar10", "picture": JPEG + "AAAA"},
        {"model": ["mnist"], "picture": JPEG},
        {"model": "mnist", "picture": jpeg(np.full((50, 50, 3), 255, np.uint8))},
        {"model": "mnist", "picture": JPEG + "A" * pad.MAX_UPLOAD},
    ],
    ids=lambda r: repr(r)[:40],
)
def test_uploads_that_are_none(request_: Any) -> None:
    answer = pad.fit_picture(request_)
    assert (
        set(answer) == {"error", "hint"}
        and answer["error"].endswith(".")
        and answer["error"] != BUG
    )


def test_without_weights_every_button_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr(
        loaders, "diffusion_generator", lambda name: DiffusionGenerator.load(name, tmp_path)
    )
    assert "diffusion_mnist" in pad.make_picture({"model": "mnist"})["error"]
    for way in WAYS.values():
        with pytest.raises(weights.WeightsError, match="diffusion_mnist"):
            way(GOOD)
    with pytest.raises(weights.WeightsError):
        generate.begin("mnist", "any", 1, 0, "unipc", 2, 1.5)
    with gr.Blocks(), pytest.raises(gr.Error, match="diffusion_mnist"):
        generate.report_errors(generate.begin)("mnist", "any", 1, 0, "unipc", 2, 1.5)
