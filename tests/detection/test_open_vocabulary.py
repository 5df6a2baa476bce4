"""Open vocabulary on random weights: from the typed words to boxes, and what comes of bad words,
damaged files and no network. Ultralytics' own `set_classes` is the reference.
"""

import asyncio
import sys
import threading
import time
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
import torch
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from tasks import loaders, models
from tasks.core import downloads, scheduling
from tasks.core.images import ImageError
from tasks.core.model_cache import Kept
from tasks.core.weights import WeightsError
from tasks.detection import open_vocabulary
from tasks.detection.detector import Detections, Detector
from tasks.detection.open_vocabulary import OpenVocabulary
from tasks.detection.tab import images
from tasks.detection.tab.open_vocabulary import offer_words
from tasks.detection.words import MAX_LENGTH, MAX_WORDS, parse_words
from tests import hostile
from tests.conftest import free_port
from tests.detection import tiny_world

NAME = models.OPEN_VOCABULARY
WORDS = ("red mug", "green book")
IMAGE = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
MARKUP = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    tiny_world.write(folder)
    return folder


class Server(ThreadingHTTPServer):
    """Gives the files of a folder; `damage`: of a path, what its bytes become."""

    daemon_threads = True

    def __init__(self, folder: Path):
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder, self.asked, self.damage = folder, list[str](), dict[str, bytes]()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(SimpleHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name = self.path.strip("/")
        self.server.asked.append(name)
        body = self.server.damage.get(name) or (self.server.folder / name).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def cache(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and nobody who has the files."""
    monkeypatch.setenv("IMAGE_LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(loaders, "_open_vocabulary", Kept(1))
    monkeypatch.setattr(scheduling, "LOADS", scheduling.Loads())
    monkeypatch.setattr(downloads, "_reachable", None)
    for key, value in tiny_world.CONFIG.items():
        monkeypatch.setitem(open_vocabulary.TEXT_CONFIG, key, value)
    offer(files, f"http://127.0.0.1:{free_port()}", monkeypatch)
    return tmp_path / "cache"


def offer(files: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for part, file in tiny_world.catalogue(files, url).items():
        monkeypatch.setitem(models.OPEN_VOCABULARY_FILES, part, file)


@pytest.fixture
def server(cache: Path, files: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Who has the files."""
    server = Server(files)
    offer(files, f"http://127.0.0.1:{server.server_address[1]}", monkeypatch)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def here(cache: Path, files: Path) -> Path:
    """All files are downloaded already."""
    tiny_world.put_into_cache(files)
    return cache


def find(words: str | tuple[str, ...], confidence: float = 0.3) -> Detections:
    return Detector.load(NAME, words=words).detect(IMAGE, confidence, size=320)


# -- words -----------------------------------------------------------------------------------------

PARSED: dict[str, tuple[Any, tuple[str, ...]]] = {
    "commas": ("red mug, green book", WORDS),
    "spaces and empty ones": (" red \t mug ,, green book,\n", WORDS),
    "lines": ("red mug\ngreen book", WORDS),
    "a list": (["red mug", "green book"], WORDS),
    "twice": ("mug, MUG, Mug", ("Mug",)),
    "other letters": ("чашка, 杯子", ("чашка", "杯子")),
    "as many as may be": (",".join(map(str, range(MAX_WORDS))), tuple(map(str, range(MAX_WORDS)))),
}
REFUSED: dict[str, tuple[Any, str]] = {
    "nothing": (None, "Type what is to be found"),
    "blank": (" , \n", "Type what is to be found"),
    "an empty list": ([], "Type what is to be found"),
    "a number": (7, "Words are a text such as .*; '7' came"),
    "a list of numbers": ([7], "Words are a text"),
    "too many": (",".join(map(str, range(MAX_WORDS + 1))), "21 things came; up to 20"),
    "too long": ("mug, " + "x" * (MAX_LENGTH + 1), "has 61 characters; a thing has up to 60"),
}


@pytest.mark.parametrize("name", PARSED)
def test_words(name: str) -> None:
    sent, meant = PARSED[name]
    assert parse_words(sent) == meant


@pytest.mark.parametrize("name", REFUSED)
def test_words_that_are_refused_before_anything_is_downloaded(server: Server, name: str) -> None:
    sent, said = REFUSED[name]
    with pytest.raises(ImageError, match=said):
        Detector.load(NAME, words=sent)
    assert not server.asked


def test_words_for_a_network_with_classes_of_its_own() -> None:
    with pytest.raises(ImageError, match="'digits' finds its own classes"):
        Detector.load("digits", words="red mug")


# -- the handler -----------------------------------------------------------------------------------


def test_from_the_download_to_boxes(server: Server, cache: Path) -> None:
    assert models.missing_files() == list(tiny_world.PARTS)
    first = find("red mug, green book")
    assert server.asked == list(tiny_world.PARTS.values()) and not models.missing_files()
    assert first.class_names == WORDS and set(first.labels) == set(WORDS) and len(first) > 1
    again = find(WORDS)
    np.testing.assert_array_equal(first.xyxy, again.xyxy)
    assert first.labels == again.labels and len(server.asked) == 3  # downloaded once
    other = find("blue chair")
    assert set(other.labels) == {"blue chair"}
    assert not np.array_equal(first.confidence[: len(other)], other.confidence)
    assert sorted(path.name for path in cache.iterdir() if path.is_file()) == sorted(
        file.name for file in models.OPEN_VOCABULARY_FILES.values()
    )


def test_progress_covers_all_files(server: Server) -> None:
    told: list[tuple[int, int | None]] = []
    open_vocabulary.fetch_files(lambda got, total: told.append((got, total)))
    total = sum(file.bytes for file in models.OPEN_VOCABULARY_FILES.values())
    assert told[-1] == (total, total) and told == sorted(told) and len(told) >= 3


def test_two_lists_of_words_share_a_network(here: Path) -> None:
    vocabulary = OpenVocabulary.load()
    detectors = [Detector(NAME, vocabulary.engine(words)) for words in (("mug",), WORDS, ("mug",))]
    mugs, both, again = (d.detect(IMAGE, 0.3, size=320) for d in detectors)
    assert set(mugs.labels) == {"mug"} and set(both.labels) == set(WORDS)
    np.testing.assert_array_equal(mugs.xyxy, again.xyxy)


def test_many_words_at_once_mean_what_each_means_alone(here: Path) -> None:
    encoder = OpenVocabulary.load().encoder
    words = tuple(f"{a} {b}" for a in ("red", "an old green") for b in "abcdefghij")
    together = encoder.embed(words)
    assert together.shape == (1, MAX_WORDS, 512)
    alone = torch.cat([encoder.embed([word]) for word in words], 1)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(together.norm(dim=-1), torch.ones(1, MAX_WORDS))
    distances = torch.cdist(together[0], together[0]) + torch.eye(MAX_WORDS)
    assert distances.min() > 0.01  # or the comparison above would say nothing


@pytest.mark.parametrize("words", [WORDS, ("mug",), ("x" * 60, "mug", "Red  MUG")], ids=len)
def test_equals_what_ultralytics_computes(
    here: Path, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`WorldModel.set_classes` with OpenAI's package, of which a stand-in has the same encoder."""
    vocabulary = OpenVocabulary.load()
    encoder = vocabulary.encoder
    monkeypatch.setitem(sys.modules, "clip", tiny_world.reference(encoder, encoder.length))
    monkeypatch.delitem(sys.modules, "ultralytics.nn.text_model", raising=False)
    file = here / models.OPEN_VOCABULARY_FILES["detector"].name
    theirs: Any = open_vocabulary.read_checkpoint(file)
    theirs.set_classes(list(words))
    sys.modules.pop("ultralytics.nn.text_model")
    torch.testing.assert_close(encoder.embed(words), theirs.txt_feats, atol=1e-5, rtol=1e-5)
    square = np.ascontiguousarray(IMAGE[:64, :96])
    x = torch.from_numpy(square).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        wanted = theirs(x)[0]
    got = vocabulary.engine(words).infer(square)
    assert got.shape == (1, 4 + len(words), wanted.shape[-1])
    np.testing.assert_allclose(got, wanted.numpy(), atol=2e-3, rtol=1e-3)


# -- without a network, with damaged files ---------------------------------------------------------


def test_without_a_network(cache: Path) -> None:
    with pytest.raises(WeightsError, match=r"could not be downloaded: there is no network.* works"):
        find("mug")
    assert not list(cache.iterdir())


def test_what_arrives_damaged(server: Server, cache: Path) -> None:
    server.damage["clip.safetensors"] = b"<html>log in</html>"
    with pytest.raises(WeightsError, match="what arrived is damaged"):
        find("mug")
    assert models.missing_files() == ["text_encoder", "tokenizer"]
    server.damage.clear()
    assert len(find("mug")) and server.asked.count("world.pt") == 1  # and goes on from there


@pytest.mark.parametrize("part", tiny_world.PARTS)
def test_a_file_that_was_damaged_here(
    here: Path, part: str, request: pytest.FixtureRequest
) -> None:
    file = here / models.OPEN_VOCABULARY_FILES[part].name
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="could not be downloaded"):
        find("mug")
    assert request.getfixturevalue("server").asked == []
    assert len(find("mug"))  # it was downloaded again


def test_a_file_with_the_right_hash_and_other_contents(
    files: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the next version of a library reads another format."""
    from safetensors.torch import save_file
    from ultralytics import YOLO

    others = tmp_path / "others"
    others.mkdir()
    for name in tiny_world.PARTS.values():
        (others / name).write_bytes((files / name).read_bytes())

    def refused(said: str) -> None:
        offer(others, tiny_world.NOWHERE, monkeypatch)
        tiny_world.put_into_cache(others)
        with pytest.raises(WeightsError, match=said):
            find("mug")

    (others / "clip.json").write_text("{}")
    refused("is damaged or not what this version of transformers reads")
    save_file({"text_projection.weight": torch.zeros(512, 16)}, others / "clip.safetensors")
    refused("is damaged or not what this version of transformers reads")
    YOLO("yolo11n.yaml", task="detect").save(str(others / "world.pt"))
    refused("holds no YOLO-World")


# -- the page --------------------------------------------------------------------------------------


def test_the_page_finds_what_is_typed(here: Path) -> None:
    boxes, said, rows = images.detect(IMAGE, NAME, 0.3, 0.5, 320, words="red mug, green book")
    assert boxes.shape == IMAGE.shape and {row[0] for row in rows} == set(WORDS)
    assert "<td>red mug</td>" in said and "%22words%22%3A%20%5B%0A%20%20%22red%20mug%22" in said
    assert {row[0] for row in images.detect(IMAGE, NAME, 0.3, 0.5, 320, words="cup")[2]} == {"cup"}


def test_markup_is_text(here: Path, tmp_path: Path) -> None:
    said = images.detect(IMAGE, NAME, 0.3, 0.5, 320, words=MARKUP)[1]
    file = str(hostile.good_png(tmp_path))
    _, lines = images.detect_in_all([file], NAME, 0.3, 0.5, 320, words=MARKUP)
    for html in (said, lines):
        assert "&lt;img src=x onerror=alert(1)&gt;" in html and "<img" not in html


def test_nothing_typed_downloads_nothing(server: Server, tmp_path: Path) -> None:
    for words in (None, "", " \n"):
        image, said, rows = images.detect(IMAGE, NAME, 0.3, 0.5, 320, words=words)
        assert image is None and rows == [] and "Type above what is to be found" in said
        assert "Type above" in images.detect_in_all(["a.png"], NAME, 0.3, 0.5, 320, words=words)[1]
        asyncio.run(images.prepare("a.png", NAME, words))
    with pytest.raises(ImageError, match="21 things came"):
        asyncio.run(images.prepare("a.png", NAME, ",".join(map(str, range(21)))))
    assert not server.asked


def test_the_first_search_downloads_and_says_how_far_it_is(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    receive = downloads._receive

    def receive_and_wait(url: str, to: Path, progress: downloads.Progress | None) -> None:
        receive(url, to, progress)
        end = time.monotonic() + 20
        while not told and time.monotonic() < end:  # else it may be over before it is told
            time.sleep(0.01)

    monkeypatch.setattr(downloads, "_receive", receive_and_wait)

    class Progress(gr.Progress):
        def __call__(self, *args: Any, desc: str | None = None, **kwargs: Any) -> None:
            told.append(str(desc))

    asyncio.run(images.prepare("a.png", NAME, "red mug", Progress()))
    assert server.asked == list(tiny_world.PARTS.values())
    assert NAME in loaders._open_vocabulary and told and told[-1].startswith("Downloading: ")


def test_the_field_says_what_is_missing(
    cache: Path, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the click: both downloads with their sizes, or why there is nothing to be had."""
    monkeypatch.undo()  # the sizes of the real files
    monkeypatch.setenv("IMAGE_LAB_CACHE", str(cache))
    row, field, button = offer_words(NAME)
    assert row["visible"] and field["interactive"] and button["interactive"]
    assert field["info"] == (
        "The first search downloads YOLO-World, 25 MB and CLIP, which reads the words, 579 MB."
    )
    monkeypatch.setattr(downloads, "_reachable", False)
    _, field, button = offer_words(NAME)
    assert not field["interactive"] and not button["interactive"]
    assert "no network to download it: YOLO-World, 25 MB" in field["info"]
    cache.mkdir()
    for file in models.OPEN_VOCABULARY_FILES.values():
        (cache / file.name).touch()
    _, field, button = offer_words(NAME)
    assert field["interactive"] and button["interactive"] and "20 things" in field["info"]
    assert not offer_words("everyday")[0]["visible"]


@pytest.fixture
def client(cache: Path) -> Iterator[Client]:
    """The endpoint alone, served by this process."""
    with gr.Blocks() as page:
        images._api()
    _, url, _ = page.launch(prevent_thread_lock=True, quiet=True, server_port=free_port())
    yield Client(url, verbose=False)
    page.close()


def test_the_endpoint(client: Client, files: Path, tmp_path: Path) -> None:
    photo = hostile.good_png(tmp_path)

    def ask(model: str = NAME, **settings: Any) -> dict[str, Any]:
        given = {"confidence": 0.3, "size": 320} | settings
        return dict(client.predict(handle_file(photo), model, api_name="/detect_objects", **given))

    with pytest.raises(AppError, match="could not be downloaded: there is no network"):
        ask(words="mug")
    tiny_world.put_into_cache(files)
    found = ask(words="red mug, green book")
    assert found["counts"] and set(found["counts"]) <= set(WORDS)
    assert ask(words="red mug, green book")["boxes"] == found["boxes"]
    assert set(ask(words="cup", tiles=True)["counts"]) == {"cup"}
    assert set(ask(words=MARKUP)["counts"]) == {MARKUP}  # JSON; the page escapes it
    for refused, said in (
        ({}, "Type what is to be found"),
        ({"words": ",".join(map(str, range(21)))}, "21 things came"),
        ({"words": "mug", "model": "digits"}, "takes no words"),
    ):
        with pytest.raises(AppError, match=said):
            ask(**refused)
    assert "boxes" in ask("digits", words="")  # a program that always sends the field
