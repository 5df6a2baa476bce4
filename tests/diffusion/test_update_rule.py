"""The numbers that the page shows of a step are the step that diffusers makes."""

import pytest
import torch

from tasks.diffusion.generator import scheduler
from tasks.diffusion.process import alpha_bars
from tasks.diffusion.update_rule import update

SHAPE = (1, 1, 4, 4)


def v_of(x0: torch.Tensor, x_t: torch.Tensor, t: int) -> torch.Tensor:
    """The v that stands for x0 at x_t."""
    a = alpha_bars()[t].float()
    return (a.sqrt() * x_t - x0) / (1 - a).sqrt()


@pytest.mark.parametrize("n_steps", [5, 10, 20, 50])
@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpm++"])
def test_update_is_the_schedulers_step(sampler: str, n_steps: int) -> None:
    steps = scheduler(sampler, n_steps)
    times = steps.timesteps.tolist()
    source = torch.Generator().manual_seed(0)
    x = torch.randn(SHAPE, generator=source)
    before = torch.zeros(SHAPE)
    for i, t in enumerate(times):
        x0 = 0.5 * torch.rand(SHAPE, generator=source)  # within [-1, 1], so that nothing is clipped
        a = alpha_bars()[t].float()
        eps = (x - a.sqrt() * x0) / (1 - a).sqrt()
        z = torch.zeros(SHAPE)
        more = {}
        if sampler == "ddpm":
            state = torch.Generator().manual_seed(i)
            z, more = (
                torch.randn(SHAPE, generator=state),
                {"generator": torch.Generator().manual_seed(i)},
            )
        theirs = steps.step(v_of(x0, x, t), t, x, **more).prev_sample
        u = update(sampler, times, i)
        present = eps if sampler == "ddim" else x
        ours = u.prediction * (x0 + u.trend * (x0 - before)) + u.present * present + u.noise * z
        torch.testing.assert_close(ours, theirs, atol=2e-3, rtol=1e-3)
        x, before = theirs, x0


def test_the_last_step_is_the_prediction() -> None:
    for sampler in ("ddpm", "ddim", "dpm++", "unipc"):
        times = scheduler(sampler, 10).timesteps.tolist()
        last = update(sampler, times, 9)
        assert (last.prediction, last.present, last.noise) == pytest.approx((1, 0, 0))
