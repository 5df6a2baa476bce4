"""Detection computed in Chromium itself: the same boxes as the server's, and no request to it."""

import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse
from starlette.routing import Route

from benchmarks.webcam import make_clip
from tasks.detection import Detector, checkpoints
from tasks.detection.tab import live
from tasks.segmentation import Segmenter
from tasks.segmentation.engines import TorchEngine, to_onnx
from tasks.segmentation.tab import live as segmentation
from tasks.ui.on_device import files, runtime
from tests.browser.conftest import FLAGS, choose
from tests.chromium import find_chromium
from tests.conftest import app_with

GPU_FLAGS = [flag for flag in FLAGS if flag != "--disable-gpu"]
ANSWERS = "Math.max(0, ...[...document.querySelectorAll('#live-detection *')].map((e) => +e.dataset.answers || 0))"


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runtime's files, from the package index."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not here, from whose index the runtime for browsers comes")
    folder = tmp_path_factory.mktemp("npm")
    name = f"onnxruntime-web@{runtime.VERSION}"
    try:
        subprocess.run(
            [npm, "pack", name], cwd=folder, check=True, capture_output=True, timeout=200
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        pytest.skip("the package index does not answer, from which the runtime for browsers comes")
    shutil.unpack_archive(next(folder.glob("*.tgz")), folder, "gztar", filter="data")
    return folder / "package" / "dist"


# -- the same numbers ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache in which networks are exported once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def blank(browser: Browser) -> Iterator[Page]:
    """An empty page of a server that has the published files."""

    async def empty(_: Any) -> HTMLResponse:
        return HTMLResponse("<title>empty</title>")

    app = Starlette(routes=[Route("/", empty)], middleware=[Middleware(files.DeviceFiles)])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{port}/")
    yield page
    page.close()
    server.should_exit = True
    thread.join()


RUN = """async ([given, script, picture, settings]) => {
  globalThis.element = document.body;
  const startDevice = new Function(`${script}; return startDevice;`)();
  const device = await startDevice(given);
  const image = new Image();
  image.src = picture;
  await image.decode();
  const canvas = Object.assign(document.createElement('canvas'), {width: image.width, height: image.height});
  const pen = canvas.getContext('2d');
  pen.drawImage(image, 0, 0);
  const {data, width, height} = pen.getImageData(0, 0, image.width, image.height);
  const answer = await device.run({pixels: data, width, height, final: given.final, ...settings});
  device.end();
  return answer;
}"""


def picture(folder: Path, width: int, height: int) -> tuple[np.ndarray, str]:
    """A street that Ultralytics brings along, (H, W, 3) and as a data URL."""
    from base64 import b64encode

    from ultralytics.utils import ASSETS

    image = Image.open(ASSETS / "bus.jpg").convert("RGB").crop((0, 200, 810, 900))
    image = image.resize((width, height))
    image.save(file := folder / "street.png")
    return np.asarray(image), "data:image/png;base64," + b64encode(file.read_bytes()).decode()


@pytest.mark.parametrize(
    ("width", "height", "classes"), [(320, 240, None), (300, 320, None), (320, 180, [0])]
)
def test_boxes_are_the_servers(
    blank: Page,
    package: Path,
    kept: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    width: int,
    height: int,
    classes: list[int] | None,
) -> None:
    monkeypatch.setenv("IMAGE_LAB_RUNTIME", str(package))
    monkeypatch.setenv("IMAGE_LAB_CACHE", str(kept))
    detector = Detector.load()
    file = checkpoints.file_of("everyday")
    assert file is not None
    network = checkpoints.exported(file, to="onnx")
    given = files.device_files(network, live.HERE / "on_device.js", lambda *_: None)
    given["final"] = False
    rgb, url = picture(tmp_path, width, height)
    expected = detector.detect_array(rgb, 0.25, 0.5, classes, 320)
    script = (files.HERE / "on_device.js").read_text(encoding="utf-8")
    settings = {"confidence": 0.25, "iou": 0.5, "classes": classes}
    answer = blank.evaluate(RUN, [given, script, url, settings])
    assert len(expected) >= 2
    assert answer["kind"] == expected.class_id.tolist()
    got = np.array(answer["boxes"]) * [width, height, width, height]
    assert np.abs(got - expected.xyxy).max() < 1  # px
    assert np.allclose(answer["confidence"], expected.confidence, atol=5e-3)


def test_classes_are_the_servers(
    blank: Page, package: Path, kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGE_LAB_RUNTIME", str(package))
    monkeypatch.setenv("IMAGE_LAB_CACHE", str(kept))
    loaded = Segmenter.load()
    network: Any = loaded.network
    # in float32, as browsers compute: OpenVINO takes bf16 where that is native
    segmenter = Segmenter(network, loaded.class_names, loaded.card, TorchEngine(network))
    onnx = to_onnx(network, kept / "segmentation.onnx")
    given = files.device_files(onnx, segmentation.HERE / "on_device.js", lambda *_: None)
    rgb, url = picture(tmp_path, 300, 200)
    expected = segmenter.predict(rgb, flip=False, entropy=False)
    script = (files.HERE / "on_device.js").read_text(encoding="utf-8")
    answer = blank.evaluate(RUN, [given, script, url, {}])
    ids = np.array(answer["ids"])[::4].reshape(200, 300)
    assert len(np.unique(ids)) > 2
    assert (ids == expected.class_id).mean() > 0.999  # ties
    shares = expected.shares()
    assert answer["shares"] == pytest.approx([shares[n] for n in expected.class_names], abs=2e-3)


@pytest.mark.slow  # graphics are emulated
def test_graphics_give_the_same_boxes(
    package: Path, kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blank: Page
) -> None:
    """By WebGPU, which Chromium can compute on a processor."""
    monkeypatch.setenv("IMAGE_LAB_RUNTIME", str(package))
    monkeypatch.setenv("IMAGE_LAB_CACHE", str(kept))
    file = checkpoints.file_of("everyday")
    assert file is not None
    network, script = checkpoints.exported(file, to="onnx"), live.HERE / "on_device.js"
    rgb, url = picture(tmp_path, 320, 240)
    expected = Detector.load().detect_array(rgb, 0.25, 0.5, None, 320)
    flags = [*GPU_FLAGS, "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"]
    browser_type = blank.context.browser.browser_type  # type: ignore[union-attr]
    second = browser_type.launch(executable_path=find_chromium(), args=flags)
    try:
        page = second.new_page()
        page.goto(blank.url)
        if not page.evaluate("async () => Boolean(await navigator.gpu?.requestAdapter())"):
            pytest.skip("this Chromium has no WebGPU")
        given = files.device_files(network, script, lambda *_: None, gpu=True) | {"final": False}
        code = (files.HERE / "on_device.js").read_text(encoding="utf-8")
        settings = {"confidence": 0.25, "iou": 0.5, "classes": None}
        answer = page.evaluate(RUN, [given, code, url, settings])
    finally:
        second.close()
    assert answer["kind"] == expected.class_id.tolist()
    got = np.array(answer["boxes"]) * [320, 240, 320, 240]
    assert np.abs(got - expected.xyxy).max() < 1  # px


def test_tracks_keep_their_number_and_count_once(blank: Page) -> None:
    """Two things pass each other; one is taken for another class for a while, one flickers."""
    script = (live.HERE / "tracks.js").read_text(encoding="utf-8")
    found = blank.evaluate(
        """(script) => {
          const tracks = new Function(`${script}; return deviceTracks();`)();
          const seen = [];
          let last;
          for (let f = 0; f < 40; f++) {
            const a = 0.02 * f, b = 0.8 - 0.02 * f;
            const answer = {
              boxes: [[a, 0.1, a + 0.15, 0.4], [b, 0.55, b + 0.15, 0.9]],
              confidence: [0.8, f % 5 === 4 ? 0.15 : 0.6],
              kind: [f > 5 && f < 9 ? 7 : 3, 0],
            };
            if (f % 7 === 6) for (const list of Object.values(answer)) list.pop(); // missed
            last = tracks.update(answer, 0.35, 1000 + 60 * f);
            seen.push(last.track);
          }
          return {seen, tracks: last.tracks};
        }""",
        script,
    )
    assert all(set(numbers) <= {1, 2} for numbers in found["seen"])
    assert sorted(found["tracks"]) == [[0, 1], [3, 1]]


# -- on the page -----------------------------------------------------------------------------------


@pytest.fixture
def camera(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    clip = make_clip(tmp_path / "street.mjpeg")
    flags = [*FLAGS, f"--use-file-for-fake-video-capture={clip}"]
    second = browser.browser_type.launch(executable_path=find_chromium(), args=flags)
    page = second.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(120_000)
    yield page
    second.close()


def start_on_device(page: Page, url: str) -> Locator:
    """Start the camera, to be computed by the browser; what the page says of that."""
    page.goto(url)
    choose(page, "Detection")
    page.locator("select.where").select_option("device")
    page.get_by_role("button", name="Start camera").click()
    return page.locator(".where-said")


def test_nothing_is_sent_while_the_device_computes(
    camera: Page, package: Path, tmp_path: Path
) -> None:
    cache = str(tmp_path / "cache")
    with app_with(tmp_path, IMAGE_LAB_CACHE=cache, IMAGE_LAB_RUNTIME=str(package)) as url:
        said = start_on_device(camera, url)
        expect(said).to_contain_text("Computed on your device", timeout=240_000)
        expect(camera.locator("#live-detection .privacy-note")).to_contain_text("does not leave")
        before = camera.evaluate(ANSWERS)
        requests: list[str] = []
        camera.on("request", lambda request: requests.append(request.url))
        camera.wait_for_function(f"() => {ANSWERS} >= {before + 4}")
        expect(camera.locator("#live-detection .said")).to_contain_text("found")
        assert requests == []
        camera.locator("select.where").select_option("server")
        expect(camera.locator("#live-detection .privacy-note")).to_contain_text(
            "sent to the server"
        )
        camera.wait_for_function(f"() => {ANSWERS} >= {before + 8}")
        assert any("component_server" in address for address in requests)
        camera.get_by_role("button", name="Stop").click()


def test_damaged_runtime_leaves_the_server_at_work(camera: Page, tmp_path: Path) -> None:
    (folder := tmp_path / "dist").mkdir()
    for name in runtime.FILES:
        (folder / name).write_text("damaged")
    cache = str(tmp_path / "cache")
    with app_with(tmp_path, IMAGE_LAB_CACHE=cache, IMAGE_LAB_RUNTIME=str(folder)) as url:
        said = start_on_device(camera, url)
        expect(said).to_contain_text("SHA-256", timeout=240_000)
        expect(said).to_contain_text("The server computes")
        before = camera.evaluate(ANSWERS)
        camera.wait_for_function(f"() => {ANSWERS} >= {before + 3}")
