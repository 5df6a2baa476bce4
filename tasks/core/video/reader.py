"""A visitor's video file as frames, one at a time (PyAV, which brings ffmpeg along).

    with open_video("clip.mov") as video:
        size = video.info.width, video.info.height
        with VideoWriter("boxes", *size, video.info.fps) as out:
            for frame in video:
                out.write(draw_boxes(frame.rgb))
    print(out.path, video.note)

Frames are upright RGB at a constant rate. `VideoError` has a sentence that says what came, what is
needed and what would work. Sound is not kept.
"""

import contextlib
import itertools
import math
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, NamedTuple, Self

import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, VideoReformatter
from av.video.stream import VideoStream

from tasks.core.video import animation, hdr
from tasks.core.video.container import (
    MAX_BYTES,
    MAX_PIXELS,
    MAX_SIDE,
    VideoError,
    alpha_decoder,
    declared_seconds,
    display_matrix,
    open_container,
    regular_file,
    scaled_size,
    upright,
    video_stream,
)
from tasks.core.video.interlaced import deinterlaced
from tasks.core.video.writer import VideoWriter

__all__ = [
    "MAX_BYTES",
    "MAX_DECLARED_SECONDS",
    "MAX_FPS",
    "MAX_FRAMES",
    "MAX_PIXELS",
    "MAX_SECONDS",
    "MAX_SIDE",
    "Frame",
    "Video",
    "VideoError",
    "VideoInfo",
    "VideoWriter",
    "open_video",
]

MAX_SECONDS = 60  # of a longer clip the beginning is used
MAX_DECLARED_SECONDS = 3600  # a longer clip was probably sent by mistake
MAX_FPS = 30  # 60 and 120 frames a second are halved and quartered
MIN_FPS = 1  # so that one can seek in a slide show
MAX_FRAMES = MAX_SECONDS * MAX_FPS  # frames that iteration gives at most
# A minute of slow motion at 240 a second; a limit for files whose frames all have the same time.
MAX_PACKETS = 60 * 240
MAX_WAIT = 20  # s without a frame
# of a frame's duration that a frame may be late; below 0.5, so that every other one of 60 a second
# is dropped
TOLERANCE = 0.4
# Players read frames of this height as BT.709 if they do not name their colour matrix.
HD_LINES = 720
UNSPECIFIED = 2  # ffmpeg's AVCOL_SPC_UNSPECIFIED


@dataclass(frozen=True)
class VideoInfo:
    """What iteration will give, according to the file's header."""

    width: int  # px of the frames: upright, square pixels, long side at most MAX_SIDE
    height: int
    fps: float  # frames a second, MIN_FPS to MAX_FPS
    frames: int | None  # expected, at most MAX_FRAMES; None if the file does not say
    seconds: float | None  # declared length, which may exceed MAX_SECONDS
    codec: str  # "h264", "vp9", "gif", ...
    source_width: int  # px as stored in the file
    source_height: int


class Frame(NamedTuple):
    """One image of a video."""

    rgb: np.ndarray  # uint8 (H, W, 3), the caller's own
    seconds: float  # since the first frame
    repeated: bool  # the same as the frame before


def open_video(path: str | Path | None) -> "Video":
    """Open a video file and decode its first frame, so that errors show at once.

    Raises:
        VideoError: not a video, no image in it, too large, too long, damaged.
    """
    return Video(path)


class Video:
    """An open video: iterate over it, once, for its frames; a context manager that closes the file.

    Frames come at the constant rate `info.fps`, in time with the file's own clock: where that is
    irregular, frames are repeated or left out. They are turned as the file says, made square in
    pixel, scaled down to MAX_SIDE; transparent parts become white, deep colours 8 bits, HDR is
    mapped to a usual screen's range, interlaced frames are deinterlaced. Where a video changes its
    size, as when a phone was turned, the frames keep the first one's size and their own shape.

    Attributes:
        info: what is to come, a VideoInfo.
        truncated: the clip goes on after the last frame that is given; for sure only after
            iteration.
        cut_off: the file ends, or is damaged, before its declared end; known after iteration.
    """

    def __init__(self, path: str | Path | None) -> None:
        self.cut_off = self._iterated = self._too_many = False
        self._seconds_given = 0.0
        self._reformatter = VideoReformatter()
        with contextlib.ExitStack() as stack:
            source = self._open(stack.enter_context(regular_file(path)), stack)
            if source.seconds is not None and source.seconds > MAX_DECLARED_SECONDS:
                raise VideoError(
                    f"The video is {source.seconds / 3600:.1f} hours long; of up to "
                    f"{MAX_DECLARED_SECONDS // 60} minutes the first {MAX_SECONDS} s are used. "
                    "Cut out the part that matters."
                )
            self._decoded = stack.enter_context(contextlib.closing(source.frames))
            self._reset_deadline()
            first = next(self._decoded, None)
            if first is None:
                raise VideoError(
                    "The file has no frame that can be read: it is empty or damaged, breaks off "
                    "too early, or its images are larger than 4K. Save the video again as MP4 "
                    "(H.264) and send that."
                )
            self._first, self._aspect = first, source.aspect
            self._size_wh = scaled_size(first, source.aspect)
            self._matrix = display_matrix(first)
            self._rate, seconds = source.rate, source.seconds
            self._limit = math.floor(MAX_SECONDS * self._rate)  # frames
            self.truncated = seconds is not None and seconds > MAX_SECONDS + 0.5
            self._surely = source.surely
            height, width = self._to_rgb(first).shape[:2]
            self.info = VideoInfo(
                width=width,
                height=height,
                fps=float(self._rate),
                frames=None
                if seconds is None
                else min(max(1, round(seconds * self._rate)), self._limit),
                seconds=seconds,
                codec=source.codec,
                source_width=first.width,
                source_height=first.height,
            )
            self._stack = stack.pop_all()  # open from here on, until close()

    def _open(self, file: IO[bytes], stack: contextlib.ExitStack) -> "_Source":
        """What the file says of itself. Raises VideoError."""
        data = file.read()
        lengths = animation.durations(data)
        if lengths:
            return _Source(
                frames=self._in_time(animation.frames(data, lengths, MAX_PIXELS)),
                aspect=Fraction(1),
                seconds=sum(lengths) / 1000,
                surely=sum(lengths) / 1000,
                rate=_at_most(Fraction(1000, min(lengths))),
                codec="webp" if data.startswith(b"RIFF") else "apng",
            )
        file.seek(0)
        container = stack.enter_context(open_container(file))
        stream = video_stream(container)
        seconds = declared_seconds(container, stream)
        is_sure = stream.duration is not None or len(container.streams) == 1
        return _Source(
            frames=_closing(deinterlaced(self._decode(container, stream))),
            aspect=stream.sample_aspect_ratio or Fraction(1),
            seconds=seconds,
            surely=seconds if is_sure else None,
            rate=_frame_rate(stream),
            codec=stream.codec_context.codec.canonical_name,
        )

    @property
    def note(self) -> str:
        """What is missing from the frames, or was done to them, or ""; final after iteration."""
        hdr_name = hdr.NAMES.get(int(self._first.color_trc))
        toned = (
            f"The video is HDR ({hdr_name}); it is shown as on a usual screen." if hdr_name else ""
        )
        return " ".join(filter(None, (self._missing(), toned)))

    def _missing(self) -> str:
        if self.truncated:
            length = f"is {self.info.seconds:.0f} s long" if self.info.seconds else "goes on"
            used = self._seconds_given or MAX_SECONDS
            return f"The video {length}; its first {used:.0f} s are used."
        if self.cut_off and self._iterated:
            return (
                "The file breaks off or is damaged; what could be read of it, "
                f"{self._seconds_given:.1f} s, is used."
            )
        return ""

    def __iter__(self) -> Iterator[Frame]:
        """The frames in order, once; a damaged part ends them, and `note` says so."""
        if self._iterated:
            raise RuntimeError("A video can be iterated over once; open it again.")
        self._iterated = True
        self._reset_deadline()
        pending, start, end = self._first, 0, 0.0
        for frame, begins, ends in self._timed():
            tick = math.floor(begins * self._rate + TOLERANCE)
            if tick == start and frame is not pending:
                end = ends  # of two frames within one tick the earlier one is used
                continue
            yield from self._ticks(pending, start, min(tick, self._limit))
            if tick >= self._limit:
                self.truncated, self.cut_off = True, False
                return
            pending, start, end = frame, tick, ends
        stop = max(start + 1, math.floor(end * self._rate + TOLERANCE))
        yield from self._ticks(pending, start, min(stop, self._limit))
        self.truncated = self._too_many or stop > self._limit + self._rate / 2
        short = self._surely is not None and self._surely - end > max(0.5, self._surely / 20)
        self.cut_off = not self.truncated and (self.cut_off or short)

    def close(self) -> None:
        """Closes the file; may be called twice."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _reset_deadline(self) -> None:
        """The caller's time with a frame does not count."""
        self._deadline = time.monotonic() + MAX_WAIT

    def _decode(
        self, container: InputContainer, stream: VideoStream
    ) -> Generator[VideoFrame, None, None]:
        # After a gap, MPEG-TS calls good packets corrupt.
        transport = container.format.name == "mpegts"
        decoder = alpha_decoder(stream)
        try:
            for count, packet in enumerate(container.demux(stream)):
                self._too_many = count >= MAX_PACKETS
                if self._too_many or time.monotonic() > self._deadline:
                    self.cut_off = True
                    return
                try:  # an incomplete packet would be shown half grey
                    good = not packet.is_corrupt or transport
                    frames = _frames_of(packet, decoder) if good else []
                except FFmpegError:
                    frames, good = [], False
                if packet.size:  # the last, empty one flushes the decoder
                    self.cut_off = not good
                yield from frames
        except FFmpegError:  # the container itself is damaged
            self.cut_off = True

    def _in_time(self, frames: Iterator[VideoFrame]) -> Generator[VideoFrame, None, None]:
        """The frames of an animation, at most MAX_PACKETS."""
        for count, frame in enumerate(frames):
            self._too_many = count >= MAX_PACKETS
            if self._too_many or time.monotonic() > self._deadline:
                self.cut_off = True
                return
            yield frame

    def _timed(self) -> Iterator[tuple[VideoFrame, float, float]]:
        """Frames with begin and end in s since the first; begins never decrease.

        Where the clock jumps back, as where two recordings were joined, it goes on from there.
        """
        origin, begins, ends = self._first.time or 0.0, 0.0, 0.0
        for frame in itertools.chain([self._first], self._decoded):
            if frame.time is not None and frame.time - origin < begins - (ends - begins) / 2:
                origin = frame.time - ends
            begins = max(begins, ends if frame.time is None else frame.time - origin)
            length = (
                float(frame.duration * frame.time_base)
                if frame.duration and frame.time_base
                else 0.0
            )
            ends = begins + (length if length > 0 else float(1 / self._rate))
            yield frame, begins, ends

    def _ticks(self, frame: VideoFrame, start: int, stop: int) -> Iterator[Frame]:
        """A frame once for each tick from `start` up to `stop`."""
        rgb = self._to_rgb(frame) if start < stop else None
        for tick in range(start, stop):
            assert rgb is not None
            self._seconds_given = float((tick + 1) / self._rate)
            yield Frame(
                rgb.copy() if tick + 1 < stop else rgb, float(tick / self._rate), tick > start
            )
            self._reset_deadline()

    def _to_rgb(self, frame: VideoFrame) -> np.ndarray:
        width, height = self._size_wh
        size = width, height
        if (frame.width, frame.height) != (self._first.width, self._first.height):
            size = _fitted(frame, self._aspect, self._size_wh)
        pixels = self._reformatted(frame, size)
        if size != (width, height):  # the phone was turned: bars at the sides
            top, left = (height - size[1]) // 2, (width - size[0]) // 2
            whole = np.zeros((height, width, 3), np.uint8)
            whole[top : top + size[1], left : left + size[0]] = pixels
            pixels = whole
        return upright(pixels, self._matrix)

    def _reformatted(self, frame: VideoFrame, size_wh: tuple[int, int]) -> np.ndarray:
        """uint8 (H, W, 3) of this size: HDR tone-mapped, transparency over white."""
        yuv = not frame.format.is_rgb
        alpha = any(component.is_alpha for component in frame.format.components)
        transfer = int(frame.color_trc)
        is_hdr = transfer in hdr.NAMES and not alpha
        unnamed = yuv and frame.colorspace == UNSPECIFIED and frame.height >= HD_LINES
        try:
            pixels = self._reformatter.reformat(
                frame,
                *size_wh,
                format="rgba" if alpha else "rgb48le" if is_hdr else "rgb24",
                src_colorspace=Colorspace.ITU709 if unnamed else None,
                threads=1,  # the cores are for the networks
            ).to_ndarray()
        except (FFmpegError, ValueError) as error:
            raise VideoError(
                f"The video's pixel format ({frame.format.name}) cannot be shown. Save it again as "
                "MP4 (H.264)."
            ) from error
        if is_hdr:
            return hdr.to_srgb(pixels, transfer)
        if not alpha:
            return np.asarray(pixels)
        opacity = pixels[..., 3:].astype(np.uint16)
        over = (pixels[..., :3] * opacity + 255 * (255 - opacity) + 127) // 255
        return np.asarray(over.astype(np.uint8))


@dataclass(frozen=True)
class _Source:
    """What a file gives and says of itself."""

    frames: Generator[VideoFrame, None, None]
    aspect: Fraction  # width of a pixel by its height
    seconds: float | None  # declared
    surely: float | None  # the same, where it is the images' own length
    rate: Fraction
    codec: str


def _closing(frames: Iterator[VideoFrame]) -> Generator[VideoFrame, None, None]:
    yield from frames


def _frames_of(packet: Packet, decoder: VideoCodecContext | None) -> list[VideoFrame]:
    """Of the stream's own decoder, or of one that gives transparency too."""
    if decoder is None:
        return packet.decode()
    return decoder.decode(packet if packet.size else None)


def _fitted(frame: VideoFrame, aspect: Fraction, size_wh: tuple[int, int]) -> tuple[int, int]:
    """The largest size of the frame's shape inside another size."""
    wide = Fraction(frame.width) * aspect
    scale = min(Fraction(size_wh[0]) / wide, Fraction(size_wh[1], frame.height))
    return max(1, round(wide * scale)), max(1, round(frame.height * scale))


def _at_most(rate: Fraction) -> Fraction:
    """MAX_FPS at most, by leaving out every other frame; MIN_FPS at least."""
    # 30.02, as phones have it, is 30 and not 15
    rate /= max(1, math.ceil(rate / Fraction(MAX_FPS * 11, 10)))
    return max(Fraction(MIN_FPS), min(rate, Fraction(MAX_FPS))).limit_denominator(1001)


def _frame_rate(stream: VideoStream) -> Fraction:
    """Frames a second: the file's rate, or a half, a third, ... of it, about MAX_FPS at most."""
    average, base = stream.average_rate or stream.guessed_rate, stream.base_rate
    rate = average or base or Fraction(25)
    if base and rate < base <= MAX_FPS:
        rate = base  # irregular: the finer clock keeps every frame and repeats some
    return _at_most(rate)
