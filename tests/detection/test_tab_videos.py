"""Video files in the detection tab: boxes, rows and counts, Stop, visitors who come at once, and
bad files.
"""

import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file

from tasks import loaders
from tasks.core import scheduling
from tasks.core.images import ImageError
from tasks.detection.tab import videos
from tasks.ui import video_progress
from tasks.ui.jobs import JobQueue
from tests.detection.test_tab import SOON, Pretender


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Pretender:
    pretender = Pretender()
    monkeypatch.setattr(loaders, "detector", lambda name: pretender)
    monkeypatch.setattr(scheduling, "CORES", scheduling.Cores())
    return pretender


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> JobQueue:
    queue = JobQueue(unseen_s=1e9)  # pages are looked at one after the other
    monkeypatch.setattr(video_progress, "JOBS", queue)
    monkeypatch.setattr(video_progress, "SHOW_EVERY_S", 0)
    return queue


def clip(folder: Path, frames: int = 12) -> Path:
    from tasks.core.video.reader import VideoWriter

    with VideoWriter(folder / "clip", 160, 120, 10) as out:
        for n in range(frames):
            out.write(np.full((120, 160, 3), 6 * n, np.uint8))
    return out.path


def test_a_video_with_boxes_rows_and_counts(model: Pretender, tmp_path: Path) -> None:
    from tasks.core.video.reader import open_video
    from tasks.detection.video import detect_in_video

    source = clip(tmp_path)
    *steps, last = detect_in_video(source, model, tmp_path)  # type: ignore[arg-type]
    assert (
        len(steps) == 12 and last.frames == 12 and last.video is not None and last.table is not None
    )
    with open_video(last.video) as video:
        assert len(list(video)) == 12
    lines = last.table.read_text().splitlines()
    assert lines[0].startswith("seconds,frame,class,track") and len(lines) == 13
    assert last.counts == {"square": [(t * 0.25, 1) for t in range(5)]} and last.tracks == {
        "square": 1
    }


def test_lines_and_areas_in_a_video(model: Pretender, tmp_path: Path) -> None:
    """The square's middle goes from x = 32 to 54 of 160 px in 1.2 s."""
    import json

    from PIL import Image

    from tasks.detection.video import detect_in_video
    from tasks.detection.zones import parse_zones

    drawn = [
        {"shape": "line", "points": [[0.27, 0], [0.27, 1]]},
        {"shape": "area", "points": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]},
    ]
    regions = parse_zones(drawn)
    *_, last = detect_in_video(
        clip(tmp_path),
        model,  # type: ignore[arg-type]
        tmp_path,
        regions=regions,
    )
    line, area = last.zones
    assert (line["in"], line["out"]) == (1, 0)
    assert (area["now"], area["visits"], area["longest_s"]) == (1, 1, 1.1)
    assert [file.name for file in last.files] == [
        "boxes.csv",
        "heat-map.png",
        "events.csv",
        "zones.json",
    ]
    rows = (tmp_path / "events.csv").read_text().splitlines()
    assert rows[0] == "seconds,zone,event,track,class" and len(rows) == 3
    saved = json.loads((tmp_path / "zones.json").read_text())
    assert saved["zones"][0]["in"] == 1 and len(saved["events"]) == 2
    assert Image.open(tmp_path / "heat-map.png").size == (160, 120)


def test_the_first_frame_is_there_to_draw_on(tmp_path: Path) -> None:
    from tasks.detection.tab import videos

    value = videos.first_frame(str(clip(tmp_path)))
    assert value["frame"].startswith("data:image/jpeg;base64,") and value["zones"] == []
    (tmp_path / "text.mp4").write_text("no video")
    for bad in (None, str(tmp_path / "text.mp4")):
        assert videos.first_frame(bad) == {"frame": None, "zones": []}


def test_zones_are_shown_as_tables() -> None:
    from tasks.detection.tab import videos

    area = {"zone": "area 1", "now": 1, "visits": 2, "mean_s": 0.5, "longest_s": 0.6}
    html = videos.zones_html([{"zone": "line 1", "in": 3, "out": 4}, area])
    assert html.count("<table>") == 2 and "longest, s" in html and ">4<" in html


def test_stop_keeps_what_is_done(model: Pretender, tmp_path: Path) -> None:
    from tasks.core.video.reader import open_video
    from tasks.detection.video import detect_in_video

    halt = threading.Event()
    steps = detect_in_video(clip(tmp_path), model, tmp_path, stopped=halt.is_set)  # type: ignore[arg-type]
    for progress in steps:
        if progress.frames == 5:
            halt.set()
    assert progress.frames == 5 and "Stopped" in progress.note and progress.video is not None
    with open_video(progress.video) as video:
        assert len(list(video)) == 5


def visit(path: Path) -> Iterator[Any]:
    """The steps of the page's event."""

    class Visitor:
        session_hash = "anne"

    return videos.detect_file(str(path), "own", 0.3, 0.7, 320, None, Visitor())  # type: ignore[arg-type]


def test_a_page_that_is_closed_frees_the_cores_within_one_frame(
    model: Pretender, tmp_path: Path, jobs: JobQueue
) -> None:
    model.frames = threading.Semaphore(2)
    steps = visit(clip(tmp_path, 40))
    while "frame 2" not in next(steps)[0]:
        pass
    job = next(iter(jobs._all.values()))
    steps.close()  # type: ignore[attr-defined]
    model.frames.release(100)
    with jobs._changed:
        assert jobs._changed.wait_for(lambda: job.done, SOON)
    assert len(job.frames) <= 3 and job.error is None and not jobs._all
    assert scheduling.CORES.is_idle


def test_two_videos_are_computed_and_the_third_is_told_its_place(
    model: Pretender, tmp_path: Path, jobs: JobQueue
) -> None:
    model.frames = threading.Semaphore(0)
    source = clip(tmp_path)
    visitors = [visit(source) for _ in range(3)]
    for steps in visitors:
        next(steps)
    while "In the queue: 2 before you" not in (said := next(visitors[2])[0]):
        assert "Opening" in said
    model.frames.release(10**6)
    assert all("12 frames in" in list(steps)[-1][0] for steps in visitors)


def test_stop_before_the_turn_came(model: Pretender, tmp_path: Path, jobs: JobQueue) -> None:
    model.frames = threading.Semaphore(0)
    source = clip(tmp_path)
    visitors = [visit(source) for _ in range(3)]
    for steps in visitors:
        next(steps)
    video_progress.stop_event("anne").set()  # all three are of one visitor
    assert "Stopped before its turn came" in list(visitors[2])[-1][0]
    model.frames.release(10**6)
    for steps in visitors[:2]:
        list(steps)


def test_bad_videos_get_a_sentence(model: Pretender, tmp_path: Path) -> None:
    from tasks.detection.video import detect_in_video

    (tmp_path / "text.mp4").write_text("not a video")
    for path in (tmp_path / "text.mp4", tmp_path / "missing.mp4", None):
        with pytest.raises(ImageError):
            list(detect_in_video(path, model, tmp_path))  # type: ignore[arg-type]


def test_a_bad_video_in_the_page_is_a_sentence_and_leaves_the_results(
    model: Pretender, tmp_path: Path, jobs: JobQueue
) -> None:
    (tmp_path / "text.mp4").write_text("not a video")
    *_, last = visit(tmp_path / "text.mp4")
    assert "not a video that can be read here" in last[0] and last[1:] == (gr.skip(),) * 3
    *_, last = visit(clip(tmp_path))
    assert "12 frames in" in last[0] and str(last[1]).endswith((".mp4", ".webm"))


def test_a_count_is_drawn_as_steps() -> None:
    from tasks.detection.tab.videos import step_line

    assert step_line([(0.0, 1.0), (0.5, 3.0)]) == [(0.0, 1.0), (0.5, 1.0), (0.5, 3.0)]
    assert step_line([(2.0, 1.0)]) == [(2.0, 1.0)]


def test_two_visitors_never_see_each_others_video(app_url: str, tmp_path: Path) -> None:
    """At once, files of one name: each gets its own, at a place that cannot be guessed, and
    folders are not listed.
    """
    from tasks.core.video.reader import open_video

    got: dict[int, tuple[str, dict[str, Any]]] = {}

    def visit(frames: int) -> None:
        (tmp_path / str(frames)).mkdir()
        client = Client(app_url, verbose=False, download_files=str(tmp_path / str(frames)))
        got[frames] = client.predict(
            handle_file(clip(tmp_path / str(frames), frames)),
            "digits",
            0.4,
            0.7,
            320,
            api_name="/detect_video",
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
    # a hash of what is in the file
    assert len(places) == 2 and all(len(place) >= 32 for place in places)
    for guess in ("", "clip.mp4", next(iter(places))):
        for root in (tempfile.gettempdir(), os.path.join(tempfile.gettempdir(), "gradio")):
            assert httpx.get(f"{app_url}/gradio_api/file={root}/{guess}").status_code in (403, 404)
