"""Denoisers on one noisy grey picture at three sizes: milliseconds and PSNR of the filters, of BM3D
and of ours.

    python -m benchmarks.denoisers [--sizes 256 512 1024] [--sigma 25] [--threads 1]

The pictures are the packages' own samples, reduced or tiled. Every method is told sigma; the
filters get the strength that suits the clean picture best. Writes benchmarks/results/denoisers.csv.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image

from benchmarks.results import record
from tasks.core import images
from tasks.core.image_metrics import psnr, ssim
from tasks.denoising import classical_filters
from tasks.denoising.denoiser import Denoiser
from tasks.ui.image_input import sample_images
from train.common import restoration_data

SOURCE = (("ultralytics", "assets/bus.jpg"),)  # 810 x 1080 px


def clean_picture(side: int) -> np.ndarray:
    """float32 (side, side) in [0, 1]: the largest square of the sample, resized; enlarged for sides
    above 810."""
    photo = images.to_rgb(sample_images(SOURCE)[0]).convert("L")
    left, top = (photo.width - min(photo.size)) // 2, (photo.height - min(photo.size)) // 2
    square = photo.crop((left, top, left + min(photo.size), top + min(photo.size)))
    return np.asarray(square.resize((side, side), Image.Resampling.BICUBIC), np.float32) / 255


def timed(call: Callable[[], np.ndarray], times: int) -> tuple[np.ndarray, float]:
    """(the result, median milliseconds after one call to warm up)."""
    result, took = call(), []
    for _ in range(times):
        start = time.perf_counter()
        call()
        took.append(1000 * (time.perf_counter() - start))
    return result, float(np.median(took))


def methods(
    noisy: np.ndarray, clean: np.ndarray, sigma: float
) -> dict[str, tuple[Callable[[], np.ndarray], int]]:
    """name -> (call, how often it is timed)."""
    denoiser = Denoiser.load()
    found: dict[str, tuple[Callable[[], np.ndarray], int]] = {
        "ours": (lambda: denoiser.denoise_array(noisy, sigma), 5),
        "ours, blind": (lambda: denoiser.denoise_array(noisy), 5),
    }
    for name, (apply, _) in classical_filters.FILTERS.items():
        strength = classical_filters.best(name, noisy, clean)[1]
        found[name] = (lambda apply=apply, strength=strength: apply(noisy, strength).clip(0, 1), 3)  # type: ignore[misc]
    try:
        import bm3d  # type: ignore[import-untyped]  # it ships no types
    except ImportError:
        print("BM3D: the package bm3d is not installed")
    else:
        found["BM3D"] = (lambda: bm3d.bm3d(noisy, sigma_psd=sigma / 255).clip(0, 1), 1)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--sigma", type=float, default=25.0, help="grey levels")
    parser.add_argument("--threads", type=int, help="of torch; default: its own")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    for side in args.sizes:
        clean = clean_picture(side)
        noisy = clean + restoration_data.seeded_noise(clean.shape, args.sigma, 0)
        for name, (call, times) in methods(noisy, clean, args.sigma).items():
            result, ms = timed(call, times)
            record(
                "denoisers",
                {
                    "method": name,
                    "side": side,
                    "sigma": args.sigma,
                    "threads": torch.get_num_threads(),
                    "ms": round(ms, 1),
                    "psnr": round(psnr(result, clean), 2),
                    "ssim": round(ssim(result, clean), 4),
                },
            )


if __name__ == "__main__":
    main()
