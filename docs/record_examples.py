"""What the sub-tabs open with, computed once by the app's own handlers and loaders.

    python -m docs.record_examples                  all of them; writes tasks/ui/recordings/
    python -m docs.record_examples gan-grid pads    some of them, by the names of EXAMPLES

Inputs are generated here, or sample photos of gradio's and Ultralytics'. Images are WebP, clips
VP9 in WebM, all else JSON.
"""

import argparse
import base64
import json
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
from PIL import Image

from docs.make_previews import sample
from tasks import loaders, models
from tasks.core.images import png_bytes
from tasks.ui.image_input import sample_images
from tasks.ui.jobs import JOBS, Frame
from tasks.ui.recordings import FOLDER
from tasks.ui.widget import data_url, encode_base64

SEED = 0
SIDE = 640  # px of an image's longer side
QUALITY = 78  # of photos; of small pixels that are enlarged, PIXEL_QUALITY
PIXEL_QUALITY = 88
TAUGHT_SIDE = 80  # px of a taught frame's thumbnail
PLAYER_FRAMES = 9  # of a step player, evenly chosen
CLIP_WH, CLIP_FPS, CLIP_SECONDS = (480, 360), 15, 4
MASK_WH = (160, 120)  # px of a clip's masks
MASK_EVERY = 3  # frames of a clip
NOTE = "<p class='lab-example'>Example</p>"
DATA_URL = re.compile(r"data:image/\w+;base64,([A-Za-z0-9+/=]+)")


# -- files -----------------------------------------------------------------------------------------


def write_json(name: str, value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def write_image(name: str, image: Any, quality: int = QUALITY) -> dict[str, str]:
    """An image, array or file as WebP of at most SIDE px; {"file": its name}."""
    if isinstance(image, str | Path):
        image = Image.open(image)
    elif isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    image = image.convert("RGB")
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    image.save(FOLDER / f"{name}.webp", "WEBP", quality=quality, method=6)
    return {"file": f"{name}.webp"}


def webp_url(data: bytes, side: int, quality: int) -> str:
    """An image's bytes as a WebP data URL, reduced to `side` px; quality 100: without loss."""
    image, out = Image.open(BytesIO(data)), BytesIO()
    lossless = quality == 100
    method = Image.Resampling.NEAREST if lossless else Image.Resampling.LANCZOS
    scale = min(1.0, side / max(image.size))
    small = image.resize((round(image.width * scale), round(image.height * scale)), method)
    small.convert("RGB").save(out, "WEBP", quality=quality, method=6, lossless=lossless)
    return data_url(out.getvalue(), "image/webp")


def write_clip(name: str, frames: Sequence[np.ndarray], fps: float) -> dict[str, str]:
    """VP9 in WebM, which every browser plays."""
    height, width = (side // 2 * 2 for side in frames[0].shape[:2])
    with av.open(str(FOLDER / f"{name}.webm"), "w") as out:
        stream = out.add_stream("libvpx-vp9", rate=Fraction(fps).limit_denominator(1001))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": "42", "b": "0", "deadline": "good", "cpu-used": "2"}
        for frame in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame[:height, :width])))
        out.mux(stream.encode())
    return {"file": f"{name}.webm"}


def read_clip(path: str) -> tuple[list[np.ndarray], float]:
    """(frames of CLIP_WH, frames a second) of a video."""
    with av.open(path) as clip:
        stream = clip.streams.video[0]
        size = {"width": CLIP_WH[0], "height": CLIP_WH[1]}
        frames = [f.reformat(**size, format="rgb24").to_ndarray() for f in clip.decode(stream)]
        return frames, float(stream.average_rate or CLIP_FPS)


def write_outputs(name: str, *values: Any) -> None:
    """What `tasks.ui.recordings.outputs` reads."""
    write_json(name, {"outputs": list(values)})


def first_sample(samples: Sequence[tuple[str, str]]) -> str:
    return sample_images(tuple(samples[:1]))[0]


def last(steps: Iterator[Any]) -> Any:
    *_, value = steps
    return value


# -- the step player -------------------------------------------------------------------------------


def record_player(
    name: str, started: dict[str, Any], about: str, most: int = PLAYER_FRAMES
) -> None:
    """The frames of a job: texts as JSON, images as one sheet, a row a frame."""
    job = JOBS.get(started["run"])
    while not job.done:
        JOBS.poll(started["run"], len(job.frames), wait_s=1)
    if job.error or not job.frames:
        raise RuntimeError(f"{name}: {job.error}")
    count = len(job.frames)
    chosen = np.linspace(0, count - 1, min(most, count)).round().astype(int)
    frames: list[Frame] = [job.frames[i] for i in chosen]
    sheet = np.concatenate([_row(frame) for frame in frames])
    Image.fromarray(sheet).save(FOLDER / f"{name}.webp", "WEBP", quality=PIXEL_QUALITY, method=6)
    shapes = [(*p.shape[:3], p.shape[3] if p.ndim == 4 else 1) for p in frames[0].panels]
    texts = [{"title": f.title, "text": f.text, "dots": f.dots} for f in frames]
    write_json(name, {"about": about, "shapes": shapes, "frames": texts})


def _row(frame: Frame) -> np.ndarray:
    """uint8 (h, w of all images, 3): the images of all panels side by side."""
    panels = [p if p.ndim == 4 else p[..., None].repeat(3, -1) for p in frame.panels]
    return np.concatenate([image for panel in panels for image in panel], 1)


# -- classification --------------------------------------------------------------------------------


def digit_pad() -> None:
    from tasks.classification.tab import digits

    drawing = drawn(4)
    answer = digits.read_drawing(data_url(drawing))
    inside = digits.look_inside(answer["digit"])
    answer = {**answer, "probabilities": inside["probabilities"]}
    value = {"drawing": encode_base64(drawing), "answer": answer, "inside": inside}
    write_json("digit-pad", value)


def teach() -> None:
    from tasks.classification.tab import teach as tab

    tab.load_example()  # the first pass also warms up
    example = tab.load_example()
    for frame in example["frames"]:
        frame["jpeg"] = jpeg_url(frame["jpeg"], TAUGHT_SIDE)
    write_json("teach", example)


def jpeg_url(url: str, side: int) -> str:
    """An image's data URL, reduced to `side` px."""
    image, out = Image.open(BytesIO(base64.b64decode(url.partition(",")[2]))), BytesIO()
    image.resize((side, side)).save(out, "JPEG", quality=QUALITY)
    return data_url(out.getvalue(), "image/jpeg")


def drawn(label: int) -> bytes:
    """A PNG of a digit, dark on white, as on a pad."""
    from tasks.core.digit_preprocessing import extract_digit
    from tasks.denoising.tab.digits import drawn_digit

    classifier = loaders.digit_classifier()
    for seed in range(1000):
        png = png_bytes(drawn_digit(seed))
        if int(classifier.classify_batch(extract_digit(png)[None])[0].argmax()) == label:
            return png
    raise RuntimeError(f"no {label}")


def photos() -> None:
    from tasks.classification.tab import photos as tab

    html, seen, first, second, other = tab.answer(first_sample(tab.SAMPLES), models.IMAGENET)
    images = {"photos-seen": seen, "photos-first": first, "photos-second": second}
    files = [write_image(name, update.value["path"]) for name, update in images.items()]
    compared = {
        "titles": [update.label for update in images.values()],
        "choices": [list(choice) for choice in other.choices],
        "choice": other.value,
    }
    write_outputs("photos", html.replace("<h2>", f"{NOTE}<h2>", 1), *files, compared)


# -- detection -------------------------------------------------------------------------------------


def detect_images() -> None:
    from tasks.detection.tab import images

    sample = first_sample(images.SAMPLES)
    boxes, html, rows = images.detect(sample, "everyday", images.CONFIDENCE, images.IOU, 320)
    write_outputs("detect-images", write_image("detect-images", boxes), NOTE + html, rows)


def detect_compare() -> None:
    from tasks.detection.tab import compare

    sample = first_sample(compare.SAMPLES)
    gallery, table = last(compare.compare(sample, ["everyday"], compare.CONFIDENCE))
    shown = [
        [write_image(f"detect-compare-{k}", image), text] for k, (image, text) in enumerate(gallery)
    ]
    write_outputs("detect-compare", shown, NOTE + table)


def detect_video() -> None:
    from tasks.detection.tab import images, videos

    request: Any = SimpleNamespace(session_hash="recorded")
    settings = ("everyday", images.CONFIDENCE, images.IOU, 320, None)
    with tempfile.TemporaryDirectory() as folder:
        file = str(people_clip(Path(folder)))
        for html, video, plot, table in videos.detect_file(file, *settings, request):
            if isinstance(table, list):
                clip = write_clip("detect-video", *read_clip(video))
                write_outputs("detect-video", NOTE + html, clip, plot)


def street_clip(folder: Path) -> Path:
    """A clip whose view moves over the photo of a street."""
    from tasks.detection import sample_scenes

    street = np.asarray(sample("ultralytics", "assets/bus.jpg"))
    return sample_scenes.clip(street, folder / "street", CLIP_SECONDS)


def people_clip(folder: Path) -> Path:
    """The same over the two people in it."""
    from tasks.detection import sample_scenes
    from tasks.detection.tab.examples import people_of

    street = np.asarray(sample("ultralytics", "assets/bus.jpg"))
    return sample_scenes.clip(people_of(street), folder / "people", CLIP_SECONDS)


def live_people() -> None:
    """A clip for the stage of the detectors' camera, and what the bundled one finds in it."""
    from tasks.detection.tab.images import CONFIDENCE, IOU
    from tasks.detection.tracker import TRACKING_FLOOR, Tracker

    with tempfile.TemporaryDirectory() as folder:
        frames, fps = read_clip(str(people_clip(Path(folder))))
    clip = {**write_clip("live-people", frames, fps), "fps": fps}
    detector, tracker, answers = loaders.detector("everyday"), Tracker(), []
    width, height = CLIP_WH
    for frame in frames:
        raw = detector.detect_array(frame, TRACKING_FLOOR, IOU, size=320)
        found = tracker.update(raw, CONFIDENCE)
        answers.append(
            {
                "boxes": (found.xyxy / [width, height, width, height]).round(3).tolist(),
                "confidence": found.confidence.astype(float).round(2).tolist(),
                "kind": found.class_id.tolist(),
                "track": None if found.track_id is None else found.track_id.tolist(),
            }
        )
    classes = list(detector.class_names)
    write_json("live-detection", {**clip, "every": 1, "classes": classes, "answers": answers})


def live_clip() -> None:
    """A clip for the stage of the segmenter's camera, and its masks."""
    with tempfile.TemporaryDirectory() as folder:
        frames, fps = read_clip(str(street_clip(Path(folder))))
    clip = {**write_clip("live-clip", frames, fps), "fps": fps}
    segmenter, masks = loaders.segmenter(), []
    for frame in frames[::MASK_EVERY]:
        scene = segmenter.predict(frame, entropy=False)
        shares = scene.shares()
        masks.append(
            {
                "mask": webp_url(png_bytes(scene.class_id), max(MASK_WH), 100),
                "shares": [round(shares[name], 4) for name in scene.class_names],
            }
        )
    from tasks.core.palettes import to_hex

    known = {"names": list(segmenter.class_names), "colours": to_hex(segmenter.palette)}
    write_json("live-segmentation", {**clip, "every": MASK_EVERY, **known, "answers": masks})


# -- segmentation ----------------------------------------------------------------------------------


def segment_view() -> None:
    from tasks.segmentation.tab import images

    value = images.answer(first_sample(images.SAMPLES), "segmentation", "640 px", True, False)
    for key, side, quality in (
        ("picture", SIDE, QUALITY),
        ("classes", SIDE, 100),
        ("confidence", 320, 60),
        ("entropy", 320, 60),
    ):
        value[key] = webp_url(base64.b64decode(value[key].partition(",")[2]), side, quality)
    value["said"] = f"Example · {value['said']}"
    write_json("segment-view", value)


def segment_inside() -> None:
    from tasks.segmentation.tab import images, inside

    html = inside.look_inside(first_sample(images.SAMPLES), "segmentation", [])
    count = 0

    def to_file(found: re.Match[str]) -> str:
        nonlocal count
        count += 1
        image = Image.open(BytesIO(base64.b64decode(found[1])))
        file = write_image(f"segment-inside-{count}", image, 65)["file"]
        return f"gradio_api/file=tasks/ui/recordings/{file}"

    write_outputs("segment-inside", NOTE + DATA_URL.sub(to_file, html))


def segment_compare() -> None:
    from tasks.segmentation.tab import compare, images

    gallery, table = last(compare.compare(first_sample(images.SAMPLES), ["segmentation"]))
    shown = [
        [write_image(f"segment-compare-{k}", image), text]
        for k, (image, text) in enumerate(gallery)
    ]
    write_outputs("segment-compare", shown, NOTE + table)


def segment_video() -> None:
    from tasks.segmentation.tab import videos

    request: Any = SimpleNamespace(session_hash="recorded")
    with tempfile.TemporaryDirectory() as folder:
        file = str(street_clip(Path(folder)))
        for html, video, plot, table in videos.segment_file(file, "segmentation", 55, request):
            if isinstance(table, str):
                clip = write_clip("segment-video", *read_clip(video))
                write_outputs("segment-video", NOTE + html, clip, plot)


# -- denoising -------------------------------------------------------------------------------------


def denoise_photo() -> None:
    from tasks.denoising.tab import photo

    with tempfile.TemporaryDirectory() as folder:
        noisy = photo.noisy_samples(Path(folder))[0][0]
        sigma = photo.measure(noisy)["value"]
        for compared, removed, _, message in photo.denoise(noisy, sigma):
            if isinstance(compared, tuple):
                pair = [write_image(f"denoise-photo-{k}", x) for k, x in enumerate(compared)]
                noise = write_image("denoise-photo-noise", removed.value["path"], 50)
                level = {"sigma": sigma, "title": removed.label}
                write_outputs("denoise-photo", pair, noise, NOTE + message, level)


def denoise_playground() -> None:
    from tasks.denoising.tab import playground

    gallery, table = playground.play("Lion", "Gaussian", 25, SEED)
    shown = [[write_image(f"playground-{k}", x, 65), text] for k, (x, text) in enumerate(gallery)]
    write_outputs("denoise-playground", shown, NOTE + table)


def noisy_digit() -> None:
    from tasks.denoising.tab import digits

    drawing = drawn(3)
    asked = {"drawing": data_url(drawing), "sigma": 0.4, "seed": SEED}
    write_json("noisy-digit", {"drawing": encode_base64(drawing), **digits.denoise_drawing(asked)})


def enlarge() -> None:
    from tasks.denoising.tab import enhance

    _compared("enlarge", enhance.enlarge(first_sample(enhance.SAMPLES), "2", True))


def jpeg() -> None:
    from tasks.denoising.tab import enhance

    _compared("jpeg", enhance.undo_jpeg(first_sample(enhance.SAMPLES), "10"))


def _compared(name: str, steps: Iterator[Any]) -> None:
    for shown, _, message in steps:
        if isinstance(shown, tuple):
            pair = [write_image(f"{name}-{k}", image) for k, image in enumerate(shown)]
            write_outputs(name, pair, NOTE + message)


# -- GAN -------------------------------------------------------------------------------------------


def gan_grid() -> None:
    """The grid, and the walk from one of its digits to another."""
    from tasks.gan.tab import generate

    a, b = 3, 8
    value = generate.make_digits(generate.IN_TURN, 50, SEED, 3, a, b)
    write_json("gan-grid", {**value, "said": f"Example: {value['said']}"})
    z = np.frombuffer(base64.b64decode(value["latents"]), np.float32).reshape(50, -1)
    pinned = {
        name: {"z": z[k].astype(float).tolist(), "label": value["labels"][k]}
        for name, k in (("a", a), ("b", b))
    }
    walk = generate.begin_walk({"kind": "walk", **pinned})
    record_player("gan-player", walk, "the path from A to B, pinned above.", 25)


def gan_steer() -> None:
    from tasks.gan.tab import steer

    place = {"x": 0, "y": 0, "mix": 0, "from": "3", "to": "8", "seed": SEED}  # as steer.js opens
    write_json("gan-steer", {"digit": steer.steer_digit(place), "map": steer.map_plane(place)})


def gan_discriminator() -> None:
    from tasks.gan.tab import discriminator

    write_json("gan-discriminator", discriminator.score_generated({"seed": SEED, "label": "5"}))


def gan_history() -> None:
    from tasks.gan.tab import history

    record_player("gan-history", history.begin_history(SEED), "seed 0.", 12)


# -- diffusion -------------------------------------------------------------------------------------


def pads() -> None:
    """An image of each model, and what the three tabs with a pad make of the digit."""
    pictures = {}
    for name, label in (("mnist", 3), ("cifar10", 7)):
        generator = loaders.diffusion_generator(name)
        image = generator.generate(1, SEED + 3, label)[0]
        said = f"Example: a generated {generator.classes[label]}. Draw your own, or change it."
        pictures[name] = {"picture": encode_base64(image), "said": said}
    write_json("pads", pictures)


def pad_value() -> dict[str, Any]:
    picture = json.loads((FOLDER / "pads.json").read_text(encoding="utf-8"))["mnist"]["picture"]
    return {"model": "mnist", "drawn": True, "picture": picture}


def inpainting() -> None:
    from tasks.diffusion.tab import restoration

    mask = np.zeros((28, 28), np.uint8)
    mask[15:] = 1  # as the pad's first mask, pad.js
    value = {**pad_value(), "mask": encode_base64(mask)}
    job = restoration.begin_inpaint(value, restoration.ANY, 4, 15, SEED)
    record_player("inpaint-player", job, "four ways to fill the lower half of the digit.")


def super_resolution() -> None:
    from tasks.diffusion.tab import restoration

    value = pad_value()
    image = np.frombuffer(base64.b64decode(value["picture"]), np.uint8).reshape(7, 4, 7, 4)
    value |= {"times": 4, "small": encode_base64(image.mean((1, 3)).round().astype(np.uint8))}
    job = restoration.begin_enlarge(value, restoration.ANY, 4, 25, SEED)
    record_player("enlarge-player", job, "four images that reduce to the small one.")


def noise_and_denoise() -> None:
    from tasks.diffusion.tab import pad, restoration, reversible_noise

    value = pad_value()
    image = np.frombuffer(base64.b64decode(value["picture"]), np.uint8).reshape(28, 28).copy()
    noisy = loaders.diffusion_generator("mnist").forward_process(image, 300, SEED)
    units = (noisy * pad.UNIT).clip(-32767, 32767).round().astype(np.int16)
    job = restoration.begin_denoise({**value, "t": 300, "noisy": encode_base64(units)}, 20)
    record_player("forward-player", job, "the digit noised to t = 300, and back.")
    job = reversible_noise.begin_reversible(value, SEED)
    record_player("far-player", job, "the digit, seed 0.", 14)


def diffusion_generate() -> None:
    from tasks.diffusion.tab import generate

    guidance = generate.guidance_of("mnist")
    job = generate.begin("mnist", generate.IN_TURN, 16, SEED, "unipc", 25, guidance)
    record_player("diffusion-player", job, "the settings beside it, seed 0.")


def samplers() -> None:
    from tasks.diffusion.tab import samplers as tab

    name = tab.first_model()
    job = tab.begin_samplers(name, tab.IN_TURN, SEED, tab.STEPS, tab.guidance_of(name))
    record_player("samplers-player", job, "the settings above, seed 0.")


# -- compare ---------------------------------------------------------------------------------------


def comparison() -> None:
    from tasks.compare.tab import side_by_side

    job = side_by_side.begin_comparison(side_by_side.IN_TURN, 20, SEED, 10)
    record_player("compare-player", job, "the settings above, seed 0.", 5)


def neighbours() -> None:
    from tasks.compare.tab import metrics
    from tasks.compare.tab import neighbours as tab

    places = json.loads(metrics.RESULT.with_suffix(".json").read_text(encoding="utf-8"))
    write_outputs("neighbours", NOTE + tab.pairs(places["neighbours"]))


def text_to_image() -> None:
    from tasks.text_to_image.tab import generate, paint, strips

    job = generate.begin(generate.PROMPT, 4, SEED, 20, generate.best_guidance(), "noto", "")
    record_player("words-player", job, "the prompt beside it, seed 0.")
    job = strips.begin_strip(strips.WALK, "a fox", "a cat on yellow", SEED, "noto")
    record_player("strips-player", job, "from a fox to a cat on yellow, seed 0.", 6)
    drawn = loaders.text_to_image().generate("smiling face", 1, SEED)[0]
    canvas = np.dstack([drawn, np.full(drawn.shape[:2], 255, np.uint8)])
    top = np.zeros_like(canvas)
    top[12:34, 4:60, 3] = 255
    editor = {"background": canvas, "layers": [top]}
    job = paint.begin_paint(editor, "sunglasses", 0.9, SEED, "noto")
    record_player("paint-player", job, "sunglasses painted over a generated face, seed 0.", 6)


EXAMPLES: dict[str, Callable[[], None]] = {
    "digit-pad": digit_pad,
    "photos": photos,
    "teach": teach,
    "detect-images": detect_images,
    "detect-compare": detect_compare,
    "detect-video": detect_video,
    "live-people": live_people,
    "live-clip": live_clip,
    "segment-view": segment_view,
    "segment-inside": segment_inside,
    "segment-compare": segment_compare,
    "segment-video": segment_video,
    "denoise-photo": denoise_photo,
    "denoise-playground": denoise_playground,
    "noisy-digit": noisy_digit,
    "enlarge": enlarge,
    "jpeg": jpeg,
    "gan-grid": gan_grid,
    "gan-steer": gan_steer,
    "gan-discriminator": gan_discriminator,
    "gan-history": gan_history,
    "pads": pads,
    "inpainting": inpainting,
    "super-resolution": super_resolution,
    "noise-and-denoise": noise_and_denoise,
    "diffusion-generate": diffusion_generate,
    "samplers": samplers,
    "text-to-image": text_to_image,
    "comparison": comparison,
    "neighbours": neighbours,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(EXAMPLES))
    for name in parser.parse_args().names or list(EXAMPLES):
        EXAMPLES[name]()
        print(name, flush=True)
    size = sum(file.stat().st_size for file in FOLDER.iterdir() if file.suffix != ".py")
    print(f"{size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
