"""Train the enhancer: super-resolution x2, x3, x4 and JPEG deblocking by one network, as in DnCNN-3.

    python -m train.enhancer --data DIR           runs/enhancer; go on with --resume
    python -m train.enhancer --data DIR --ship    measure the last checkpoint on Set5 and classic5, write weights, card
    python -m train.enhancer --data DIR --again   a further cycle from the shipped weights; --ship as above
    python -m train.enhancer --smoke --out DIR    all of it on made-up pictures in under a minute

Zhang et al. 2017 (arXiv 1608.03981). The denoiser's architecture and, where they are there, its weights to begin with.
It gets the picture enlarged by bicubic interpolation, or with JPEG's damage, and four maps that say which task it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from tasks import weights
from tasks.denoising import SCALES, TASKS, Enhancer, enlarged
from tasks.networks.denoiser_unet import DenoiserUNet
from tasks.quality import psnr, ssim
from train import options, report, restoration
from train.loop import Fit, Progress, Recipe, fit

MARGIN = 12  # px around a crop that are damaged with it and cut off: no effects of the crop's edges are learnt
QUALITIES = (5, 60)  # of JPEG; the lower half of the scale shows
REPORTED = (10, 20, 30, 40)  # JPEG qualities
ALIGNED = 0.75  # share of JPEG crops whose blocks lie as in a whole picture; in a cut one they lie anywhere


@dataclass(frozen=True)
class Plan:
    """What is trained, and for how long."""

    steps: int = 3_000
    minutes: float | None = None  # instead of the steps
    batch: int = 16  # crops, of each task as many
    side: int = 72  # px, a multiple of 2, 3, 4 and 8; twice as many in the last third, on a quarter of the crops
    wider_from: float = 0.65
    lr: float = 1e-3
    ema: float = 0.999
    widths: tuple[int, ...] = (48, 96, 192)
    blocks: tuple[int, ...] = (2, 2, 2)
    again: bool = False  # begin with the shipped weights
    new: bool = False  # begin with random weights, also where there is a denoiser to begin with


AGAIN: dict[str, Any] = {"again": True, "wider_from": 0.5}  # what a further cycle does otherwise
SMOKE = Plan(steps=40, batch=4, side=24, ema=0.9, widths=(8, 16), blocks=(1, 1))


def damaged(clean: Tensor, task: int) -> Tensor:
    """What task 0, 1, 2 (reduced 2, 3, 4 times, enlarged again) or 3 (JPEG) makes of float (B, 1, S, S) in [0, 1]."""
    if task == len(SCALES):
        return torch.stack([through_jpeg(crop[0]) for crop in clean])[:, None]
    return reduced_and_enlarged(clean, SCALES[task])


def reduced_and_enlarged(clean: Tensor, scale: int) -> Tensor:
    """(B, 1, S, S) -> the same size; rounded to 8 bits in between, as a file would."""
    sides = clean.shape[-1]
    small = F.interpolate(clean, sides // scale, mode="bicubic", antialias=True)
    small = (small.clamp(0, 1) * 255).round() / 255
    return F.interpolate(small, sides, mode="bicubic", antialias=True)


def through_jpeg(crop: Tensor) -> Tensor:
    """float (S, S) -> as JPEG gives it back; quality by chance; blocks start 8 px inside the margin or anywhere."""
    low, high = QUALITIES
    quality = int(low + (high - low) * float(torch.rand(1)) ** 1.5)  # more often strong than weak
    start = int(torch.randint(8, (1,))) if float(torch.rand(1)) > ALIGNED else MARGIN % 8
    out = crop.clone()
    out[start:, start:] = torch.from_numpy(jpeg((crop[start:, start:] * 255).round().byte().numpy(), quality)) / 255.0
    return out


def jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    """uint8 (H, W) or (H, W, 3) through JPEG and back."""
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    return np.array(Image.open(buffer))


def config(plan: Plan) -> dict[str, object]:
    return {"channels": 1, "maps": len(TASKS), "widths": list(plan.widths), "blocks": list(plan.blocks)}


def make_network(plan: Plan) -> DenoiserUNet:
    return DenoiserUNet(1, len(TASKS), plan.widths, plan.blocks)


def begin_with_denoiser(network: DenoiserUNet, folder: Path = weights.FOLDER) -> bool:
    """Take over the denoiser's kernels but for its maps; False where it is not there or of another shape."""
    try:
        state = weights.load("denoiser", DenoiserUNet, folder)[0].state_dict()
    except weights.WeightsError:
        return False
    own = network.state_dict()
    if any(state[k].shape != own[k].shape for k in own if k != "head.weight") or len(state["head.weight"]) != len(
        own["head.weight"]
    ):
        return False
    head = torch.zeros_like(own["head.weight"])
    head[:, : network.fold**2] = state["head.weight"][:, : network.fold**2]
    state["head.weight"] = head
    network.load_state_dict(state)
    return True


def train(
    plan: Plan, pictures: Sequence[np.ndarray], photos: Sequence[np.ndarray], seed: int, run: Path, resume: bool,
    stop_after: int | None = None,
) -> Fit:  # fmt: skip
    """Train on all of `pictures` but the held-out ones and on `photos`; the curve is PSNR of x3 and of JPEG 10."""
    fit_set, val_set = restoration.split(list(pictures))
    crops = restoration.Crops(fit_set, list(photos))
    torch.manual_seed(seed)
    network = make_network(plan)
    if plan.again:
        network.load_state_dict(weights.load("enhancer", DenoiserUNet)[0].state_dict())
    elif not plan.new:
        print("begins with the denoiser's weights:", begin_with_denoiser(network), flush=True)
    recipe = Recipe(
        steps=plan.steps,
        batch=plan.batch,
        lr=plan.lr,
        warmup=0.05,
        ema=min(plan.ema, max(0.5, 1 - 15 / plan.steps)),  # a short training forgets sooner
        clip=1.0,
        seed=seed,
        minutes=plan.minutes,
    )
    progress = Progress()

    def batch_at(step: int, rank: int, world: int) -> tuple[Tensor, ...]:
        wide = 2 if progress.share >= plan.wider_from else 1
        n = max(len(TASKS), plan.batch // world // wide**2)
        clean = crops.draw(n, plan.side * wide + 2 * MARGIN)
        return clean, damaged(clean[len(SCALES) :: len(TASKS)], len(SCALES))  # JPEG is libjpeg's work

    def loss(model: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
        clean, jpegs = batch
        bad = torch.empty_like(clean)
        for task in range(len(TASKS)):
            those = clean[task :: len(TASKS)]
            bad[task :: len(TASKS)] = damaged(those, task) if task < len(SCALES) else jpegs
        task_of = torch.arange(len(clean), device=clean.device) % len(TASKS)
        inner = (..., slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
        restored = model(bad[inner], F.one_hot(task_of, len(TASKS)).float()[:, :, None, None])
        squared = ((restored.float() - clean[inner]) * 255).square().mean((1, 2, 3))
        return (squared + 1).sqrt().mean() / 10  # of each crop its root mean square error

    def evaluate(model: nn.Module) -> dict[str, float]:
        enhancer = Enhancer(model)
        x3 = np.mean([enlarge_and_score(enhancer, p, 3)[1] for p in val_set])
        return {"psnr_x3": float(x3), "psnr_jpeg10": deblocking(enhancer, val_set, 10)["psnr"]}

    return fit(network, batch_at, loss, recipe, run, resume=resume, evaluate=evaluate,
               evaluate_every=max(1, plan.steps // 6), stop_after=stop_after, progress=progress)  # fmt: skip


# -- what is measured and shipped ------------------------------------------------------------------------------------


def luma(picture: np.ndarray) -> np.ndarray:
    """uint8 (H, W) or RGB (H, W, 3) -> Y of MATLAB's rgb2ycbcr (ITU-R 601, 16 to 235), float32 / 255; grey as it is."""
    x = picture.astype(np.float32)
    return x / 255 if x.ndim == 2 else (x @ np.array([65.481, 128.553, 24.966], np.float32) / 255 + 16) / 255


def enlarge_and_score(enhancer: Enhancer, picture: np.ndarray, scale: int) -> tuple[float, float, float]:
    """Reduced and enlarged again: (PSNR of bicubic, PSNR of ours, SSIM of ours) on Y, `scale` px of border left out."""
    height, width = (n - n % scale for n in picture.shape[:2])
    truth = picture[:height, :width]
    small = (enlarged(truth.astype(np.float32) / 255, 1 / scale).clip(0, 1) * 255).round().astype(np.uint8)
    plain = (enlarged(small.astype(np.float32) / 255, scale).clip(0, 1) * 255).round().astype(np.uint8)
    ours = np.asarray(enhancer.super_resolve(small, scale))
    y = luma(truth)
    return (psnr(luma(plain), y, scale), psnr(luma(_as(truth, ours)), y, scale), ssim(luma(_as(truth, ours)), y, scale))


def _as(truth: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """A grey result of a colour picture that has no colour, as RGB again."""
    return np.stack([picture] * 3, 2) if picture.ndim < truth.ndim else picture


def deblocking(enhancer: Enhancer, pictures: Sequence[np.ndarray], quality: int) -> dict[str, float]:
    """Mean PSNR of JPEG and of ours, mean SSIM of ours, on grey pictures."""
    found = []
    for picture in pictures:
        bad = jpeg(picture, quality)
        good = np.asarray(enhancer.deblock(bad)).astype(np.float32) / 255
        clean = picture.astype(np.float32) / 255
        found.append((psnr(bad / 255.0, clean), psnr(good, clean), ssim(good, clean)))
    return dict(zip(("jpeg", "psnr", "ssim"), map(float, np.mean(found, 0)), strict=True))


def measures(enhancer: Enhancer, set5: Sequence[np.ndarray], classic5: Sequence[np.ndarray]) -> list[weights.Metric]:
    """All scores; x3 first."""
    metrics = []
    for scale in (3, 2, 4):
        bicubic, ours, likeness = np.mean([enlarge_and_score(enhancer, p, scale) for p in set5], 0)
        how = (
            f"Set5, Y of YCbCr, {scale} px of border left out, reduced by bicubic interpolation; bicubic {bicubic:.2f}"
        )
        metrics.append(weights.Metric(f"PSNR of x{scale}", round(float(ours), 4), "dB", "test", len(set5), how))
        metrics.append(weights.Metric(f"SSIM of x{scale}", round(float(likeness), 4), "", "test", len(set5), how))
    for quality in REPORTED:
        found = deblocking(enhancer, classic5, quality)
        how = f"classic5, grey, whole picture; JPEG itself {found['jpeg']:.2f}"
        metrics.append(
            weights.Metric(f"PSNR of JPEG {quality}", round(found["psnr"], 4), "dB", "test", len(classic5), how)
        )
        metrics.append(
            weights.Metric(f"SSIM of JPEG {quality}", round(found["ssim"], 4), "", "test", len(classic5), how)
        )
    return metrics


def ship(
    done: Fit, plan: Plan, n_fit: str, set5: Sequence[np.ndarray], classic5: Sequence[np.ndarray], seed: int, out: Path,
    before: dict[str, Any] | None = None,
) -> weights.Card:  # fmt: skip
    """Measure once on the test pictures, write weights and card; `before`: its `training` before a further cycle."""
    network = make_network(plan)
    network.load_state_dict({k: v.half().float() for k, v in done.network.state_dict().items()}, strict=True)
    begun = (
        ""
        if plan.again or plan.new or not begin_with_denoiser(make_network(plan))
        else " and the denoiser's weights to begin with"
    )
    given = f"{' --again' if plan.again else ''}{' --new' if plan.new else ''}{options.budget_options(plan, Plan())}"
    steps = "" if plan.minutes else f" --steps {plan.steps}"
    command = f"python -m train.enhancer{given}{steps} --ship"
    training = report.about_training(command, seed, done.minutes, done.where)
    card = weights.Card(
        name="enhancer",
        task="enhancement",
        title="Enhancer: x2, x3, x4 and JPEG",
        architecture=f"U-Net of residual blocks without biases, {'-'.join(map(str, plan.widths))} channels, on the "
        f"bicubic or JPEG picture folded to half resolution, with the task as maps{begun}",
        parameters=sum(p.numel() for p in network.parameters()),
        config=config(plan),
        preprocess={"range": [0, 1], "tasks": list(TASKS)},
        classes=[],
        metrics=measures(Enhancer(network), set5, classic5),
        data={
            **restoration.ABOUT,
            "n": n_fit,
            "held_out": f"{restoration.HELD_OUT} of Train400 for the curve; Set5 and classic5 for the scores",
        },
        training=report.again(before, training) if before else training,
        paper="Zhang, Zuo, Chen, Meng, Zhang 2017, Beyond a Gaussian Denoiser (DnCNN-3), arXiv 1608.03981; network "
        "after DRUNet, arXiv 2008.13751",
        limits="Learnt reduction by bicubic interpolation and JPEG's damage to brightness: a blurred photo gets no "
        "sharper, colours are only enlarged, and what is lost is guessed at its most likely, which is smooth.",
        curve=done.curve,
    )
    return weights.save(network, card, out, half=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options.training(__doc__, "restoration/ and coco128/")
    parser.add_argument("--steps", type=int, default=Plan.steps, help="of 16 crops of 72 px, or as many pixels")
    parser.add_argument("--again", action="store_true", help="a further cycle from the shipped weights")
    parser.add_argument("--new", action="store_true", help="random weights to begin with, not the denoiser's")
    options.add_budget(parser)
    args = options.parse(parser, arguments)
    if args.smoke:
        pictures, test = restoration.made_up(24), restoration.made_up(2, seed=1)
        done = train(SMOKE, pictures, [], args.seed, args.out / "enhancer-smoke", args.resume)
        print(ship(done, SMOKE, "made-up pictures", test, test, args.seed, args.out / "weights").headline)
        return
    plan = replace(Plan(), steps=args.steps, new=args.new, **{**(AGAIN if args.again else {}), **options.budget(args)})
    pictures = restoration.pictures(args.data, "Train400")
    photos = restoration.reduced_photos(args.data)
    run = args.runs / f"enhancer{'-again' if args.again else ''}"
    before = report.before_again(run, "enhancer") if args.again else None
    done = train(plan, pictures, photos, args.seed, run, args.resume or args.ship)
    if args.ship:
        n_fit = f"{len(pictures) - restoration.HELD_OUT} pictures of Train400, {len(photos)} photos of COCO128 reduced"
        set5, classic5 = (restoration.pictures(args.data, name) for name in ("Set5", "classic5"))
        card = ship(done, plan, n_fit, set5, classic5, args.seed, args.out, before)
        print(card.headline, *(f"{m.name} {m.value} {m.unit}" for m in card.metrics[1:]), sep="\n")


if __name__ == "__main__":
    main()
