"""A classifier taught by examples: a linear head on the features of EfficientNet-Lite0.

    pets = TeachableClassifier()
    pets.add("cat", "cat1.jpg"), pets.add("dog", "dog1.jpg"), ...
    pets.fit().accuracy                  of held-out frames
    pets.classify("pet.jpg")             {"cat": 0.98, "dog": 0.02}
    pets.save("pets.safetensors")        TeachableClassifier.load("pets.safetensors")

Transfer learning: the network's 1280 numbers for an image were learned on ImageNet and stay as they
are. An example is forgotten as soon as these are computed; images are neither kept nor saved.
"""

import copy
import hashlib
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tasks.classification import imagenet, linear_head
from tasks.classification.linear_head import LinearHead
from tasks.classification.photos import PhotoClassifier, central_square
from tasks.core import weights
from tasks.core.images import ImageError, ImageLike

MAX_CLASSES = 8
MAX_FRAMES = 500  # of one class
MAX_NAME = 40  # characters of a class's name
FEATURES = 1280
DOUBTFUL = 0.5  # below this held-out probability of its own class a frame is doubtful
FORMAT, VERSION = "image-lab taught classifier", "1"
MAX_BYTES = 1_000_000  # of a saved file; eight classes have 42,000


@dataclass(frozen=True)
class Report:
    """What `fit` found. Frames are named by the numbers that `add` returned.

    Attributes:
        accuracy: share of held-out frames whose class is predicted; None where a class has fewer
            than five frames. Each fifth is held out in turn.
        confusion: int64 (C, C) of the held-out frames; rows: taught class, columns: predicted.
        doubtful: frames whose own class has a held-out probability below one half, worst first.
        same: pairs of frames of two classes that are the same image.
        notes: sentences on what is missing or odd.
    """

    classes: tuple[str, ...]
    counts: tuple[int, ...]
    accuracy: float | None
    confusion: np.ndarray | None
    doubtful: tuple[int, ...] = ()
    same: tuple[tuple[int, int], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass
class _Frames:
    """The examples: number, class, features and the image's hash of each."""

    numbers: list[int] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    features: list[Tensor] = field(default_factory=list)  # (1280,) each
    hashes: list[bytes] = field(default_factory=list)


class TeachableClassifier:
    """Two to eight classes, at most 500 examples each. Not for several threads at once.

    Args:
        backbone: whose features are used; if left out, the bundled ImageNet network, loaded now.
    """

    def __init__(self, backbone: PhotoClassifier | None = None):
        self.backbone = backbone or PhotoClassifier.load()
        self.classes: tuple[str, ...] = ()  # of the head, once there is one
        self.counts: tuple[int, ...] = ()
        self.accuracy: float | None = None
        self.head: LinearHead | None = None
        self._frames, self._next = _Frames(), 0
        self._x = torch.zeros(0, FEATURES)  # fitted frames, centred, of length 1
        self._center = torch.zeros(FEATURES)
        self._plane: Tensor | None = None  # (1280, 2)
        self._fitted: list[int] = []  # numbers of the rows of _x

    def __len__(self) -> int:
        """The number of examples."""
        return len(self._frames.numbers)

    @property
    def numbers(self) -> list[int]:
        """Of all examples."""
        return list(self._frames.numbers)

    # -- teaching ----------------------------------------------------------------------------------

    def add(self, label: str, image: ImageLike) -> int:
        """One example of a class -> its number.

        Raises:
            ImageError: no usable image, a name that cannot be used, too many classes or frames.
        """
        label = check_name(label)
        present = set(self._frames.labels)
        if label not in present and len(present) >= MAX_CLASSES:
            raise ImageError(f"There are {MAX_CLASSES} classes already, the most that work here.")
        if self._frames.labels.count(label) >= MAX_FRAMES:
            raise ImageError(
                f"{label!r} has {MAX_FRAMES} frames, the most that are kept. Remove some first."
            )
        pixels = np.ascontiguousarray(central_square(image))
        features = self.backbone.feature_maps(pixels[None]).mean((2, 3))[0].cpu()
        self._frames.numbers.append(self._next)
        self._frames.labels.append(label)
        self._frames.features.append(features.clone())
        self._frames.hashes.append(hashlib.sha256(pixels.tobytes()).digest())
        self._next += 1
        return self._next - 1

    def remove(self, numbers: Sequence[int]) -> None:
        """Forget these examples; unknown numbers are left out."""
        gone, old = set(numbers), self._frames
        kept = [i for i, number in enumerate(old.numbers) if number not in gone]
        self._frames = _Frames(
            *([part[i] for i in kept] for part in vars(old).values())  # type: ignore[arg-type]
        )

    def rename(self, old: str, new: str) -> None:
        """Another name for a class. Raises ImageError."""
        new = check_name(new)
        if new != old and new in self._frames.labels:
            raise ImageError(f"There is a class {new!r} already. Choose another name.")
        self._frames.labels = [new if name == old else name for name in self._frames.labels]
        self.classes = tuple(new if name == old else name for name in self.classes)

    def fit(self, classes: Sequence[str] | None = None) -> Report:
        """Fit the head on all examples.

        Args:
            classes: all, in their order; those without examples are left out. The taught ones
                in the order in which they came if left out.
        Raises:
            ImageError: fewer than two classes with examples. The head before stays.
        """
        frames = self._frames
        asked = tuple(dict.fromkeys(frames.labels if classes is None else classes))
        names = tuple(name for name in asked if name in frames.labels)
        if len(names) < 2:
            raise ImageError(_too_few(names))
        counts = tuple(frames.labels.count(name) for name in names)
        rows = [i for i, name in enumerate(frames.labels) if name in names]
        x = torch.stack([frames.features[i] for i in rows])
        labels = torch.tensor([names.index(frames.labels[i]) for i in rows])
        fitted = linear_head.fit(x, labels, len(names))
        self.head, self.classes, self.counts = fitted.head, names, counts
        self._remember(x, [frames.numbers[i] for i in rows])
        notes = _empty_notes([name for name in asked if name not in names])
        report = self._report(fitted.held_out, labels, rows, notes)
        self.accuracy = report.accuracy
        return report

    def _remember(self, x: Tensor, numbers: list[int]) -> None:
        """For `nearest` and `places`."""
        self._center, _ = linear_head.center_and_scale(x)
        centred = x - self._center
        self._plane = linear_head.main_plane(centred)
        self._x = nn.functional.normalize(centred, dim=1)
        self._fitted = numbers

    def _report(
        self, held_out: Tensor | None, labels: Tensor, rows: list[int], notes: list[str]
    ) -> Report:
        same = self._same_images(rows)
        if same:
            notes.append(_same_note(len(same)))
        if held_out is None:
            few = min(self.counts)
            notes.append(
                f"Accuracy needs {linear_head.FOLDS} frames in each class, a fifth of which is "
                f"held out; the smallest class has {few}."
            )
            return Report(self.classes, self.counts, None, None, (), same, tuple(notes))
        predicted, n = held_out.argmax(1), len(self.classes)
        confusion = (labels * n + predicted).bincount(minlength=n * n).view(n, n).numpy()
        own = held_out.gather(1, labels[:, None])[:, 0]
        worst = [i for i in own.argsort().tolist() if own[i] < DOUBTFUL]
        numbers = tuple(self._fitted[i] for i in worst)
        accuracy = float((predicted == labels).float().mean())
        return Report(self.classes, self.counts, accuracy, confusion, numbers, same, tuple(notes))

    def _same_images(self, rows: list[int]) -> tuple[tuple[int, int], ...]:
        first: dict[bytes, int] = {}
        pairs = []
        for i in rows:
            j = first.setdefault(self._frames.hashes[i], i)
            if self._frames.labels[i] != self._frames.labels[j]:
                pairs.append((self._frames.numbers[j], self._frames.numbers[i]))
        return tuple(pairs)

    # -- asking ------------------------------------------------------------------------------------

    def classify(self, image: ImageLike) -> dict[str, float]:
        """Probability of each taught class, most probable first.

        Raises:
            ImageError: no usable image; nothing was fitted or loaded yet.
        """
        probabilities = self.probabilities(self.features(image))
        order = np.argsort(-probabilities, kind="stable")
        return {self.classes[i]: float(probabilities[i]) for i in order}

    def features(self, image: ImageLike) -> Tensor:
        """float32 (1280,). Raises ImageError."""
        return self._maps(image).mean((1, 2))

    def probabilities(self, features: Tensor) -> np.ndarray:
        """float32 (C,) in the order of `classes`. Raises ImageError."""
        head = self._need_head()
        probabilities: np.ndarray = (features @ head.weight + head.bias).softmax(0).numpy()
        return probabilities

    def nearest(self, features: Tensor, most: int = 4) -> list[tuple[int, float]]:
        """(number, cosine similarity) of the fitted examples next to an image, nearest first."""
        near = self._x @ nn.functional.normalize(features - self._center, dim=0)
        found = near.topk(min(most, len(near)))
        return [
            (self._fitted[i], float(v))
            for i, v in zip(found.indices.tolist(), found.values, strict=True)
        ]

    def places(self) -> dict[int, tuple[float, float]]:
        """Where each fitted example lies on the plane of the features' main directions."""
        if self._plane is None:
            return {}
        features = dict(zip(self._frames.numbers, self._frames.features, strict=True))
        return {n: self.place(features[n]) for n in self._fitted if n in features}

    def place(self, features: Tensor) -> tuple[float, float]:
        """Where an image lies on that plane; (0, 0) where nothing was fitted here."""
        if self._plane is None:
            return 0.0, 0.0
        x, y = ((features - self._center) @ self._plane).tolist()
        return x, y

    def grad_cam(self, image: ImageLike, label: str) -> np.ndarray:
        """Evidence for `label` over the backbone's `network_view`: float32 (64, 64), 0 to 1.

        Grad-CAM (Selvaraju et al. 2017), which on a linear layer behind a mean is the class
        activation map (Zhou et al. 2016). Raises ImageError.
        """
        head = self._need_head()
        if label not in self.classes:
            raise ImageError(f"{label[:MAX_NAME]!r} is no taught class: {', '.join(self.classes)}.")
        weight = head.weight - head.weight.mean(1, keepdim=True)
        maps = self._maps(image)
        cam = torch.einsum("k,khw->hw", weight[:, self.classes.index(label)], maps).relu()
        return self.backbone.scaled_over_view(cam[None, None], imagenet.CROP)[0]

    def _maps(self, image: ImageLike) -> Tensor:
        return self.backbone.feature_maps(np.asarray(central_square(image))[None])[0].cpu()

    def _need_head(self) -> LinearHead:
        if self.head is None:
            raise ImageError("Nothing is taught yet: give at least two classes some images first.")
        return self.head

    # -- files -------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """One safetensors file with the head and its JSON. Raises ImageError: nothing taught."""
        weights.write_atomically(Path(path), self.to_bytes())

    def to_bytes(self) -> bytes:
        """The file that `save` writes."""
        from safetensors.torch import save as to_bytes

        head = self._need_head()
        about = {
            "classes": self.classes,
            "counts": self.counts,
            "accuracy": self.accuracy,
            "measured": "each fifth of the frames held out in turn",
            "backbone": f"EfficientNet-Lite0, ImageNet, SHA-256 {imagenet.SHA256}",
        }
        tensors = {"weight": head.weight.T.contiguous(), "bias": head.bias.contiguous()}
        texts = {"format": FORMAT, "version": VERSION, "about": json.dumps(about)}
        return to_bytes(tensors, metadata=texts)

    @classmethod
    def load(
        cls, file: str | Path | bytes, backbone: PhotoClassifier | None = None
    ) -> "TeachableClassifier":
        """What `save` wrote, as a path or as its bytes; it has no examples.

        Raises WeightsError: another file or version, damaged.
        """
        head, about = _read(file)
        loaded = cls(backbone)
        loaded.head, loaded.classes = head, tuple(about["classes"])
        loaded.counts, loaded.accuracy = tuple(about["counts"]), about["accuracy"]
        return loaded

    def to_onnx(self) -> bytes:
        """Network and head in one ONNX file: "image" float32 (1, 3, 224, 224) in [0, 1] ->
        "probabilities" (1, C); the classes are in its metadata.

        Raises WeightsError: the package onnx is missing.
        """
        try:
            import onnx
        except ImportError as error:
            raise weights.WeightsError(
                "ONNX needs the package onnx, which is not installed on this server. The "
                "safetensors file works without."
            ) from error
        members: Any = self.backbone.network.members
        network = _Whole(copy.deepcopy(members[0]).cpu(), self._need_head()).eval()
        buffer, example = BytesIO(), torch.zeros(1, 3, imagenet.CROP, imagenet.CROP)
        with warnings.catch_warnings():  # the tracer's and that of the older exporter
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network,
                (example,),
                buffer,  # type: ignore[arg-type]  # the older exporter writes into it
                input_names=["image"],
                output_names=["probabilities"],
                dynamo=False,  # the newer exporter needs a further package
            )
        exported = onnx.load_from_string(buffer.getvalue())
        onnx.helper.set_model_props(exported, {"classes": json.dumps(self.classes)})
        blob: bytes = exported.SerializeToString()
        return blob


class _Whole(nn.Module):
    """Normalisation, backbone, head and softmax."""

    def __init__(self, backbone: nn.Module, head: LinearHead):
        super().__init__()
        self.backbone, (self.weight, self.bias) = backbone, head

    def forward(self, x: Tensor) -> Tensor:  # (1, 3, 224, 224)
        from tasks.networks.efficientnet_lite import LITE_MEAN, LITE_STD

        maps = self.backbone.last_maps((x - LITE_MEAN) / LITE_STD)  # type: ignore[operator]
        logits: Tensor = maps.mean((2, 3)) @ self.weight + self.bias
        return logits.softmax(1)


def check_name(name: object) -> str:
    """A class's name without spaces around it. Raises ImageError."""
    text = name.strip() if isinstance(name, str) else ""
    if not text or len(text) > MAX_NAME:
        raise ImageError(
            f"A class needs a name of 1 to {MAX_NAME} characters; {str(name)[:MAX_NAME]!r} came."
        )
    return text


def _too_few(with_frames: Sequence[str]) -> str:
    so_far = f"only {with_frames[0]!r} has any" if with_frames else "none has any"
    return (
        "Two classes with frames are needed, since a classifier tells one from another; so far "
        f"{so_far}."
    )


def _empty_notes(names: Sequence[str]) -> list[str]:
    quoted = ", ".join(map(repr, names))
    if not names:
        return []
    return [f"Without frames, and left out until filled: {quoted}."]


def _same_note(n: int) -> str:
    what = "One image is" if n == 1 else f"{n} images are"
    return f"{what} in two classes at once, which no classifier can tell apart. Remove it from one."


def _read(file: str | Path | bytes) -> tuple[LinearHead, dict[str, Any]]:
    """Raises WeightsError."""
    from safetensors import SafetensorError
    from safetensors.torch import load as from_bytes

    needed = "A file that this tab saved is needed (.safetensors, some kilobytes)."
    try:
        blob = file if isinstance(file, bytes) else _small_file(Path(file))
        header = json.loads(blob[8 : 8 + int.from_bytes(blob[:8], "little")])
        texts = header.get("__metadata__", {})
        if texts.get("format") != FORMAT:
            raise weights.WeightsError(f"This file was not saved by Teach it. {needed}")
        if texts.get("version") != VERSION:
            raise weights.WeightsError(
                f"This file is of version {str(texts.get('version'))[:10]!r}; this app reads "
                f"version {VERSION}. Teach the classes again here and save them."
            )
        tensors, about = from_bytes(blob), json.loads(texts["about"])
        return _checked_head(tensors, about), about
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise weights.WeightsError(
            f"The file is damaged or no taught classifier. {needed} What is taught now stays."
        ) from error


def _small_file(path: Path) -> bytes:
    if path.stat().st_size > MAX_BYTES:
        raise ValueError("too large")
    return path.read_bytes()


def _checked_head(tensors: dict[str, Tensor], about: Any) -> LinearHead:
    """Raises WeightsError, or one of those that `_read` expects."""
    if imagenet.SHA256 not in about["backbone"]:
        raise weights.WeightsError(
            "This file was taught on another network than the one here, so its numbers mean "
            "nothing to this one. Teach the classes again."
        )
    names, weight, bias = about["classes"], tensors["weight"].float(), tensors["bias"].float()
    n, accuracy = len(names), about["accuracy"]
    fits = (
        2 <= n <= MAX_CLASSES
        and all(check_name(name) == name for name in names)
        and len(set(names)) == n
        and weight.shape == (n, FEATURES)
        and bias.shape == (n,)
        and bool(weight.isfinite().all() and bias.isfinite().all())
        and len(about["counts"]) == n
        and all(type(count) is int and count >= 0 for count in about["counts"])
        and (accuracy is None or 0 <= accuracy <= 1)
    )
    if not fits:
        raise ValueError("its parts do not fit together")
    return LinearHead(weight.T.contiguous(), bias)
