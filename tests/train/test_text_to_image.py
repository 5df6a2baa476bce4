"""train.text_to_image: scenes that may not be trained on, the bank, the two networks, --smoke."""

import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from tasks.core import weights
from tasks.networks.latent_autoencoder import LatentAutoencoder
from tasks.networks.word_unet import Placement, TextModel
from tasks.text_to_image import TextToImage
from train.text_to_image import __main__ as command
from train.text_to_image import autoencoder, data, measure, training


@pytest.fixture(scope="module")
def drawings() -> data.Drawings:
    return data.synthetic()


def test_withheld_scenes_are_never_drawn(drawings: data.Drawings) -> None:
    rng = np.random.default_rng(0)
    scenes = [data.draw_scene(drawings, rng) for _ in range(3000)]
    pairs = 0
    for scene in scenes:
        labels = [drawings.things[i].label for i in scene.things]
        for label in labels:
            if scene.background:
                assert zlib.crc32(f"{label}|{scene.background}".encode()) % 10
        if len(labels) == 2:
            pairs += 1
            assert zlib.crc32("|".join(labels).encode()) % 10
    assert pairs > 100
    assert {scene.layout for scene in scenes} >= {*data.RELATIONS, *data.MODIFIERS, *data.COUNTS}


@pytest.mark.parametrize(
    ("layout", "first"),
    [("left of", "left"), ("right of", "right"), ("above", "top"), ("below", "bottom")],
)
def test_relation_puts_the_first_thing_there(
    drawings: data.Drawings, layout: str, first: str
) -> None:
    scene = data.Scene((0, 19), layout=layout)  # green, then red
    image = data.compose(drawings, scene, np.random.default_rng(0)).astype(int)
    rows, columns = np.nonzero(image[..., 1] > image[..., 0] + 100)
    assert len(rows) > 50
    where = {
        "left": columns.max() < 36,
        "right": columns.min() > 28,
        "top": rows.max() < 36,
        "bottom": rows.min() > 28,
    }
    assert where[first]


def test_background_has_the_colour_that_the_caption_says(drawings: data.Drawings) -> None:
    rng = np.random.default_rng(0)
    for colour, value in data.COLOURS.items():
        scene = data.Scene((1,), background=colour)
        corner = data.compose(drawings, scene, rng)[0, 0].astype(int)
        assert np.abs(corner - value).max() <= 8
        ids, roles = data.words(scene)
        assert ids[:4].tolist() == [
            data.FIXED["noto"],
            data.N_FIXED + 1,
            data.FIXED[colour],
            data.NO_WORD,
        ]
        assert [data.ROLES[r] for r in roles[:3]] == ["style", "thing", "background"]


def test_autoencoder_starts_as_principal_components(drawings: data.Drawings) -> None:
    torch.manual_seed(0)
    network = LatentAutoencoder()
    images = autoencoder.to_range(autoencoder.scenes(drawings, 64, 0))
    network.from_patches(images)
    with torch.inference_mode():
        decoded = network.decode_raw(network.moments(images)[0])
    patches = torch.nn.functional.pixel_unshuffle(images, 8).permute(0, 2, 3, 1).reshape(-1, 192)
    centred = patches - patches.mean(0)
    _, values, _ = torch.linalg.svd(centred, full_matrices=False)
    best = values[16:].square().sum() / images.numel()  # Eckart and Young 1936
    assert float((decoded - images).square().mean()) == pytest.approx(float(best), rel=0.05)


def network_of(n: int) -> TextModel:
    torch.manual_seed(0)
    network = TextModel(data.N_FIXED + n, len(data.ROLES), widths=(16, 24), states=16, canvas=16)
    for parameter in network.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return network.eval()


def test_map_of_a_word_that_is_off_is_empty(drawings: data.Drawings) -> None:
    network = network_of(len(drawings.things))
    ids, roles = data.words(data.Scene((3,), background="red"))
    words = (torch.tensor(ids)[None], torch.tensor(roles)[None])
    x, t = torch.randn(1, 4, 16, 16), torch.tensor([0.5])
    with torch.inference_mode():
        *encoded, _ = network.dictionary(*words)
        v, maps = network.unet(x, t, *encoded)
        weight = torch.tensor([[1.0, 0.0, 1.0, 1, 1, 1, 1, 1]])
        without, maps_without = network.unet(x, t, *encoded, weight)
    assert v.shape == x.shape
    assert maps.shape == (1, data.MAX_WORDS, 8, 8)
    assert float(maps[0, 3:].max()) == 0.0
    assert float(maps[0, 1].mean()) > 0.01
    assert float(maps_without[0, 1].max()) < 0.01
    assert not torch.allclose(v, without)


def test_canvas_stays_until_something_is_learned() -> None:
    placement = Placement(16, 8)
    canvas = torch.randn(2, 3, 8, 64)
    moved = placement.move(canvas, placement(torch.randn(2, 3, 16)))
    assert torch.allclose(moved, canvas, atol=0.05)  # the other copies are all but off


@pytest.mark.parametrize("layout", [*data.RELATIONS, *data.MODIFIERS, *data.COUNTS])
def test_canvas_moves_to_where_the_scene_has_its_thing(layout: str) -> None:
    """A blob above the middle of the canvas, moved by the truth, lies above each thing's middle."""
    scene = data.Scene((0, 1) if layout in data.RELATIONS else (0,), layout=layout)
    placed = torch.from_numpy(data.placements(scene)).nan_to_num()[None]  # (1, words, copies, 5)
    fine = torch.zeros(1, data.MAX_WORDS, 16, 16)
    fine[:, :, 5:7, 7:9] = 1  # 8 px above the middle
    canvas = torch.nn.functional.pixel_unshuffle(fine.view(-1, 1, 16, 16), 2)
    moved = Placement(16, 4).move(canvas.reshape(1, data.MAX_WORDS, 4, 64), placed)
    image = torch.nn.functional.pixel_shuffle(moved.sum(1).view(1, 4, 8, 8), 2)[0, 0]
    expected = torch.zeros(16, 16)
    for x, y, side in data.spots(layout):
        up = -8 * side / data.USUAL * (-1 if layout == "upside-down" else 1)
        expected[int((y + up) / 4), int(x / 4)] = 1
    rows, columns = np.nonzero(image.numpy() > 0.4 * float(image.max()))
    for row, column in zip(*np.nonzero(expected.numpy()), strict=True):
        assert (abs(rows - row) + abs(columns - column)).min() <= 1
    for row, column in zip(rows, columns, strict=True):
        near = (expected[max(0, row - 2) : row + 3, max(0, column - 2) : column + 3] > 0).any()
        assert near, f"something at {row}, {column}"


def test_padding_changes_nothing(drawings: data.Drawings) -> None:
    network = network_of(len(drawings.things))
    ids, roles = data.words(data.Scene((3,)))
    words = (torch.tensor(ids)[None], torch.tensor(roles)[None])
    x, t = torch.randn(1, 4, 16, 16), torch.tensor([0.5])
    with torch.inference_mode():
        long, _ = network(x, t, *words)
        short, _ = network(x, t, words[0][:, :2], words[1][:, :2])
    assert torch.allclose(long, short, atol=1e-5)


def test_bank_is_a_function_of_the_step(drawings: data.Drawings) -> None:
    network = LatentAutoencoder()
    network.from_patches(autoencoder.to_range(autoencoder.scenes(drawings, 32, 0)))
    one, other = (training.Bank(drawings, network, 16, 3, 0) for _ in range(2))
    for step in range(9):
        one.at_step(step)
    other.at_step(8)  # as after a resume
    everything = torch.arange(16)
    for a, b in zip(one.samples(everything), other.samples(everything), strict=True):
        assert torch.allclose(a, b, atol=1e-5, equal_nan=True)


@pytest.mark.parametrize("layout", ["left of", "below", "three", "small", "upside-down"])
def test_parts_of_a_layout_show_its_things(drawings: data.Drawings, layout: str) -> None:
    """Each as large as a thing alone, and upright."""
    pair = layout in data.RELATIONS
    things = (0, 19) if pair else (19,)
    rng = np.random.default_rng(0)
    image = data.compose(drawings, data.Scene(things, layout=layout), rng)
    found = measure.parts(image[None], layout)
    assert len(found) == (2 if pair else 3 if layout == "three" else 1)
    for k, part in enumerate(found):
        alone = data.compose(drawings, data.Scene((things[min(k, len(things) - 1)],)), rng)
        inside = part[0, 12:52, 12:52].astype(int)  # beside it its neighbour begins
        assert np.abs(inside - alone[12:52, 12:52]).mean() < 40
        other = data.compose(drawings, data.Scene((7,)), rng)
        assert np.abs(inside - other[12:52, 12:52]).mean() > 50


def test_flow_ends_at_noise_and_its_velocity_leads_there() -> None:
    x0, eps = torch.randn(2, 5, 4, 16, 16)
    t = torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0])
    x_t, v = training.noised(x0, t, eps)
    assert torch.allclose(x_t[0], x0[0])
    assert torch.allclose(x_t[-1], eps[-1])
    assert torch.allclose(x_t - t[:, None, None, None] * v, x0, atol=1e-5)


def test_smoke_and_resume(tmp_path: Path) -> None:
    first = command.smoke(tmp_path, 0, resume=False)
    assert all(np.isfinite(metric.value) for metric in first.metrics)
    model = TextToImage.load(folder=tmp_path / "weights")
    assert model.generate("shape 3 on red", n=2).shape == (2, 64, 64, 3)
    again = command.smoke(tmp_path, 0, resume=True)  # both have ended: nothing is trained again
    assert again.sha256 == first.sha256


@pytest.mark.slow  # measures the shipped network
def test_shipped_card_is_true(data_dir: Path) -> None:
    """What can be measured in a minute: unseen backgrounds, and whose drawing is the nearest."""
    if not (data_dir / "emoji" / "names.json").is_file():
        pytest.skip("the drawings of emoji are not here")
    real = data.load(data_dir / "emoji")
    model = TextToImage.load()
    assert isinstance(model, TextToImage)
    claimed = {metric.name: metric.value for metric in model.card.metrics}
    colour, n = measure.background_right(model, real, 32)
    assert n == 32 and colour >= claimed["background has the colour"] - 5
    db, nearest = measure.likeness(model, real, measure.names(real, measure.MEASURED, 48))
    assert nearest == pytest.approx(claimed["nearest drawing is that of its thing"], abs=13)
    assert db == pytest.approx(claimed["likeness to its training drawing"], abs=1)


@pytest.mark.slow  # measures the shipped network
def test_shipped_autoencoder_is_as_its_card_says(data_dir: Path) -> None:
    """The headline, by the handler's own encoding and decoding, which round to bytes."""
    if not (data_dir / "emoji" / "names.json").is_file():
        pytest.skip("the drawings of emoji are not here")
    _, held_out = autoencoder.split(data.load(data_dir / "emoji"))
    images, model = autoencoder.scenes(held_out, 256, 0), TextToImage.load()
    assert isinstance(model, TextToImage)
    again = torch.from_numpy(model.decode(model.encode(images.numpy())))
    db = autoencoder.psnr(autoencoder.to_range(again), autoencoder.to_range(images)).mean()
    card = weights.read_card("text_to_image_words")
    assert float(db) == pytest.approx(card.metrics[0].value, abs=0.1)


def test_unet_without_an_autoencoder_says_what_to_run(
    tmp_path: Path, drawings: data.Drawings
) -> None:
    with pytest.raises(FileNotFoundError, match="--stage autoencoder"):
        command.run_stage("unet", command.PLANS["smoke"], drawings, 0, tmp_path, False)
