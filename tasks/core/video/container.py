"""A visitor's video file: opened so that it can reach no other file, checked before decoding."""

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, NoReturn, cast

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from tasks.core.images import MIN_SIDE, ImageError

MAX_BYTES = 50 * 1024**2  # as the page's own upload limit
MAX_PIXELS = 4096 * 2304  # of a frame in the file: 4K, what phones record; decoded, 28 MB
MAX_SIDE = 1280  # px, long side of the frames; larger ones are scaled down
# of a pixel; more is an error in the header (anamorphic ones have 2 : 1 at most)
MAX_ASPECT = 4
# in an MP4's index, where each takes 39 bytes; uncompressed sound has 48000 a second
MAX_SAMPLES = 10_000_000
OPEN_SECONDS = 20  # for reading the header, which usually takes milliseconds

# Containers of data, not of references to other files: no hls, dash, concat, imf, rtp, ...
FORMATS = ("mov", "matroska", "avi", "gif", "mpegts", "ogg")
# What cameras, phones, browsers and editors write. Old decoders are left out: they have more bugs.
DECODERS = (
    *("h264", "hevc", "mpeg4", "h263", "mpeg1video", "mpeg2video", "msmpeg4"),
    *("vp8", "vp9", "libvpx", "libvpx-vp9", "av1", "libdav1d", "theora"),
    *("mjpeg", "gif", "png", "rawvideo", "qtrle", "prores", "dnxhd", "ffv1"),
)
# Of a video with transparency ffmpeg's own decoders give the colours only.
ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
OTHER_BEGINNINGS = (b"\x1a\x45\xdf\xa3", b"RIFF", b"GIF8", b"OggS")  # of files that are not MP4
KINDS = "MP4, MOV, WebM, MKV, AVI, MPEG-TS, Ogg, GIF, animated WebP and PNG work"


class VideoError(ImageError):
    """A video that cannot be used; the text is shown to the visitor."""


def regular_file(path: str | Path | None) -> IO[bytes]:
    """The file, open for reading.

    Raises VideoError for None, a URL, a folder, a pipe, or more than MAX_BYTES.
    """
    if path is None or path == "":
        raise VideoError("No video came. Upload a file or record one with the camera.")
    if not isinstance(path, str | Path):
        raise VideoError(f"A video file is needed; {type(path).__name__} came.")
    try:
        if not Path(path).is_file():  # a URL, a folder, an endless pipe
            raise FileNotFoundError
        file = open(path, "rb")  # noqa: SIM115 - the caller closes it
    except (OSError, ValueError) as error:
        raise VideoError("The file is not there any more. Send the video again.") from error
    size = os.fstat(file.fileno()).st_size
    if size > MAX_BYTES:
        file.close()
        raise VideoError(
            f"The file has {size / 1024**2:.0f} MB; at most {MAX_BYTES // 1024**2} work. "
            "Cut the video or save it smaller."
        )
    return file


def _refuse(url: str, flags: int, options: dict[str, str]) -> NoReturn:
    raise PermissionError("A video may not open other files.")


def open_container(file: IO[bytes]) -> InputContainer:
    """The container of an open file; as it is open, ffmpeg needs no protocol to read it.

    Raises:
        VideoError: none of FORMATS, or a damaged header.
    """
    data = file.read()
    begins_as_mp4 = data[4:8] == b"ftyp"
    if not data.startswith(OTHER_BEGINNINGS):
        _check_index(data)
    del data
    file.seek(0)
    try:
        return av.open(
            file,
            "r",
            container_options={
                "format_whitelist": ",".join(FORMATS),
                "codec_whitelist": ",".join(DECODERS),
                "protocol_whitelist": "file",
            },
            options={"max_pixels": str(MAX_PIXELS)},
            metadata_errors="replace",
            timeout=OPEN_SECONDS,
            io_open=_refuse,
        )
    except Exception as error:  # damaged bytes lead demuxers to many kinds
        if begins_as_mp4:
            raise VideoError(
                "The file begins as an MP4 or MOV video but breaks off before its index or is "
                "damaged. Send it again, or save it again first."
            ) from error
        raise VideoError(
            f"The file is not a video that can be read here, whatever its name says. {KINDS}."
        ) from error


def _check_index(data: bytes) -> None:
    """Refuse an MP4 of a few kB whose index claims more samples than fit into memory.

    The number is searched where ffmpeg may read it, outside of `mdat`: in the boxes that give a
    size to all samples at once (`stsz`) or to those of a fragment (`trun`). A compressed index
    (`dcom`) is refused unread.
    """
    samples = 0
    for begin, end in _outside_mdat(data):
        for box, offset in ((b"stsz", 12), (b"trun", 8)):
            at = data.find(box, begin, end)
            while at >= 0:
                has_long_size = data[at - 4 : at] == b"\0\0\0\1"  # its size follows, in 8 bytes
                number = at + offset + 8 * has_long_size
                samples += int.from_bytes(data[number : number + 4], "big")
                at = data.find(box, at + 4, end)
        if samples > MAX_SAMPLES or data.find(b"dcomzlib", begin, end) >= 0:
            raise VideoError(
                "The video's index is damaged or of a kind that is not read here. Save it again as "
                "MP4."
            )


def _outside_mdat(data: bytes) -> Iterator[tuple[int, int]]:
    """Begin and end of each outermost box of an MP4 that may contain other boxes."""
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if size < 8:  # 0 = up to the end
            size = len(data) - at
        if data[at + 4 : at + 8] != b"mdat":
            yield at, at + size
        at += size


def video_stream(container: InputContainer) -> VideoStream:
    """The first video stream that is not a cover image, with its decoder set up.

    Raises:
        VideoError: sound only, a codec that is not in DECODERS, more than MAX_PIXELS.
    """
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        what = "only sound" if container.streams.audio else "no images"
        raise VideoError(f"The file holds {what}; a video is needed. {KINDS}.")
    stream = streams[0]
    context: VideoCodecContext | None = stream.codec_context
    if context is None or context.name not in DECODERS:
        name = "unknown" if context is None else context.name
        raise VideoError(
            f"The video's codec ({name}) cannot be read here. Save it again as MP4 (H.264) and "
            "send that."
        )
    if context.width * context.height > MAX_PIXELS:
        raise VideoError(
            f"The video is {context.width} x {context.height} px; at most 4K "
            f"({MAX_PIXELS / 1e6:.1f} megapixels) works. Save it smaller."
        )
    context.thread_count = 1  # the cores are for the networks
    context.options = {"max_pixels": str(MAX_PIXELS)}  # a stream may change its size midway
    return stream


def alpha_decoder(stream: VideoStream) -> VideoCodecContext | None:
    """A decoder that gives VP8's and VP9's transparency too, for a stream that has it."""
    context = stream.codec_context
    name = ALPHA_DECODERS.get(context.codec.canonical_name if context else "")
    if stream.metadata.get("alpha_mode") != "1" or name not in av.codecs_available:
        return None
    decoder = cast(VideoCodecContext, av.CodecContext.create(name, "r"))
    decoder.thread_count = 1
    decoder.options = {"max_pixels": str(MAX_PIXELS)}
    return decoder


def declared_seconds(container: InputContainer, stream: VideoStream) -> float | None:
    """Length in s from the header of the stream, or of the file; None = unknown."""
    if stream.duration is not None and stream.time_base:
        seconds = float(stream.duration * stream.time_base)
    else:
        seconds = (container.duration or 0) / av.time_base
    return seconds if seconds > 0 else None


def scaled_size(frame: VideoFrame, aspect: Fraction) -> tuple[int, int]:
    """Width and height in px with square pixels and at most MAX_SIDE, before turning.

    Args:
        aspect: width of a pixel by its height.
    Raises:
        VideoError: below MIN_SIDE.
    """
    if not Fraction(1, MAX_ASPECT) <= aspect <= MAX_ASPECT:
        aspect = Fraction(1)
    wide, high = frame.width * max(aspect, Fraction(1)), frame.height / min(aspect, Fraction(1))
    scale = min(Fraction(1), MAX_SIDE / max(wide, high))
    width, height = round(wide * scale), round(high * scale)
    if min(width, height) < MIN_SIDE:
        raise VideoError(
            f"The video is {frame.width} x {frame.height} px, scaled {width} x {height}; "
            f"at least {MIN_SIDE} x {MIN_SIDE} are needed."
        )
    return width, height


def display_matrix(frame: VideoFrame) -> tuple[int, int, int, int]:
    """(a, b, c, d) of ffmpeg's display matrix: (x, y) is shown at (a x + c y, b x + d y)."""
    # A frame and its side data keep each other in memory until garbage is collected: a tiny copy.
    try:
        copy = VideoReformatter().reformat(frame, MIN_SIDE, MIN_SIDE, threads=1)
    except (FFmpegError, ValueError):
        return 1, 0, 0, 1
    data = cast(Any, copy.side_data).get("DISPLAYMATRIX")  # typed for motion vectors only
    if data is None:
        return 1, 0, 0, 1
    a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].tolist()
    return a, b, c, d


def upright(rgb: np.ndarray, matrix: tuple[int, int, int, int]) -> np.ndarray:
    """uint8 (H, W, 3) as stored -> as shown, turned and mirrored: (H, W, 3) or (W, H, 3)."""
    a, b, c, d = matrix
    if abs(b) + abs(c) > abs(a) + abs(d):
        rgb, a, d = rgb.swapaxes(0, 1), c, b
    return np.ascontiguousarray(rgb[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])
