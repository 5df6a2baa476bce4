"""What is kept of a training: a file that `ultralytics.YOLO` reads, a card with val's scores."""

import io
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from torch import nn

from tasks.core import weights
from train import options, report
from train.everyday import data, metrics, network, training
from train.everyday.plans import Plan
from train.loop import Fit

if TYPE_CHECKING:
    from ultralytics.nn.tasks import DetectionModel

CONFIDENCE = 0.25  # the page's default threshold
AREAS = {"under 32 x 32 px": (0, 32**2), "to 96 x 96 px": (32**2, 96**2), "larger": (96**2, 1e10)}
"""COCO's small, medium and large, in px of images whose longer side is 320."""
PAIRS = 60  # timings of either network, alternating


def as_stored(trained: nn.Module, names: dict[int, str]) -> "DetectionModel":
    """A plain copy: rounded to fp16, float32 again, on the CPU, in eval mode."""
    state = {
        k: v.cpu().half().float() if v.is_floating_point() else v.cpu()
        for k, v in trained.state_dict().items()
    }
    stored = network.new_network(names)
    stored.load_state_dict(state, strict=True)
    return stored.eval().requires_grad_(False)


def to_checkpoint(trained: nn.Module, names: dict[int, str], size: int) -> bytes:
    """The network as a file that `ultralytics.YOLO` loads: fp16, no optimiser, date or paths."""
    from ultralytics import __version__

    model = as_stored(trained, names).half()
    model.args = {"task": "detect", "imgsz": size}  # type: ignore[assignment]  # as Ultralytics keeps it
    kept = {
        "model": model,
        "ema": None,
        "optimizer": None,
        "epoch": -1,
        "train_args": {"task": "detect", "imgsz": size},
        "version": __version__,
        "license": "AGPL-3.0",
    }
    buffer = io.BytesIO()
    torch.save(kept, buffer)
    return buffer.getvalue()


# -- what is measured ----------------------------------------------------------------------------


def as_used(found: metrics.Found) -> metrics.Found:
    """Of every box the best class only, from the page's threshold on."""
    keep = found.confidence >= CONFIDENCE
    boxes, confidence, class_id = (column[keep] for column in found)
    # the most confident comes first
    _, first = np.unique(boxes.round(2), axis=0, return_index=True)
    first = np.sort(first)
    return metrics.Found(boxes[first], confidence[first], class_id[first])


def recall_and_precision(
    images: Sequence[data.Annotated], found: Sequence[metrics.Found], classes: Sequence[int]
) -> dict[int, tuple[float, float]]:
    """Class -> (recall, precision) at IoU 0.5.

    Precision counts boxes of these classes only; what VOC calls difficult counts neither way.
    """
    out = {}
    for c in classes:
        right = boxes = objects = 0
        for image, one in zip(images, found, strict=True):
            own, mine = image.class_id == c, one.class_id == c
            hit, ignored = metrics.match(image.boxes[own], image.difficult[own], one.boxes[mine])
            right += int(hit[:, 0].sum())
            boxes += int((~ignored[:, 0]).sum())
            objects += int((~image.difficult[own]).sum())
        out[c] = (
            right / objects if objects else float("nan"),
            right / boxes if boxes else float("nan"),
        )
    return out


def milliseconds_in_pairs(
    networks: Sequence[nn.Module], size: int, pairs: int = PAIRS
) -> list[float]:
    """Median of one image through OpenVINO in fp32 on two threads, the networks taking turns."""
    import openvino

    core, requests = openvino.Core(), []
    x = np.random.default_rng(0).random((1, 3, size, size), np.float32)
    for model in networks:
        head: Any = model.model[-1]  # type: ignore[index]
        model(torch.from_numpy(x))  # its anchors are those of this size from here on
        head.export, head.format = True, "openvino"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the tracing, on shapes that are constants
            example = torch.from_numpy(x)
            converted = openvino.convert_model(
                model, example_input=example, input=[1, 3, size, size]
            )
        head.export = False
        how = {"INFERENCE_NUM_THREADS": 2, "INFERENCE_PRECISION_HINT": "f32"}
        requests.append(core.compile_model(converted, "CPU", how).create_infer_request())
    took: list[list[float]] = [[] for _ in networks]
    for _ in range(pairs + 5):
        for times, request in zip(took, requests, strict=True):
            start = time.perf_counter()
            request.infer([x])
            times.append(1000 * (time.perf_counter() - start))
    return [float(np.median(times[5:])) for times in took]


def yolo11n() -> "DetectionModel":
    """YOLO11n's architecture with random weights, for its time."""
    from ultralytics.nn.tasks import DetectionModel

    return DetectionModel("yolo11n.yaml", nc=80, verbose=False).eval()


def by_class_and_size(
    names: dict[int, str],
    val: Sequence[data.Annotated],
    found: Sequence[metrics.Found],
    scores: np.ndarray,
    used: dict[int, tuple[float, float]],
    classes: Sequence[int],
) -> dict[str, Any]:
    """The card's tables "per_class" and "by_size"."""
    per_class = {
        names[c]: {
            "AP50": _rounded(scores[i, 0]),
            "AP50-95": _rounded(scores[i].mean()),
            "recall": _rounded(used[c][0]),
            "precision": _rounded(used[c][1]),
            "objects": int(sum(((image.class_id == c) & ~image.difficult).sum() for image in val)),
        }
        for i, c in enumerate(classes)
    }
    by_size = {}
    for name, area in AREAS.items():
        part = metrics.average_precision(val, found, classes, area)
        by_size[name] = {
            "mAP50": _rounded(metrics.mean(part[:, 0])),
            "mAP50-95": _rounded(metrics.mean(part)),
        }
    return {"per_class": per_class, "by_size": by_size}


def measure(
    model: "DetectionModel", val: Sequence[data.Annotated], classes: Sequence[int], size: int
) -> tuple[list[weights.Metric], dict[str, Any]]:
    """The card's metrics and tables."""
    names: dict[int, str] = model.names
    found = metrics.find_all(model, val, size)
    scores = metrics.average_precision(val, found, classes)
    used = recall_and_precision(val, [as_used(f) for f in found], classes)
    tables = by_class_and_size(names, val, found, scores, used, classes)
    ours, theirs = milliseconds_in_pairs([model, yolo11n()], size)
    how = (
        f"{len(classes)} classes of VOC, longer side {size} px, fp16 weights; "
        "confidence 0.001, NMS IoU 0.7"
    )
    used_how = f"confidence {CONFIDENCE}, IoU 0.5, mean of the classes that have any"
    timing = (
        f"median of {PAIRS}, network only, OpenVINO fp32, {size} px, 2 threads, {report.hardware()}"
    )
    person = tables["per_class"].get("person", {"AP50": None})

    def metric(name: str, value: float, unit: str, n: int, conditions: str) -> weights.Metric:
        return weights.Metric(name, round(value, 2), unit, "val", n, conditions)

    listed = [
        metric("mAP50", 100 * metrics.mean(scores[:, 0]), "%", len(val), how),
        metric("mAP50-95", 100 * metrics.mean(scores), "%", len(val), how),
        metric(
            "recall",
            100 * metrics.mean([r for r, _ in used.values()]),
            "%",
            len(val),
            used_how,
        ),
        metric(
            "precision",
            100 * metrics.mean([p for _, p in used.values()]),
            "%",
            len(val),
            used_how,
        ),
        metric("time for one image", ours, "ms", 1, timing),
        metric(
            "time for one image, YOLO11n's architecture",
            theirs,
            "ms",
            1,
            f"in turns with ours; {timing}",
        ),
    ]
    if person["AP50"] is not None:
        listed.insert(2, metric("AP50 of person", 100 * person["AP50"], "%", len(val), how))
    return listed, tables


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)


# -- what is kept --------------------------------------------------------------------------------


def export(
    done: Fit,
    plan: Plan,
    images: Sequence[data.Annotated],
    val: Sequence[data.Annotated],
    classes: Sequence[int],
    seed: int,
    out: Path,
) -> weights.Card:
    """Measure on val, write weights and card; `images` are what was trained on."""
    trained: Any = done.network.detector
    names: dict[int, str] = trained.names
    model = as_stored(trained, names)
    listed, tables = measure(model, val, classes, plan.size)
    card = weights.Card(
        name="everyday",
        task="detection",
        title="Everyday objects",
        architecture="EfficientNet-Lite0 to stride 32 without its last stage, top-down and "
        "bottom-up pyramid of 64, 96 and 128 channels (C3k2), YOLO11's anchor-free head",
        parameters=sum(p.numel() for p in model.parameters()),
        config={"nc": len(names)},
        preprocess={"size": plan.size, "range": [0, 1], "letterbox": data.GREY},
        classes=list(names.values()),
        metrics=listed,
        data=about_data(plan, done, images, val),
        training=about_training(plan, done, seed),
        paper="Tan and Le 2019, EfficientNet (Lite0: Google); Liu et al. 2018, PANet; "
        "Jocher and Qiu 2024, YOLO11",
        limits=LIMITS,
        curve=curve_with(done, listed),
        tables=tables | {"confidence": CONFIDENCE},
        selected_on=SELECTED_AGAIN if plan.again else SELECTED,
        test_reads=f"val {n_reads(done)} times, for the curve and this card"
        + (f"; before this cycle {weights.read_card('everyday').test_reads}" * plan.again),
    )
    return weights.save_bytes(to_checkpoint(trained, names, plan.size), card, "everyday.pt", out)


SELECTED = (
    "nothing: no setting and no checkpoint was chosen by a score; the moving average at the end of "
    "the training is exported"
)
SELECTED_AGAIN = "val: another cycle is kept where its mAP50 is higher than before"


def about_training(plan: Plan, done: Fit, seed: int) -> dict[str, Any]:
    """The card's `training`; another cycle goes on from that of the bundled weights."""
    minutes, seen = done.minutes, done.images_seen
    command = f"python -m train.everyday{options.budget_options(plan, Plan())}"
    if plan.again:
        before = weights.read_card("everyday").training
        cycle = f"--again --minutes {minutes:.0f}"
        command = f"{str(before['command']).removesuffix(' --export')}, then {cycle}"
        minutes, seen = minutes + float(before["minutes"]), seen + int(before.get("pictures", 0))
    command += f"{'' if plan.teacher else ' --no-teacher'} --export"
    return report.about_training(command, seed, minutes, done.ran_on, seen)


def curve_with(done: Fit, listed: Sequence[weights.Metric]) -> list[dict[str, float]]:
    """The points of the curve that have val's score, the last one as it is on the card."""
    measured = [
        point for point in done.curve if "val_mAP50" in point and point["step"] < done.steps
    ]
    scores = {f"val_{m.name}": m.value / 100 for m in listed if m.name in ("mAP50", "mAP50-95")}
    return [*measured, {"step": float(done.steps), "loss": done.curve[-1]["loss"], **scores}]


LIMITS = (
    "Only VOC's twenty classes are measured (person, vehicles, animals, furniture, bottle, tv); "
    "COCO's other sixty were learned from what the teacher found in VOC's images and are not "
    "measured: rare ones are missed. Small objects are found much less often than large ones. "
    "About half of the training images are of VOC2007's test set, so nothing here compares with "
    "published scores. Val is 476 images with 15 to 489 objects of a class: scores of rare classes "
    "are uncertain by several points."
)


def n_reads(done: Fit) -> int:
    """The points of the curve that have val's score, and the card."""
    return sum("val_mAP50" in point for point in done.curve) + 1


def about_data(
    plan: Plan, done: Fit, images: Sequence[data.Annotated], val: Sequence[data.Annotated]
) -> dict[str, Any]:
    """The card's word on where the labels come from and what was kept back."""
    labels = (
        ", and for COCO's other sixty classes what YOLO11n (Ultralytics, trained on COCO, "
        "AGPL-3.0) finds"
    )
    return {
        "name": "Pascal VOC 2007 and 2012 (parts), its own labels"
        f"{labels if plan.teacher else ''}; backbone from ImageNet (Google's weights)",
        "url": "http://host.robots.ox.ac.uk/pascal/VOC/",
        "licence": "images: their Flickr licences, for research; ImageNet's weights: Apache-2.0; "
        "the teacher, and so these weights: AGPL-3.0",
        "n": f"{len(images):,} images",
        "held_out": f"{len(val):,} images, of VOC2007; difficult objects count neither way",
    }


# -- all of it, tiny -----------------------------------------------------------------------------

SHAPES = ("person", "bicycle")
"""Classes of `generated`: red discs, blue squares."""


def generated(folder: Path, n: int, seed: int) -> list[data.Annotated]:
    """Images of discs and squares on noise, 96 px, as PNG files, with their labels."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    images = []
    for i in range(n):
        image = rng.integers(60, 150, (72, 96, 3)).astype(np.uint8)
        boxes, class_id = [], []
        for x in (4, 50):
            c, side = int(rng.integers(2)), int(rng.integers(24, 40))
            left, top = x + int(rng.integers(4)), int(rng.integers(2, 70 - side))
            corner, end = (left, top), (left + side, top + side)
            if c == 0:
                middle = ((left + end[0]) // 2, (top + end[1]) // 2)
                cv2.circle(image, middle, side // 2, (20, 20, 230), -1)  # BGR
            else:
                cv2.rectangle(image, corner, end, (230, 20, 20), -1)
            boxes.append([*corner, *end])
            class_id.append(c)
        file = folder / f"{i:03}.png"
        cv2.imwrite(str(file), image)
        array = np.array(boxes, np.float32)
        images.append(
            data.Annotated(
                file, array, np.array(class_id), np.ones(2, np.float32), np.zeros(2, bool)
            )
        )
    return images


def smoke(out: Path, seed: int, resume: bool, **changes: Any) -> weights.Card:
    """The training and the export, tiny, from random weights; everything goes under `out`."""
    names = network.coco_names()
    images, val = (generated(out / part, 12, seed + i) for i, part in enumerate(("train", "val")))
    tiny = {"steps": 4, "minutes": None, "batch": 4, "size": 96, "size_before": 64} | changes
    plan = replace(Plan(), **tiny)
    done = training.train(
        plan,
        data.Images(images),
        val,
        [0, 1],
        names,
        seed,
        out / "everyday",
        resume,
        pretrained=False,
        evaluations=2,
    )
    return export(done, plan, images, val, [0, 1], seed, out / "weights")
