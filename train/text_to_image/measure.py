"""What a text-to-image model can do: by the app's own handler and a separate evaluator.

Names are the English ones of the things, in an order that chance and not a person chose. The
guidance is chosen on one set of them (`SELECTION`), the figures are of another (`MEASURED`).
"""

import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.text_to_image.concepts import COLOURS
from tasks.text_to_image.generator import TextToImage
from train.common.generator_metrics import frechet_distance
from train.text_to_image import data
from train.text_to_image.evaluator import Evaluator

BATCH = 16
GUIDANCES = (1.0, 2.0, 3.0, 4.0, 6.0)
COMPONENTS = 64  # of the evaluator's features, for the distance
SELECTION, MEASURED = "selection", "measured"


@dataclass(frozen=True)
class Recognised:
    """% of the images whose thing the evaluator finds likeliest, and among the five likeliest."""

    first: float
    five: float


def names(drawings: data.Drawings, part: str, n: int) -> list[int]:
    """n things, at most half of them all; those of the two parts differ."""
    order = sorted(
        range(len(drawings.things)), key=lambda i: zlib.crc32(drawings.things[i].label.encode())
    )
    n = min(n, len(order) // 2)
    return order[:n] if part == MEASURED else order[-n:]


def generate(model: TextToImage, prompts: Sequence[str], **settings: Any) -> np.ndarray:
    """An image for each prompt, uint8 (n, 64, 64, 3); seeds 0, 1, 2, ..., a batch each."""
    parts = []
    for seed, start in enumerate(range(0, len(prompts), BATCH)):
        some = prompts[start : start + BATCH]
        *_, last = model.steps(some, len(some), seed, **settings)
        parts.append(last.images)
    return np.concatenate(parts)


def recognised(evaluator: Evaluator, images: np.ndarray, things: Sequence[int]) -> Recognised:
    best = evaluator(images).argsort(1)[:, ::-1][:, :5]
    hits = best == np.array(things)[:, None]
    return Recognised(100 * float(hits[:, 0].mean()), 100 * float(hits.any(1).mean()))


def of_names(
    model: TextToImage,
    evaluator: Evaluator,
    drawings: data.Drawings,
    things: Sequence[int],
    **how: Any,
) -> Recognised:
    """Of the names of things alone, in a language."""
    language = how.pop("language", "en")
    some = [i for i in things if language in drawings.things[i].labels]
    prompts = [drawings.things[i].labels[language] for i in some]
    return recognised(evaluator, generate(model, prompts, language=language, **how), some)


def best_guidance(
    model: TextToImage, evaluator: Evaluator, drawings: data.Drawings, n: int
) -> tuple[float, dict[str, float]]:
    """The guidance with the most things among the five most likely, and the share of each."""
    things = names(drawings, SELECTION, n)
    shares = {g: of_names(model, evaluator, drawings, things, guidance=g).five for g in GUIDANCES}
    return max(shares, key=shares.__getitem__), {f"{g:g}": round(v, 1) for g, v in shares.items()}


def background_right(model: TextToImage, drawings: data.Drawings, n: int) -> tuple[float, int]:
    """% of things on a background they were never trained on whose border has its colour."""
    pairs = [
        (thing.label, colour)
        for i in names(drawings, MEASURED, len(drawings.things))
        for thing in [drawings.things[i]]
        for colour in COLOURS
        if colour != "white" and data.withheld_background(thing.label, colour)
    ][:n]
    images = generate(model, [f"{name} on a {colour} background" for name, colour in pairs])
    border = np.concatenate(
        [images[:, :3, :3], images[:, :3, -3:], images[:, -3:, :3], images[:, -3:, -3:]], 1
    )
    found = np.median(border.reshape(len(images), -1, 3), 1)
    palette = np.array(list(COLOURS.values()))
    nearest = np.square(found[:, None] - palette).sum(2).argmin(1)
    right = [list(COLOURS)[k] == colour for k, (_, colour) in zip(nearest, pairs, strict=True)]
    return 100 * float(np.mean(right)), len(pairs)


def parts(images: np.ndarray, layout: str) -> list[np.ndarray]:
    """Where a layout has its things, each cut out and as large as a thing alone, upright.

    uint8 (n, 64, 64, 3) -> as many arrays of this kind as there are things.
    """
    import cv2

    found = []
    for x, y, side in data.spots(layout):
        half = side * data.SIDE / data.USUAL / 2
        scale = data.SIDE / (2 * half)
        matrix = np.array([[scale, 0, (half - x) * scale], [0, scale, (half - y) * scale]])
        moved = [
            cv2.warpAffine(
                image,
                matrix,
                (data.SIDE, data.SIDE),
                flags=cv2.INTER_CUBIC,
                borderMode=cv2.BORDER_REPLICATE,
            )
            for image in images
        ]
        part = np.stack(moved)
        found.append(part[:, ::-1].copy() if layout == "upside-down" else part)
    return found


def drawn_as_said(
    model: TextToImage, evaluator: Evaluator, drawings: data.Drawings, layout: str, n: int
) -> tuple[float, float, int]:
    """% of images that have every thing of the prompt among the five likeliest where it belongs.

    Of n names, or of n pairs that were never trained on. Returns the share of generated images and
    that of drawn ones through the autoencoder, which is the most that there is, and n.
    """
    things = names(drawings, MEASURED, len(drawings.things) if layout in data.RELATIONS else n)
    if layout in data.RELATIONS:
        wanted: list[tuple[int, ...]] = [*withheld_pairs(drawings, things, n)]
        labels = [[drawings.things[i].label for i in pair] for pair in wanted]
        prompts = [f"{a} {layout} {b}" for a, b in labels]
    else:
        wanted = [(i,) for i in things]
        prompts = [f"{layout} {drawings.things[i].label}" for i in things]
    rng = np.random.default_rng(2)
    scenes = [data.compose(drawings, data.Scene(w, layout=layout), rng) for w in wanted]
    shares = []
    for images in (generate(model, prompts), model.decode(model.encode(np.stack(scenes)))):
        all_there = np.ones(len(images), bool)
        for k, part in enumerate(parts(images, layout)):
            thing = np.array([w[min(k, len(w) - 1)] for w in wanted])
            best = evaluator(part).argsort(1)[:, -5:]
            all_there &= (best == thing[:, None]).any(1)
        shares.append(100 * float(all_there.mean()))
    return shares[0], shares[1], len(prompts)


def withheld_pairs(drawings: data.Drawings, things: Sequence[int], n: int) -> list[tuple[int, int]]:
    """n random pairs of things that were never trained on side by side, always the same ones."""
    rng = np.random.default_rng(0)
    found: list[tuple[int, int]] = []
    while len(found) < n:
        a, b = (int(i) for i in rng.choice(things, 2, replace=False))
        if data.withheld_pair(drawings.things[a].label, drawings.things[b].label):
            found.append((a, b))
    return found


def sides_right(
    model: TextToImage, evaluator: Evaluator, drawings: data.Drawings, n: int
) -> tuple[float, int]:
    """% of pairs never trained on, "A left of B", in whose halves the evaluator rather sees A left
    and B right than the other way round; 50 at random.
    """
    pairs = withheld_pairs(drawings, names(drawings, MEASURED, len(drawings.things)), n)
    labels = [[drawings.things[i].label for i in pair] for pair in pairs]
    images = generate(model, [f"{a} left of {b}" for a, b in labels])
    left, right = (evaluator(part) for part in parts(images, "left of"))
    k, (a, b) = np.arange(len(pairs)), np.array(pairs).T
    order = left[k, a] + right[k, b] > left[k, b] + right[k, a]
    return 100 * float(order.mean()), len(pairs)


def distance(
    model: TextToImage, evaluator: Evaluator, drawings: data.Drawings, n: int
) -> tuple[float, float]:
    """Fréchet distance of n images of things alone to as many scenes, and that of other scenes."""
    rng = np.random.default_rng(0)
    things = rng.integers(len(drawings.things), size=3 * n)
    real = np.stack([data.compose(drawings, data.Scene((int(i),)), rng) for i in things])
    made = generate(model, [drawings.things[int(i)].label for i in things[:n]])
    x = evaluator.normed(real).double().numpy()
    basis = np.linalg.svd(x[2 * n :] - x[2 * n :].mean(0), full_matrices=False)[2][:COMPONENTS].T
    one, other = x[:n] @ basis, x[n : 2 * n] @ basis
    generated = evaluator.normed(made).double().numpy() @ basis
    return frechet_distance(generated, one), frechet_distance(other, one)


def likeness(
    model: TextToImage, drawings: data.Drawings, things: Sequence[int]
) -> tuple[float, float]:
    """How much is remembered: median PSNR, in dB, between an image and the training drawing of its
    thing, and % whose nearest of all drawings in the style is that of its thing.
    """
    rng = np.random.default_rng(0)
    all_drawn = np.stack(
        [data.compose(drawings, data.Scene((i,)), rng) for i in range(len(drawings.things))]
    ).astype(np.float32)
    made = generate(model, [drawings.things[i].label for i in things]).astype(np.float32)
    errors = np.stack([np.square(all_drawn - image).mean((1, 2, 3)) for image in made])
    own = errors[np.arange(len(things)), list(things)]
    psnr = 10 * np.log10(255**2 / np.maximum(own, 1e-3))
    return float(np.median(psnr)), 100 * float((errors.argmin(1) == np.array(things)).mean())


def seconds_for_four(model: TextToImage) -> float:
    """Median of five, 20 steps, each step decoded."""
    took = []
    for seed in range(6):
        began = time.perf_counter()
        model.generate("a fox on a blue background", 4, seed)
        took.append(time.perf_counter() - began)
    return float(np.median(took[1:]))
