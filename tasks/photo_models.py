"""The photo classifiers that there are. Without torch: the page lists them before it is loaded."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CamLayer:
    """The last layer with positions, whose output Grad-CAM weighs, and where in the network's input they lie."""

    name: str
    first: float = 0.0  # px of the first position's centre: what the padding on the way makes of it
    step: int = 32  # px between positions


@dataclass(frozen=True)
class ImageNetModel:
    """A network of torchvision's that can be had by download."""

    title: str
    megabytes: int
    cam: CamLayer


IMAGENET_MODELS = {
    "efficientnet_b0": ImageNetModel("EfficientNet-B0", 21, CamLayer("features")),
    "efficientnet_v2_s": ImageNetModel("EfficientNetV2-S", 83, CamLayer("features")),
    "resnet50": ImageNetModel("ResNet-50", 98, CamLayer("layer4")),
    "vgg16": ImageNetModel("VGG-16", 528, CamLayer("features", first=15.5)),
}


@dataclass(frozen=True)
class BundledModel:
    """Networks of `train/photos.py` in `weights/`; of several the logits are averaged."""

    title: str
    members: tuple[str, ...]


BUNDLED_MODELS = {
    "cifar10": BundledModel("EfficientNet-Lite0 + Lite2", ("photos", "photos_lite2")),
    "cifar10_lite0": BundledModel("EfficientNet-Lite0", ("photos",)),
    "cifar10_lite2": BundledModel("EfficientNet-Lite2", ("photos_lite2",)),
}
CIFAR10 = "CIFAR-10"  # whose ten classes the bundled ones know
LITE_CAM = CamLayer("together", first=31)
