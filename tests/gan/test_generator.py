"""The GAN's and the VAE's handlers: seeds, truncation, walks, directions, refusals, with tiny
untrained networks; what the bundled ones draw and read."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tasks.core import weights
from tasks.core.image_metrics import psnr
from tasks.core.images import ImageError
from tasks.gan.generator import LATENT_LIMIT, GanGenerator, LatentGenerator, slerp
from tasks.gan.history import GanHistory
from tasks.gan.vae import VaeGenerator
from tasks.networks.dcgan import DCGAN, DCDiscriminator, GeneratorHistory
from tasks.networks.vae import ConditionalVAE
from train import data


def card(**config: Any) -> weights.Card:
    return weights.Card(
        "tiny",
        "gan",
        "",
        "",
        0,
        {"latent": 100, **config},
        {},
        list("0123456789"),
        [],
        {},
        {},
        "",
        "",
    )


def tiny_gan(norm: str = "batch") -> GanGenerator:
    torch.manual_seed(0)
    network = DCGAN(generator_widths=(8, 8, 8), discriminator_widths=(4, 4, 4), norm=norm)
    for parameter in network.generator.parameters():  # at Radford's start all digits are alike
        torch.nn.init.normal_(parameter, 0, 0.3)
    return GanGenerator(network, card())


def tiny_vae() -> VaeGenerator:
    torch.manual_seed(0)
    return VaeGenerator(ConditionalVAE(width=4), card())


BOTH = pytest.mark.parametrize("make", [tiny_gan, tiny_vae])


@BOTH
def test_a_digit_depends_on_its_seed_and_place_only(make: Any) -> None:
    generator: LatentGenerator = make()
    many = generator.generate(6, seed=3, label=7)
    assert many.shape == (6, 28, 28) and many.dtype == np.uint8
    np.testing.assert_array_equal(many[:2], generator.generate(2, seed=3, label=7))
    assert not np.array_equal(many, generator.generate(6, seed=4, label=7))
    assert not np.array_equal(many[0], many[1])
    np.testing.assert_array_equal(
        generator.generate(6, 3), generator.generate(6, 3, generator.labels(6, 3).tolist())
    )


def test_truncation_cuts_the_normal_smoothly() -> None:
    generator = tiny_gan()
    whole, half, tight = (generator.latents(50, 0, t) for t in (3.0, 1.0, 0.1))
    assert np.abs(whole).max() > 2.5 and np.abs(half).max() <= 1 and np.abs(tight).max() <= 0.1
    np.testing.assert_array_equal(np.sign(half), np.sign(whole))  # the same digit, less extreme
    order = np.argsort(whole[0])
    assert (np.diff(half[0][order]) >= 0).all()
    assert abs(whole.std() - 1) < 0.05


def test_slerp_keeps_to_the_sphere() -> None:
    rng = np.random.default_rng(0)
    a, b = (v / np.linalg.norm(v) * 10 for v in rng.normal(size=(2, 100)))
    way = slerp(a, b, 9)
    np.testing.assert_allclose(way[[0, -1]], [a, b], atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(way, axis=1), 10, atol=1e-3)
    steps = np.linalg.norm(np.diff(way, axis=0), axis=1)
    np.testing.assert_allclose(steps, steps[0], rtol=1e-3)  # at constant speed
    np.testing.assert_allclose(slerp(a, a, 3), [a, a, a], atol=1e-5)


@BOTH
def test_walk_and_morph_begin_and_end_where_they_should(make: Any) -> None:
    generator: LatentGenerator = make()
    way = generator.interpolate(1, 2, 5, label=4)
    np.testing.assert_array_equal(way[0], generator.generate(1, 1, 4)[0])
    np.testing.assert_array_equal(way[-1], generator.generate(1, 2, 4)[0])
    z = generator.latents(1, 1)[0]
    morph = generator.morph(z, 4, 9, 3)
    np.testing.assert_array_equal(morph[0], way[0])
    np.testing.assert_array_equal(morph[-1], generator.from_latent(z[None], 9)[0])
    assert not np.array_equal(morph[0], morph[-1])


def test_directions_are_those_that_the_first_layer_amplifies_most() -> None:
    generator = tiny_gan()
    found = generator.directions(2)
    np.testing.assert_allclose(found @ found.T, np.eye(2), atol=1e-5)
    kernel = generator.network.generator.first.weight[:100].flatten(1).detach().numpy()
    gain = np.linalg.norm(found @ kernel, axis=1)
    other = np.random.default_rng(0).normal(size=(50, 100))
    assert (
        gain[0]
        >= gain[1]
        > np.linalg.norm(
            other / np.linalg.norm(other, axis=1, keepdims=True) @ kernel, axis=1
        ).max()
    )


def test_realness_judges_digit_and_class() -> None:
    generator = tiny_gan()
    digits = generator.generate(4, 0, 3)
    scores = generator.realness(digits, 3)
    assert scores.shape == (4,) and ((scores > 0) & (scores < 1)).all()
    assert not np.allclose(scores, generator.realness(digits, 5), atol=1e-7)
    np.testing.assert_allclose(generator.realness(digits[:1], [3]), scores[:1], rtol=1e-5)


def test_encoder_gives_a_place_for_each_digit() -> None:
    generator = tiny_vae()
    digits = np.random.default_rng(0).integers(0, 255, (3, 28, 28), dtype=np.uint8)
    assert generator.encode(digits, [1, 2, 3]).shape == (3, 100)


def test_history_draws_the_same_latents_by_every_generator() -> None:
    network = GeneratorHistory(steps=(1, 5), widths=(4, 4, 4))
    for generator, scale in zip(network.generators, (0.1, 1.0), strict=True):
        for parameter in generator.parameters():
            torch.nn.init.normal_(parameter, 0, scale)
    history = GanHistory(network, card(widths=[4, 4, 4]))
    made = history.generate(np.zeros((3, 100), np.float32), [0, 1, 2])
    assert made.shape == (2, 3, 28, 28) and made.dtype == np.uint8
    assert history.steps == (1, 5) and not np.array_equal(made[0], made[1])


def test_baked_spectral_norm_is_the_same_network() -> None:
    torch.manual_seed(0)
    network = DCDiscriminator(widths=(4, 4, 4), norm="spectral")
    x, y = torch.rand(5, 1, 28, 28) * 2 - 1, torch.eye(10)[:5]
    for _ in range(20):
        network.train()(x, y)  # power iterations
    before = network.eval()(x, y)
    plain = DCDiscriminator(widths=(4, 4, 4), norm="none")
    plain.load_state_dict(network.bake().state_dict())
    torch.testing.assert_close(plain.eval()(x, y), before)
    singular = torch.linalg.matrix_norm(plain.state_dict()["body.0.weight"].flatten(1), 2)
    assert abs(float(singular) - 1) < 0.01


REFUSED: dict[str, Any] = {
    "no images": lambda g: g.generate(0, 0),
    "too many": lambda g: g.generate(101, 0),
    "seed below 0": lambda g: g.generate(1, -1),
    "seed of text": lambda g: g.generate(1, "1"),
    "class 10": lambda g: g.generate(1, 0, 10),
    "class True": lambda g: g.generate(1, 0, True),
    "labels for another number": lambda g: g.generate(3, 0, [1, 2]),
    "truncation 0": lambda g: g.generate(1, 0, 1, 0),
    "truncation NaN": lambda g: g.generate(1, 0, 1, float("nan")),
    "latent too short": lambda g: g.from_latent(np.zeros((1, 99)), 1),
    "latent of NaN": lambda g: g.from_latent(np.full((1, 100), np.nan), 1),
    "latent far out": lambda g: g.from_latent(np.full((1, 100), 7.0), 1),
    "shares that sum to 2": lambda g: g.from_latent(np.zeros((1, 100)), np.full((1, 10), 0.2)),
}


@BOTH
@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_a_sentence(make: Any, name: str) -> None:
    generator = make()
    with pytest.raises(ImageError, match=r"\w+ .*\w+"):
        REFUSED[name](generator)
    assert generator.generate(1, 0, 1).shape == (1, 28, 28)  # the next good one works


@pytest.mark.parametrize(
    "load", [GanGenerator.load, VaeGenerator.load, lambda f: GanHistory.load("gan_history", f)]
)
def test_missing_weights_are_said(load: Any, tmp_path: Any) -> None:
    with pytest.raises(weights.WeightsError, match="missing"):
        load(tmp_path)


# -- the bundled networks --------------------------------------------------------------------------

TEN_EACH = [k % 10 for k in range(100)]
DRAWN: dict[str, Any] = {
    "gan": lambda: GanGenerator.load().generate(100, 0, TEN_EACH),
    "vae": lambda: VaeGenerator.load().generate(100, 0, TEN_EACH),
    "history": lambda: GanHistory.load().generate(GanGenerator.load().latents(100, 0), TEN_EACH)[
        -1
    ],
}


@pytest.mark.parametrize("name", DRAWN)
def test_digits_are_as_bright_as_mnists(name: str) -> None:
    assert DRAWN[name]().mean() == pytest.approx(0.1307 * 255, abs=2)


def test_realness_of_mnist_is_the_cards(data_dir: Path) -> None:
    test, gan = data.mnist(data_dir, train=False).part(slice(0, 500)), GanGenerator.load()
    quartiles = np.quantile(gan.realness(test.images, test.labels.tolist()), [0.25, 0.5, 0.75])
    claimed = [gan.card.tables["scores"]["real"][k] for k in (5, 10, 15)]
    np.testing.assert_allclose(quartiles, claimed, atol=0.05)


def test_encoded_digits_come_back(data_dir: Path) -> None:
    test, vae = data.mnist(data_dir, train=False).part(slice(0, 200)), VaeGenerator.load()
    labels = test.labels.tolist()
    z = vae.encode(test.images, labels).clip(-LATENT_LIMIT, LATENT_LIMIT)
    assert psnr(vae.from_latent(z, labels) / 255, test.images / 255) > 20
