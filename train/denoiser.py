"""Train the denoiser: one network for grey images at all noise levels (Zhang et al. 2018).

    python -m train.denoiser --data DIR             runs/denoiser; continue with --resume
    python -m train.denoiser --data DIR --export    measure the last checkpoint on BSD68, write
                                                    weights and card
    python -m train.denoiser --init-from-shipped    another training cycle; --export as above
    python -m train.denoiser --smoke --out DIR      all of it on synthetic images, under a minute

White Gaussian noise of 0 to 55 grey levels on crops of Train400 and of reduced photos, 64 px first
and 128 px later, so that the network learns to use distant pixels. The noise level is an input map.
20 images of Train400 are the validation set; --export measures BSD68. Colour images need no network
of their own (train/LOG.md). Minutes, machine and score: on the card (weights/README.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tasks.core import weights
from tasks.core.image_metrics import psnr, ssim
from tasks.denoising.denoiser import Denoiser
from tasks.networks.denoiser_unet import DenoiserUNet
from train import options, report
from train.common import restoration_data, synthetic
from train.common.export import as_stored, milliseconds
from train.loop import BatchAt, Fit, Recipe, Trainer

MEASURED = (15, 25, 50)  # grey levels
SHARE = 0.15  # of the crops that come from `photos`
TURNS = 8  # of the self-ensemble: four rotations, mirrored or not


@dataclass(frozen=True)
class Plan:
    """What is trained, and for how long."""

    steps: int = 5_000
    minutes: float | None = None  # instead of the steps
    batch: int = 16  # crops of `side`; a quarter as many of twice the side
    side: int = 64  # px
    wider_from: float = 0.65  # share of the steps after which crops are twice as wide
    lr: float = 2e-3
    ema: float = 0.999
    sigma: float = 55.0  # grey levels, the highest
    widths: tuple[int, ...] = (48, 96, 192)
    blocks: tuple[int, ...] = (2, 2, 2)
    init_from_shipped: bool = False


# what another training cycle does differently
ANOTHER_CYCLE: dict[str, Any] = {"init_from_shipped": True, "lr": 1e-3, "wider_from": 0.5}
SMOKE = Plan(steps=60, batch=4, side=32, ema=0.9, widths=(8, 16), blocks=(1, 1))


def config(plan: Plan) -> dict[str, object]:
    widths, blocks = list(plan.widths), list(plan.blocks)
    return {"channels": 1, "maps": 1, "widths": widths, "blocks": blocks}


def make_network(plan: Plan) -> DenoiserUNet:
    return DenoiserUNet(1, 1, plan.widths, plan.blocks)


def relative_error(restored: Tensor, clean: Tensor, sigma: Tensor) -> Tensor:
    """Mean root mean square error of the crops, relative to a good denoiser's at that sigma.

    That is close to 3.1 sigma in squared grey levels (DnCNN on BSD68). The scores are means of
    logarithms, so a crop counts by its relative error and not by how hard it is.

    Args:
        restored, clean: float (B, C, H, W) in [0, 1].
        sigma: (B, 1, 1, 1) in grey levels.
    """
    squared = ((restored.float() - clean) * 255).square().mean((1, 2, 3))
    return (squared / (3.1 * (sigma.flatten() + 1)) + 1e-3).sqrt().mean()


def train(
    plan: Plan,
    images: Sequence[np.ndarray],
    photos: Sequence[np.ndarray],
    seed: int,
    run: Path,
    resume: bool,
    stop_after: int | None = None,
) -> Fit:
    """Train on `photos` and on all but the held-out `images`; the curve is their PSNR."""
    train_set, val_set = restoration_data.split(list(images))
    crops = restoration_data.Crops(train_set, list(photos), SHARE)
    torch.manual_seed(seed)
    network = make_network(plan)
    if plan.init_from_shipped:
        network.load_state_dict(weights.load("denoiser", DenoiserUNet)[0].state_dict())
    recipe = Recipe(
        steps=plan.steps,
        batch=plan.batch,
        lr=plan.lr,
        warmup=0.03,
        ema=min(plan.ema, max(0.5, 1 - 15 / plan.steps)),  # a short training forgets sooner
        clip=1.0,
        seed=seed,
        minutes=plan.minutes,
    )

    def batch_at(at: BatchAt) -> Tensor:
        wide = 2 if at.share >= plan.wider_from else 1
        n = max(1, plan.batch // at.world // wide**2)
        return crops.draw(n, plan.side * wide, at.generator)

    def loss(model: nn.Module, clean: Tensor) -> Tensor:
        n, device = len(clean), clean.device
        # spread evenly over the batch: less noisy gradients
        quantile = (torch.rand(1, device=device) + torch.arange(n, device=device) / n) % 1
        sigma = (quantile * plan.sigma)[:, None, None, None]
        noisy = clean + torch.randn_like(clean) * sigma / 255
        return relative_error(model(noisy, sigma / 255), clean, sigma)

    def evaluate(model: nn.Module) -> dict[str, float]:
        denoiser = Denoiser(model)
        return {f"psnr_{sigma}": scores(denoiser, val_set, sigma)["psnr"] for sigma in MEASURED}

    trainer = Trainer(network, batch_at, loss, recipe, run, resume=resume)
    for _ in trainer.steps(stop_after):
        if trainer.is_due(every=max(1, plan.steps // 6)):
            trainer.record(evaluate)
    return trainer.result()


# -- measurement and export --------------------------------------------------------------


def noisy_images(images: Sequence[np.ndarray], sigma: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """(noisy, clean), float32 (H, W[, 3]); image k gets the noise of seed k."""
    clean = [image.astype(np.float32) / 255 for image in images]
    return [(c + restoration_data.seeded_noise(c.shape, sigma, k), c) for k, c in enumerate(clean)]


def ensemble(denoiser: Denoiser, noisy: np.ndarray, sigma: float) -> np.ndarray:
    """Self-ensemble: mean over the eight rotated and mirrored images, transformed back."""
    total = np.zeros_like(noisy)
    for turn in range(TURNS):
        x = np.rot90(noisy.swapaxes(0, 1) if turn >= 4 else noisy, turn % 4)
        y = np.rot90(denoiser.denoise_array(np.ascontiguousarray(x), sigma), -(turn % 4))
        total += y.swapaxes(0, 1) if turn >= 4 else y
    return total / TURNS


def scores(
    denoiser: Denoiser, images: Sequence[np.ndarray], sigma: float, how: str = "known"
) -> dict[str, float]:
    """Mean PSNR and SSIM over images uint8 (H, W[, 3]).

    Args:
        how: sigma "known", "blind" (estimated), or known with the self-"ensemble".
    """
    found = []
    for noisy, clean in noisy_images(images, sigma):
        if how == "ensemble":
            restored = ensemble(denoiser, noisy, sigma)
        else:
            restored = denoiser.denoise_array(noisy, None if how == "blind" else float(sigma))
        found.append((psnr(restored, clean), ssim(restored, clean)))
    mean = np.mean(found, 0)
    return {"psnr": float(mean[0]), "ssim": float(mean[1])}


def metrics_of(
    denoiser: Denoiser, test: Sequence[np.ndarray], name: str, eightfold: bool
) -> list[weights.Metric]:
    """A card's metrics on the test set `name`; `eightfold`: of the self-ensemble, too."""
    how = f"{name}, grey, PSNR over the whole image, result clipped; noise neither clipped nor "
    how += "rounded, seeds 0, 1, 2, ..."
    blind_how, ssim_how = "sigma estimated from the image", "Gaussian window of 11 px"
    rows = []
    for sigma in (25, 15, 50):
        known, blind = scores(denoiser, test, sigma), scores(denoiser, test, sigma, "blind")
        psnr_name = f"PSNR at sigma {sigma}"
        rows += [
            (psnr_name, known["psnr"], "dB", how),
            (f"{psnr_name}, blind", blind["psnr"], "dB", f"{name}, {blind_how}"),
            (f"SSIM at sigma {sigma}", known["ssim"], "", f"{name}, {ssim_how}"),
        ]
        print(sigma, known, blind, flush=True)
    if eightfold:
        value = scores(denoiser, test, 25, "ensemble")["psnr"]
        how = f"{name}, mean over eight rotated and mirrored images: eight times the time"
        rows.append(("PSNR at sigma 25, eight-fold", value, "dB", how))
    metrics = [
        weights.Metric(metric, round(value, 4), unit, "test", len(test), conditions)
        for metric, value, unit, conditions in rows
    ]
    x = np.random.default_rng(0).random((321, 481), np.float32)
    ms = round(milliseconds(lambda: denoiser.denoise_array(x, 25.0), times=12), 1)
    how = f"481 x 321 px, grey, median of 12, {report.hardware()}"
    return [*metrics, weights.Metric("time for one image", ms, "ms", "test", 1, how)]


def export(
    done: Fit,
    plan: Plan,
    n_images: str,
    test: Sequence[np.ndarray],
    seed: int,
    folder: Path,
    test_name: str = "BSD68",
    eightfold: bool = False,
    before: dict[str, Any] | None = None,
) -> weights.Card:
    """Measure once on the test images, write weights and card.

    Args:
        n_images: how many of what were trained on.
        eightfold: measure the self-ensemble, too, which takes longer than all the rest.
        before: the card's `training` before another training cycle.
    """
    network = as_stored(done.network, make_network(plan))
    denoiser = Denoiser(network)
    cycle = " --init-from-shipped" if plan.init_from_shipped else ""
    steps = "" if plan.minutes else f" --steps {plan.steps}"
    given = f"{cycle}{options.budget_options(plan, Plan())}{steps}"
    command = f"python -m train.denoiser{given} --export"
    training = report.about_training(command, seed, done.minutes, done.ran_on)
    card = weights.Card(
        name="denoiser",
        task="denoising",
        title="Denoiser, grey, all noise levels",
        architecture="U-Net of residual blocks without biases, "
        f"{'-'.join(map(str, plan.widths))} channels, on the image folded to half resolution, "
        "with the noise level as a map",
        parameters=report.n_parameters(network),
        config=config(plan),
        preprocess={"range": [0, 1], "sigma": [0, plan.sigma]},
        classes=[],
        metrics=metrics_of(denoiser, test, test_name, eightfold),
        data={
            **restoration_data.ABOUT,
            "n": n_images,
            "held_out": f"{restoration_data.HELD_OUT} of Train400 for the curve; {test_name}, "
            f"{len(test)} images, for the scores",
        },
        training=report.both_cycles(before, training) if before else training,
        paper="Zhang, Zuo, Zhang 2018, FFDNet, arXiv 1710.04026; Zhang et al. 2021, DRUNet, arXiv "
        "2008.13751; Mohan et al. 2020, arXiv 1906.05478; noise level by Chen, Zhu, Heng 2015",
        limits="Learned white Gaussian noise in grey. Camera noise that is larger than a pixel, "
        "JPEG's blocks and salt and pepper are not its kind.",
        selected_on=f"{restoration_data.HELD_OUT} images of Train400 (the curve)",
        test_reads=f"{test_name} once more at this export; earlier reads are in train/LOG.md",
        curve=done.curve,
        # measured again by a test
        tables={"first_six": round(scores(denoiser, test[:6], 25)["psnr"], 4)},
    )
    return weights.save(network, card, folder, half=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options.training(__doc__, "restoration/ and coco128/")
    options.add_restoration(parser, Plan.steps, Plan.side)
    parser.add_argument(
        "--eightfold", action="store_true", help="--export measures the self-ensemble, too"
    )
    args = options.parse(parser, arguments)
    if args.smoke:
        images, test = synthetic.textures(24), synthetic.textures(2, seed=1)
        done = train(SMOKE, images, [], args.seed, args.out / "denoiser-smoke", args.resume)
        folder, name = args.out / "weights", "synthetic images"
        card = export(done, SMOKE, name, test, args.seed, folder, name, eightfold=True)
        print(card.headline)
        return
    cycle = ANOTHER_CYCLE if args.init_from_shipped else {}
    plan = replace(Plan(), steps=args.steps, **{**cycle, **options.budget(args)})
    images = restoration_data.images(args.data, "Train400")
    photos = restoration_data.reduced_photos(args.data)
    run = args.runs / f"denoiser{'-another-cycle' if cycle else ''}"
    before = report.training_before(run, "denoiser") if cycle else None
    done = train(plan, images, photos, args.seed, run, args.resume or args.export)
    if args.export:
        test = restoration_data.images(args.data, "BSD68")
        n_images = restoration_data.count(images, photos)
        how = {"eightfold": args.eightfold, "before": before}
        report.print_metrics(export(done, plan, n_images, test, args.seed, args.out, **how))


if __name__ == "__main__":
    main()
