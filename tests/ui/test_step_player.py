"""The step player's server side: frames sent, jobs stopped, files written, bad requests."""

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from tasks.ui import errors, step_player, step_player_files
from tasks.ui.jobs import Frame, JobQueue

ABOUT = {"name": "digits-seed3", "seed": 3, "label": [1, 2], "guidance": 1.5}
RNG = np.random.default_rng(0)


def frame(i: int = 0, n: int = 2, side: int = 4, channels: int = 0) -> Frame:
    """Two panels: n bright pictures and n dark ones."""
    shape = (n, side, side, channels) if channels else (n, side, side)
    first = np.full(shape, 200 - i, np.uint8)
    return Frame(
        (first, RNG.integers(0, 50, shape, np.uint8)), f"Step {i}", f"<p>{i}</p>", ((1.5, 2.5),)
    )


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> JobQueue:
    """A queue of its own for each test."""
    made = JobQueue()
    monkeypatch.setattr(step_player, "JOBS", made)
    return made


def finished(jobs: JobQueue, frames: Iterator[Frame], total: int) -> str:
    token = str(jobs.start(frames, total, ABOUT)["run"])
    while not jobs.poll(token, 10**9, 0.05).done:
        pass
    return token


# -- images --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "across", "down"), [(1, 1, 1), (2, 2, 1), (3, 2, 2), (4, 2, 2), (10, 4, 3), (16, 4, 4)]
)
def test_grid_lays_pictures_out_row_by_row(n: int, across: int, down: int) -> None:
    pictures = (
        np.arange(1, n + 1, dtype=np.uint8)[:, None, None].repeat(5, 1).repeat(3, 2)
    )  # each its number, 5 x 3
    made = step_player_files.grid(pictures)
    assert made.shape == (down * 6 - 1, across * 4 - 1, 3) and made.dtype == np.uint8
    for i in range(n):
        y, x = i // across * 6, i % across * 4
        assert (made[y : y + 5, x : x + 3] == i + 1).all()
    assert (made == step_player_files.GREY).any() == (n > 1)


def test_grid_keeps_colours() -> None:
    pictures = RNG.integers(0, 256, (1, 4, 4, 3), np.uint8)
    assert np.array_equal(step_player_files.grid(pictures), pictures[0])


def test_sheet_has_whole_pixels_and_even_sides() -> None:
    for n, side, channels in ((1, 28, 0), (16, 28, 0), (5, 32, 3), (64, 28, 0)):
        made = frame(0, n, side, channels)
        sheet = step_player_files.sheet(made)
        grid = step_player_files.grid(made.panels[0])
        times = sheet.shape[0] // grid.shape[0]
        assert (
            sheet.shape[0] % 2 == 0
            and sheet.shape[1] % 2 == 0
            and sheet.shape[0] >= step_player_files.SIDE
        )
        assert np.array_equal(sheet[::times, ::times][:, : grid.shape[1]], grid)


def test_sheet_of_panels_of_different_size() -> None:
    one, four = np.zeros((1, 28, 28), np.uint8), np.zeros((4, 28, 28), np.uint8)
    assert step_player_files.sheet(Frame((one, four, four))).ndim == 3


# -- files ---------------------------------------------------------------------------------------


def test_png_has_its_settings_inside() -> None:
    made = frame(7)
    picture = Image.open(io.BytesIO(step_player_files.to_png(made, ABOUT)))
    assert isinstance(picture.info["settings"], str)
    assert json.loads(picture.info["settings"]) == {**ABOUT, "moment": "Step 7"}
    assert np.array_equal(np.asarray(picture), step_player_files.sheet(made))


def test_gif_has_every_frame_and_its_settings() -> None:
    about = {
        **ABOUT,
        "label": list(range(64)),
        "model": "x" * 200,
    }  # longer than one block of a GIF's comment
    frames = [frame(20 * i) for i in range(6)]
    picture = Image.open(io.BytesIO(step_player_files.to_gif(frames, about)))
    assert picture.n_frames == 6 and picture.info["loop"] == 0  # type: ignore[attr-defined]
    assert json.loads(picture.info["comment"]) == about
    for i in (0, 3, 5):
        picture.seek(i)
        shown = np.asarray(picture.convert("RGB"))
        assert abs(int(shown[0, 0, 0]) - (200 - 20 * i)) <= 3
    assert (
        picture.info["duration"] == 1000 // step_player_files.FPS * step_player_files.HOLD
    )  # the end is held


def test_mp4_plays_and_has_its_settings(tmp_path: Path) -> None:
    frames = [frame(20 * i, 4, 28) for i in range(6)]
    data, suffix = step_player_files.to_video(frames, ABOUT)
    path = tmp_path / f"steps{suffix}"
    path.write_bytes(data)
    with av.open(str(path)) as video:
        stream = video.streams.video[0]
        assert suffix != ".mp4" or stream.codec_context.name == "h264"
        pictures = [f.to_ndarray(format="rgb24") for f in video.decode(video=0)]
        comment = {key.lower(): value for key, value in video.metadata.items()}["comment"]
    assert json.loads(comment) == ABOUT
    assert (
        len(pictures) == 6 + step_player_files.HOLD and stream.average_rate == step_player_files.FPS
    )
    for i in (0, 3, 5, 15):
        expected = step_player_files.sheet(frames[min(i, 5)])
        assert pictures[i].shape == expected.shape
        assert abs(float(pictures[i][:200, :200].mean()) - float(expected[:200, :200].mean())) < 4


def test_long_jobs_are_thinned_evenly() -> None:
    frames = [frame(0, 1, 1) for _ in range(1000)]
    thin = step_player_files.thin_out(frames)
    assert (
        len(thin) == step_player_files.MAX_FRAMES
        and thin[0] is frames[0]
        and thin[-1] is frames[-1]
    )
    assert step_player_files.thin_out(frames[:3]) == frames[:3]


# -- what the page calls -------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [0, 3])
def test_step_player_next_sends_all_frames(jobs: JobQueue, channels: int) -> None:
    frames = [frame(i, 3, 5, channels) for i in range(100)]
    token = finished(jobs, iter(frames), 100)
    got: list[dict[str, Any]] = []
    for _ in range(10):
        answer = step_player.step_player_next({"run": token, "have": len(got)})
        assert len(answer["frames"]) <= step_player.MAX_FRAMES
        got += answer["frames"]
        if answer["done"]:
            break
    assert (
        len(got) == 100
        and answer["error"] is None
        and not answer["stopped"]
        and answer["seconds"] >= 0
    )
    json.dumps(got)  # the page gets it as JSON
    for frame_, told in zip(frames, got, strict=True):
        assert (told["title"], told["text"]) == (frame_.title, frame_.text)
        for panel, sent in zip(frame_.panels, told["panels"], strict=True):
            assert sent["shape"] == [3, 5, 5, channels or 1]
            assert base64.b64decode(sent["data"]) == panel.tobytes()


def test_what_went_wrong_comes_after_the_last_frame(jobs: JobQueue) -> None:
    def broken() -> Iterator[Frame]:
        yield from (frame() for _ in range(step_player.MAX_FRAMES + 1))
        raise RuntimeError("secret")

    token = finished(jobs, broken(), 60)
    first = step_player.step_player_next({"run": token, "have": 0})
    assert first["error"] is None and not first["done"]
    second = step_player.step_player_next({"run": token, "have": step_player.MAX_FRAMES})
    assert second["error"] == errors.BUG and second["done"] and len(second["frames"]) == 1


BAD: dict[str, object] = {
    "None": None,
    "a text": "run",
    "a list": [],
    "empty": {},
    "no have": {"run": "x"},
    "have is a text": {"run": "x", "have": "0"},
    "have is true": {"run": "x", "have": True},
    "have is a fraction": {"run": "x", "have": 0.5},
    "run is a list": {"run": [], "have": 0},
    "run is a dict": {"run": {}, "have": 0},
    "unknown run": {"run": "x", "have": 0},
    "no kind": {"run": "x"},
    "kind is a list": {"run": "x", "kind": ["png"]},
    "another kind": {"run": "x", "kind": "exe"},
    "path": {"run": "../../etc/passwd", "kind": "png", "have": 0},
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize(
    "function",
    [step_player.step_player_next, step_player.step_player_stop, step_player.step_player_save],
    ids=lambda f: f.__name__,
)
def test_bad_requests_get_a_sentence(jobs: JobQueue, function: Any, name: str) -> None:
    answer = function(BAD[name])
    assert set(answer) == {"error", "hint"}
    assert answer["error"].endswith(".") and answer["error"] != errors.BUG


def test_stop_through_the_page(jobs: JobQueue) -> None:
    def endless() -> Iterator[Frame]:
        while True:
            yield Frame(())

    token = str(jobs.start(endless(), 10**6, ABOUT)["run"])
    step_player.step_player_next({"run": token, "have": 0})
    assert step_player.step_player_stop(token) == {}
    while not (answer := step_player.step_player_next({"run": token, "have": 10**6}))["done"]:
        pass
    assert answer["stopped"]


@pytest.mark.parametrize("kind", ["png", "gif", "mp4"])
def test_step_player_save(jobs: JobQueue, kind: str) -> None:
    token = finished(jobs, (frame(i, 1, 28) for i in range(3)), 3)
    answer = step_player.step_player_save({"run": token, "kind": kind, "at": 1})
    assert answer["name"].startswith("digits-seed3.")
    head, data = answer["url"].split(",")
    assert (
        head.startswith("data:") and head.endswith(";base64") and len(base64.b64decode(data)) > 100
    )


@pytest.mark.parametrize(
    ("at", "moment"),
    [(0, 0), (1, 1), (2, 2), (3, 2), (-1, 2), (None, 2), ("1", 2), (True, 2), (1e9, 2)],
)
def test_which_step_is_saved(jobs: JobQueue, at: object, moment: int) -> None:
    token = finished(jobs, (frame(i, 1, 8) for i in range(3)), 3)
    answer = step_player.step_player_save({"run": token, "kind": "png", "at": at})
    picture = Image.open(io.BytesIO(base64.b64decode(answer["url"].split(",")[1])))
    assert json.loads(str(picture.info["settings"]))["moment"] == f"Step {moment}"


def test_nothing_to_save(jobs: JobQueue) -> None:
    token = finished(jobs, iter(()), 0)
    assert (
        "No step has been computed"
        in step_player.step_player_save({"run": token, "kind": "png"})["error"]
    )
