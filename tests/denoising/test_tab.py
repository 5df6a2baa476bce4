"""The denoising tab: its public endpoints from outside, and the page's functions."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from tasks import loaders
from tasks.core import images, scheduling, weights
from tasks.core.images import ImageError
from tasks.core.model_cache import Lazy
from tasks.core.tiling import TileStep
from tasks.denoising.denoiser import Denoiser
from tasks.denoising.digit_autoencoder import DigitAutoencoder
from tasks.denoising.enhancer import Enhancer
from tasks.denoising.tab import digits, enhance, photo, playground, results
from tasks.networks.autoencoder import DigitAutoencoderNet
from tasks.networks.denoiser_unet import DenoiserUNet
from tests import hostile


def shipped(name: str) -> pytest.MarkDecorator:
    there = (weights.FOLDER / f"{name}.json").is_file()
    return pytest.mark.skipif(not there, reason=f"weights/{name}.json is not there")


@pytest.fixture(scope="module")
def client(app_url: str) -> Iterator[Client]:
    connected = Client(app_url, verbose=False)
    yield connected
    connected.close()


# -- from outside ----------------------------------------------------------------------------------


@shipped("denoiser")
def test_denoise_photo(client: Client, tmp_path: Path) -> None:
    sent = handle_file(str(hostile.good_png(tmp_path)))
    for level in (20, None):
        assert Image.open(client.predict(sent, level, api_name="/denoise_photo")).size == (128, 96)
    with pytest.raises(AppError, match="Sigma"):
        client.predict(sent, 1000, api_name="/denoise_photo")


@shipped("enhancer")
def test_enhance(client: Client, tmp_path: Path) -> None:
    sent = handle_file(str(hostile.good_png(tmp_path)))
    assert Image.open(client.predict(sent, 3, api_name="/enlarge_photo")).size == (384, 288)
    assert Image.open(client.predict(sent, api_name="/deblock_photo")).size == (128, 96)
    with pytest.raises(AppError, match="2, 3 or 4"):
        client.predict(sent, 7, api_name="/enlarge_photo")


@pytest.mark.parametrize("name", ["text called .png", "1x1", "truncated JPEG"])
def test_refused_with_a_sentence(client: Client, tmp_path: Path, name: str) -> None:
    path = hostile.MAKERS[name](tmp_path)
    for endpoint in ("/denoise_photo", "/deblock_photo"):
        with pytest.raises(AppError) as caught:
            client.predict(handle_file(str(path)), api_name=endpoint)
        assert "image" in str(caught.value) and "went wrong" not in str(caught.value)


def test_endpoints_are_documented_and_the_inner_ones_are_not(client: Client) -> None:
    named = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert {"/denoise_photo", "/enlarge_photo", "/deblock_photo"} <= set(named)
    assert not {"/measure", "/clean", "/play", "/enlarge", "/undo_jpeg"} & set(named)


# -- the page's functions, with networks that have learnt nothing ----------------------------------


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        loaders, "denoiser", Lazy(lambda: Denoiser(DenoiserUNet(1, 1, (8, 16), (1, 1))))
    )
    monkeypatch.setattr(
        loaders, "enhancer", Lazy(lambda: Enhancer(DenoiserUNet(1, 4, (8, 16), (1, 1))))
    )
    monkeypatch.setattr(
        loaders, "digit_autoencoder", Lazy(lambda: DigitAutoencoder(DigitAutoencoderNet(8, 8)))
    )


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def load() -> Any:
        raise weights.WeightsError("weights/x.json is missing.")

    for name in ("denoiser", "enhancer", "digit_autoencoder"):
        monkeypatch.setattr(loaders, name, Lazy(load))


@pytest.mark.usefixtures("untrained")
def test_measure_and_clean(tmp_path: Path) -> None:
    noisy = np.random.default_rng(0).normal(128, 20, (90, 120)).clip(0, 255).astype(np.uint8)
    update = photo.measure(noisy)
    assert update["value"] == pytest.approx(20, abs=1.5) and "estimated" in update["label"]
    *_, ((before, after), removed, save, said) = _kept(photo.denoise(noisy, 20.0), tmp_path)
    assert before == after == (120, 90)  # a network that has learnt nothing adds nothing
    assert (
        "times amplified" in removed.label and save["interactive"] and "120 x 90 px, grey" in said
    )


def _kept(steps: Iterator[Any], folder: Path) -> list[Any]:
    """The steps with the sizes of the slider's images, whose files are gone afterwards."""
    return [
        (tuple(Image.open(path).size for path in pair) if pair else pair, *rest)
        for pair, *rest in steps
    ]


@pytest.mark.usefixtures("untrained")
def test_a_large_photo_comes_in_tiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large = np.zeros((700, 1300), np.uint8)
    steps = list(photo.denoise(large, 10.0))
    assert len(steps) == 6 and "tile 1 of 6" in steps[0][3] and "<progress" in steps[0][3]
    monkeypatch.setattr(results, "MAX_PIXELS", 100_000)
    with pytest.raises(ImageError, match="1300 x 700"):
        list(photo.denoise(large, 10.0))


def test_a_page_that_is_closed_between_two_tiles_frees_the_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    computed, closed = list[int](), list[bool]()

    class Slow:
        def steps(self, x: np.ndarray, sigma: float) -> Iterator[TileStep]:
            try:
                for n in range(1, 10):
                    computed.append(n)
                    yield TileStep(n, 10, x)
            finally:
                closed.append(True)

    monkeypatch.setattr(loaders, "denoiser", Slow)
    steps = photo.denoise(hostile.scene(), 25.0)
    assert "tile 1 of 10" in next(steps)[-1] and "tile 2 of 10" in next(steps)[-1]
    with scheduling.CORES.step(patient=False):  # others come in between two tiles
        pass
    steps.close()  # type: ignore[attr-defined]
    assert computed == [1, 2] and closed and scheduling.CORES.is_idle


def test_an_image_without_noise_costs_nothing() -> None:
    (answer,) = photo.denoise(np.zeros((60, 80), np.uint8), 0.4)
    assert "hardly any noise" in answer[3] and answer[0] is None


def test_no_picture_is_a_hint() -> None:
    assert next(photo.denoise(None, 10.0))[3] == photo.HINT
    assert next(enhance.enlarge(None, "2", False))[2] == enhance.HINT
    assert next(enhance.undo_jpeg(None, "10"))[2] == enhance.HINT


def test_saved_files_carry_their_settings(tmp_path: Path) -> None:
    path = results.save_png(Image.new("L", (9, 8)), tmp_path / "a.png", {"sigma": 12.5})
    assert Image.open(path).text["settings"] == '{"sigma": 12.5}'  # type: ignore[attr-defined]
    reduced = Image.open(results.for_page(Image.new("L", (4000, 3000)), tmp_path / "b.png", {}))
    assert reduced.width * reduced.height <= results.PAGE_PIXELS * 1.01


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize(
    ("kind", "rows"), [("Gaussian", 7), ("Poisson", 6), ("Salt and pepper", 6), ("JPEG", 7)]
)
def test_playground(kind: str, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playground, "SIDE", 96)
    gallery, table = playground.play("Lion", kind, 30, 0)
    assert (
        len(gallery) == rows + 1 and table.count("<tr>") == rows + 1 and "Non-local means" in table
    )
    assert all(x.dtype == np.uint8 for x, _ in gallery) and "dB" in gallery[1][1]
    with pytest.raises(ImageError, match="Noise is one of"):
        playground.play("Lion", "Rain", 30, 0)


@pytest.mark.usefixtures("untrained")
def test_enlarge_and_undo_jpeg(tmp_path: Path) -> None:
    scene = hostile.scene(96, 129)
    *_, (sizes, save, said) = _kept(enhance.enlarge(scene, "2", False), tmp_path)
    assert (
        sizes == ((258, 192), (258, 192))
        and save["interactive"]
        and "129 x 96 px became 258 x 192" in said
    )
    *_, (sizes, _, said) = _kept(enhance.enlarge(scene, "2", True), tmp_path)
    assert sizes == ((128, 96), (128, 96)) and "bicubic" in said and "the network" in said
    *_, (_, _, said) = _kept(enhance.undo_jpeg(scene, "10"), tmp_path)
    assert "quality 10" in said and "Against the original" in said
    *_, (_, _, said) = _kept(enhance.undo_jpeg(scene, enhance.AS_IT_IS), tmp_path)
    assert "Not a JPEG file" in said
    with pytest.raises(ImageError, match="too small"):
        list(enhance.enlarge(hostile.scene(16, 16), "4", True))


def drawing(seed: int) -> dict[str, Any]:
    png = base64.b64encode(images.png_bytes(digits.drawn_digit(seed))).decode()
    return {"drawing": f"data:image/png;base64,{png}", "sigma": 0.4, "seed": 0}


@pytest.mark.usefixtures("untrained")
def test_a_digit_is_brought_back() -> None:
    answer = digits.denoise_drawing(drawing(0))
    assert [figure["title"] for figure in answer["figures"]] == [
        "Drawn",
        "With noise of 0.4",
        "Code: 8 maps of 7 x 7",
        "Denoised",
    ]
    assert "392 numbers" in answer["figures"][2]["text"] and "PSNR" in answer["figures"][3]["text"]
    # the same seed, the same noise
    assert digits.denoise_drawing(drawing(0))["figures"] == answer["figures"]
    assert set(digits.sample_digit()) == {"png"}


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize(
    "bad",
    [
        None,
        {},
        {**drawing(0), "sigma": 9},
        {**drawing(0), "seed": float("nan")},
        {**drawing(0), "drawing": "data:text/plain,hello"},
    ],
)
def test_a_bad_drawing_is_answered(bad: Any) -> None:
    answer = digits.denoise_drawing(bad)
    assert "error" in answer and "went wrong" not in answer["error"]


@pytest.mark.usefixtures("missing")
def test_missing_weights_are_a_sentence() -> None:
    scene = hostile.scene()
    for call in (
        lambda: photo.measure(scene),
        lambda: list(enhance.enlarge(scene, "2", False)),
        lambda: list(enhance.undo_jpeg(scene, "10")),
    ):
        with pytest.raises(weights.WeightsError, match="is missing"):
            call()
    assert "is missing" in digits.denoise_drawing(drawing(0))["error"]


def test_samples_are_there(tmp_path: Path) -> None:
    assert len(photo.noisy_samples(tmp_path)) >= 3
    for name in playground.IMAGES:
        assert max(playground.clean_image(name).shape) <= playground.SIDE
