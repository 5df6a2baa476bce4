"""The everyday detector as an Ultralytics model: EfficientNet-Lite0, a pyramid, YOLO11's head.

Tan and Le 2019 (arXiv 1905.11946), the Lite variant; Liu et al. 2018 (PANet, arXiv 1803.01534);
Jocher and Qiu 2024 (YOLO11's C3k2, SPPF and Detect). The checkpoint refers to classes of `torch.nn`
and `ultralytics.nn` only: `YOLO(path)` reads it wherever Ultralytics is installed, in its safe mode
too, and our own files may be renamed.
"""

import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tasks.networks.efficientnet_lite import (
    LITE_MEAN,
    LITE_STD,
    EfficientNetLite,
    HalvingConv2d,
    InvertedResidual,
)

if TYPE_CHECKING:
    from ultralytics.nn.tasks import DetectionModel

GAINS = {
    "box": 7.5,
    "cls": 0.5,
    "dfl": 1.5,
}  # Ultralytics' defaults for the three parts of the loss
PARTS = (
    (0, 3),
    (3, 5),
    (5, 6),
)  # stages of EfficientNet-Lite0 that end at strides 8, 16, 32; the last is left out
WIDTHS = (40, 112, 192)  # channels there
DISTANCES = (
    12  # of the distribution over the distance of a box's side, in strides: objects up to 704 px
)
P3, P4, P5 = 64, 96, 128  # channels of the pyramid at strides 8, 16, 32


def pyramid() -> dict[str, Any]:
    """The model in Ultralytics' yaml; its first three layers are placeholders of the backbone."""
    return {
        "nc": 80,
        "reg_max": DISTANCES,
        "backbone": [
            [-1, 1, "Conv", [WIDTHS[0], 3, 8]],  # 0
            [-1, 1, "Conv", [WIDTHS[1], 3, 2]],  # 1
            [-1, 1, "Conv", [WIDTHS[2], 3, 2]],  # 2
        ],
        "head": [
            [-1, 1, "SPPF", [P5, 5]],  # 3
            [1, 1, "Conv", [P4, 1, 1]],  # 4: brings the backbone's maps to the pyramid's scale
            [0, 1, "Conv", [P3, 1, 1]],  # 5
            [3, 1, "nn.Upsample", [None, 2, "nearest"]],
            [[-1, 4], 1, "Concat", [1]],
            [-1, 1, "C3k2", [P4, False]],  # 8
            [-1, 1, "nn.Upsample", [None, 2, "nearest"]],
            [[-1, 5], 1, "Concat", [1]],
            [-1, 1, "C3k2", [P3, False]],  # 11: stride 8
            [-1, 1, "Conv", [P3, 3, 2]],
            [[-1, 8], 1, "Concat", [1]],
            [-1, 1, "C3k2", [P4, False]],  # 14: stride 16
            [-1, 1, "Conv", [P4, 3, 2]],
            [[-1, 3], 1, "Concat", [1]],
            [-1, 1, "C3k2", [P5, False]],  # 17: stride 32
            [[11, 14, 17], 1, "Detect", ["nc"]],
        ],
    }


def new_network(names: dict[int, str]) -> "DetectionModel":
    """The detector with random weights; the backbone has its batch norms folded."""
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    from ultralytics.nn.tasks import DetectionModel

    network = DetectionModel(pyramid(), nc=len(names), verbose=False)
    for i, part in enumerate(backbone_parts(EfficientNetLite().eval())):
        place: Any = network.model[i]
        for name in ("i", "f"):
            setattr(part, name, getattr(place, name))
        part.type = "EfficientNet-Lite0"  # type: ignore[assignment]
        part.np = sum(p.numel() for p in part.parameters())  # type: ignore[assignment]
        network.model[i] = part
    network.args = SimpleNamespace(**GAINS)  # type: ignore[assignment]  # read by its loss
    network.names = names
    return network


def backbone_parts(backbone: EfficientNetLite) -> list[nn.Sequential]:
    """Stem and stages in three parts that end at strides 8, 16, 32.

    They take images in [0, 1], as YOLO does, where the backbone takes [-1, 1].
    """
    stem = folded(backbone.stem)
    padding, convolution = stem[0], stem[1]
    assert isinstance(convolution, nn.Conv2d) and convolution.bias is not None
    with torch.no_grad():
        convolution.bias -= convolution.weight.sum((1, 2, 3)) * (LITE_MEAN / LITE_STD)
        convolution.weight /= LITE_STD
    stem[0] = nn.ConstantPad2d(padding.padding, LITE_MEAN)  # type: ignore[arg-type]  # 0 after the normalisation
    stages = [nn.Sequential(*(_block(block) for block in stage)) for stage in backbone.stages]  # type: ignore[arg-type,union-attr]
    parts = [nn.Sequential(*stages[first:last]) for first, last in PARTS]
    parts[0].insert(0, stem)
    return parts


def _block(block: InvertedResidual) -> nn.Module:
    from ultralytics.nn.modules.block import Residual

    path = folded(block.block)
    if not block.residual:
        return path
    residual = Residual.__new__(Residual)  # its own __init__ wants another kind of path
    nn.Module.__init__(residual)
    residual.m = path
    return residual


def folded(path: nn.Sequential) -> nn.Sequential:
    """The same function, batch norms as they are put into the convolutions before them."""
    layers: list[nn.Module] = []
    for module in path:
        if isinstance(module, nn.BatchNorm2d):
            convolution = layers.pop()
            assert isinstance(convolution, nn.Conv2d)
            layers.append(fuse_conv_bn_eval(convolution.eval(), module.eval()))
        elif isinstance(module, HalvingConv2d):
            before, after = (module.kernel_size[0] - 2) // 2, (module.kernel_size[0] - 1) // 2
            plain = nn.Conv2d(
                module.in_channels,
                module.out_channels,
                module.kernel_size,
                2,
                groups=module.groups,
                bias=False,
            )  # type: ignore[arg-type]
            plain.load_state_dict(module.state_dict())
            layers += [nn.ZeroPad2d((before, after, before, after)), plain]
        else:
            layers.append(module)
    return nn.Sequential(*layers).requires_grad_()


def load_backbone(network: "DetectionModel", backbone: EfficientNetLite) -> None:
    """Copy a backbone with its batch norms folded, ImageNet's, into the detector."""
    with torch.no_grad():
        for place, part in zip(network.model[:3], backbone_parts(backbone.eval()), strict=True):
            place.load_state_dict(part.state_dict())


class FromStride8(nn.Module):
    """The part of a detector that is trained, as a module that `accelerate` can spread.

    Takes the maps that the first part, which is not trained, makes of a batch.
    """

    def __init__(self, detector: "DetectionModel"):
        super().__init__()
        self.detector = detector

    def forward(self, maps: Tensor) -> Any:  # (B, 40, H / 8, W / 8)
        kept = [maps]  # of every layer, as Ultralytics' own loop has it
        x: Any = maps
        layers: Any = self.detector.model[1:]
        for layer in layers:
            if layer.f != -1:
                several = not isinstance(layer.f, int)
                x = [x if j == -1 else kept[j] for j in layer.f] if several else kept[layer.f]
            x = layer(x)
            kept.append(x)
        return x


def coco_names() -> dict[int, str]:
    """COCO's 80 classes by number, as Ultralytics writes them."""
    import yaml
    from ultralytics.utils import ROOT

    about = yaml.safe_load((ROOT / "cfg" / "datasets" / "coco.yaml").read_text(encoding="utf-8"))
    return {int(i): str(name) for i, name in about["names"].items()}
