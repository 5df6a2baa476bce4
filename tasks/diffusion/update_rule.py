"""The update rule of a sampler in numbers: the weights of prediction, present image and noise.

Between the times t and s < t, with alpha_t = sqrt(alpha_bar_t) and sigma_t = sqrt(1 - alpha_bar_t):

    DDPM (Ho et al. 2020, eq. 7, for strides)        x_s = b x0 + a x_t + c z
    DDIM (Song et al. 2021, eq. 12, eta = 0)         x_s = b x0 + a eps
    DPM-Solver++ 2M (Lu et al. 2022, arXiv 2211.01095, algorithm 2), also the predictor of UniPC
    (Zhao et al. 2023)                               x_s = a x_t + b D,
                                                     D = x0 + d (x0 - x0 of the step before)
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.diffusion.process import alpha_bars


@dataclass(frozen=True)
class Update:
    """The weights of one step.

    Attributes:
        prediction: b, weight of the predicted image x0 (or of D).
        present: a, weight of x_t; DDIM: of the predicted noise eps.
        noise: c, standard deviation of the fresh noise z; 0 for all but DDPM.
        trend: d, weight of the change since the step before; 0 = first order.
    """

    prediction: float
    present: float
    noise: float = 0.0
    trend: float = 0.0


def update(sampler: str, times: Sequence[int], i: int) -> Update:
    """Step i (0-based) of a sampler over `times`, descending from 999 at most."""
    bars = alpha_bars()
    now = float(bars[times[i]])
    after = float(bars[times[i + 1]]) if i + 1 < len(times) else 1.0
    if sampler == "ddpm":
        alpha = now / after
        return Update(
            math.sqrt(after) * (1 - alpha) / (1 - now),
            math.sqrt(alpha) * (1 - after) / (1 - now),
            math.sqrt((1 - alpha) * (1 - after) / (1 - now)),
        )
    if sampler == "ddim":
        return Update(math.sqrt(after), math.sqrt(1 - after))
    if after == 1:
        return Update(1.0, 0.0)
    present = math.sqrt((1 - after) / (1 - now))
    trend = 0.0
    if i > 0:
        before = float(bars[times[i - 1]])
        step_before = _half_log_snr(now) - _half_log_snr(before)
        trend = 0.5 * (_half_log_snr(after) - _half_log_snr(now)) / step_before
    return Update(math.sqrt(after) - math.sqrt(now) * present, present, 0.0, trend)


def _half_log_snr(bar: float) -> float:
    """lambda = log(alpha / sigma)."""
    return 0.5 * math.log(bar / (1 - bar))
