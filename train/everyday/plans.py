"""What is trained, and how long."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Plan:
    """A training; `minutes` instead of `steps` makes the clock the schedule."""

    steps: int = 3000
    minutes: float | None = None
    batch: int = 16  # images a step
    lr: float = 1.2e-3  # peak learning rate of pyramid and head
    backbone_lr: float = 0.33  # of that, for the backbone's two parts that are trained
    weight_decay: float = 0.02  # AdamW's, on kernels
    ema: float = 0.998
    clip: float = 5.0  # largest gradient norm
    size: int = 320  # px, in use and in the last part of the training
    size_before: int = 256  # px in the first part, 0.6 times the cost
    before: float = 0.5  # share of the training of the first part
    mosaic: float = 0.6  # share of images that are mosaics of four
    plain: float = 0.2  # share of the training at its end, without mosaics
    zoom: tuple[float, float] = (0.55, 1.6)  # scale of an image that is no mosaic
    teacher: bool = True  # labels of the teacher's beside VOC's
    again: bool = False  # another cycle, from the bundled weights


def another_cycle(plan: Plan) -> Plan:
    """At the full size from the start, with less to forget."""
    return replace(plan, again=True, before=0.0, plain=0.35, lr=plan.lr / 3)
