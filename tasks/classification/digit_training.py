"""A small network for digits, trained from random weights in seconds, step by step.

    source = DigitSource(GanGenerator.load())
    training = DigitTraining(Settings(optimiser="SGD", lr=0.1), source)
    for snapshot in training.steps():
        if snapshot:
            print(snapshot.seconds, snapshot.loss, snapshot.accuracy)

The digits are the GAN's (`tasks.gan`): labelled, endless, no data set needed; or MNIST's where they
are on this machine. The score is always measured on the same 1,000 generated digits kept aside.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tasks.core.datasets import mnist
from tasks.core.images import ImageError
from tasks.core.model_cache import BUILDING
from tasks.networks.layer_stack import LayerStack

CNN = "conv 32, pool, conv 64, pool, dense 128"  # as networks/digit_cnn.py's TextbookCNN
MLP = "dense 256, dense 128"
GENERATED, MNIST = "generated", "mnist"
OPTIMISERS = ("Adam", "SGD", "SGD, momentum 0.9")
MAX_S = 60.0  # of computing
KEPT_ASIDE = 1000  # generated digits
TEST_DIGITS = 10_000  # of MNIST's
STEP_S, EVERY_S = 0.1, 0.5  # of one step of the job; between two snapshots
MAX_CHECKPOINTS = 40
WRONG = 24  # digits shown that are still wrong
FILTERS = 32
DIVERGED = 20.0  # a mean loss from which nothing is learned any more; chance has 2.3
NOISE_STREAM = 7  # seeds of the draws of labels, order and digits differ


@dataclass(frozen=True)
class Settings:
    """What a training is made of."""

    layers: str = CNN
    optimiser: str = "Adam"
    lr: float = 1e-3  # learning rate
    batch: int = 64
    label_noise: float = 0.0  # share of training digits that get a random label
    examples: int = 10_000  # training digits, seen again when all were seen
    data: str = GENERATED
    seed: int = 0

    @classmethod
    def parse(cls, values: object) -> "Settings":
        """From the page. Raises ImageError: what came, what is needed."""
        if not isinstance(values, dict):
            raise ImageError("The settings of a training are needed as an object.")
        known = {field.name: values[field.name] for field in fields(cls) if field.name in values}
        settings = cls(**known)
        settings.check()
        return settings

    def check(self) -> None:
        """Raises ImageError."""
        _check_number("The learning rate", self.lr, 1e-6, 100)
        _check_number("The share of wrong labels", self.label_noise, 0, 0.9)
        for name, value, low, high in (
            ("The batch", self.batch, 1, 256),
            ("The number of examples", self.examples, 10, 20_000),
            ("The seed", self.seed, 0, 2**31 - 1),
        ):
            _check_number(name, value, low, high)
            if value != int(value):
                raise ImageError(f"{name} is a whole number; {value} came.")
        if self.optimiser not in OPTIMISERS:
            raise ImageError(
                f"Optimisers are {'; '.join(OPTIMISERS)}; {str(self.optimiser)[:30]!r} came."
            )
        if self.data not in (GENERATED, MNIST):
            raise ImageError(
                f"Digits are {GENERATED!r} or {MNIST!r}; {str(self.data)[:30]!r} came."
            )
        self.network()

    def network(self) -> LayerStack:
        """With random weights. Raises ImageError: layers that do not fit together."""
        if not isinstance(self.layers, str):
            raise ImageError("The layers are needed as text.")
        try:
            with BUILDING, torch.random.fork_rng(devices=[]):
                torch.manual_seed(self.seed)
                network = LayerStack(self.layers[:200])
                return network.to(memory_format=torch.channels_last)  # twice as fast
        except ValueError as error:
            raise ImageError(str(error)) from error

    def optimiser_of(self, network: LayerStack) -> torch.optim.Optimizer:
        if self.optimiser == "Adam":
            return torch.optim.Adam(network.parameters(), self.lr)
        momentum = 0.9 if "momentum" in self.optimiser else 0.0
        return torch.optim.SGD(network.parameters(), self.lr, momentum)


def _check_number(name: str, value: object, low: float, high: float) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not low <= value <= high:  # type: ignore[operator]  # NaN fails
        raise ImageError(f"{name} is a number from {low:g} to {high:g}; {str(value)[:20]} came.")


# -- digits ----------------------------------------------------------------------------------------


class Digits(Protocol):
    """Training digits by number."""

    def get(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """int64 (B,) -> float32 (B, 1, 28, 28) in [0, 1], labels int64 (B,)."""


class Generator(Protocol):
    """As the GAN's handler: latents float32 (n, latent) and classes -> uint8 (n, 28, 28)."""

    latent: int

    def from_latent(self, z: np.ndarray, label: np.ndarray) -> np.ndarray:
        """Digits."""


class GeneratedDigits:
    """Generated when they are first asked for.

    Args:
        n: how many there are.
        seed: each has other digits.
    """

    CHUNK = 256

    def __init__(self, generator: Generator, n: int, seed: int):
        self.generator = generator
        self.random = np.random.default_rng((seed, 1))
        self.images = torch.zeros(n, 28, 28, dtype=torch.uint8)
        self.labels = torch.zeros(n, dtype=torch.int64)
        self.known = 0  # generated so far

    def get(self, index: Tensor) -> tuple[Tensor, Tensor]:
        while self.known <= int(index.max()):
            self._generate(min(self.CHUNK, len(self.labels) - self.known))
        return self.images[index][:, None].float() / 255, self.labels[index]

    def _generate(self, n: int) -> None:
        z = self.random.standard_normal((n, self.generator.latent)).astype(np.float32).clip(-5, 5)
        labels = (np.arange(self.known, self.known + n)) % 10
        images = self.generator.from_latent(z, labels)
        self.images[self.known : self.known + n] = torch.from_numpy(images)
        self.labels[self.known : self.known + n] = torch.from_numpy(labels)
        self.known += n


class StoredDigits:
    """MNIST's first n training digits. Raises ImageError where they are not here."""

    def __init__(self, n: int):
        found = mnist.first_digits("train", n)
        if found is None:
            raise ImageError(
                "MNIST is not on this machine; with IMAGE_LAB_DATA set to the folder that holds "
                "MNIST/raw it can be used. Generated digits work without."
            )
        self.images, self.labels = (torch.from_numpy(part.copy()) for part in found)

    def get(self, index: Tensor) -> tuple[Tensor, Tensor]:
        return self.images[index][:, None].float() / 255, self.labels[index]


class DigitSource:
    """Where trainings get their digits from."""

    def __init__(self, generator: Generator):
        self.generator = generator
        self._lock = threading.Lock()
        self._kept_aside: tuple[Tensor, Tensor] | None = None

    def kept_aside(self) -> tuple[Tensor, Tensor]:
        """float32 (1000, 1, 28, 28), int64 (1000,): generated digits that no training sees."""
        with self._lock:
            if self._kept_aside is None:
                digits = GeneratedDigits(self.generator, KEPT_ASIDE, seed=2**31)
                self._kept_aside = digits.get(torch.arange(KEPT_ASIDE))
            return self._kept_aside

    def digits(self, settings: "Settings") -> Digits:
        """Raises ImageError: MNIST is not here."""
        if settings.data == MNIST:
            return StoredDigits(settings.examples)
        return GeneratedDigits(self.generator, settings.examples, settings.seed)


# -- training --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Snapshot:
    """One moment of a training.

    Attributes:
        seconds: of computing so far.
        loss: cross-entropy, the mean over the steps since the last snapshot.
        accuracy: share of the 1,000 digits kept aside; half of them are scored anew each time.
        filters: uint8 (K, h, w) of the first layer; 128 = 0.
        wrong: (number, predicted) of digits kept aside that are still wrong, the surest first.
    """

    step: int
    seen: int
    seconds: float
    loss: float
    accuracy: float
    filters: np.ndarray
    wrong: tuple[tuple[int, int], ...]


class DigitTraining:
    """A training that can be left and gone on with. Raises ImageError: see Settings.

    Args:
        clock: seconds.
    """

    def __init__(
        self,
        settings: Settings,
        source: DigitSource,
        clock: Callable[[], float] = time.perf_counter,
    ):
        settings.check()
        self.settings, self.source, self._clock = settings, source, clock
        self.network = settings.network()
        self.optimiser = settings.optimiser_of(self.network)
        self.random = torch.Generator().manual_seed(settings.seed + NOISE_STREAM)
        self.digits: Digits | None = None  # loaded at the first step
        self.wrong_labels = self._draw_wrong_labels()
        self.step, self.seconds, self.is_diverged = 0, 0.0, False
        self.checkpoints: list[tuple[float, dict[str, Tensor]]] = []  # (seconds, weights in fp16)
        self._order, self._every = torch.zeros(0, dtype=torch.int64), 1
        self._losses: list[float] = []
        self._taken = 0  # snapshots
        self._logits = torch.zeros(KEPT_ASIDE, 10)  # of the digits kept aside, the newest of each

    @property
    def is_over(self) -> bool:
        return self.seconds >= MAX_S or self.is_diverged

    def steps(self) -> Iterator[Snapshot | None]:
        """About a tenth of a second of work each; a snapshot at least twice a second, else None.

        Ends after 60 s of computing in all, or when the loss diverges.
        """
        since = -math.inf if not self._taken else self.seconds
        while not self.is_over:
            begun = self._clock()
            if self.digits is None:
                self.source.kept_aside()
                self.digits = self.source.digits(self.settings)
                begun = self._clock()  # loading is not training
            if self._taken:
                self._train_for(STEP_S)
            self.seconds += self._clock() - begun
            if self.seconds - since < EVERY_S and not self.is_over:
                yield None
                continue
            since = self.seconds
            begun = self._clock()
            snapshot = self._snapshot()
            self.seconds += self._clock() - begun
            yield snapshot

    def _draw_wrong_labels(self) -> Tensor:
        """int64 (n,): -1, or the label that noise put on a digit."""
        n = self.settings.examples
        noisy = torch.rand(n, generator=self.random) < self.settings.label_noise
        labels = torch.randint(10, (n,), generator=self.random)
        return torch.where(noisy, labels, -1)

    def _train_for(self, seconds: float) -> None:
        end = self._clock() + seconds
        while True:
            loss = self._train_step()
            self._losses.append(loss)
            if not math.isfinite(loss):
                self.is_diverged = True
            if self.is_diverged or self._clock() >= end:
                return

    def _train_step(self) -> float:
        assert self.digits is not None
        index = self._next_batch()
        x, labels = self.digits.get(index)
        noise = self.wrong_labels[index]
        self.network.train()
        loss = F.cross_entropy(self.network(x), torch.where(noise >= 0, noise, labels))
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.step += 1
        return float(loss.detach())

    def _next_batch(self) -> Tensor:
        """Numbers of the next digits: in turn at first, as they are generated, then shuffled."""
        n, batch = self.settings.examples, min(self.settings.batch, self.settings.examples)
        if len(self._order) < batch:
            is_first = self.step == 0
            more = torch.arange(n) if is_first else torch.randperm(n, generator=self.random)
            self._order = torch.cat([self._order, more])
        index, self._order = self._order[:batch], self._order[batch:]
        return index

    def _snapshot(self) -> Snapshot:
        images, labels = self.source.kept_aside()
        half = KEPT_ASIDE // 2  # in turn: all at once would take too much of half a second
        start = half * (self._taken % 2)
        part = slice(None) if not self._taken or self.is_over else slice(start, start + half)
        self._logits[part] = self.logits(images[part])
        logits = self._logits
        predicted = logits.argmax(1)
        sure = logits.softmax(1).amax(1)
        wrong = torch.where(predicted != labels)[0]
        wrong = wrong[sure[wrong].argsort(descending=True)][:WRONG]
        loss = (
            float(np.mean(self._losses)) if self._losses else float(F.cross_entropy(logits, labels))
        )
        self._losses = []
        self.is_diverged = self.is_diverged or not loss < DIVERGED
        self._keep_checkpoint()
        self._taken += 1
        return Snapshot(
            self.step,
            self.step * min(self.settings.batch, self.settings.examples),
            self.seconds,
            loss,
            float((predicted == labels).float().mean()),
            self.filters(),
            tuple((int(k), int(predicted[k])) for k in wrong),
        )

    def _keep_checkpoint(self) -> None:
        """At most MAX_CHECKPOINTS, evenly spaced: every other one goes where they get too many."""
        if self._taken % self._every:
            return
        weights = {k: v.detach().half() for k, v in self.network.state_dict().items()}
        self.checkpoints.append((self.seconds, weights))
        if len(self.checkpoints) > MAX_CHECKPOINTS:
            self.checkpoints, self._every = self.checkpoints[::2], 2 * self._every

    # -- what it says ------------------------------------------------------------------------------

    @torch.inference_mode()
    def logits(self, images: Tensor) -> Tensor:
        """float32 (N, 1, 28, 28) -> (N, 10)."""
        self.network.eval()
        return torch.cat([self.network(part) for part in images.split(250)]).nan_to_num(0.0)

    def filters(self) -> np.ndarray:
        """uint8 (K, h, w): the first layer's weights, 128 = 0, the largest at 255 or 1."""
        weight = self.network.first.weight.detach()[:FILTERS].nan_to_num(0.0)  # type: ignore[union-attr,operator]
        maps = weight[:, 0] if weight.dim() == 4 else weight.unflatten(1, (28, -1))
        top = maps.abs().flatten(1).amax(1).clamp_min(1e-9)[:, None, None]
        signed: np.ndarray = (128 + 127 * maps / top).round().byte().numpy()
        return signed

    def classify(self, digit: np.ndarray) -> np.ndarray:
        """uint8 (28, 28) -> probabilities float32 (10,) at this moment."""
        x = torch.from_numpy(digit.copy())[None, None].float() / 255
        probabilities: np.ndarray = self.logits(x)[0].softmax(0).numpy()
        return probabilities

    @torch.inference_mode()
    def classify_over_time(self, digit: np.ndarray) -> tuple[list[float], np.ndarray]:
        """Seconds of each checkpoint, and its probabilities of one digit, float32 (K, 10)."""
        x = torch.from_numpy(digit.copy())[None, None].float() / 255
        kept = list(self.checkpoints)
        answers = [
            torch.func.functional_call(self.network, {k: v.float() for k, v in weights.items()}, x)
            for _, weights in kept
        ]
        table = torch.cat(answers).nan_to_num(0.0).softmax(1).numpy()
        return [seconds for seconds, _ in kept], table

    def test_accuracy(self) -> float | None:
        """On MNIST's 10,000 test digits; None where they are not on this machine."""
        found = mnist.first_digits("t10k", TEST_DIGITS)
        if found is None:
            return None
        images, labels = (torch.from_numpy(part.copy()) for part in found)
        right = [self.logits(part[:, None].float() / 255).argmax(1) for part in images.split(1000)]
        return float((torch.cat(right) == labels).float().mean())

    def explanation(self) -> str:
        """Why it ended, where there is something to explain; "" else."""
        if self.is_diverged:
            return (
                f"Diverged at step {self.step}: with a learning rate of {self.settings.lr:g} each "
                "step jumps over the valley of the loss and lands higher on the other side. A "
                "tenth of it would be worth a try."
            )
        return "60 seconds of computing, the most there are." if self.seconds >= MAX_S else ""


def about(settings: Settings, other: Settings | None = None) -> str:
    """A run's name in a legend: what it has differently from `other`, or its main settings."""
    texts: dict[str, Any] = {
        "layers": {CNN: "CNN", MLP: "MLP"}.get(settings.layers, settings.layers),
        "optimiser": settings.optimiser,
        "lr": f"learning rate {settings.lr:g}",
        "batch": f"batch {settings.batch}",
        "label_noise": f"{100 * settings.label_noise:.0f} % wrong labels",
        "examples": f"{settings.examples:,} examples",
        "data": "MNIST" if settings.data == MNIST else "generated digits",
    }
    if other is None:
        names = ["layers", "optimiser", "lr", "examples"]
    else:
        names = [name for name in texts if getattr(settings, name) != getattr(other, name)]
    return ", ".join(texts[name] for name in names or ["layers", "optimiser"])
