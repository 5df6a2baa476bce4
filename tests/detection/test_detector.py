"""The detector, its engines and the tracker: known answers, coordinates, bad settings, two engines,
tracks, files.
"""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tasks.core.images import ImageError
from tasks.core.weights import WeightsError
from tasks.detection import checkpoints, engines
from tasks.detection.detector import Detections, Detector, letterbox
from tests import hostile

NAMES = ("cat", "dog")


@pytest.fixture(scope="module")
def coco(coco_yolo: Path) -> Detector:
    return Detector.load(coco_yolo)


@pytest.fixture(scope="module")
def bus() -> np.ndarray:
    from PIL import Image
    from ultralytics.utils import ASSETS

    return np.asarray(Image.open(ASSETS / "bus.jpg").convert("RGB"))


def boxes(
    *xyxy: tuple[float, float, float, float], kind: int = 0, confidence: float = 0.9
) -> Detections:
    n = len(xyxy)
    return Detections(
        np.array(xyxy, np.float32).reshape(n, 4),
        np.full(n, confidence, np.float32),
        np.full(n, kind, np.int64),
        NAMES,
    )


# -- what is found ---------------------------------------------------------------------------------


def test_the_bus_and_the_people(coco: Detector, bus: np.ndarray) -> None:
    found = coco.detect(bus, confidence=0.4)
    assert found.counts() == {"person": 4, "bus": 1}
    assert found.confidence.tolist() == sorted(found.confidence, reverse=True)
    left, top, right, bottom = found.xyxy[found.labels.index("bus")]
    # of 810 x 1080 px
    assert (left, top, right, bottom) == pytest.approx((11, 229, 799, 735), abs=12)
    assert (
        set(found.speed_ms) == {"preprocess", "inference", "postprocess"}
        and min(found.speed_ms.values()) > 0
    )


def test_boxes_are_in_pixels_of_the_picture_that_came(coco: Detector, bus: np.ndarray) -> None:
    whole = coco.detect(bus, confidence=0.7)
    half = coco.detect(bus[::2, ::2], confidence=0.7)
    wide = coco.detect(np.pad(bus, ((0, 0), (700, 0), (0, 0))), confidence=0.7)
    assert whole.counts() == half.counts() == wide.counts()
    at = whole.labels.index("bus")
    np.testing.assert_allclose(whole.xyxy[at], 2 * half.xyxy[half.labels.index("bus")], atol=12)
    np.testing.assert_allclose(
        whole.xyxy[at] + [700, 0, 700, 0], wide.xyxy[wide.labels.index("bus")], atol=20
    )


def test_ultralytics_finds_the_same(coco: Detector, coco_yolo: Path, bus: np.ndarray) -> None:
    from ultralytics import YOLO

    results: Any = YOLO(coco_yolo, task="detect").predict(
        bus[..., ::-1], conf=0.3, iou=0.7, verbose=False
    )
    theirs = results[0].boxes
    ours = coco.detect(bus, confidence=0.3, iou=0.7)
    assert len(ours) == len(theirs)
    # from left to right: of two that are found equally well either may come first
    mine, other = np.argsort(ours.xyxy[:, 0]), np.argsort(theirs.xyxy[:, 0].numpy())
    np.testing.assert_allclose(ours.xyxy[mine], theirs.xyxy.numpy()[other], atol=3)
    np.testing.assert_allclose(ours.confidence[mine], theirs.conf.numpy()[other], atol=0.03)
    assert ours.class_id[mine].tolist() == theirs.cls.int().numpy()[other].tolist()


def test_classes_confidence_and_nothing(coco: Detector, bus: np.ndarray) -> None:
    assert coco.detect(bus, classes=[5]).labels == ["bus"]
    assert len(coco.detect(bus, classes=[])) == 0
    assert len(coco.detect(bus, confidence=0.05)) > len(coco.detect(bus, confidence=0.5)) > 0
    blank = coco.detect(np.full((300, 400, 3), 200, np.uint8))
    assert len(blank) == 0 and blank.counts() == {} and blank.rows() == []


BAD_SETTINGS = {
    "confidence above 1": {"confidence": 1.5},
    "confidence as a text": {"confidence": "high"},
    "confidence NaN": {"confidence": float("nan")},
    "iou below 0": {"iou": -0.1},
    "a class that is not there": {"classes": [80]},
    "a class by name": {"classes": ["bus"]},
    "a number for classes": {"classes": 1.5},
    "a size that is not there": {"size": 333},
}


@pytest.mark.parametrize("name", BAD_SETTINGS)
def test_bad_settings_get_a_sentence(coco: Detector, bus: np.ndarray, name: str) -> None:
    with pytest.raises(ImageError, match="came"):
        coco.detect(bus, **BAD_SETTINGS[name])  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(8, 8), (9, 900), (900, 9), (33, 65)])
def test_any_shape(coco: Detector, shape: tuple[int, int]) -> None:
    coco.detect(np.random.default_rng(0).integers(0, 255, (*shape, 3), np.uint8))


@pytest.mark.parametrize(
    "bad", [None, np.zeros((1, 1, 3), np.uint8), b"no picture", np.full((9, 9, 3), np.nan)]
)
def test_bad_pictures_get_a_sentence(coco: Detector, bus: np.ndarray, bad: object) -> None:
    with pytest.raises(ImageError):
        coco.detect(bad)  # type: ignore[arg-type]
    assert len(coco.detect(bus)) > 0  # and the next one works


def test_a_text_called_png(coco: Detector, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="not an image"):
        coco.detect(hostile.text_called_png(tmp_path))


def test_an_export_for_one_size_takes_that_size(coco: Detector, bus: np.ndarray) -> None:
    if coco.engine.fixed_size is None:
        pytest.skip("this YOLO takes any size")
    assert coco.sizes == (coco.engine.fixed_size,) and coco.default_size == coco.sizes[0]
    with pytest.raises(ImageError, match="px on the longer side"):
        coco.detect(bus, size=coco.sizes[0] - 32)


class Candidates:
    """An engine that is sure of `n` of its 40 places."""

    end2end, title, precision = False, "a fake", "bf16"
    class_names: tuple[str, ...] = NAMES
    fixed_size: int | None = None

    def __init__(self, n: int):
        self.n = n

    def prepare(self, height: int, width: int) -> float:
        return 5.0

    def infer(self, image: np.ndarray) -> np.ndarray:
        raw = np.zeros((1, 4 + len(NAMES), 40), np.float32)
        raw[0, 0], raw[0, 1], raw[0, 2:4] = 4 + 8 * np.arange(40), 16, 6  # centre x, y; sides
        raw[0, 5, : self.n] = 0.9
        return raw


@pytest.mark.parametrize("n", range(9))
def test_each_number_of_candidates(n: int) -> None:
    """Ultralytics' suppression takes an array of six columns for final boxes."""
    found = Detector("candidates", Candidates(n)).detect(np.zeros((32, 320, 3), np.uint8), size=320)
    assert found.labels == ["dog"] * n
    assert found.prepared_ms == 5 and found.precision == "bf16"
    np.testing.assert_allclose(sorted(found.xyxy[:, 0]), 1 + 8 * np.arange(n))


def test_the_first_picture_of_a_shape_says_what_preparing_took(coco_yolo: Path) -> None:
    detector = Detector.load(coco_yolo)
    images = [np.zeros(shape, np.uint8) for shape in ((64, 96, 3), (96, 64, 3), (64, 96, 3))]
    took = [detector.detect_array(image) for image in images]
    assert took[0].prepared_ms > 0 and took[2].prepared_ms == 0


# -- letterbox and dataclass -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("height", "width", "size", "square", "shape", "corner"),
    [
        (480, 640, 640, True, (640, 640), (0, 80)),
        (480, 640, 640, False, (480, 640), (0, 0)),
        (480, 640, 416, False, (320, 416), (0, 4)),
        (1000, 10, 320, False, (320, 32), (14, 0)),
        (20, 20, 320, True, (320, 320), (0, 0)),
    ],
)
def test_letterbox(
    height: int,
    width: int,
    size: int,
    square: bool,
    shape: tuple[int, int],
    corner: tuple[int, int],
) -> None:
    out, scale, at = letterbox(np.full((height, width, 3), 7, np.uint8), size, square)
    assert out.shape == (*shape, 3) and at == corner
    assert scale == size / max(height, width)
    inner = out[
        at[1] : at[1] + max(1, round(height * scale)), at[0] : at[0] + max(1, round(width * scale))
    ]
    assert (inner == 7).all()
    assert (out == 7).sum() == inner.size  # all else is grey


@pytest.mark.parametrize("square", [True, False])
@pytest.mark.parametrize("size_hw", [(480, 640), (100, 37), (20, 20), (333, 250)])
def test_letterbox_is_ultralytics(size_hw: tuple[int, int], square: bool) -> None:
    from ultralytics.data.augment import LetterBox

    image = np.random.default_rng(0).integers(0, 255, (*size_hw, 3), np.uint8)
    theirs = LetterBox((320, 320), auto=not square, stride=32)(image=image)
    np.testing.assert_array_equal(letterbox(image, 320, square)[0], theirs)


def test_detections_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="came"):
        Detections(
            np.zeros((2, 4), np.float32), np.zeros(1, np.float32), np.zeros(2, np.int64), NAMES
        )


def test_rows_and_counts() -> None:
    found = boxes((0, 1, 2, 3.04), (4, 5, 6, 7), kind=1)
    assert found.counts() == {"dog": 2}
    assert found.rows()[0] == {
        "class": "dog",
        "confidence": 0.9,
        "left": 0,
        "top": 1,
        "right": 2,
        "bottom": 3,
    }


# -- files -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def random_pt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from ultralytics import YOLO

    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("yolo") / "random.pt"
    YOLO("yolo11n.yaml", task="detect").save(str(file))
    return file


def test_openvino_computes_what_pytorch_computes(random_pt: Path, tmp_path: Path) -> None:
    folder = checkpoints.exported(random_pt, tmp_path)
    # made once
    assert folder.parent == tmp_path and folder == checkpoints.exported(random_pt, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [folder.name]  # and nothing else left
    fast, exact = (
        engines.OpenVinoEngine(folder),
        engines.TorchEngine(checkpoints.read_checkpoint(random_pt)),
    )
    assert fast.class_names == exact.class_names and fast.end2end == exact.end2end
    for shape in ((320, 320), (320, 416)):
        image = np.random.default_rng(0).integers(0, 255, (*shape, 3), np.uint8)
        # px
        np.testing.assert_allclose(fast.infer(image), exact.infer(image), atol=0.3, rtol=0.02)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_an_export_for_squares_takes_its_square(random_pt: Path, tmp_path: Path) -> None:
    from ultralytics import YOLO

    file = Path(shutil.copy(random_pt, tmp_path))
    folder = YOLO(str(file), task="detect").export(
        format="openvino", dynamic=False, imgsz=320, verbose=False
    )
    fixed = engines.OpenVinoEngine(Path(folder))
    exact = engines.TorchEngine(checkpoints.read_checkpoint(random_pt))
    assert fixed.fixed_size == 320 and fixed.precision == "fp32"
    image = np.random.default_rng(0).integers(0, 255, (320, 320, 3), np.uint8)
    np.testing.assert_allclose(fixed.infer(image), exact.infer(image), atol=0.3, rtol=0.02)  # px
    detector = Detector("fixed", fixed)
    wide = np.random.default_rng(0).integers(0, 255, (200, 400, 3), np.uint8)
    assert detector.sizes == (320,)
    assert len(detector.detect_array(wide, confidence=0.0)) > 0  # letterboxed


def test_two_threads_infer_at_once(random_pt: Path, tmp_path: Path) -> None:
    engine = engines.OpenVinoEngine(checkpoints.exported(random_pt, tmp_path))
    images = [np.random.default_rng(n).integers(0, 255, (64, 96, 3), np.uint8) for n in range(16)]
    alone = [engine.infer(p) for p in images]
    with ThreadPoolExecutor(4) as pool:
        for one, other in zip(alone, pool.map(engine.infer, images), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.filterwarnings(
    "ignore::torch.jit.TracerWarning"
)  # tracing, ultralytics' way to export, gives hints
def test_yolo26_needs_no_suppression(tmp_path: Path) -> None:
    from ultralytics import YOLO

    file = tmp_path / "y26.pt"
    YOLO("yolo26n.yaml", task="detect").save(str(file))
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    for engine in (
        engines.TorchEngine(checkpoints.read_checkpoint(file)),
        engines.OpenVinoEngine(checkpoints.exported(file, tmp_path)),
    ):
        detector = Detector("y26", engine)
        assert not detector.needs_nms
        assert len(detector.detect_array(image, confidence=0.0, size=320)) > 0


def test_files_that_are_no_detector(tmp_path: Path) -> None:
    (tmp_path / "broken.pt").write_bytes(b"PK\x03\x04 not a checkpoint")
    (tmp_path / "folder").mkdir()
    for path, said in ((tmp_path / "broken.pt", "damaged"), (tmp_path / "folder", "metadata.yaml")):
        with pytest.raises(WeightsError, match=said):
            Detector.load(path)
    with pytest.raises(WeightsError, match="There is no detector"):
        Detector.load("yolo99x")
    with pytest.raises(WeightsError, match=r"detector\.json"):
        Detector.load("digits", tmp_path)


@pytest.mark.parametrize("kind", ["yolo11n-seg", "yolo11n-cls"])
def test_a_yolo_that_is_no_detector(kind: str, tmp_path: Path) -> None:
    from ultralytics import YOLO

    YOLO(f"{kind}.yaml").save(str(tmp_path / f"{kind}.pt"))
    with pytest.raises(WeightsError, match=r"a detector of upright boxes is needed"):
        Detector.load(tmp_path / f"{kind}.pt")


def test_an_export_for_masks_is_no_detector(random_pt: Path, tmp_path: Path) -> None:
    folder = checkpoints.exported(random_pt, tmp_path)
    about = folder / "metadata.yaml"
    about.write_text(about.read_text().replace("task: detect", "task: segment"))
    with pytest.raises(WeightsError, match="exported for 'segment'"):
        Detector.load(folder)


def test_the_page_offers_what_there_is() -> None:
    from tasks import models

    names = [choice["name"] for choice in models.detector_choices()]
    assert set(models.BUNDLED_DETECTORS) | set(models.COCO_DETECTORS) <= set(names)


def test_map_equals_ultralytics_own(coco_yolo: Path, data_dir: Path) -> None:
    from benchmarks import detectors

    folder = data_dir / "coco128"
    if not folder.is_dir():
        pytest.skip("no COCO128 in the data folder")
    detector = Detector.load(coco_yolo)
    ours, ours_50, _ = detectors.score(detector, folder, 640)
    theirs, theirs_50 = detectors.ultralytics_score(coco_yolo, folder, 640)
    # ours applies the images' colour profiles, Ultralytics does not
    assert ours == pytest.approx(theirs, abs=0.005)
    assert ours_50 == pytest.approx(theirs_50, abs=0.01)
    assert ours > 0.3
