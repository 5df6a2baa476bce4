"""What Teach it opens with: three classes taught from crops of a few photos, once per process.

The photos come with the packages gradio and ultralytics. Crops that were not taught are shown with
their answers.
"""

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from tasks import loaders
from tasks.core.model_cache import Lazy
from tasks.ui.image_input import sample_images
from tasks.ui.widget import data_url

if TYPE_CHECKING:
    from tasks.classification.teachable import Report, TeachableClassifier

PHOTOS = {
    "Cheetah": ("gradio", "media_assets/images/cheetah.jpg"),
    "Lion": ("gradio", "media_assets/images/lion.jpg"),
    "Bus": ("ultralytics", "assets/bus.jpg"),
}
"""Class -> (package, file in it)."""
TAUGHT, SHOWN = 8, 2  # crops of each photo
CROP = 0.6, 0.95  # shares of the shorter side
THUMBNAIL = 200  # px


@dataclass(frozen=True)
class Example:
    """A taught classifier, its frames, and images that it was not taught with."""

    classifier: "TeachableClassifier"
    report: "Report"
    frames: tuple[tuple[str, int, str], ...]  # (class, number, JPEG as data URL)
    shown: tuple[tuple[str, str], ...]  # (class, JPEG as data URL)


def crops(photo: Image.Image, n: int, random: np.random.Generator) -> list[Image.Image]:
    """Random squares, every other one mirrored."""
    found = []
    for k in range(n):
        side = int(min(photo.size) * random.uniform(*CROP))
        left, top = (int(random.integers(0, whole - side + 1)) for whole in photo.size)
        crop = photo.crop((left, top, left + side, top + side)).resize((256, 256))
        found.append(crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if k % 2 else crop)
    return found


def _teach() -> Example:
    from tasks.classification.teachable import TeachableClassifier

    classifier, random = TeachableClassifier(loaders.photo_classifier()), np.random.default_rng(0)
    frames, shown = [], []
    for label, photo in PHOTOS.items():
        for path in sample_images((photo,)):
            with Image.open(path) as opened:
                images = crops(opened.convert("RGB"), TAUGHT + SHOWN, random)
            frames += [(label, classifier.add(label, c), _jpeg(c)) for c in images[:TAUGHT]]
            shown += [(label, _jpeg(crop)) for crop in images[TAUGHT:]]
    return Example(
        classifier, classifier.fit(), tuple(frames), tuple(shown[::SHOWN] + shown[1::SHOWN])
    )


def _jpeg(image: Image.Image) -> str:
    buffer = BytesIO()
    image.resize((THUMBNAIL, THUMBNAIL)).save(buffer, "JPEG", quality=85)
    return data_url(buffer.getvalue(), "image/jpeg")


EXAMPLE: Lazy[Example] = Lazy(_teach)
