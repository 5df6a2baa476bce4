"""Frames as a file that browsers play: it comes back as it was sent, it is whole or it is not
there.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tasks.core.video.reader import VideoError, VideoWriter, open_video
from tests import hostile_video
from tests.hostile_video import FPS, HEIGHT, WIDTH, level, number, scene


def frames_of(path: Path) -> list[np.ndarray]:
    with open_video(path) as clip:
        return [frame.rgb for frame in clip]


def numbered(count: int, height: int = HEIGHT, width: int = WIDTH) -> Iterator[np.ndarray]:
    return (level(i % 28, height, width) for i in range(count))


@pytest.mark.parametrize("codec", ["libx264", "libvpx"])
@pytest.mark.parametrize("fps", [25, 30000 / 1001, 1])
def test_round_trip(codec: str, fps: float, tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "out.avi", WIDTH, HEIGHT, fps, codec) as out:
        for rgb in numbered(28):
            out.write(rgb)
        assert not out.path.exists()
    assert out.path.name == {"libx264": "out.mp4", "libvpx": "out.webm"}[codec]
    assert os.listdir(tmp_path) == [out.path.name]
    with open_video(out.path) as clip:
        frames = list(clip)
        assert clip.info.fps == pytest.approx(fps, rel=1e-3)
        assert clip.info.seconds == pytest.approx(28 / fps, abs=0.002)
        assert clip.note == ""
    assert [number(f.rgb) for f in frames] == list(range(28))
    assert not any(f.repeated for f in frames)


@pytest.mark.parametrize("codec", ["libx264", "libvpx"])
@pytest.mark.parametrize("size_hw", [(HEIGHT, WIDTH), (63, 95), (720, 1280)], ids=str)
def test_colours_come_back(codec: str, size_hw: tuple[int, int], tmp_path: Path) -> None:
    height, width = size_hw
    with VideoWriter(tmp_path / "out", width, height, 10, codec) as out:
        for _ in range(2):
            out.write(scene(height, width)[:, ::-1][:, ::-1])  # not contiguous
    frame = frames_of(out.path)[0]
    assert frame.shape == (height + height % 2, width + width % 2, 3)
    away = np.abs(frame[:height, :width] - scene(height, width).astype(int)).max(2)
    assert np.percentile(away, 85) <= 6


def test_what_browsers_play(tmp_path: Path) -> None:
    """H.264, 4:2:0, even sides, BT.709 named as such, and the index in front, so that it plays
    while it loads.
    """
    with VideoWriter(tmp_path / "out", 95, 63, 25) as out:
        for rgb in numbered(60, 63, 95):
            out.write(rgb)
    whole = out.path.read_bytes()
    assert whole.index(b"moov") < whole.index(b"mdat")
    with av.open(str(out.path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        assert (context.name, context.pix_fmt, context.width, context.height) == (
            "h264",
            "yuv420p",
            96,
            64,
        )
        assert (
            context.colorspace,
            context.color_primaries,
            context.color_trc,
            context.color_range,
        ) == (1, 1, 1, 1)
        assert context.profile in ("High", "Main", "Constrained Baseline")
        keys = [
            float(p.pts * p.time_base)
            for p in container.demux(stream)
            if p.is_keyframe and p.pts is not None
        ]
    assert keys[:2] == [0, 2]


def test_ffprobe_agrees(tmp_path: Path) -> None:
    ffprobe = shutil.which("ffprobe")
    if not ffprobe:
        pytest.skip("no ffprobe here")
    with VideoWriter(tmp_path / "out", WIDTH, HEIGHT, 25) as out:
        for rgb in numbered(50):
            out.write(rgb)
    entries = "stream=codec_name,pix_fmt,nb_read_frames,duration"
    command = [
        ffprobe,
        "-v",
        "error",
        "-count_frames",
        "-show_entries",
        entries,
        "-of",
        "default=nw=1",
        str(out.path),
    ]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    assert not told.stderr
    assert dict(line.split("=") for line in told.stdout.split()) == {
        "codec_name": "h264",
        "pix_fmt": "yuv420p",
        "nb_read_frames": "50",
        "duration": "2.000000",
    }


def test_stopped_midway_leaves_what_is_done(tmp_path: Path) -> None:
    def work() -> Iterator[int]:
        with VideoWriter(tmp_path / "out", WIDTH, HEIGHT, 10) as out:
            for index, rgb in enumerate(numbered(20)):
                out.write(rgb)
                yield index

    steps = work()
    assert [next(steps) for _ in range(7)][-1] == 6
    steps.close()  # type: ignore[attr-defined]
    assert os.listdir(tmp_path) == ["out.mp4"]
    assert [number(rgb) for rgb in frames_of(tmp_path / "out.mp4")] == list(range(7))


@pytest.mark.parametrize("written", [0, 3])
def test_an_error_leaves_nothing(written: int, tmp_path: Path) -> None:
    def fail() -> None:
        with VideoWriter(tmp_path / "out", WIDTH, HEIGHT, 10) as out:
            for rgb in numbered(written):
                out.write(rgb)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert os.listdir(tmp_path) == []


def test_no_frame_no_file(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "out", WIDTH, HEIGHT, 10) as out:
        pass
    assert (out.frames, os.listdir(tmp_path)) == (0, [])


def test_an_earlier_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    hostile_video.mp4(tmp_path).rename(tmp_path / "out.mp4")
    out = VideoWriter(tmp_path / "out", WIDTH, HEIGHT, 10)
    out.write(level(3))
    out.discard()
    assert len(frames_of(tmp_path / "out.mp4")) == 5
    with VideoWriter(tmp_path / "out", WIDTH, HEIGHT, 10) as out:
        out.write(level(3))
    assert [number(rgb) for rgb in frames_of(tmp_path / "out.mp4")] == [3]


def test_closed_twice_and_written_after(tmp_path: Path) -> None:
    out = VideoWriter(tmp_path / "out", WIDTH, HEIGHT, 10)
    out.write(level(3))
    out.close()
    out.close()
    with pytest.raises(RuntimeError, match="closed"):
        out.write(level(3))
    assert len(frames_of(out.path)) == 1


WRONG: dict[str, Any] = {
    "another size": level(0, HEIGHT, WIDTH + 1),
    "grey": level(0)[..., 0],
    "float": level(0) / 255,
    "None": None,
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_frame(name: str, tmp_path: Path) -> None:
    with (
        VideoWriter(tmp_path / "out", WIDTH, HEIGHT, FPS) as out,
        pytest.raises(VideoError, match=r"\(64, 96, 3\); "),
    ):
        out.write(WRONG[name])


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_wrong_rate(fps: float, tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="cannot be written"):
        VideoWriter(tmp_path / "out", WIDTH, HEIGHT, fps)
    assert os.listdir(tmp_path) == []
