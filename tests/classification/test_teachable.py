"""tasks/classification/teachable.py: teaching, its report, files, hostile input."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes

from tasks import loaders
from tasks.classification import TeachableClassifier, imagenet
from tasks.classification import teachable as module
from tasks.core.images import ImageError
from tasks.core.weights import WeightsError
from tests import hostile


class Backbone:
    """Features that tell colours apart, without a network."""

    def feature_maps(self, photos: np.ndarray) -> torch.Tensor:
        colour = torch.from_numpy(photos.mean((1, 2)) / 255).float()  # (N, 3)
        maps = torch.zeros(len(photos), module.FEATURES, 7, 7)
        maps[:, :3] = colour[:, :, None, None]
        return maps

    def scaled_over_view(self, cams: torch.Tensor, side: int) -> np.ndarray:
        return (cams / cams.amax().clamp_min(1e-9)).repeat(1, 1, 10, 10)[:, 0, :64, :64].numpy()


def empty() -> TeachableClassifier:
    return TeachableClassifier(Backbone())  # type: ignore[arg-type]


def colour(name: str, k: int = 0) -> np.ndarray:
    image = np.full((40, 60, 3), k, np.uint8)
    image[..., ["red", "green", "blue"].index(name)] = 200 + k
    return image


def taught(frames: int = 10, names: tuple[str, ...] = ("red", "green", "blue")) -> Any:
    classifier = empty()
    for name in names:
        for k in range(frames):
            classifier.add(name, colour(name, k))
    return classifier


def test_taught_classes_are_recognised() -> None:
    classifier = taught()
    report = classifier.fit()
    assert report.classes == ("red", "green", "blue") and report.counts == (10, 10, 10)
    assert report.accuracy == 1 and report.confusion is not None
    assert report.confusion.tolist() == [[10, 0, 0], [0, 10, 0], [0, 0, 10]]
    assert not report.doubtful and not report.same and not report.notes
    answer = classifier.classify(colour("green", 30))
    assert next(iter(answer)) == "green" and answer["green"] > 0.8
    assert sum(answer.values()) == pytest.approx(1, abs=1e-5)


def test_a_frame_in_the_wrong_class_is_doubtful_and_removed() -> None:
    classifier = taught()
    wrong = classifier.add("red", colour("blue", 20))
    report = classifier.fit()
    assert report.doubtful[0] == wrong and report.accuracy is not None and report.accuracy < 1
    classifier.remove([wrong, 10_000])
    assert wrong not in classifier.numbers and classifier.fit().accuracy == 1


def test_the_same_image_in_two_classes_is_named() -> None:
    classifier = taught()
    twin = classifier.add("blue", colour("red", 3))
    report = classifier.fit()
    assert report.same == ((3, twin),) and "in two classes at once" in " ".join(report.notes)


def test_one_class_or_none_is_refused_and_the_head_stays() -> None:
    classifier = empty()
    with pytest.raises(ImageError, match="none has any"):
        classifier.fit()
    classifier.add("red", colour("red"))
    with pytest.raises(ImageError, match="only 'red' has any"):
        classifier.fit()
    with pytest.raises(ImageError, match="at least two classes"):
        classifier.classify(colour("red"))
    classifier = taught()
    classifier.fit()
    classifier.remove([n for n in classifier.numbers if n >= 10])
    with pytest.raises(ImageError, match="only 'red'"):
        classifier.fit()
    assert next(iter(classifier.classify(colour("blue")))) == "blue"


def test_an_empty_class_is_left_out_with_a_note() -> None:
    report = taught(names=("red", "blue")).fit(["blue", "nothing yet", "red"])
    assert report.classes == ("blue", "red") and "'nothing yet'" in report.notes[0]


def test_eight_classes_of_one_frame() -> None:
    classifier = empty()
    for k in range(module.MAX_CLASSES):
        classifier.add(f"grey {k}", np.full((30, 30, 3), 30 * k, np.uint8))
    report = classifier.fit()
    assert report.accuracy is None and report.confusion is None
    assert "Accuracy needs 5 frames" in report.notes[0]
    assert len(classifier.classify(np.zeros((30, 30, 3), np.uint8))) == 8
    with pytest.raises(ImageError, match="8 classes already"):
        classifier.add("ninth", colour("red"))


def test_a_full_class_and_bad_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_FRAMES", 2)
    classifier = taught(2, ("red",))
    with pytest.raises(ImageError, match="has 2 frames, the most"):
        classifier.add("red", colour("red"))
    for name in ("", "  ", "x" * 41, None):
        with pytest.raises(ImageError, match="a name of 1 to 40"):
            classifier.add(name, colour("red"))  # type: ignore[arg-type]
    assert len(classifier) == 2


@pytest.mark.parametrize("name", hostile.REFUSED)
def test_hostile_images_are_refused_and_teach_nothing(name: str, tmp_path: Path) -> None:
    classifier = taught(2)
    with pytest.raises(ImageError):
        classifier.add("red", hostile.MAKERS[name](tmp_path))
    assert len(classifier) == 6
    classifier.fit()


def test_renamed() -> None:
    classifier = taught()
    classifier.fit()
    classifier.rename("red", " rouge ")
    assert classifier.classes == ("rouge", "green", "blue")
    assert classifier.fit().classes == ("rouge", "green", "blue")
    with pytest.raises(ImageError, match="already"):
        classifier.rename("rouge", "blue")


def test_nearest_frames_and_places() -> None:
    classifier = taught()
    classifier.fit()
    features = classifier.features(colour("green", 4))
    (first, similarity), *others = classifier.nearest(features)
    assert first == 14 and similarity == pytest.approx(1, abs=1e-4)
    assert all(10 <= number < 20 for number, _ in others)
    places = classifier.places()
    assert sorted(places) == classifier.numbers
    assert classifier.place(features) == pytest.approx(places[14], abs=1e-4)


def test_saved_and_loaded(tmp_path: Path) -> None:
    classifier = taught()
    classifier.fit()
    classifier.save(tmp_path / "colours.safetensors")
    loaded = TeachableClassifier.load(tmp_path / "colours.safetensors", Backbone())  # type: ignore[arg-type]
    assert loaded.counts == (10, 10, 10) and loaded.accuracy == 1
    for name in loaded.classes:
        a, b = loaded.classify(colour(name, 9)), classifier.classify(colour(name, 9))
        assert a == pytest.approx(b)
    assert (tmp_path / "colours.safetensors").stat().st_size < 20_000
    with pytest.raises(ImageError, match="at least two classes"):
        empty().save(tmp_path / "nothing")


def test_a_loaded_classifier_is_taught_anew() -> None:
    classifier = taught()
    classifier.fit()
    loaded = TeachableClassifier.load(classifier.to_bytes(), Backbone())  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="none has any"):
        loaded.fit()
    assert next(iter(loaded.classify(colour("red")))) == "red"


def rewritten(blob: bytes, **changes: Any) -> bytes:
    """The file with other texts in its header."""
    header = json.loads(blob[8 : 8 + int.from_bytes(blob[:8], "little")])
    return to_bytes(from_bytes(blob), metadata={**header["__metadata__"], **changes})


def files() -> dict[str, tuple[bytes, str]]:
    classifier = taught()
    classifier.fit()
    good = classifier.to_bytes()
    about = json.loads(rewritten_about(good))
    nan = {**from_bytes(good), "bias": torch.full((3,), float("nan"))}
    header = {"format": module.FORMAT, "version": module.VERSION, "about": json.dumps(about)}
    return {
        "empty": (b"", "damaged"),
        "cut": (good[: len(good) // 2], "damaged"),
        "an image": (b"\x89PNG\r\n\x1a\n" + bytes(100), "damaged"),
        "huge header": (b"\xff" * 40, "damaged"),
        "another model": (to_bytes({"w": torch.zeros(2)}, metadata={"a": "b"}), "not saved by"),
        "no metadata": (to_bytes({"w": torch.zeros(2)}), "not saved by"),
        "newer": (rewritten(good, version="2"), "version '2'"),
        "another network": (
            rewritten(good, about=json.dumps(about | {"backbone": "other"})),
            "another network",
        ),
        "fewer classes": (
            rewritten(good, about=json.dumps(about | {"classes": ["a", "b"]})),
            "damaged",
        ),
        "names twice": (
            rewritten(good, about=json.dumps(about | {"classes": ["a", "a", "b"]})),
            "damaged",
        ),
        "about no object": (rewritten(good, about="[]"), "damaged"),
        "NaN": (to_bytes(nan, metadata=header), "damaged"),
    }


def rewritten_about(blob: bytes) -> str:
    header = json.loads(blob[8 : 8 + int.from_bytes(blob[:8], "little")])
    text: str = header["__metadata__"]["about"]
    return text


@pytest.mark.parametrize("name", files())
def test_other_files_are_refused_with_a_sentence(name: str, tmp_path: Path) -> None:
    blob, words = files()[name]
    with pytest.raises(WeightsError, match=words):
        TeachableClassifier.load(blob, Backbone())  # type: ignore[arg-type]
    (tmp_path / "sent").write_bytes(blob)
    with pytest.raises(WeightsError, match=words):
        TeachableClassifier.load(tmp_path / "sent", Backbone())  # type: ignore[arg-type]


def test_evidence_is_where_the_class_is() -> None:
    classifier = taught(names=("red", "blue"))
    classifier.fit()
    cam = classifier.grad_cam(colour("red"), "red")
    assert cam.shape == (64, 64) and cam.max() == pytest.approx(1)
    assert classifier.grad_cam(colour("red"), "blue").max() == 0
    with pytest.raises(ImageError, match="no taught class"):
        classifier.grad_cam(colour("red"), "green")


def test_with_the_real_network(tmp_path: Path) -> None:
    """Noise against stripes; and the ONNX file answers as the handler does."""
    classifier = TeachableClassifier(loaders.photo_classifier())
    random = np.random.default_rng(0)

    def image(kind: str) -> np.ndarray:
        if kind == "noise":
            return random.integers(0, 255, (224, 224, 3), dtype=np.uint8)
        stripes = np.zeros((224, 224, 3), np.uint8)
        stripes[:, :: random.integers(8, 20)] = 255
        return stripes

    for _ in range(5):
        for kind in ("noise", "stripes"):
            classifier.add(kind, image(kind))
    assert classifier.fit().accuracy == 1
    assert classifier.head is not None and imagenet.SHA256 in str(
        rewritten_about(classifier.to_bytes())
    )
    photo = image("stripes")
    answer = classifier.classify(photo)
    assert answer["stripes"] > 0.8
    cam = classifier.grad_cam(photo, "stripes")
    assert cam.shape == (64, 64) and cam.min() >= 0 and cam.max() == pytest.approx(1)
    assert_onnx_answers_alike(classifier, photo)


def assert_onnx_answers_alike(classifier: TeachableClassifier, photo: np.ndarray) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(classifier.to_onnx(), providers=["CPUExecutionProvider"])
    backbone = classifier.backbone
    x = backbone._resize(torch.from_numpy(photo)[None].permute(0, 3, 1, 2).float() / 255)
    (theirs,) = session.run(["probabilities"], {"image": x.numpy()})
    ours = classifier.probabilities(classifier.features(photo))
    assert np.abs(theirs[0] - ours).max() < 1e-3
    classes = session.get_modelmeta().custom_metadata_map["classes"]
    assert json.loads(classes) == list(classifier.classes)


def test_the_photo_classifier_computes_the_features() -> None:
    """Its linear layer on their means gives its own logits."""
    photos = loaders.photo_classifier()
    image = hostile.scene(224, 224)
    members: Any = photos.network.members
    logits = members[0].head(photos.feature_maps(image[None]).mean((2, 3)))
    expected = photos.classify_batch(image[None])
    assert np.abs(logits.softmax(1).detach().numpy() - expected).max() < 1e-5
