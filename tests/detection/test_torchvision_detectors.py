"""torchvision's detectors with random weights: their boxes, and the error without a network."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import get_model_weights

from tasks.core import downloads
from tasks.core.images import ImageError
from tasks.core.weights import WeightsError
from tasks.detection.torchvision_detectors import TorchvisionDetector, build
from tasks.models import TORCHVISION_DETECTORS

SMALL = "ssdlite320_mobilenet_v3_large"


@pytest.fixture(scope="module")
def detector() -> TorchvisionDetector:
    torch.manual_seed(0)
    return TorchvisionDetector(SMALL, build(SMALL, 5), ("nothing", "a", "b", "c", "d"))


def test_boxes_lie_in_the_picture(detector: TorchvisionDetector) -> None:
    image = np.random.default_rng(0).integers(0, 255, (90, 160, 3), np.uint8)
    found = detector.detect(image, confidence=0.0)
    assert 0 < len(found) <= 300
    assert (found.xyxy >= 0).all() and (found.xyxy <= [160, 90, 160, 90]).all()
    assert (np.diff(found.confidence) <= 1e-6).all() and set(found.labels) <= set("abcd")
    assert len(detector.detect(image, confidence=1.0)) == 0
    assert found.speed_ms["inference"] > 0


def test_the_network_gets_what_torchvision_makes_of_an_image(detector: TorchvisionDetector) -> None:
    image = np.random.default_rng(0).integers(0, 255, (90, 160, 3), np.uint8)
    given: list[torch.Tensor] = []
    hook = detector.network.register_forward_pre_hook(lambda _, args: given.extend(args[0]))
    detector.detect(image)
    hook.remove()
    expected = get_model_weights(SMALL).DEFAULT.transforms()(Image.fromarray(image))  # type: ignore[attr-defined]
    torch.testing.assert_close(given[0].cpu(), expected)


def test_bad_settings_and_pictures(detector: TorchvisionDetector) -> None:
    with pytest.raises(ImageError, match="confidence"):
        detector.detect(np.zeros((50, 50, 3), np.uint8), confidence=2)
    with pytest.raises(ImageError):
        detector.detect(b"no picture")


@pytest.mark.parametrize("name", TORCHVISION_DETECTORS)
def test_without_a_network_a_sentence(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(url: str, progress: object) -> None:
        assert url.startswith("https://download.pytorch.org/models/") and downloads.HASH.search(url)
        raise downloads.DownloadError("there is no network, or its server does not answer")

    monkeypatch.setattr(downloads, "fetch", no_network)
    with pytest.raises(WeightsError, match="YOLO works without"):
        TorchvisionDetector.load(name)


def test_unknown() -> None:
    with pytest.raises(WeightsError, match="There is no detector"):
        TorchvisionDetector.load("retinanet")


def test_downloaded_weights_are_used(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    from pathlib import Path

    torch.manual_seed(1)
    network = build(SMALL, 91)
    file = Path(str(tmp_path)) / "weights.pth"
    torch.save(network.state_dict(), file)
    monkeypatch.setattr(downloads, "fetch", lambda url, progress: file)
    loaded = TorchvisionDetector.load(SMALL)
    assert len(loaded.class_names) == 91 and loaded.class_names[1] == "person"
    for name, value in network.state_dict().items():
        assert torch.equal(value, loaded.network.state_dict()[name].cpu()), name
