"""The denoiser and the enhancer: known answers, tiles without seams, bad input; noise level, PSNR,
SSIM, filters.
"""

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from tasks.core import image_metrics, weights
from tasks.core.images import ImageError
from tasks.denoising import classical_filters, planes
from tasks.denoising.denoiser import Denoiser
from tasks.denoising.enhancer import Enhancer, enlarged
from tasks.denoising.jpeg_quality import JpegGrid, jpeg_quality
from tasks.denoising.noise_level import estimate_sigma
from tasks.denoising.planes import from_planes, to_array, to_planes
from tasks.networks.denoiser_unet import DenoiserUNet
from tests import hostile
from train.common import restoration_data, synthetic

IS_SHIPPED = {
    name: (weights.FOLDER / f"{name}.json").is_file() for name in ("denoiser", "enhancer")
}
NEEDS_DENOISER = pytest.mark.skipif(
    not IS_SHIPPED["denoiser"], reason="weights/denoiser.json is not there"
)
NEEDS_ENHANCER = pytest.mark.skipif(
    not IS_SHIPPED["enhancer"], reason="weights/enhancer.json is not there"
)


def random_network(maps: int) -> DenoiserUNet:
    """Random kernels, the last ones too, small enough that images stay images."""
    torch.manual_seed(0)
    network = DenoiserUNet(1, maps, (8, 16), (1, 1))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    return network


@pytest.fixture(scope="module")
def denoiser() -> Denoiser:
    return Denoiser(random_network(1))


@pytest.fixture(scope="module")
def enhancer() -> Enhancer:
    return Enhancer(random_network(4))


def image(height: int = 120, width: int = 90) -> np.ndarray:
    return cv2.resize(synthetic.textures(1, 64)[0], (width, height)).astype(np.float32) / 255


# -- the network -----------------------------------------------------------------------------------


def test_without_biases_brightness_scales() -> None:
    """Picture and map times c give the result times c."""
    network, x = random_network(1), torch.rand(1, 1, 16, 24)
    maps = torch.full((1, 1, 1, 1), 0.1)
    torch.testing.assert_close(network(3 * x, 3 * maps), 3 * network(x, maps), atol=1e-5, rtol=1e-4)


def test_a_new_network_is_the_identity() -> None:
    x = torch.rand(2, 1, 16, 24)
    assert torch.equal(DenoiserUNet(widths=(8, 16), blocks=(1, 1))(x, torch.zeros(2, 1, 1, 1)), x)


# -- tiles -----------------------------------------------------------------------------------------


@NEEDS_DENOISER
def test_tiled_equals_whole() -> None:
    """The shipped network, in three by two tiles: no pixel differs by 1/255."""
    shipped = Denoiser.load()
    noisy = np.tile(image(160, 150), (2, 2)) + restoration_data.seeded_noise((320, 300), 25, 0)
    *_, whole = shipped.steps(noisy, 25.0)
    *_, tiled = shipped.steps(noisy, 25.0, side=128)
    assert (
        tiled.total == 9 and np.abs(from_planes(whole.out) - from_planes(tiled.out)).max() < 1 / 255
    )


@NEEDS_ENHANCER
@pytest.mark.parametrize("task", ["x3", "JPEG"])
def test_enhanced_in_tiles_equals_whole(task: str) -> None:
    shipped, x = Enhancer.load(), image(110, 100)

    def run(side: int) -> np.ndarray:
        if task == "x3":
            *_, last = shipped.super_resolve_steps(x, 3, side)
        else:
            *_, last = shipped.deblock_steps(np.tile(x, (3, 3)), side, JpegGrid(10))
        return last.out

    assert np.abs(run(640) - run(128)).max() < 1 / 255


# -- brightness and colour -------------------------------------------------------------------------


@NEEDS_DENOISER
@pytest.mark.parametrize("sigma", [0.0, 15.0, 50.0])
@pytest.mark.parametrize("level", [0.0, 0.2, 0.5, 1.0])
def test_a_constant_picture_stays_constant(sigma: float, level: float) -> None:
    out = Denoiser.load().denoise_array(np.full((60, 70), level, np.float32), sigma)
    assert np.abs(out - level).max() < 2 / 255
    # clipped on one side
    assert abs(float(out.mean()) - level) < 0.5 / 255 or sigma * level in (
        0,
        sigma,
    )


@NEEDS_DENOISER
def test_mean_colour_does_not_move() -> None:
    colours = np.array([0.7, 0.4, 0.25], np.float32)
    clean = image()[..., None] * 0.3 + colours * 0.6
    noisy = clean + restoration_data.seeded_noise(clean.shape, 25, 1)
    out = Denoiser.load().denoise_array(noisy, 25.0)
    assert np.abs(out.mean((0, 1)) - noisy.mean((0, 1))).max() < 1 / 255
    assert image_metrics.psnr(out, clean) > image_metrics.psnr(noisy, clean) + 6


@NEEDS_DENOISER
def test_colour_photos_come_clean(data_dir: Path) -> None:
    """The middle of Set5's images: 2 dB less where a plane is told the noise of another."""
    shipped, found = Denoiser.load(), []
    for k, rgb in enumerate(restoration_data.images(data_dir, "Set5")):
        clean = rgb[64:192, 64:192].astype(np.float32) / 255
        noisy = clean + restoration_data.seeded_noise(clean.shape, 25, k)
        found.append(image_metrics.psnr(shipped.denoise_array(noisy, 25.0), clean))
    assert np.mean(found) > 31


@NEEDS_ENHANCER
def test_enhancing_keeps_constant_pictures_and_colours() -> None:
    shipped, colour = Enhancer.load(), np.full((40, 48, 3), (0.7, 0.4, 0.25), np.float32)
    *_, larger = shipped.super_resolve_steps(colour, 3)
    *_, same = shipped.deblock_steps(colour, grid=JpegGrid(10))
    assert larger.out.shape == (120, 144, 3) and np.abs(larger.out - colour[0, 0]).max() < 1 / 255
    assert np.abs(same.out - colour).max() < 1 / 255


def test_planes_and_back() -> None:
    x = np.random.default_rng(0).random((9, 11, 3), np.float32)
    np.testing.assert_allclose(from_planes(to_planes(x)), x, atol=1e-6)
    np.testing.assert_array_equal(from_planes(to_planes(x[..., 0])), x[..., 0])
    noise = np.random.default_rng(1).standard_normal((200, 200, 3)).astype(np.float32)
    np.testing.assert_allclose(to_planes(noise).std((1, 2)), planes.OPPONENT_GAIN, rtol=0.02)


# -- calls -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size_wh", [(8, 8), (33, 21), (100, 9)])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_pictures_keep_size_and_mode(
    denoiser: Denoiser, enhancer: Enhancer, size_wh: tuple[int, int], mode: str
) -> None:
    colour = Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (*size_wh[::-1], 3), np.uint8)
    ).convert(mode)
    for out in (denoiser.denoise(colour, 10), denoiser.denoise(colour), enhancer.deblock(colour)):
        assert out.size == size_wh and out.mode == mode
    assert enhancer.super_resolve(colour, 3).size == (3 * size_wh[0], 3 * size_wh[1])


@pytest.mark.parametrize("grey", [True, False])
def test_transparency_is_kept_and_what_is_invisible_does_not_bleed(grey: bool) -> None:
    denoiser, enhancer = Denoiser.load(), Enhancer.load()
    rgba = np.zeros((40, 48, 4), np.uint8)
    rgba[..., :3] = (0, 0, 0) if grey else (0, 255, 0)  # of what nobody sees
    rgba[10:30, 12:36] = (200, 200, 200, 255) if grey else (220, 40, 40, 255)
    rgba[10:30, 30:36, 3] = 128
    for out in (denoiser.denoise(rgba, 15), denoiser.denoise(rgba), enhancer.deblock(rgba)):
        assert out.mode == "RGBA" and out.size == (48, 40)
        pixels = np.asarray(out).astype(int)
        assert np.array_equal(pixels[..., 3], rgba[..., 3])
        seen = pixels[10:30, 12:36, :3]
        assert np.abs(seen - rgba[11, 13, :3]).max() <= 4
    larger = np.asarray(enhancer.super_resolve(rgba, 2)).astype(int)
    assert larger.shape == (80, 96, 4)
    assert larger[:16, :, 3].max() == 0 and larger[26:54, 28:54, 3].min() == 255
    assert np.abs(larger[24:56, 28:68, :3] - rgba[11, 13, :3]).max() <= 4


def test_arrays_stay_in_range(denoiser: Denoiser) -> None:
    noisy = image() + restoration_data.seeded_noise((120, 90), 80, 0)
    out = denoiser.denoise_array(noisy, 80.0)
    assert (
        out.dtype == np.float32 and out.shape == noisy.shape and out.min() >= 0 and out.max() <= 1
    )


@pytest.mark.parametrize("name", hostile.REFUSED)
def test_refused_with_a_sentence(
    denoiser: Denoiser, enhancer: Enhancer, tmp_path: Path, name: str
) -> None:
    for call in (denoiser.denoise, enhancer.deblock, lambda x: enhancer.super_resolve(x, 2)):
        with pytest.raises(ImageError) as caught:
            call(hostile.MAKERS[name](tmp_path))
        assert str(caught.value).endswith((".", "?")) and len(str(caught.value)) > 20
    assert denoiser.denoise(hostile.good_png(tmp_path)).size == (128, 96)


@pytest.mark.parametrize("name", [name for name in hostile.ODD if name != "very wide"])
def test_odd_pictures_work(denoiser: Denoiser, tmp_path: Path, name: str) -> None:
    assert denoiser.denoise(hostile.MAKERS[name](tmp_path), 15).size == (128, 96)


def test_a_rotated_photo_comes_out_upright(denoiser: Denoiser, tmp_path: Path) -> None:
    upright = np.asarray(denoiser.denoise(hostile.scene(), 15)).astype(int)
    rotated = np.asarray(denoiser.denoise(hostile.exif_rotated(tmp_path), 15)).astype(int)
    assert np.abs(upright - rotated).max() <= 1


@pytest.mark.parametrize("sigma", [-1.0, 101.0, math.nan])
def test_sigma_out_of_range(denoiser: Denoiser, sigma: float) -> None:
    with pytest.raises(ImageError, match="Sigma"):
        denoiser.denoise_array(image(), sigma)


@pytest.mark.parametrize(
    "bad", [np.zeros((20, 20), np.uint8), np.zeros((20, 20, 4)), np.zeros((4, 20)), [[0.5]]]
)
def test_wrong_arrays_are_refused(denoiser: Denoiser, bad: object) -> None:
    with pytest.raises(ImageError, match="needed"):
        denoiser.denoise_array(bad)  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="2, 3 or 4"):
        Enhancer(random_network(4)).super_resolve(image(), 5)


def test_missing_weights(tmp_path: Path) -> None:
    for handler in (Denoiser, Enhancer):
        with pytest.raises(weights.WeightsError, match="is missing"):
            handler.load(tmp_path)


# -- noise level, quality, filters -----------------------------------------------------------------


@pytest.mark.parametrize("sigma", [5, 15, 25, 50])
def test_noise_level_is_found(data_dir: Path, sigma: float) -> None:
    found = []
    for k, clean in enumerate(restoration_data.images(data_dir, "Train400")[5::50]):
        found.append(
            estimate_sigma(clean / 255 + restoration_data.seeded_noise(clean.shape, sigma, k))
        )
    assert np.mean(found) == pytest.approx(sigma, abs=0.6) and np.std(found) < 1.2


def test_noise_level_of_plain_pictures() -> None:
    assert estimate_sigma(np.full((50, 60), 0.4)) < 0.05
    assert estimate_sigma(np.zeros((8, 8))) == 0
    assert estimate_sigma(0.5 + restoration_data.seeded_noise((100, 100), 20, 0)) == pytest.approx(
        20, rel=0.06
    )


def test_psnr_and_ssim_known_answers() -> None:
    x = image()
    assert image_metrics.psnr(x, x) == math.inf and image_metrics.ssim(x, x) == pytest.approx(1)
    assert image_metrics.psnr(np.full((4, 4), 0.5), np.full((4, 4), 0.6)) == pytest.approx(20)
    framed = np.pad(np.zeros((4, 4)), 1, constant_values=1)
    assert image_metrics.psnr(framed, np.zeros((6, 6)), border=1) == math.inf


def test_psnr_and_ssim_are_torchmetrics() -> None:
    metrics = pytest.importorskip(
        "torchmetrics.functional.image", reason="torchmetrics is not installed"
    )
    x = image()
    noisy = (x + restoration_data.seeded_noise(x.shape, 20, 0)).clip(0, 1)
    a, b = (torch.from_numpy(v).double()[None, None] for v in (noisy, x))
    assert image_metrics.psnr(noisy, x) == pytest.approx(
        float(metrics.peak_signal_noise_ratio(a, b, data_range=1.0)), abs=1e-3
    )
    _, theirs = metrics.structural_similarity_index_measure(
        a, b, data_range=1.0, sigma=1.5, return_full_image=True
    )
    # windows that lie in the image; torchmetrics also counts mirrored ones
    inner = theirs[..., 5:-5, 5:-5]
    assert image_metrics.ssim(noisy, x) == pytest.approx(float(inner.mean()), abs=1e-6)


@pytest.mark.parametrize("kind", classical_filters.NOISES)
def test_noises_are_seeded_and_filters_help(kind: str) -> None:
    clean = image(96, 96)
    noisy = classical_filters.corrupt(clean, kind, 40, 3)
    assert np.array_equal(noisy, classical_filters.corrupt(clean, kind, 40, 3))
    assert noisy.min() >= 0 and noisy.max() <= 1 and 0.001 < np.abs(noisy - clean).mean() < 0.3
    if kind == "Salt and pepper":
        assert (
            image_metrics.psnr(classical_filters.best("Median", noisy, clean)[0], clean)
            > image_metrics.psnr(noisy, clean) + 5
        )


@pytest.mark.parametrize("name", classical_filters.FILTERS)
def test_every_filter_takes_noise_away(name: str) -> None:
    clean = image(96, 96)
    noisy = classical_filters.corrupt(clean, "Gaussian", 25, 0)
    assert (
        image_metrics.psnr(classical_filters.best(name, noisy, clean)[0], clean)
        > image_metrics.psnr(noisy, clean) + 2
    )


@pytest.mark.parametrize("quality_", [5, 10, 50, 75, 95])
def test_jpeg_quality_of_a_file(tmp_path: Path, quality_: int) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(hostile.scene()).save(path, quality=quality_)
    assert jpeg_quality(path) == quality_ and jpeg_quality(path.read_bytes()) == quality_
    assert jpeg_quality(hostile.good_png(tmp_path)) is None and jpeg_quality(None) is None


def test_enlarged_is_pils_bicubic() -> None:
    """The same kernel, a = -0.5, so that bicubic figures are those of the papers."""
    x = (image(30, 40) * 255).round().astype(np.uint8)
    theirs = np.asarray(
        Image.fromarray(x.astype(np.float32)).resize((120, 90), Image.Resampling.BICUBIC)
    )
    np.testing.assert_allclose(enlarged(x.astype(np.float32), 3), theirs, atol=1e-2)


def test_grey_is_recognised() -> None:
    assert to_array(np.zeros((10, 12, 3), np.uint8)).shape == (10, 12)
    assert to_array(hostile.scene()).shape == (96, 128, 3)
