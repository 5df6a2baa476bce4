"""What a diffusion model does to a given picture: fill a hole, raise its resolution, take noise away from any time on.

No further training: the picture steers each step. Inpainting: RePaint (Lugmayr et al. 2022, arXiv 2201.09865).
Super-resolution: the null-space method DDNM (Wang et al. 2023, arXiv 2212.00490), where the mean of each square of
pixels is known.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tasks import compute
from tasks.diffusion import DiffusionGenerator, DiffusionStep, T, seeded_noise, to_numpy
from tasks.images import ImageError
from tasks.zero_gpu import on_gpu

PROJECTIONS = 20
"""Rounds in which a picture is brought to given means within its range."""


@on_gpu
def inpaint(
    generator: DiffusionGenerator,
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
        repeats: how often each step is made, with noise added in between, so that the filling fits what is around it.
    Raises:
        ImageError: wrong shapes or settings, a mask over nothing or over everything.
    """
    known = generator.to_tensor(image)
    if mask.shape != (generator.side, generator.side) or mask.dtype != bool:
        raise ImageError(f"A mask of {generator.side} x {generator.side} truth values is needed; {mask.shape} came.")
    if mask.all() or not mask.any():
        raise ImageError("Paint over a part of the picture: something to fill and something to go by are needed.")
    if type(repeats) is not int or not 1 <= repeats <= 20:
        raise ImageError(f"Each step is made 1 to 20 times; {str(repeats)[:20]} came.")
    labels = generator.checked(n, seed, label, "ddpm", n_steps, guidance or 1.0)
    hole = torch.from_numpy(mask).to(known.device)[None, None]
    noise = seeded_noise(n, seed)

    def keep_known(x: Tensor, alpha_bar: float) -> Tensor:
        eps = _noise_like(x, noise)
        return torch.where(hole, x, math.sqrt(alpha_bar) * known + math.sqrt(1 - alpha_bar) * eps)

    start = _noise(generator, noise)
    return _steps(generator, start, times(n_steps), labels, guidance, noise, on_x=keep_known, repeats=repeats)


@on_gpu
def super_resolve(
    generator: DiffusionGenerator,
    small: np.ndarray,
    n: int,
    seed: int,
    label: int | Sequence[int] | None = None,
    n_steps: int = 25,
    guidance: float | None = None,
) -> Iterator[DiffusionStep]:
    """n pictures of the generator's size whose squares of pixels have the means that `small` says.

    Args:
        small: uint8 (h, w) or (h, w, 3); h = w divides the generator's side.
    Raises:
        ImageError: another size, or a setting out of its range.
    """
    side, h = generator.side, small.shape[0]
    channels = small.shape[2] if small.ndim == 3 else 1
    if small.ndim not in (2, 3) or h != small.shape[1] or side % h or h == side or channels != generator.channels:
        sizes = ", ".join(f"{side // k} x {side // k}" for k in (2, 4))
        raise ImageError(f"A smaller picture is needed, {sizes} px; {small.shape} came.")
    y = torch.from_numpy(small.reshape(h, h, channels)).to(compute.device()).permute(2, 0, 1)[None].float() / 127.5 - 1
    labels = generator.checked(n, seed, label, "ddpm", n_steps, guidance or 1.0)
    noise = seeded_noise(n, seed)

    def agree(x0: Tensor) -> Tensor:
        """Near x0, within [-1, 1], with the means y: DDNM's projection and the clipping, in turn until both hold."""
        for _ in range(PROJECTIONS):
            off = y - F.avg_pool2d(x0, side // h)
            x0 = (x0 + F.interpolate(off, scale_factor=side // h, mode="nearest")).clamp(-1, 1)
        return x0

    start = _noise(generator, noise)
    return _steps(generator, start, times(n_steps), labels, guidance, noise, on_x0=agree)


@on_gpu
def denoise_from(
    generator: DiffusionGenerator,
    x_t: np.ndarray,
    t: int,
    label: int | None = None,
    n_steps: int = 10,
    guidance: float | None = None,
) -> Iterator[DiffusionStep]:
    """Take the noise away that `forward_process` put in up to t, by DDIM.

    Args:
        x_t: float32 (H, W, C), or (n, H, W, C) for several at once.
        t: 1 ... 1000.
    Raises:
        ImageError: a setting out of its range.
    """
    if type(t) is not int or not 1 <= t <= T:
        raise ImageError(f"t is a whole number from 1 to {T}; {str(t)[:20]} came.")
    many = np.ascontiguousarray(x_t[None] if x_t.ndim == 3 else x_t)
    labels = generator.checked(len(many), 0, label, "ddim", n_steps, guidance or 1.0)
    x = torch.from_numpy(many).to(compute.device()).permute(0, 3, 1, 2).float()
    return _steps(generator, x, times(min(n_steps, t), t), labels, guidance, [], eta=0)


@dataclass(frozen=True)
class Return:
    """A picture drowned in noise n times over, and what came back.

    Attributes:
        t: 1 ... 1000, how far in.
        x_t: float32 (n, H, W, C).
        back: float32 (n, H, W, C) in [-1, 1].
    """

    t: int
    x_t: np.ndarray
    back: np.ndarray


@on_gpu
def there_and_back(
    generator: DiffusionGenerator, image: np.ndarray, n: int, seed: int, at: Sequence[int], n_steps: int = 10
) -> Iterator[Return]:
    """For each t of `at`: the picture with n noises up to t, and brought back by DDIM without a class.

    Args:
        image: uint8 (H, W) or (H, W, 3) of the generator's size.
        seed: noise k depends on it and k only, so that it is the same at each t.
    Raises:
        ImageError: a setting out of its range.
    """
    generator.checked(n, seed, None, "ddim", n_steps, 1.0)
    for t in at:
        x_t = np.stack([generator.forward_process(image, t, seed * 1_000_003 + k) for k in range(n)])
        *_, last = denoise_from(generator, x_t, t, n_steps=n_steps)
        yield Return(t, x_t, last.x_t)


def times(n_steps: int, last: int = T) -> list[int]:
    """n_steps of the times last - 1 ... 0, evenly, as diffusers' "trailing" spacing has them."""
    return [int(t) for t in np.round(np.arange(last, 0, -last / n_steps)).astype(int)[:n_steps] - 1]


@torch.inference_mode()
def _steps(
    generator: DiffusionGenerator,
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
    """Song et al. 2021 (DDIM), eq. 12 and 16; eta = 1 is DDPM's own noise, 0 none.

    `on_x0` sets the picture right that the network expects, `on_x` what is there after a step, of (x, alpha_bar).
    """
    guidance = generator.guidance if guidance is None else guidance
    for i, t in enumerate(at):
        a = float(generator.alpha_bars[t])
        after = float(generator.alpha_bars[at[i + 1]]) if i + 1 < len(at) else 1.0
        with compute.stopwatch() as ms:
            for again in range(repeats):
                v = generator.predict(x, t, labels, guidance)
                x0 = generator.x0_of(x, v, t).clamp(-1, 1)
                x0 = on_x0(x0) if on_x0 else x0
                # of the picture as it was set right, as in DDPM's posterior and DiffusionGenerator.ddim_step
                eps = (x - math.sqrt(a) * x0) / math.sqrt(1 - a)
                variance = eta**2 * (1 - after) / (1 - a) * (1 - a / after)
                x = math.sqrt(after) * x0 + math.sqrt(max(0.0, 1 - after - variance)) * eps
                if variance > 0:
                    x = x + math.sqrt(variance) * _noise_like(x, noise)
                x = on_x(x, after) if on_x else x
                if after == 1:
                    break
                if again + 1 < repeats:  # back to t, to be made again
                    x = math.sqrt(a / after) * x + math.sqrt(1 - a / after) * _noise_like(x, noise)
        yield DiffusionStep(i + 1, len(at), t, a, to_numpy(x), to_numpy(x0), ms() / 1000)


def _noise(generator: DiffusionGenerator, noise: list[torch.Generator]) -> Tensor:
    shape = (1, generator.channels, generator.side, generator.side)
    return torch.cat([torch.randn(shape, generator=g) for g in noise]).to(compute.device())


def _noise_like(x: Tensor, noise: list[torch.Generator]) -> Tensor:
    return torch.cat([torch.randn((1, *x.shape[1:]), generator=g) for g in noise]).to(x.device)
