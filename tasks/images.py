"""The one place where files, PIL pictures and arrays meet, and where what a visitor sent is checked.

Whatever comes in (a path, bytes, a PIL picture, an array) leaves as an upright 8-bit RGB picture, or as an
`ImageError` whose sentence says what came, what is needed and what would work.
"""

import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

MAX_PIXELS = 64_000_000  # a 64 megapixel photo; decoded, 192 MB
MIN_SIDE = 8  # px; less than this shows nothing that a network could read
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")  # no format that runs code or fetches files

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # EXIF orientation -> what makes the picture upright

ImageLike = Image.Image | np.ndarray | bytes | str | Path | None


class ImageError(ValueError):
    """A picture that cannot be used; its text is meant for the person who sent it."""


class NoInkError(ValueError):
    """A picture without a digit in it; its text, too, is meant for the person who sent it."""


def to_rgb(source: ImageLike, *, min_side: int = MIN_SIDE) -> Image.Image:
    """Any picture as upright 8-bit RGB.

    Transparent parts become white, 16-bit and float values are scaled to 8 bits, EXIF orientation is applied, of an
    animation the first frame is taken.

    Args:
        source: path, encoded bytes, PIL picture, or array: uint8 / uint16 / bool / float in [0, 1], of shape (H, W),
            (H, W, 1), (H, W, 3) or (H, W, 4).
        min_side: smallest side in px that is accepted.
    Raises:
        ImageError: nothing came, not a picture, truncated, too small, more than MAX_PIXELS, NaN.
    """
    if source is None:
        raise ImageError("No picture came. Upload one, paste one, or take one with the camera.")
    if isinstance(source, Image.Image):
        return _upright_rgb(source, min_side)
    if isinstance(source, np.ndarray):
        return _upright_rgb(_from_array(source), min_side)
    with _decode(source) as image:  # closes the file, which an animation would keep open
        return _upright_rgb(image, min_side)


def _upright_rgb(image: Image.Image, min_side: int) -> Image.Image:
    _check_size(image.size, min_side)
    try:
        image.load()
        return _flatten(_upright(image))
    except ImageError:
        raise
    except Exception as error:  # the decoders raise whatever the bytes lead them into
        raise ImageError(
            f"The picture ({_describe(image)}) breaks off or is damaged. Save it again as PNG or JPEG and send that."
        ) from error


def size_of(source: bytes | str | Path) -> tuple[int, int]:
    """Width and height in px, by the file's header; nothing is decoded. Raises ImageError: not a picture."""
    with _decode(source) as image:
        return image.size


def to_grey(source: ImageLike, *, min_side: int = MIN_SIDE) -> np.ndarray:
    """Any picture as uint8 (H, W), by the luma weights of ITU-R 601. Raises as `to_rgb`."""
    return np.asarray(to_rgb(source, min_side=min_side).convert("L"))


def png_bytes(array: np.ndarray) -> bytes:
    """uint8 (H, W) or (H, W, 3) -> an encoded PNG."""
    buffer = BytesIO()
    Image.fromarray(array).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def check_batch(images: np.ndarray, size_hw: tuple[int, int] | None, channels: int | None) -> np.ndarray:
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
        came = f"{images.dtype} {shape}" if isinstance(images, np.ndarray) else type(images).__name__
        raise ImageError(f"A batch of pictures is needed as {need}; {came} came.")
    return images


def _decode(source: bytes | str | Path) -> Image.Image:
    if not isinstance(source, bytes | str | Path):
        raise ImageError(f"A picture is needed, as a file, a PIL image or an array; {type(source).__name__} came.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is checked below
            image = Image.open(BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise ImageError(
            f"The picture has too many pixels to open; at most {MAX_PIXELS // 1_000_000} megapixels work. "
            "Send a smaller version."
        ) from error
    except FileNotFoundError as error:
        raise ImageError("The file is not there any more. Send the picture again.") from error
    except Exception as error:  # the decoders raise whatever the bytes lead them into
        raise ImageError(
            "The file is not a picture that can be read here, whatever its name says. PNG, JPEG, WebP, GIF, BMP and "
            "TIFF work."
        ) from error
    return image


def _from_array(array: np.ndarray) -> Image.Image:
    shape = array.shape
    if array.ndim == 3 and shape[2] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)) or 0 in shape:
        raise ImageError(f"An array of shape (H, W), (H, W, 3) or (H, W, 4) is needed; {shape} came.")
    _check_size((shape[1], shape[0]), 1)
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    elif array.dtype == np.uint16:
        array = (array / 257).round().astype(np.uint8)
    elif np.issubdtype(array.dtype, np.floating):
        low, high = float(np.min(array)), float(np.max(array))
        if not (np.isfinite(low) and np.isfinite(high)):
            raise ImageError("The array holds NaN or infinite values. Replace them, for example with numpy.nan_to_num.")
        if low < 0 or high > 1:
            raise ImageError(f"A float array must lie in [0, 1]; this one spans {low:g} to {high:g}. Divide by 255?")
        array = (array * 255).round().astype(np.uint8)
    elif array.dtype != np.uint8:
        raise ImageError(f"An array of uint8, uint16, bool or float in [0, 1] is needed; {array.dtype} came.")
    return Image.fromarray(np.ascontiguousarray(array))


def _check_size(size_wh: tuple[int, int], min_side: int) -> None:
    width, height = size_wh
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"The picture is {width} x {height} = {width * height / 1e6:.0f} megapixels; at most "
            f"{MAX_PIXELS // 1_000_000} work. Send a smaller version."
        )
    if min(width, height) < min_side:
        raise ImageError(f"The picture is {width} x {height} px; at least {min_side} x {min_side} are needed.")


def _upright(image: Image.Image) -> Image.Image:
    """Turned as EXIF says; unlike `ImageOps.exif_transpose` it needs no more of the EXIF block than that."""
    try:
        turn = TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # a damaged EXIF block says nothing of the pixels
        turn = None
    return image if turn is None else image.transpose(turn)


def _flatten(image: Image.Image) -> Image.Image:
    """Any PIL mode -> RGB, transparency over white, deep pixels scaled to 8 bits."""
    if image.mode in ("I", "I;16", "I;16B", "I;16L", "F"):
        values = np.asarray(image, dtype=np.float32)
        if not np.isfinite(values).all():
            raise ImageError("The picture holds NaN or infinite values. Save it as an 8 or 16 bit PNG and send that.")
        if image.mode.startswith("I;16"):
            top = 65535.0
        else:  # 32 bits say nothing of the range; the values do
            top = 1.0 if image.mode == "F" and values.max() <= 1 else 255.0 if values.max() <= 255 else 65535.0
        return Image.fromarray((values / top * 255).clip(0, 255).round().astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _describe(image: Image.Image) -> str:
    return f"{image.format or 'picture'}, {image.width} x {image.height}"
