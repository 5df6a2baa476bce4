"""The photos tab: /classify_photo through the running app, and the page's functions."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from tasks import loaders, models
from tasks.classification.tab import photos
from tasks.core import model_cache, weights
from tasks.models import IMAGENET_MODELS, PHOTO_MODELS
from tasks.ui.image_input import sample_images
from tests import hostile

SHIPPED_CARD = weights.FOLDER / "photos.json"
SHIPPED = pytest.mark.skipif(not SHIPPED_CARD.is_file(), reason="weights/photos.json is not there")


@pytest.fixture(scope="module")
def client(app_url: str) -> Iterator[Client]:
    connected = Client(app_url, verbose=False)
    yield connected
    connected.close()


def classify(client: Client, path: Path, **more: str) -> dict[str, float]:
    return client.predict(handle_file(str(path)), api_name="/classify_photo", **more)


@SHIPPED
def test_classify_photo(client: Client, tmp_path: Path) -> None:
    answer = classify(client, hostile.good_png(tmp_path))
    assert len(answer) == 5 and set(answer) <= set(weights.read_card("photos").classes)
    assert (
        list(answer.values()) == sorted(answer.values(), reverse=True)
        and 0 < sum(answer.values()) <= 1.0001
    )


@pytest.mark.parametrize("name", [n for n in hostile.FILES if n in hostile.REFUSED])
def test_refused_with_a_sentence(client: Client, tmp_path: Path, name: str) -> None:
    path = hostile.MAKERS[name](tmp_path)
    assert isinstance(path, Path)
    with pytest.raises(AppError) as caught:
        classify(client, path)
    text = str(caught.value)
    assert "image" in text and "Traceback" not in text and "went wrong" not in text
    if SHIPPED_CARD.is_file():
        assert len(classify(client, hostile.good_png(tmp_path))) == 5  # the next good one works


@SHIPPED
@pytest.mark.parametrize("name", [n for n in hostile.FILES if n in hostile.ODD])
def test_odd_pictures_work(client: Client, tmp_path: Path, name: str) -> None:
    path = hostile.MAKERS[name](tmp_path)
    assert isinstance(path, Path)
    assert len(classify(client, path)) == 5


def test_no_picture_and_unknown_model(client: Client, tmp_path: Path) -> None:
    with pytest.raises(AppError, match="No image came"):
        client.predict(None, api_name="/classify_photo")
    with pytest.raises(AppError, match="choices"):
        classify(client, hostile.good_png(tmp_path), model="vgg19")


def test_classify_photo_by_imagenet(client: Client) -> None:
    (lion,) = [Path(p) for p in sample_images(photos.SAMPLES) if Path(p).name == "lion.jpg"]
    answer = classify(client, lion, model="imagenet")
    assert next(iter(answer)) == "lion" and answer["lion"] > 0.5


def test_the_endpoint_is_documented_and_the_inner_ones_are_not(client: Client) -> None:
    named = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert "cifar10" in str(named["/classify_photo"])
    assert not {"/prepare", "/answer", "/compare"} & set(named)


# -- the page's functions, with a stand-in for the model -------------------------------------------


class Fake:
    title, classes = "Fake & Co", tuple("abcdefg")
    group_of: ClassVar[dict[str, str]] = {}

    def classify(self, image: object) -> dict[str, float]:
        return dict(zip(self.classes, (0.4, 0.3, 0.1, 0.1, 0.05, 0.03, 0.02), strict=True))

    def grad_cams(self, image: object, labels: list[str]) -> np.ndarray:
        return np.zeros((len(labels), 64, 64), np.float32)

    def grad_cam(self, image: object, label: str) -> np.ndarray:
        return np.ones((64, 64), np.float32)

    def network_view(self, image: object) -> np.ndarray:
        return np.zeros((480, 480, 3), np.uint8)

    def network_input(self, image: object) -> np.ndarray:
        return np.zeros((32, 32, 3), np.uint8)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loaders, "photo_model", lambda name, progress=None: Fake())


@pytest.mark.usefixtures("fake")
def test_answer() -> None:
    html, seen, first, second, choices = photos.answer(np.zeros((32, 32, 3), np.uint8), "cifar10")
    assert (
        "<h2>a</h2>" in html
        and html.count("<li>") == 5
        and "40.0 %" in html
        and "Fake &amp; Co" in html
    )
    assert "Uncertain" in html and "knows ten classes" in html
    assert seen.label == "Network input: 32 x 32 px" and "a" in first.label and "b" in second.label
    assert choices.value == "b" and [v for _, v in choices.choices] == list("abcde")


def test_no_picture_is_a_hint() -> None:
    assert photos.answer(None, "cifar10")[0] == photos.HINT
    asyncio.run(photos.prepare(None, "vgg16"))  # and no download


@pytest.mark.usefixtures("fake")
def test_compare() -> None:
    assert "“c”" in photos.compare(np.zeros((32, 32, 3), np.uint8), "cifar10", "c").label
    assert "label" not in photos.compare(
        np.zeros((32, 32, 3), np.uint8), "cifar10", "of another model"
    )


def test_titles_say_what_is_downloaded() -> None:
    assert list(photos.MODELS) == [models.IMAGENET, *PHOTO_MODELS, *IMAGENET_MODELS]
    assert all(
        "bundled" in photos.MODELS[name] and "MB" not in photos.MODELS[name]
        for name in PHOTO_MODELS
    )
    for name, about in IMAGENET_MODELS.items():
        assert about.title in photos.MODELS[name] and f"{about.megabytes} MB" in photos.MODELS[name]


@pytest.mark.parametrize(
    ("file", "group"), [("cheetah.jpg", "big cat"), ("lion.jpg", "big cat"), ("bus.jpg", "bus")]
)
def test_every_example_is_answered_rightly(file: str, group: str) -> None:
    (path,) = [p for p in sample_images(photos.SAMPLES) if Path(p).name == file]
    classifier = loaders.photo_model(models.IMAGENET)
    probabilities = classifier.classify(path)
    best = next(iter(probabilities))
    assert classifier.group_of[best] == group
    assert best == {"big cat": file.removesuffix(".jpg"), "bus": "minibus"}[group]
    assert probabilities[best] > 0.5


def test_everyday_words_stand_behind_the_classes() -> None:
    group_of = {"golden retriever": "dog", "school bus": "bus", "Crock Pot": ""}
    assert photos.with_group("golden retriever", group_of) == "golden retriever (dog)"
    assert photos.with_group("school bus", group_of) == "school bus"
    assert photos.with_group("Crock Pot", group_of) == "Crock Pot"
    assert photos.with_group("cat", None) == "cat"


def test_two_other_networks_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.classification.photos import PhotoClassifier

    loaded: list[str] = []

    def load(name: str, progress: object = None) -> str:
        loaded.append(name)
        return name

    monkeypatch.setattr(PhotoClassifier, "load", load)
    monkeypatch.setattr(loaders, "_photo_models", model_cache.Kept(most=2))
    for name in ("resnet50", "vgg16", "resnet50", "efficientnet_b0", "resnet50", "vgg16"):
        assert loaders.photo_model(name) == name  # type: ignore[comparison-overlap]
    assert loaded == ["resnet50", "vgg16", "efficientnet_b0", "vgg16"]


def a_card(**more: Any) -> weights.Card:
    """Of a network that has 95.5 % of 1,000 test photos right."""
    return weights.Card(
        name="photos",
        task="",
        title="",
        architecture="",
        parameters=1,
        config={},
        preprocess={},
        classes=[],
        metrics=[weights.Metric("accuracy", 95.5, "%", "test", 1000, "")],
        data={},
        training={"minutes": 30},
        paper="",
        limits="",
        **more,
    )


def test_what_two_networks_have_wrong() -> None:
    together = {"accuracy": 0.96, "wrong": [60, 50], "both_wrong": 35}
    html = photos.ensemble_html(a_card(tables={"together": together}))
    assert (
        "Of 1,000 test photos" in html
        and "Lite0 classifies 60 wrongly" in html
        and "Lite2 50; 35 are" in html
    )
    assert "96.0 %" in html and "94.0 and 95.0 %" in html
    assert photos.ensemble_html(a_card()) == ""


def test_curves_of_a_card() -> None:
    curve = [{"step": 100.0, "val_accuracy": 0.5}, {"step": 200.0, "val_accuracy": 0.9}]
    scratch = {"curve": curve, "minutes": 30, "test_accuracy": 0.61}
    card = a_card(curve=curve, tables={"from_scratch": scratch, "batch": 64})
    html = photos.curves_html(card)
    assert (
        html.count("<polyline") == 2
        and "95.5 %" in html
        and "61.0 %" in html
        and "thousands" in html
    )
