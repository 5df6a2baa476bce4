"""Diffusion: a network that takes noise away a little at a time makes a picture out of nothing else.

Ho et al. 2020 (DDPM, arXiv 2006.11239). Training and sampling use the paper's symbols: `x0` the picture in [-1, 1],
`x_t` = sqrt(alpha_bar_t) x0 + sqrt(1 - alpha_bar_t) eps. The network predicts v (Salimans and Ho 2022); samplers are
diffusers' schedulers. Weights by `train/diffusion.py`.
"""

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tasks import compute, weights
from tasks.images import ImageError
from tasks.networks.diffusion_unet import DiffusionUNet
from tasks.zero_gpu import on_gpu

T = 1000  # steps of the forward process
SAMPLERS = {"ddpm": "DDPM", "ddim": "DDIM", "dpm++": "DPM-Solver++", "unipc": "UniPC"}
MAX_STEPS, MAX_PICTURES = T, 64
DATASETS = ("mnist", "cifar10")


@functools.cache  # the page asks for it at every step
def alpha_bars() -> Tensor:
    """float64 (T,): alpha_bar_t of the squared-cosine schedule (Nichol and Dhariwal 2021, eq. 17), betas at most 0.999.

    Index t = 0 ... 999 is the paper's t - 1, as in diffusers.
    """

    def f(t: float) -> float:
        return math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2

    betas = [min(1 - f((i + 1) / T) / f(i / T), 0.999) for i in range(T)]
    return torch.cumprod(1 - torch.tensor(betas, dtype=torch.float64), 0)


def scheduler(sampler: str, n_steps: int) -> Any:
    """diffusers' scheduler with its time steps set; x0 is clipped to [-1, 1] in all of them."""
    import diffusers as d

    common: dict[str, Any] = {
        "num_train_timesteps": T,
        "beta_schedule": "squaredcos_cap_v2",
        "prediction_type": "v_prediction",
        "timestep_spacing": "trailing",  # starts at pure noise also in few steps (Lin et al. 2024)
    }
    clip = {"thresholding": True, "dynamic_thresholding_ratio": 1.0, "sample_max_value": 1.0}  # to [-1, 1], no more
    made: Any = {
        "ddpm": lambda: d.DDPMScheduler(**common, clip_sample=True),
        "ddim": lambda: d.DDIMScheduler(**common, clip_sample=True),
        "dpm++": lambda: d.DPMSolverMultistepScheduler(**common, **clip, solver_order=2),
        "unipc": lambda: d.UniPCMultistepScheduler(**common, **clip, solver_order=2),
    }[sampler]()
    made.set_timesteps(n_steps)
    return made


@dataclass(frozen=True)
class DiffusionStep:
    """One step of sampling, after it was made.

    Attributes:
        i, n: step i of n, 1-based.
        t: the time step it started from, 0 ... 999.
        alpha_bar: of that time step.
        x_t: float32 (n, H, W, C), what is there after the step, in [-1, 1] at the end.
        x0: float32 (n, H, W, C) in [-1, 1], the picture that the network expects to come out.
        seconds: of this step.
    """

    i: int
    n: int
    t: int
    alpha_bar: float
    x_t: np.ndarray
    x0: np.ndarray
    seconds: float


class DiffusionGenerator:
    """Makes pictures of a class out of noise."""

    def __init__(self, network: nn.Module, card: weights.Card):
        self.bf16 = compute.bf16_is_native()  # 1.4 times faster; label agreement and distance are measured with it
        network = network.eval().to(compute.device())
        if compute.device().type == "cpu" and not self.bf16:  # in bf16 the group norms lose what convolutions gain
            network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network = network
        self.engine: Callable[[Tensor, Tensor, Tensor], Tensor] = network  # computes; `quicken` puts another in place
        self.card = card
        self.classes = tuple(card.classes)
        self.channels, self.side = int(card.config["channels"]), int(card.config["side"])
        self.guidance = float(card.preprocess.get("guidance", 1.0))  # the one that measured best
        first, last = card.preprocess.get("guided_times", (0, T - 1))
        self.guided_times = range(first, last + 1)  # outside them guidance only narrows what is made
        self.alpha_bars = alpha_bars()
        self.again: functools.partial[DiffusionGenerator] | None = None

    @classmethod
    def load(cls, dataset: str = "mnist", folder: Path = weights.FOLDER) -> "DiffusionGenerator":
        """`dataset`: "mnist" or "cifar10". Raises WeightsError."""
        if not isinstance(dataset, str) or dataset not in DATASETS:
            known = ", ".join(DATASETS)
            raise weights.WeightsError(f"There are diffusion models of {known}; {str(dataset)[:40]!r} came.")
        generator = cls(*weights.load(f"diffusion_{dataset}", DiffusionUNet, folder))
        generator.again = functools.partial(cls.load, dataset, folder)
        return generator

    def quicken(self) -> None:
        """Have large batches computed by OpenVINO where that is faster; takes two seconds and 150 MB."""
        from tasks import diffusion_engine

        if diffusion_engine.pays():
            self.engine = diffusion_engine.OpenVinoUNet(self.network, self.channels, self.side)

    def generate(self, n: int, seed: int, label: int | None = None, **settings: Any) -> np.ndarray:
        """As `steps`, the result only: uint8 (n, H, W) or (n, H, W, 3)."""
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
        """Make n pictures, step by step.

        Args:
            seed: picture k depends on the seed and k only, not on n.
            label: a class for all, one for each picture, or None for any.
            guidance: of classifier-free guidance (Ho and Salimans 2022); 1 = off, None = what measured best.
        Raises:
            ImageError: a setting out of its range.
        """
        guidance = self.guidance if guidance is None else guidance
        labels = self.checked(n, seed, label, sampler, n_steps, guidance)
        noise = seeded_noise(n, seed)
        shape = (1, self.channels, self.side, self.side)
        x = torch.cat([torch.randn(shape, generator=g) for g in noise]).to(compute.device())
        return self._sample(x, labels, scheduler(sampler, n_steps), guidance, noise)

    @torch.inference_mode()
    def _sample(
        self, x: Tensor, labels: Tensor, steps: Any, guidance: float, noise: list[torch.Generator]
    ) -> Iterator[DiffusionStep]:
        kind = type(steps).__name__
        stochastic = {"generator": noise} if kind == "DDPMScheduler" else {}
        times = steps.timesteps.tolist()
        for i, t in enumerate(times):
            with compute.stopwatch() as ms:
                v = self.predict(x, t, labels, guidance)
                x0 = self.x0_of(x, v, t).clamp(-1, 1)
                if kind == "DDIMScheduler":  # its own step goes to t - T // n, not to the time that is looked at next
                    x = self.ddim_step(x, x0, t, times[i + 1] if i + 1 < len(times) else None)
                else:
                    x = steps.step(v, t, x, **stochastic).prev_sample
            yield DiffusionStep(i + 1, len(times), t, float(self.alpha_bars[t]), to_numpy(x), to_numpy(x0), ms() / 1000)

    def predict(self, x: Tensor, t: int, labels: Tensor, guidance: float) -> Tensor:
        """v at time t; guided: v_none + guidance (v_class - v_none).

        Guidance acts in `guided_times` only (Kynkaanniemi et al. 2024, arXiv 2404.07724).
        """
        n = len(x)
        time_step = torch.full((n,), t, device=x.device)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16):
            if guidance == 1 or t not in self.guided_times or bool((labels == len(self.classes)).all()):
                v: Tensor = self.engine(x, time_step, labels).float()
                return v
            none = torch.full_like(labels, len(self.classes))
            both = self.engine(torch.cat([x, x]), time_step.repeat(2), torch.cat([labels, none])).float()
        with_class, without = both.chunk(2)
        return torch.lerp(without, with_class, guidance)

    def ddim_step(self, x: Tensor, x0: Tensor, t: int, after: int | None) -> Tensor:
        """x at the time `after` (None: the picture): Song et al. 2021 (arXiv 2010.02502), eq. 12 with sigma = 0.

        eps is the noise that leads from x0, clipped, to x_t: with the network's own, which knows nothing of the
        clipping, each step would lose a little, and many steps the digit (train/LOG.md).
        """
        a, b = float(self.alpha_bars[t]), 1.0 if after is None else float(self.alpha_bars[after])
        eps = (x - math.sqrt(a) * x0) / math.sqrt(1 - a)
        return math.sqrt(b) * x0 + math.sqrt(1 - b) * eps

    def x0_of(self, x: Tensor, v: Tensor, t: int) -> Tensor:
        """The picture that v speaks of: x0 = sqrt(alpha_bar) x_t - sqrt(1 - alpha_bar) v."""
        a = float(self.alpha_bars[t])
        return math.sqrt(a) * x - math.sqrt(1 - a) * v

    def inpaint(self, image: np.ndarray, mask: np.ndarray, n: int, seed: int, **settings: Any) -> np.ndarray:
        """`image` with what `mask` (bool (H, W)) hides filled in n ways; see `diffusion_restore.inpaint`."""
        from tasks import diffusion_restore

        *_, last = diffusion_restore.inpaint(self, image, mask, n, seed, **settings)
        return to_uint8(last.x_t)

    def super_resolve(self, small: np.ndarray, n: int, seed: int, **settings: Any) -> np.ndarray:
        """n pictures that `small` may have come from: as `diffusion_restore.super_resolve`, the result only."""
        from tasks import diffusion_restore

        *_, last = diffusion_restore.super_resolve(self, small, n, seed, **settings)
        return to_uint8(last.x_t)

    def forward_process(self, image: np.ndarray, t: int, seed: int = 0) -> np.ndarray:
        """q(x_t | x_0) in closed form.

        Args:
            image: uint8 (H, W) or (H, W, 3) of the network's size.
            t: 0 gives the picture back; 1 ... 1000 is the paper's t.
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
        shape = (self.side, self.side) if self.channels == 1 else (self.side, self.side, self.channels)
        if image.shape != shape or image.dtype != np.uint8:
            raise ImageError(f"A uint8 picture of {shape} is needed; {image.dtype} {image.shape} came.")
        x = torch.from_numpy(image.reshape(self.side, self.side, self.channels)).to(compute.device())
        return x.permute(2, 0, 1)[None].float() / 127.5 - 1

    def checked(
        self, n: int, seed: int, label: int | Sequence[int] | None, sampler: str, n_steps: int, guidance: float
    ) -> Tensor:
        """int64 (n,): the labels. Raises ImageError."""
        if sampler not in SAMPLERS:
            raise ImageError(f"Samplers are {', '.join(SAMPLERS)}; {str(sampler)[:20]!r} came.")
        for name, value, low, high in (("The number of pictures", n, 1, MAX_PICTURES),
                                       ("The number of steps", n_steps, 1, MAX_STEPS),
                                       ("The seed", seed, 0, 2**31 - 1)):  # fmt: skip
            if type(value) is not int or not low <= value <= high:
                raise ImageError(f"{name} is a whole number from {low} to {high}; {str(value)[:20]} came.")
        if isinstance(guidance, bool) or not isinstance(guidance, int | float) or not 0 <= guidance <= 10:  # NaN fails
            raise ImageError(f"Guidance lies between 0 and 10; {str(guidance)[:20]} came.")
        none = len(self.classes)
        labels = [none if label is None else label] * n if label is None or isinstance(label, int) else list(label)
        if len(labels) != n or not all(type(k) is int and 0 <= k <= none for k in labels):
            raise ImageError(f"Classes are numbers from 0 to {none - 1}, or none; {str(label)[:40]} came.")
        return torch.tensor(labels, device=compute.device())


def seeded_noise(n: int, seed: int) -> list[torch.Generator]:
    """One source of noise a picture, so that picture k does not depend on n."""
    return [torch.Generator().manual_seed(seed * 1_000_003 + k) for k in range(n)]


def to_uint8(x: np.ndarray) -> np.ndarray:
    """float (n, H, W, C) in [-1, 1] -> uint8 (n, H, W), or (n, H, W, 3) for three channels."""
    out = ((x.clip(-1, 1) + 1) * 127.5).round().astype(np.uint8)
    return out[..., 0] if out.shape[-1] == 1 else out


def to_numpy(x: Tensor) -> np.ndarray:
    """(n, C, H, W) -> float32 (n, H, W, C)."""
    return np.ascontiguousarray(x.permute(0, 2, 3, 1).float().cpu().numpy())
