"""Our process and every sampler against the papers' formulas and diffusers' pipelines, for the same
noise.

Largest absolute errors that were found on a CPU, of float32 images in [-1, 1]; each test prints its
own (`pytest -s`)
and holds a bound:

    alpha_bar at all 1000 t, against DDPMScheduler (float32)                       3.3e-07, bound 1e-6
    q(x_t | x_0) at t = 1, 10, 500, 1000, against DDPMScheduler.add_noise          6.7e-06, bound 2e-5
    the image after 10 steps, against DDPMPipeline (with the schedulers of
    DDPM, DPM-Solver++ and UniPC) and DDIMPipeline                                 6.6e-07, bound 1e-6
    each of 10 and of 15 steps, against the paper in float64: DDPM eq. 7, DDIM eq. 12,
    DPM-Solver++ 2M algorithm 2, UniPC-2 with B2(h) algorithms 1 and 2             1.3e-06, bound
    1e-5
"""

import math
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tasks.diffusion.generator import SAMPLERS, DiffusionGenerator, scheduler
from tasks.diffusion.process import T, alpha_bars
from tasks.networks.diffusion_unet import DiffusionUNet
from tests.diffusion.test_generator import CONFIG, card

N_STEPS, SEED, LABEL = 10, 5, 3


@pytest.fixture(scope="module")
def generator() -> DiffusionGenerator:
    """Untrained: any network shows whether the steps are the same."""
    torch.manual_seed(0)
    made = DiffusionGenerator(DiffusionUNet(**CONFIG), card())  # type: ignore[arg-type]
    made.bf16 = False
    return made


def ours(generator: DiffusionGenerator, sampler: str, n_steps: int = N_STEPS) -> list[np.ndarray]:
    """x_t after each step, (28, 28)."""
    return [step.x_t[0, ..., 0] for step in generator.steps(1, SEED, LABEL, sampler, n_steps, 1.0)]


def noise() -> torch.Generator:
    """What image 0 of SEED draws from."""
    return torch.Generator().manual_seed(SEED * 1_000_003)


def test_forward_process() -> None:
    theirs: Any = diffusers.DDPMScheduler(T, beta_schedule="squaredcos_cap_v2")
    error = float((alpha_bars() - theirs.alphas_cumprod).abs().max())
    print(f"alpha_bar: {error:.1e}")
    assert error < 1e-6
    x0, eps = torch.rand(1, 1, 28, 28) * 2 - 1, torch.randn(1, 1, 28, 28)
    for t in (1, 10, 500, 1000):
        a = float(alpha_bars()[t - 1])
        x_t = math.sqrt(a) * x0 + math.sqrt(1 - a) * eps
        error = float((x_t - theirs.add_noise(x0, eps, torch.tensor([t - 1]))).abs().max())
        print(f"x_t at {t}: {error:.1e}")
        assert error < 2e-5


class _UNet(nn.Module):
    """What a diffusers pipeline wants of a U-Net."""

    def __init__(self, generator: DiffusionGenerator):
        super().__init__()
        self.generator = generator
        self.dtype, self.device = torch.float32, torch.device("cpu")
        self.config = type("Config", (), {"sample_size": 28, "in_channels": 1})

    def forward(self, x: Tensor, t: Any, **_: object) -> Any:
        v = self.generator.predict(x, int(t), torch.full((len(x),), LABEL), 1.0)
        return type("Output", (), {"sample": v})


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_whole_sampling_equals_diffusers_pipeline(
    generator: DiffusionGenerator, sampler: str
) -> None:
    steps = scheduler(sampler, N_STEPS)
    if sampler == "unipc":  # its step takes no source of noise, which DDPMPipeline hands over
        own = steps.step
        steps.step = lambda v, t, x, generator=None: own(v, t, x)
    kind: Any = diffusers.DDIMPipeline if sampler == "ddim" else diffusers.DDPMPipeline
    pipe = kind(_UNet(generator), steps)
    pipe.set_progress_bar_config(disable=True)
    clipped = {"use_clipped_model_output": True} if sampler == "ddim" else {}
    image = pipe(
        generator=noise(), num_inference_steps=N_STEPS, output_type="np", **clipped
    ).images[0, ..., 0]
    made = ours(generator, sampler)[-1]
    assert (np.abs(made) < 0.99).mean() > 0.3  # not just all black and white
    error = np.abs(made.clip(-1, 1) - (2 * image - 1)).max()
    print(f"{sampler}: {error:.1e}")
    assert error < 1e-6


@pytest.mark.parametrize("n_steps", [N_STEPS, 15])  # T is no multiple of 15
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_step_is_the_papers(
    generator: DiffusionGenerator, sampler: str, n_steps: int
) -> None:
    times = scheduler(sampler, n_steps).timesteps.tolist()
    made, source, worst = ours(generator, sampler, n_steps), noise(), 0.0
    x = torch.randn(1, 1, 28, 28, generator=source)
    paper = Paper(sampler, times, source)
    with torch.inference_mode():
        for i, t in enumerate(times):
            v = generator.predict(x, t, torch.tensor([LABEL]), 1.0)
            x0 = generator.x0_of(x, v, t).clamp(-1, 1)
            paper.eps = (x.double() - paper.alpha[i] * x0.double()) / paper.sigma[i]
            after = paper.step(i, x.double(), x0.double())
            worst = max(worst, float(np.abs(after[0, 0].numpy() - made[i]).max()))
            x = torch.from_numpy(made[i])[None, None]  # the next step starts where ours went
    print(f"{sampler}: {worst:.1e}")
    assert worst < 1e-5


class Paper:
    """One step of each sampler in float64, written from the paper.

    X0 is the network's clipped prediction.
    """

    def __init__(self, sampler: str, times: list[int], source: torch.Generator):
        self.sampler, self.source = sampler, source
        bars = [float(alpha_bars()[t]) for t in times] + [1.0]
        self.bars = bars
        self.alpha, self.sigma = [math.sqrt(a) for a in bars], [math.sqrt(1 - a) for a in bars]
        self.lam = [0.5 * math.log(a / (1 - a)) if a < 1 else math.inf for a in bars]
        self.x0s: list[Tensor] = []
        self.eps = torch.zeros(0)  # the noise that leads from the clipped x0 to x
        self.start: Tensor | None = None  # UniPC: where the step before began

    def step(self, i: int, x: Tensor, x0: Tensor) -> Tensor:
        self.x0s.append(x0)
        if i + 1 == len(self.bars) - 1 and self.sampler != "unipc":
            return x0
        return {"ddpm": self.ddpm, "ddim": self.ddim, "dpm++": self.dpm, "unipc": self.unipc}[
            self.sampler
        ](i, x)

    def ddpm(self, i: int, x: Tensor) -> Tensor:
        """Ho et al. 2020, eq.

        7, between times that need not be neighbours: alpha = alpha_bar_t / alpha_bar_s.
        """
        now, after = self.bars[i], self.bars[i + 1]
        alpha = now / after
        mean = (
            math.sqrt(after) * (1 - alpha) / (1 - now) * self.x0s[i]
            + math.sqrt(alpha) * (1 - after) / (1 - now) * x
        )
        z = torch.randn(x.shape, generator=self.source).double()
        return mean + math.sqrt((1 - alpha) * (1 - after) / (1 - now)) * z

    def ddim(self, i: int, x: Tensor) -> Tensor:
        """Song et al. 2021, eq. 12, sigma = 0.

        X0 is clipped, and the noise is what leads from it to x.
        """
        return self.alpha[i + 1] * self.x0s[i] + self.sigma[i + 1] * self.eps

    def first_order(self, i: int, x: Tensor, x0: Tensor) -> tuple[Tensor, float, float]:
        """(the first-order step, h, e^-h - 1) from time i to i + 1."""
        h = self.lam[i + 1] - self.lam[i]
        phi = math.expm1(-h)
        return self.sigma[i + 1] / self.sigma[i] * x - self.alpha[i + 1] * phi * x0, h, phi

    def dpm(self, i: int, x: Tensor) -> Tensor:
        """Lu et al. 2022, DPM-Solver++ (2M), algorithm 2."""
        drawn_on = self.x0s[i]
        if i > 0:
            r = (self.lam[i] - self.lam[i - 1]) / (self.lam[i + 1] - self.lam[i])
            drawn_on = (1 + 0.5 / r) * self.x0s[i] - 0.5 / r * self.x0s[i - 1]
        return self.first_order(i, x, drawn_on)[0]

    def unipc(self, i: int, x: Tensor) -> Tensor:
        """Zhao et al.

        2023, UniPC-2 with B(h) = e^-h - 1: x is corrected (algorithm 1), then predicted on (2).
        """
        if self.start is not None:
            x = self.corrected(i - 1, self.start)
        self.start = x
        if i + 1 == len(self.bars) - 1:
            return self.x0s[i]
        after, h, phi = self.first_order(i, x, self.x0s[i])
        if i == 0:
            return after
        r = (self.lam[i - 1] - self.lam[i]) / h
        return after - self.alpha[i + 1] * phi * 0.5 * (self.x0s[i - 1] - self.x0s[i]) / r

    def corrected(self, i: int, x: Tensor) -> Tensor:
        """The step from i to i + 1 made again with the prediction at i + 1."""
        after, h, phi = self.first_order(i, x, self.x0s[i])
        new = self.x0s[i + 1] - self.x0s[i]
        if i == 0:
            return after - self.alpha[i + 1] * phi * 0.5 * new
        r = (self.lam[i - 1] - self.lam[i]) / h
        phi_1 = phi / -h - 1
        b = torch.tensor([phi_1 / phi, 2 * (phi_1 / -h - 0.5) / phi], dtype=torch.float64)
        rho = torch.linalg.solve(torch.tensor([[1, 1], [r, 1]], dtype=torch.float64), b)
        before = (self.x0s[i - 1] - self.x0s[i]) / r
        return after - self.alpha[i + 1] * phi * (float(rho[0]) * before + float(rho[1]) * new)
