"""The diffusion handler: the process against the paper and against diffusers, seeds, guidance, bad
settings.
"""

import math
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

from tasks.core import weights
from tasks.core.images import ImageError, to_uint8
from tasks.diffusion.generator import SAMPLERS, DiffusionGenerator
from tasks.diffusion.process import T, alpha_bars
from tasks.networks.diffusion_unet import DiffusionUNet

CONFIG = {"channels": 1, "side": 28, "n_classes": 10, "widths": [8, 16], "layers": 1}


def card(**config: object) -> weights.Card:
    return weights.Card(
        "diffusion_mnist",
        "",
        "",
        "",
        0,
        {**CONFIG, **config},
        {},
        list("0123456789"),
        [],
        {},
        {},
        "",
        "",
    )


@pytest.fixture(scope="module")
def generator() -> DiffusionGenerator:
    torch.manual_seed(0)
    made = DiffusionGenerator(DiffusionUNet(**CONFIG), card())  # type: ignore[arg-type]
    made.bf16 = False  # compared with references to the last digit
    return made


def ddpm() -> Any:
    return diffusers.DDPMScheduler(T, beta_schedule="squaredcos_cap_v2")


def test_alpha_bars_are_diffusers() -> None:
    theirs = ddpm().alphas_cumprod
    assert (alpha_bars() - theirs).abs().max() < 1e-5
    assert alpha_bars()[0] > 0.999 and alpha_bars()[-1] < 1e-6


@pytest.mark.parametrize("t", [1, 10, 500, 1000])
def test_forward_process_is_the_closed_form(generator: DiffusionGenerator, t: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    ours = generator.forward_process(image, t, seed=3)
    x0 = torch.from_numpy(image)[None, None].float() / 127.5 - 1
    eps = torch.randn(x0.shape, generator=torch.Generator().manual_seed(3))
    theirs = ddpm().add_noise(x0, eps, torch.tensor([t - 1]))
    np.testing.assert_allclose(ours[..., 0], theirs[0, 0], atol=2e-5)
    assert np.array_equal(ours, generator.forward_process(image, t, seed=3))


def test_forward_process_starts_at_the_image_and_ends_in_noise(
    generator: DiffusionGenerator,
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    assert np.array_equal(to_uint8(generator.forward_process(image, 0)[None])[0], image)
    end = generator.forward_process(image, T)
    assert abs(end.mean()) < 0.15 and abs(end.std() - 1) < 0.1


@pytest.mark.parametrize("t", [-1, 1001, 2.5, None])
def test_bad_times(generator: DiffusionGenerator, t: object) -> None:
    with pytest.raises(ImageError, match="0 to 1000"):
        generator.forward_process(np.zeros((28, 28), np.uint8), t)  # type: ignore[arg-type]


def test_v_gives_the_image_back(generator: DiffusionGenerator) -> None:
    x0, eps = torch.rand(2, 1, 28, 28) * 2 - 1, torch.randn(2, 1, 28, 28)
    for t in (0, 400, 999):
        a = float(generator.alpha_bars[t])
        v = math.sqrt(a) * eps - math.sqrt(1 - a) * x0
        x_t = math.sqrt(a) * x0 + math.sqrt(1 - a) * eps
        torch.testing.assert_close(generator.x0_of(x_t, v, t), x0, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_last_step_is_the_expected_image(generator: DiffusionGenerator, sampler: str) -> None:
    steps = list(generator.steps(2, 0, 3, sampler, 4))
    assert [s.i for s in steps] == [1, 2, 3, 4] and {s.n for s in steps} == {4}
    times = [s.t for s in steps]
    assert times[0] == T - 1 and times == sorted(times, reverse=True)
    assert all(
        s.x_t.shape == s.x0.shape == (2, 28, 28, 1) and np.isfinite(s.x_t).all() for s in steps
    )
    assert all(s.x0.min() >= -1 and s.x0.max() <= 1 for s in steps)
    if sampler != "unipc":  # whose corrector looks back
        np.testing.assert_allclose(steps[-1].x_t, steps[-1].x0, atol=0.05)


def test_ddim_step_is_the_papers(generator: DiffusionGenerator) -> None:
    """Song et al. 2021, eq. 12 with sigma = 0, between two steps of a sampling."""
    first, second, *_ = generator.steps(1, 5, 2, "ddim", 5, 1.0)
    a, b = first.alpha_bar, second.alpha_bar
    x = torch.randn(1, 1, 28, 28, generator=torch.Generator().manual_seed(5 * 1_000_003))[
        0, 0
    ].numpy()
    eps = (x - math.sqrt(a) * first.x0[0, ..., 0]) / math.sqrt(1 - a)
    np.testing.assert_allclose(
        first.x_t[0, ..., 0], math.sqrt(b) * first.x0[0, ..., 0] + math.sqrt(1 - b) * eps, atol=2e-4
    )


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_seed_gives_the_same_image(generator: DiffusionGenerator, sampler: str) -> None:
    settings = {"sampler": sampler, "n_steps": 3}
    many = generator.generate(16, 7, 4, **settings)
    assert many.shape == (16, 28, 28) and many.dtype == np.uint8
    assert np.array_equal(many, generator.generate(16, 7, 4, **settings))
    one = generator.generate(1, 7, 4, **settings)
    assert np.abs(one[0].astype(int) - many[0]).max() <= 1
    assert not np.array_equal(many[0], many[1])
    assert not np.array_equal(one, generator.generate(1, 8, 4, **settings))


def test_bf16_is_nearly_the_same_image(generator: DiffusionGenerator) -> None:
    rounded = DiffusionGenerator(generator.network, card())
    rounded.bf16 = True
    exact = generator.generate(4, 7, 4, n_steps=5)
    # grey levels
    assert np.abs(rounded.generate(4, 7, 4, n_steps=5).astype(int) - exact).mean() < 2


def test_guidance(generator: DiffusionGenerator) -> None:
    x, labels = torch.randn(2, 1, 28, 28), torch.tensor([1, 2])
    t, none = torch.tensor([300, 300]), torch.tensor([10, 10])
    with torch.inference_mode():
        with_class, without = generator.network(x, t, labels), generator.network(x, t, none)
        assert torch.equal(generator.predict(x, 300, labels, 1.0), with_class)
        guided = generator.predict(x, 300, labels, 2.5)
        torch.testing.assert_close(
            guided, without + 2.5 * (with_class - without), atol=1e-5, rtol=1e-4
        )
        torch.testing.assert_close(generator.predict(x, 300, none, 2.5), without)
        torch.testing.assert_close(
            generator.predict(x, 300, labels, 0.0), without, atol=1e-5, rtol=1e-4
        )


def test_guidance_acts_at_the_times_of_the_card(generator: DiffusionGenerator) -> None:
    some = card()
    some.preprocess["guided_times"] = [200, 600]
    limited = DiffusionGenerator(generator.network, some)
    limited.bf16 = False
    x, labels = torch.randn(2, 1, 28, 28), torch.tensor([1, 2])
    with torch.inference_mode():
        for t, guided in ((199, False), (200, True), (600, True), (601, False)):
            plain, strong = (
                generator.predict(x, t, labels, 1.0),
                generator.predict(x, t, labels, 3.0),
            )
            assert torch.equal(limited.predict(x, t, labels, 3.0), strong if guided else plain)
            assert not torch.equal(plain, strong)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"n": 0}, "images"),
        ({"n": 1000}, "images"),
        ({"n": 2.5}, "images"),
        ({"n_steps": 0}, "steps"),
        ({"n_steps": 5000}, "steps"),
        ({"guidance": float("nan")}, "Guidance"),
        ({"guidance": -1}, "Guidance"),
        ({"guidance": "much"}, "Guidance"),
        ({"label": 11}, "Classes"),
        ({"label": "three"}, "Classes"),
        ({"label": [1]}, "Classes"),
        ({"sampler": "magic"}, "Samplers"),
        ({"seed": -1}, "seed"),
        ({"seed": None}, "seed"),
    ],
)
def test_bad_settings(
    generator: DiffusionGenerator, settings: dict[str, object], says: str
) -> None:
    with pytest.raises(ImageError, match=says):
        generator.steps(**{"n": 2, "seed": 0, "label": 3, **settings})  # type: ignore[arg-type]


def test_bad_images(generator: DiffusionGenerator) -> None:
    for image in (
        np.zeros((32, 32), np.uint8),
        np.zeros((28, 28, 3), np.uint8),
        np.zeros((28, 28), np.float32),
    ):
        with pytest.raises(ImageError, match="28"):
            generator.forward_process(image, 3)


@pytest.mark.parametrize(
    ("side", "channels", "widths"), [(28, 1, (8, 16, 24)), (32, 3, (8, 32)), (10, 2, (8, 8))]
)
def test_any_side_comes_out_as_it_went_in(
    side: int, channels: int, widths: tuple[int, ...]
) -> None:
    network = DiffusionUNet(channels, side, 4, widths, 1, attention=side == 32)
    x = torch.randn(2, channels, side, side)
    assert network(x, torch.tensor([0, 999]), torch.tensor([0, 4])).shape == x.shape


def test_a_missing_model_says_so(tmp_path: object) -> None:
    with pytest.raises(weights.WeightsError, match="diffusion_mnist"):
        DiffusionGenerator.load("mnist", tmp_path)  # type: ignore[arg-type]
    with pytest.raises(weights.WeightsError, match="mnist, cifar10"):
        DiffusionGenerator.load("faces")
