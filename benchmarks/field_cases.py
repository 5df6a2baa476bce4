"""Troubles that users report of programs like this one: each is tried on the running app.

    python -m benchmarks.field_cases [--cases ../shared/cases] [--only tiff video]

A case is a folder with a small input or two and `expected.txt`, which says in words what is right;
here it is measured. Prints a table, the first recorded answer of each input beside today's, and
appends to benchmarks/results/field_cases.csv.
"""

import argparse
import csv
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from benchmarks import results
from benchmarks.app_process import starting_app, wait_for
from tasks.core.image_metrics import psnr
from tasks.core.video.reader import open_video
from tasks.core.weights import ROOT, WeightsError

CASES = ROOT.parent / "shared" / "cases"
RED, TRANSPARENT_ENOUGH = (230, 40, 40), 8
START_SECONDS = 600  # of the app, on busy cores
TOLERANCE = 12  # grey levels that a patch may be off


class Outcome(NamedTuple):
    """One input: what is right, what came."""

    input: str
    right: str
    came: str
    ok: bool


Ask = Callable[..., Any]
Outcomes = Iterator[Outcome]


def said(call: Callable[[], Any]) -> tuple[Any, str]:
    """(the answer or None, the sentence of a refusal or "")."""
    try:
        return call(), ""
    except Exception as error:  # what an endpoint raises is what is measured
        return None, str(error)


def pixels(path: Any) -> np.ndarray:
    return np.asarray(Image.open(path))


def patch(rgb: np.ndarray, x: float, y: float) -> tuple[int, ...]:
    """The mean colour around a place, given as shares of width and height."""
    row, column = round(y * rgb.shape[0]), round(x * rgb.shape[1])
    around = rgb[row - 2 : row + 3, column - 2 : column + 3].reshape(25, -1)[:, :3]
    return tuple(int(v) for v in around.mean(0).round())


def near(found: tuple[int, ...], right: tuple[int, ...]) -> bool:
    return max(abs(a - b) for a, b in zip(found, right, strict=True)) <= TOLERANCE


def red_patch(ask: Ask, path: Path, x: float = 0.12, y: float = 0.3) -> Outcome:
    """The scene's red patch after an endpoint that must not change colours."""
    got, text = said(lambda: ask("/denoise_photo", path, sigma=0))
    colour = patch(pixels(got), x, y) if got else ()
    return Outcome(path.name, f"{RED} or a sentence", text or str(colour), near(colour, RED))


# -- digits ----------------------------------------------------------------------------------------


def digits(ask: Ask, folder: Path) -> Outcomes:
    for path in inputs(folder):
        answer, text = said(lambda path=path: ask("/classify_digit", path))  # type: ignore[misc]
        best = max(answer, key=answer.get) if answer else ""
        came = f"{best} at {100 * answer[best]:.0f} %" if answer else text
        yield Outcome(path.name, path.stem[0], came, best == path.stem[0])


def refused(words: tuple[str, ...]) -> Callable[[Ask, Path], Outcomes]:
    def check(ask: Ask, folder: Path) -> Outcomes:
        for path in inputs(folder):
            answer, text = said(lambda path=path: ask("/classify_digit", path))  # type: ignore[misc]
            came = text or f"{max(answer, key=answer.get)}"
            ok = any(word in text.lower() for word in words)
            yield Outcome(path.name, "a sentence: " + " / ".join(words), came, ok)

    return check


# -- files -----------------------------------------------------------------------------------------


def red_patches(ask: Ask, folder: Path) -> Outcomes:
    for path in inputs(folder):
        yield red_patch(ask, path)


def whole_range(ask: Ask, folder: Path) -> Outcomes:
    for path in inputs(folder):
        got, text = said(lambda path=path: ask("/denoise_photo", path, sigma=0))  # type: ignore[misc]
        top = int(np.percentile(pixels(got), 99.5)) if got else 0
        yield Outcome(path.name, "99.5 % above 200", text or f"99.5 % at {top}", top > 200)


def named_kind(ask: Ask, folder: Path) -> Outcomes:
    for path in inputs(folder):
        got, text = said(lambda path=path: ask("/denoise_photo", path, sigma=0))  # type: ignore[misc]
        ok = bool(got) or ("TIFF" in text and "whatever its name says" not in text)
        yield Outcome(path.name, "read, or its kind named", text or "read", ok)


def full_page(ask: Ask, folder: Path) -> Outcomes:
    for path in inputs(folder):
        got, text = said(lambda path=path: ask("/enlarge_photo", path, scale=2))  # type: ignore[misc]
        size = Image.open(got).size if got else ()
        yield Outcome(path.name, "(640, 480)", text or str(size), size == (640, 480))


def without_end(ask: Ask, folder: Path) -> Outcomes:
    for path in inputs(folder):
        yield red_patch(ask, path, 0.1, 0.35)


def transparency(ask: Ask, folder: Path) -> Outcomes:
    for path in inputs(folder):
        alpha = pixels(path)[..., 3].astype(int)
        for endpoint, options in (
            ("/denoise_photo", {"sigma": 10}),
            ("/deblock_photo", {}),
            ("/enlarge_photo", {"scale": 2}),
        ):
            got, text = said(lambda e=endpoint, o=options, p=path: ask(e, p, **o))  # type: ignore[misc]
            image = Image.open(got) if got else None
            came = text or f"{image.mode if image else ''}"
            ok = image is not None and image.mode in ("RGBA", "LA")
            if ok and image is not None:
                small = np.asarray(image.resize(alpha.shape[::-1], Image.Resampling.BOX))
                off = float(np.abs(small[..., -1] - alpha).mean())
                came, ok = f"{image.mode}, alpha off by {off:.1f}", off < TRANSPARENT_ENOUGH
            yield Outcome(f"{path.name} {endpoint}", "transparency kept", came, ok)


def good_jpeg(ask: Ask, folder: Path) -> Outcomes:
    truth = pixels(folder / "shot.png")[..., :3] / 255
    for path in sorted(folder.glob("*.jpg")):
        before = psnr(np.asarray(Image.open(path).convert("RGB")) / 255, truth)
        got, text = said(lambda path=path: ask("/deblock_photo", path))  # type: ignore[misc]
        after = psnr(np.asarray(Image.open(got).convert("RGB")) / 255, truth) if got else 0.0
        right = f"{before - 0.05:.2f} dB or more"
        yield Outcome(path.name, right, text or f"{after:.2f} dB", after > before - 0.05)


def camera_noise(ask: Ask, folder: Path) -> Outcomes:
    truth = pixels(folder / "camera_truth.png")[..., :3] / 255
    got, text = said(lambda: ask("/denoise_photo", folder / "camera_noise.jpg"))
    after = psnr(np.asarray(Image.open(got).convert("RGB")) / 255, truth) if got else 0.0
    yield Outcome("camera_noise.jpg", "31.4 dB or more", text or f"{after:.2f} dB", after > 31.4)


def small_in_large(ask: Ask, folder: Path) -> Outcomes:
    for name, count in (("12mp.jpg", 15), ("panorama.jpg", 90)):
        got, text = said(lambda n=name: ask("/detect_objects", folder / n, model="digits"))  # type: ignore[misc]
        found = len(got["boxes"]) if got else 0
        note = str(got.get("note", "")) if got else ""
        came = text or f"{found} {note}".strip()
        yield Outcome(name, f"{count}, or a note", came, bool(note) or found > 0.8 * count)


def painted_mask(ask: Ask, folder: Path) -> Outcomes:
    digit, mask = folder / "digit.png", folder / "mask.png"
    got, text = said(lambda: ask("/inpaint_by_diffusion", digit, mask, n=1, steps=2))
    yield Outcome("mask.png", "right half filled", text or str(Image.open(got).size), bool(got))


# -- videos ----------------------------------------------------------------------------------------


def frames(path: Path) -> tuple[list[np.ndarray], str]:
    with open_video(path) as video:
        return [frame.rgb for frame in video], video.note


def animated(ask: Ask, folder: Path) -> Outcomes:
    for path in inputs(folder):
        got, text = said(lambda path=path: ask("/detect_video", path, model="digits"))  # type: ignore[misc]
        came = text or f"{got[1]['frames']} frames"
        yield Outcome(path.name, "read", came, bool(got))


def all_frames(ask: Ask, folder: Path) -> Outcomes:
    (path,) = inputs(folder)
    got, text = said(lambda: ask("/detect_video", path, model="digits"))
    count, note = (got[1]["frames"], got[1]["note"]) if got else (0, "")
    yield Outcome(path.name, "20 frames, or a note", text or f"{count} {note}", count == 20)


def tone_mapped(ask: Ask, folder: Path) -> Outcomes:
    want = pixels(folder / "as_players_show_it.png")
    places = [((i + 0.5) * 0.155 + 0.04, 0.35) for i in range(6)]
    given, note = frames(folder / "hlg.mov")
    off = max(
        abs(a - b)
        for at in places
        for a, b in zip(patch(given[-1], *at), patch(want, *at), strict=True)
    )
    white = patch(given[-1], *places[4])
    yield Outcome("hlg.mov", "patches within 30", f"off by {off}, white {white}, {note}", off <= 30)


def no_comb(ask: Ask, folder: Path) -> Outcomes:
    for path in inputs(folder):
        given, _ = frames(path)
        rows = np.stack([frame[..., 1].astype(int) for frame in given])
        # a line that differs from both neighbours, which agree with each other
        lone = np.minimum(abs(rows[:, 1:-1] - rows[:, :-2]), abs(rows[:, 1:-1] - rows[:, 2:]))
        comb = int(((lone > 60) & (abs(rows[:, 2:] - rows[:, :-2]) < 30)).sum(axis=(1, 2)).max())
        yield Outcome(path.name, "under 20 combed pixels", str(comb), comb < 20)


def turned(ask: Ask, folder: Path) -> Outcomes:
    (path,) = inputs(folder)
    given, _ = frames(path)
    red = (given[-1][..., 0] > 180) & (given[-1][..., 1:].max(2) < 90)
    red[:, given[-1].shape[1] // 2 :] = False
    high, wide = (np.ptp(np.nonzero(red)[axis]) + 1 for axis in (0, 1))
    first = (given[0][..., 0] > 180) & (given[0][..., 1:].max(2) < 90)
    first[:, given[0].shape[1] // 2 :] = False
    want = (np.ptp(np.nonzero(first)[0]) + 1) / (np.ptp(np.nonzero(first)[1]) + 1)
    came = f"red patch {wide} x {high}, in the first half as 1 : {want:.2f}"
    dark = int(given[-1][:, :10].max())
    yield Outcome(path.name, "bars at the sides", f"{came}, side {dark}", dark < 40)


def over_white(ask: Ask, folder: Path) -> Outcomes:
    for path in inputs(folder):
        given, _ = frames(path)
        right = patch(given[-1], 0.75, 0.1)
        yield Outcome(path.name, "right half white", str(right), near(right, (255, 255, 255)))


def unique_counts(ask: Ask, folder: Path) -> Outcomes:
    for path in inputs(folder):
        got, text = said(lambda path=path: ask("/detect_video", path, model="digits"))  # type: ignore[misc]
        total = sum(got[1]["unique"].values()) if got else 0
        yield Outcome(path.name, "about 15", text or str(total), 12 <= total <= 18)


# -- calls -----------------------------------------------------------------------------------------


def numbers_as_text(ask: Ask, folder: Path) -> Outcomes:
    picture = folder.parent / "picture-alpha" / "logo.png"
    calls: dict[str, Callable[[], Any]] = {
        'seed="12"': lambda: ask("/generate_by_gan", seed="12", n=1),
        'scale="2"': lambda: ask("/enlarge_photo", picture, scale="2"),
        "scale=2.5": lambda: ask("/enlarge_photo", picture, scale=2.5),
        "seed=1.5": lambda: ask("/generate_by_gan", seed=1.5, n=1),
        "n=2.5": lambda: ask("/generate_by_gan", n=2.5),
        'flip="maybe"': lambda: ask("/segment_scene", picture, flip="maybe"),
    }
    for name, call in calls.items():
        got, text = said(call)
        taken = '"' in name and name != 'flip="maybe"'
        ok = bool(got) == taken and "upstream" not in text
        yield Outcome(name, "taken" if taken else "a sentence", text or "taken", ok)
    got, text = said(lambda: ask("/segment_scene", picture, flip="false"))
    flipped = got[1]["mirror_image_too"] if got else None
    yield Outcome('flip="false"', "no flip, or a sentence", text or str(flipped), flipped is False)


def wrong_folders(ask: Ask, folder: Path) -> Outcomes:
    import json
    import shutil

    from tasks.text_to_image.pipeline import HubPipeline
    from tests.text_to_image.tiny_pipeline import tiny

    def rewrite(file: Path, old: str, new: str) -> None:
        file.write_text(file.read_text().replace(old, new))

    spoils: dict[str, tuple[Callable[[Path], Any], str]] = {
        "class misspelt": (
            lambda f: rewrite(f / "model_index.json", "UNet2DConditionModel", "UNet2DModell"),
            "UNet2DModell",
        ),
        "tokenizer missing": (
            lambda f: [
                shutil.move(p, f / p.name)
                for p in (f / "tokenizer").glob("*")
                if "config" not in p.name
            ],
            "tokenizer",
        ),
        "XL class": (
            lambda f: rewrite(
                f / "model_index.json", "StableDiffusionPipeline", "StableDiffusionXLPipeline"
            ),
            "tokenizer_2",
        ),
        "weights cut": (
            lambda f: next((f / "unet").glob("*.safetensors")).write_bytes(
                next((f / "unet").glob("*.safetensors")).read_bytes()[:5000]
            ),
            "unet",
        ),
        "scheduler missing": (lambda f: shutil.rmtree(f / "scheduler"), "scheduler"),
        "BOM": (
            lambda f: (f / "model_index.json").write_bytes(
                b"\xef\xbb\xbf" + (f / "model_index.json").read_bytes()
            ),
            "BOM",
        ),
    }
    with tempfile.TemporaryDirectory() as temporary:
        good = Path(temporary) / "good"
        tiny(Path(temporary) / "words").save_pretrained(good, safe_serialization=True)
        assert json.loads((good / "model_index.json").read_text())
        for name, (spoil, word) in spoils.items():
            bad = Path(temporary) / name.replace(" ", "-")
            shutil.copytree(good, bad)
            spoil(bad)
            try:
                HubPipeline.load(str(bad))
                text = ""
            except WeightsError as error:
                text = str(error).replace(str(bad), "...")
            named = word in text and "Another size" not in text
            yield Outcome(name, f"names {word}", text or "loaded", named)


CHECKS: dict[str, Callable[[Ask, Path], Outcomes]] = {
    **dict.fromkeys(
        (
            "digit-circled",
            "digit-hand-shadow",
            "digit-hollow",
            "digit-in-form-box",
            "digit-same-brightness-as-paper",
            "digit-sheet-on-dark-desk",
            "digit-thin-pen",
            "digit-white-on-transparent",
        ),
        digits,
    ),
    "digit-none": refused(("no digit",)),
    "digit-several": refused(("several", "digits")),
    "picture-icc-profile": red_patches,
    "png-gamma": red_patches,
    "jpeg-without-end": without_end,
    "tiff-12-bit-in-16": whole_range,
    "tiff-refused-wrong-sentence": named_kind,
    "tiff-thumbnail-first": full_page,
    "picture-alpha": transparency,
    "deblock-good-jpeg": good_jpeg,
    "denoise-camera-noise": camera_noise,
    "detect-small-in-large": small_in_large,
    "inpaint-mask-transparent": painted_mask,
    "video-animated-webp": animated,
    "video-clock-starts-again": all_frames,
    "video-hdr": tone_mapped,
    "video-interlaced": no_comb,
    "video-phone-turned-midway": turned,
    "video-webm-transparent": over_white,
    "video-unique-counts": unique_counts,
    "api-number-as-text": numbers_as_text,
    "text-to-image-folder": wrong_folders,
}


def inputs(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix not in (".txt", ".md"))


def first_answers() -> dict[tuple[str, str], str]:
    """(case, input) -> what came when it was first recorded."""
    path = results.FOLDER / "field_cases.csv"
    first: dict[tuple[str, str], str] = {}
    if path.is_file():
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                first.setdefault((row["case"], row["input"]), f"{row['ok']:>5} {row['came']}")
    return first


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=Path, default=CASES)
    parser.add_argument("--only", nargs="*", default=[""], help="beginnings of cases' names")
    args = parser.parse_args()
    from gradio_client import Client, handle_file

    before, rows = first_answers(), []
    with starting_app() as (url, _, _):
        wait_for(url, START_SECONDS)
        client = Client(url, verbose=False)

        def ask(endpoint: str, *given: Any, **named: Any) -> Any:
            sent = (handle_file(str(v)) if isinstance(v, Path) else v for v in given)
            return client.predict(*sent, api_name=endpoint, **named)

        for name, check in CHECKS.items():
            if not name.startswith(tuple(args.only)):
                continue
            if not (args.cases / name).is_dir():
                print(f"{name}: there is no such folder in {args.cases}")
                continue
            rows += [(name, outcome) for outcome in check(ask, args.cases / name)]
        client.close()
    for name, outcome in rows:
        row = {"case": name, **outcome._asdict(), "ok": "right" if outcome.ok else "wrong"}
        results.record("field_cases", row, quiet=True)
    show(rows, before)


def show(rows: list[tuple[str, Outcome]], before: dict[tuple[str, str], str]) -> None:
    for name, (given, right, came, ok) in rows:
        print(f"{name:<32} {given:<28} {right[:28]:<28}")
        print(f"    {'first':>6}: {before.get((name, given), '-')[:110]}")
        print(f"    {'today':>6}: {'right' if ok else 'wrong'} {came[:110]}")
    good = sum(outcome.ok for _, outcome in rows)
    first = sum(before.get((name, o.input), "").startswith("right") for name, o in rows)
    print(f"{good} of {len(rows)} right; {first} when they were first recorded.")


if __name__ == "__main__":
    main()
