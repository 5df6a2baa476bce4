"""Steering a diffusion model by a given image: what is known stays, masks and sizes that make no
sense.
"""

import numpy as np
import pytest
import torch

from tasks.core.images import ImageError, to_uint8
from tasks.diffusion import restore
from tasks.diffusion.generator import DiffusionGenerator, scheduler
from tasks.diffusion.process import T
from tasks.networks.diffusion_unet import DiffusionUNet
from tests.diffusion.test_generator import CONFIG, card

IMAGE = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)


@pytest.fixture(scope="module")
def generator() -> DiffusionGenerator:
    torch.manual_seed(0)
    return DiffusionGenerator(DiffusionUNet(**CONFIG), card())  # type: ignore[arg-type]


@pytest.mark.parametrize("n_steps", [1, 7, 25, 1000])
def test_times_are_diffusers(n_steps: int) -> None:
    assert restore.times(n_steps) == scheduler("ddim", n_steps).timesteps.tolist()


def test_times_of_a_part() -> None:
    assert restore.times(4, 100) == [99, 74, 49, 24]
    assert restore.times(1, 1) == [0]


def test_inpainting_keeps_what_is_known(generator: DiffusionGenerator) -> None:
    mask = np.zeros((28, 28), bool)
    mask[10:20, 5:15] = True
    steps = list(restore.inpaint(generator, IMAGE, mask, 3, 1, 4, n_steps=4, repeats=2))
    filled = to_uint8(steps[-1].x_t)
    assert len(steps) == 4 and filled.shape == (3, 28, 28)
    for one in filled:
        np.testing.assert_array_equal(one[~mask], IMAGE[~mask])
    assert not np.array_equal(filled[0][mask], filled[1][mask])  # several completions
    *_, again = restore.inpaint(generator, IMAGE, mask, 1, 1, 4, n_steps=4, repeats=2)
    assert np.abs(to_uint8(again.x_t)[0].astype(int) - filled[0]).max() <= 1


def test_masks_that_make_no_sense(generator: DiffusionGenerator) -> None:
    for mask in (np.zeros((28, 28), bool), np.ones((28, 28), bool)):
        with pytest.raises(ImageError, match="Paint over a part"):
            restore.inpaint(generator, IMAGE, mask, 1, 0)
    for mask in (np.zeros((14, 14), bool), np.zeros((28, 28), np.uint8)):
        with pytest.raises(ImageError, match="bool mask"):
            restore.inpaint(generator, IMAGE, mask, 1, 0)
    mask = np.eye(28, dtype=bool)
    with pytest.raises(ImageError, match="1 to 20 times"):
        restore.inpaint(generator, IMAGE, mask, 1, 0, repeats=0)
    with pytest.raises(ImageError, match="steps"):
        restore.inpaint(generator, IMAGE, mask, 1, 0, n_steps=0)


@pytest.mark.parametrize("side", [7, 14])
def test_super_resolution_has_the_means_of_what_came(
    generator: DiffusionGenerator, side: int
) -> None:
    small = np.random.default_rng(1).integers(60, 200, (side, side), np.uint8)
    *_, last = restore.super_resolve(generator, small, 2, 0, 3, n_steps=5)
    k = 28 // side
    means = last.x_t[..., 0].reshape(2, side, k, side, k).mean((2, 4))
    np.testing.assert_allclose((means + 1) * 127.5, np.broadcast_to(small, means.shape), atol=0.01)


def test_sizes_that_cannot_be_enlarged(generator: DiffusionGenerator) -> None:
    for shape in ((28, 28), (9, 9), (7, 14), (14, 14, 3)):
        with pytest.raises(ImageError, match="14 x 14, 7 x 7"):
            restore.super_resolve(generator, np.zeros(shape, np.uint8), 1, 0)


def test_denoising_from_the_first_step_changes_little(generator: DiffusionGenerator) -> None:
    x_t = generator.forward_process(IMAGE, 1)
    *_, last = restore.denoise_from(generator, x_t, 1, 3)
    assert last.i == last.n == 1
    assert np.abs(last.x_t - x_t).mean() < 0.1
    assert len(list(restore.denoise_from(generator, x_t, 500, None, 10))) == 10
    for t in (0, T + 1, 2.5):
        with pytest.raises(ImageError, match="1 to 1000"):
            restore.denoise_from(generator, x_t, t)  # type: ignore[arg-type]


def test_without_noise_it_is_ddim(generator: DiffusionGenerator) -> None:
    *_, theirs = generator.steps(1, 0, 5, "ddim", 8, 1.0)
    start = torch.randn(1, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    *_, ours = restore._steps(generator, start, restore.times(8), torch.tensor([5]), 1.0, [], eta=0)
    np.testing.assert_allclose(ours.x_t, theirs.x_t, atol=1e-3)
