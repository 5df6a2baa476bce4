"""Endpoints: inpainting, super-resolution, noise and denoise."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from tasks import loaders
from tasks.core import images
from tasks.core.images import ImageError
from tasks.diffusion.tab.generate import ANY, MODELS, labels_of
from tasks.diffusion.tab.restoration import REPEATS, check_numbers
from tasks.ui.endpoint import endpoint, number
from tasks.ui.fields import parse_int
from tasks.ui.image_input import image_input
from tasks.ui.jobs import JOBS, Frame

if TYPE_CHECKING:
    from tasks.diffusion.process import DiffusionStep


def inpaint_by_diffusion(
    picture: Any,
    mask: Any,
    data_set: str = "mnist",
    label: str = ANY,
    n: int = 4,
    steps: int = 15,
    seed: int = 0,
) -> np.ndarray:
    """Fill a hidden part of a digit or a small photo by diffusion, in n ways.

    Args:
        picture: a digit, white on black ("mnist"), or a photo ("cifar10"); its central square is
            scaled to 28 or 32 px.
        mask: an image of the same shape, bright where to fill, black where to keep; or strokes on
            a transparent ground.
        data_set: "mnist" or "cifar10".
        label: "0" to "9", or "airplane", "automobile", "bird" ... "truck"; or "any".
        n: 1 to 16 ways.
        steps: 1 to 250.
        seed: 0 to 2147483647; the same seed gives the same images.
    Returns:
        A PNG with the n images side by side, row by row.
    """
    from tasks.diffusion import restore

    generator = loaders.diffusion_generator(data_set)
    numbers = check_numbers(data_set, n, steps, seed, REPEATS)
    given = square(picture, generator.side, generator.channels)
    hidden = square(painted(mask), generator.side, 1) > 127
    labels = labels_of(generator, label, numbers["n"])
    results = restore.inpaint(generator, given, hidden, label=labels, repeats=REPEATS, **numbers)
    return last_images(results, numbers)


def super_resolve_by_diffusion(
    picture: Any,
    data_set: str = "mnist",
    small: int = 7,
    label: str = ANY,
    n: int = 4,
    steps: int = 25,
    seed: int = 0,
) -> np.ndarray:
    """Enlarge a small digit or photo by diffusion in n ways; the mean of each square is kept.

    Args:
        picture: a digit, white on black ("mnist"), or a photo ("cifar10"); its central square is
            reduced first.
        data_set: "mnist" or "cifar10".
        small: px a side that are kept, 7 or 14 ("mnist"), 8 or 16 ("cifar10").
        label: "0" to "9", or "airplane", "automobile", "bird" ... "truck"; or "any".
        n: 1 to 16 images.
        steps: 1 to 250.
        seed: 0 to 2147483647; the same seed gives the same images.
    Returns:
        A PNG with the n images, 28 or 32 px each, side by side, row by row.
    """
    from tasks.diffusion import restore

    generator, numbers = (
        loaders.diffusion_generator(data_set),
        check_numbers(data_set, n, steps, seed),
    )
    side = parse_int(small, "The side of the small image")
    if side not in (generator.side // 4, generator.side // 2):
        sides = f"{generator.side // 4} or {generator.side // 2} px"
        raise ImageError(f"The side of the small image is {sides} for {data_set}; {side} came.")
    given = square(picture, side, generator.channels)
    chosen = labels_of(generator, label, numbers["n"])
    return last_images(restore.super_resolve(generator, given, label=chosen, **numbers), numbers)


def noise_and_denoise(
    picture: Any, data_set: str = "mnist", t: int = 300, steps: int = 20, seed: int = 0
) -> np.ndarray:
    """Add noise to a digit or a small photo up to t, and remove it again by DDIM.

    Args:
        picture: a digit, white on black ("mnist"), or a photo ("cifar10"); its central square is
            scaled to 28 or 32 px.
        data_set: "mnist" or "cifar10".
        t: 0 (the image itself) to 1000 (noise only).
        steps: 1 to 1000, of denoising.
        seed: 0 to 2147483647, of the noise.
    Returns:
        A PNG with three images side by side: original, noised, denoised.
    """
    from tasks.core.images import to_uint8
    from tasks.diffusion import restore
    from tasks.diffusion.generator import MAX_STEPS
    from tasks.ui.step_player_files import grid

    generator, time = loaders.diffusion_generator(data_set), parse_int(t, "t")
    n_steps, number = parse_int(steps, "The number of steps"), parse_int(seed, "The seed")
    generator.check_settings(1, number, None, "ddim", n_steps, 1.0)
    given = square(picture, generator.side, generator.channels)
    x_t = generator.forward_process(given, time, number)
    noised = to_uint8(x_t[None])
    denoised = given
    if time > 0:
        n_steps = min(n_steps, time, MAX_STEPS)
        steps_back = restore.denoise_from(generator, x_t, time, n_steps=n_steps)
        denoised = JOBS.finish(_last_only(steps_back), n_steps).panels[0][0]
    row = np.stack([given, noised[0], denoised])
    return np.concatenate([grid(one[None]) for one in row], 1)


def painted(mask: Any) -> np.ndarray:
    """uint8 (H, W), bright where to fill: a mask's brightness, or its strokes if it has a
    transparent ground. Raises ImageError.
    """
    rgb, alpha = images.split_alpha(mask)
    grey = np.asarray(rgb.convert("L"))
    if alpha is None:
        return grey
    seen = alpha > 127
    if (grey[seen] > 127).any():
        return np.where(seen, grey, 0).astype(np.uint8)
    return alpha  # dark strokes


def square(picture: Any, side: int, channels: int) -> np.ndarray:
    """The central square of an image, scaled: uint8 (side, side) or (side, side, 3)."""
    import cv2

    rgb = np.asarray(images.to_rgb(picture, min_side=side))
    kept = min(rgb.shape[:2])
    top, left = (rgb.shape[0] - kept) // 2, (rgb.shape[1] - kept) // 2
    small = cv2.resize(
        rgb[top : top + kept, left : left + kept], (side, side), interpolation=cv2.INTER_AREA
    )
    return small if channels == 3 else cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)


def last_images(steps: "Iterator[DiffusionStep]", numbers: dict[str, int]) -> np.ndarray:
    """The result of a job, queued with those of the page: uint8 (H, W, 3), images side by side."""
    from tasks.ui.step_player_files import grid

    return grid(JOBS.finish(_last_only(steps), numbers["n_steps"]).panels[0])


def _last_only(steps: "Iterator[DiffusionStep]") -> Iterator[Frame]:
    from tasks.core.images import to_uint8

    for step in steps:
        yield Frame((to_uint8(step.x_t),) if step.i == step.n else ())


def build_api() -> None:
    """The endpoints, on hidden components."""
    model = gr.Dropdown(list(MODELS.values()), value="mnist", label="data_set", visible=False)
    picture, mask = (image_input(visible=False, label=name) for name in ("picture", "mask"))
    label = gr.Textbox(ANY, label="label", visible=False)
    n, seed, t, small = (
        number(value, name) for name, value in (("n", 4), ("seed", 0), ("t", 300), ("small", 7))
    )
    fill_steps, enlarge_steps, back_steps = (number(k, "steps") for k in (15, 25, 20))
    _endpoint(inpaint_by_diffusion, [picture, mask, model, label, n, fill_steps, seed])
    _endpoint(super_resolve_by_diffusion, [picture, model, small, label, n, enlarge_steps, seed])
    _endpoint(noise_and_denoise, [picture, model, t, back_steps, seed])


def _endpoint(function: Callable[..., np.ndarray], inputs: list[Any]) -> None:
    result = gr.Image(format="png", visible=False, label="pictures")
    endpoint(function, inputs, result)
