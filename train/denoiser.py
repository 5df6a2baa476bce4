"""Train the denoiser: one network for grey pictures at all noise levels, told the level by a map (Zhang et al. 2018).

    python -m train.denoiser --data DIR           runs/denoiser; go on with --resume
    python -m train.denoiser --colour             the same for colour, runs/denoiser_colour; goes with all below
    python -m train.denoiser --data DIR --ship    measure the last checkpoint on BSD68, write weights and card
    python -m train.denoiser --data DIR --again   a further cycle from the shipped weights; --ship as above
    python -m train.denoiser --smoke --out DIR    all of it on made-up pictures in under a minute

White Gaussian noise of 0 to 55 grey levels on crops of Train400 and of reduced photos, 64 px first and 128 px later, so
that the network learns to use what lies further away. 20 pictures of Train400 are the validation set; BSD68 is measured
once, by --ship. In colour: crops of reduced photos (COCO128, 20 of which are the validation set) and streets (CamVid),
measured on Set5; brightness is the grey network's work, so that one comes first, and what is learnt is colour. Minutes,
machine and score: on the card (weights/README.md).
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tasks import weights
from tasks.denoising import OPPONENT_GAIN, Denoiser
from tasks.networks.denoiser_unet import DenoiserUNet
from tasks.quality import psnr, ssim
from train import options, report, restoration
from train.loop import Fit, Progress, Recipe, fit

MEASURED = (15, 25, 50)  # grey levels
SHARE = {1: 0.15, 3: 0.3}  # of the crops that come from `photos`, by channels
OFFSET = 0.1  # of a crop's colours from those of the whole picture, standard deviation
TURNS = 8  # of the self-ensemble: four turns, mirrored or not


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
    channels: int = 1  # 3: in colour
    widths: tuple[int, ...] = (48, 96, 192)
    blocks: tuple[int, ...] = (2, 2, 2)
    again: bool = False  # begin with the shipped weights


AGAIN: dict[str, Any] = {"again": True, "lr": 1e-3, "wider_from": 0.5}  # what a further cycle does otherwise
SMOKE = Plan(steps=60, batch=4, side=32, ema=0.9, widths=(8, 16), blocks=(1, 1))


def config(plan: Plan) -> dict[str, object]:
    return {"channels": plan.channels, "maps": 1, "widths": list(plan.widths), "blocks": list(plan.blocks)}


def make_network(plan: Plan) -> DenoiserUNet:
    return DenoiserUNet(plan.channels, 1, plan.widths, plan.blocks)


def name_of(plan: Plan) -> str:
    """Of weights, card and run."""
    return "denoiser" if plan.channels == 1 else "denoiser_colour"


def handler_of(network: nn.Module, plan: Plan) -> Denoiser:
    """The app's own handler around a network just trained."""
    return Denoiser(network) if plan.channels == 1 else Denoiser(Denoiser.load().network, colour=network)


def relative_error(restored: Tensor, clean: Tensor, sigma: Tensor) -> Tensor:
    """Mean over the crops of their root mean square error, relative to what a good denoiser leaves at that sigma.

    That is close to 3.1 sigma in squared grey levels (DnCNN on BSD68). The scores are means of logarithms, so a crop
    counts by its own error and not by how hard it is.

    Args:
        restored, clean: float (B, C, H, W) in [0, 1].
        sigma: (B, 1, 1, 1) in grey levels.
    """
    squared = ((restored.float() - clean) * 255).square().mean((1, 2, 3))
    return (squared / (3.1 * (sigma.flatten() + 1)) + 1e-3).sqrt().mean()


class Brightness:
    """The brightness of colour pictures, as `tasks.denoising.Denoiser` handles it: it is the grey network's work."""

    def __init__(self) -> None:
        self.network = Denoiser.load().network.requires_grad_(False)
        self.gain = float(OPPONENT_GAIN[0])

    @torch.no_grad()
    def denoised(self, noisy: Tensor, sigma: Tensor) -> Tensor:
        """(B, 3, H, W) with the brightness that the grey network makes of it; sigma (B, 1, 1, 1) in grey levels."""
        grey = noisy.mean(1, keepdim=True)
        return noisy + (self.network(grey, self.gain * sigma / 255).float() - grey)

    def replaced(self, rgb: Tensor, by: Tensor) -> Tensor:
        """`rgb` with the brightness of `by`, so that only errors of colour are left; both (B, 3, H, W)."""
        return rgb + (by.mean(1, keepdim=True) - rgb.mean(1, keepdim=True))


def train(
    plan: Plan, pictures: Sequence[np.ndarray], photos: Sequence[np.ndarray], seed: int, run: Path, resume: bool,
    stop_after: int | None = None,
) -> Fit:  # fmt: skip
    """Train on all of `pictures` but the held-out ones and on `photos`; the curve is PSNR at sigma 25."""
    fit_set, val_set = restoration.split(list(pictures))
    crops = restoration.Crops(fit_set, list(photos), SHARE[plan.channels])
    torch.manual_seed(seed)
    network = make_network(plan)
    if plan.again:
        network.load_state_dict(weights.load(name_of(plan), DenoiserUNet)[0].state_dict())
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
    progress = Progress()
    brightness = Brightness() if plan.channels == 3 else None

    def batch_at(step: int, rank: int, world: int) -> Tensor:
        wide = 2 if progress.share >= plan.wider_from else 1
        return crops.draw(max(1, plan.batch // world // wide**2), plan.side * wide)

    def loss(model: nn.Module, clean: Tensor) -> Tensor:
        n = len(clean)
        evenly = torch.rand(1, device=clean.device) + torch.arange(n, device=clean.device) / n  # over the batch
        sigma = (evenly % 1 * plan.sigma)[:, None, None, None]
        noisy = clean + torch.randn_like(clean) * sigma / 255
        if brightness is None:
            return relative_error(model(noisy, sigma / 255), clean, sigma)
        seen = brightness.denoised(noisy, sigma)
        mean = seen.mean((2, 3), keepdim=True)  # of a whole picture in use, so a crop may be far from it
        mean = mean + OFFSET * torch.randn_like(mean)
        return relative_error(brightness.replaced(model(seen - mean, sigma / 255) + mean, clean), clean, sigma)

    def evaluate(model: nn.Module) -> dict[str, float]:
        denoiser = handler_of(model, plan)
        return {f"psnr_{sigma}": scores(denoiser, val_set, sigma)["psnr"] for sigma in MEASURED}

    return fit(network, batch_at, loss, recipe, run, resume=resume, evaluate=evaluate,
               evaluate_every=max(1, plan.steps // 6), stop_after=stop_after, progress=progress)  # fmt: skip


# -- what is measured and shipped ------------------------------------------------------------------------------------


def as_stored(network: nn.Module, plan: Plan) -> DenoiserUNet:
    """The network as `weights.load` gives it back: rounded to fp16, float32 again."""
    stored = make_network(plan)
    stored.load_state_dict({k: v.half().float() for k, v in network.state_dict().items()}, strict=True)
    return stored


def noisy_pictures(pictures: Sequence[np.ndarray], sigma: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """(noisy, clean), float32 (H, W[, 3]); picture k gets the noise of seed k, whatever its neighbours are."""
    clean = [p.astype(np.float32) / 255 for p in pictures]
    return [(c + restoration.seeded_noise(c.shape, sigma, k), c) for k, c in enumerate(clean)]


def ensemble(denoiser: Denoiser, noisy: np.ndarray, sigma: float) -> np.ndarray:
    """The mean over the eight turned and mirrored pictures, turned back."""
    total = np.zeros_like(noisy)
    for turn in range(TURNS):
        x = np.rot90(noisy.swapaxes(0, 1) if turn >= 4 else noisy, turn % 4)
        y = np.rot90(denoiser.denoise_array(np.ascontiguousarray(x), sigma), -(turn % 4))
        total += y.swapaxes(0, 1) if turn >= 4 else y
    return total / TURNS


def scores(denoiser: Denoiser, pictures: Sequence[np.ndarray], sigma: float, how: str = "told") -> dict[str, float]:
    """Mean PSNR and SSIM over pictures uint8 (H, W[, 3]); `how`: "told" sigma, "blind", or by self-"ensemble"."""
    found = []
    for noisy, clean in noisy_pictures(pictures, sigma):
        if how == "ensemble":
            restored = ensemble(denoiser, noisy, sigma)
        else:
            restored = denoiser.denoise_array(noisy, None if how == "blind" else float(sigma))
        found.append((psnr(restored, clean), ssim(restored, clean)))
    mean = np.mean(found, 0)
    return {"psnr": float(mean[0]), "ssim": float(mean[1])}


def milliseconds(denoiser: Denoiser, shape: tuple[int, ...] = (321, 481), times: int = 12) -> float:
    """Median for one picture."""
    x = np.random.default_rng(0).random(shape, np.float32)
    took = []
    for _ in range(times + 2):
        start = time.perf_counter()
        denoiser.denoise_array(x, 25.0)
        took.append(1000 * (time.perf_counter() - start))
    return float(np.median(took[2:]))


def ship(
    done: Fit,
    plan: Plan,
    n_fit: str,
    test: Sequence[np.ndarray],
    seed: int,
    out: Path,
    test_name: str = "BSD68",
    eightfold: bool = False,
    before: dict[str, Any] | None = None,
) -> weights.Card:
    """Measure once on the test pictures, write weights and card.

    Args:
        eightfold: measure the self-ensemble, too, which takes longer than all the rest.
        before: the card's `training` before a further cycle.
    """
    network = as_stored(done.network, plan)
    denoiser = handler_of(network, plan)
    kind, shape = ("grey", (321, 481)) if plan.channels == 1 else ("RGB", (321, 481, 3))
    how = f"{kind}, PSNR over the whole picture, result clipped; noise neither clipped nor rounded, seeds 0, 1, 2, ..."
    metrics = []
    for sigma in (25, 15, 50):
        told, blind = scores(denoiser, test, sigma), scores(denoiser, test, sigma, "blind")
        for name, value, unit, said in (
            (f"PSNR at sigma {sigma}", told["psnr"], "dB", f"{test_name}, {how}"),
            (f"PSNR at sigma {sigma}, blind", blind["psnr"], "dB", f"{test_name}, sigma estimated from the picture"),
            (f"SSIM at sigma {sigma}", told["ssim"], "", f"{test_name}, Gaussian window of 11 px"),
        ):
            metrics.append(weights.Metric(name, round(value, 4), unit, "test", len(test), said))
        print(sigma, told, blind, flush=True)
    if eightfold:
        value = round(scores(denoiser, test, 25, "ensemble")["psnr"], 4)
        said = f"{test_name}, mean over eight turned and mirrored pictures: eight times the time"
        metrics.append(weights.Metric("PSNR at sigma 25, eight-fold", value, "dB", "test", len(test), said))
    metrics += [
        weights.Metric("time for one picture", round(milliseconds(denoiser, shape), 1), "ms", "test", 1,
                       f"481 x 321 px, {kind}, median of 12, {report.hardware()}"),
    ]  # fmt: skip
    if plan.channels == 3:  # what the grey network makes of the same pictures, as brightness and two differences
        grey = scores(Denoiser(denoiser.network), test, 25)["psnr"]
        said = f"{test_name}, {how}; the grey network on brightness and two colour differences"
        metrics.append(weights.Metric("PSNR at sigma 25, grey network", round(grey, 4), "dB", "test", len(test), said))
    steps = "" if plan.minutes else f" --steps {plan.steps}"
    given = f"{' --colour' if plan.channels == 3 else ''}{' --again' if plan.again else ''}"
    command = f"python -m train.denoiser{given}{options.budget_options(plan, Plan())}{steps} --ship"
    training = report.about_training(command, seed, done.minutes, done.where)
    card = weights.Card(
        name=name_of(plan),
        task="denoising",
        title=f"Denoiser, {'grey' if plan.channels == 1 else 'colour'}, all noise levels",
        architecture=f"U-Net of residual blocks without biases, {'-'.join(map(str, plan.widths))} channels, on the "
        "picture folded to half resolution, with the noise level as a map",
        parameters=sum(p.numel() for p in network.parameters()),
        config=config(plan),
        preprocess={"range": [0, 1], "sigma": [0, plan.sigma]},
        classes=[],
        metrics=metrics,
        data={
            **(restoration.ABOUT if plan.channels == 1 else restoration.ABOUT_COLOUR),
            "n": n_fit,
            "held_out": f"{restoration.HELD_OUT} of {'Train400' if plan.channels == 1 else 'COCO128'} for the curve; "
            f"{test_name}, {len(test)} pictures, for the scores",
        },
        training=report.again(before, training) if before else training,
        paper="Zhang, Zuo, Zhang 2018, FFDNet, arXiv 1710.04026; Zhang et al. 2021, DRUNet, arXiv 2008.13751; Mohan et "
        "al. 2020, arXiv 1906.05478; noise level by Chen, Zhu, Heng 2015",
        limits=f"Learnt white Gaussian noise{', as much in R, G and B' if plan.channels == 3 else ' in grey'}. "
        "Camera noise that is larger than a pixel, JPEG's blocks and salt and pepper are not its kind.",
        curve=done.curve,
        tables={"first_six": round(scores(denoiser, test[:6], 25)["psnr"], 4)},  # what a test measures again
    )
    return weights.save(network, card, out, half=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options.training(__doc__, "restoration/ and coco128/")
    parser.add_argument("--steps", type=int, default=Plan.steps, help="of 16 crops of 64 px, or as many pixels")
    parser.add_argument("--colour", action="store_true", help="the network for colour pictures")
    parser.add_argument("--again", action="store_true", help="a further cycle from the shipped weights")
    options.add_budget(parser)
    parser.add_argument("--eightfold", action="store_true", help="--ship measures the self-ensemble, too")
    args = options.parse(parser, arguments)
    if args.smoke:
        pictures, test = restoration.made_up(24), restoration.made_up(2, seed=1)
        plan = replace(SMOKE, channels=3 if args.colour else 1)
        if args.colour:
            pictures, test = ([np.stack([p, p.T, p[::-1]], 2) for p in some] for some in (pictures, test))
        done = train(plan, pictures, [], args.seed, args.out / f"{name_of(plan)}-smoke", args.resume)
        card = ship(done, plan, "made-up", test, args.seed, args.out / "weights", "made-up pictures", eightfold=True)
        print(card.headline)
        return
    plan = replace(Plan(), steps=args.steps, channels=3 if args.colour else 1,
                   **{**(AGAIN if args.again else {}), **options.budget(args)})  # fmt: skip
    if args.colour:
        pictures, photos = restoration.reduced_photos(args.data, True), restoration.reduced_streets(args.data)
        n_fit = f"{len(pictures) - restoration.HELD_OUT} photos of COCO128, {len(photos)} streets of CamVid, reduced"
    else:
        pictures, photos = restoration.pictures(args.data, "Train400"), restoration.reduced_photos(args.data)
        n_fit = f"{len(pictures) - restoration.HELD_OUT} pictures of Train400, {len(photos)} photos of COCO128 reduced"
    run = args.runs / f"{name_of(plan)}{'-again' if args.again else ''}"
    before = report.before_again(run, name_of(plan)) if args.again else None
    done = train(plan, pictures, photos, args.seed, run, args.resume or args.ship)
    if args.ship:
        test_name = "Set5" if args.colour else "BSD68"
        card = ship(done, plan, n_fit, restoration.pictures(args.data, test_name), args.seed, args.out,
                    test_name, eightfold=args.eightfold, before=before)  # fmt: skip
        print(card.headline, *(f"{m.name} {m.value} {m.unit}" for m in card.metrics[1:]), sep="\n")


if __name__ == "__main__":
    main()
