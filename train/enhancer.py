"""Train the enhancer: super-resolution x2, x3, x4 and removal of JPEG's damage by one network.

    python -m train.enhancer --data DIR             runs/enhancer; continue with --resume
    python -m train.enhancer --data DIR --export    measure the last checkpoint on Set5 and
                                                    classic5, write weights and card
    python -m train.enhancer --init-from-shipped    another training cycle; --export as above
    python -m train.enhancer --data DIR --measure   new scores for the card of the bundled network
    python -m train.enhancer --smoke --out DIR      all of it on synthetic images, under a minute

Zhang et al. 2017 (arXiv 1608.03981). The architecture of the denoiser, starting from its weights
where they fit. Input is the image enlarged by bicubic interpolation, or with JPEG's damage, and
four maps that say which task it is.
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

from tasks.core import weights
from tasks.core.image_metrics import psnr, ssim
from tasks.denoising.enhancer import SCALES, TASKS, Enhancer, enlarged
from tasks.denoising.jpeg_quality import JpegGrid
from tasks.networks.denoiser_unet import DenoiserUNet
from train import options, report
from train.common import restoration_data, synthetic
from train.common.export import as_stored
from train.loop import BatchAt, Fit, Recipe, Trainer

# px around a crop that are damaged with it and cut off: no effect of the crop's edges is learned
MARGIN = 12
QUALITIES = (5, 60)  # of JPEG; the lower half of the scale is visible
REPORTED = (10, 20, 30, 40)  # JPEG qualities
# share of JPEG crops whose blocks lie as in an uncut image; in a cut one they lie anywhere
ALIGNED = 0.75


@dataclass(frozen=True)
class Plan:
    """What is trained, and for how long."""

    steps: int = 3_000
    minutes: float | None = None  # instead of the steps
    batch: int = 16  # crops, of each task as many
    # px, a multiple of 2, 3, 4 and 8; twice as many in the last third, on a quarter of the crops
    side: int = 72
    wider_from: float = 0.65
    lr: float = 1e-3
    ema: float = 0.999
    widths: tuple[int, ...] = (48, 96, 192)
    blocks: tuple[int, ...] = (2, 2, 2)
    init_from_shipped: bool = False
    new: bool = False  # start from random weights even where there is a denoiser


# what another training cycle does differently
ANOTHER_CYCLE: dict[str, Any] = {"init_from_shipped": True, "wider_from": 0.5}
SMOKE = Plan(steps=40, batch=4, side=24, ema=0.9, widths=(8, 16), blocks=(1, 1))


def damaged(clean: Tensor, task: int, generator: torch.Generator | None = None) -> Tensor:
    """Apply the damage of a task to crops, float (B, 1, S, S) in [0, 1].

    Tasks 0, 1, 2: reduced 2, 3, 4 times and enlarged again; 3: JPEG.
    """
    if task == len(SCALES):
        return torch.stack([through_jpeg(crop[0], generator) for crop in clean])[:, None]
    return reduced_and_enlarged(clean, SCALES[task])


def reduced_and_enlarged(clean: Tensor, scale: int) -> Tensor:
    """(B, 1, S, S) -> the same size; rounded to 8 bits in between, as a file would be."""
    sides = clean.shape[-1]
    small = F.interpolate(clean, sides // scale, mode="bicubic", antialias=True)
    small = (small.clamp(0, 1) * 255).round() / 255
    return F.interpolate(small, sides, mode="bicubic", antialias=True)


def through_jpeg(crop: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """float (S, S) through JPEG of random quality; blocks start 8 px inside or anywhere."""
    low, high = QUALITIES
    strength = float(torch.rand(1, generator=generator))
    quality = int(low + (high - low) * strength**1.5)  # more often strong than weak
    shift = int(torch.randint(8, (1,), generator=generator))
    aligned = float(torch.rand(1, generator=generator)) <= ALIGNED
    start = MARGIN % 8 if aligned else shift
    pixels = (crop[start:, start:] * 255).round().byte().numpy()
    out = crop.clone()
    out[start:, start:] = torch.from_numpy(jpeg(pixels, quality)) / 255.0
    return out


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    """uint8 (H, W) or (H, W, 3) through JPEG and back."""
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.array(Image.open(buffer))


def config(plan: Plan) -> dict[str, object]:
    widths, blocks = list(plan.widths), list(plan.blocks)
    return {"channels": 1, "maps": len(TASKS), "widths": widths, "blocks": blocks}


def make_network(plan: Plan) -> DenoiserUNet:
    return DenoiserUNet(1, len(TASKS), plan.widths, plan.blocks)


def init_from_denoiser(network: DenoiserUNet, folder: Path = weights.FOLDER) -> bool:
    """Copy the denoiser's kernels except those of its map.

    Returns:
        False where the denoiser is missing or has another shape.
    """
    try:
        state = weights.load("denoiser", DenoiserUNet, folder)[0].state_dict()
    except weights.WeightsError:
        return False
    ours = network.state_dict()
    theirs = {name: value.shape for name, value in state.items() if name != "head.weight"}
    shapes = {name: value.shape for name, value in ours.items() if name != "head.weight"}
    if theirs != shapes or len(state["head.weight"]) != len(ours["head.weight"]):
        return False
    head = torch.zeros_like(ours["head.weight"])
    head[:, : network.fold**2] = state["head.weight"][:, : network.fold**2]
    state["head.weight"] = head
    network.load_state_dict(state)
    return True


def start_network(plan: Plan) -> DenoiserUNet:
    """The network at the start of the training."""
    network = make_network(plan)
    if plan.init_from_shipped:
        network.load_state_dict(weights.load("enhancer", DenoiserUNet)[0].state_dict())
    elif not plan.new:
        print("starts from the denoiser's weights:", init_from_denoiser(network), flush=True)
    return network


def restoration_loss(model: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
    """Mean over the crops of each one's root mean square error, in tens of grey levels.

    Args:
        batch: clean crops, whose tasks take turns, and those of the JPEG task through JPEG.
    """
    clean, jpegs = batch
    bad = torch.empty_like(clean)
    for task in range(len(TASKS)):
        crops = clean[task :: len(TASKS)]
        bad[task :: len(TASKS)] = damaged(crops, task) if task < len(SCALES) else jpegs
    task_of = torch.arange(len(clean), device=clean.device) % len(TASKS)
    maps = F.one_hot(task_of, len(TASKS)).float()[:, :, None, None]
    inner = (..., slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
    restored = model(bad[inner], maps)
    squared = ((restored.float() - clean[inner]) * 255).square().mean((1, 2, 3))
    return (squared + 1).sqrt().mean() / 10


def train(
    plan: Plan,
    images: Sequence[np.ndarray],
    photos: Sequence[np.ndarray],
    seed: int,
    run: Path,
    resume: bool,
    stop_after: int | None = None,
) -> Fit:
    """Train on `photos` and on all but the held-out `images`; the curve is PSNR, x3 and JPEG 10."""
    train_set, val_set = restoration_data.split(list(images))
    crops = restoration_data.Crops(train_set, list(photos))
    torch.manual_seed(seed)
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

    def batch_at(at: BatchAt) -> tuple[Tensor, ...]:
        wide = 2 if at.share >= plan.wider_from else 1
        n = max(len(TASKS), plan.batch // at.world // wide**2)
        clean = crops.draw(n, plan.side * wide + 2 * MARGIN, at.generator)
        # JPEG is libjpeg's work, on the CPU
        return clean, damaged(clean[len(SCALES) :: len(TASKS)], len(SCALES), at.generator)

    def evaluate(model: nn.Module) -> dict[str, float]:
        enhancer = Enhancer(model)
        x3 = np.mean([enlarge_and_score(enhancer, image, 3)[1] for image in val_set])
        return {"psnr_x3": float(x3), "psnr_jpeg10": deblocking(enhancer, val_set, 10)["psnr"]}

    network = start_network(plan)
    trainer = Trainer(network, batch_at, restoration_loss, recipe, run, resume=resume)
    for _ in trainer.steps(stop_after):
        if trainer.is_due(every=max(1, plan.steps // 6)):
            trainer.record(evaluate)
    return trainer.result()


# -- measurement and export --------------------------------------------------------------


def luma(image: np.ndarray) -> np.ndarray:
    """Y of MATLAB's rgb2ycbcr (ITU-R 601, 16 to 235), float32 / 255; grey as it is.

    image: uint8 (H, W) or RGB (H, W, 3).
    """
    x = image.astype(np.float32) / 255
    if x.ndim == 2:
        return x
    return (x @ np.array([65.481, 128.553, 24.966], np.float32) + 16) / 255


def to_uint8(x: np.ndarray) -> np.ndarray:
    return (x.clip(0, 1) * 255).round().astype(np.uint8)


def enlarge_and_score(
    enhancer: Enhancer, image: np.ndarray, scale: int
) -> tuple[float, float, float]:
    """Reduce and enlarge again; scores on Y with `scale` px of border left out.

    Returns:
        PSNR of bicubic interpolation, PSNR and SSIM of the network.
    """
    height, width = (n - n % scale for n in image.shape[:2])
    truth = image[:height, :width]
    small = to_uint8(enlarged(truth.astype(np.float32) / 255, 1 / scale))
    bicubic = to_uint8(enlarged(small.astype(np.float32) / 255, scale))
    ours = np.asarray(enhancer.super_resolve(small, scale))
    if ours.ndim < truth.ndim:  # an RGB image without colour comes back as grey
        ours = np.stack([ours] * 3, 2)
    y = luma(truth)
    return (
        psnr(luma(bicubic), y, scale),
        psnr(luma(ours), y, scale),
        ssim(luma(ours), y, scale),
    )


def deblocking(enhancer: Enhancer, images: Sequence[np.ndarray], quality: int) -> dict[str, float]:
    """Mean PSNR of JPEG, mean PSNR and SSIM of the network, on grey images."""
    found = []
    for image in images:
        bad = jpeg(image, quality)
        good = np.asarray(enhancer.deblock(bad, JpegGrid(quality))).astype(np.float32) / 255
        clean = image.astype(np.float32) / 255
        found.append((psnr(bad / 255.0, clean), psnr(good, clean), ssim(good, clean)))
    return dict(zip(("jpeg", "psnr", "ssim"), map(float, np.mean(found, 0)), strict=True))


def metrics_of(
    enhancer: Enhancer, set5: Sequence[np.ndarray], classic5: Sequence[np.ndarray]
) -> list[weights.Metric]:
    """All scores; x3 first."""
    rows = []
    for scale in (3, 2, 4):
        found = [enlarge_and_score(enhancer, image, scale) for image in set5]
        bicubic, ours, similarity = map(float, np.mean(found, 0))
        how = f"Set5, Y of YCbCr, {scale} px of border left out, reduced by bicubic "
        how += f"interpolation; bicubic {bicubic:.2f}"
        rows.append((f"x{scale}", ours, similarity, len(set5), how))
    for quality in REPORTED:
        scores = deblocking(enhancer, classic5, quality)
        how = f"classic5, grey, whole image; JPEG itself {scores['jpeg']:.2f}"
        rows.append((f"JPEG {quality}", scores["psnr"], scores["ssim"], len(classic5), how))
    metrics = []
    for name, ours, similarity, n, how in rows:
        metrics.append(weights.Metric(f"PSNR of {name}", round(ours, 4), "dB", "test", n, how))
        metrics.append(weights.Metric(f"SSIM of {name}", round(similarity, 4), "", "test", n, how))
    return metrics


def export(
    done: Fit,
    plan: Plan,
    n_images: str,
    set5: Sequence[np.ndarray],
    classic5: Sequence[np.ndarray],
    seed: int,
    folder: Path,
    before: dict[str, Any] | None = None,
) -> weights.Card:
    """Measure once on the test images, write weights and card.

    Args:
        n_images: how many of what were trained on.
        before: the card's `training` before another training cycle.
    """
    network = as_stored(done.network, make_network(plan))
    fresh = plan.init_from_shipped or plan.new or not init_from_denoiser(make_network(plan))
    begin = "" if fresh else ", initialised from the denoiser's weights"
    cycle = (
        f"{' --init-from-shipped' if plan.init_from_shipped else ''}{' --new' if plan.new else ''}"
    )
    steps = "" if plan.minutes else f" --steps {plan.steps}"
    given = f"{cycle}{options.budget_options(plan, Plan())}{steps}"
    command = f"python -m train.enhancer{given} --export"
    training = report.about_training(command, seed, done.minutes, done.ran_on)
    card = weights.Card(
        name="enhancer",
        task="enhancement",
        title="Enhancer: x2, x3, x4 and JPEG",
        architecture="U-Net of residual blocks without biases, "
        f"{'-'.join(map(str, plan.widths))} channels, on the bicubic or JPEG image folded to half "
        f"resolution, with the task as maps{begin}",
        parameters=report.n_parameters(network),
        config=config(plan),
        preprocess={"range": [0, 1], "tasks": list(TASKS)},
        classes=[],
        metrics=metrics_of(Enhancer(network), set5, classic5),
        data={
            **restoration_data.ABOUT,
            "n": n_images,
            "held_out": f"{restoration_data.HELD_OUT} of Train400 for the curve; Set5 and classic5 "
            "for the scores",
        },
        training=report.both_cycles(before, training) if before else training,
        paper="Zhang, Zuo, Chen, Meng, Zhang 2017, Beyond a Gaussian Denoiser (DnCNN-3), arXiv "
        "1608.03981; network after DRUNet, arXiv 2008.13751",
        limits="Learned reduction by bicubic interpolation and JPEG's damage to brightness: a "
        "blurred photo gets no sharper, colours are only enlarged, and what is lost is replaced by "
        "its most likely value, which is smooth.",
        selected_on=f"{restoration_data.HELD_OUT} images of Train400 (the curve)",
        test_reads="Set5 and classic5 once more at this export; earlier reads are in train/LOG.md",
        curve=done.curve,
    )
    return weights.save(network, card, folder, half=True)


def measure_again(
    set5: Sequence[np.ndarray], classic5: Sequence[np.ndarray], folder: Path
) -> weights.Card:
    """New scores on the card of the network in `folder`, whose handler has changed."""
    network, card = weights.load("enhancer", DenoiserUNet, folder)
    metrics = metrics_of(Enhancer(network), set5, classic5)
    reads = f"{card.test_reads.split('; then')[0]}; then once more by --measure, choosing nothing"
    return weights.save(
        network, replace(card, metrics=metrics, test_reads=reads), folder, half=True
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options.training(__doc__, "restoration/ and coco128/")
    parser.add_argument(
        "--measure", action="store_true", help="only measure the network in --out, for its card"
    )
    options.add_restoration(parser, Plan.steps, Plan.side)
    parser.add_argument(
        "--new", action="store_true", help="start from random weights, not from the denoiser's"
    )
    args = options.parse(parser, arguments)
    if args.smoke:
        images, test = synthetic.textures(24), synthetic.textures(2, seed=1)
        done = train(SMOKE, images, [], args.seed, args.out / "enhancer-smoke", args.resume)
        folder = args.out / "weights"
        print(export(done, SMOKE, "synthetic images", test, test, args.seed, folder).headline)
        return
    if args.measure:
        set5, classic5 = (restoration_data.images(args.data, n) for n in ("Set5", "classic5"))
        report.print_metrics(measure_again(set5, classic5, args.out))
        return
    cycle = ANOTHER_CYCLE if args.init_from_shipped else {}
    given = {**cycle, **options.budget(args)}
    plan = replace(Plan(), steps=args.steps, new=args.new, **given)
    images = restoration_data.images(args.data, "Train400")
    photos = restoration_data.reduced_photos(args.data)
    run = args.runs / f"enhancer{'-another-cycle' if cycle else ''}"
    before = report.training_before(run, "enhancer") if cycle else None
    done = train(plan, images, photos, args.seed, run, args.resume or args.export)
    if args.export:
        set5, classic5 = (restoration_data.images(args.data, n) for n in ("Set5", "classic5"))
        n_images = restoration_data.count(images, photos)
        card = export(done, plan, n_images, set5, classic5, args.seed, args.out, before)
        report.print_metrics(card)


if __name__ == "__main__":
    main()
