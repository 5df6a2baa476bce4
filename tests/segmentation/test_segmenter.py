"""Segmentation: shapes and bad input, tiles and padding, skips, engines, measures against
reference implementations.
"""

import csv
from collections import deque
from pathlib import Path

import numpy as np
import pytest
import torch

from tasks.core import weights
from tasks.core.images import ImageError
from tasks.core.video.reader import VideoWriter, open_video
from tasks.networks.unet import UNet
from tasks.networks.unet_lite0 import UNetLite0, with_short_ways_up
from tasks.segmentation.engines import OpenVinoEngine, TorchEngine
from tasks.segmentation.segmenter import (
    CLASSES,
    PALETTE,
    THREE_SCALES,
    TILE,
    Segmenter,
    make_palette,
    normalised_entropy,
    pad_to_stride,
    shrink,
    upsample_classes,
)
from tasks.segmentation.video import segment_video
from tests import hostile

SHIPPED = pytest.mark.skipif(
    not (weights.FOLDER / "segmentation.json").is_file(),
    reason="weights/segmentation.json is not there",
)


class ByColour:
    """An engine that knows the answer: a pixel's class is its red value over 20."""

    title = "known answer"
    precision = "fp32"

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def infer(self, images: np.ndarray) -> np.ndarray:
        self.shapes.append(images.shape)
        classes = np.minimum(images[..., 0] // 20, len(CLASSES) - 1)
        return np.moveaxis(np.eye(len(CLASSES), dtype=np.float32)[classes], -1, 1)


def known() -> Segmenter:
    torch.manual_seed(0)
    return Segmenter(UNet(len(CLASSES), width=2), CLASSES, engine=ByColour())


@pytest.fixture(scope="module")
def small() -> Segmenter:
    torch.manual_seed(0)
    network = UNetLite0(len(CLASSES), widths=(8, 8, 8, 8)).eval()
    return Segmenter(network, CLASSES, engine=TorchEngine(network))


def stripes(height: int, width: int) -> np.ndarray:
    """An image whose classes are known, changing along both sides."""
    y, x = np.mgrid[:height, :width]
    return np.repeat((((x // 37 + y // 23) % len(CLASSES)) * 20 + 5)[..., None], 3, 2).astype(
        np.uint8
    )


@pytest.mark.parametrize(("height", "width"), [(32, 32), (33, 47), (360, 480), (40, 640)])
def test_every_pixel_gets_its_class(height: int, width: int) -> None:
    image = stripes(height, width)
    segmenter = known()
    assert np.array_equal(segmenter.segment(image), image[..., 0] // 20)
    engine = segmenter.engine
    assert isinstance(engine, ByColour)
    assert all(shape[1] % 32 == 0 and shape[2] % 32 == 0 for shape in engine.shapes)


@pytest.mark.parametrize(("height", "width"), [(700, 100), (1300, 900)])
def test_tiles_cover_a_large_picture(height: int, width: int) -> None:
    image = stripes(height, width)
    segmenter = known()
    scene = segmenter.predict(image, flip=False, longest=None)
    assert np.array_equal(scene.class_id, image[..., 0] // 20)
    engine = segmenter.engine
    assert isinstance(engine, ByColour)
    assert len(engine.shapes) > 1 and max(max(shape[1:3]) for shape in engine.shapes) <= TILE


@pytest.mark.parametrize("side", [33, 96, 701])
def test_three_sizes_are_looked_at_and_averaged(side: int) -> None:
    image = np.full((side, 120, 3), 45, np.uint8)
    image[:, 60:] = 125
    segmenter = known()
    scene = segmenter.predict(image, flip=True, longest=None, scales=THREE_SCALES)
    engine = segmenter.engine
    assert isinstance(engine, ByColour)
    assert {shape[2] for shape in engine.shapes} == {96, 128, 160}  # 90, 120 and 150 px, padded
    assert (scene.class_id[:, :56] == 2).all() and (scene.class_id[:, 64:] == 6).all()
    p = segmenter.probabilities_of_array(image, True, THREE_SCALES)
    assert (
        p.dtype == np.float32 and p.shape[1:] == (side, 120) and np.allclose(p.sum(0), 1, atol=1e-5)
    )
    assert np.array_equal(
        segmenter.predict(image, scales=(1.0,)).class_id, segmenter.segment(image)
    )


def test_a_large_picture_keeps_its_proportions_and_gets_classes_at_its_own_size() -> None:
    image = np.full((900, 1600, 3), 45, np.uint8)
    image[:, 800:] = 125
    scene = known().predict(image)
    assert scene.class_id.shape == (900, 1600) and scene.entropy.shape == (360, 640)
    assert (scene.class_id[:, :795] == 2).all() and (scene.class_id[:, 805:] == 6).all()
    assert scene.shares()["Pole"] == pytest.approx(0.5, abs=0.01)


def test_probabilities_and_entropy(small: Segmenter) -> None:
    p = small.probabilities(stripes(50, 70))
    assert p.shape == (len(CLASSES), 50, 70)
    assert np.allclose(p.sum(0), 1, atol=1e-5)
    one, even = torch.zeros(4, 1), torch.full((4, 1), 0.25)
    one[2] = 1
    assert normalised_entropy(one).item() == 0 and normalised_entropy(even).item() == pytest.approx(
        1
    )


def test_the_mirror_image_has_the_mirrored_answer(small: Segmenter) -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    p, q = small.probabilities(image), small.probabilities(image[:, ::-1].copy())
    assert np.allclose(p, q[..., ::-1], atol=1e-5)


def test_maps_and_cut_skips(small: Segmenter) -> None:
    image = stripes(70, 90) // np.array([1, 2, 4], np.uint8)  # coloured: channels have an order
    maps = small.maps(image)
    assert maps["encoder 1/2"].shape == (16, 48, 48) and maps["encoder 1/32"].shape == (320, 3, 3)
    assert maps["decoder 1/16"].shape == (8, 6, 6) and maps["probabilities"].shape == (
        len(CLASSES),
        70,
        90,
    )
    assert np.allclose(maps["probabilities"], small.probabilities(image, flip=False), atol=1e-4)
    cut = small.maps(image, cut=[4])
    # what lies below the cut does not change
    assert np.array_equal(cut["decoder 1/8"], maps["decoder 1/8"])
    assert not np.array_equal(cut["decoder 1/4"], maps["decoder 1/4"])
    assert np.array_equal(cut["encoder 1/4"], maps["encoder 1/4"])


@pytest.mark.parametrize(
    "network", [UNetLite0(3, widths=(8, 8, 8, 8)), UNet(3, width=4)], ids=["lite0", "textbook"]
)
def test_networks(network: torch.nn.Module) -> None:
    network.eval()
    with torch.inference_mode():
        x = torch.rand(2, 3, 64, 96)
        logits = network(x)
        assert logits.shape == (2, 3, 64, 96)
        assert torch.equal(network.maps(x)["logits"], logits)  # type: ignore[operator]


def test_parameters_stay_below_five_millions() -> None:
    assert sum(p.numel() for p in UNetLite0().parameters()) < 5_000_000


def test_openvino_agrees_with_pytorch() -> None:
    torch.manual_seed(0)
    network = UNetLite0(5, widths=(8, 8, 8, 8)).eval()
    images = np.random.default_rng(0).integers(0, 256, (3, 64, 96, 3)).astype(np.uint8)
    ours, theirs = (
        TorchEngine(network).infer(images),
        OpenVinoEngine(network, "f32").infer(images),
    )
    assert ours.shape == theirs.shape == (3, 5, 64, 96)
    assert np.abs(ours - theirs).max() < 1e-4


@pytest.mark.parametrize("sides", [(64, 64), (32, 96)])
def test_short_ways_up_compute_the_same(sides: tuple[int, int]) -> None:
    """Also at the borders, where the enlarged map and the small one end at different places of the
    kernel.
    """
    torch.manual_seed(0)
    network = UNetLite0().eval()
    for module in network.modules():  # as after a training: norms that move and scale
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean = torch.randn_like(module.weight) / 10
            module.running_var = torch.rand_like(module.weight) + 0.5
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.1)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    x = torch.randn(2, 3, *sides)
    with torch.inference_mode():
        wanted, found = network(x), with_short_ways_up(network)(x)
    assert float(wanted.std()) > 0.01
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in before.items())


def test_an_answer_stays_when_the_next_one_comes() -> None:
    """OpenVINO writes into the arrays that are returned: each call must have its own."""
    torch.manual_seed(0)
    network = UNetLite0().eval()
    network.head.weight.data *= 50  # so that different images have different answers
    engine = OpenVinoEngine(network, "f32")
    images = np.random.default_rng(0).integers(0, 256, (3, 64, 96, 3), dtype=np.uint8)
    first = engine.infer(images)
    kept = first.copy()
    one = engine.infer(images[1:2])
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_allclose(one[0], kept[1], atol=1e-5)
    assert abs(kept[0] - kept[1]).max() > 1e-3


def test_entropy_is_left_out_where_it_is_not_wanted(small: Segmenter) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    with_it, without = small.predict(rgb), small.predict(rgb, entropy=False)
    assert with_it.entropy.shape == (64, 96) and without.entropy.shape == (0, 0)
    np.testing.assert_array_equal(with_it.class_id, without.class_id)
    np.testing.assert_array_equal(with_it.confidence, without.confidence)


def test_padding_and_reducing() -> None:
    image = stripes(360, 470)
    padded = pad_to_stride(image)
    assert padded.shape == (384, 480, 3) and np.array_equal(padded[:360, :470], image)
    assert (padded[360:, :470] == image[-1]).all() and (padded[:360, 470:] == image[:, -1:]).all()
    assert shrink(np.zeros((100, 1000, 3), np.uint8), 640).shape == (64, 640, 3)
    assert shrink(np.zeros((100, 200, 3), np.uint8), 640).shape == (100, 200, 3)  # never enlarged
    with pytest.raises(ImageError, match="at least 32"):
        shrink(np.zeros((100, 200, 3), np.uint8), 8)


def test_upsample_classes_against_float() -> None:
    p = torch.rand(5, 9, 13, generator=torch.Generator().manual_seed(0)).softmax(0)
    wanted = torch.nn.functional.interpolate(
        p[None], (70, 110), mode="bilinear", align_corners=False
    )[0].argmax(0)
    assert (
        upsample_classes(p.numpy(), (70, 110)) == wanted.numpy()
    ).mean() > 0.995  # ties of 16 bits


def test_colours_can_be_told_apart() -> None:
    assert PALETTE.shape == (len(CLASSES), 3) and len({tuple(c) for c in PALETTE.tolist()}) == len(
        CLASSES
    )
    assert len({tuple(c) for c in make_palette(19).tolist()}) == 19


@pytest.mark.parametrize("name", hostile.REFUSED)
def test_bad_pictures_are_refused_in_a_sentence(tmp_path: Path, name: str) -> None:
    segmenter = known()
    with pytest.raises(ImageError):
        segmenter.segment(hostile.MAKERS[name](tmp_path))
    # the next good one works
    assert segmenter.segment(hostile.good_png(tmp_path)).shape == (
        96,
        128,
    )


def test_unknown_and_missing_weights(tmp_path: Path) -> None:
    with pytest.raises(weights.WeightsError, match="no segmenter"):
        Segmenter.load("deeplab")
    with pytest.raises(weights.WeightsError, match="missing"):
        Segmenter.load("segmentation", tmp_path)


def test_a_video_gets_its_classes_and_can_be_stopped(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "clip", 64, 48, 10) as writer:
        for i in range(6):
            writer.write(np.full((48, 64, 3), 30 + 40 * (i // 3), np.uint8))
    last = deque(segment_video(writer.path, known(), tmp_path), maxlen=1).pop()
    assert last.frames == 6 and last.video is not None and last.table is not None
    rows = list(csv.DictReader(last.table.open(encoding="utf-8")))
    assert float(rows[0]["Building"]) > 0.9 and float(rows[-1]["Road"]) > 0.9  # 30 / 20 and 70 / 20
    assert set(last.shares) == set(CLASSES) and last.shares["Sky"][0][1] < 0.1
    with open_video(last.video) as made:
        assert (made.info.width, made.info.height) == (64, 48) and len(list(made)) == 6

    count = iter(range(100))
    stopped = deque(
        segment_video(writer.path, known(), tmp_path, stopped=lambda: next(count) >= 2),
        maxlen=1,
    ).pop()
    assert stopped.frames == 2 and "Stopped" in stopped.note


@SHIPPED
@pytest.mark.parametrize(
    ("name", "every", "points"),
    [
        ("segmentation", 5, 4),
        pytest.param("segmentation", 1, 0.3, marks=pytest.mark.slow),  # all; bf16 rounds
        pytest.param("segmentation_unet", 1, 0.3, marks=pytest.mark.slow),
    ],
)
def test_the_card_does_not_lie(data_dir: Path, name: str, every: int, points: float) -> None:
    """mIoU of the validation images is the card's, that of every fifth is near it."""
    from train.segmentation.data import camvid
    from train.segmentation.metrics import confusion, iou, mean_iou

    segmenter, val = Segmenter.load(name), camvid(data_dir, "val")
    total = torch.zeros(len(CLASSES), len(CLASSES), dtype=torch.int64)
    for i in range(0, len(val), every):
        image, mask = val.read(i)
        found = segmenter.segment(image, flip=False)
        total += confusion(torch.from_numpy(mask), torch.from_numpy(found), len(CLASSES))
    assert segmenter.card is not None
    assert 100 * mean_iou(total) == pytest.approx(segmenter.card.metrics[0].value, abs=points)
    assert iou(total)[CLASSES.index("Road")] > 0.85
