"""The digit detector's training: smoke, exact resume, the file that ultralytics loads, mAP as
ultralytics has it."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from tasks.core import weights
from train import data
from train.common.synthetic import printed_digits
from train.detector import export, fine_tune, metrics, training
from train.detector.__main__ import main
from train.detector.data import series
from train.detector.metrics import Found
from train.detector.plans import SMOKE, Plan
from train.detector.scenes import Scene, scene

SHIPPED = pytest.mark.skipif(
    not (weights.FOLDER / "detector.json").is_file(), reason="weights/detector.json is not there"
)
DIGITS = printed_digits(40, 0)


def test_smoke_with_resume(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--smoke", "--out", str(tmp_path)])
    card = weights.verify("detector", tmp_path / "weights")
    main(["--smoke", "--resume", "--out", str(tmp_path)])  # finished: trains no further
    again = weights.verify("detector", tmp_path / "weights")
    assert again.sha256 == card.sha256 and again.metrics[0] == card.metrics[0]
    assert card.headline in capsys.readouterr().out
    assert card.file == "detector.pt" and card.bytes < 10_000_000 and card.curve
    assert [m.name for m in card.metrics[:2]] == ["mAP50-95", "mAP50"]
    assert {"12 to 24 px", "24 to 48 px"} <= set(
        card.tables["by_size"]
    ) and "from 96 px" not in card.tables["by_size"]


def test_an_interrupted_training_ends_the_same(tmp_path: Path) -> None:
    plan = replace(SMOKE, steps=4, n_val=2)
    straight = training.train(0, DIGITS, plan, tmp_path / "straight", False)
    training.train(0, DIGITS, plan, tmp_path / "cut", False, stop_after=2)
    resumed = training.train(0, DIGITS, plan, tmp_path / "cut", True)
    for name, value in straight.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name]), name


def test_the_loss_reaches_every_layer() -> None:
    torch.manual_seed(0)
    network = training.new_network().train()
    scenes = [s for s in (scene(DIGITS, i, 1, 96) for i in range(20)) if len(s.class_id) > 2][:2]
    value = training.loss(network, training.targets(scenes))
    value.backward()
    gradients = [p.grad for p in network.parameters() if p.requires_grad]
    assert value.item() > 0 and all(g is not None and bool(g.isfinite().all()) for g in gradients)
    assert sum(float(g.abs().sum()) > 0 for g in gradients if g is not None) > 0.9 * len(gradients)


def test_targets_are_what_ultralytics_reads() -> None:
    scenes = [scene(DIGITS, i, 2, 96) for i in range(4)]
    batch = training.targets(scenes)
    assert (
        batch["img"].shape == (4, 3, 96, 96)
        and 0 <= float(batch["img"].min()) < float(batch["img"].max()) <= 1
    )
    np.testing.assert_array_equal(batch["img"][1, :, 5, 7].numpy() * 255, scenes[1].image[5, 7])
    which, xywh = batch["batch_idx"].numpy(), batch["bboxes"].numpy() * 96
    for i, s in enumerate(scenes):
        own = xywh[which == i]
        back = np.concatenate([own[:, :2] - own[:, 2:] / 2, own[:, :2] + own[:, 2:] / 2], 1)
        np.testing.assert_allclose(back, s.xyxy, atol=1e-3)
        np.testing.assert_array_equal(batch["cls"].numpy()[which == i], s.class_id)


def test_ultralytics_loads_the_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = training.new_network().eval()
    blob = export.to_checkpoint(network, 96)
    (tmp_path / "detector.pt").write_bytes(blob)
    assert blob == export.to_checkpoint(network, 96) and len(blob) < 10_000_000
    assert str(Path.cwd()).encode() not in blob and str(Path.home()).encode() not in blob
    model = fine_tune.load(str(tmp_path / "detector.pt"))
    assert model.task == "detect" and model.names == {i: str(i) for i in range(10)}
    x = torch.rand(1, 3, 96, 96)
    with torch.inference_mode():
        expected = export.as_stored(network)(x)[0]
        torch.testing.assert_close(model.model.eval()(x)[0], expected)
    picture = scene(DIGITS, 1, 0, 96).image[..., ::-1]
    assert len(model.predict(picture, imgsz=96, verbose=False)) == 1


# -- mean average precision ------------------------------------------------------------------------


def results(seed: int, n: int = 30) -> list[tuple[Scene, Found]]:
    """Scenes without pictures, and boxes such as a middling detector finds: shifted, missed,
    doubled, mistaken."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(n):
        m = int(rng.integers(0, 6))
        corner, side = rng.uniform(0, 200, (m, 2)), rng.uniform(12, 120, (m, 1)) * (0.7, 1)
        truth = Scene(
            np.zeros((0, 0, 3), np.uint8),
            np.hstack([corner, corner + side]),
            rng.integers(0, 10, m),
        )
        which = rng.integers(0, max(1, m), 2 * m)
        boxes = truth.xyxy[which] + rng.normal(0, 5, (2 * m, 4))
        kinds = np.where(
            rng.random(2 * m) < 0.85, truth.class_id[which], rng.integers(0, 10, 2 * m)
        )
        order = np.argsort(-(confidence := rng.uniform(0.01, 1, 2 * m)))
        made.append((truth, Found(boxes[order], confidence[order], kinds[order])))
    return made


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_map_is_ultralytics_own(seed: int) -> None:
    """The same boxes through ultralytics' matching and its `ap_per_class`."""
    from ultralytics.engine.validator import BaseValidator
    from ultralytics.utils.metrics import ap_per_class, box_iou

    own = SimpleNamespace(iouv=torch.linspace(0.5, 0.95, 10))
    made = results(seed)
    tp = [
        BaseValidator.match_predictions(
            own,  # type: ignore[arg-type]  # of the validator it reads the thresholds only
            torch.from_numpy(found.class_id),
            torch.from_numpy(truth.class_id),
            box_iou(torch.from_numpy(truth.xyxy), torch.from_numpy(found.xyxy)),
        ).numpy()
        for truth, found in made
    ]
    theirs = ap_per_class(
        np.concatenate(tp),
        np.concatenate([f.confidence for _, f in made]),
        np.concatenate([f.class_id for _, f in made]),
        np.concatenate([t.class_id for t, _ in made]),
    )[5]
    ours = metrics.mean_average_precision(made)
    assert (
        ours["mAP50-95"] == pytest.approx(theirs.mean(), abs=1e-6) and 0.05 < ours["mAP50-95"] < 0.9
    )
    assert ours["mAP50"] == pytest.approx(theirs[:, 0].mean(), abs=1e-6)


def test_map_by_size() -> None:
    made = results(5)
    truth_only = [(t, Found(t.xyxy, np.ones(len(t.xyxy)), t.class_id)) for t, _ in made]
    whole = metrics.mean_average_precision(truth_only)
    assert whole["mAP50-95"] == pytest.approx(
        0.995, abs=0.006
    )  # 1 at 101 recalls, less the last step
    for low, high in metrics.SIZES:
        part = metrics.mean_average_precision(truth_only, (low, high))
        assert part["mAP50-95"] == pytest.approx(whole["mAP50-95"], abs=0.01)
    nothing = [(t, Found(f.xyxy[:0], f.confidence[:0], f.class_id[:0])) for t, f in truth_only]
    assert metrics.mean_average_precision(nothing, (12, 24))["mAP50"] == 0


def test_boxes_of_another_size_count_neither_way() -> None:
    truth = Scene(
        np.zeros((0, 0, 3), np.uint8),
        np.array([[0, 0, 20, 20], [50, 50, 150, 150.0]]),
        np.array([3, 3]),
    )
    found = Found(
        np.array([[50, 50, 150, 150], [0, 0, 20, 20], [200, 200, 310, 310.0]]),
        np.array([0.9, 0.8, 0.85]),
        np.array([3, 3, 3]),
    )
    small = metrics.mean_average_precision([(truth, found)], (12, 24))
    assert small["mAP50"] == pytest.approx(0.995, abs=0.006)
    both = metrics.mean_average_precision([(truth, found)])
    assert both["mAP50"] < 0.9  # the false one counts


# -- fine-tuning any YOLO --------------------------------------------------------------------------


@pytest.fixture
def tiny_set(tmp_path: Path) -> Path:
    """A data set in YOLO's format, with the relative `path` that ultralytics' own files have."""
    for part in ("train", "val"):
        for kind in ("images", "labels"):
            (tmp_path / "tiny" / kind / part).mkdir(parents=True)
        for i in range(4):
            s = scene(DIGITS, i, 11 if part == "train" else 12, 64)
            Image.fromarray(s.image).save(tmp_path / "tiny" / "images" / part / f"{i}.png")
            batch = training.targets([s])
            lines = [
                f"{int(c)} {' '.join(f'{v:.5f}' for v in box)}"
                for c, box in zip(batch["cls"].tolist(), batch["bboxes"].tolist(), strict=True)
            ]
            (tmp_path / "tiny" / "labels" / part / f"{i}.txt").write_text("\n".join(lines))
    file = tmp_path / "tiny" / "data.yaml"
    names = "\n".join(f"  {i}: digit {i}" for i in range(10))
    file.write_text(f"path: .\ntrain: images/train\nval: images/val\nnames:\n{names}\n")
    return file


def test_fine_tuning(
    tiny_set: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)  # where runs/ goes
    init = tmp_path / "init.pt"
    init.write_bytes(export.to_checkpoint(training.new_network(), 64))
    main(["--init", str(init), "--data-yaml", str(tiny_set), "--epochs", "1", "--imgsz", "64"])
    best = tmp_path / "runs" / "init-tiny" / "weights" / "best.pt"
    assert capsys.readouterr().out.splitlines()[-1] == str(best)
    tuned = fine_tune.load(str(best))
    assert tuned.names == {i: f"digit {i}" for i in range(10)}
    assert not list((tmp_path / "runs").rglob("*.jpg"))  # no plots


def yaml_without(key: str) -> str:
    parts = {"train": "train: images/train", "val": "val: images/val", "names": "names: [a, b]"}
    return "\n".join(text for name, text in parts.items() if name != key) + "\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "is not there"),
        ("train: [", "cannot be read as YAML"),
        ("just a sentence", "must name train, val and names"),
        (yaml_without("names"), "lacks names"),
        (yaml_without("val"), "lacks val"),
        (yaml_without(""), "which is not there"),
    ],
    ids=["missing", "no-yaml", "no-mapping", "no-names", "no-val", "no-folder"],
)
def test_a_broken_data_yaml_is_answered_with_a_sentence(
    text: str | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "data.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(SystemExit) as stopped:
        main(["--init", "yolo11n.yaml", "--data-yaml", str(file)])
    assert stopped.value.code == 1
    answer = capsys.readouterr().err.strip()
    assert said in answer and "data.yaml" in answer and len(answer.splitlines()) == 1


@pytest.mark.parametrize(
    ("init", "said"),
    [
        ("yolo11n.pt", "cannot be downloaded without a network"),
        ("my-own.pt", "no name that ultralytics knows"),
        ("broken.pt", "cannot be used"),
        ("picture.png", "neither weights"),
        ("nothing-such.yaml", "cannot be used"),
    ],
)
def test_weights_that_cannot_be_had_are_answered_with_a_sentence(
    init: str,
    said: str,
    tiny_set: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fine_tune, "_has_network", lambda: False)
    (tmp_path / "broken.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(SystemExit) as stopped:
        main(["--init", init, "--data-yaml", str(tiny_set)])
    assert stopped.value.code == 1
    assert said in capsys.readouterr().err and not (tmp_path / "yolo11n.pt").exists()


def test_fine_tuning_needs_both(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--init", "yolo11n.yaml"])
    assert "--data-yaml" in capsys.readouterr().err


# -- what is shipped -------------------------------------------------------------------------------


@pytest.mark.slow  # measures the shipped network
@SHIPPED
def test_shipped_card_is_true(data_dir: Path) -> None:
    card = weights.verify("detector")
    network = fine_tune.load(str(weights.FOLDER / card.file)).model.float().eval()
    test = data.mnist(data_dir, train=False)
    scenes = series("test", test, card.metrics[0].n, Plan.size)
    made = [(s.without_image(), found) for s, found in metrics.find_all(network, scenes)]
    score = 100 * metrics.mean_average_precision(made)["mAP50-95"]
    assert score == pytest.approx(card.metrics[0].value, abs=0.1)


@SHIPPED
def test_shipped_model_is_as_good_as_asked() -> None:
    card = weights.verify("detector")
    assert card.metrics[0].name == "mAP50-95" and card.metrics[0].value >= 80
