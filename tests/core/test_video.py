"""A visitor's clips as upright frames in time, or a sentence: known answers for every kind of
file."""

import os
import re
import subprocess
import sys
import time
import tracemalloc
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from tasks.core.images import ImageError
from tasks.core.video import reader
from tasks.core.video.reader import Frame, VideoError, open_video
from tests import hostile_video
from tests.hostile_video import HEIGHT, WIDTH, encode, level, scene, scenes


def frames_of(path: Path | None) -> list[Frame]:
    with open_video(path) as clip:
        return list(clip)


@pytest.mark.parametrize("name", hostile_video.REFUSED)
def test_refused_in_a_sentence(name: str, tmp_path: Path) -> None:
    path = hostile_video.REFUSED[name](tmp_path)
    begun = time.process_time()
    with pytest.raises(VideoError) as caught:
        open_video(path)
    assert time.process_time() - begun < 1
    text = str(caught.value)
    assert re.match(r"[A-Z].*\.$", text), text
    assert str(tmp_path) not in text
    assert isinstance(caught.value, ImageError)
    assert len(frames_of(hostile_video.mp4(tmp_path))) == 5  # and the next good one works


@pytest.mark.parametrize("name", hostile_video.ODD)
def test_odd_gives_the_upright_scene(name: str, tmp_path: Path) -> None:
    path = hostile_video.ODD[name](tmp_path)
    with open_video(path) as clip:
        frames = list(clip)
        assert (clip.truncated, clip.cut_off, clip.note) == (False, False, "")
    assert len(frames) == (1 if name == "one frame" else 5)
    assert clip.info.frames in (len(frames), None)
    height, width = (63, 95) if name == "odd size" else (HEIGHT, WIDTH)
    white = 255 if name == "transparent" else hostile_video.WHITE[0]
    for frame in frames:
        assert frame.rgb.shape == (height, width, 3) == (clip.info.height, clip.info.width, 3)
        assert frame.rgb.dtype == np.uint8
        assert frame.rgb.flags["C_CONTIGUOUS"]
        want = scene(height, width).astype(int)
        want[height // 2 :, width // 2 :] = white
        away = np.abs(frame.rgb - want).max(2)
        assert np.percentile(away, 85) <= 8  # the rest are the edges, where chroma is shared


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_turned_as_opencv_turns_it(degrees: int, tmp_path: Path) -> None:
    path = hostile_video.rotated(tmp_path, degrees)
    reference = cv2.VideoCapture(str(path))
    reference.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    read, bgr = reference.read()
    reference.release()
    assert read
    assert np.abs(frames_of(path)[0].rgb - bgr[..., ::-1].astype(int)).mean() < 3


@pytest.mark.parametrize("name", hostile_video.CUT)
def test_cut_off_gives_what_is_left(name: str, tmp_path: Path) -> None:
    with open_video(hostile_video.CUT[name](tmp_path)) as clip:
        frames = list(clip)
    assert 8 <= len(frames) <= 13  # of 20, at 60 %
    assert clip.cut_off
    assert re.match(r"The file breaks off .* 1\.[0-3] s, is used\.", clip.note)
    for frame, sent in zip(frames, hostile_video.noise(20), strict=False):
        # its own image, none half grey
        assert np.abs(frame.rgb.mean(2) - sent.mean(2)).mean() < 40


# name -> (times of the numbered frames in s, the numbers to be given, frames a second)
TIMES: dict[str, tuple[list[float], list[int], float]] = {
    "regular": ([0, 0.1, 0.2, 0.3], [0, 1, 2, 3], 10),
    "jitter": ([0, 0.11, 0.19, 0.31, 0.4], [0, 1, 2, 3, 4], 10),
    "a pause": ([0, 0.1, 0.2, 0.6, 0.7, 0.8], [0, 1, 2, 2, 2, 2, 3, 4, 5], 10),
    "begins late": ([5, 5.1, 5.2, 5.3], [0, 1, 2, 3], 10),
    "a burst": ([0, 0.1, 0.2, 0.21, 0.22, 0.3], [0, 1, 2, 5], 10),
}


@pytest.mark.parametrize("name", TIMES)
def test_irregular_times_keep_their_pace(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times, numbers, fps = TIMES[name]
    monkeypatch.setattr(reader, "_frame_rate", lambda stream: Fraction(fps))
    frames = frames_of(
        encode(tmp_path / "vfr.mkv", [level(i) for i in range(len(times))], times=times)
    )
    assert [hostile_video.number(f.rgb) for f in frames] == numbers
    assert [f.seconds for f in frames] == pytest.approx([i / fps for i in range(len(frames))])
    assert [f.repeated for f in frames] == [False, *(a == b for a, b in pairwise(numbers))]


def test_repeated_frames_are_the_callers_own(tmp_path: Path) -> None:
    path = encode(tmp_path / "vfr.mkv", [level(i) for i in range(4)], times=[0, 0.1, 0.6, 0.7])
    with open_video(path) as clip:
        for frame in clip:
            assert frame.rgb.max() < 80
            frame.rgb[:] = 255  # as one draws boxes


def test_length_is_kept_at_a_lower_rate(tmp_path: Path) -> None:
    path = encode(tmp_path / "fast.mp4", [level(i) for i in range(24)], fps=60)
    with open_video(path) as clip:
        frames = list(clip)
        assert clip.info.fps == 30
    assert len(frames) == clip.info.frames == 12
    assert [hostile_video.number(f.rgb) for f in frames] == list(range(0, 24, 2))


# average rate, finest rate -> frames a second given
RATES = {
    (Fraction(30000, 1001), Fraction(30000, 1001)): Fraction(30000, 1001),
    (Fraction(3002, 100), Fraction(90000)): 30,  # a phone's
    (Fraction(60), Fraction(60)): 30,
    (Fraction(50), Fraction(50)): 25,
    (Fraction(240), Fraction(240)): 30,
    (Fraction(25), Fraction(50)): 25,  # interlaced
    (Fraction(7), Fraction(30)): 30,  # a screen recording with pauses
    (Fraction(1, 10), Fraction(1, 10)): 1,  # a slide show
    (Fraction(10**9), Fraction(10**9)): 30,
    (None, Fraction(15)): 15,
    (None, None): 25,
}


@pytest.mark.parametrize("rates", RATES, ids=str)
def test_frame_rate(rates: tuple[Fraction | None, Fraction | None]) -> None:
    stream: Any = SimpleNamespace(average_rate=rates[0], guessed_rate=None, base_rate=rates[1])
    assert reader._frame_rate(stream) == RATES[rates]


def test_only_the_beginning_of_a_long_clip_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = encode(tmp_path / "long.mp4", (level(i % 20) for i in range(40)))
    monkeypatch.setattr(reader, "MAX_SECONDS", 2)
    with open_video(path) as clip:
        assert clip.truncated  # said by the header, before anything is read
        assert clip.info.frames == 20
        assert len(list(clip)) == 20
    assert clip.truncated and not clip.cut_off
    assert clip.note == "The video is 4 s long; its first 2 s are used."


def test_a_gap_of_hours_is_not_filled(tmp_path: Path) -> None:
    live = {"live": "1"}
    path = encode(
        tmp_path / "gap.webm", scenes(3), "libvpx", times=[0, 1, 30000], file_options=live
    )
    with open_video(path) as clip:
        assert sum(1 for _ in clip) == clip.info.fps * reader.MAX_SECONDS
    assert clip.note == "The video goes on; its first 60 s are used."


def test_many_frames_at_one_time_come_to_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "MAX_PACKETS", 8)
    path = encode(tmp_path / "burst.mkv", scenes(20), "ffv1", times=[0.001 * i for i in range(20)])
    with open_video(path) as clip:
        assert len(list(clip)) == 1
    assert clip.truncated


def test_waiting_for_a_frame_comes_to_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = encode(tmp_path / "clip.mkv", scenes(20), "ffv1")
    with open_video(path) as clip:
        monkeypatch.setattr(reader, "MAX_WAIT", -1)
        assert len(list(clip)) < 20
    assert clip.cut_off


def test_large_frames_are_scaled_down(tmp_path: Path) -> None:
    with open_video(encode(tmp_path / "hd.mp4", [scene(1080, 1920)])) as clip:
        assert (clip.info.width, clip.info.height) == (1280, 720)
        assert (clip.info.source_width, clip.info.source_height) == (1920, 1080)
        assert next(iter(clip)).rgb.shape == (720, 1280, 3)


def test_memory_does_not_grow_with_the_clip(tmp_path: Path) -> None:
    path = encode(
        tmp_path / "long.mp4",
        (scene(240, 320) for _ in range(150)),
        options={"preset": "ultrafast"},
    )
    one = 240 * 320 * 3
    with open_video(path) as clip:
        tracemalloc.start()
        count = sum(1 for _ in clip)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert count == 150
    assert peak < 5 * one


def test_closed_midway_and_used_after(tmp_path: Path) -> None:
    path = hostile_video.mp4(tmp_path)
    with open_video(path) as clip:
        frames = iter(clip)
        next(frames)
    assert len(list(frames)) <= 1  # nothing is read from a closed file, and nothing crashes
    with pytest.raises(RuntimeError, match="once"):
        next(iter(clip))
    clip.close()


def test_every_file_is_closed_again(tmp_path: Path) -> None:
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        pytest.skip("no /proc on this system")
    paths = [make(tmp_path) for make in hostile_video.REFUSED.values()]
    before = len(os.listdir(descriptors))
    for path in paths:
        with pytest.raises(VideoError):
            open_video(path)
    with open_video(hostile_video.mp4(tmp_path)) as clip:
        next(iter(clip))
    assert len(os.listdir(descriptors)) == before


def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes on this system")
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(VideoError, match="not there"):
        open_video(tmp_path / "pipe.mp4")


@pytest.mark.parametrize(
    "name", ["MP4", "WebM", "AVI", "transport stream", "animated GIF", "transparent"]
)
def test_no_damaged_byte_is_more_than_a_sentence(name: str, tmp_path: Path) -> None:
    whole = hostile_video.ODD[name](tmp_path).read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(25):
        blob = bytearray(whole)
        for at in rng.integers(0, len(blob), 6):
            blob[at] = rng.integers(0, 256)
        (tmp_path / "damaged").write_bytes(blob[: int(rng.integers(len(blob) // 2, len(blob)))])
        try:
            with open_video(tmp_path / "damaged") as clip:
                for count, frame in enumerate(clip):
                    assert frame.rgb.shape == (clip.info.height, clip.info.width, 3)
                    if count > 20:
                        break
        except VideoError as error:
            assert "\n" not in str(error)


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, tasks.core.video.reader; print(sorted({'torch', 'gradio', 'cv2'} & "
        "set(sys.modules)))"
    )
    root = Path(__file__).resolve().parent.parent.parent
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
