"""GAN and Compare through the running app: /generate_by_gan from outside, and the functions that
the page calls."""

import csv
import gzip
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from PIL import Image

from tasks import loaders
from tasks.compare.tab import metrics, neighbours
from tasks.core import weights
from tasks.core.datasets.mnist import training_digits
from tasks.core.images import ImageError
from tasks.gan.tab import discriminator, generate, history, steer
from tasks.ui.jobs import JOBS, Frame

SHIPPED = pytest.mark.skipif(
    not (weights.FOLDER / "gan.json").is_file(), reason="weights/gan.json is not there"
)


@pytest.fixture(scope="module")
def client(app_url: str) -> Iterator[Client]:
    connected = Client(app_url, verbose=False)
    yield connected
    connected.close()


@SHIPPED
def test_endpoint_makes_the_same_digits_again(client: Client) -> None:
    def pixels(**settings: Any) -> np.ndarray:
        with Image.open(client.predict(api_name="/generate_by_gan", **settings)) as image:
            assert image.format == "PNG"
            return np.asarray(image.convert("L"))

    first = pixels(label="7", n=4, seed=5)
    assert first.shape == (57, 57)
    np.testing.assert_array_equal(first, pixels(label="7", n=4, seed=5))
    assert not np.array_equal(first, pixels(label="7", n=4, seed=6))


@SHIPPED
@pytest.mark.parametrize(
    "settings", [{"n": 0}, {"n": 101}, {"label": "cat"}, {"seed": -1}, {"truncation": 0.0}]
)
def test_endpoint_refuses_with_a_sentence(client: Client, settings: dict[str, Any]) -> None:
    with pytest.raises(AppError) as caught:
        client.predict(api_name="/generate_by_gan", **settings)
    assert "came" in str(caught.value) or "none of them" in str(caught.value)
    assert "Traceback" not in str(caught.value)


@SHIPPED
def test_only_the_named_endpoints_are_listed(client: Client) -> None:
    named = client.view_api(return_format="dict")["named_endpoints"]
    assert "/generate_by_gan" in named
    assert not {"/make_digits", "/begin_walk", "/begin_history", "/begin_comparison"} & set(named)


@SHIPPED
def test_walk_from_digit_to_digit_and_its_refusals() -> None:
    generator = loaders.gan_generator()
    z = generator.latents(2, 0).astype(float)
    a, b = ({"z": z[k].tolist(), "label": k} for k in (0, 1))
    told = generate.begin_walk({"kind": "walk", "a": a, "b": b})
    assert told["total"] == generate.WALK
    frames: list[Frame] = []
    until = time.monotonic() + 60
    while True:
        news = JOBS.poll(told["run"], len(frames))
        frames += news.frames
        if news.done or time.monotonic() > until:
            break
    assert news.error is None and len(frames) == generate.WALK
    np.testing.assert_array_equal(frames[0].panels[0][0], generator.from_latent(z[:1], 0)[0])
    np.testing.assert_array_equal(frames[-1].panels[0][0], generator.from_latent(z[1:], 1)[0])
    json.dumps(dict(news.job.about))  # what the files say
    for bad in (
        None,
        {},
        {"kind": "walk", "a": a},
        {"kind": "walk", "a": a, "b": {"z": [1], "label": 0}},
        {"kind": "morph", "a": {"z": [float("nan")] * 100, "label": 0}, "to": "3"},
        {"kind": "morph", "a": a, "to": "x"},
        {"kind": "walk", "a": a, "b": {"z": [9.0] * 100, "label": 0}},
    ):
        with pytest.raises(ImageError):
            generate.begin_walk(bad)


@SHIPPED
def test_steering_and_its_refusals() -> None:
    place = {"x": 0.5, "y": -1, "mix": 0.25, "from": "3", "to": "8", "seed": 4}
    answer = steer.steer_digit(place)
    assert "error" not in answer and 0 <= answer["score"] <= 1
    assert steer.map_plane(place)["tiles"] == steer.TILES
    z = steer.plane(place, np.array([[0.5, -1.0]]))
    along = z @ loaders.gan_generator().directions(2).T
    np.testing.assert_allclose(along[0], [2, -4], atol=0.05)  # REACH times the place
    for change in ({"x": 2}, {"x": float("nan")}, {"mix": None}, {"from": "cat"}, {"seed": 1.5}):
        error = steer.steer_digit({**place, **change})["error"]
        assert "came" in error or "none of them" in error
    assert "error" in steer.steer_digit(None)  # type: ignore[arg-type]


@SHIPPED
def test_the_discriminator_ranks_a_made_digit() -> None:
    answer = discriminator.score_generated({"seed": 1, "label": "4"})
    assert (
        answer["label"] == 4 and 0 <= answer["above_real"] <= 1 and 0 <= answer["above_made"] <= 1
    )
    bad: Any
    for bad in (
        None,
        {},
        {"png": "data:image/png;base64,????", "label": ""},
        {"png": "x" * 600_000},
    ):
        assert "error" in discriminator.score_drawing(bad)


def test_share_below_follows_the_quantiles() -> None:
    assert discriminator.share_below([0.0, 0.5, 1.0], 0.25) == 0.25
    assert (
        discriminator.share_below([0.2, 0.5, 1.0], 0.1) == 0
        and discriminator.share_below(None, 0.5) is None
    )


def test_losses_are_drawn_within_the_chart() -> None:
    curve = [{"step": s, "d_loss": 1.4, "g_loss": 9.0} for s in (50.0, 100.0, 1000.0)]
    svg = history.loss_chart(curve)
    assert svg.count("<polyline") == 2 and svg.count("class='dot'") == 2
    assert history.loss_chart([]) == ""
    assert (
        "0,0 " in svg
        and "-" not in svg.partition("<polyline")[2].partition("'")[2].partition("'")[0]
    )


ROWS = [
    {
        "generator": g,
        "name": n,
        "steps": s,
        "agreement": "98.1",
        "distance": "4",
        "times_floor": t,
        "precision": "0.9",
        "recall": "0.8",
        "copied": "0.001",
        "ms": ms,
        "parameters": "800000",
        "minutes": "12",
        "n": "1000",
        "trained_on": "16 cores, Intel, NVIDIA H200" if g == "Diffusion" else "2 cores, no GPU",
        "pictures": "250000",
        "device": "2 cores",
        "command": "c",
    }
    for g, n, s, t, ms in (
        ("GAN", "GAN", "1", "2.5", "0.1"),
        ("VAE", "VAE", "1", "20", "0.2"),
        ("Diffusion", "UniPC, 5 steps", "5", "3", "40"),
        ("Diffusion", "UniPC, 20 steps", "20", "1.2", "160"),
    )
]


def test_table_and_plot_say_what_was_measured() -> None:
    table = metrics.table_html(ROWS)
    assert (
        "Diffusion, 20 steps" in table
        and "98.1 %" in table
        and "20.0 ×" in table
        and "800,000" in table
    )
    assert (
        "12 min of a GPU, NVIDIA H200" in table
        and "12 min of a CPU" in table
        and "250,000" in table
    )
    plot = metrics.scatter(ROWS, "ms", "milliseconds a digit")
    assert plot.count("class='point'") == 4 and "5 steps" in plot and "nan" not in plot
    assert metrics.scatter([], "ms", "x") == ""


def test_map_draws_every_point() -> None:
    points = [[float(k), float(k % 3), k % 10] for k in range(20)]
    html = metrics.map_html(
        {
            "explained": [0.2, 0.1],
            "real": points,
            **dict.fromkeys(("GAN", "VAE", "Diffusion"), points),
        }
    )
    assert html.count("h0") == 3 * 40 and "30 % of the variance" in html


NEAR = {
    "edges": [0.0, 1.0, 2.0, 3.0],
    "usual": 2.0,
    "medians": {"test": 2.0, "GAN": 1.8, "VAE": 2.4},
    "counts": {"test": [0, 6, 4], "GAN": [1, 7, 2], "VAE": [0, 2, 8]},
    "seed": 0,
    "steps": 20,
    "samples": {
        "GAN": [
            {"class": 0, "index": 2, "distance": 1.5},
            {"class": 1, "index": 0, "distance": 0.1},
        ]
    },
}


def mnist_file(folder: Path, n: int = 3) -> np.ndarray:
    """Writes as many noisy training digits as torchvision would."""
    digits = np.random.default_rng(0).integers(0, 255, (n, 28, 28), dtype=np.uint8)
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    head = np.array([0x803, n, 28, 28], ">u4").tobytes()
    (raw / "train-images-idx3-ubyte").write_bytes(head + digits.tobytes())
    return digits


def test_histograms_are_drawn_over_that_of_test_digits() -> None:
    svg = neighbours.histograms(NEAR)
    assert svg.count("<polyline") == 2 and svg.count("<polygon") == 1 and "nan" not in svg
    assert "median 1.8" in svg and "Diffusion" not in svg


@SHIPPED
def test_made_digits_stand_beside_their_nearest_where_mnist_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGE_LAB_DATA", str(tmp_path))
    html = neighbours.pairs(NEAR)
    assert html.count("<img") == 2 and "MNIST is not on this machine" in html
    digits = mnist_file(tmp_path)
    html = neighbours.pairs(NEAR)
    assert (
        html.count("<img") == 4
        and "not on this machine" not in html
        and html.count("class='near'") == 1
    )
    assert neighbours.image_html(digits[2], "its nearest training digit, number 2") in html


def test_training_digits_of_a_file_plain_packed_or_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGE_LAB_DATA", str(tmp_path))
    assert training_digits([0]) is None
    digits = mnist_file(tmp_path)
    found = training_digits([2, 0])
    assert found is not None and np.array_equal(found, digits[[2, 0]])
    assert training_digits([3]) is None  # not that many
    plain = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte"
    whole = plain.read_bytes()
    plain.with_name(plain.name + ".gz").write_bytes(gzip.compress(whole))
    for broken in (b"", whole[:-1], b"\0" * 3000):
        plain.write_bytes(broken)
        assert training_digits([2]) is None
    plain.unlink()
    found = training_digits([1, 1])
    assert found is not None and np.array_equal(found, digits[[1, 1]])


def test_missing_measurements_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "RESULT", tmp_path / "none.csv")
    assert metrics.measured() == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("pictures", "faces"),
        ("trained_on", "where"),
        ("250000", "many"),
        ("98.1", "nan"),
        ("VAE,", "Vae,"),
        ("12,", ","),
    ],
)
def test_a_table_of_another_version_is_not_shown(
    old: str, new: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "generators.csv"
    monkeypatch.setattr(metrics, "RESULT", file)
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, ROWS[0])
        writer.writeheader()
        writer.writerows(ROWS)
    assert len(metrics.measured()) == 4
    file.write_text(file.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    assert metrics.measured() == []
