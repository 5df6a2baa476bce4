"""A video file that browsers play, written frame by frame.

    with VideoWriter("boxes", 640, 480, fps=25) as out:
        for frame in frames:
            out.write(frame)

The finished file is then at `out.path`, here boxes.mp4.
"""

import contextlib
import math
import os
import tempfile
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import av
import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, VideoReformatter
from av.video.stream import VideoStream

from tasks.core.video.container import VideoError


class Encoder(NamedTuple):
    """How one of ffmpeg's encoders is used here."""

    suffix: str
    options: dict[str, str]
    file_options: dict[str, str]
    matrix: Colorspace  # from RGB to YUV; named in the file


ENCODERS = {
    # 4.8 ms of one core for a 640 x 480 frame; ultrafast takes 2.9 but writes files 2.4 times the
    # size
    "libx264": Encoder(
        ".mp4", {"preset": "veryfast", "crf": "23"}, {"movflags": "+faststart"}, Colorspace.ITU709
    ),
    # 10 ms; where PyAV was built without x264. VP8 knows no other matrix
    "libvpx": Encoder(
        ".webm",
        {"deadline": "realtime", "cpu-used": "8", "crf": "20", "b": "4M"},
        {},
        Colorspace.ITU601,
    ),
}
KEYFRAME_SECONDS = 2  # between key frames, so that seeking is fast


class VideoWriter:
    """Writes RGB frames as H.264 in MP4, or as VP8 in WebM if PyAV lacks x264; no sound.

    A context manager. Leaving it, also by closing the generator around it, leaves a playable file
    of the frames so far at `path`; any other exception, or no frame at all, leaves no file.

    Args:
        path: of the file; its suffix is replaced by the one of the format.
        width, height: of the frames in px. H.264 needs even sides: the last line of an odd one is
            repeated.
        fps: frames a second, > 0.
        codec: a key of ENCODERS; None = the first that this PyAV has.
        comment: written into the file, such as the settings.
    Attributes:
        path: where the file will be. frames: how many were written.
    """

    def __init__(
        self,
        path: str | Path,
        width: int,
        height: int,
        fps: float,
        codec: str | None = None,
        comment: str = "",
    ) -> None:
        codec = codec or next(name for name in ENCODERS if name in av.codecs_available)
        suffix, options, file_options, self._matrix = ENCODERS[codec]
        if not 0 < fps < 1000 or min(width, height) < 1:
            raise VideoError(
                f"A video of {width} x {height} px at {fps:g} frames a second cannot be written."
            )
        rate = Fraction(fps).limit_denominator(1001)  # 29.97 is 30000 / 1001
        self.path, self.frames = Path(path).with_suffix(suffix), 0
        self._closed = False
        self._shape = (height, width, 3)
        self._time_base = 1 / rate
        self._reformatter = VideoReformatter()
        handle, self._unfinished = tempfile.mkstemp(suffix, ".", self.path.parent)
        os.close(handle)
        self._container = av.open(
            f"file:{self._unfinished}", "w", format=suffix[1:], container_options=file_options
        )
        self._container.metadata["comment"] = comment
        stream = self._container.add_stream(codec, rate=rate, options=options)
        assert isinstance(stream, VideoStream)
        self._stream = stream
        self._stream.width, self._stream.height = width + width % 2, height + height % 2
        self._stream.pix_fmt = "yuv420p"
        context = self._stream.codec_context
        context.thread_count = 1  # the cores are for the networks
        context.gop_size = math.ceil(KEYFRAME_SECONDS * rate)
        context.color_range, context.colorspace = ColorRange.MPEG, self._matrix
        context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709

    def write(self, rgb: np.ndarray) -> None:
        """Add a frame: uint8 (height, width, 3). Raises VideoError; RuntimeError when closed."""
        if self._closed:
            raise RuntimeError("The video is closed; nothing can be added to it.")
        if not isinstance(rgb, np.ndarray) or rgb.dtype != np.uint8 or rgb.shape != self._shape:
            came = f"{rgb.dtype} {rgb.shape}" if isinstance(rgb, np.ndarray) else type(rgb).__name__
            raise VideoError(f"A frame is needed as uint8 {self._shape}; {came} came.")
        height, width = self._shape[:2]
        if height % 2 or width % 2:
            rgb = np.pad(rgb, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
        frame = self._reformatter.reformat(
            VideoFrame.from_ndarray(np.ascontiguousarray(rgb), "rgb24"),
            format="yuv420p",
            dst_colorspace=self._matrix,
            dst_color_range=ColorRange.MPEG,
            threads=1,
        )
        frame.pts, frame.time_base, frame.duration = self.frames, self._time_base, 1
        self._container.mux(self._stream.encode(frame))
        self.frames += 1

    def close(self) -> None:
        """Finish the file and move it to `path`, if it has frames. May be called twice."""
        try:
            if self.frames and not self._closed:
                self._container.mux(self._stream.encode(None))
                self._container.close()
                os.replace(self._unfinished, self.path)
        finally:
            self.discard()

    def discard(self) -> None:
        """Remove the unfinished file; one that is closed stays."""
        self._closed = True
        with contextlib.suppress(FFmpegError):
            self._container.close()
        Path(self._unfinished).unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if kind is None or issubclass(kind, GeneratorExit):
            self.close()
        else:
            self.discard()
