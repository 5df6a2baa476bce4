"""Videos beyond the plain ones: HDR, transparency, a phone turned in mid-film, interlaced fields, a
clock that starts again, animated WebP and PNG."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from PIL import Image

from tasks.core.video import animation
from tasks.core.video.reader import Frame, VideoError, open_video
from tests.hostile_video import encode, level, number, scene

SIDE = 64


def frames_of(path: Path) -> list[Frame]:
    with open_video(path) as clip:
        return list(clip)


# -- HDR -------------------------------------------------------------------------------------------

COLOURS = ((230, 40, 40), (40, 200, 60), (50, 70, 220), (128, 128, 128), (10, 10, 10))
TO_BT2020 = np.array(  # ITU-R BT.2087, linear light
    ((0.6274, 0.3293, 0.0433), (0.0691, 0.9195, 0.0114), (0.0164, 0.0880, 0.8956))
)


def hlg(light: np.ndarray) -> np.ndarray:
    """ITU-R BT.2100: scene light in [0, 1] -> signal."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    upper = a * np.log(np.maximum(12 * light - b, 1e-9)) + c
    return np.where(light <= 1 / 12, np.sqrt(3 * light), upper)


def pq(light: np.ndarray) -> np.ndarray:
    """SMPTE ST 2084: cd/m2 / 10,000 -> signal."""
    m1, m2, c1, c2, c3 = 0.1593017578, 78.84375, 0.8359375, 18.8515625, 18.6875
    power = light**m1
    return ((c1 + c2 * power) / (1 + c3 * power)) ** m2


# ffmpeg's number -> (curve, light of paper's white)
CURVES: dict[int, tuple[Any, float]] = {18: (hlg, 0.2650), 16: (pq, 0.0203)}


@pytest.mark.parametrize("transfer", CURVES, ids={18: "HLG", 16: "PQ"}.get)
def test_hdr_is_shown_as_on_a_usual_screen(transfer: int, tmp_path: Path) -> None:
    curve, paper = CURVES[transfer]
    colours = np.array([*COLOURS, (255, 255, 255)]) / 255
    light = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    signal = curve(light @ TO_BT2020.T * paper)
    bright = np.ones((1, 3))  # as bright as the signal gets
    patches = np.concatenate([signal, bright]).repeat(16, 0)
    deep = np.broadcast_to((patches * 65535).round(), (SIDE, len(patches), 3)).astype(np.uint16)
    with av.open(str(tmp_path / "hdr.mkv"), "w") as container:
        stream: Any = container.add_stream("ffv1", rate=10)
        stream.pix_fmt, stream.width, stream.height = "yuv444p10le", len(patches), SIDE
        stream.codec_context.color_trc = transfer
        stream.codec_context.colorspace, stream.codec_context.color_primaries = 9, 9
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(deep), "rgb48le")
        frame = frame.reformat(format="yuv444p10le", dst_colorspace=9, dst_color_range=1)
        frame.color_trc, frame.color_primaries = transfer, 9
        container.mux([*stream.encode(frame), *stream.encode(None)])
    with open_video(tmp_path / "hdr.mkv") as clip:
        (shown,) = list(clip)
        assert "HDR" in clip.note
    got = shown.rgb[SIDE // 2, 8::16].astype(int)
    assert np.abs(got[: len(COLOURS)] - COLOURS).max() <= 8
    assert got[-2].min() >= 240 and got[-2].max() < got[-1].min() <= 255  # nothing is cut off


# -- transparency ----------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
def test_a_transparent_webm_is_over_white(codec: str, tmp_path: Path) -> None:
    rgba = np.dstack([scene(SIDE, 96), np.full((SIDE, 96), 255, np.uint8)])
    rgba[:, 48:, 3] = 0
    options = {"auto-alt-ref": "0", "deadline": "realtime"}
    path = encode(tmp_path / "a.webm", [rgba] * 5, codec, "yuva420p", options=options)
    frames = frames_of(path)
    assert len(frames) == 5
    for frame in frames:
        assert frame.rgb[:, 52:].min() >= 250
        assert np.abs(frame.rgb[8, 8].astype(int) - scene()[0, 0]).max() <= 12
    plain = encode(tmp_path / "b.webm", [scene(SIDE, 96)] * 5, codec, options=options)
    assert frames_of(plain)[0].rgb[8, 90].tolist() != [255, 255, 255]


# -- a film that changes ---------------------------------------------------------------------------


def joined(path: Path, *parts: Path) -> Path:
    """The packets of several clips of one codec behind each other."""
    with av.open(str(path), "w") as out:
        stream: Any = None
        begin = 0
        for part in parts:
            with av.open(str(part)) as container:
                source = container.streams.video[0]
                stream = stream or out.add_stream_from_template(source)
                packets: list[Any] = [packet for packet in container.demux(source) if packet.size]
                for packet in packets:
                    packet.pts, packet.dts = packet.pts + begin, packet.dts + begin
                    packet.stream = stream
                    out.mux(packet)
                begin = packets[-1].pts + 100
    return path


def test_a_phone_turned_in_mid_film_keeps_shapes(tmp_path: Path) -> None:
    options = {"deadline": "realtime"}
    lying = encode(tmp_path / "1.webm", [scene(64, 96)] * 3, "libvpx", options=options)
    upright = encode(tmp_path / "2.webm", [scene(96, 64)] * 3, "libvpx", options=options)
    frames = frames_of(joined(tmp_path / "turned.webm", lying, upright))
    assert len(frames) == 6 and {frame.rgb.shape for frame in frames} == {(64, 96, 3)}
    wide = 64 * 64 // 96  # px of the second half's image, between bars
    left = (96 - wide) // 2
    last = frames[-1].rgb.astype(int)
    assert last[:, : left - 1].max() < 20 and last[:, left + wide + 1 :].max() < 20
    shown = last[:, left + 1 : left + wide - 1]
    assert np.abs(shown[8, 4] - scene()[0, 0]).max() <= 12
    assert np.abs(shown[8, -4] - scene()[0, -1]).max() <= 12


def test_a_clock_that_starts_again_loses_no_frame(tmp_path: Path) -> None:
    first = encode(tmp_path / "1.ts", [level(i) for i in range(8)])
    second = encode(tmp_path / "2.ts", [level(i) for i in range(8, 16)])
    path = tmp_path / "joined.ts"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    frames = frames_of(path)
    assert [number(frame.rgb) for frame in frames] == list(range(16))
    assert [frame.seconds for frame in frames] == pytest.approx([k / 10 for k in range(16)])


# -- interlaced ------------------------------------------------------------------------------------


def combed(rgb: np.ndarray) -> int:
    """Pixels that differ from the lines above and below, which are alike."""
    rows = rgb[..., 1].astype(int)
    above, here, below = rows[:-2], rows[1:-1], rows[2:]
    lone = np.minimum(abs(here - above), abs(here - below)) > 60
    return int((lone & (abs(above - below) < 30)).sum())


def test_interlaced_frames_are_deinterlaced(tmp_path: Path) -> None:
    def field(k: int) -> np.ndarray:
        image = np.full((64, 128, 3), 60, np.uint8)
        image[20:44, 10 + 5 * k : 30 + 5 * k] = 230
        return image

    woven = []
    for k in range(8):
        frame = field(2 * k)
        frame[1::2] = field(2 * k + 1)[1::2]
        woven.append(frame)
    assert combed(woven[3]) > 100
    flags = {"flags": "+ildct+ilme", "b": "4M"}
    path = encode(tmp_path / "tv.mkv", woven, "mpeg2video", fps=25, options=flags)
    frames = frames_of(path)
    assert len(frames) == 8
    assert max(combed(given.rgb) for given in frames) < 15
    for k, shown in enumerate(frames):  # none is another's
        middle = np.flatnonzero(shown.rgb[32, :, 1] > 150).mean()
        assert abs(middle - (20 + 10 * k + 2.5)) < 6


# -- animated images -------------------------------------------------------------------------------


def animated(path: Path, kind: str, ms: list[int]) -> Path:
    images = [Image.fromarray(level(k)) for k in range(len(ms))]
    images[0].save(path, kind, save_all=True, append_images=images[1:], duration=ms, lossless=True)
    return path


@pytest.mark.parametrize("kind", ["WEBP", "PNG"])
def test_an_animated_image_is_a_video(kind: str, tmp_path: Path) -> None:
    path = animated(tmp_path / "moving", kind, [100, 100, 300, 100])
    with open_video(path) as clip:
        frames = list(clip)
        assert (clip.info.frames, clip.info.fps, clip.note) == (6, 10, "")
    assert [number(frame.rgb) for frame in frames] == [0, 1, 2, 2, 2, 3]
    assert [frame.repeated for frame in frames] == [False, False, False, True, True, False]


@pytest.mark.parametrize("kind", ["WEBP", "PNG"])
def test_a_still_image_is_no_video(kind: str, tmp_path: Path) -> None:
    Image.fromarray(level(1)).save(tmp_path / "still", kind)
    with pytest.raises(VideoError, match="animated WebP"):
        open_video(tmp_path / "still")


def test_frames_too_short_to_be_meant_last_as_in_browsers(tmp_path: Path) -> None:
    data = animated(tmp_path / "fast", "WEBP", [0, 10, 40]).read_bytes()
    assert animation.durations(data) == [100, 100, 40]


def test_a_damaged_animation_is_a_sentence_or_what_is_left(tmp_path: Path) -> None:
    whole = animated(tmp_path / "moving", "WEBP", [100] * 6).read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(20):
        blob = bytearray(whole)
        for at in rng.integers(12, len(blob), 4):
            blob[at] = rng.integers(0, 256)
        (tmp_path / "damaged").write_bytes(blob[: int(rng.integers(len(blob) // 2, len(blob)))])
        try:
            assert frames_of(tmp_path / "damaged")
        except VideoError as error:
            assert "\n" not in str(error)
