"""Make the drawings that text to image is trained on, from the packages that publish them.

    pip install resvg-py
    python -m train.text_to_image.drawings --out DIR      writes DIR/emoji; needs npm, too

Six sets of drawings as SVG (packages of Iconify) are rendered at 96 x 96 px; names and tags in
twelve languages are those of emojibase-data. Licences: `export.DATA`.
"""

import argparse
import json
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from tasks.text_to_image.concepts import LANGUAGES, STYLES

PACKAGES = {
    "noto": "noto",
    "twemoji": "twemoji",
    "openmoji": "openmoji",
    "fluent": "fluent-emoji",
    "fluent-flat": "fluent-emoji-flat",
    "fxemoji": "fxemoji",
}
"""Style -> name in @iconify-json/."""
NAMES = "emojibase-data"
SIDE = 96  # px
CODES_OF = {"fluent": "fluent-flat"}  # has the names of another style and no hexcodes


def unpacked(package: str, folder: Path) -> Path:
    """A package of npm, in a folder of its own.

    Raises:
        RuntimeError: npm is not there, or the package cannot be had.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError("npm is needed to fetch the drawings and was not found.")
    made = subprocess.run(
        [npm, "pack", package, "--silent"], cwd=folder, capture_output=True, text=True, check=False
    )
    if made.returncode:
        raise RuntimeError(f"npm could not fetch {package}: {made.stderr.strip()[-300:]}")
    to = folder / package.replace("/", "+")
    with tarfile.open(folder / made.stdout.split()[-1]) as archive:
        archive.extractall(to, filter="data")
    return to / "package"


def plain(code: str) -> str:
    """A hexcode without what only asks for colours: "2764-FE0F" and "2764" are one emoji."""
    return "-".join(part for part in code.upper().split("-") if part != "FE0F")


def hexcodes(package: Path) -> dict[str, str]:
    """Plain hexcode -> name of an icon; {} where the package names no hexcodes."""
    codes = json.loads((package / "chars.json").read_text("utf-8"))
    return {plain(code): name for code, name in codes.items()}


def hexcodes_by_name(package: Path, things: dict[str, dict[str, Any]]) -> dict[str, str]:
    """As `hexcodes`, by the English labels and the usual short names, without their spaces."""
    said: dict[str, str] = {}
    for file in sorted((package / "en" / "shortcodes").glob("*.json")):
        for code, short in json.loads(file.read_text("utf-8")).items():
            for name in [short] if isinstance(short, str) else short:
                said.setdefault(squeezed(name), plain(code))
    said |= {squeezed(thing["en"]["label"]): plain(code) for code, thing in things.items()}
    return {code: name for name, code in said.items()}


def squeezed(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def icons(package: Path, codes: dict[str, str]) -> dict[str, str]:
    """Plain hexcode -> SVG."""
    content = json.loads((package / "icons.json").read_text("utf-8"))
    svgs = {}
    for code, name in codes.items():
        icon = content["icons"].get(name)
        if icon is None:
            continue
        width, height = (icon.get(side, content.get(side, 16)) for side in ("width", "height"))
        left, top = icon.get("left", 0), icon.get("top", 0)
        svgs[code] = (
            '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="{left} {top} {width} {height}">{icon["body"]}</svg>'
        )
    return svgs


def rendered(svg: str) -> Image.Image:
    """RGBA, SIDE x SIDE px."""
    import resvg_py

    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=SIDE, height=SIDE))
    with Image.open(BytesIO(png)) as image:
        return image.convert("RGBA")


def names(package: Path) -> dict[str, dict[str, Any]]:
    """Hexcode -> emoji, group, and label and tags in each language."""
    groups = json.loads((package / "meta" / "groups.json").read_text("utf-8"))["groups"]
    found: dict[str, dict[str, Any]] = {}
    for language in LANGUAGES:
        for entry in json.loads((package / language / "data.json").read_text("utf-8")):
            group = groups.get(str(entry.get("group", "")), "component")
            thing = found.setdefault(
                entry["hexcode"], {"emoji": entry["emoji"], "group": group, "styles": []}
            )
            thing[language] = {"label": entry["label"], "tags": sorted(entry.get("tags", []))}
    return {code: thing for code, thing in found.items() if "en" in thing}


def make(out: Path) -> dict[str, int]:
    """Write names.json and <style>/<hexcode>.webp; style -> number of drawings."""
    counts = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        described = unpacked(NAMES, folder)
        things = names(described)
        packages = {s: unpacked(f"@iconify-json/{PACKAGES[s]}", folder) for s in STYLES}
        for style in STYLES:
            codes = hexcodes(packages[CODES_OF.get(style, style)])
            svgs = icons(packages[style], codes or hexcodes_by_name(described, things))
            (out / style).mkdir(parents=True, exist_ok=True)
            for code, thing in things.items():
                if plain(code) in svgs:
                    image = rendered(svgs[plain(code)])
                    image.save(out / style / f"{code}.webp", lossless=True)
                    thing["styles"].append(style)
            counts[style] = sum(style in thing["styles"] for thing in things.values())
    drawn = {code: thing for code, thing in things.items() if thing["styles"]}
    text = json.dumps(drawn, ensure_ascii=False, indent=0)
    (out / "names.json").write_text(text + "\n", encoding="utf-8")
    return counts


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder in which emoji/ is made")
    print(make(parser.parse_args(arguments).out / "emoji"))


if __name__ == "__main__":
    main()
