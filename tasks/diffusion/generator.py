"""Diffusion: a network removes noise step by step until an image is left.

Ho et al. 2020 (DDPM, arXiv 2006.11239). Training and sampling use the paper's symbols: `x0` is the
image in [-1, 1], `x_t` = sqrt(alpha_bar_t) x0 + sqrt(1 - alpha_bar_t) eps. The network predicts v
(Salimans and Ho 2022); samplers are diffusers' schedulers. Weights by `train/diffusion/`.
"""

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tasks.core import device, weights
from tasks.core.device import seeded_noise, stopwatch
from tasks.core.images import ImageError, to_uint8
from tasks.core.zero_gpu import on_gpu
from tasks.diffusion import engine, restore
from tasks.diffusion.process import DiffusionStep, T, alpha_bars, to_numpy
from tasks.networks.diffusion_unet import DiffusionUNet

SAMPLERS = {"ddpm": "DDPM", "ddim": "DDIM", "dpm++": "DPM-Solver++", "unipc": "UniPC"}
MAX_STEPS, MAX_IMAGES = T, 64
DATASETS = ("mnist", "cifar10")


def scheduler(sampler: str, n_steps: int) -> Any:
    """diffusers' scheduler with its time steps set; x0 is clipped to [-1, 1] in all of them."""
    import diffusers as d

    common: dict[str, Any] = {
        "num_train_timesteps": T,
        "beta_schedule": "squaredcos_cap_v2",
        "prediction_type": "v_prediction",
        "timestep_spacing": "trailing",  # starts at pure noise in few steps, too (Lin et al. 2024)
    }
    clip = {  # x0 to [-1, 1]
        "thresholding": True,
        "dynamic_thresholding_ratio": 1.0,
        "sample_max_value": 1.0,
    }
    chosen: Any = {
        "ddpm": lambda: d.DDPMScheduler(**common, clip_sample=True),
        "ddim": lambda: d.DDIMScheduler(**common, clip_sample=True),
        "dpm++": lambda: d.DPMSolverMultistepScheduler(**common, **clip, solver_order=2),
        "unipc": lambda: d.UniPCMultistepScheduler(**common, **clip, solver_order=2),
    }[sampler]()
    chosen.set_timesteps(n_steps)
    return chosen


class DiffusionGenerator:
    """Generates images of a class from noise."""

    def __init__(self, network: nn.Module, card: weights.Card):
        # 1.4 times faster; label agreement and distance are measured with it
        self.bf16 = device.bf16_is_native()
        network = network.eval().to(device.best())
        # in bf16, group norms get slower by what convolutions gain
        if device.best().type == "cpu" and not self.bf16:
            network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network = network
        self.engine: Callable[[Tensor, Tensor, Tensor], Tensor] = (
            network  # computes; `use_fast_engine` puts another in place
        )
        self.card = card
        self.classes = tuple(card.classes)
        self.channels, self.side = int(card.config["channels"]), int(card.config["side"])
        self.guidance = float(card.preprocess.get("guidance", 1.0))  # the best one measured
        first, last = card.preprocess.get("guided_times", (0, T - 1))
        # outside them guidance only reduces variety
        self.guided_times = range(first, last + 1)
        self.alpha_bars = alpha_bars()
        self.reload: functools.partial[DiffusionGenerator] | None = None

    @classmethod
    def load(cls, dataset: str = "mnist", folder: Path = weights.FOLDER) -> "DiffusionGenerator":
        """`dataset`: "mnist" or "cifar10". Raises WeightsError."""
        if not isinstance(dataset, str) or dataset not in DATASETS:
            known = ", ".join(DATASETS)
            raise weights.WeightsError(
                f"There are diffusion models of {known}; {str(dataset)[:40]!r} came."
            )
        generator = cls(*weights.load(f"diffusion_{dataset}", DiffusionUNet, folder))
        generator.reload = functools.partial(cls.load, dataset, folder)
        return generator

    def use_fast_engine(self) -> None:
        """Compute large batches by OpenVINO if it is faster; takes two seconds and 150 MB."""
        if engine.is_faster():
            self.engine = engine.OpenVinoUNet(self.network, self.channels, self.side)

    def generate(
        self, n: int, seed: int, label: int | Sequence[int] | None = None, **settings: Any
    ) -> np.ndarray:
        """As `steps`, the images only: uint8 (n, H, W) or (n, H, W, 3)."""
        *_, last = self.steps(n, seed, label, **settings)
        return to_uint8(last.x_t)

    @on_gpu
    def steps(
        self,
        n: int,
        seed: int,
        label: int | Sequence[int] | None = None,
        sampler: str = "unipc",
        n_steps: int = 10,
        guidance: float | None = None,
    ) -> Iterator[DiffusionStep]:
        """Generate n images, step by step.

        Args:
            seed: image k depends on the seed and k only, not on n.
            label: a class for all, one for each image, or None for any.
            guidance: classifier-free guidance (Ho and Salimans 2022); 1 = off, None = the best one
                measured.
        Raises:
            ImageError: a setting out of its range.
        """
        guidance = self.guidance if guidance is None else guidance
        labels = self.check_settings(n, seed, label, sampler, n_steps, guidance)
        noise = seeded_noise(n, seed)
        shape = (1, self.channels, self.side, self.side)
        x = torch.cat([torch.randn(shape, generator=g) for g in noise]).to(device.best())
        return self._sample(x, labels, scheduler(sampler, n_steps), guidance, noise)

    @torch.inference_mode()
    def _sample(
        self, x: Tensor, labels: Tensor, steps: Any, guidance: float, noise: list[torch.Generator]
    ) -> Iterator[DiffusionStep]:
        kind = type(steps).__name__
        stochastic = {"generator": noise} if kind == "DDPMScheduler" else {}
        times = steps.timesteps.tolist()
        for i, t in enumerate(times):
            with stopwatch() as ms:
                v = self.predict(x, t, labels, guidance)
                x0 = self.x0_of(x, v, t).clamp(-1, 1)
                if kind == "DDIMScheduler":  # its own step goes to t - T // n, not to the next time
                    x = self.ddim_step(x, x0, t, times[i + 1] if i + 1 < len(times) else None)
                else:
                    x = steps.step(v, t, x, **stochastic).prev_sample
            alpha_bar, seconds = float(self.alpha_bars[t]), ms() / 1000
            yield DiffusionStep(i + 1, len(times), t, alpha_bar, to_numpy(x), to_numpy(x0), seconds)

    def predict(self, x: Tensor, t: int, labels: Tensor, guidance: float) -> Tensor:
        """v at time t, with guidance: v_none + guidance (v_class - v_none).

        Guidance acts in `guided_times` only (Kynkaanniemi et al. 2024, arXiv 2404.07724).
        """
        n = len(x)
        time_step = torch.full((n,), t, device=x.device)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16):
            no_class = bool((labels == len(self.classes)).all())
            if guidance == 1 or t not in self.guided_times or no_class:
                v: Tensor = self.engine(x, time_step, labels).float()
                return v
            none = torch.full_like(labels, len(self.classes))
            inputs = torch.cat([x, x]), time_step.repeat(2), torch.cat([labels, none])
            both = self.engine(*inputs).float()
        with_class, without = both.chunk(2)
        return torch.lerp(without, with_class, guidance)

    def ddim_step(self, x: Tensor, x0: Tensor, t: int, after: int | None) -> Tensor:
        """x at the time `after` (None: the image), by DDIM.

        Song et al. 2021 (arXiv 2010.02502), eq. 12 with sigma = 0. eps leads from the clipped x0 to
        x_t; with the network's eps, which ignores the clipping, an error adds up over many steps
        (train/LOG.md).
        """
        a, b = float(self.alpha_bars[t]), 1.0 if after is None else float(self.alpha_bars[after])
        eps = (x - math.sqrt(a) * x0) / math.sqrt(1 - a)
        return math.sqrt(b) * x0 + math.sqrt(1 - b) * eps

    def x0_of(self, x: Tensor, v: Tensor, t: int) -> Tensor:
        """The image that v predicts: x0 = sqrt(alpha_bar) x_t - sqrt(1 - alpha_bar) v."""
        a = float(self.alpha_bars[t])
        return math.sqrt(a) * x - math.sqrt(1 - a) * v

    def inpaint(
        self, image: np.ndarray, mask: np.ndarray, n: int, seed: int, **settings: Any
    ) -> np.ndarray:
        """`image` with `mask` (bool (H, W)) filled in n ways; see `restore.inpaint`."""
        *_, last = restore.inpaint(self, image, mask, n, seed, **settings)
        return to_uint8(last.x_t)

    def super_resolve(self, small: np.ndarray, n: int, seed: int, **settings: Any) -> np.ndarray:
        """n images that reduce to `small`; see `restore.super_resolve`."""
        *_, last = restore.super_resolve(self, small, n, seed, **settings)
        return to_uint8(last.x_t)

    def forward_process(self, image: np.ndarray, t: int, seed: int = 0) -> np.ndarray:
        """q(x_t | x_0) in closed form.

        Args:
            image: uint8 (H, W) or (H, W, 3) of the network's size.
            t: 0 returns the image; 1 ... 1000 is the paper's t.
        Returns:
            float32 (H, W, C): around [-1, 1] for small t, a standard normal for large.
        Raises:
            ImageError: another size, or t out of its range.
        """
        if not isinstance(t, int) or not 0 <= t <= T:
            raise ImageError(f"t is a whole number from 0 to {T}; {str(t)[:20]} came.")
        x0 = self.to_tensor(image)
        if t == 0:
            return to_numpy(x0)[0]
        a = float(self.alpha_bars[t - 1])
        eps = torch.randn(x0.shape, generator=torch.Generator().manual_seed(seed)).to(x0.device)
        return to_numpy(math.sqrt(a) * x0 + math.sqrt(1 - a) * eps)[0]

    def to_tensor(self, image: np.ndarray) -> Tensor:
        """uint8 (H, W) or (H, W, 3) -> float32 (1, C, H, W) in [-1, 1]. Raises ImageError."""
        shape: tuple[int, ...] = (self.side, self.side)
        if self.channels > 1:
            shape = (*shape, self.channels)
        if image.shape != shape or image.dtype != np.uint8:
            raise ImageError(
                f"A uint8 image of {shape} is needed; {image.dtype} {image.shape} came."
            )
        x = torch.from_numpy(image.reshape(self.side, self.side, self.channels)).to(device.best())
        return x.permute(2, 0, 1)[None].float() / 127.5 - 1

    def check_settings(
        self,
        n: int,
        seed: int,
        label: int | Sequence[int] | None,
        sampler: str,
        n_steps: int,
        guidance: float,
    ) -> Tensor:
        """int64 (n,): the labels. Raises ImageError."""
        if sampler not in SAMPLERS:
            raise ImageError(f"Samplers are {', '.join(SAMPLERS)}; {str(sampler)[:20]!r} came.")
        for name, value, low, high in (
            ("The number of images", n, 1, MAX_IMAGES),
            ("The number of steps", n_steps, 1, MAX_STEPS),
            ("The seed", seed, 0, 2**31 - 1),
        ):
            if type(value) is not int or not low <= value <= high:
                raise ImageError(
                    f"{name} is a whole number from {low} to {high}; {str(value)[:20]} came."
                )
        number = isinstance(guidance, int | float) and not isinstance(guidance, bool)
        if not number or not 0 <= guidance <= 10:  # NaN fails
            raise ImageError(f"Guidance lies between 0 and 10; {str(guidance)[:20]} came.")
        none = len(self.classes)
        if label is None or isinstance(label, int):
            labels = [none if label is None else label] * n
        else:
            labels = list(label)
        if len(labels) != n or not all(type(k) is int and 0 <= k <= none for k in labels):
            raise ImageError(
                f"Classes are numbers from 0 to {none - 1}, or none; {str(label)[:40]} came."
            )
        return torch.tensor(labels, device=device.best())
