"""The bundled everyday detector: it loads as a YOLO, finds the people in the page's examples."""

import json
from pathlib import Path

import numpy as np
import pytest

from tasks import models
from tasks.core import weights
from tasks.core.images import to_rgb
from tasks.detection import Detector, checkpoints, engines, sample_scenes
from tasks.detection.tab import examples
from tasks.detection.tab.images import CONFIDENCE, IOU, SAMPLES
from tasks.detection.tracker import TRACKING_FLOOR, Tracker
from tasks.ui.image_input import sample_images
from tasks.ui.recordings import FOLDER
from train.everyday.data import iou


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector.load()


def test_it_is_the_default_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IMAGE_LAB_YOLO", raising=False)
    assert models.detector_choices()[0]["name"] == "everyday"


def test_it_knows_cocos_classes(detector: Detector) -> None:
    assert detector.class_names == tuple(weights.read_card("everyday").classes)
    assert len(detector.class_names) == 80 and detector.class_names[0] == "person"
    assert detector.default_size == 320


THERE = {"zidane": {"person": 2, "tie": 1}}
"""What the examples show."""


@pytest.mark.parametrize("path", sample_images(SAMPLES), ids=lambda path: Path(path).stem)
def test_examples_are_answered_rightly(detector: Detector, path: str) -> None:
    """As the page opens: two people at least, each boxed once, and nothing that is not there."""
    found = detector.detect(path, CONFIDENCE, IOU)
    there = THERE[Path(path).stem]
    assert found.counts().get("person", 0) >= 2
    assert all(n <= there.get(name, 0) for name, n in found.counts().items())
    people = found.xyxy[np.array(found.labels) == "person"]
    overlap = iou(people, people) - np.eye(len(people))
    assert overlap.max() < 0.4  # two places, not one twice


def test_pytorch_finds_what_openvino_finds(detector: Detector) -> None:
    card = weights.read_card("everyday")
    network = checkpoints.read_checkpoint(weights.FOLDER / card.file)
    exact = Detector("everyday", engines.TorchEngine(network), card)
    photo = sample_images(SAMPLES)[0]
    one, other = detector.detect(photo, CONFIDENCE, IOU), exact.detect(photo, CONFIDENCE, IOU)
    assert one.labels == other.labels
    np.testing.assert_allclose(one.confidence, other.confidence, atol=0.05)  # of bf16
    np.testing.assert_allclose(one.xyxy, other.xyxy, atol=12)  # px, of 1280


def test_the_clip_is_answered_rightly(detector: Detector) -> None:
    """Two people in every frame, each with one number from beginning to end."""
    (file,) = sample_images((examples.STREET,)) or pytest.skip("no photo of a street")
    people, tracker, tracks = examples.people_of(np.asarray(to_rgb(file))), Tracker(), set()
    for frame in list(sample_scenes.moving_view(people, 60))[::6]:
        raw = detector.detect_array(frame, TRACKING_FLOOR, IOU)
        found = tracker.update(raw, CONFIDENCE)
        assert [found.class_names[k] for k in found.class_id] == ["person"] * 2
        assert found.track_id is not None
        tracks |= set(found.track_id.tolist())
    assert len(tracks) == 2


def test_the_recorded_clip_has_two_people_throughout() -> None:
    recorded = json.loads((FOLDER / "live-detection.json").read_text(encoding="utf-8"))
    person = recorded["classes"].index("person")
    assert all(answer["kind"] == [person, person] for answer in recorded["answers"])


def test_nothing_is_found_in_nothing(detector: Detector) -> None:
    grey = np.full((240, 320, 3), 128, np.uint8)
    assert not (detector.detect(grey).confidence > 0.5).any()
