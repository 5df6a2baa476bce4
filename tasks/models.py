"""The catalogue: every model of the app, by name. Without torch.

The page lists models from here before torch is imported; handlers look their files up here;
`tasks.loaders` loads them.
"""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tasks.core import downloads, weights


@dataclass(frozen=True)
class Download:
    """Weights that a library downloads on first use."""

    title: str
    megabytes: int

    @property
    def offer(self) -> str:
        """ "VGG-16, 528 MB on first use"."""
        return f"{self.title}, {self.megabytes} MB on first use"


@dataclass(frozen=True)
class CheckedFile:
    """A file that is downloaded on first use; its name here has the start of its SHA-256."""

    url: str
    name: str
    bytes: int


@dataclass(frozen=True)
class CamLayer:
    """The layer whose output Grad-CAM weighs, and where its positions lie in the network's
    input."""

    name: str
    first: float = 0.0  # px of the first position's centre; padding moves it
    step: int = 32  # px between positions


@dataclass(frozen=True)
class ImageNetModel(Download):
    """A classifier of torchvision's, trained on ImageNet-1k."""

    cam: CamLayer


@dataclass(frozen=True)
class BundledPhotoModel:
    """Networks of `train/photos` in `weights/`; the logits of several are averaged."""

    title: str
    members: tuple[str, ...]


@dataclass(frozen=True)
class TorchvisionModel(Download):
    """A detector or segmentation network of torchvision's, trained on COCO."""

    weights: str  # torchvision's enumeration that has its weights
    about: str = ""  # one line: what sets it apart
    objects: bool = False  # finds single objects, with a mask each


IMAGENET = "imagenet"
"""The bundled photo model of ImageNet's 1000 classes: `tasks.classification.imagenet`."""
CIFAR10 = "CIFAR-10"  # whose ten classes the bundled photo models know
LITE_CAM = CamLayer("together", first=31)
IMAGENET_CAM = CamLayer("members.0.neck", first=31)  # before pooling: the class activation map
PHOTO_MODELS = {
    "cifar10": BundledPhotoModel("EfficientNet-Lite0 + Lite2", ("photos", "photos_lite2")),
    "cifar10_lite0": BundledPhotoModel("EfficientNet-Lite0", ("photos",)),
    "cifar10_lite2": BundledPhotoModel("EfficientNet-Lite2", ("photos_lite2",)),
}
IMAGENET_MODELS = {
    "efficientnet_b0": ImageNetModel("EfficientNet-B0", 21, CamLayer("features")),
    "efficientnet_v2_s": ImageNetModel("EfficientNetV2-S", 83, CamLayer("features")),
    "resnet50": ImageNetModel("ResNet-50", 98, CamLayer("layer4")),
    "vgg16": ImageNetModel("VGG-16", 528, CamLayer("features", first=15.5)),
}

BUNDLED_DETECTORS = {"everyday": "Everyday objects", "digits": "Handwritten digits"}
"""Name for `Detector.load` -> title."""
DETECTOR_FILES = {"everyday": "everyday", "digits": "detector"}
"""Name for `Detector.load` -> name of its card."""
COCO_DETECTORS = {
    "yolo11n": Download("YOLO11n", 5),
    "yolo26n": Download("YOLO26n", 5),
    "yolo11s": Download("YOLO11s", 19),
    "yolo26s": Download("YOLO26s", 20),
    "yolo11m": Download("YOLO11m", 39),
    "yolo26m": Download("YOLO26m", 42),
}
"""Ultralytics' detectors of COCO's 80 classes, by name of the file they are downloaded as."""
OPEN_VOCABULARY = "yolov8s-worldv2"
"""The detector of what is typed: name for `Detector.load`, which then needs `words`."""
_CLIP = (
    "https://huggingface.co/openai/clip-vit-base-patch32/resolve/"
    "b33cedfd0df4e43b8238760678fcc89e1a0d38b3/"  # the commit with safetensors
)
OPEN_VOCABULARY_FILES = {
    "detector": CheckedFile(
        "https://github.com/ultralytics/assets/releases/download/v8.3.0/yolov8s-worldv2.pt",
        "yolov8s-worldv2-9b2c17ab6124a913e9b3a5c170617920.pt",
        25_923_032,
    ),
    "text_encoder": CheckedFile(
        f"{_CLIP}model.safetensors",
        "clip-vit-base-patch32-99d28a652e6ec46629ab7047a0ac82c6.safetensors",
        605_157_884,
    ),
    "tokenizer": CheckedFile(
        f"{_CLIP}tokenizer.json",
        "clip-vit-base-patch32-b556ac8c99757ffb677208af34bc8c67.json",
        2_224_041,
    ),
}
FETCHED = "yolo11n"
"""Of COCO_DETECTORS, the one that is fetched at the start where a network is reachable."""
PRELOADED = weights.ROOT / "preloaded"
"""Weights that were downloaded when the app's image was built (Dockerfile)."""
TORCHVISION_DETECTORS = {
    "ssdlite320_mobilenet_v3_large": TorchvisionModel(
        "SSDlite · MobileNetV3",
        13,
        "SSDLite320_MobileNet_V3_Large_Weights",
        "one pass, anchor boxes of fixed shapes, made for phones",
    ),
    "ssd300_vgg16": TorchvisionModel(
        "SSD300 · VGG-16", 136, "SSD300_VGG16_Weights", "one pass, anchor boxes at six scales"
    ),
    "fasterrcnn_resnet50_fpn_v2": TorchvisionModel(
        "Faster R-CNN · ResNet-50",
        167,
        "FasterRCNN_ResNet50_FPN_V2_Weights",
        "two passes: propose regions, then classify each of them",
    ),
}

SEGMENTERS = {
    "segmentation": "U-Net on EfficientNet-Lite0",
    "segmentation_unet": "Textbook U-Net, from random weights",
}
"""Bundled segmentation networks, by name of their card -> title."""
TORCHVISION_SEGMENTERS = {
    "lraspp_mobilenet_v3_large": TorchvisionModel(
        "LRASPP · MobileNetV3", 12, "LRASPP_MobileNet_V3_Large_Weights"
    ),
    "deeplabv3_mobilenet_v3_large": TorchvisionModel(
        "DeepLabV3 · MobileNetV3", 42, "DeepLabV3_MobileNet_V3_Large_Weights"
    ),
    "fcn_resnet50": TorchvisionModel("FCN · ResNet-50", 135, "FCN_ResNet50_Weights"),
    "deeplabv3_resnet50": TorchvisionModel(
        "DeepLabV3 · ResNet-50", 161, "DeepLabV3_ResNet50_Weights"
    ),
    "maskrcnn_resnet50_fpn_v2": TorchvisionModel(
        "Mask R-CNN · ResNet-50", 177, "MaskRCNN_ResNet50_FPN_V2_Weights", objects=True
    ),
}


def own_detector() -> Path | None:
    """YOLO weights of whoever runs the app: IMAGE_LAB_YOLO, a .pt file or an OpenVINO folder."""
    path = os.environ.get("IMAGE_LAB_YOLO")
    return Path(path) if path else None


def yolo_cache() -> Path:
    """Where downloaded YOLO weights are kept.

    IMAGE_LAB_CACHE, else `image-lab` in the user's cache; on a Space the temp folder.
    """
    if "IMAGE_LAB_CACHE" in os.environ:
        return Path(os.environ["IMAGE_LAB_CACHE"])
    if "SPACE_ID" in os.environ:
        return Path(tempfile.gettempdir()) / "image-lab"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "image-lab"


def is_downloaded(name: str) -> bool:
    """Whether one of COCO_DETECTORS is on this machine."""
    return name in COCO_DETECTORS and any(
        (folder / f"{name}.pt").is_file() for folder in (yolo_cache(), PRELOADED)
    )


def missing_files() -> list[str]:
    """Keys of OPEN_VOCABULARY_FILES that are not on this machine."""
    files = OPEN_VOCABULARY_FILES.items()
    return [key for key, file in files if not (yolo_cache() / file.name).is_file()]


def open_vocabulary_state() -> tuple[str, bool]:
    """(a sentence on what must be downloaded, "" for nothing; whether the detector can be used)."""
    missing = missing_files()
    if not missing:
        return "", True
    sizes = {key: OPEN_VOCABULARY_FILES[key].bytes / 2**20 for key in missing}
    words = sizes.get("text_encoder", 0.0) + sizes.get("tokenizer", 0.0)
    parts = [f"YOLO-World, {sizes['detector']:.0f} MB"] if "detector" in sizes else []
    parts += [f"CLIP, which reads the words, {words:.0f} MB"] if words else []
    what = " and ".join(parts)
    if downloads.is_reachable() is False:
        return f"Not here, and no network to download it: {what}. The other models work.", False
    return f"The first search downloads {what}.", True


def detector_choices() -> list[dict[str, str | bool]]:
    """What the page offers, in its order; the first is the default.

    {"name", "title", "bundled", "download": whether it must be downloaded first, "offline": whether
    that is known to be impossible}.
    """
    offered: list[dict[str, str | bool]] = []

    def offer(name: str, title: str, bundled: bool = False, download: bool = False) -> None:
        offline = download and downloads.is_reachable() is False
        text = f"{title} · not here, and no network" if offline else title
        row: dict[str, str | bool] = {"name": name, "title": text, "bundled": bundled}
        offered.append(row | {"download": download, "offline": offline})

    own = own_detector()
    if own is not None:
        offer("own", f"{own.stem.removesuffix('_openvino_model')} · this server's own")
    here = {name for name in COCO_DETECTORS if is_downloaded(name)}
    if FETCHED in here:
        offer(FETCHED, f"{COCO_DETECTORS[FETCHED].title} · COCO, here")
    for name, title in BUNDLED_DETECTORS.items():
        if (weights.FOLDER / f"{DETECTOR_FILES[name]}.json").is_file():
            offer(name, f"{title} · bundled", bundled=True)
    for name, model in COCO_DETECTORS.items():
        if name in here and name != FETCHED:
            offer(name, f"{model.title} · COCO, here")
        elif name not in here:
            what = f"{model.title} · COCO, {model.megabytes} MB on first use"
            offer(name, what, download=True)
    return offered


def segmenter_choices() -> list[tuple[str, str]]:
    """(title, name) of the networks whose cards are here; else the first: its loading says why."""
    here = [
        (f"{title} · bundled", name)
        for name, title in SEGMENTERS.items()
        if (weights.FOLDER / f"{name}.json").is_file()
    ]
    return here or [(f"{SEGMENTERS['segmentation']} · bundled", "segmentation")]


def title_of(choices: Mapping[str, Download], name: str) -> str:
    """The title of a model in one of the tables above, else the name itself."""
    return choices[name].title if name in choices else name
