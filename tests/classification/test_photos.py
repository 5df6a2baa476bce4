"""The photo classifiers: shapes, known answers, Grad-CAM, bad input, downloaded networks."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights

from tasks.classification import heatmap, photos
from tasks.classification.photos import PhotoClassifier
from tasks.core import downloads, weights
from tasks.core.images import ImageError
from tasks.models import IMAGENET_MODELS, LITE_CAM, PHOTO_MODELS, CamLayer
from tasks.networks.efficientnet_lite import EfficientNetLite, HalvingConv2d, LiteEnsemble
from tests import hostile
from train import data


class LeftOrRight(nn.Module):
    """Channel 0 is bright where the left half is, channel 1 where the right half is; logits: their
    means.
    """

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.AvgPool2d(8)

    def forward(self, x: Tensor) -> Tensor:  # (B, 3, 64, 64)
        x = x.mean(1, keepdim=True)
        left = torch.arange(64) < 32
        m = self.maps(torch.cat([x * left, x * ~left], 1))  # (B, 2, 8, 8)
        return 20 * m.mean((2, 3))


@pytest.fixture
def left_or_right() -> PhotoClassifier:
    def see(x: Tensor) -> Tensor:
        return nn.functional.interpolate(x, (64, 64))

    return PhotoClassifier(
        "toy", "toy", LeftOrRight(), ("left", "right"), see, lambda x: x, CamLayer("maps", 3.5, 8)
    )


@pytest.fixture(scope="module")
def random_lite() -> PhotoClassifier:
    torch.manual_seed(0)
    return PhotoClassifier.of_lite([EfficientNetLite(10)], data.CIFAR10_CLASSES, 64)


def half_bright(side: str) -> np.ndarray:
    image = np.zeros((80, 80, 3), np.uint8)
    image[:, slice(0, 40) if side == "left" else slice(40, 80)] = 255
    return image


# -- answers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["left", "right"])
def test_known_answer(left_or_right: PhotoClassifier, side: str) -> None:
    answer = left_or_right.classify(half_bright(side))
    assert next(iter(answer)) == side
    assert sum(answer.values()) == pytest.approx(1, abs=1e-5)


def test_the_mirrored_photo_counts_as_much(left_or_right: PhotoClassifier) -> None:
    left_or_right.flip = True
    assert left_or_right.classify(half_bright("left"))["left"] == pytest.approx(0.5, abs=1e-5)


@pytest.mark.parametrize("label", ["left", "right"])
def test_grad_cam_lies_where_the_class_does(left_or_right: PhotoClassifier, label: str) -> None:
    cam = left_or_right.grad_cam(np.full((80, 80, 3), 200, np.uint8), label)
    assert cam.shape == (64, 64) and cam.dtype == np.float32
    assert cam.min() >= 0 and cam.max() == pytest.approx(1, abs=1e-3)
    inside, outside = (cam[:, :28], cam[:, 36:]) if label == "left" else (cam[:, 36:], cam[:, :28])
    assert inside.mean() > 0.95 and outside.mean() < 0.05


def test_grad_cam_of_nothing_is_dark(left_or_right: PhotoClassifier) -> None:
    assert not left_or_right.grad_cam(np.zeros((80, 80, 3), np.uint8), "left").any()


def test_grad_cams_are_those_of_each_label(random_lite: PhotoClassifier) -> None:
    both = random_lite.grad_cams(hostile.scene(), ["cat", "ship"])
    assert both.shape == (2, 64, 64) and both.min() >= 0 and both.max() <= 1
    np.testing.assert_allclose(both[1], random_lite.grad_cam(hostile.scene(), "ship"), atol=1e-5)
    with pytest.raises(ValueError):
        random_lite.grad_cam(hostile.scene(), "unicorn")


@pytest.mark.parametrize("label", ["ship", "cat"])
def test_grad_cam_is_captums(random_lite: PhotoClassifier, label: str) -> None:
    """Before it is enlarged; pytorch-grad-cam cannot be installed beside our OpenCV."""
    from captum.attr import LayerGradCam

    layer = random_lite.network.get_submodule(LITE_CAM.name)
    prepared: list[Tensor] = []
    hook = random_lite.network.register_forward_pre_hook(lambda _, given: prepared.extend(given))
    ours = random_lite.grad_cam(hostile.scene(), label)
    hook.remove()
    reference = LayerGradCam(random_lite.network, layer)
    target = random_lite.classes.index(label)
    cam = reference.attribute(prepared[0].detach(), target, relu_attributions=True)
    assert cam.shape[-1] > 1 and cam.amax() > 0
    enlarged = random_lite._over_the_view((cam / cam.amax()).detach(), prepared[0].shape[-1])
    np.testing.assert_allclose(ours, enlarged[0, 0].numpy(), atol=1e-4)


def test_cam_positions_of_lite() -> None:
    """Where the network's last positions look, from gradients of an all-positive, linear copy of
    it.
    """
    network = EfficientNetLite(10).eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.fill_(1 / module.weight[0].numel())
    x = torch.full((1, 3, 448, 448), 0.01, requires_grad=True)
    maps = network.maps(x)
    (gradient,) = torch.autograd.grad(maps[0, 0, 6, 6], x)
    row = gradient.sum((0, 1, 3))
    centre = float((row * torch.arange(448)).sum() / row.sum())
    cam = LITE_CAM
    assert centre == pytest.approx(cam.first + 6 * cam.step, abs=1.5)


def test_an_ensemble_averages_logits_and_looks_where_its_members_look() -> None:
    torch.manual_seed(0)
    one, other = EfficientNetLite(10).eval(), EfficientNetLite(10, variant=2).eval()
    x = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(LiteEnsemble([one, other])(x), (one(x) + other(x)) / 2)

    image = hostile.scene()
    alone = PhotoClassifier.of_lite([other], data.CIFAR10_CLASSES, 64)
    twice = PhotoClassifier.of_lite([other, other], data.CIFAR10_CLASSES, 64)

    def prepare(x: Tensor) -> Tensor:
        return photos.enlarge_and_normalise(x, 64)

    layer = CamLayer("stages.5", first=31)
    bare = PhotoClassifier("bare", "", other, data.CIFAR10_CLASSES, photos.to_32, prepare, layer)
    expected = bare.grad_cams(image, list(bare.classes))
    assert expected.max() > 0.5
    for classifier in (alone, twice):
        np.testing.assert_allclose(
            classifier.grad_cams(image, list(bare.classes)), expected, atol=1e-3
        )


@pytest.mark.parametrize(
    "name", [n for n, about in PHOTO_MODELS.items() if len(about.members) == 1]
)
def test_a_bundled_network_alone(name: str) -> None:
    (member,) = PHOTO_MODELS[name].members
    if not (weights.FOLDER / f"{member}.json").is_file():
        pytest.skip(f"{member} is not shipped")
    classifier = PhotoClassifier.load(name)
    card = weights.read_card(member)
    assert (
        classifier.title == card.title and classifier.temperature == card.preprocess["temperature"]
    )
    assert sum(p.numel() for p in classifier.network.parameters()) == card.parameters
    about, colour = card.preprocess, np.array([0, 100, 255], np.uint8)
    x = classifier._prepare(np.tile(colour, (1, 32, 32, 1)))[0].cpu()
    expected = (colour / 255 - about["mean"]) / about["std"]
    assert x.shape == (3, about["size"], about["size"])
    np.testing.assert_allclose(x.mean((1, 2)), expected, atol=1e-3)


@pytest.mark.parametrize("name", [["cifar10"], {}, None, "lite2"])
def test_no_such_model_is_a_sentence(name: object) -> None:
    with pytest.raises(weights.WeightsError, match="There is no photo model"):
        PhotoClassifier.load(name)  # type: ignore[arg-type]


def test_a_larger_network_that_was_not_measured_together_is_a_sentence(tmp_path: Path) -> None:
    for member in PHOTO_MODELS["cifar10"].members:
        network = EfficientNetLite(10, variant=2 if member == "photos_lite2" else 0)
        card = weights.read_card(member)
        card.tables.pop("together", None)
        weights.save(network, card, tmp_path)
    with pytest.raises(
        weights.WeightsError, match=r"photos_lite2\.json lacks size or temperature of both"
    ):
        PhotoClassifier.load("cifar10", tmp_path)
    assert PhotoClassifier.load("cifar10_lite2", tmp_path)


@pytest.mark.parametrize("kernel", [3, 5])
def test_halving_pads_as_tensorflow_does(kernel: int) -> None:
    """Output i of TensorFlow's "same" padding covers inputs from 2 i - (k - 2) // 2 on."""
    layer = HalvingConv2d(1, 1, kernel, 2, bias=False)
    nn.init.ones_(layer.weight)
    x = torch.zeros(1, 1, 16, 16)
    x[0, 0, 8, 8] = 1
    touched = layer(x)[0, 0].amax(1).nonzero().flatten().tolist()
    first = (kernel - 2) // 2
    assert touched == [i for i in range(8) if 2 * i - first <= 8 <= 2 * i - first + kernel - 1]


@pytest.mark.parametrize("shape", [(1, 32, 32, 3), (3, 40, 64, 3), (0, 32, 32, 3)])
def test_batch_shapes(random_lite: PhotoClassifier, shape: tuple[int, ...]) -> None:
    out = random_lite.classify_batch(np.zeros(shape, np.uint8))
    assert out.shape == (shape[0], 10) and out.dtype == np.float32
    np.testing.assert_allclose(out.sum(1), 1, atol=1e-5)


def test_batches_and_single_photos_agree(random_lite: PhotoClassifier) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)
    together = random_lite.classify_batch(images)
    for row, image in zip(together, images, strict=True):
        alone = random_lite.classify(image)
        np.testing.assert_allclose(row, [alone[c] for c in random_lite.classes], atol=1e-5)


@pytest.mark.parametrize("bad", [np.zeros((2, 32, 32)), np.zeros((32, 32, 3), np.uint8), [[1]]])
def test_wrong_batches_are_refused(random_lite: PhotoClassifier, bad: object) -> None:
    with pytest.raises(ImageError, match="needed"):
        random_lite.classify_batch(bad)  # type: ignore[arg-type]


def test_what_is_seen_and_viewed(random_lite: PhotoClassifier) -> None:
    small = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    np.testing.assert_array_equal(random_lite.network_input(small), small)
    wide = np.zeros((50, 150, 3), np.uint8)
    wide[:, 50:100] = 255  # the central square
    assert random_lite.network_input(wide).min() == 255
    assert (
        random_lite.network_view(wide).shape == (480, 480, 3)
        and random_lite.network_view(wide).min() == 255
    )


def test_large_photos_are_reduced() -> None:
    photo = photos.central_square(np.zeros((2100, 3000, 3), np.uint8))
    assert photo.width == photo.height and 512 <= photo.width < 1024


def test_overlay() -> None:
    photo = np.full((40, 60, 3), 128, np.uint8)
    heat = np.zeros((4, 4), np.float32)
    heat[:, :2] = 1
    shown = heatmap.overlay(photo, heat)
    assert shown.shape == photo.shape and shown.dtype == np.uint8
    assert shown[:, :15].mean() > shown[:, 45:].mean() + 80


# -- bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["classify", "network_input", "network_view"])
@pytest.mark.parametrize("name", hostile.REFUSED)
def test_refused_with_a_sentence(
    random_lite: PhotoClassifier, tmp_path: Path, name: str, method: str
) -> None:
    with pytest.raises(ImageError) as caught:
        getattr(random_lite, method)(hostile.MAKERS[name](tmp_path))
    assert str(caught.value).endswith((".", "?")) and len(str(caught.value)) > 20
    assert random_lite.classify(hostile.good_png(tmp_path))


@pytest.mark.parametrize("name", hostile.ODD)
def test_odd_pictures_work(random_lite: PhotoClassifier, tmp_path: Path, name: str) -> None:
    image = hostile.MAKERS[name](tmp_path)
    assert sum(random_lite.classify(image).values()) == pytest.approx(1, abs=1e-4)
    assert np.isfinite(random_lite.grad_cam(image, "cat")).all()


def test_rotated_photo_is_read_upright(random_lite: PhotoClassifier, tmp_path: Path) -> None:
    upright = random_lite.classify(hostile.scene())
    assert random_lite.classify(hostile.exif_rotated(tmp_path)) == pytest.approx(upright, abs=1e-5)


# -- weights ---------------------------------------------------------------------------------------


def test_unknown_model() -> None:
    with pytest.raises(weights.WeightsError, match="vgg16"):
        PhotoClassifier.load("vgg19")


def test_no_bundled_weights(tmp_path: Path) -> None:
    with pytest.raises(weights.WeightsError, match=r"photos\.json is missing"):
        PhotoClassifier.load("cifar10", tmp_path)


def test_without_network_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(url: str, progress: object = None) -> Path:
        raise downloads.DownloadError("there is no network, or its server does not answer")

    monkeypatch.setattr(downloads, "fetch", fetch)
    with pytest.raises(
        weights.WeightsError, match=r"ResNet-50's weights .98 MB.*no network.*bundled"
    ):
        PhotoClassifier.load("resnet50")


def test_imagenet_path_with_random_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "random.pth"
    torch.manual_seed(0)
    torch.save(get_model("efficientnet_b0").state_dict(), file)
    monkeypatch.setattr(downloads, "fetch", lambda url, progress=None: file)
    classifier = PhotoClassifier.load("efficientnet_b0")
    answer = classifier.classify(hostile.scene(300, 400))
    assert len(answer) == 1000 and sum(answer.values()) == pytest.approx(1, abs=1e-3)
    assert classifier.network_input(hostile.scene()).shape == (224, 224, 3)
    assert classifier.grad_cam(hostile.scene(), next(iter(answer))).shape == (64, 64)


def test_imagenet_preprocessing_is_torchvisions(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "random.pth"
    torch.save(get_model("efficientnet_b0").state_dict(), file)
    monkeypatch.setattr(downloads, "fetch", lambda url, progress=None: file)
    photo = np.random.default_rng(0).integers(0, 256, (260, 260, 3), np.uint8)
    preset = get_model_weights("efficientnet_b0").DEFAULT.transforms()
    expected = preset(torch.from_numpy(photo).permute(2, 0, 1))
    got = PhotoClassifier.load("efficientnet_b0")._prepare(photo[None])[0].cpu()
    assert float((got - expected).abs().max()) < 0.05  # torchvision rounds to 8 bits after resizing


def test_weights_that_do_not_fit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "other.pth"
    torch.save({"a": torch.zeros(1)}, file)
    monkeypatch.setattr(downloads, "fetch", lambda url, progress=None: file)
    with pytest.raises(weights.WeightsError, match="do not fit"):
        PhotoClassifier.load("efficientnet_b0")


@pytest.mark.parametrize("name", IMAGENET_MODELS)
def test_imagenet_models_as_described(name: str) -> None:
    """Light: shapes only, on the meta device, without memory or weights."""
    about, chosen = IMAGENET_MODELS[name], get_model_weights(name).DEFAULT
    assert about.megabytes == pytest.approx(chosen.meta["_file_size"], abs=1)
    assert downloads.HASH.search(chosen.url) and len(set(chosen.meta["categories"])) == 1000
    side = chosen.transforms().crop_size[0]
    with torch.device("meta"):
        network, shapes = get_model(name).eval(), []
        network.get_submodule(about.cam.name).register_forward_hook(
            lambda m, a, out: shapes.append(out.shape[2:])
        )
        network(torch.zeros(1, 3, side, side))
    assert shapes == [(side // about.cam.step, side // about.cam.step)]
