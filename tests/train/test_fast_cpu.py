"""Faster fine-tuning on CPUs changes no number: gradients and frozen parts are the reference's."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.core import openvino
from tasks.networks.efficientnet_lite import EfficientNetLite
from train.common import fast_cpu
from train.common.batch_norm_folding import fold
from train.loop import Recipe, Trainer
from train.photos.plans import Plan


def gradients(convolution: nn.Conv2d, x: Tensor) -> list[Tensor]:
    x = x.clone().requires_grad_()
    y = convolution(x)
    weighted = (y * torch.linspace(-1, 1, y.numel()).view_as(y)).sum()
    return list(torch.autograd.grad(weighted, [x, *convolution.parameters()]))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(3, 6, 10, 10), (2, 4, 5, 7), (1, 8, 2, 3)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_depthwise_convolution_s_gradients(
    bias: bool, shape: tuple[int, ...], layout: torch.memory_format
) -> None:
    torch.manual_seed(0)
    channels = shape[1]
    convolution = nn.Conv2d(channels, channels, 5, padding=2, groups=channels, bias=bias).double()
    x = torch.randn(shape, dtype=torch.float64).to(memory_format=layout)
    y, expected = convolution(x), gradients(convolution, x)
    fast_cpu.use_fast_depthwise(convolution)
    assert isinstance(convolution, fast_cpu.DepthwiseConv2d)
    torch.testing.assert_close(convolution(x), y)
    for ours, theirs in zip(gradients(convolution, x), expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_frozen_kernels_get_no_gradient() -> None:
    convolution = nn.Conv2d(4, 4, 5, padding=2, groups=4)
    fast_cpu.use_fast_depthwise(convolution)
    convolution.weight.requires_grad_(False)
    convolution(torch.randn(1, 4, 6, 6)).sum().backward()
    assert (
        convolution.weight.grad is None
        and convolution.bias is not None
        and convolution.bias.grad is not None
    )


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (5, 1), (5, 2)])
def test_depthwise_stays_in_float32_where_all_else_is_bf16(kernel: int, stride: int) -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(4, 4, kernel, stride, padding=kernel // 2, groups=4)
    x = torch.randn(1, 4, 6, 6)
    expected = convolution(x)
    fast_cpu.use_fast_depthwise(convolution)
    with torch.autocast("cpu", torch.bfloat16):
        y = convolution(x)
        assert convolution(x.bfloat16()).dtype == torch.float32
    torch.testing.assert_close(y, expected)
    y.sum().backward()
    assert convolution.weight.grad is not None


def test_other_processors_compute_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_cpu._Depthwise, "apply", None)
    convolution = nn.Conv2d(4, 4, 5, padding=2, groups=4)
    fast_cpu.use_fast_depthwise(convolution)
    x = torch.randn(1, 4, 6, 6)
    assert convolution.to("meta")(x.to("meta")).shape == x.shape


@pytest.mark.parametrize(
    "other",
    [
        nn.Conv2d(4, 8, 5, padding=2, groups=4),
        nn.Conv2d(4, 4, 5, padding=2, dilation=2, groups=4),
        nn.Conv2d(4, 4, 5, padding=2, padding_mode="reflect", groups=4),
        nn.Conv2d(4, 4, 5, padding=2),
    ],
    ids=str,
)
def test_other_convolutions_stay_as_they_are(other: nn.Conv2d) -> None:
    fast_cpu.use_fast_depthwise(other)
    assert type(other) is nn.Conv2d


def test_a_network_keeps_its_parameters_and_its_function() -> None:
    torch.manual_seed(0)
    network = EfficientNetLite(10).eval()
    x, names = torch.randn(2, 3, 64, 64), list(network.state_dict())
    with torch.inference_mode():
        before = network(x)
        fast_cpu.use_fast_depthwise(network)
        torch.testing.assert_close(network(x), before)
    assert list(network.state_dict()) == names
    assert sum(isinstance(module, fast_cpu.DepthwiseConv2d) for module in network.modules()) == 12


@pytest.mark.parametrize("library", [True, False], ids=["OpenVINO", "PyTorch"])
@pytest.mark.parametrize("stages", [0, 3])
def test_a_frozen_part_computes_what_it_did(
    library: bool, stages: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also at a second size; no result is overwritten by the next batch."""
    if library and not openvino.is_installed():
        pytest.skip("openvino is not installed")
    monkeypatch.setattr(openvino, "is_installed", lambda: library)
    torch.manual_seed(0)
    network = EfficientNetLite(10).eval()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    fold(network, Plan.folded)
    network.first(stages).requires_grad_(False)
    begin = fast_cpu.frozen(network.first(stages))
    for size in (64, 96):
        x, other = torch.randn(2, 2, 3, size, size).unbind()
        ours = begin(x)
        begin(other)
        with torch.no_grad():
            expected = network.first(stages)(x)
            torch.testing.assert_close(ours, expected, atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(network(ours, stages), network(x), atol=1e-4, rtol=1e-4)
        assert not ours.requires_grad and ours.shape == expected.shape


def test_a_batch_is_prepared_once_a_step(tmp_path: Path) -> None:
    """Although a sharpness-aware step has two passes with the same numbers and dropout."""
    came: list[Tensor] = []
    draws: list[float] = []
    prepared = 0

    def prepare(batch: Tensor) -> Tensor:
        nonlocal prepared
        prepared += 1
        return batch + torch.rand(())

    def loss(model: nn.Module, batch: Tensor) -> Tensor:
        came.append(batch)
        draws.append(float(torch.rand(())))
        return F.mse_loss(model(batch), batch)

    recipe = Recipe(steps=3, batch=4, lr=0.1, bf16=False, sam_rho=0.1)
    network = nn.Linear(2, 2)
    trainer = Trainer(network, lambda at: torch.ones(4, 2), loss, recipe, tmp_path, prepare=prepare)
    assert list(trainer.steps()) == [1, 2, 3]
    assert prepared == 3 and len(came) == 6
    for i in range(0, 6, 2):
        assert torch.equal(came[i], came[i + 1]) and draws[i] == draws[i + 1]
    assert not torch.equal(came[0], came[2]) and not torch.equal(came[0], torch.ones(4, 2))
