"""Video files in the detection tab: boxes, rows and counts, Stop, visitors who come at once, and bad files."""

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file

from tasks import compute
from tasks.images import ImageError
from tasks.tabs import detectors
from tests.test_app_detection import Pretender


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Pretender:
    pretender = Pretender()
    monkeypatch.setattr(detectors, "detector", lambda name: pretender)
    monkeypatch.setattr(detectors, "TURNS", compute.Turns())
    return pretender


@contextmanager
def no_turn() -> Iterator[None]:
    yield


def clip(folder: Path, frames: int = 12) -> Path:
    from tasks.video import VideoWriter

    with VideoWriter(folder / "clip", 160, 120, 10) as out:
        for n in range(frames):
            out.write(np.full((120, 160, 3), 10 * n, np.uint8))
    return out.path


def test_a_video_with_boxes_rows_and_counts(model: Pretender, tmp_path: Path) -> None:
    from tasks.detection_video import detect_in_video
    from tasks.video import open_video

    source = clip(tmp_path)
    *steps, last = detect_in_video(source, model, tmp_path, turn=no_turn)  # type: ignore[arg-type]
    assert len(steps) == 12 and last.frames == 12 and last.video is not None and last.table is not None
    with open_video(last.video) as video:
        assert len(list(video)) == 12
    lines = last.table.read_text().splitlines()
    assert lines[0].startswith("seconds,frame,class,track") and len(lines) == 13
    assert last.counts == {"square": [(t * 0.25, 1) for t in range(5)]} and last.unique == {"square": {1}}


def test_stop_keeps_what_is_done(model: Pretender, tmp_path: Path) -> None:
    from tasks.detection_video import detect_in_video
    from tasks.video import open_video

    halt = threading.Event()
    for progress in detect_in_video(clip(tmp_path), model, tmp_path, turn=no_turn, stopped=halt.is_set):  # type: ignore[arg-type]
        if progress.frames == 5:
            halt.set()
    assert progress.frames == 5 and "Stopped" in progress.note and progress.video is not None
    with open_video(progress.video) as video:
        assert len(list(video)) == 5


def test_closed_midway_keeps_a_whole_file_and_frees_the_turn(model: Pretender, tmp_path: Path) -> None:
    from tasks.detection_video import detect_in_video

    turns = compute.Turns()
    steps = detect_in_video(clip(tmp_path), model, tmp_path, turn=lambda: turns.turn("v"))  # type: ignore[arg-type]
    next(steps)
    steps.close()  # type: ignore[attr-defined]
    with turns.turn("v"):
        pass


def test_bad_videos_get_a_sentence(model: Pretender, tmp_path: Path) -> None:
    from tasks.detection_video import detect_in_video

    (tmp_path / "text.mp4").write_text("not a video")
    for path in (tmp_path / "text.mp4", tmp_path / "missing.mp4", None):
        with pytest.raises(ImageError):
            list(detect_in_video(path, model, tmp_path, turn=no_turn))  # type: ignore[arg-type]


def test_a_bad_video_in_the_page_is_a_sentence_and_leaves_the_results(model: Pretender, tmp_path: Path) -> None:
    import gradio as gr

    from tasks.tabs import detection_videos as tab

    class Visitor:
        session_hash = "anne"

    (tmp_path / "text.mp4").write_text("not a video")
    *_, last = tab.find_in_video(str(tmp_path / "text.mp4"), "own", 0.3, 0.7, 320, Visitor())  # type: ignore[arg-type]
    assert "not a video that can be read here" in last[0] and last[1:] == (gr.skip(),) * 3
    *_, last = tab.find_in_video(str(clip(tmp_path)), "own", 0.3, 0.7, 320, Visitor())  # type: ignore[arg-type]
    assert "12 frames in" in last[0] and str(last[1]).endswith((".mp4", ".webm"))


def test_two_visitors_never_see_each_others_video(app_url: str, tmp_path: Path) -> None:
    """At once, files of one name: each gets its own, at a place that cannot be guessed, and folders are not listed."""
    from tasks.video import open_video

    got: dict[int, tuple[str, dict[str, Any]]] = {}

    def visit(frames: int) -> None:
        (tmp_path / str(frames)).mkdir()
        client = Client(app_url, verbose=False, download_files=str(tmp_path / str(frames)))
        got[frames] = client.predict(
            handle_file(clip(tmp_path / str(frames), frames)), "digits", 0.4, 0.7, 320, api_name="/detect_video"
        )

    visitors = [threading.Thread(target=visit, args=(frames,)) for frames in (6, 9)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    for frames, (video, about) in got.items():
        assert about["frames"] == frames
        with open_video(video) as read:
            assert len(list(read)) == frames
    places = {Path(video).parent.name for video, _ in got.values()}
    assert len(places) == 2 and all(len(place) >= 32 for place in places)  # a hash of what is in the file
    for guess in ("", "clip.mp4", next(iter(places))):
        for root in (tempfile.gettempdir(), os.path.join(tempfile.gettempdir(), "gradio")):
            assert httpx.get(f"{app_url}/gradio_api/file={root}/{guess}").status_code in (403, 404)
