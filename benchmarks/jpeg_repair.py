"""What JPEG repair does to good and bad JPEGs: PSNR before and after, by quality.

    python -m benchmarks.jpeg_repair [--qualities 10 50 75 90 98] [--side 224]

Photos (the packages' samples) and drawn screenshots, light and dark; colours at half the size
(4:2:0) and whole (4:4:4); as a file, and cropped off the grid of blocks and saved as PNG, so that
the quality is known from the pixels only. Wanted: nowhere more than 0.05 dB worse than the JPEG.
Writes benchmarks/results/jpeg_repair.csv, a row for each quality with the worst case.
"""

import argparse
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.results import record
from tasks.core import images
from tasks.core.image_metrics import psnr
from tasks.denoising.enhancer import Enhancer
from tasks.ui.image_input import sample_images

PHOTOS = ("cheetah1", "lion", "tower")
SCREENSHOTS = (False, True, False)  # dark
SUBSAMPLINGS = {"4:2:0": 2, "4:4:4": 0}
CROP = (3, 5)  # px from the top and from the left
QUALITIES = (10, 20, 30, 40, 50, 60, 65, 70, 75, 80, 85, 90, 93, 95, 98)


def photo(name: str, side: int) -> Image.Image:
    """The centre of a sample, reduced so far that its own JPEG artefacts are gone."""
    image = images.to_rgb(sample_images((("gradio", f"media_assets/images/{name}.jpg"),))[0])
    scale = 1.6 * side / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)))
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def screenshot(seed: int, side: int, dark: bool) -> Image.Image:
    """Lines of coloured text, a title bar, a few boxes."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (side, side), (30, 32, 36) if dark else (255, 255, 255))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(11 + seed % 4)
    inks = (
        ((230, 230, 230), (120, 200, 255), (255, 180, 90))
        if dark
        else (
            (0, 0, 0),
            (180, 20, 20),
            (20, 60, 180),
        )
    )
    draw.rectangle((0, 0, side, 18), fill=(60, 90, 160))
    letters = list("abcdefghij klmno pqrst 0123456789,.")
    for y in range(22, side - 12, 15):
        if rng.random() < 0.15:
            fill = tuple(int(v) for v in rng.integers(80, 255, 3))
            draw.rectangle((8, y, 70, y + 12), fill=fill)
        line = "".join(rng.choice(letters) for _ in range(side // 5))
        draw.text((5, y), line, fill=inks[rng.integers(3)], font=font)
    return image


def jpeg(image: Image.Image, quality: int, subsampling: int) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    return buffer.getvalue()


def change(enhancer: Enhancer, truth: Image.Image, data: bytes, cropped: bool) -> float:
    """dB that repair adds to the JPEG."""
    clean, before = np.asarray(truth), np.asarray(images.to_rgb(data))
    sent: bytes | np.ndarray = data
    if cropped:
        before, clean = before[CROP[0] :, CROP[1] :], clean[CROP[0] :, CROP[1] :]
        sent = np.ascontiguousarray(before)
    after = np.asarray(enhancer.deblock(sent).convert("RGB"))
    return psnr(after / 255, clean / 255) - psnr(before / 255, clean / 255)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--qualities", type=int, nargs="+", default=list(QUALITIES))
    parser.add_argument("--side", type=int, default=224, help="px")
    args = parser.parse_args()
    enhancer = Enhancer.load()
    kinds = {
        "photo": [photo(name, args.side) for name in PHOTOS],
        "screenshot": [screenshot(k, args.side, dark) for k, dark in enumerate(SCREENSHOTS)],
    }
    for quality in args.qualities:
        row: dict[str, float | int | str] = {"quality": quality}
        worst = np.inf
        for kind, truths in kinds.items():
            for name, subsampling in SUBSAMPLINGS.items():
                for cropped in (False, True):
                    found = [
                        change(enhancer, truth, jpeg(truth, quality, subsampling), cropped)
                        for truth in truths
                    ]
                    label = f"{kind} {name}{' cropped' if cropped else ''}"
                    row[label] = round(float(np.mean(found)), 3)
                    worst = min(worst, *found)
        record("jpeg_repair", {**row, "worst": round(float(worst), 3)})


if __name__ == "__main__":
    main()
