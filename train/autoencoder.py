"""Train the denoising autoencoder of digits (Vincent et al. 2008) by MSE on MNIST with noise.

    python -m train.autoencoder --data DIR         train, measure, write weights and card
    python -m train.autoencoder --smoke --out DIR  a few seconds on synthetic digits

--resume continues, --no-export trains only. A median and a Gaussian filter, each with the size that
suits the noise best, are measured for comparison.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.core import weights
from tasks.denoising.digit_autoencoder import DigitAutoencoder, add_noise
from tasks.networks.autoencoder import DigitAutoencoderNet
from train import data, options, report
from train.common import synthetic
from train.common.export import as_stored
from train.loop import BatchAt, Fit, Recipe, Trainer

EPOCHS, BATCH = 8, 128
SIGMA = 0.8  # the strongest noise, 1 = the range from paper to ink
SIGMAS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)

Filter = Callable[[np.ndarray, float], np.ndarray]


def train(
    digits: data.ImageSet,
    seed: int,
    run: Path,
    resume: bool,
    epochs: float = EPOCHS,
    minutes: float | None = None,
    stop_after: int | None = None,
) -> Fit:
    """Train on all but the held-out digits, which give the curve: PSNR at sigma 0.4."""
    train_set, val_set = data.train_and_val(digits)
    images = torch.from_numpy(train_set.images)
    val_images = val_set.images.astype(np.float32) / 255
    batch = min(BATCH, len(images))
    torch.manual_seed(seed)
    recipe = Recipe(
        steps=round(epochs * (len(images) // batch)),
        batch=batch,
        lr=1e-3,
        warmup=0.05,
        ema=0.998,
        seed=seed,
        minutes=minutes,
    )
    order = data.Shuffled(len(images), batch, seed)

    def batch_at(at: BatchAt) -> tuple[Tensor, Tensor]:
        clean = images[order.at(at.step, at.rank, at.world)][:, None].float() / 255
        sigma = torch.rand(len(clean), 1, 1, 1, generator=at.generator) * SIGMA
        noise = torch.randn(clean.shape, generator=at.generator) * sigma
        return (clean + noise).clamp(0, 1), clean

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        noisy, clean = batch
        return F.mse_loss(model(noisy).float(), clean)

    def evaluate(model: nn.Module) -> dict[str, float]:
        assert isinstance(model, DigitAutoencoderNet)
        denoised = DigitAutoencoder(model).clean(add_noise(val_images, 0.4, 0))
        return {"psnr_0.4": mean_psnr(denoised, val_images)}

    trainer = Trainer(DigitAutoencoderNet(), batch_at, loss, recipe, run, resume=resume)
    for _ in trainer.steps(stop_after):
        if trainer.is_due(every=max(1, recipe.steps // 10)):
            trainer.record(evaluate)
    return trainer.result()


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
    """Mean PSNR of a filter at the size that is best for these digits."""
    apply, sizes = FILTERS[name]
    return max(mean_psnr(np.stack([apply(d, size) for d in noisy]), clean) for size in sizes)


def table(autoencoder: DigitAutoencoder, clean: np.ndarray) -> dict[str, dict[str, float]]:
    """sigma -> PSNR in dB of the noisy digits, of the filters, of the autoencoder."""
    rows = {}
    for k, sigma in enumerate(SIGMAS):
        noisy = add_noise(clean, sigma, k)
        row = {"noisy": mean_psnr(noisy, clean)}
        row |= {name: best_filter(name, noisy, clean) for name in FILTERS}
        row["autoencoder"] = mean_psnr(autoencoder.clean(noisy), clean)
        rows[f"{sigma:g}"] = {name: round(value, 3) for name, value in row.items()}
    return rows


def export(done: Fit, n_digits: int, test: data.ImageSet, seed: int, folder: Path) -> weights.Card:
    """Measure on the test digits, write weights and card."""
    network = as_stored(done.network, DigitAutoencoderNet())
    rows = table(DigitAutoencoder(network), test.images.astype(np.float32) / 255)
    held_out = data.n_held_out(n_digits)
    card = weights.Card(
        name="autoencoder",
        task="denoising",
        title="Denoising autoencoder, digits",
        architecture="convolutions of 32 and 64 channels down to a code of 8 maps of 7 x 7, and "
        "back",
        parameters=report.n_parameters(network),
        config={},
        preprocess={"size": 28, "range": [0, 1], "ink": "bright on black", "sigma": [0, SIGMA]},
        classes=[],
        metrics=[
            weights.Metric(
                f"PSNR at sigma {sigma}",
                rows[sigma]["autoencoder"],
                "dB",
                "test",
                len(test),
                conditions(rows[sigma]),
            )
            for sigma in sorted(rows, key=lambda s: s != "0.4")
        ],
        data=report.about_data(
            test,
            f"{n_digits - held_out:,} training digits",
            f"{held_out:,} for the curve; {len(test):,} test digits",
        ),
        training=report.about_training("python -m train.autoencoder", seed, done.minutes),
        paper="Vincent, Larochelle, Bengio, Manzagol 2008, Extracting and Composing Robust "
        "Features with Denoising Autoencoders",
        limits="Knows digits of 28 x 28 px and draws a digit out of anything; in strong noise it "
        "may draw another.",
        selected_on=report.LAST_STEP,
        test_reads="once, at export",
        curve=done.curve,
        tables={"psnr": rows},
    )
    return weights.save(network, card, folder, half=True)


def conditions(row: dict[str, float]) -> str:
    """What the PSNR is to be compared with."""
    filters = [f"best {name} {row[name]:.2f}" for name in FILTERS]
    return ", ".join([f"noise clipped to [0, 1]; noisy {row['noisy']:.2f}", *filters])


def main(arguments: Sequence[str] | None = None) -> None:
    args = options.parse(options.training(__doc__, "MNIST/raw", export=True), arguments)
    if args.smoke:
        digits, test = synthetic.clock_hands(400), synthetic.clock_hands(40, seed=1)
        run, folder, epochs = args.out / "autoencoder-smoke", args.out / "weights", 20
    else:
        digits, test = data.mnist(args.data, train=True), data.mnist(args.data, train=False)
        run, folder, epochs = args.runs / "autoencoder", args.out, EPOCHS
    done = train(digits, args.seed, run, args.resume, epochs, args.minutes)
    if args.export:
        report.print_metrics(export(done, len(digits), test, args.seed, folder))


if __name__ == "__main__":
    main()
