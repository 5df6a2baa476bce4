"""A visitor's video file as frames, one at a time (PyAV, which brings ffmpeg along).

    with open_video("clip.mov") as video:
        size = video.info.width, video.info.height
        with VideoWriter("boxes", *size, video.info.fps) as out:
            for frame in video:
                out.write(draw_boxes(frame.rgb))
    print(out.path, video.note)

Whatever comes in leaves as upright RGB frames at a constant rate, or as a `VideoError` whose sentence says what came,
what is needed and what would work. Sound is not kept.
"""

import contextlib
import itertools
import math
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, VideoReformatter
from av.video.stream import VideoStream

from tasks.video_file import (
    MAX_BYTES,
    MAX_PIXELS,
    MAX_SIDE,
    VideoError,
    declared_seconds,
    display_matrix,
    open_container,
    regular_file,
    scaled_size,
    upright,
    video_stream,
)
from tasks.video_writer import VideoWriter

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
]  # what tabs import from here, wherever it is written

MAX_SECONDS = 60  # of a longer clip the beginning is used: minutes of work on two cores, not hours
MAX_DECLARED_SECONDS = 3600  # a clip that says it is longer was surely sent by mistake
MAX_FPS = 30  # 60 and 120 frames a second are halved and quartered; no task here gains from more
MIN_FPS = 1  # a slide show still becomes a clip in which one can seek
MAX_FRAMES = MAX_SECONDS * MAX_FPS  # frames that iteration gives at most
MAX_PACKETS = 60 * 240  # a minute of slow motion at 240 a second; bounds files whose frames all bear the same time
MAX_WAIT = 20  # s without a frame to give; far more than any honest file needs
NEAR = 0.4  # of a frame's time, which a frame may come late; less than half, so that of 60 a second each other one goes
HD_LINES = 720  # a frame this high that does not name its colour matrix is meant as BT.709, as players take it
UNSPECIFIED = 2  # ffmpeg's AVCOL_SPC_UNSPECIFIED


@dataclass(frozen=True)
class VideoInfo:
    """What iteration will give, as far as the file's header tells."""

    width: int  # px of the frames given: upright, square pixels, long side at most MAX_SIDE
    height: int
    fps: float  # frames given a second, MIN_FPS to MAX_FPS
    frames: int | None  # to be expected, at most MAX_FRAMES; None where the file does not say
    seconds: float | None  # length that the file declares, also where it is more than MAX_SECONDS
    codec: str  # "h264", "vp9", "gif", ...
    source_width: int  # px as stored in the file
    source_height: int


class Frame(NamedTuple):
    """One picture of a video."""

    rgb: np.ndarray  # uint8 (H, W, 3), the caller's own
    seconds: float  # since the first frame
    repeated: bool  # the frame before once more, to keep the time: no need to look at it again


def open_video(path: str | Path | None) -> "Video":
    """Opens a video file; its first frame is decoded at once, so that what is wrong with a file shows here.

    Raises:
        VideoError: nothing came, not a video, no picture in it, too large, too long, damaged from the start.
    """
    return Video(path)


class Video:
    """An open video: iterate over it, once, for its frames; a context manager that closes the file.

    Frames come at the constant rate `info.fps`, in time with the file's own clock: where that is irregular, frames are
    repeated or left out. They are turned as the file says, made square in pixel, scaled down to MAX_SIDE; transparent
    parts become white, deep colours 8 bits.

    Attributes:
        info: what is to come, a VideoInfo.
        truncated: the clip goes on after the last frame that is given; for sure only after iteration.
        cut_off: the file ends, or is damaged, before its declared end; known after iteration.
    """

    def __init__(self, path: str | Path | None) -> None:
        self.cut_off = self._iterated = self._too_many = False
        self._seconds_given = 0.0
        self._reformatter = VideoReformatter()
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(regular_file(path))
            container = stack.enter_context(open_container(file))
            stream = video_stream(container)
            seconds = declared_seconds(container, stream)
            if seconds is not None and seconds > MAX_DECLARED_SECONDS:
                raise VideoError(
                    f"The video says that it is {seconds / 3600:.1f} hours long; of up to "
                    f"{MAX_DECLARED_SECONDS // 60} minutes the first {MAX_SECONDS} s are used. "
                    "Cut out the part that matters."
                )
            self._decoded = stack.enter_context(contextlib.closing(self._decode(container, stream)))
            self._rest()
            first = next(self._decoded, None)
            if first is None:
                raise VideoError(
                    "The file holds no frame that can be read: it is empty or damaged, breaks off too early, or its "
                    "pictures are larger than 4K. Save the video again as MP4 (H.264) and send that."
                )
            self._first = first
            self._size_wh = scaled_size(first, stream)
            self._matrix = display_matrix(first)
            self._rate = _frame_rate(stream)
            self._limit = math.floor(MAX_SECONDS * self._rate)  # frames
            self.truncated = seconds is not None and seconds > MAX_SECONDS + 0.5
            self._surely = seconds if stream.duration is not None or len(container.streams) == 1 else None
            height, width = self._to_rgb(first).shape[:2]
            self.info = VideoInfo(
                width=width,
                height=height,
                fps=float(self._rate),
                frames=None if seconds is None else min(max(1, round(seconds * self._rate)), self._limit),
                seconds=seconds,
                codec=stream.codec_context.codec.canonical_name,
                source_width=first.width,
                source_height=first.height,
            )
            self._stack = stack.pop_all()  # open from here on, until close()

    @property
    def note(self) -> str:
        """A sentence on what is missing from the frames given, or ""; the last word after iteration."""
        if self.truncated:
            length = f"is {self.info.seconds:.0f} s long" if self.info.seconds else "goes on"
            return f"The video {length}; its first {self._seconds_given or MAX_SECONDS:.0f} s are used."
        if self.cut_off and self._iterated:
            return f"The file breaks off or is damaged; what could be read of it, {self._seconds_given:.1f} s, is used."
        return ""

    def __iter__(self) -> Iterator[Frame]:
        """The frames in order. A damaged rest ends them, and `note` says so; RuntimeError the second time."""
        if self._iterated:
            raise RuntimeError("A video can be iterated over once; open it again.")
        self._iterated = True
        self._rest()
        pending, start, end = self._first, 0, 0.0
        for frame, begins, ends in self._timed():
            tick = math.floor(begins * self._rate + NEAR)
            if tick == start and frame is not pending:
                end = ends  # of two frames within one tick the earlier one stays
                continue
            yield from self._ticks(pending, start, min(tick, self._limit))
            if tick >= self._limit:
                self.truncated, self.cut_off = True, False
                return
            pending, start, end = frame, tick, ends
        stop = max(start + 1, math.floor(end * self._rate + NEAR))
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

    def _rest(self) -> None:
        """What the caller did with a frame does not count as waiting."""
        self._deadline = time.monotonic() + MAX_WAIT

    def _decode(self, container: InputContainer, stream: VideoStream) -> Generator[VideoFrame, None, None]:
        transport = container.format.name == "mpegts"  # there a packet is called corrupt after any gap
        try:
            for count, packet in enumerate(container.demux(stream)):
                self._too_many = count >= MAX_PACKETS
                if self._too_many or time.monotonic() > self._deadline:
                    self.cut_off = True
                    return
                try:  # a packet of which the file holds only a part would be shown half grey
                    frames = [] if packet.is_corrupt and not transport else packet.decode()
                    good = not packet.is_corrupt or transport
                except FFmpegError:
                    frames, good = [], False
                if packet.size:  # the last, empty one only asks for the frames held back
                    self.cut_off = not good
                yield from frames
        except FFmpegError:  # the container itself is damaged
            self.cut_off = True

    def _timed(self) -> Iterator[tuple[VideoFrame, float, float]]:
        """Frames with when each begins and ends, in s since the first; no frame begins before the one before it."""
        origin, begins, ends = self._first.time or 0.0, 0.0, 0.0
        for frame in itertools.chain([self._first], self._decoded):
            begins = max(begins, ends if frame.time is None else frame.time - origin)
            length = float(frame.duration * frame.time_base) if frame.duration and frame.time_base else 0.0
            ends = begins + (length if length > 0 else float(1 / self._rate))
            yield frame, begins, ends

    def _ticks(self, frame: VideoFrame, start: int, stop: int) -> Iterator[Frame]:
        """One frame from tick `start` up to `stop`; none at all, and no conversion, where both are the same."""
        rgb = self._to_rgb(frame) if start < stop else None
        for tick in range(start, stop):
            assert rgb is not None
            self._seconds_given = float((tick + 1) / self._rate)
            yield Frame(rgb.copy() if tick + 1 < stop else rgb, float(tick / self._rate), tick > start)
            self._rest()

    def _to_rgb(self, frame: VideoFrame) -> np.ndarray:
        yuv = not frame.format.is_rgb
        alpha = any(component.is_alpha for component in frame.format.components)
        unnamed = yuv and frame.colorspace == UNSPECIFIED and frame.height >= HD_LINES
        try:
            pixels = self._reformatter.reformat(
                frame,
                *self._size_wh,
                format="rgba" if alpha else "rgb24",
                src_colorspace=Colorspace.ITU709 if unnamed else None,
                threads=1,  # the cores are for the networks
            ).to_ndarray()
        except (FFmpegError, ValueError) as error:
            raise VideoError(
                f"The video's pixel format ({frame.format.name}) cannot be shown. Save it again as MP4 (H.264)."
            ) from error
        if alpha:
            opacity = pixels[..., 3:].astype(np.uint16)
            pixels = ((pixels[..., :3] * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8)
        return upright(pixels, self._matrix)


def _frame_rate(stream: VideoStream) -> Fraction:
    """Frames a second to give: the file's own rate, or a half, a third, ... of it that is about MAX_FPS at most."""
    average, base = stream.average_rate or stream.guessed_rate, stream.base_rate
    rate = average or base or Fraction(25)
    if base and rate < base <= MAX_FPS:
        rate = base  # irregular: a finer clock keeps every frame, and repeats some
    rate /= max(1, math.ceil(rate / Fraction(MAX_FPS * 11, 10)))  # 30.02, as phones give it, is 30 and not 15
    return max(Fraction(MIN_FPS), min(rate, Fraction(MAX_FPS))).limit_denominator(1001)
