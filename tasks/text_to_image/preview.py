"""A view into a diffusers pipeline while it computes: latents as colours, predictions, steps.

It works for any pipeline: the colours are fitted to its decoder, and the prediction comes from its
scheduler.
"""

import copy
import functools
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tasks.core import device

SAMPLES = 6  # latents that the colours are fitted to
SIDE = 16  # px of these latents
COARSE = 4  # px of the noise that they are enlarged from
Value = TypeVar("Value")


class Colours:
    """A linear map from latents to RGB, fitted to the pipeline's own decoder by least squares.

    The fit is on smooth random latents.

    Attributes:
        weights: float64 (C + 1, 3), the last row is added.
        explained: share of the variance of decoded colours that the map explains, 1 = all.
    """

    def __init__(self, pipe: Any):
        self.unpack = getattr(pipe, "_unpack_latents", None)
        self.scale = getattr(pipe, "vae_scale_factor", 8)
        channels = int(pipe.vae.config.latent_channels)
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn((SAMPLES, channels, COARSE, COARSE), generator=generator)
        z = F.interpolate(noise, size=(SIDE, SIDE), mode="bicubic")
        z = z / z.std()  # as that of latents without noise
        rgb = F.adaptive_avg_pool2d(decode(pipe, z), SIDE)  # (N, 3, SIDE, SIDE)
        x, y = _rows(z), rgb.permute(0, 2, 3, 1).reshape(-1, 3).double()
        self.weights = torch.linalg.lstsq(x, y).solution
        residual = (y - x @ self.weights).square().sum()
        variance = (y - y.mean(0)).square().sum()
        self.explained = float(1 - residual / variance) if variance > 0 else 1.0

    def __call__(self, latents: Tensor, size: int) -> np.ndarray:
        """float (1, C, h, w), or packed (1, N, C) as Flux has them -> uint8 (h, w, 3).

        Raises ValueError for latents of another shape.
        """
        z = latents[:1].detach().float().cpu()
        if z.ndim == 3 and self.unpack is not None:
            z = self.unpack(z, size, size, self.scale)
        if z.ndim != 4 or z.shape[1] != len(self.weights) - 1:
            raise ValueError(f"its latents, {tuple(latents.shape)}, cannot be shown")
        rgb = (_rows(z) @ self.weights).reshape(*z.shape[2:], 3)
        return ((rgb.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).numpy()


def _rows(z: Tensor) -> Tensor:
    """(N, C, h, w) -> float64 (N h w, C + 1), the last column ones."""
    rows = z.permute(0, 2, 3, 1).reshape(-1, z.shape[1]).double()
    return F.pad(rows, (0, 1), value=1.0)


@torch.inference_mode()
def decode(pipe: Any, z: Tensor) -> Tensor:
    """Latents, (N, C, h, w) -> float32 (N, 3, H, W), about [-1, 1]."""
    vae = pipe.vae
    scaling, shift = vae.config.get("scaling_factor") or 1.0, vae.config.get("shift_factor") or 0.0
    weight = next(vae.parameters())
    inside = (z / scaling + shift).to(weight.device, weight.dtype)
    decoded: Tensor = vae.decode(inside, return_dict=False)[0]
    return decoded.float().cpu()


# -- the scheduler ---------------------------------------------------------------------------------


@dataclass
class Watch:
    """The prediction of a scheduler's last step, (B, C, h, w); None if it gives none."""

    x0: Tensor | None = None


def with_own_scheduler(pipe: Any) -> tuple[Any, Watch]:
    """A pipeline that shares the networks and has a scheduler of its own, which is watched.

    So two images can be generated at once.
    """
    copied, watch = copy.copy(pipe), Watch()
    scheduler = copy.deepcopy(pipe.scheduler)
    step = scheduler.step

    @functools.wraps(step)  # pipelines look at its signature
    def watched(output: Any, timestep: Any, sample: Any, *args: Any, **kwargs: Any) -> Any:
        result = step(output, timestep, sample, *args, **kwargs)
        watch.x0 = predicted_x0(scheduler, output, timestep, sample, result)
        return result

    scheduler.step = watched
    copied.scheduler = scheduler
    return copied, watch


def predicted_x0(
    scheduler: Any, output: Tensor, t: Any, sample: Tensor, result: Any
) -> Tensor | None:
    """x0 as the network predicts it at x_t = `sample`.

    It is returned by the step, kept by the scheduler, or computed in closed form.
    """
    if isinstance(result, tuple) and len(result) > 1:
        returned = result[1]
    else:
        returned = getattr(result, "pred_original_sample", None)
    if isinstance(returned, Tensor) and returned.shape == sample.shape:
        return returned  # Euler, DDIM, DDPM, LCM
    config = scheduler.config
    if str(config.get("algorithm_type", "")).endswith("dpmsolver++") or config.get("predict_x0"):
        kept = scheduler.model_outputs[-1]  # DPM-Solver++, UniPC
        return kept if isinstance(kept, Tensor) else None
    if "FlowMatch" in type(scheduler).__name__ and getattr(scheduler, "step_index", None):
        return sample - scheduler.sigmas[scheduler.step_index - 1].to(sample) * output
    if type(scheduler).__name__ == "PNDMScheduler":
        bar = float(scheduler.alphas_cumprod[int(t)])
        if config.get("prediction_type") == "v_prediction":
            return bar**0.5 * sample - (1 - bar) ** 0.5 * output
        return (sample - (1 - bar) ** 0.5 * output) / bar**0.5
    return None


def at_unit_scale(scheduler: Any, latents: Tensor, t: Any) -> Tensor:
    """Latents as the network gets them: Euler keeps x0 + sigma eps with sigma up to 15."""
    scale = getattr(scheduler, "scale_model_input", None)
    return scale(latents, t) if scale else latents


# -- steps -----------------------------------------------------------------------------------------


class _Stopped(BaseException):
    """Ends the function that calls back; not an Exception, so that no handler catches it."""


def iterate(work: Callable[[Callable[[Value], None]], None]) -> Iterator[Value]:
    """A function that calls back, as an iterator over the values.

    `work(give)` runs in another thread, on all cores, and only while the next value is asked for:
    each `give` waits there. Closing the iterator ends it in that `give`. Its exceptions are raised
    here.
    """
    given: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
    asked, closed = threading.Semaphore(0), threading.Event()

    def give(value: Value) -> None:
        given.put(("value", value))
        asked.acquire()
        if closed.is_set():
            raise _Stopped

    def body() -> None:
        device.use_all_cores()
        try:
            work(give)
            given.put(("end", None))
        except _Stopped:
            pass
        except BaseException as error:
            given.put(("error", error))

    thread = threading.Thread(target=body, daemon=True, name="text to image")
    thread.start()
    try:
        while True:
            kind, value = given.get()
            if kind == "end":
                return
            if kind == "error":
                raise value
            yield value
            asked.release()
    finally:
        closed.set()
        asked.release()
        thread.join()
