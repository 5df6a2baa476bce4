"""The two files of text to image and their cards: the U-Net, and what lies beside it."""

import json
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tasks.core import weights
from tasks.core.weights import Metric
from tasks.networks.latent_autoencoder import LatentAutoencoder
from tasks.networks.word_unet import TextModel, TextReader, WordUNet
from tasks.text_to_image.concepts import LANGUAGES, N_FIXED, ROLES
from tasks.text_to_image.generator import NAME, READER, TextToImage
from train import report
from train.common.export import as_stored
from train.text_to_image import autoencoder, data, measure
from train.text_to_image.evaluator import Evaluator
from train.text_to_image.plans import Plan

N_NAMES, N_DISTANCE = 200, 500
LANGUAGES_MEASURED = ("de", "es", "zh")
LAYOUTS = ("small", "upside-down", "two", "three", "left of", "above")
DATA = {
    "name": "drawings of emoji: Noto Emoji, Twemoji, OpenMoji, Fluent Emoji in two styles, FxEmoji "
    "(Iconify's packages), named by emojibase-data",
    "url": "https://github.com/iconify/icon-sets",
    "licence": "Noto and FxEmoji Apache-2.0, Twemoji CC BY 4.0, OpenMoji CC BY-SA 4.0, Fluent MIT; "
    "names MIT, from Unicode CLDR",
}


@dataclass
class Trained:
    """What a run has brought so far."""

    model: TextModel
    autoencoder: LatentAutoencoder
    command: str
    minutes: float
    seen: int  # images
    curve: list[dict[str, float]]
    ran_on: dict[str, str]


def read_run(plan: Plan, drawings: data.Drawings, runs: Path, again: bool) -> Trained:
    """The moving average in the U-Net's last checkpoint. Raises FileNotFoundError.

    Args:
        again: of the training that started from the bundled weights.
    """
    folder = runs / ("text_to_image-unet-again" if again else "text_to_image-unet")
    saved = torch.load(folder / "checkpoint.pt", "cpu", weights_only=True)
    model = TextModel(N_FIXED + len(drawings.things), len(ROLES), **plan.unet)
    model.load_state_dict(saved["average"]["module"])
    minutes, seen = saved["minutes"], saved["step"] * plan.batch
    if again:
        bundled = TextToImage.bundled()
        before = bundled.card.training
        network = bundled.reader.autoencoder
        command = f"{before['command']}, then --again --minutes {minutes:.0f}"
        minutes, seen = minutes + float(before["minutes"]), seen + int(before["pictures"])
    else:
        first = runs / "text_to_image-autoencoder"
        network = autoencoder.load(plan, drawings, first)
        took = torch.load(first / "checkpoint.pt", "cpu", weights_only=True)["minutes"]
        command = (
            f"python -m train.text_to_image --stage autoencoder --minutes {took:.0f}, then "
            f"--stage unet --minutes {minutes:.0f}"
        )
    return Trained(model.eval(), network, command, minutes, seen, saved["curve"], saved["where"])


def packed_names(drawings: data.Drawings) -> Tensor:
    """uint8: the things' names and tags in twelve languages, compressed JSON."""
    names = [
        {
            "emoji": thing.emoji,
            **{code: [label, *thing.tags.get(code, ())] for code, label in thing.labels.items()},
        }
        for thing in drawings.things
    ]
    text = json.dumps(names, ensure_ascii=False, separators=(",", ":"))
    return torch.frombuffer(bytearray(zlib.compress(text.encode(), 9)), dtype=torch.uint8)


def export(
    plan: Plan,
    drawings: data.Drawings,
    evaluator: Evaluator,
    seed: int,
    runs: Path,
    out: Path,
    n_names: int = N_NAMES,
    n_distance: int = N_DISTANCE,
    again: bool = False,
) -> weights.Card:
    """Write both files, measured by the app's handler on what is stored; the U-Net's card."""
    trained = read_run(plan, drawings, runs, again)
    unet = as_stored(trained.model.unet, WordUNet(**plan.unet))
    reader, config = _reader(plan, drawings, trained.model, trained.autoencoder)
    card, words = _cards(plan, drawings, trained, unet, reader, config, seed)
    words = replace(words, metrics=_autoencoder_metrics(drawings, reader.autoencoder))
    model = TextToImage(unet, reader, card)
    guidance, shares = measure.best_guidance(model, evaluator, drawings, n_names)
    card = replace(card, preprocess={"guidance": guidance, "steps": 20})
    model = TextToImage(unet, reader, card)
    card = replace(
        card,
        metrics=_metrics(model, evaluator, drawings, n_names, n_distance),
        tables={"among the five most likely, by guidance (selection)": shares},
    )
    weights.save(reader, words, out, half=True)
    return weights.save(unet, card, out, half=True)


def _reader(
    plan: Plan, drawings: data.Drawings, model: TextModel, network: LatentAutoencoder
) -> tuple[TextReader, dict[str, Any]]:
    names = packed_names(drawings)
    dictionary = {
        "n_concepts": N_FIXED + len(drawings.things),
        "n_roles": len(ROLES),
        "states": model.unet.states,
        "canvas": model.unet.canvas,
    }
    config: dict[str, Any] = {
        "names_bytes": len(names),
        "dictionary": dictionary,
        "autoencoder": plan.autoencoder,
    }
    full = TextReader(**config)
    full.dictionary.load_state_dict(model.dictionary.state_dict())
    full.autoencoder.load_state_dict(network.state_dict())
    full.names.copy_(names)
    return as_stored(full, TextReader(**config)), config


def _cards(
    plan: Plan,
    drawings: data.Drawings,
    trained: Trained,
    unet: WordUNet,
    reader: TextReader,
    config: dict[str, Any],
    seed: int,
) -> tuple[weights.Card, weights.Card]:
    """The U-Net's and the reader's, without metrics."""
    about = DATA | {
        "n": f"{len(drawings.pixels):,} drawings of {len(drawings.things)} things; scenes composed "
        "of them",
        "held_out": "a tenth of the pairs of thing and background colour, and of the pairs of "
        "things side by side, are never trained on",
    }
    training = report.about_training(
        trained.command, seed, trained.minutes, trained.ran_on, trained.seen
    )
    common: dict[str, Any] = {
        "task": "text_to_image",
        "classes": [],
        "metrics": [],
        "data": about,
        "training": training,
        "selected_on": "guidance: 200 other names (train/text_to_image/measure.py)",
        "test_reads": "there is no test set: the things are those of the training; the withheld "
        "combinations were read at three exports, and nothing was chosen by them",
    }
    card = weights.Card(
        name=NAME,
        title="Text to image, drawings of emoji",
        architecture="U-Net on latents (128-160 channels at 8 x 8 and 4 x 4 positions) in which "
        "every word brings a small canvas and an attention decides where it counts; rectified flow",
        parameters=report.n_parameters(unet),
        config=plan.unet,
        preprocess={},
        paper="Rombach et al. 2022, arXiv 2112.10752; Liu et al. 2022, arXiv 2209.03003; Ho and "
        "Salimans 2022; Tang et al. 2022, arXiv 2210.04885 (maps of words).",
        limits=f"Knows {len(drawings.things)} things, eleven colours, six styles; draws them as "
        "emoji do, nearly as it saw them. Things that are small, several or upside-down are "
        "recognised a fifth to a half as often as their own drawings of that size. No photographs, "
        "no text, no people.",
        curve=trained.curve,
        **common,
    )
    words = weights.Card(
        name=READER,
        title="Text to image: dictionary and autoencoder",
        architecture="Concepts to vectors and canvases, one transformer layer; KL autoencoder, "
        "64x64x3 to 16x16x4; names in " + ", ".join(LANGUAGES),
        parameters=report.n_parameters(reader),
        config=config,
        preprocess={},
        paper="Rombach et al. 2022, arXiv 2112.10752.",
        limits="Serves the U-Net of text_to_image; its latents are of drawings only.",
        **common,
    )
    return card, words


def _autoencoder_metrics(drawings: data.Drawings, network: LatentAutoencoder) -> list[Metric]:
    _, held_out = autoencoder.split(drawings)
    x = autoencoder.to_range(autoencoder.scenes(held_out, 256, 0))
    with torch.inference_mode():
        y = torch.cat([network.decode(network.encode(part)) for part in x.split(32)])
    db = float(autoencoder.psnr(y, x).mean())
    where = "scenes of things that the autoencoder was not trained on; fp16 weights"
    return [Metric("PSNR after encoding and decoding", round(db, 2), "dB", "val", 256, where)]


def _as_said(
    model: TextToImage, evaluator: Evaluator, drawings: data.Drawings, layout: str, n: int
) -> Metric:
    share, most, n_read = measure.drawn_as_said(model, evaluator, drawings, layout, n)
    pairs = layout in data.RELATIONS
    name = f"both things of “{layout}” recognised" if pairs else f"“{layout}” recognised"
    how = f"each thing among five where it belongs; drawings through the autoencoder {most:.1f} %"
    if pairs:
        how += "; pairs that were never trained on"
    return Metric(name, share, "%", "test" if pairs else "train", n_read, how)


def _metrics(
    model: TextToImage, evaluator: Evaluator, drawings: data.Drawings, n: int, n_distance: int
) -> list[Metric]:
    """All in 20 steps at the chosen guidance, in Noto's style, seeds 0, 1, 2, ..."""
    things = measure.names(drawings, measure.MEASURED, n)
    how = (
        f"20 steps, guidance {model.guidance:g}, Noto; evaluator: train/text_to_image/evaluator.py"
    )
    own = measure.of_names(model, evaluator, drawings, things)
    rng = np.random.default_rng(1)
    real = np.stack([data.compose(drawings, data.Scene((i,)), rng) for i in things])
    most = measure.recognised(evaluator, model.decode(model.encode(real)), things)
    metrics = [
        Metric("thing among the five most likely", own.five, "%", "train", len(things), how),
        Metric("thing named first", own.first, "%", "train", len(things), how),
        Metric(
            "drawings themselves, among the five most likely",
            most.five,
            "%",
            "train",
            len(things),
            "through the autoencoder only: the most that there is",
        ),
    ]
    for code in LANGUAGES_MEASURED:
        if not any(code in drawings.things[i].labels for i in things):
            continue
        five = measure.of_names(model, evaluator, drawings, things, language=code).five
        metrics.append(
            Metric(f"among the five most likely, {code}", five, "%", "train", len(things), how)
        )
    colour, n_colours = measure.background_right(model, drawings, n)
    order, n_pairs = measure.sides_right(model, evaluator, drawings, n)
    unseen = "combinations that were never trained on"
    got, floor = measure.distance(model, evaluator, drawings, n_distance)
    like, nearest = measure.likeness(model, drawings, things)
    metrics += [
        Metric("background has the colour", colour, "%", "test", n_colours, unseen),
        Metric("left and right in order", order, "%", "test", n_pairs, f"{unseen}; 50 at random"),
        *(_as_said(model, evaluator, drawings, layout, n) for layout in LAYOUTS),
        Metric("Fréchet distance", got, "", "train", n_distance, f"floor {floor:.1f}; {how}"),
        Metric("likeness to its training drawing", like, "dB", "train", len(things), "median PSNR"),
        Metric(
            "nearest drawing is that of its thing", nearest, "%", "train", len(things), "of all"
        ),
        Metric(
            "time for four images",
            1000 * measure.seconds_for_four(model),
            "ms",
            "test",
            5,
            f"20 steps, each decoded; {report.hardware()}",
        ),
    ]
    return [replace(m, value=round(m.value, 2)) for m in metrics]
