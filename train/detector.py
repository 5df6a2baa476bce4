"""Train YOLO11n (Ultralytics 2024) from random weights to find handwritten digits; or fine-tune any YOLO.

python -m train.detector                     on scenes made by train/scenes.py from MNIST, at 320 px
python -m train.detector --ship              measure on 2,000 test scenes, write weights/detector.pt and its card
python -m train.detector --init yolo11n.pt --data-yaml data.yaml    fine-tune on a data set in YOLO's format
python -m train.detector --smoke             all of the training in under a minute
"""

import io
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from tasks import weights
from train import data, detector_measures, options, report
from train.loop import Fit, Recipe, fit
from train.scenes import DIGIT_FREE, Scene, scene

if TYPE_CHECKING:
    from ultralytics.nn.tasks import DetectionModel

SIZE = 320  # px, in training and in use
HELD_OUT = 5000  # training digits that only validation scenes show
N_VAL, N_TEST = 300, 2000  # scenes
SERIES = {"val": 1_000_001, "test": 1_000_002}  # seeds of scenes; a training's own seed is smaller
GAINS = {"box": 7.5, "cls": 0.5, "dfl": 1.5}  # ultralytics' defaults for the three parts of the loss
ARCHITECTURE = "yolo11n.yaml"
SMALL = 0.6  # share of the steps, and of the size: it starts with pictures of 192 px, which cost 0.4 times as much
STEPS = 1900  # 23 minutes on two cores; the validation curve is still rising slowly (LOG.md)
BATCH = 16


def new_network() -> "DetectionModel":
    """YOLO11n for ten digits, with random weights from torch's global generator."""
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    from ultralytics.nn.tasks import DetectionModel

    network = DetectionModel(ARCHITECTURE, nc=10, verbose=False)
    network.args = SimpleNamespace(**GAINS)  # type: ignore[assignment]  # read by its loss
    network.names = {i: str(i) for i in range(10)}
    return network


def targets(scenes: Sequence[Scene]) -> dict[str, Tensor]:
    """A batch as ultralytics' loss reads it: img (B, 3, H, W) in [0, 1]; each digit's scene, class, xywh / H."""
    xyxy = np.concatenate([s.xyxy for s in scenes]) / len(scenes[0].image)
    low, high = xyxy[:, :2], xyxy[:, 2:]
    which = np.repeat(np.arange(len(scenes)), [len(s.class_id) for s in scenes])
    return {
        "img": detector_measures.to_tensor([s.image for s in scenes]),
        "batch_idx": torch.from_numpy(which.astype(np.float32)),  # (N,)
        "cls": torch.from_numpy(np.concatenate([s.class_id for s in scenes]).astype(np.float32)),  # (N,)
        "bboxes": torch.from_numpy(np.concatenate([(low + high) / 2, high - low], 1).astype(np.float32)),  # (N, 4)
    }


def loss(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """Box, class and distribution loss, mean over the pictures; `model` is a DetectionModel."""
    parts, _ = model(batch)  # each times the number of pictures
    total: Tensor = parts.sum() / len(batch["img"])
    return total


def train(
    seed: int,
    digits: data.ImageSet,
    steps: int,
    run: Path,
    resume: bool,
    *,
    batch: int = BATCH,
    size: int = SIZE,
    n_val: int = N_VAL,
    stop_after: int | None = None,
) -> Fit:
    """Train on scenes with all but the held-out digits; these make the validation scenes of the curve."""
    fit_set, val_set = split(digits)
    torch.manual_seed(seed)
    recipe = Recipe(
        steps=steps,
        batch=batch,
        lr=2e-3,  # what ultralytics' rule gives AdamW for ten classes, rounded
        warmup=0.04,
        weight_decay=5e-4,
        ema=0.999,
        clip=10.0,
        seed=seed,
    )

    def batch_at(step: int, rank: int, world: int) -> dict[str, Tensor]:
        indices = range(step * batch + rank, (step + 1) * batch, world)
        px = size if step >= SMALL * steps else 32 * round(SMALL * size / 32)
        return targets([scene(fit_set, i, seed, px) for i in indices])

    def evaluate(model: nn.Module) -> dict[str, float]:
        found = detector_measures.find_all(model, series("val", val_set, n_val, size))
        results = [(s.without_image(), boxes) for s, boxes in found]
        scores = detector_measures.mean_average_precision(results)
        return {"val_mAP50-95": scores["mAP50-95"], "val_mAP50": scores["mAP50"]}

    return fit(new_network(), batch_at, loss, recipe, run, resume=resume, evaluate=evaluate,
               evaluate_every=max(1, steps // 12), stop_after=stop_after)  # fmt: skip


def split(digits: data.ImageSet) -> tuple[data.ImageSet, data.ImageSet]:
    """(for training scenes, for validation scenes)."""
    return data.hold_out(digits, min(HELD_OUT, len(digits) // 5))


def series(name: str, digits: data.ImageSet, n: int, size: int = SIZE) -> Iterator[Scene]:
    """The first n scenes of the series "val" or "test", always the same ones."""
    return (scene(digits, i, SERIES[name], size) for i in range(n))


# -- what is measured and shipped ----------------------------------------------------------------------------------


def as_stored(network: nn.Module) -> "DetectionModel":
    """A copy without the training's traces: rounded to fp16, float32 again, on the CPU, in eval mode."""
    state = {k: v.cpu().half().float() if v.is_floating_point() else v.cpu() for k, v in network.state_dict().items()}
    stored = new_network()
    stored.load_state_dict(state, strict=True)
    return stored.eval().requires_grad_(False)


def to_checkpoint(network: nn.Module, size: int) -> bytes:
    """The network as a file that `ultralytics.YOLO` loads: fp16, no optimiser, no date, no paths."""
    from ultralytics import __version__

    model = as_stored(network).half()
    model.args = {"task": "detect", "imgsz": size}  # type: ignore[assignment]  # as ultralytics keeps it
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


def ship(
    ours: Fit, digits: data.ImageSet, test: data.ImageSet, n: int, seed: int, size: int, folder: Path
) -> weights.Card:
    """Measure once on `n` test scenes, write weights and card."""
    network = as_stored(ours.network)
    results: list[tuple[Scene, detector_measures.Found]] = []
    empty: list[np.ndarray] = []
    for s, found in detector_measures.find_all(network, series("test", test, n, size)):
        empty += [s.image] if not len(s.class_id) else []
        results.append((s.without_image(), found))
    scores = detector_measures.mean_average_precision(results)
    by_size = {}
    for low, high in detector_measures.SIZES:
        part = detector_measures.mean_average_precision(results, (low, high))["mAP50-95"]
        if not np.isnan(part):
            by_size[f"{low} to {high} px" if high <= 96 else f"from {low} px"] = part
    picture = next(series("test", test, 1, size)).image
    fused = as_stored(ours.network).fuse(verbose=False)
    took = detector_measures.milliseconds(lambda: detector_measures.find(fused, [picture], 0.25, best=True))
    how = f"made-up photos of MNIST's test digits, {size} px; fp16 weights, one seed; confidence 0.001, IoU 0.7"

    def metric(name: str, value: float, unit: str, n: int, conditions: str) -> weights.Metric:
        return weights.Metric(name, round(value, 4), unit, "test", n, conditions)

    fit_set, val_set = split(digits)
    card = weights.Card(
        name="detector",
        task="detection",
        title="YOLO11n, handwritten digits",
        architecture="YOLO11n (C3k2 backbone, C2PSA, three anchor-free heads), ten classes",
        parameters=sum(p.numel() for p in network.parameters()),
        config={"cfg": ARCHITECTURE, "nc": 10},
        preprocess={"size": size, "range": [0, 1], "letterbox": 114},
        classes=[str(i) for i in range(10)],
        metrics=[
            metric("mAP50-95", 100 * scores["mAP50-95"], "%", n, how),
            metric("mAP50", 100 * scores["mAP50"], "%", n, how),
            *(
                metric(f"false alarms a digit-free scene, confidence {level}",
                       detector_measures.false_alarms(network, empty, level), "", len(empty), f"IoU 0.7, {size} px")
                for level in (0.25, 0.5)
            ),
            metric("time for one picture", took, "ms", 1,
                   f"median of 30, network and NMS, torch fp32, {size} px, {report.hardware()}"),
        ],
        data={
            "name": f"scenes made from {test.about['name']}",
            "url": test.about["url"],
            "licence": test.about["licence"],
            "n": f"{ours.steps * BATCH:,} scenes, each seen once, of {len(fit_set):,} training digits",
            "held_out": f"{len(val_set):,} of the training digits for validation scenes; {n:,} scenes of "
            f"{len(test):,} test digits, seen once",
        },
        training={
            "command": f"python -m train.detector {'' if ours.steps == STEPS else f'--steps {ours.steps} '}--ship",
            "seed": seed,
            "minutes": ours.minutes,
            "hardware": report.hardware(),
            "versions": report.versions((*report.PACKAGES, "ultralytics", "opencv-python", "pillow")),
            "commit": weights.commit(),
        },
        paper="Jocher and Qiu 2024, Ultralytics YOLO11; LeCun et al. 1998, MNIST",
        limits=f"Finds single handwritten digits, tilted by up to about 30 degrees, 12 to {size // 2} px long in a "
        f"{size} px frame. Trained and tested on made-up photos only; about one in five had no digit. Printed "
        "numbers, other handwriting and rooms full of things are not what it learnt.",
        curve=ours.curve,
        tables={"batch": BATCH, "by_size": by_size, "digit_free_share": DIGIT_FREE},
    )  # fmt: skip
    return weights.save_bytes(to_checkpoint(network, size), card, "detector.pt", folder)


def smoke(out: Path, seed: int, resume: bool) -> weights.Card:
    """The training and the shipping, tiny: 3 steps of 2 scenes at 96 px; everything goes under `out`."""
    digits, test = made_up(50, seed), made_up(20, seed + 1)
    ours = train(seed, digits, 3, out / "detector", resume, batch=2, size=96, n_val=4)
    return ship(ours, digits, test, 20, seed, 96, out / "weights")


def made_up(n: int, seed: int) -> data.ImageSet:
    """Stand-ins for MNIST: the digits of a plain font, shifted a little, uint8 (n, 28, 28)."""
    from PIL import Image, ImageDraw, ImageFont

    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 10
    font = ImageFont.load_default(22)
    images = []
    for label in labels:
        image = Image.new("L", (28, 28), 0)
        ImageDraw.Draw(image).text((8 + rng.normal(), 2 + rng.normal()), str(label), 255, font)
        images.append(np.array(image))
    about = {"name": "made-up digits", "url": "", "licence": "none", "split": "made up"}
    return data.ImageSet(np.stack(images), labels.astype(np.int64), about)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options.training(__doc__, "MNIST", folders=False)
    parser.add_argument("--steps", type=int, default=STEPS, help=f"optimiser steps of {BATCH} scenes")
    parser.add_argument("--out", type=Path, help="where --smoke writes; default: a temporary folder")
    parser.add_argument("--init", help="fine-tune these YOLO weights (a path, or a name that ultralytics downloads)")
    parser.add_argument("--data-yaml", type=Path, help="the data set to fine-tune on, in YOLO's format")
    parser.add_argument("--epochs", type=int, default=10, help="of fine-tuning")
    parser.add_argument("--imgsz", type=int, default=640, help="px, of fine-tuning")
    parser.add_argument("--batch", type=int, default=16, help="pictures, of fine-tuning; few pictures want a small one")
    parser.add_argument("--lr", type=float, help="peak learning rate of fine-tuning; new classes want about 1e-3")
    args = parser.parse_args(arguments)
    if args.init or args.data_yaml:
        from train import fine_tune

        if not (args.init and args.data_yaml):
            parser.error("fine-tuning needs both --init and --data-yaml")
        try:
            best = fine_tune.fine_tune(
                args.init,
                args.data_yaml,
                Path("runs"),
                args.epochs,
                args.imgsz,
                args.seed,
                args.batch,
                lr=args.lr,
            )
        except fine_tune.FineTuneError as error:
            parser.exit(1, f"{error}\n")
        print(best)
        return
    if args.smoke:
        with tempfile.TemporaryDirectory() as temporary:
            print(smoke(args.out or Path(temporary), args.seed, args.resume).headline)
        return
    cv2.setNumThreads(torch.get_num_threads())  # the scenes' threads: OMP_NUM_THREADS=1 means one in all
    digits = data.mnist(args.data, train=True)
    ours = train(args.seed, digits, args.steps, Path("runs") / "detector", args.resume or args.ship)
    if args.ship:
        card = ship(ours, digits, data.mnist(args.data, train=False), N_TEST, args.seed, SIZE, weights.FOLDER)
        print(card.headline, *(f"{m.name} {m.value} {m.unit}" for m in card.metrics[1:]), sep="\n")


if __name__ == "__main__":
    main()
