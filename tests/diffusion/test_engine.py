"""Diffusion by OpenVINO: the network's own numbers for any batch; networks traced at one time."""

import threading
from typing import Any

import numpy as np
import pytest
import torch

from tasks.core import device, openvino
from tasks.diffusion import engine as diffusion_engine
from tasks.diffusion.engine import PIECE, OpenVinoUNet
from tasks.diffusion.generator import DiffusionGenerator
from tasks.networks.diffusion_unet import DiffusionUNet
from tasks.segmentation.engines import OpenVinoEngine
from tests.diffusion.test_generator import CONFIG, card

pytestmark = pytest.mark.skipif(not openvino.is_installed(), reason="OpenVINO is not installed")


@pytest.fixture(scope="module")
def network() -> DiffusionUNet:
    torch.manual_seed(0)
    return DiffusionUNet(**CONFIG).eval()  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def engine(network: DiffusionUNet) -> OpenVinoUNet:
    return OpenVinoUNet(network, 1, 28)


def batch(n: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(n)
    return torch.randn(n, 1, 28, 28), torch.randint(0, 1000, (n,)), torch.arange(n) % 11


@pytest.mark.parametrize("n", [1, PIECE, 2 * PIECE, 2 * PIECE + 1, 3 * PIECE, 5 * PIECE - 1])
@torch.inference_mode()
def test_every_batch_comes_out_as_from_the_network(
    n: int, network: DiffusionUNet, engine: OpenVinoUNet
) -> None:
    x = batch(n)
    torch.testing.assert_close(engine(*x), network(*x), atol=2e-5, rtol=1e-4)


@torch.inference_mode()
def test_only_what_is_left_over_goes_to_the_network(
    network: DiffusionUNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, seen = OpenVinoUNet(network, 1, 28), []

    def counted(x: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        seen.append(len(x))
        out: torch.Tensor = network(x, *others)
        return out

    monkeypatch.setattr(engine, "network", counted)
    for n in (1, 2 * PIECE, 2 * PIECE + 3):
        engine(*batch(n))
    assert seen == [1, 3]


@torch.inference_mode()
def test_strided_images_and_two_threads_at_once(
    network: DiffusionUNet, engine: OpenVinoUNet
) -> None:
    x, t, label = batch(4 * PIECE)
    every_other = x.to(memory_format=torch.channels_last)[::2], t[::2], label[::2]
    wanted, found = network(*every_other), []
    threads = [
        threading.Thread(target=lambda: found.append(engine(*every_other))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for one in found:
        torch.testing.assert_close(one, wanted, atol=2e-5, rtol=1e-4)


def test_the_fast_engine_generates_the_same_images(
    network: DiffusionUNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "bf16_is_native", lambda: False)
    plain, quick = (DiffusionGenerator(network, card()) for _ in range(2))
    quick.use_fast_engine()
    assert isinstance(quick.engine, OpenVinoUNet) and plain.engine is network
    labels = [k % 10 for k in range(16)]
    for guidance in (1.0, 2.0):
        ours, theirs = (
            [*g.steps(16, 3, labels, n_steps=5, guidance=guidance)][-1] for g in (quick, plain)
        )
        np.testing.assert_allclose(ours.x_t, theirs.x_t, atol=2e-3)
    *_, alone = quick.steps(1, 3, labels[0], n_steps=5, guidance=2.0)
    np.testing.assert_allclose(alone.x_t[0], ours.x_t[0], atol=2e-3)


@pytest.mark.parametrize("without", ["OpenVINO", "fp32"])
def test_it_is_left_out_where_it_is_slower(
    without: str, network: DiffusionUNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino, "is_installed", lambda: without != "OpenVINO")
    monkeypatch.setattr(device, "bf16_is_native", lambda: without == "fp32")
    assert not diffusion_engine.is_faster()
    generator = DiffusionGenerator(network, card())
    generator.use_fast_engine()
    assert generator.engine is network


class _Road(torch.nn.Module):
    """What a segmentation network takes and gives."""

    def __init__(self, depth: int):
        super().__init__()
        layers = (torch.nn.Conv2d(8, 8, 3, padding=1) for _ in range(depth))
        self.layers = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 1), *layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.layers(x)
        return out


def test_networks_that_visitors_ask_for_at_once_are_all_built(network: DiffusionUNet) -> None:
    """Torch's tracing is not for threads; two tabs opened at the same moment are enough."""
    failed: list[BaseException] = []

    def build(make: Any) -> None:
        try:
            make()
        except BaseException as error:
            failed.append(error)

    for _ in range(2):
        makes = [
            lambda: OpenVinoUNet(network, 1, 28),
            *(lambda: OpenVinoEngine(_Road(30)) for _ in range(3)),
        ]
        threads = [threading.Thread(target=build, args=(make,)) for make in makes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not failed, failed
