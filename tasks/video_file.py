"""The file that a visitor calls a video: opened so that it can reach nothing else, and judged before it is decoded."""

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

from tasks.images import MIN_SIDE, ImageError

MAX_BYTES = 50 * 1024**2  # as the page's own upload limit
MAX_PIXELS = 4096 * 2304  # of a frame in the file: 4K, what phones record; decoded, 28 MB
MAX_SIDE = 1280  # px, the long side of the frames that are given: larger ones are scaled down
MAX_ASPECT = 4  # pixels longer than this are a mistake in the header (anamorphic ones are 2 : 1 at most)
MAX_SAMPLES = 10_000_000  # in an MP4's index, 39 bytes each once read; uncompressed sound counts 48000 a second
OPEN_SECONDS = 20  # for reading the header; honest files take milliseconds

# Containers that hold their own data. No playlist and no list of other files: hls, dash, concat, imf, rtp, ...
FORMATS = ("mov", "matroska", "avi", "gif", "mpegts", "ogg")
DECODERS = (
    *("h264", "hevc", "vp8", "vp9", "libvpx", "libvpx-vp9", "libdav1d", "av1", "mpeg4", "h263", "mpeg1video"),
    *("mpeg2video", "mjpeg", "gif", "theora", "prores", "dnxhd", "ffv1", "rawvideo", "png", "qtrle", "msmpeg4"),
)  # what cameras, phones, browsers and editors write; few old decoders for a hostile file to choose from
OTHER_BEGINNINGS = (b"\x1a\x45\xdf\xa3", b"RIFF", b"GIF8", b"OggS")  # of files that are surely no MP4
KINDS = "MP4, MOV, WebM, MKV, AVI, MPEG-TS, Ogg and GIF work"


class VideoError(ImageError):
    """A video that cannot be used; its text is meant for the person who sent it."""


def regular_file(path: str | Path | None) -> IO[bytes]:
    """The file, open for reading. VideoError for None, an address, a folder, a pipe, or more than MAX_BYTES."""
    if path is None or path == "":
        raise VideoError("No video came. Upload a file or record one with the camera.")
    if not isinstance(path, str | Path):
        raise VideoError(f"A video file is needed; {type(path).__name__} came.")
    try:
        if not Path(path).is_file():  # an address, a folder, a pipe that would never end
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
    """The container of an open file, which is handed over open, so that ffmpeg needs no protocol to read it.

    Raises:
        VideoError: none of FORMATS, or damaged in its header.
    """
    whole = file.read()
    begins_as_mp4 = whole[4:8] == b"ftyp"
    if not whole.startswith(OTHER_BEGINNINGS):
        _check_index(whole)
    del whole
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
    except Exception as error:  # the demuxers raise whatever the bytes lead them into
        if begins_as_mp4:
            raise VideoError(
                "The file begins as an MP4 or MOV video but breaks off before its index or is damaged. "
                "Send it again, or save it again first."
            ) from error
        raise VideoError(f"The file is not a video that can be read here, whatever its name says. {KINDS}.") from error


def _check_index(whole: bytes) -> None:
    """Refuses an MP4 of a few kB whose index claims so many samples that laying them out would fill the memory.

    The number is looked for wherever ffmpeg might find it, that is outside of `mdat`: in the boxes that give a size to
    all samples at once (`stsz`) or to those of a fragment (`trun`). A compressed index (`dcom`) is refused unread.
    """
    samples = 0
    for begin, end in _outside_mdat(whole):
        for box, offset in ((b"stsz", 12), (b"trun", 8)):
            at = whole.find(box, begin, end)
            while at >= 0:
                number = at + offset + 8 * (whole[at - 4 : at] == b"\0\0\0\1")  # 1 = its size follows, in 8 bytes
                samples += int.from_bytes(whole[number : number + 4], "big")
                at = whole.find(box, at + 4, end)
        if samples > MAX_SAMPLES or whole.find(b"dcomzlib", begin, end) >= 0:
            raise VideoError("The video's index is damaged or of a kind that is not read here. Save it again as MP4.")


def _outside_mdat(whole: bytes) -> Iterator[tuple[int, int]]:
    """Begin and end of each outermost box of an MP4 that may hold other boxes."""
    at = 0
    while at + 8 <= len(whole):
        size = int.from_bytes(whole[at : at + 4], "big")
        if size == 1:
            size = int.from_bytes(whole[at + 8 : at + 16], "big")
        if size < 8:  # 0 = up to the end
            size = len(whole) - at
        if whole[at + 4 : at + 8] != b"mdat":
            yield at, at + size
        at += size


def video_stream(container: InputContainer) -> VideoStream:
    """The first video stream that is no cover picture, its decoder set up and not yet run.

    Raises:
        VideoError: only sound, a codec that is not in DECODERS, more than MAX_PIXELS.
    """
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        what = "only sound" if container.streams.audio else "no pictures"
        raise VideoError(f"The file holds {what}; a video is needed. {KINDS}.")
    stream = streams[0]
    context: VideoCodecContext | None = stream.codec_context
    if context is None or context.name not in DECODERS:
        name = "unknown" if context is None else context.name
        raise VideoError(f"The video's codec ({name}) cannot be read here. Save it again as MP4 (H.264) and send that.")
    if context.width * context.height > MAX_PIXELS:
        raise VideoError(
            f"The video is {context.width} x {context.height} px; at most 4K ({MAX_PIXELS / 1e6:.1f} megapixels) "
            "works. Save it smaller."
        )
    context.thread_count = 1  # the cores are for the networks
    context.options = {"max_pixels": str(MAX_PIXELS)}  # a stream may change its size midway
    return stream


def declared_seconds(container: InputContainer, stream: VideoStream) -> float | None:
    """Length in s by the header, > 0; of the whole file where the stream has none of its own; None = not said."""
    if stream.duration is not None and stream.time_base:
        seconds = float(stream.duration * stream.time_base)
    else:
        seconds = (container.duration or 0) / av.time_base
    return seconds if seconds > 0 else None


def scaled_size(frame: VideoFrame, stream: VideoStream) -> tuple[int, int]:
    """Width and height in px with square pixels and at most MAX_SIDE, not yet turned. VideoError below MIN_SIDE."""
    aspect: Fraction = stream.sample_aspect_ratio or Fraction(1)
    if not Fraction(1, MAX_ASPECT) <= aspect <= MAX_ASPECT:
        aspect = Fraction(1)
    wide, high = frame.width * max(aspect, Fraction(1)), frame.height / min(aspect, Fraction(1))
    scale = min(Fraction(1), MAX_SIDE / max(wide, high))
    width, height = round(wide * scale), round(high * scale)
    if min(width, height) < MIN_SIDE:
        raise VideoError(
            f"The video is {frame.width} x {frame.height} px, which leaves {width} x {height} to look at; "
            f"at least {MIN_SIDE} x {MIN_SIDE} are needed."
        )
    return width, height


def display_matrix(frame: VideoFrame) -> tuple[int, int, int, int]:
    """(a, b, c, d) of ffmpeg's display matrix: a stored point (x, y) is shown at (a x + c y, b x + d y)."""
    # PyAV's frame and its side data hold on to each other until the garbage collector comes: better a tiny copy's.
    try:
        copy = VideoReformatter().reformat(frame, MIN_SIDE, MIN_SIDE, threads=1)
    except (FFmpegError, ValueError):
        return 1, 0, 0, 1
    data = cast(Any, copy.side_data).get("DISPLAYMATRIX")  # its type knows of motion vectors only
    if data is None:
        return 1, 0, 0, 1
    a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].tolist()
    return a, b, c, d


def upright(rgb: np.ndarray, matrix: tuple[int, int, int, int]) -> np.ndarray:
    """uint8 (H, W, 3) as stored -> as shown, by quarter turns and mirrorings: (H, W, 3) or (W, H, 3), contiguous."""
    a, b, c, d = matrix
    if abs(b) + abs(c) > abs(a) + abs(d):
        rgb, a, d = rgb.swapaxes(0, 1), c, b
    return np.ascontiguousarray(rgb[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])
