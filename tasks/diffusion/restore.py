"""A diffusion model applied to an image: inpainting, super-resolution, denoising from any time.

No further training: the image constrains each step. Inpainting: RePaint (Lugmayr et al. 2022, arXiv
2201.09865). Super-resolution: the null-space method DDNM (Wang et al. 2023, arXiv 2212.00490),
where the mean of each square of pixels is known.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tasks.core import device
from tasks.core.device import seeded_noise, stopwatch
from tasks.core.images import ImageError
from tasks.core.zero_gpu import on_gpu
from tasks.diffusion.process import DiffusionModel, DiffusionStep, T, to_numpy

PROJECTIONS = 20
"""Rounds of projecting onto the given means and clipping to [-1, 1]."""


@on_gpu
def inpaint(
    generator: DiffusionModel,
    image: np.ndarray,
    mask: np.ndarray,
    n: int,
    seed: int,
    label: int | Sequence[int] | None = None,
    n_steps: int = 25,
    guidance: float | None = None,
    repeats: int = 5,
) -> Iterator[DiffusionStep]:
    """Fill `mask` in n ways.

    Args:
        image: uint8 (H, W) or (H, W, 3) of the generator's size.
        mask: bool (H, W), True where to fill.
        repeats: of each step, with noise added in between, so that the filling fits its
            surroundings.
    Raises:
        ImageError: wrong shapes or settings, a mask that is empty or full.
    """
    known = generator.to_tensor(image)
    if mask.shape != (generator.side, generator.side) or mask.dtype != bool:
        raise ImageError(
            f"A bool mask of {generator.side} x {generator.side} is needed; {mask.shape} came."
        )
    if mask.all() or not mask.any():
        raise ImageError("Paint over a part of the image, and leave a part of it.")
    if type(repeats) is not int or not 1 <= repeats <= 20:
        raise ImageError(f"Each step is repeated 1 to 20 times; {str(repeats)[:20]} came.")
    labels = generator.check_settings(n, seed, label, "ddpm", n_steps, guidance or 1.0)
    hole = torch.from_numpy(mask).to(known.device)[None, None]
    noise = seeded_noise(n, seed)

    def keep_known(x: Tensor, alpha_bar: float) -> Tensor:
        eps = _noise_like(x, noise)
        return torch.where(hole, x, math.sqrt(alpha_bar) * known + math.sqrt(1 - alpha_bar) * eps)

    start = _noise(generator, noise)
    return _steps(
        generator, start, times(n_steps), labels, guidance, noise, on_x=keep_known, repeats=repeats
    )


@on_gpu
def super_resolve(
    generator: DiffusionModel,
    small: np.ndarray,
    n: int,
    seed: int,
    label: int | Sequence[int] | None = None,
    n_steps: int = 25,
    guidance: float | None = None,
) -> Iterator[DiffusionStep]:
    """n images of the generator's size whose squares of pixels have the means in `small`.

    Args:
        small: uint8 (h, w) or (h, w, 3); h = w divides the generator's side.
    Raises:
        ImageError: another size, or a setting out of its range.
    """
    side, h = generator.side, small.shape[0]
    channels = small.shape[2] if small.ndim == 3 else 1
    is_square = small.ndim in (2, 3) and h == small.shape[1]
    if not is_square or side % h or h == side or channels != generator.channels:
        sizes = ", ".join(f"{side // k} x {side // k}" for k in (2, 4))
        raise ImageError(f"A smaller image is needed, {sizes} px; {small.shape} came.")
    y = torch.from_numpy(small.reshape(h, h, channels)).to(device.best())
    y = y.permute(2, 0, 1)[None].float() / 127.5 - 1  # (1, C, h, h)
    labels = generator.check_settings(n, seed, label, "ddpm", n_steps, guidance or 1.0)
    noise = seeded_noise(n, seed)

    def project(x0: Tensor) -> Tensor:
        """An image near x0, within [-1, 1], with the means y: DDNM's projection and clipping."""
        for _ in range(PROJECTIONS):
            error = y - F.avg_pool2d(x0, side // h)
            x0 = (x0 + F.interpolate(error, scale_factor=side // h, mode="nearest")).clamp(-1, 1)
        return x0

    start = _noise(generator, noise)
    return _steps(generator, start, times(n_steps), labels, guidance, noise, on_x0=project)


@on_gpu
def denoise_from(
    generator: DiffusionModel,
    x_t: np.ndarray,
    t: int,
    label: int | None = None,
    n_steps: int = 10,
    guidance: float | None = None,
) -> Iterator[DiffusionStep]:
    """Remove the noise that `forward_process` has added up to t, by DDIM.

    Args:
        x_t: float32 (H, W, C) or (n, H, W, C).
        t: 1 ... 1000.
    Raises:
        ImageError: a setting out of its range.
    """
    if type(t) is not int or not 1 <= t <= T:
        raise ImageError(f"t is a whole number from 1 to {T}; {str(t)[:20]} came.")
    batch = np.ascontiguousarray(x_t[None] if x_t.ndim == 3 else x_t)
    labels = generator.check_settings(len(batch), 0, label, "ddim", n_steps, guidance or 1.0)
    x = torch.from_numpy(batch).to(device.best()).permute(0, 3, 1, 2).float()
    return _steps(generator, x, times(min(n_steps, t), t), labels, guidance, [], eta=0)


@dataclass(frozen=True)
class Denoised:
    """An image noised n times up to t, and denoised again.

    Attributes:
        t: 1 ... 1000.
        x_t: float32 (n, H, W, C).
        x0: float32 (n, H, W, C) in [-1, 1].
    """

    t: int
    x_t: np.ndarray
    x0: np.ndarray


@on_gpu
def noise_and_denoise(
    generator: DiffusionModel,
    image: np.ndarray,
    n: int,
    seed: int,
    at: Sequence[int],
    n_steps: int = 10,
) -> Iterator[Denoised]:
    """For each t of `at`: the image noised n times up to t, then denoised by DDIM without a class.

    Args:
        image: uint8 (H, W) or (H, W, 3) of the generator's size.
        seed: noise k depends on the seed and k only, so it is the same at each t.
    Raises:
        ImageError: a setting out of its range.
    """
    generator.check_settings(n, seed, None, "ddim", n_steps, 1.0)
    for t in at:
        x_t = np.stack(
            [generator.forward_process(image, t, seed * 1_000_003 + k) for k in range(n)]
        )
        *_, last = denoise_from(generator, x_t, t, n_steps=n_steps)
        yield Denoised(t, x_t, last.x_t)


def times(n_steps: int, last: int = T) -> list[int]:
    """n_steps times from last - 1 to 0, evenly: "trailing" spacing of diffusers."""
    return [int(t) for t in np.round(np.arange(last, 0, -last / n_steps)).astype(int)[:n_steps] - 1]


@torch.inference_mode()
def _steps(
    generator: DiffusionModel,
    x: Tensor,
    at: list[int],
    labels: Tensor,
    guidance: float | None,
    noise: list[torch.Generator],
    *,
    eta: float = 1.0,
    on_x0: Callable[[Tensor], Tensor] | None = None,
    on_x: Callable[[Tensor, float], Tensor] | None = None,
    repeats: int = 1,
) -> Iterator[DiffusionStep]:
    """Song et al. 2021 (DDIM), eq. 12 and 16; eta = 1 adds the noise of DDPM, 0 none.

    `on_x0(x0)` corrects the predicted image, `on_x(x, alpha_bar)` the result of a step.
    """
    guidance = generator.guidance if guidance is None else guidance
    for i, t in enumerate(at):
        a = float(generator.alpha_bars[t])
        after = float(generator.alpha_bars[at[i + 1]]) if i + 1 < len(at) else 1.0
        with stopwatch() as ms:
            for k in range(repeats):
                v = generator.predict(x, t, labels, guidance)
                x0 = generator.x0_of(x, v, t).clamp(-1, 1)
                x0 = on_x0(x0) if on_x0 else x0
                # from the corrected x0, as in DDPM's posterior and DiffusionGenerator.ddim_step
                eps = (x - math.sqrt(a) * x0) / math.sqrt(1 - a)
                variance = eta**2 * (1 - after) / (1 - a) * (1 - a / after)
                x = math.sqrt(after) * x0 + math.sqrt(max(0.0, 1 - after - variance)) * eps
                if variance > 0:
                    x = x + math.sqrt(variance) * _noise_like(x, noise)
                x = on_x(x, after) if on_x else x
                if after == 1:
                    break
                if k + 1 < repeats:  # back to t
                    x = math.sqrt(a / after) * x + math.sqrt(1 - a / after) * _noise_like(x, noise)
        yield DiffusionStep(i + 1, len(at), t, a, to_numpy(x), to_numpy(x0), ms() / 1000)


def _noise(generator: DiffusionModel, noise: list[torch.Generator]) -> Tensor:
    shape = (1, generator.channels, generator.side, generator.side)
    return torch.cat([torch.randn(shape, generator=g) for g in noise]).to(device.best())


def _noise_like(x: Tensor, noise: list[torch.Generator]) -> Tensor:
    return torch.cat([torch.randn((1, *x.shape[1:]), generator=g) for g in noise]).to(x.device)
