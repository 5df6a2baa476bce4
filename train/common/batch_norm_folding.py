"""Batch norms folded into the convolutions before them, and written out again.

Fine-tuned so, a network starts from the features that ImageNet's statistics gave. Those of enlarged
32 px photos differ so much that normalising by them costs 18 points of accuracy at the start
(LOG.md). Later norms follow the batch: they cost little time there and make it generalise.
"""

import math
from typing import TypeVar

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tasks.networks.efficientnet_lite import STAGES, EfficientNetLite

Network = TypeVar("Network", bound=nn.Module)


def fold(network: EfficientNetLite, stages: int) -> None:
    """Fold the batch norms of the stem and of the first `stages`, as they are.

    An `nn.Identity` takes the place of each. With all stages the neck's is folded, too.
    """
    network.eval()
    neck = [network.neck] if stages == len(STAGES) else []
    for part in (network.stem, *network.stages[:stages], *neck):
        for path in (module for module in part.modules() if isinstance(module, nn.Sequential)):
            for i, norm in enumerate(path):
                convolution = path[i - 1]
                if isinstance(norm, nn.BatchNorm2d) and isinstance(convolution, nn.Conv2d):
                    path[i - 1], path[i] = fuse_conv_bn_eval(convolution, norm), nn.Identity()
    network.requires_grad_()  # the new biases come without


def unfold(folded: nn.Module, empty: Network) -> Network:
    """Give `empty`, which has all batch norms, the function of `folded`, and return it.

    A folded norm gets mean 0, variance 1 (exact in fp16), scale 1 and the bias of the convolution.
    """
    state = empty.state_dict() | folded.state_dict()
    for name, norm in empty.named_modules():
        if not isinstance(norm, _BatchNorm):
            continue
        path, _, i = name.rpartition(".")
        convolution = f"{path}.{int(i) - 1}"
        bias = state.pop(f"{convolution}.bias", None)
        if bias is not None:
            scale = math.sqrt(1 + norm.eps)
            state[f"{convolution}.weight"] = state[f"{convolution}.weight"] * scale
            state[f"{name}.bias"] = bias
    empty.load_state_dict(state)
    return empty.eval()
