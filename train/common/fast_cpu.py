"""Faster fine-tuning on CPUs: frozen parts by OpenVINO, depthwise convolutions in float32 where all
else is bf16, the gradients of 5x5 ones by F.conv2d."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_input

from tasks.core import device, openvino


class _Depthwise(torch.autograd.Function):
    """Depthwise convolution whose kernel gradient is a convolution of the maps, too.

    oneDNN's takes two to three times as long where kernels are 5x5 and maps small (LOG.md).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.padding = padding
        return F.conv2d(x, weight, bias, padding=padding, groups=len(weight))

    @staticmethod
    def backward(
        ctx: Any, gradient: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:  # type: ignore[override]
        x, weight = ctx.saved_tensors
        b, c, h, w = x.shape
        wants_x, wants_weight, wants_bias, _ = ctx.needs_input_grad
        of_x = of_weight = None
        if wants_x:
            of_x = conv2d_input(x.shape, weight, gradient, padding=ctx.padding, groups=c)
        if wants_weight:
            maps, kernels = x.reshape(1, b * c, h, w), gradient.reshape(b * c, 1, h, w)
            each = F.conv2d(maps, kernels, padding=ctx.padding, groups=b * c)  # (1, B C, k, k)
            of_weight = each.view(b, *weight.shape).sum(0)
        return of_x, of_weight, gradient.sum((0, 2, 3)) if wants_bias else None, None


class DepthwiseConv2d(nn.Conv2d):
    """Fast in training on CPUs: never in bf16, where its gradients take twice as long (LOG.md)."""

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            return super().forward(x)
        x = x.float() if x.dtype == torch.bfloat16 else x
        with torch.autocast("cpu", enabled=False):
            if self.kernel_size == (5, 5) and self.stride == (1, 1) and self.padding == (2, 2):
                y: Tensor = _Depthwise.apply(x, self.weight, self.bias, 2)
                return y
            return super().forward(x)


def use_fast_depthwise(network: nn.Module) -> None:
    """Turn depthwise convolutions into `DepthwiseConv2d`, with their weights."""
    for module in network.modules():
        if (
            type(module) is nn.Conv2d
            and module.groups == module.in_channels == module.out_channels > 1
            and (module.dilation, module.padding_mode) == ((1, 1), "zeros")
        ):
            module.__class__ = DepthwiseConv2d


def frozen(part: nn.Module, bf16: bool = False) -> Callable[[Tensor], Tensor]:
    """A part that is not trained, float32 -> float32; on CPUs by OpenVINO, compiled per shape.

    Args:
        bf16: compute in bf16 inside, where that is native.
    """
    compiled: dict[torch.Size, Any] = {}

    @torch.no_grad()
    def computed(x: Tensor) -> Tensor:
        if x.device.type != "cpu" or not openvino.is_installed():
            y: Tensor = part(x)
            return y
        if x.shape not in compiled:
            model = openvino.convert(part, torch.zeros_like(x))
            model.reshape(list(x.shape))
            how = {
                "INFERENCE_NUM_THREADS": torch.get_num_threads(),
                "INFERENCE_PRECISION_HINT": "bf16" if bf16 and device.bf16_is_native() else "f32",
            }
            compiled[x.shape] = (
                openvino.library().Core().compile_model(model, "CPU", how).create_infer_request()
            )
        found = compiled[x.shape].infer([x.contiguous().numpy()], share_inputs=True)[0]
        return torch.from_numpy(found).contiguous(memory_format=torch.channels_last)

    return computed
