"""Conversion and checks of images: files, bytes, PIL images and arrays.

`to_rgb` returns an upright 8-bit RGB image, or raises `ImageError` with a sentence that says what
came, what is needed and what would work.
"""

import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from tasks.core.image_files import animation, colour, depth, formats, jpeg, png, tiff
from tasks.core.image_files.errors import ImageError

MAX_PIXELS = 64_000_000  # a 64 megapixel photo; decoded, 192 MB
MIN_SIDE = 8  # px
NOTE = "image-lab-note"  # where notes stand in `info`; gradio writes them into a PNG

# EXIF orientation -> what makes the image upright
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

ImageLike = Image.Image | np.ndarray | bytes | str | Path | None


class NoDigitError(ValueError):
    """An image without a digit; the text is shown to the visitor."""


def to_rgb(source: ImageLike, *, min_side: int = MIN_SIDE) -> Image.Image:
    """Any image as upright 8-bit RGB.

    Transparent parts become white, colours sRGB, 16-bit and float values are scaled to 8 bits, EXIF
    orientation is applied; of an animation the first frame that is not empty is used, of a TIFF
    the full page behind a thumbnail. `note_of` the result says what was done besides.

    Args:
        source: path, encoded bytes, PIL image, or array: uint8 / uint16 / bool / float in [0, 1],
            of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4).
        min_side: smallest side in px that is accepted.
    Raises:
        ImageError: nothing came, not an image, truncated, too small, more than MAX_PIXELS, NaN.
    """
    image = _upright_8_bits(source, min_side)
    if not image.has_transparency_data:
        return _noted(image.convert("RGB"), note_of(image))
    rgba = image.convert("RGBA")
    white = Image.new("RGBA", rgba.size, "white")
    return _noted(Image.alpha_composite(white, rgba).convert("RGB"), note_of(image))


def split_alpha(
    source: ImageLike, *, min_side: int = MIN_SIDE
) -> tuple[Image.Image, np.ndarray | None]:
    """As `to_rgb`, transparency apart: (RGB, opacity as uint8 (H, W), None where all is opaque).

    What is invisible has the colours of its surroundings, so that nothing of it bleeds into what is
    seen. Raises as `to_rgb`.
    """
    image = _upright_8_bits(source, min_side)
    if not image.has_transparency_data:
        return _noted(image.convert("RGB"), note_of(image)), None
    rgba = np.asarray(image.convert("RGBA"))
    alpha = np.ascontiguousarray(rgba[..., 3])
    if alpha.min() == 255:
        return _noted(Image.fromarray(rgba[..., :3].copy()), note_of(image)), None
    return _noted(Image.fromarray(_spread(rgba[..., :3], alpha > 0)), note_of(image)), alpha


def note_of(image: Image.Image) -> str:
    """What had to be done to read an image, in sentences, or ""."""
    return str(image.info.get(NOTE, ""))[:500]


def _noted(image: Image.Image, note: str) -> Image.Image:
    image.info = {NOTE: note} if note else {}
    return image


def _spread(rgb: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Invisible pixels in the mean colour of the visible ones around, near ones first.

    A pyramid: each level halves the image; holes are filled from the level above.
    """
    weight = visible.astype(np.float32)[..., None]
    if not visible.any():
        return np.full_like(rgb, 255)
    colours = rgb.astype(np.float32) * weight
    return _filled(colours, weight).clip(0, 255).round().astype(np.uint8)


def _filled(colours: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """float32 (H, W, 3) premultiplied by (H, W, 1) -> colours without holes."""
    mean = colours / np.maximum(weight, 1e-6)
    if weight.min() > 0 or max(weight.shape[:2]) < 2:
        return mean
    height, width = weight.shape[:2]
    padded = [
        np.pad(x, ((0, height % 2), (0, width % 2), (0, 0)), "edge") for x in (colours, weight)
    ]
    halves = [x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2, -1).mean((1, 3)) for x in padded]
    below = _filled(*halves).repeat(2, 0).repeat(2, 1)[:height, :width]
    return np.where(weight > 0, mean, below)


def _upright_8_bits(source: ImageLike, min_side: int) -> Image.Image:
    """In mode L, LA, RGB, RGBA or what Pillow converts to one of them; `info[NOTE]` is set."""
    if source is None:
        raise ImageError("No image came. Upload one, paste one, or take one with the camera.")
    if isinstance(source, np.ndarray):
        source = _from_array(source)
    if isinstance(source, Image.Image):
        return _read(source, None, min_side)
    data = _bytes(source)
    return _read(_decode(data), data, min_side)


def _read(image: Image.Image, data: bytes | None, min_side: int) -> Image.Image:
    if data is None or image.format != "TIFF":  # of a TIFF the page is not chosen yet
        _check_size(image.size, min_side)
    try:
        image, notes = _pixels(image, data)
        _check_size(image.size, min_side)
        image, note = colour.to_srgb(_upright(image))
        return _noted_keeping(image, [*notes, note])
    except ImageError:
        raise
    except Exception as error:  # damaged bytes lead decoders to many kinds
        raise ImageError(
            f"The image ({_describe(image)}) breaks off or is damaged. Save it again "
            "as PNG or JPEG and send that."
        ) from error


def _noted_keeping(image: Image.Image, notes: list[str]) -> Image.Image:
    image.info = {**image.info, NOTE: " ".join(filter(None, notes))}
    return image


def _pixels(image: Image.Image, data: bytes | None) -> tuple[Image.Image, list[str]]:
    """(the image in 8 bits, loaded; notes). Raises ImageError and what decoders raise."""
    notes = [note_of(image)]
    if data is not None and image.format == "TIFF":
        image, note = _tiff(data, image)
        notes.append(note)
    if data is not None and image.format in ("GIF", "PNG", "WEBP", "AVIF"):
        notes.append(animation.fullest_frame(image))
    try:
        image.load()
    except Exception:
        ended = jpeg.without_end(data) if data is not None and image.format == "JPEG" else None
        if ended is None:
            raise
        image, note = ended
        notes.append(note)
    if data is not None and image.format == "PNG":
        few, note = png.of_few_bits(data, image)
        image = image if few is image else _like(few, image)
        notes.append(note)
    if image.mode in ("I", "I;16", "I;16B", "I;16L", "F"):
        pixels, note = depth.to_8_bits(np.asarray(image))
        image = _like(Image.fromarray(pixels), image)
        notes.append(note)
    return image, notes


def _like(image: Image.Image, other: Image.Image) -> Image.Image:
    """With the profile and the orientation of another one."""
    turn = other.getexif().get(ExifTags.Base.Orientation, 1)
    image.info = dict(other.info)
    image.getexif()[ExifTags.Base.Orientation] = turn
    return image


def _tiff(data: bytes, image: Image.Image) -> tuple[Image.Image, str]:
    """The page that is meant, by Pillow or by `image_files.tiff`."""
    found = tiff.pages(data)
    if not found:
        return image, ""
    page, note = tiff.full_page(found)
    _check_size(page.size_wh, 1)
    unusual = tiff.unusual(data, page)
    if unusual is not None:
        return unusual[0], f"{note} {unusual[1]}".strip()
    if page is found[0]:
        return image, note
    return _decode(tiff.beginning_with(data, page)), note


def size_of(source: bytes | str | Path) -> tuple[int, int]:
    """Width and height in px, from the file's header. Raises ImageError: not an image."""
    return _decode(_bytes(source)).size


def to_grey(source: ImageLike, *, min_side: int = MIN_SIDE) -> np.ndarray:
    """Any image as uint8 (H, W), by the luma weights of ITU-R 601. Raises as `to_rgb`."""
    return np.asarray(to_rgb(source, min_side=min_side).convert("L"))


def thumbnail(rgb: np.ndarray, longest: int = 1600) -> np.ndarray:
    """uint8 (H, W, 3), reduced to a longer side of `longest` px if it is larger, for the page."""
    image = Image.fromarray(rgb)
    image.thumbnail((longest, longest))
    return np.asarray(image)


def png_bytes(array: np.ndarray) -> bytes:
    """uint8 (H, W) or (H, W, 3) -> an encoded PNG."""
    buffer = BytesIO()
    Image.fromarray(array).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def jpeg_bytes(rgb: np.ndarray) -> bytes:
    """uint8 (H, W, 3) -> an encoded JPEG, for what is looked at only."""
    buffer = BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def check_batch(
    images: np.ndarray, size_hw: tuple[int, int] | None, channels: int | None
) -> np.ndarray:
    """A batch as uint8 (N, H, W) for `channels=None`, else (N, H, W, channels), unchanged.

    Raises:
        ImageError: another dtype or shape.
    """
    need = f"uint8 (N, {size_hw[0]}, {size_hw[1]}" if size_hw else "uint8 (N, H, W"
    need += f", {channels})" if channels else ")"
    shape = np.shape(images)
    fits = (
        isinstance(images, np.ndarray)
        and images.dtype == np.uint8
        and len(shape) == (4 if channels else 3)
        and (size_hw is None or shape[1:3] == size_hw)
        and (channels is None or shape[3] == channels)
    )
    if not fits:
        came = (
            f"{images.dtype} {shape}" if isinstance(images, np.ndarray) else type(images).__name__
        )
        raise ImageError(f"A batch of images is needed as {need}; {came} came.")
    return images


def _bytes(source: bytes | str | Path) -> bytes:
    """Of a file, or of what was sent. Raises ImageError: neither, or it is gone."""
    if isinstance(source, bytes):
        return source
    if not isinstance(source, str | Path):
        raise ImageError(
            f"An image is needed, as a file, a PIL image or an array; {type(source).__name__} came."
        )
    try:
        return Path(source).read_bytes()
    except FileNotFoundError as error:
        raise ImageError("The file is not there any more. Send the image again.") from error
    except (OSError, ValueError) as error:  # a folder, a name that no file can have
        raise ImageError(formats.describe(b"")) from error


def _decode(data: bytes) -> Image.Image:
    try:
        with warnings.catch_warnings():
            # our own limit is checked below
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return Image.open(BytesIO(data), formats=formats.readable(data[:32]))
    except Image.DecompressionBombError as error:
        raise ImageError(
            f"The image has too many pixels to open; at most {MAX_PIXELS // 1_000_000} "
            "megapixels work. Send a smaller version."
        ) from error
    except Exception as error:  # damaged bytes lead decoders to many kinds
        if data.startswith(tiff.MAGIC):
            return _undecodable_tiff(data, error)
        raise ImageError(formats.describe(data[:32])) from error


def _undecodable_tiff(data: bytes, error: Exception) -> Image.Image:
    """A TIFF whose first page Pillow does not know: read here, or refused by its kind."""
    found = tiff.pages(data)
    if not found:
        raise ImageError("The TIFF breaks off or is damaged. Save it again.") from error
    page, note = tiff.full_page(found)
    _check_size(page.size_wh, 1)
    unusual = tiff.unusual(data, page)
    if unusual is not None:
        return _noted_keeping(unusual[0], [note, unusual[1]])
    if page is found[0]:
        raise ImageError(tiff.not_read(page)) from error
    return _decode(tiff.beginning_with(data, page))


def _from_array(array: np.ndarray) -> Image.Image:
    shape = array.shape
    if array.ndim == 3 and shape[2] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)) or 0 in shape:
        raise ImageError(
            f"An array of shape (H, W), (H, W, 3) or (H, W, 4) is needed; {shape} came."
        )
    _check_size((shape[1], shape[0]), 1)
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    elif array.dtype == np.uint16:
        array = (array / 257).round().astype(np.uint8)
    elif np.issubdtype(array.dtype, np.floating):
        low, high = float(np.min(array)), float(np.max(array))
        if not (np.isfinite(low) and np.isfinite(high)):
            raise ImageError(
                "The array holds NaN or infinite values. Replace them, for example with "
                "numpy.nan_to_num."
            )
        if low < 0 or high > 1:
            raise ImageError(
                f"A float array must lie in [0, 1]; this one spans {low:g} to "
                f"{high:g}. Divide by 255?"
            )
        array = (array * 255).round().astype(np.uint8)
    elif array.dtype != np.uint8:
        raise ImageError(
            f"An array of uint8, uint16, bool or float in [0, 1] is needed; {array.dtype} came."
        )
    return Image.fromarray(np.ascontiguousarray(array))


def _check_size(size_wh: tuple[int, int], min_side: int) -> None:
    width, height = size_wh
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"The image is {width} x {height} = {width * height / 1e6:.0f} megapixels; at most "
            f"{MAX_PIXELS // 1_000_000} work. Send a smaller version."
        )
    if min(width, height) < min_side:
        raise ImageError(
            f"The image is {width} x {height} px; at least {min_side} x {min_side} are needed."
        )


def _upright(image: Image.Image) -> Image.Image:
    """Turned as EXIF says; unlike `ImageOps.exif_transpose` it reads the orientation only."""
    try:
        turn = TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # a damaged EXIF block does not damage the pixels
        turn = None
    return image if turn is None else image.transpose(turn)


def _describe(image: Image.Image) -> str:
    return f"{image.format or 'picture'}, {image.width} x {image.height}"


def chunks(array: np.ndarray, size: int) -> list[np.ndarray]:
    return [array[i : i + size] for i in range(0, len(array), size)]


def to_uint8(x: np.ndarray) -> np.ndarray:
    """float (n, H, W, C) in [-1, 1] -> uint8 (n, H, W), or (n, H, W, 3) for three channels."""
    out = ((x.clip(-1, 1) + 1) * 127.5).round().astype(np.uint8)
    return out[..., 0] if out.shape[-1] == 1 else out
