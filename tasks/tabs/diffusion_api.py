"""What a diffusion model does to a given picture, from a program: three endpoints beside /generate_by_diffusion."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from tasks import images
from tasks.images import ImageError
from tasks.tabs import models
from tasks.tabs.diffusion_generate import ANY, MODELS, labels_of, whole
from tasks.tabs.diffusion_steer import REPEATS, numbers_of
from tasks.tabs.errors import answering
from tasks.tabs.picture import picture_input
from tasks.tabs.runs import RUNS, Frame

if TYPE_CHECKING:
    from tasks.diffusion import DiffusionStep


def inpaint_by_diffusion(
    picture: Any,
    mask: Any,
    data_set: str = "mnist",
    label: str = ANY,
    n: int = 4,
    steps: int = 15,
    seed: int = 0,
) -> np.ndarray:
    """Fill a hidden part of a digit or a small photo by diffusion, in n ways that all fit what is left.

    Args:
        picture: a digit, white on black ("mnist"), or a photo ("cifar10"); its central square at 28 or 32 px is taken.
        mask: a picture of the same shape, bright where to fill, black where to keep.
        data_set: "mnist" or "cifar10".
        label: "0" to "9", or "airplane", "automobile", "bird" ... "truck"; or "any".
        n: 1 to 16 ways.
        steps: 1 to 250.
        seed: 0 to 2147483647; the same seed gives the same pictures.
    Returns:
        A PNG with the n pictures side by side, row by row.
    """
    from tasks import diffusion_restore

    generator, numbers = models.diffusion_generator(data_set), numbers_of(data_set, n, steps, seed, REPEATS)
    given, hidden = square(picture, generator.side, generator.channels), square(mask, generator.side, 1) > 127
    chosen = labels_of(generator, label, numbers["n"])
    return made(diffusion_restore.inpaint(generator, given, hidden, label=chosen, repeats=REPEATS, **numbers), numbers)


def super_resolve_by_diffusion(
    picture: Any, data_set: str = "mnist", small: int = 7, label: str = ANY, n: int = 4, steps: int = 25, seed: int = 0
) -> np.ndarray:
    """Make n digits or small photos that a smaller one may have come from: each square's mean stays what it was.

    Args:
        picture: a digit, white on black ("mnist"), or a photo ("cifar10"); its central square is made small first.
        data_set: "mnist" or "cifar10".
        small: px a side that are kept, 7 or 14 ("mnist"), 8 or 16 ("cifar10").
        label: "0" to "9", or "airplane", "automobile", "bird" ... "truck"; or "any".
        n: 1 to 16 pictures.
        steps: 1 to 250.
        seed: 0 to 2147483647; the same seed gives the same pictures.
    Returns:
        A PNG with the n pictures, 28 or 32 px each, side by side, row by row.
    """
    from tasks import diffusion_restore

    generator, numbers = models.diffusion_generator(data_set), numbers_of(data_set, n, steps, seed)
    side = whole(small, "The small picture's side")
    if side not in (generator.side // 4, generator.side // 2):
        sides = f"{generator.side // 4} or {generator.side // 2} px"
        raise ImageError(f"The small picture's side is {sides} for {data_set}; {side} came.")
    given, chosen = square(picture, side, generator.channels), labels_of(generator, label, numbers["n"])
    return made(diffusion_restore.super_resolve(generator, given, label=chosen, **numbers), numbers)


def noise_and_denoise(
    picture: Any, data_set: str = "mnist", t: int = 300, steps: int = 20, seed: int = 0
) -> np.ndarray:
    """Drown a digit or a small photo in noise up to t, by the forward process, and take the noise away again.

    Args:
        picture: a digit, white on black ("mnist"), or a photo ("cifar10"); its central square at 28 or 32 px is taken.
        data_set: "mnist" or "cifar10".
        t: 0 (the picture itself) to 1000 (nothing but noise).
        steps: 1 to 1000, on the way back.
        seed: 0 to 2147483647, of the noise.
    Returns:
        A PNG with three pictures side by side: as it came, drowned, brought back.
    """
    from tasks import diffusion_restore
    from tasks.diffusion import MAX_STEPS, to_uint8
    from tasks.tabs.film_files import grid

    generator, time = models.diffusion_generator(data_set), whole(t, "t")
    n_steps, number = whole(steps, "The number of steps"), whole(seed, "The seed")
    generator.checked(1, number, None, "ddim", n_steps, 1.0)
    given = square(picture, generator.side, generator.channels)
    x_t = generator.forward_process(given, time, number)
    drowned = to_uint8(x_t[None])
    back = given
    if time > 0:
        n_steps = min(n_steps, time, MAX_STEPS)
        steps_back = diffusion_restore.denoise_from(generator, x_t, time, n_steps=n_steps)
        back = RUNS.finish(_last_only(steps_back), n_steps).panels[0][0]
    row = np.stack([given, drowned[0], back])
    return np.concatenate([grid(one[None]) for one in row], 1)


def square(picture: Any, side: int, channels: int) -> np.ndarray:
    """The central square of a picture at side x side px: uint8 (side, side) or (side, side, 3). Raises ImageError."""
    import cv2

    rgb = np.asarray(images.to_rgb(picture, min_side=side))
    kept = min(rgb.shape[:2])
    top, left = (rgb.shape[0] - kept) // 2, (rgb.shape[1] - kept) // 2
    small = cv2.resize(rgb[top : top + kept, left : left + kept], (side, side), interpolation=cv2.INTER_AREA)
    return small if channels == 3 else cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)


def made(steps: "Iterator[DiffusionStep]", numbers: dict[str, int]) -> np.ndarray:
    """The end of a run, taken in turn with those of the page: uint8 (H, W, 3), the pictures side by side."""
    from tasks.tabs.film_files import grid

    return grid(RUNS.finish(_last_only(steps), numbers["n_steps"]).panels[0])


def _last_only(steps: "Iterator[DiffusionStep]") -> Iterator[Frame]:
    from tasks.diffusion import to_uint8

    for step in steps:
        yield Frame((to_uint8(step.x_t),) if step.i == step.n else ())


def build_api() -> None:
    """The endpoints, on hidden components of their own."""
    model = gr.Dropdown(list(MODELS.values()), value="mnist", label="data_set", visible=False)
    picture, mask = (picture_input(visible=False, label=name) for name in ("picture", "mask"))
    label = gr.Textbox(ANY, label="label", visible=False)
    # whole numbers are checked by `whole`, which has a sentence
    n, seed, t, small = (
        gr.Number(value, label=name, visible=False) for name, value in (("n", 4), ("seed", 0), ("t", 300), ("small", 7))
    )
    fill_steps, enlarge_steps, back_steps = (gr.Number(k, label="steps", visible=False) for k in (15, 25, 20))
    _endpoint(inpaint_by_diffusion, [picture, mask, model, label, n, fill_steps, seed])
    _endpoint(super_resolve_by_diffusion, [picture, model, small, label, n, enlarge_steps, seed])
    _endpoint(noise_and_denoise, [picture, model, t, back_steps, seed])


def _endpoint(function: Callable[..., np.ndarray], inputs: list[Any]) -> None:
    gr.Button(visible=False).click(
        answering(function), inputs, gr.Image(format="png", visible=False, label="pictures"),
        api_name=function.__name__, api_description=function.__doc__, concurrency_id="heavy",
    )  # fmt: skip
