"""The segmentation tab through the running app, and the page's functions with a stand-in for the
model.
"""

import base64
import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from torchvision.models import get_model_weights

from tasks import loaders, models
from tasks.core import weights
from tasks.segmentation.segmenter import CLASSES, NETWORKS, PALETTE, Scene
from tasks.segmentation.tab import compare, images, inside, live
from tasks.segmentation.tab.scores import confusion_html, lengths_html, scores_html
from tasks.segmentation.torchvision_segmenters import LabelledImage, TorchvisionSegmenter, build
from tasks.ui.charts import Series
from tests import hostile

SHIPPED = pytest.mark.skipif(
    not (weights.FOLDER / "segmentation.json").is_file(),
    reason="weights/segmentation.json is not there",
)


@pytest.fixture(scope="module")
def client(app_url: str) -> Iterator[Client]:
    connected = Client(app_url, verbose=False)
    yield connected
    connected.close()


@SHIPPED
def test_segment_scene(client: Client, tmp_path: Path) -> None:
    mask, answer = client.predict(
        handle_file(str(hostile.good_png(tmp_path))), api_name="/segment_scene"
    )
    with Image.open(mask) as image:
        ids = np.array(image)
        assert image.mode == "P" and image.size == (answer["width"], answer["height"]) == (128, 96)
        assert image.getpalette()[:33] == PALETTE.ravel().tolist()  # type: ignore[index]
    assert [c["name"] for c in answer["classes"]] == list(CLASSES)
    for c in answer["classes"]:
        assert c["share"] == pytest.approx((ids == c["id"]).mean(), abs=1e-5)


@pytest.mark.parametrize("name", [n for n in hostile.FILES if n in hostile.REFUSED])
def test_refused_with_a_sentence(client: Client, tmp_path: Path, name: str) -> None:
    path = hostile.MAKERS[name](tmp_path)
    assert isinstance(path, Path)
    with pytest.raises(AppError) as caught:
        client.predict(handle_file(str(path)), api_name="/segment_scene")
    text = str(caught.value)
    assert "Traceback" not in text and "went wrong" not in text
    assert "image" in text or "weights" in text


def test_endpoints_are_documented_and_the_inner_ones_are_not(client: Client) -> None:
    named = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert {"/segment_scene", "/segment_video"} <= set(named)
    assert not {"/answer", "/look_inside", "/segment_file", "/compare"} & set(named)


# -- the page's functions --------------------------------------------------------------------------


class FakeEngine:
    title, precision = "fake", "fp32"


class Fake:
    class_names, palette, engine, card = CLASSES, PALETTE, FakeEngine(), None

    def predict(
        self,
        image: np.ndarray,
        flip: bool = True,
        longest: int | None = 640,
        scales: object = (1.0,),
        entropy: bool = True,
    ) -> Scene:
        high, wide = image.shape[:2]
        ids = np.full((high, wide), 3, np.uint8)
        ids[: high // 2] = 0
        sure = np.full((high // 2, wide // 2), 0.75, np.float32)
        return Scene(ids, sure, 1 - sure, CLASSES, PALETTE, {"all": 12.0})

    def maps(self, image: object, cut: object = ()) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(len(list(cut)))  # type: ignore[call-overload]
        maps = {f"encoder 1/{s}": rng.random((16, 64 // s, 96 // s)) for s in (2, 4, 8, 16, 32)}
        maps |= {f"decoder 1/{s}": rng.random((8, 64 // s, 96 // s)) for s in (16, 8, 4, 2)}
        return maps | {"probabilities": rng.random((len(CLASSES), 64, 96))}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loaders, "segmenter", lambda name="segmentation": Fake())
    monkeypatch.setattr(loaders, "has_segmenter", lambda name="segmentation": True)


def decoded(data_url: str) -> np.ndarray:
    return np.array(Image.open(BytesIO(base64.b64decode(data_url.partition(",")[2]))))


def test_the_viewer_gets_all_it_shows(fake: None) -> None:
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3)).astype(np.uint8)
    value = images.answer(image, "segmentation", "640 px", True, False)
    assert decoded(value["classes"]).tolist() == Fake().predict(image).class_id.tolist()
    assert set(decoded(value["confidence"]).ravel().tolist()) == {75}
    assert decoded(value["picture"]).shape == (90, 120, 3)
    assert value["colours"][3] == "#{:02x}{:02x}{:02x}".format(*PALETTE[3].tolist())
    assert value["shares"][0] == value["shares"][3] == 0.5 and value["unsure"] == 0
    about = json.loads(value["about"])
    assert (
        about["classes"][3]["name"] == "Road"
        and about["looked_at"] == "640 px"
        and about["width"] == 120
    )
    assert images.answer(None, "segmentation", "640 px", True, False) == {}


def test_a_large_picture_is_shown_small_and_saved_whole(fake: None) -> None:
    value = images.answer(
        np.zeros((1000, 2560, 3), np.uint8), "segmentation", "480 px", False, False
    )
    assert decoded(value["classes"]).shape == (500, 1280)
    assert decoded(value["mask"]).shape == (1000, 2560)


def test_the_figure_of_the_network(fake: None) -> None:
    image = np.zeros((64, 96, 3), np.uint8)
    whole = inside.look_inside(image, "segmentation", [])
    assert "All skips are connected" in whole and whole.count("<figure") == 2 + 4 + 4 + 1
    cut = inside.look_inside(image, "segmentation", ["1/4", "1/16"])
    assert (
        "the skips of 1/4, 1/16" in cut
        and cut.count("class='skip cut'") == 2
        and "change their class" in cut
    )
    assert inside.look_inside(None, "segmentation", []) == inside.HINT


@pytest.mark.parametrize("name", list(NETWORKS))
def test_the_page_knows_the_networks_skips(name: str) -> None:
    from tasks.networks import unet, unet_lite0

    scales = unet.SCALES if name == "segmentation_unet" else unet_lite0.SCALES
    assert inside.skip_scales(name) == [f"1/{s}" for s in scales]
    assert name in models.SEGMENTERS


def frame(**changes: object) -> dict[str, object]:
    buffer = BytesIO()
    Image.new("RGB", (64, 48), "grey").save(buffer, "JPEG")
    jpeg = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
    return {"jpeg": jpeg, "visitor": "0" * 32, **changes}


def test_a_frame_of_the_camera(fake: None) -> None:
    while (answer := live.prepare_segmenter("segmentation")) == {"loading": True}:
        pass
    assert answer["names"] == list(CLASSES) and len(answer["colours"]) == len(CLASSES)
    answer = live.segment_frame(frame())
    ids = decoded(answer["mask"])
    assert (
        ids.shape == (48, 64) and set(ids.ravel().tolist()) == {0, 3} and sum(answer["shares"]) == 1
    )


@pytest.mark.parametrize(
    "request_",
    [
        None,
        {},
        frame(visitor="x"),
        frame(jpeg="data:image/png;base64,AA"),
        frame(jpeg="data:image/jpeg;base64,AAAA"),
    ],
)
def test_bad_frames_are_answered_with_a_sentence(fake: None, request_: object) -> None:
    answer = live.segment_frame(request_)  # type: ignore[arg-type]
    assert set(answer) == {"error", "hint"} and "went wrong" not in answer["error"]


def test_a_shorter_curve_says_so() -> None:
    curves = [
        Series("long", [(0.0, 1.0), (600.0, 2.0)]),
        Series("short", [(0.0, 1.0), (100.0, 1.5)]),
    ]
    text = lengths_html(curves)
    assert "“short” ends at step 100 of 600" in text and "long" not in text
    assert lengths_html(curves[:1]) == ""


def test_scores_are_shown_as_they_are() -> None:
    card = weights.Card(
        "segmentation",
        "segmentation",
        "Fake & Co",
        "net",
        1,
        {},
        {},
        ["a", "b"],
        [weights.Metric("mIoU", 61.25, "%", "val", 9, "")],
        {},
        {},
        "",
        "",
        tables={"iou": {"a": 0.75, "b": None}, "confusion": [[3, 1], [0, 0]]},
    )
    assert "75.0 %" in scores_html([card]) and "Fake &amp; Co" in scores_html([card])
    assert ">75<" in confusion_html(card) and ">25<" in confusion_html(card)


# -- torchvision's networks ------------------------------------------------------------------------


def test_a_semantic_network_labels_every_pixel() -> None:
    network = build("lraspp_mobilenet_v3_large", 21)
    labelled = TorchvisionSegmenter(
        "lraspp_mobilenet_v3_large", network, tuple(map(str, range(21)))
    ).segment(np.random.default_rng(0).integers(0, 256, (64, 96, 3)).astype(np.uint8))
    assert labelled.class_id.shape == (64, 96) and labelled.class_id.max() < 21


def test_the_network_gets_what_torchvision_makes_of_an_image() -> None:
    name = "lraspp_mobilenet_v3_large"
    segmenter = TorchvisionSegmenter(name, build(name, 21), tuple(map(str, range(21))))
    image = np.random.default_rng(0).integers(0, 256, (560, 600, 3)).astype(np.uint8)
    given: list[torch.Tensor] = []
    hook = segmenter.network.register_forward_pre_hook(lambda _, args: given.extend(args))
    segmenter.segment(image)
    hook.remove()
    preset = get_model_weights(name).DEFAULT.transforms()  # type: ignore[attr-defined]
    expected = preset(torch.from_numpy(image).permute(2, 0, 1))
    # torchvision rounds to 8 bits after resizing
    torch.testing.assert_close(given[0][0].cpu(), expected, atol=0.05, rtol=0)


def test_the_background_keeps_its_pixels() -> None:
    ids = np.array([[0, 1], [0, 2]], np.uint8)
    labelled = LabelledImage(
        ids, ("background", "car", "bus"), np.array([(0, 0, 0), (255, 0, 0), (0, 255, 0)], np.uint8)
    )
    seen = labelled.overlay(np.full((2, 2, 3), 100, np.uint8), 0.5)
    assert (seen[:, 0] == 100).all() and seen[0, 1].tolist() == [178, 50, 50]
    assert labelled.shares() == {"car": 0.25, "bus": 0.25}


def test_compare_names_what_cannot_be_had(fake: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, progress: object = None) -> object:
        raise weights.WeightsError("no network <here>")

    monkeypatch.setattr(loaders, "torchvision_segmenter", refuse)
    steps = list(compare.compare(np.zeros((64, 96, 3), np.uint8), ["segmentation", "fcn_resnet50"]))
    gallery, table = steps[-1]
    assert len(gallery) == 1 and "Road 50 %" in table and "no network &lt;here&gt;" in table
