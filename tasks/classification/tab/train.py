"""Train one: a small network learns digits while the visitor watches, pauses and scrubs back.

The widget (drawing_pad.* with train.*) polls. Each run has a thread that takes its turns from the
scheduler, step by step; a run that no page polls ends. `python -m docs.make_training_run` records
the run that the tab opens with.
"""

import json
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from tasks import loaders
from tasks.core import device, scheduling
from tasks.core.datasets import mnist
from tasks.core.images import ImageError, png_bytes
from tasks.core.model_cache import Lazy
from tasks.ui.charts import Axis, Series, chart
from tasks.ui.errors import describe_error, return_errors
from tasks.ui.image_input import decode_drawing
from tasks.ui.page.figures import flow
from tasks.ui.page.lead import lead
from tasks.ui.widget import DRAWING_PAD, data_url, decode_base64, encode_base64, widget

if TYPE_CHECKING:
    from tasks.classification.digit_training import DigitSource, DigitTraining, Snapshot

RECORDED = Path(__file__).parent / "train_example.json"
UNSEEN_S = 5.0  # s without a poll after which a run ends
KEPT_S = 900.0  # s after its last poll that a run is kept, to be gone on with and scrubbed
ALIVE = 4  # runs that compute at once, of all visitors
KEPT = 12  # runs in memory; each takes 60 MB at most
COLUMNS = 40  # of the image of all digits kept aside
LEAD = lead(
    "A network learns digits from random weights while you watch.",
    "Each step computes the loss of a batch and its gradient with respect to every weight; the "
    "optimiser moves the weights against it. Shown are the loss, the first layer's filters, the "
    "digits that are still wrong, and the prediction for your drawing.",
    flow("digit:a batch", "narrow:the network", "bars:its loss", back="gradients change weights"),
)


@dataclass
class Run:
    """A training of one page."""

    training: "DigitTraining"
    polled: float  # s, monotonic
    snapshots: "list[Snapshot]" = field(default_factory=list)
    is_running: bool = False
    is_paused: bool = False
    error: str | None = None
    test_accuracy: float | None = None


class Trainings:
    """The trainings of all pages."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._all: OrderedDict[str, Run] = OrderedDict()
        self._lock = threading.Lock()
        self._clock = clock

    def add(self, training: "DigitTraining") -> str:
        """Start a training -> its token. Raises BusyError."""
        token = secrets.token_hex(16)
        now = self._clock()
        with self._lock:
            for other, run in list(self._all.items()):
                too_many = len(self._all) >= KEPT and not run.is_running
                if not run.is_running and (now - run.polled > KEPT_S or too_many):
                    del self._all[other]
            run = self._all[token] = Run(training, now)
        try:
            self.go_on(token)
        except scheduling.BusyError:
            del self._all[token]
            raise
        return token

    def get(self, token: object) -> Run:
        """Raises ImageError."""
        run = self._all.get(token) if isinstance(token, str) else None
        if run is None:
            raise ImageError("This training is no longer kept here. Press Train to start one.")
        run.polled = self._clock()
        return run

    def go_on(self, token: object) -> None:
        """Start or resume. Raises BusyError, ImageError."""
        run = self.get(token)
        with self._lock:
            if run.is_running or run.training.is_over:
                return
            if sum(other.is_running for other in self._all.values()) >= ALIVE:
                raise scheduling.BusyError(
                    f"{ALIVE} networks are in training here, the most at once. A training takes a "
                    "minute at most: try again soon."
                )
            run.is_running, run.is_paused = True, False
        threading.Thread(target=self._work, args=(run,), daemon=True, name="training").start()

    def _work(self, run: Run) -> None:
        def is_over() -> bool:
            return run.is_paused or self._clock() - run.polled > UNSEEN_S

        try:
            device.use_all_cores()
            for snapshot in scheduling.CORES.job(run.training.steps(), is_over):
                if snapshot:
                    run.snapshots.append(snapshot)
            if run.training.is_over and not run.training.is_diverged:
                with scheduling.CORES.step():
                    run.test_accuracy = run.training.test_accuracy()
        except Exception as error:
            run.error = describe_error(error)
        run.is_running = False


TRAININGS = Trainings()


@Lazy
def digit_source() -> "DigitSource":
    """The GAN's digits, and those kept aside, for all runs."""
    from tasks.classification.digit_training import DigitSource

    return DigitSource(loaders.gan_generator())


@return_errors
def training_example(_: Any = None) -> dict[str, Any]:
    """The recorded run, as `poll_training` gives one, and the digits kept aside as an image."""
    return json.loads(RECORDED.read_text(encoding="utf-8")) | {"mnist": mnist.is_here()}


@return_errors
def start_training(settings: dict[str, Any]) -> dict[str, Any]:
    """Start a training with these settings (see `Settings`): {"run": token, "title"} or {"error"}.

    "other": settings of a run on the same chart, from which the title tells this one.
    """
    from tasks.classification.digit_training import DigitTraining, Settings, about

    asked = Settings.parse(settings)
    other = settings.get("other")
    title = about(asked, Settings.parse(other) if other else None)
    return {"run": TRAININGS.add(DigitTraining(asked, digit_source())), "title": title}


@return_errors
def poll_training(request: dict[str, Any]) -> dict[str, Any]:
    """What happened since the last poll.

    Args:
        request: "runs": one or two of {"run": token, "title", "have": snapshots that the page has};
            "digit": base64 of 28 x 28 bytes, the visitor's drawing, or None.
    Returns:
        {"runs": [{"snapshots", "state", "note", "answer": 10 probabilities or None}], "charts":
        {"loss", "accuracy"}: HTML} or {"error"}.
    """
    asked = request.get("runs") if isinstance(request, dict) else None
    if not isinstance(asked, list) or not 1 <= len(asked) <= 2:
        raise ImageError("One or two runs are needed as a list.")
    digit = _digit(request.get("digit"))
    runs = [TRAININGS.get(entry.get("run") if isinstance(entry, dict) else None) for entry in asked]
    found = [_update(run, entry.get("have"), digit) for run, entry in zip(runs, asked, strict=True)]
    series = [
        (str(entry.get("title"))[:80], run.snapshots)
        for run, entry in zip(runs, asked, strict=True)
    ]
    return {"runs": found, "charts": charts(series)}


def _update(run: Run, have: object, digit: np.ndarray | None) -> dict[str, Any]:
    new = run.snapshots[have if type(have) is int and have >= 0 else 0 :]
    training = run.training
    state = "running" if run.is_running else "over" if training.is_over else "paused"
    note = run.error or training.explanation()
    if run.test_accuracy is not None:
        note += f" MNIST’s 10,000 test digits: {100 * run.test_accuracy:.2f} % right."
    return {
        "snapshots": [snapshot_to_json(snapshot) for snapshot in new],
        "state": state,
        "note": note.strip(),
        "diverged": training.is_diverged,
        "answer": None if digit is None else _rounded(training.classify(digit)),
    }


def snapshot_to_json(snapshot: "Snapshot") -> dict[str, Any]:
    """As the page reads it; filters as base64 of bytes."""
    count, height, width = snapshot.filters.shape
    return asdict(snapshot) | {
        "seconds": round(snapshot.seconds, 2),
        "loss": round(min(snapshot.loss, 1e6), 4) if np.isfinite(snapshot.loss) else None,
        "accuracy": round(snapshot.accuracy, 4),
        "filters": {"shape": [count, height, width, 1], "data": encode_base64(snapshot.filters)},
        "wrong": [list(pair) for pair in snapshot.wrong],
    }


@return_errors
def pause_training(token: str) -> dict[str, Any]:
    """Pause a run; its network, checkpoints and place in the digits stay."""
    TRAININGS.get(token).is_paused = True
    return {}


@return_errors
def resume_training(token: str) -> dict[str, Any]:
    """Go on with a paused run."""
    TRAININGS.go_on(token)
    return {}


@return_errors
def read_digit(png: str) -> dict[str, Any]:
    """A drawing (PNG as data URL) as the network gets it: {"digit": base64 of 28 x 28 bytes}."""
    from tasks.core import digit_preprocessing

    return {"digit": encode_base64(digit_preprocessing.extract_digit(decode_drawing(png)))}


@return_errors
def scrub_training(request: dict[str, Any]) -> dict[str, Any]:
    """The checkpoints of "run" on one "digit": {"seconds": of each, "answers": (K, 10)}."""
    if not isinstance(request, dict):
        raise ImageError(f"A run and a digit are needed; {type(request).__name__} came.")
    digit = _digit(request.get("digit"))
    if digit is None:
        raise ImageError("A digit is needed: draw one.")
    run = TRAININGS.get(request.get("run"))
    with scheduling.CORES.step(patient=False):
        seconds, answers = run.training.classify_over_time(digit)
    return {"seconds": [round(s, 2) for s in seconds], "answers": [_rounded(a) for a in answers]}


def _digit(text: object) -> np.ndarray | None:
    """uint8 (28, 28) of base64, None of None. Raises ImageError."""
    if text is None:
        return None
    pixels = np.frombuffer(decode_base64(text), np.uint8)
    if pixels.size != 28 * 28:
        raise ImageError(f"28 x 28 bytes of a digit are needed; {pixels.size} came.")
    return pixels.reshape(28, 28)


def _rounded(probabilities: np.ndarray) -> list[float]:
    return [round(float(p), 4) for p in probabilities]


def charts(runs: "list[tuple[str, list[Snapshot]]]") -> dict[str, str]:
    """Loss and accuracy of one or two runs over their time, as HTML."""
    loss = [
        Series(title, [(s.seconds, min(s.loss, 5.0)) for s in found if np.isfinite(s.loss)])
        for title, found in runs
    ]
    accuracy = [
        Series(title, [(s.seconds, 100 * s.accuracy) for s in found]) for title, found in runs
    ]
    time_axis = Axis("seconds of computing", low=0)
    return {
        "loss": chart(loss, time_axis, Axis("training loss", low=0)),
        "accuracy": chart(
            accuracy, time_axis, Axis("accuracy, 1,000 digits kept aside", 0, 100, unit="%")
        ),
    }


def kept_aside_image() -> str:
    """All digits kept aside, COLUMNS in a row, as a PNG's data URL."""
    images = (digit_source().kept_aside()[0][:, 0] * 255).round().byte().numpy()  # (1000, 28, 28)
    rows = images.reshape(-1, COLUMNS, 28, 28).transpose(0, 2, 1, 3)
    return data_url(png_bytes(np.ascontiguousarray(rows.reshape(-1, COLUMNS * 28))))


def build_train() -> None:
    gr.HTML(LEAD)
    widget(
        DRAWING_PAD,
        (Path(__file__).parent, "train"),
        elem_id="train-one",
        functions=[
            training_example,
            start_training,
            poll_training,
            pause_training,
            resume_training,
            read_digit,
            scrub_training,
        ],
    )
