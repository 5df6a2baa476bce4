"""The moving previews of the Start page, computed by the app's own models.

    python -m docs.make_previews                 all of them; writes tasks/ui/previews/*.webp
    python -m docs.make_previews gan diffusion   some of them, by the names of PREVIEWS

A preview is a strip: its frames side by side in one WebP, so that the page can play, pause and
scrub it without a video. What is shown is generated here, or a sample photo of gradio's or
Ultralytics'.
"""

import argparse
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from tasks.core.weights import ROOT

FOLDER = ROOT / "tasks" / "ui" / "previews"
SIZE = (192, 128)  # px of a frame, width and height
SEED = 7
LINK_SIZE = (1200, 630)  # px, as link previews are shown
LINK_PREVIEWS = ("photos", "detection", "segmentation", "gan", "diffusion", "upscaling")
QUALITY = 72
Frames = list[Image.Image]


def sample(package: str, file: str) -> Image.Image:
    """A sample photo that comes with a package."""
    spec = find_spec(package)
    assert spec is not None and spec.origin is not None
    return Image.open(Path(spec.origin).parent / file).convert("RGB")


def fitted(image: Image.Image) -> Image.Image:
    """The image's centre, as a frame."""
    scale = max(SIZE[0] / image.width, SIZE[1] / image.height)
    size = (round(image.width * scale), round(image.height * scale))
    large = image.resize(size, Image.Resampling.LANCZOS)
    left, top = (large.width - SIZE[0]) // 2, (large.height - SIZE[1]) // 2
    return large.crop((left, top, left + SIZE[0], top + SIZE[1]))


def sheet(images: np.ndarray, columns: int, size: tuple[int, int] = SIZE) -> Image.Image:
    """uint8 (n, H, W[, 3]) in rows of `columns`, enlarged to `size`, on black."""
    rows = [
        np.concatenate(list(images[i : i + columns]), 1) for i in range(0, len(images), columns)
    ]
    tiled = Image.fromarray(np.concatenate(rows)).convert("RGB")
    scale = min(size[0] / tiled.width, size[1] / tiled.height)
    small = (round(tiled.width * scale), round(tiled.height * scale))
    frame = Image.new("RGB", size)
    enlarged = tiled.resize(small, Image.Resampling.BICUBIC)
    frame.paste(enlarged, ((size[0] - small[0]) // 2, (size[1] - small[1]) // 2))
    return frame


def wipe(before: Image.Image, after: Image.Image, n: int = 8) -> Frames:
    """`after` uncovers `before` from left to right."""
    frames = []
    for k in range(n + 1):
        frame, x = before.copy(), round(SIZE[0] * k / n)
        frame.paste(after.crop((0, 0, x, SIZE[1])), (0, 0))
        frames.append(frame)
    return frames


def digits() -> Frames:
    """A generated digit beside what speaks for (teal) and against (orange) it."""
    from tasks.classification import DigitClassifier
    from tasks.gan import GanGenerator

    classifier, gan = DigitClassifier.load(), GanGenerator.load()
    frames = []
    for label in (4, 7, 2, 5, 3, 8):
        digit = gan.generate(1, SEED, label)[0]
        evidence = classifier.explain(digit, [label])[0]
        evidence /= np.abs(evidence).max()
        shown = np.repeat(digit[..., None].astype(np.float64) * 0.35, 3, 2)
        strength = np.abs(evidence)[..., None]
        colour = np.where(evidence[..., None] > 0, (86, 214, 196), (239, 140, 80))
        shown = shown * (1 - strength) + colour * strength
        pair = [np.repeat(digit[..., None], 3, 2), shown.round().astype(np.uint8)]
        frames.append(sheet(np.stack(pair), 2))
    return frames


def photos() -> Frames:
    """A photo, then where the network looked."""
    from tasks import loaders
    from tasks.classification import heatmap

    classifier = loaders.photo_model("imagenet")
    frames = []
    for package, file in (
        ("gradio", "media_assets/images/cheetah.jpg"),
        ("gradio", "media_assets/images/lion.jpg"),
        ("ultralytics", "assets/bus.jpg"),
    ):
        image = sample(package, file)
        label = next(iter(classifier.classify(image)))
        photo = classifier.network_view(image)
        heat = heatmap.overlay(photo, classifier.grad_cam(image, label))
        frames += [fitted(Image.fromarray(photo))] * 2 + [fitted(Image.fromarray(heat))] * 2
    return frames


def detection() -> Frames:
    """A street, then its boxes."""
    from tasks import loaders
    from tasks.detection import annotate
    from tasks.detection.tab.examples import people_of
    from tasks.detection.tab.images import CONFIDENCE, IOU

    street = people_of(np.asarray(sample("ultralytics", "assets/bus.jpg")))
    found = loaders.detector("everyday").detect(street, CONFIDENCE, IOU)
    boxes = Image.fromarray(annotate.draw(street, found))
    return [fitted(Image.fromarray(street))] * 2 + [fitted(boxes)] * 4


def segmentation() -> Frames:
    """A street under its classes, from left to right."""
    from tasks.segmentation import Segmenter

    street = np.asarray(sample("ultralytics", "assets/bus.jpg").crop((0, 180, 810, 900)))
    scene = Segmenter.load().predict(street)
    return wipe(
        fitted(Image.fromarray(street)), fitted(Image.fromarray(scene.overlay(street, 0.6)))
    )


def denoising() -> Frames:
    """A noisy photo, cleaned from left to right."""
    from tasks.denoising import Denoiser

    clean = (
        np.asarray(fitted(sample("gradio", "media_assets/images/cheetah.jpg")), np.float32) / 255
    )
    noisy = clean + np.random.default_rng(SEED).normal(0, 30 / 255, clean.shape)
    restored = Denoiser.load().denoise_array(noisy.astype(np.float32).clip(0, 1), 30)
    before, after = ((x.clip(0, 1) * 255).round().astype(np.uint8) for x in (noisy, restored))
    return wipe(Image.fromarray(before), Image.fromarray(after))


def upscaling() -> Frames:
    """A photo of 64 px enlarged four times: bicubic, then ours."""
    from tasks.denoising import Enhancer

    small = sample("gradio", "media_assets/images/lion.jpg").resize((64, 64))
    before = fitted(small.resize((256, 256), Image.Resampling.BICUBIC))
    return wipe(before, fitted(Enhancer.load().super_resolve(small, 4).convert("RGB")))


def gan() -> Frames:
    """A walk in latent space over six digits at once."""
    from tasks.gan import GanGenerator

    generator = GanGenerator.load()
    labels = np.array([0, 1, 2, 3, 4, 5])
    a, b = generator.latents(6, SEED), generator.latents(6, SEED + 1)
    frames = []
    for share in [*np.linspace(0, 1, 7), *np.linspace(1, 0, 7)[1:-1]]:
        turn = np.sin(np.pi / 2 * share)
        z = (a * np.cos(np.pi / 2 * share) + b * turn).astype(np.float32)
        frames.append(sheet(generator.from_latent(z, labels), 3))
    return frames


def diffusion() -> Frames:
    """Twelve digits out of noise."""
    return _denoising_steps(12, 6, 12, SIZE)


def steps() -> Frames:
    """The strip that the Start page scrubs: sixteen digits out of noise in 25 steps."""
    return _denoising_steps(16, 4, 25, (112, 112))


def _denoising_steps(n: int, columns: int, n_steps: int, size: tuple[int, int]) -> Frames:
    from tasks.core.images import to_uint8
    from tasks.diffusion import DiffusionGenerator

    generator = DiffusionGenerator.load("mnist")
    labels = [k % 10 for k in range(n)]
    sampling = generator.steps(n, SEED, labels, n_steps=n_steps)
    return [sheet(to_uint8(step.x_t), columns, size) for step in sampling]


def inpainting() -> Frames:
    """A digit with a hole, and six ways to fill it."""
    from tasks.core.images import to_uint8
    from tasks.diffusion import DiffusionGenerator
    from tasks.diffusion.restore import inpaint
    from tasks.gan import GanGenerator

    digit = GanGenerator.load().generate(1, SEED, 3)[0]
    mask = np.zeros((28, 28), bool)
    mask[2:15] = True
    holed = np.where(mask, 60, digit).astype(np.uint8)
    sampling = inpaint(DiffusionGenerator.load("mnist"), digit, mask, 6, SEED, n_steps=12)
    return [sheet(np.repeat(holed[None], 6, 0), 3)] + [
        sheet(to_uint8(step.x0), 3) for step in sampling
    ]


def comparison() -> Frames:
    """The same classes by VAE, GAN and diffusion."""
    from tasks.diffusion import DiffusionGenerator
    from tasks.gan import GanGenerator, VaeGenerator

    labels = [2, 3, 5, 7]
    frames = []
    for seed in range(SEED, SEED + 4):
        one_step = [g.generate(4, seed, labels) for g in (VaeGenerator.load(), GanGenerator.load())]
        diffused = DiffusionGenerator.load("mnist").generate(4, seed, labels)
        frames += [sheet(np.concatenate([*one_step, diffused]), 4)] * 2
    return frames


def drawings() -> Frames:
    """Six captions in six languages, out of noise."""
    from tasks.text_to_image import TextToImage

    model = TextToImage.bundled()
    captions = ["a fox on blue", "Rakete", "une pizza", "ballena sobre fondo azul", "🌷", "猫"]
    sampling = model.steps(captions, len(captions), SEED, n_steps=10)
    return [sheet(step.noisy, 3) for step in sampling]


PREVIEWS: dict[str, Callable[[], Frames]] = {
    "digits": digits,
    "photos": photos,
    "detection": detection,
    "segmentation": segmentation,
    "denoising": denoising,
    "upscaling": upscaling,
    "gan": gan,
    "diffusion": diffusion,
    "inpainting": inpainting,
    "comparison": comparison,
    "drawings": drawings,
    "steps": steps,
}


def link_image() -> None:
    """What a shared link shows, link.jpg: the last frames of six previews under the page's name."""
    page = Image.new("RGB", LINK_SIZE, (251, 250, 247))
    pen = ImageDraw.Draw(page)
    pen.text((40, 28), "Image Lab", (29, 28, 26), font=ImageFont.load_default(64))
    pen.text(
        (40, 108), "Machine learning on images, live", (18, 117, 108), ImageFont.load_default(34)
    )
    width, height = 366, 212
    for k, name in enumerate(LINK_PREVIEWS):
        with Image.open(FOLDER / f"{name}.webp") as strip:
            last = strip.crop((strip.width - SIZE[0], 0, strip.width, SIZE[1])).convert("RGB")
        enlarged = ImageOps.fit(last, (width, height), Image.Resampling.LANCZOS)
        page.paste(enlarged, (40 + (k % 3) * (width + 11), 172 + (k // 3) * (height + 12)))
    page.save(FOLDER / "link.jpg", quality=82)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PREVIEWS))
    names = parser.parse_args().names or list(PREVIEWS)
    FOLDER.mkdir(exist_ok=True)
    for name in names:
        frames = PREVIEWS[name]()
        strip = Image.new("RGB", (sum(f.width for f in frames), frames[0].height))
        for k, frame in enumerate(frames):
            strip.paste(frame, (k * frame.width, 0))
        path = FOLDER / f"{name}.webp"
        strip.save(path, "WEBP", quality=QUALITY, method=6)
        print(f"{path.name}: {len(frames)} frames, {path.stat().st_size / 1000:.0f} kB")
    link_image()


if __name__ == "__main__":
    main()
