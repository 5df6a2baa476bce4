"""Which formats are read, and the sentence for those that are not."""

from functools import cache

from PIL import Image, features

ALWAYS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")  # none runs code or fetches files
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
AVIF_BRANDS = (b"avif", b"avis")
AS_JPEG = (
    "On an iPhone, Settings, Camera, Formats, Most Compatible takes JPEG; a photo that is there "
    "already becomes one when it is exported or sent by mail."
)
# first bytes -> what the file is, and what would work instead
OTHERS: tuple[tuple[bytes, str, str], ...] = (
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 image", "Save it as PNG or JPEG."),
    (b"\xffO\xffQ", "a JPEG 2000 image", "Save it as PNG or JPEG."),
    (b"\0\0\0\x0cJXL ", "a JPEG XL image", "Save it as PNG or JPEG."),
    (b"\xff\n", "a JPEG XL image", "Save it as PNG or JPEG."),
    (b"8BPS", "a Photoshop document", "Export it as PNG or JPEG."),
    (b"%PDF", "a PDF document", "Save the page as PNG or JPEG, or take a screenshot of it."),
    (b"v/1\x01", "an OpenEXR image", "Save it as PNG or JPEG."),
    (b"#?RADIANCE", "a Radiance HDR image", "Save it as PNG or JPEG."),
    (b"FUJIFILMCCD-RAW", "a raw photo", "Develop it in the camera's program and send a JPEG."),
    (b"IIU\0", "a raw photo", "Develop it in the camera's program and send a JPEG."),
    (b"IIRO", "a raw photo", "Develop it in the camera's program and send a JPEG."),
)


def readable(head: bytes) -> tuple[str, ...]:
    """Pillow's names of the formats to try for a file that begins with these 32 bytes."""
    if is_heif(head) and _heif_is_there():
        return ("HEIF",)
    if _brands(head, AVIF_BRANDS) and features.check("avif"):
        return ("AVIF",)
    return ALWAYS


def is_heif(head: bytes) -> bool:
    return _brands(head, HEIF_BRANDS) and not _brands(head, AVIF_BRANDS)


def describe(head: bytes) -> str:
    """The sentences for a file that cannot be read, by its first 32 bytes."""
    if is_heif(head):
        return f"The file is a HEIC photo, which cannot be read here. {AS_JPEG}"
    if _brands(head, AVIF_BRANDS):
        return "The file is an AVIF image, which cannot be read here. Save it as PNG or JPEG."
    if head[4:12] == b"ftypcrx ":
        return "The file is a raw photo. Develop it in the camera's program and send a JPEG."
    for first, kind, remedy in OTHERS:
        if head.startswith(first):
            return f"The file is {kind}, which is not read here. {remedy}"
    return (
        "The file is not an image that can be read here, whatever its name says. "
        "PNG, JPEG, WebP, GIF, BMP, TIFF, HEIC and AVIF work."
    )


def _brands(head: bytes, brands: tuple[bytes, ...]) -> bool:
    """The major brand, or a compatible one among the first."""
    found = (head[8:12], head[16:20], head[20:24], head[24:28])
    return head[4:8] == b"ftyp" and any(brand in found for brand in brands)


@cache
def _heif_is_there() -> bool:
    """Whether pillow-heif is installed and can be loaded; Pillow then knows the format."""
    try:
        import pillow_heif
    except (ImportError, OSError):
        return False
    pillow_heif.options.DECODE_THREADS = 1  # the cores are for the networks
    pillow_heif.register_heif_opener(thumbnails=False)
    return "HEIF" in Image.OPEN
