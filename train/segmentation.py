"""Train a U-Net that gives every pixel of a road scene its class.

python -m train.segmentation                        EfficientNet-Lite0 encoder from ImageNet weights, on CamVid
python -m train.segmentation --again                a further cycle, on larger crops, from the shipped weights
python -m train.segmentation --arch unet            the textbook's U-Net from random weights in the same minutes
python -m train.segmentation --ship                 measure on the validation pictures, write weights and card
python -m train.segmentation --data-set cityscapes  on the user's own copy; --data-set pairs: on any folder (below)
python -m train.segmentation --smoke --out DIR      all of it on made-up pictures in under a minute

Cross-entropy, rare classes weighing more, plus Lovasz-softmax; AdamW, one cycle, EMA. Layouts of the data:
train/road_scenes.py.
"""

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tasks import compute, weights
from tasks.classification import normalise
from tasks.networks.efficientnet_lite import EfficientNetLite
from tasks.networks.unet import UNet
from tasks.networks.unet_lite0 import UNetLite0
from tasks.segmentation import STRIDE
from train import data, options, photos, report
from train.loop import Fit, Recipe, fit
from train.road_scenes import DATA_SETS, VOID, Scenes, write_pairs
from train.segmentation_augment import crop, paste, relight
from train.segmentation_measures import class_weights, confusion, lovasz_softmax, mean_iou

WEIGHT_DECAY = 0.05  # AdamW's, on kernels
RARE = 0.02  # share of the pixels below which a class is rare
LOVASZ_EVERY = 4  # px between the pixels that the Lovasz loss looks at, from a random first one: sorting takes time
FROZEN = 2  # stages, after the stem, that keep ImageNet's weights: a third of the time, edges are edges
ENCODER_LR = 0.3  # of the decoder's learning rate, so that ImageNet is not forgotten
FOLDED = 3  # stages, after the stem, whose batch norms keep ImageNet's statistics (train/photos.py says why)


@dataclass(frozen=True)
class Plan:
    """What is trained, and how long."""

    network: type[nn.Module]
    config: dict[str, Any]
    pretrained: bool
    epochs: float
    batch: int
    lr: float
    size_hw: tuple[int, int]  # px of the crops
    ema: float = 0.997
    minutes: float | None = None  # instead of the epochs
    again: bool = False  # begin with the shipped weights instead of ImageNet's


PLANS = {
    "unet-lite0": Plan(
        UNetLite0, {"widths": [128, 64, 32, 24]}, pretrained=True, epochs=14, batch=4, lr=1e-3, size_hw=(288, 384)
    ),
    "unet": Plan(UNet, {"width": 16}, pretrained=False, epochs=14, batch=4, lr=1.5e-3, size_hw=(288, 384)),
}
AGAIN = {"again": True, "epochs": 20, "lr": 6e-4}  # what a further cycle does otherwise


class MixedUNetLite0(UNetLite0):
    """Computes the encoder in float32: on CPUs its depthwise convolutions are slower in bf16, the decoder's faster."""

    def encode(self, x: Tensor) -> list[Tensor]:
        with torch.autocast(x.device.type, enabled=x.device.type != "cpu" and torch.is_autocast_enabled(x.device.type)):
            return super().encode(x)


def build(plan: Plan, n_classes: int) -> nn.Module:
    """The network at the start of the training."""
    if plan.network is not UNetLite0:
        return plan.network(n_classes=n_classes, **plan.config)
    network = MixedUNetLite0(n_classes=n_classes, **plan.config)
    if plan.pretrained:
        encoder = EfficientNetLite()
        if plan.again:
            network.load_state_dict(fitting(weights.load("segmentation", UNetLite0)[0].state_dict(), network))
            encoder.stem, encoder.stages = network.stem, network.stages
        else:
            photos.load_imagenet(encoder)
        photos.fold(encoder, FOLDED)
        network.stem, network.stages = encoder.stem, encoder.stages
        for part in (network.stem, *network.stages[:FROZEN]):
            part.requires_grad_(False)
    return network


def fitting(shipped: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """The network's state, with the shipped tensors wherever they have its shapes: all, or all but a new decoder's."""
    own: dict[str, Tensor] = network.state_dict()
    return {name: shipped[name] if shipped[name].shape == value.shape else value for name, value in own.items()}


def parameter_groups(network: nn.Module, pretrained: bool) -> list[dict[str, Any]]:
    """Weight decay on kernels only; a pretrained encoder learns more slowly."""
    groups = []
    for slow in (False, True):
        parameters = [
            p
            for name, p in network.named_parameters()
            if p.requires_grad and (pretrained and name.startswith(("stem.", "stages."))) == slow
        ]
        for kernels in (True, False):
            chosen = [p for p in parameters if (p.ndim > 1) == kernels]
            groups.append({"params": chosen, "weight_decay": WEIGHT_DECAY if kernels else 0.0,
                           "lr_scale": ENCODER_LR if slow else 1.0})  # fmt: skip
    return [group for group in groups if group["params"]]


def unfolded(trained: nn.Module, empty: nn.Module) -> nn.Module:
    """`empty`, of the architecture as it is written, with the function of `trained`, some of whose norms are folded."""
    state = empty.state_dict() | trained.state_dict()
    for name, norm in empty.named_modules():
        if isinstance(norm, _BatchNorm):
            path, _, i = name.rpartition(".")
            convolution = f"{path}.{int(i) - 1}"
            bias = state.pop(f"{convolution}.bias", None)
            if bias is not None:  # folded: a norm of mean 0, variance 1, scale 1; variance 1 is exact in fp16
                state[f"{convolution}.weight"] = state[f"{convolution}.weight"] * math.sqrt(1 + norm.eps)
                state[f"{name}.bias"] = bias
    empty.load_state_dict(state)
    return empty.eval()


def train(
    plan: Plan, scenes: Scenes, val: Scenes, seed: int, run: Path, resume: bool, stop_after: int | None = None
) -> Fit:
    """Train on `scenes`; the mean IoU on `val`, single-scale, is the curve."""
    torch.manual_seed(seed)
    n_classes = len(scenes.classes)
    network = build(plan, n_classes)
    pieces = scenes.in_memory if len(scenes) <= 1000 else None
    frequencies = scenes.frequencies()
    rare = [int(c) for c in np.flatnonzero((frequencies > 0) & (frequencies < RARE))]
    emphasis = class_weights(torch.from_numpy(frequencies))
    batch = min(plan.batch, len(scenes))
    per_epoch = len(scenes) // batch
    recipe = Recipe(
        steps=max(1, round(plan.epochs * per_epoch)),
        batch=batch,
        lr=plan.lr,
        warmup=0.08,
        weight_decay=WEIGHT_DECAY,
        ema=plan.ema,
        clip=2.0,
        seed=seed,
        minutes=plan.minutes,
    )
    order = data.Shuffled(len(scenes), batch, seed)

    def batch_at(step: int, rank: int, world: int) -> tuple[Tensor, Tensor]:
        index = order.at(step, rank, world).tolist()
        read = [pieces[i] if pieces else scenes.read(i) for i in index]
        crops = [crop(picture, mask, plan.size_hw, rare, compute.device().type) for picture, mask in read]
        x, y = paste(torch.stack([x for x, _ in crops]), torch.stack([y for _, y in crops]), rare)
        return normalise(relight(x)), y

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        return segmentation_loss(model(x).float(), y, emphasis.to(x.device))

    def evaluate(model: nn.Module) -> dict[str, float]:
        return {"val_mIoU": mean_iou(confusion_on(model, val))}

    return fit(network, batch_at, loss, recipe, run, resume=resume, evaluate=evaluate,
               evaluate_every=max(1, recipe.steps // 4), stop_after=stop_after,
               groups=lambda network: parameter_groups(network, plan.pretrained))  # fmt: skip


def segmentation_loss(logits: Tensor, y: Tensor, emphasis: Tensor) -> Tensor:
    """logits float (B, C, H, W), y int64 (B, H, W), emphasis float (C,), the weight of each class."""
    first = torch.randint(LOVASZ_EVERY, (2,)).tolist()
    some = (slice(first[0], None, LOVASZ_EVERY), slice(first[1], None, LOVASZ_EVERY))
    few = logits[:, :, some[0], some[1]].softmax(1).movedim(1, -1).flatten(0, -2)  # (P, C)
    entropy = F.cross_entropy(logits, y, emphasis, ignore_index=VOID)
    return entropy + lovasz_softmax(few, y[:, some[0], some[1]].flatten())


@torch.inference_mode()
def confusion_on(model: nn.Module, scenes: Scenes) -> Tensor:
    """The confusion matrix on whole scenes, edges padded, as the network stands in the middle of its training."""
    n, total = len(scenes.classes), torch.zeros(len(scenes.classes), len(scenes.classes), dtype=torch.int64)
    device = next(model.parameters()).device
    for i in range(len(scenes)):
        picture, mask = scenes.read(i)
        x = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
        high, wide = mask.shape
        x = F.pad(x, (0, -wide % STRIDE, 0, -high % STRIDE), mode="replicate")
        with torch.autocast(device.type, torch.bfloat16, enabled=compute.bf16_is_native()):
            logits = model(normalise(x).to(device))
        total += confusion(torch.from_numpy(mask), logits[0, :, :high, :wide].argmax(0).cpu(), n)
    return total


# -- what is measured and shipped ------------------------------------------------------------------------------------


def ship(
    plan: Plan, done: Fit, scenes: Scenes, val: Scenes, arch: str, seed: int, out: Path,
    before: dict[str, Any] | None = None,
) -> weights.Card:  # fmt: skip
    """Measure, write weights and card (train/segmentation_ship.py); `before`: the recipe of the cycles before this."""
    from train import segmentation_ship

    network = unfolded(done.network, plan.network(n_classes=len(scenes.classes), **plan.config))
    return segmentation_ship.ship(network, plan, done, scenes, val, arch, seed, out, before)


def made_up(root: Path, n: int, seed: int) -> None:
    """Stand-ins for road scenes under `root`, as pairs: sky over a road, with boxes on it."""
    rng = np.random.default_rng(seed)
    pictures, masks = [], []
    for _ in range(n):
        mask = np.zeros((64, 96), np.uint8)
        mask[int(rng.integers(20, 40)) :] = 1
        y, x = rng.integers(20, 44), rng.integers(4, 70)
        mask[y : y + 16, x : x + 20] = 2
        mask[:2, :2] = VOID
        colours = np.array([(120, 180, 240), (90, 90, 90), (200, 40, 40), *[(0, 0, 0)] * 253], np.float32)
        pictures.append((colours[mask] + rng.normal(0, 12, (64, 96, 3))).clip(0, 255).astype(np.uint8))
        masks.append(mask)
    write_pairs(root, pictures, masks, ("sky", "road", "box"))


def smoke(out: Path, arch: str, seed: int, resume: bool) -> weights.Card:
    """Training and shipping, tiny: 12 pictures, a few steps; everything goes under `out`."""
    made_up(out / "scenes", 12, seed)
    scenes, val = (DATA_SETS["pairs"](out / "scenes", split) for split in ("train", "val"))
    small = {"widths": (16, 16, 8, 8)} if arch == "unet-lite0" else {"width": 4}
    plan = replace(PLANS[arch], config=small, epochs=2, batch=4, size_hw=(64, 96))
    done = train(plan, scenes, val, seed, out / f"segmentation-{arch}", resume)
    return ship(plan, done, scenes, val, arch, seed, out / "weights")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options.training(__doc__, "the data set", folders=False)
    parser.add_argument("--arch", choices=list(PLANS), default="unet-lite0")
    parser.add_argument("--data-set", choices=list(DATA_SETS), default="camvid")
    parser.add_argument("--epochs", type=float, help="default: the shipped weights'")
    parser.add_argument("--again", action="store_true", help="a further cycle from the shipped weights")
    options.add_budget(parser)
    parser.add_argument("--out", type=Path, help="where --smoke, and --ship of other data sets, write")
    args = parser.parse_args(arguments)
    if args.smoke:
        with tempfile.TemporaryDirectory() as temporary:
            print(smoke(args.out or Path(temporary), args.arch, args.seed, args.resume).headline)
        return
    if args.again and (args.arch, args.data_set) != ("unet-lite0", "camvid"):
        parser.error("--again goes on from the shipped weights: unet-lite0 on camvid")
    plan = replace(PLANS[args.arch], **(AGAIN if args.again else {}))  # type: ignore[arg-type]
    plan = plan if args.epochs is None else replace(plan, epochs=args.epochs)
    plan = replace(plan, **options.budget(args))
    scenes, val = (DATA_SETS[args.data_set](args.data, split) for split in ("train", "val"))
    run = Path("runs") / f"segmentation-{args.arch}-{args.data_set}{'-again' if args.again else ''}"
    before = report.before_again(run, "segmentation") if plan.again else None
    done = train(plan, scenes, val, args.seed, run, args.resume or args.ship)
    if args.ship:
        out = args.out or (weights.FOLDER if args.data_set == "camvid" else run / "weights")
        card = ship(plan, done, scenes, val, args.arch, args.seed, out, before)
        print(card.headline, *(f"{m.name} {m.value} {m.unit}" for m in card.metrics[1:]), sep="\n")


if __name__ == "__main__":
    main()
