"""The drawings of emoji, and scenes composed of them.

`--data DIR` holds `emoji/names.json` and `emoji/<style>/<hexcode>.webp`, 96 x 96 px with
transparency. A scene is what an image shows, free of any language: which things, in which style, on
which background, how they lie. `compose` draws it, `words` says it in concepts.
"""

import json
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from tasks.networks.word_unet import COPIES
from tasks.text_to_image.concepts import (
    COLOURS,
    COUNTS,
    EMPTY,
    FIXED,
    LANGUAGES,
    MAX_WORDS,
    MODIFIERS,
    N_FIXED,
    NO_WORD,
    RELATIONS,
    ROLES,
    STYLES,
)

SIDE = 64  # px of an image
USUAL = 55  # px, of a thing alone
STYLE_SHARES = (0.6, 0.08, 0.08, 0.12, 0.08, 0.04)
GROUPS = (
    "animals-nature",
    "food-drink",
    "travel-places",
    "activities",
    "objects",
    "smileys-emotion",
)


@dataclass(frozen=True)
class Thing:
    """What a drawing shows."""

    hexcode: str
    emoji: str
    labels: dict[str, str]  # language -> name
    tags: dict[str, tuple[str, ...]]
    styles: tuple[str, ...]

    @property
    def label(self) -> str:
        return self.labels["en"]


@dataclass
class Drawings:
    """Things with their drawings: RGBA, 96 x 96 px."""

    things: list[Thing]
    pixels: dict[tuple[str, int], Image.Image]  # (style, index of the thing)

    def drawing(self, style: str, thing: int) -> Image.Image:
        return self.pixels[style, thing]


def load(folder: Path, groups: tuple[str, ...] | None = GROUPS) -> Drawings:
    """The things of these groups that have a drawing in Noto's style.

    Args:
        groups: None: every thing with any drawing.
    Raises:
        FileNotFoundError: `folder` has no `names.json`.
    """
    names = json.loads((folder / "names.json").read_text("utf-8"))
    things: list[Thing] = []
    pixels = {}
    for hexcode in sorted(names):
        entry = names[hexcode]
        if groups is not None and (entry["group"] not in groups or "noto" not in entry["styles"]):
            continue
        for style in entry["styles"]:
            with Image.open(folder / style / f"{hexcode}.webp") as image:
                pixels[style, len(things)] = image.convert("RGBA")
        languages = [code for code in LANGUAGES if code in entry]
        things.append(
            Thing(
                hexcode,
                entry["emoji"],
                {code: entry[code]["label"] for code in languages},
                {code: tuple(entry[code].get("tags", ())) for code in languages},
                tuple(entry["styles"]),
            )
        )
    return Drawings(things, pixels)


def synthetic(n: int = 20) -> Drawings:
    """Discs and boxes in n colours, for tests."""
    things, pixels = [], {}
    for i in range(n):
        image = Image.new("RGBA", (96, 96))
        pen = ImageDraw.Draw(image)
        shape = pen.ellipse if i % 2 else pen.rectangle
        shape((10, 10, 85, 60 + i), fill=(12 * i, 255 - 12 * i, 40 * (i % 6), 255))
        labels = {"en": f"shape {i}", "de": f"Form {i}"}
        things.append(Thing(f"{i:04X}", chr(0x2460 + i), labels, {"en": ("shape",)}, STYLES[:2]))
        for style in STYLES[:2]:
            pixels[style, i] = image
    return Drawings(things, pixels)


def withheld_background(label: str, colour: str) -> bool:
    """Whether this thing (English label) is never trained on this background."""
    return zlib.crc32(f"{label}|{colour}".encode()) % 10 == 0


def withheld_pair(first: str, second: str) -> bool:
    """Whether "first left of second" (English labels) is never trained on."""
    return zlib.crc32(f"{first}|{second}".encode()) % 10 == 0


# -- scenes ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scene:
    """What an image shows.

    Attributes:
        things: one, or the first and the second of a relation.
        style: one of STYLES.
        says_style: whether the caption names it.
        background: one of COLOURS, or None: white, and the caption is silent about it.
        colour: of the thing, or None: its own.
        layout: one of RELATIONS, MODIFIERS or COUNTS, or None.
        empty: whether the caption is empty, for classifier-free guidance.
    """

    things: tuple[int, ...]
    style: str = "noto"
    says_style: bool = True
    background: str | None = None
    colour: str | None = None
    layout: str | None = None
    empty: bool = False


EMPTY_SHARE = 0.1  # of the captions
SAYS_STYLE = 0.8
BACKGROUND_SHARE = 0.4
LAYOUT_SHARES = {"single": 0.38, "modifier": 0.13, "count": 0.11, "colour": 0.04, "pair": 0.34}


def draw_scene(drawings: Drawings, rng: np.random.Generator) -> Scene:
    """A random scene that may be trained on."""
    kind = str(rng.choice(list(LAYOUT_SHARES), p=list(LAYOUT_SHARES.values())))
    while True:
        things = tuple(
            int(i) for i in rng.integers(len(drawings.things), size=1 + (kind == "pair"))
        )
        styles = [s for s in STYLES if all((s, i) in drawings.pixels for i in things)]
        shares = np.array([STYLE_SHARES[STYLES.index(s)] for s in styles])
        style = str(rng.choice(styles, p=shares / shares.sum()))
        layout, colour = None, None
        if kind == "pair":
            layout = str(rng.choice(RELATIONS))
        elif kind in ("modifier", "count"):
            layout = str(rng.choice(MODIFIERS if kind == "modifier" else COUNTS))
        elif kind == "colour":
            colour = str(rng.choice(list(COLOURS)))
        background = str(rng.choice(list(COLOURS))) if rng.random() < BACKGROUND_SHARE else None
        says, empty = bool(rng.random() < SAYS_STYLE), bool(rng.random() < EMPTY_SHARE)
        scene = Scene(things, style, says, background, colour, layout, empty)
        if may_be_trained(drawings, scene):
            return scene


def may_be_trained(drawings: Drawings, scene: Scene) -> bool:
    labels = [drawings.things[i].label for i in scene.things]
    if scene.background and any(withheld_background(name, scene.background) for name in labels):
        return False
    if len(labels) == 2:  # a second phrase may say the same, so both orders are withheld
        return not (withheld_pair(*labels) or withheld_pair(*labels[::-1]))
    return True


def spots(layout: str | None) -> list[tuple[int, int, int]]:
    """Where the things lie: centre and side of each, (x, y, side) in px."""
    if layout in RELATIONS:
        near, far = (17, 32, 29), (47, 32, 29)
        if layout in ("above", "below"):
            near, far = (32, 17, 29), (32, 47, 29)
        return [far, near] if layout in ("right of", "below") else [near, far]
    if layout == "two":
        return [(17, 32, 29), (47, 32, 29)]
    if layout == "three":
        return [(32, 17, 27), (17, 47, 27), (47, 47, 27)]
    return [(32, 32, {"small": 28, "large": 78}.get(layout or "", USUAL))]


def places(layout: str | None, rng: np.random.Generator) -> list[tuple[int, int, int]]:
    """Corner and side, (x, y, side) in px of each thing, with a little chance."""

    def at(cx: int, cy: int, side: int) -> tuple[int, int, int]:
        size = round(side * rng.uniform(0.94, 1.06))
        dx, dy = rng.integers(-1, 2, size=2)
        return round(cx - size / 2) + int(dx), round(cy - size / 2) + int(dy), size

    return [at(*spot) for spot in spots(layout)]


def compose(drawings: Drawings, scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """The scene's image, uint8 (64, 64, 3)."""
    paper = np.array(COLOURS[scene.background or "white"])
    if scene.background not in (None, "white"):
        paper = (paper + rng.integers(-8, 9, size=3)).clip(0, 255)
    image = Image.new("RGBA", (SIDE, SIDE), (*(int(v) for v in paper), 255))
    corners = places(scene.layout, rng)
    things = scene.things if len(scene.things) == len(corners) else scene.things * len(corners)
    for thing, (x, y, side) in zip(things, corners, strict=True):
        drawing = drawings.drawing(scene.style, thing)
        if scene.colour:
            drawing = tinted(drawing, scene.colour)
        if scene.layout == "upside-down":
            drawing = drawing.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        # premultiplied, so that the colour of transparent pixels does not bleed
        small = drawing.convert("RGBa").resize((side, side), Image.Resampling.BOX).convert("RGBA")
        layer = Image.new("RGBA", (SIDE, SIDE))
        layer.paste(small, (x, y))
        image.alpha_composite(layer)
    return np.asarray(image.convert("RGB"))


def tinted(drawing: Image.Image, colour: str) -> Image.Image:
    """The drawing in shades of one colour: its lightness kept."""
    pixels = np.asarray(drawing).astype(np.float32)
    light = (pixels[..., :3] @ np.array([0.299, 0.587, 0.114], np.float32) / 255)[..., None]
    target = np.array(COLOURS[colour], np.float32)
    dark, bright = target * light * 2, target + (255 - target) * (2 * light - 1)
    shade = np.where(light < 0.5, dark, 0.6 * bright + 0.4 * target)
    out = np.concatenate([shade, pixels[..., 3:]], 2).clip(0, 255).astype(np.uint8)
    return Image.fromarray(out, "RGBA")


def placements(scene: Scene) -> np.ndarray:
    """Where each word's canvas belongs, float32 (MAX_WORDS, COPIES, 5): as `Placement` gives it.

    nan for words that bring no thing. A canvas is that of a thing alone in the middle.
    """
    out = np.full((MAX_WORDS, COPIES, 5), np.nan, np.float32)
    lie = spots(scene.layout)
    for k, (_, role) in enumerate([] if scene.empty else _said(scene)):
        if role not in ("thing", "first", "second"):
            continue
        mine = lie if role == "thing" else [lie[role == "second"]]
        out[k, :, 4] = 0
        for copy, (cx, cy, side) in enumerate(mine):
            slope = USUAL / side
            down = -slope if scene.layout == "upside-down" else slope
            x, y = (2 * c / SIDE - 1 for c in (cx, cy))
            out[k, copy] = slope, down, -slope * x, -down * y, 1
    return out


# -- scenes as concepts ----------------------------------------------------------------------------


def words(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """The scene's meaningful words in the order of the English caption.

    Returns:
        concepts int64 (MAX_WORDS,), NO_WORD behind the last, and roles int64 (MAX_WORDS,).
    """
    ids = np.full(MAX_WORDS, NO_WORD, np.int64)
    roles = np.zeros(MAX_WORDS, np.int64)
    for k, (meant, role) in enumerate([] if scene.empty else _said(scene)):
        ids[k], roles[k] = meant, ROLES.index(role)
    if scene.empty:
        ids[0] = FIXED[EMPTY]
    return ids, roles


def _said(scene: Scene) -> list[tuple[int, str]]:
    said: list[tuple[int, str]] = []
    if scene.says_style:
        said.append((FIXED[scene.style], "style"))
    if scene.layout in MODIFIERS or scene.layout in COUNTS:
        said.append((FIXED[scene.layout], "layout"))
    if scene.colour:
        said.append((FIXED[scene.colour], "thing's colour"))
    if len(scene.things) == 2:
        assert scene.layout
        said += [
            (N_FIXED + scene.things[0], "first"),
            (FIXED[scene.layout], "layout"),
            (N_FIXED + scene.things[1], "second"),
        ]
    else:
        said.append((N_FIXED + scene.things[0], "thing"))
    if scene.background:
        said.append((FIXED[scene.background], "background"))
    return said
