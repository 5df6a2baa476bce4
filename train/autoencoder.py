"""Train the denoising autoencoder of digits (Vincent et al. 2008), by MSE, on MNIST with Gaussian noise.

    python -m train.autoencoder --data DIR         train, measure, write weights and card; --resume goes on
    python -m train.autoencoder --smoke --out DIR  a few seconds on made-up digits

Measured beside a median and a Gaussian filter, each with the size that suits the noise best.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks import weights
from tasks.digit_autoencoder import DigitAutoencoder, add_noise
from tasks.networks.autoencoder import DigitAutoencoderNet
from train import data, digits, options, report
from train.loop import Fit, Recipe, fit

EPOCHS, BATCH = 8, 128
SIGMA = 0.8  # the strongest noise, 1 = the range from paper to ink
SIGMAS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
HELD_OUT = 2000

Filter = Callable[[np.ndarray, float], np.ndarray]


def train(
    pictures: data.ImageSet, seed: int, run: Path, resume: bool, epochs: float = EPOCHS, stop_after: int | None = None
) -> Fit:
    """Train on all but HELD_OUT digits, which give the curve: PSNR at sigma 0.4."""
    fit_set, val_set = data.hold_out(pictures, min(HELD_OUT, len(pictures) // 5))
    images = torch.from_numpy(fit_set.images)
    batch = min(BATCH, len(images))
    torch.manual_seed(seed)
    recipe = Recipe(
        steps=round(epochs * (len(images) // batch)),
        batch=batch,
        lr=1e-3,
        warmup=0.05,
        ema=0.998,
        seed=seed,
    )
    order = data.Shuffled(len(images), batch, seed)

    def batch_at(step: int, rank: int, world: int) -> tuple[Tensor, Tensor]:
        clean = images[order.at(step, rank, world)][:, None].float() / 255
        sigma = torch.rand(len(clean), 1, 1, 1) * SIGMA
        return (clean + torch.randn_like(clean) * sigma).clamp(0, 1), clean

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        noisy, clean = batch
        return F.mse_loss(model(noisy).float(), clean)

    def evaluate(model: nn.Module) -> dict[str, float]:
        assert isinstance(model, DigitAutoencoderNet)
        clean = val_set.images.astype(np.float32) / 255
        return {"psnr_0.4": mean_psnr(DigitAutoencoder(model).clean(add_noise(clean, 0.4, 0)), clean)}

    return fit(DigitAutoencoderNet(), batch_at, loss, recipe, run, resume=resume, evaluate=evaluate,
               evaluate_every=max(1, recipe.steps // 10), stop_after=stop_after)  # fmt: skip


def mean_psnr(x: np.ndarray, clean: np.ndarray) -> float:
    """Mean over the digits (N, 28, 28) of each one's PSNR in dB."""
    errors = ((x - clean) ** 2).mean((1, 2))
    return float((-10 * np.log10(np.maximum(errors, 1e-10))).mean())


def gaussian(digit: np.ndarray, size: float) -> np.ndarray:
    return cv2.GaussianBlur(digit, (0, 0), size)


def median(digit: np.ndarray, size: float) -> np.ndarray:
    return cv2.medianBlur(digit, int(size))


FILTERS: dict[str, tuple[Filter, tuple[float, ...]]] = {
    "Gaussian filter": (gaussian, (0.4, 0.6, 0.8, 1.0, 1.3)),  # px
    "median filter": (median, (3, 5)),  # px
}


def best_filter(name: str, noisy: np.ndarray, clean: np.ndarray) -> float:
    """The filter's mean PSNR at the size that is best for these very digits: no choice could do better."""
    apply, sizes = FILTERS[name]
    return max(mean_psnr(np.stack([apply(d, size) for d in noisy]), clean) for size in sizes)


def table(autoencoder: DigitAutoencoder, clean: np.ndarray) -> dict[str, dict[str, float]]:
    """sigma -> PSNR in dB of the noisy digits, of the filters, of the autoencoder."""
    rows = {}
    for k, sigma in enumerate(SIGMAS):
        noisy = add_noise(clean, sigma, k)
        row = {"noisy": mean_psnr(noisy, clean), **{name: best_filter(name, noisy, clean) for name in FILTERS}}
        row["autoencoder"] = mean_psnr(autoencoder.clean(noisy), clean)
        rows[f"{sigma:g}"] = {name: round(value, 3) for name, value in row.items()}
    return rows


def ship(done: Fit, pictures: data.ImageSet, test: data.ImageSet, seed: int, out: Path) -> weights.Card:
    """Measure on the test digits, write weights and card."""
    network = DigitAutoencoderNet()
    network.load_state_dict({k: v.half().float() for k, v in done.network.state_dict().items()}, strict=True)
    rows = table(DigitAutoencoder(network), test.images.astype(np.float32) / 255)
    held_out = min(HELD_OUT, len(pictures) // 5)
    card = weights.Card(
        name="autoencoder",
        task="denoising",
        title="Denoising autoencoder, digits",
        architecture="convolutions of 32 and 64 channels down to a code of 8 maps of 7 x 7, and back",
        parameters=sum(p.numel() for p in network.parameters()),
        config={},
        preprocess={"size": 28, "range": [0, 1], "ink": "bright on black", "sigma": [0, SIGMA]},
        classes=[],
        metrics=[
            weights.Metric(
                f"PSNR at sigma {sigma}", rows[sigma]["autoencoder"], "dB", "test", len(test),
                f"noise clipped to [0, 1]; noisy {rows[sigma]['noisy']:.2f}, best Gaussian filter "
                f"{rows[sigma]['Gaussian filter']:.2f}, best median filter {rows[sigma]['median filter']:.2f}",
            )
            for sigma in sorted(rows, key=lambda s: s != "0.4")
        ],
        data=report.about_data(
            test,
            f"{len(pictures) - held_out:,} training digits",
            f"{held_out:,} for the curve; {len(test):,} test digits",
        ),
        training=report.about_training("python -m train.autoencoder", seed, done.minutes),
        paper="Vincent, Larochelle, Bengio, Manzagol 2008, Extracting and Composing Robust Features with Denoising "
        "Autoencoders",
        limits="Knows digits of 28 x 28 px and draws a digit out of anything; in strong noise it may draw another.",
        curve=done.curve,
        tables={"psnr": rows},
    )  # fmt: skip
    return weights.save(network, card, out, half=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options.training(__doc__, "MNIST/raw", ship=False)
    args = options.parse(parser, arguments)
    if args.smoke:
        pictures, test = digits.synthetic(400), digits.synthetic(40, seed=1)
        done = train(pictures, args.seed, args.out / "autoencoder-smoke", args.resume, epochs=20)
        print(ship(done, pictures, test, args.seed, args.out / "weights").headline)
        return
    pictures, test = data.mnist(args.data, train=True), data.mnist(args.data, train=False)
    done = train(pictures, args.seed, args.runs / "autoencoder", args.resume)
    card = ship(done, pictures, test, args.seed, args.out)
    print(card.headline, *(f"{m.name} {m.value} {m.unit}; {m.conditions}" for m in card.metrics[1:]), sep="\n")


if __name__ == "__main__":
    main()
