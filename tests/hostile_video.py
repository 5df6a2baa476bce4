"""Clips as nobody wants them: tables of makers, each name -> function(folder) -> a path or None.

    @pytest.mark.parametrize("name", hostile_video.REFUSED)
    def test_refused(name, tmp_path):
        with pytest.raises(VideoError):
            open_video(hostile_video.REFUSED[name](tmp_path))

`REFUSED` must end in a sentence; `ODD` must give upright frames of `scene()`; `CUT` gives the
frames that are left.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from PIL import Image

Maker = Callable[[Path], Path]
RED, GREEN, BLUE, WHITE = (200, 30, 30), (30, 180, 40), (30, 40, 200), (235, 235, 235)
WIDTH, HEIGHT, FPS = 96, 64, 10


def scene(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """uint8 (H, W, 3): red and green above blue and white, so that every turn and mirroring
    shows."""
    image = np.empty((height, width, 3), np.uint8)
    image[: height // 2, : width // 2], image[: height // 2, width // 2 :] = RED, GREEN
    image[height // 2 :, : width // 2], image[height // 2 :, width // 2 :] = BLUE, WHITE
    return image


def level(index: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """A frame that tells its own number: grey of 8 * index + 16."""
    return np.full((height, width, 3), 8 * index + 16, np.uint8)


def number(rgb: np.ndarray) -> int:
    """Which `level` a frame is."""
    return round((float(rgb.mean()) - 16) / 8)


def encode(
    path: Path,
    frames: Iterable[np.ndarray],
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    *,
    times: Sequence[float] | None = None,  # s of each frame; None = FPS a second
    fps: int = FPS,
    turned: float = 0,  # degrees counter-clockwise that the player shall turn the frames by
    mirrored: bool = False,
    aspect: Fraction | None = None,  # of a pixel
    sound: bool = False,
    options: dict[str, str] | None = None,  # of the encoder
    file_options: dict[str, str] | None = None,
) -> Path:
    """A clip by PyAV alone, with whatever a clip can have; no frames = only a header."""
    tick = Fraction(1, 1000) if times else Fraction(1, fps)
    with av.open(str(path), "w", container_options=file_options or {}) as container:
        stream: Any = container.add_stream(codec, rate=fps, options=options)
        stream.pix_fmt, stream.width, stream.height = pix_fmt, WIDTH, HEIGHT
        stream.codec_context.thread_count = 1
        stream.codec_context.time_base = tick
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if turned or mirrored:
            stream.set_display_rotation(turned, hflip=mirrored)
        voice = container.add_stream("aac", rate=16000) if sound else None
        started = False
        for index, rgb in enumerate(frames):
            if not started:
                stream.height, stream.width = rgb.shape[:2]
                started = True
            frame = VideoFrame.from_ndarray(rgb, "rgba" if rgb.shape[2] == 4 else "rgb24")
            frame.pts, frame.time_base = round(times[index] * 1000) if times else index, tick
            container.mux(stream.encode(frame))
        if started:
            container.mux(stream.encode(None))
        else:
            container.start_encoding()
        if voice:
            container.mux([*voice.encode(_silence()), *voice.encode(None)])
    return path


def _silence() -> AudioFrame:
    frame = AudioFrame.from_ndarray(np.zeros((2, 16000), np.float32), "fltp", "stereo")
    frame.sample_rate, frame.pts = 16000, 0
    return frame


def scenes(count: int = 5) -> list[np.ndarray]:
    return [scene()] * count


def noise(count: int, seed: int = 0) -> list[np.ndarray]:
    """Frames that no encoder makes small, so that a part of the file is a part of the frames."""
    return list(np.random.default_rng(seed).integers(0, 256, (count, HEIGHT, WIDTH, 3), np.uint8))


def mp4(folder: Path) -> Path:
    return encode(folder / "clip.mp4", scenes())


def odd_webm(folder: Path) -> Path:
    return encode(
        folder / "odd.webm", [scene(63, 95)] * 5, "libvpx", options={"deadline": "realtime"}
    )


def rotated(folder: Path, degrees: int = 90) -> Path:
    """As a phone held upright stores it: lying, with a note to turn it."""
    return encode(
        folder / f"turned{degrees}.mp4",
        [np.rot90(f, -degrees // 90) for f in scenes()],
        turned=degrees,
    )


def mirrored(folder: Path) -> Path:
    return encode(folder / "mirrored.mp4", [f[:, ::-1] for f in scenes()], mirrored=True)


def recorded_webm(folder: Path) -> Path:
    """As a browser records it: no length in the header, times in ms, irregular."""
    times = [0.0, 0.11, 0.19, 0.31, 0.4]
    live = {"live": "1", "cluster_time_limit": "100"}
    return encode(folder / "recorded.webm", scenes(), "libvpx", times=times, file_options=live)


def see_through(folder: Path) -> Path:
    """White is transparent here, black beneath."""
    rgba = np.dstack([scene(), np.full((HEIGHT, WIDTH), 255, np.uint8)])
    rgba[HEIGHT // 2 :, WIDTH // 2 :] = 0
    return encode(folder / "alpha.mov", [rgba] * 5, "qtrle", "argb")


def gif(folder: Path) -> Path:
    frames = [Image.fromarray(scene()) for _ in range(5)]
    for index, frame in enumerate(frames):
        frame.putpixel((0, 0), (index, 0, 0))  # the writer joins frames that are alike
    frames[0].save(folder / "animated.gif", save_all=True, append_images=frames[1:], duration=100)
    return folder / "animated.gif"


def text(folder: Path, name: str, content: str) -> Path:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


def png_called_mp4(folder: Path) -> Path:
    Image.fromarray(scene()).save(folder / "image.mp4", "PNG")
    return folder / "image.mp4"


def playlist(folder: Path) -> Path:
    lines = [
        "#EXTM3U",
        "#EXT-X-TARGETDURATION:1",
        "#EXTINF:1,",
        "/etc/passwd",
        "#EXT-X-ENDLIST",
        "",
    ]
    return text(folder, "list.mp4", "\n".join(lines))


def concat(folder: Path) -> Path:
    return text(folder, "concat.mp4", f"ffconcat version 1.0\nfile '{mp4(folder)}'\n")


def dash(folder: Path) -> Path:
    mpd = (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" '
        'type="static"><Period><AdaptationSet>'
    )
    mpd += f'<Representation id="1" bandwidth="1"><BaseURL>{mp4(folder)}</BaseURL></Representation>'
    return text(folder, "dash.mp4", mpd + "</AdaptationSet></Period></MPD>")


def only_sound(folder: Path) -> Path:
    with av.open(str(folder / "sound.mp4"), "w") as container:
        voice = container.add_stream("aac", rate=16000)
        container.mux([*voice.encode(_silence()), *voice.encode(None)])
    return folder / "sound.mp4"


def bomb(folder: Path) -> Path:
    """An animated GIF whose header says 16000 x 16000 px: 1 GB a frame if anyone believed it."""
    path = gif(folder)
    whole = path.read_bytes()
    path.write_bytes(whole[:6] + (16000).to_bytes(2, "little") * 2 + whole[10:])
    return path


def _patched(path: Path, box: bytes, offset: int, *numbers: int) -> Path:
    """The file with big-endian 32-bit numbers written `offset` bytes behind the first `box`."""
    whole = bytearray(path.read_bytes())
    at = whole.index(box) + offset
    whole[at : at + 4 * len(numbers)] = b"".join(number.to_bytes(4, "big") for number in numbers)
    path.write_bytes(whole)
    return path


def index_bomb(folder: Path) -> Path:
    """2 kB whose index says: 200 million samples of one byte each.

    Laid out in memory that is 8 GB.
    """
    path = _patched(mp4(folder), b"stsz", 8, 1, 200_000_000)
    _patched(path, b"stts", 12, 200_000_000, 1)
    return _patched(path, b"stsc", 16, 200_000_000)


def fragment_bomb(folder: Path) -> Path:
    """The same in a fragment, which declares its samples by number alone."""
    flags = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    return _patched(
        encode(folder / "fragment.mp4", scenes(1), file_options=flags), b"trun", 4, 5, 200_000_000
    )


def hidden_index_bomb(folder: Path) -> Path:
    """The index bomb with the box's size in its 64-bit form, which moves the number by 8 bytes."""
    path = index_bomb(folder)
    whole = path.read_bytes()
    at = whole.index(b"stsz")
    path.write_bytes(whole[: at - 4] + b"\0\0\0\1stsz" + (28).to_bytes(8, "big") + whole[at + 4 :])
    return path


def compressed_index(folder: Path) -> Path:
    path = mp4(folder)
    path.write_bytes(
        path.read_bytes()
        + (20).to_bytes(4, "big")
        + b"cmov"
        + (12).to_bytes(4, "big")
        + b"dcomzlib"
    )
    return path


def too_big_a_file(folder: Path) -> Path:
    path = mp4(folder)
    os.truncate(path, 60 * 1024**2)  # sparse: it takes no room
    return path


def cut(path: Path, part: float = 0.6) -> Path:
    os.truncate(path, round(path.stat().st_size * part))
    return path


def cut_mp4(folder: Path) -> Path:
    """Broken off at 60 %, with its index at the beginning: 2 s were declared."""
    return cut(encode(folder / "cut.mp4", noise(20), file_options={"movflags": "+faststart"}))


def cut_webm(folder: Path) -> Path:
    return cut(
        encode(
            folder / "cut.webm", noise(20), "libvpx", options={"deadline": "realtime", "b": "4M"}
        )
    )


REFUSED: dict[str, Callable[[Path], Path | None]] = {
    "None": lambda f: None,
    "gone": lambda f: f / "gone.mp4",
    "a folder": lambda f: f,
    "an address": lambda f: Path("http://127.0.0.1:9/clip.mp4"),
    "empty file": lambda f: text(f, "empty.mp4", ""),
    "text called .mp4": lambda f: text(f, "text.mp4", "This is a letter, not a video.\n" * 200),
    "PNG called .mp4": png_called_mp4,
    "HLS playlist": playlist,
    "list of files": concat,
    "DASH manifest": dash,
    "only sound": only_sound,
    "no frame": lambda f: encode(f / "none.mp4", []),
    "16000x16000": bomb,
    "200 million samples": index_bomb,
    "200 million samples in a fragment": fragment_bomb,
    "200 million samples, hidden": hidden_index_bomb,
    "compressed index": compressed_index,
    "2x2": lambda f: encode(f / "tiny.mp4", [scene(2, 2)] * 3),
    "60 MB": too_big_a_file,
    "two hours": lambda f: encode(f / "long.mp4", scenes(2), times=[0, 7200]),
    "truncated, index at the end": lambda f: cut(encode(f / "tail.mp4", noise(20))),
    "rare codec": lambda f: encode(f / "rare.avi", scenes(), "zmbv", "bgr0"),
}
ODD: dict[str, Maker] = {
    "MP4": mp4,
    "MP4 with sound": lambda f: encode(f / "sound.mp4", scenes(), sound=True),
    "WebM": lambda f: encode(f / "clip.webm", scenes(), "libvpx", options={"deadline": "realtime"}),
    "WebM as a browser records it": recorded_webm,
    "odd size": odd_webm,
    "turned by 90": rotated,
    "turned by 180": lambda f: rotated(f, 180),
    "turned by 270": lambda f: rotated(f, 270),
    "mirrored": mirrored,
    "10 bit": lambda f: encode(f / "deep.mkv", scenes(), "ffv1", "yuv420p10le"),
    "4:4:4": lambda f: encode(f / "full.mp4", scenes(), "libx264", "yuv444p"),
    "transparent": see_through,
    "interlaced": lambda f: encode(
        f / "tv.mkv", scenes(), "mpeg2video", fps=25, options={"flags": "+ildct+ilme"}
    ),
    "AVI": lambda f: encode(f / "clip.avi", scenes(), "mjpeg", "yuvj420p"),
    "transport stream": lambda f: encode(f / "clip.ts", scenes()),
    "Ogg": lambda f: (
        encode(f / "clip.ogv", scenes(), "libtheora")
        if "libtheora" in av.codecs_available
        else mp4(f)
    ),
    "animated GIF": gif,
    "one frame": lambda f: encode(f / "one.mp4", scenes(1)),
    "long pixels": lambda f: encode(f / "wide.mp4", [scene()[:, ::2]] * 5, aspect=Fraction(2)),
    "high pixels": lambda f: encode(f / "high.mp4", [scene()[::2]] * 5, aspect=Fraction(1, 2)),
    "wrong suffix": lambda f: mp4(f).rename(f / "clip.txt"),
}
CUT: dict[str, Maker] = {"MP4": cut_mp4, "WebM": cut_webm}
