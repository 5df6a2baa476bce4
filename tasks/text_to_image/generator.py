"""Text to image: a prompt becomes a small drawing, with a model that was trained here.

    model = TextToImage.load()
    images = model.generate("a fox on a blue background", n=4, seed=0)
    for step in model.steps("a fox", n=4): ...     step.images, step.maps

A caption is read as concepts (captions.py), a dictionary turns them into vectors and canvases, a
U-Net removes noise from a latent (networks/word_unet.py) by rectified flow, and the autoencoder's
decoder shows every step. Weights by `train/text_to_image/`.
"""

import functools
import itertools
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from tasks.core import device, weights
from tasks.core.device import seeded_noise, stopwatch
from tasks.core.images import ImageError
from tasks.core.zero_gpu import on_gpu
from tasks.networks.word_unet import TextReader, WordUNet
from tasks.text_to_image.captions import Caption, Vocabulary
from tasks.text_to_image.concepts import FIXED, LANGUAGES, MAX_WORDS, NO_WORD, ROLES, STYLES

if TYPE_CHECKING:
    from tasks.text_to_image.pipeline import HubPipeline

NAME, READER = "text_to_image", "text_to_image_words"  # of the cards
SIDE = 64  # px
MAX_IMAGES, MAX_STEPS, MAX_PROMPT, MAX_GUIDANCE = 16, 100, 1000, 20.0


@dataclass(frozen=True)
class TextStep:
    """One step, after it was computed.

    Attributes:
        i, n: step i of n, 1-based.
        t: the time that it started from, 1 (noise) to 0 (image).
        noisy: uint8 (n, 64, 64, 3), the latents after the step, decoded.
        images: uint8 (n, 64, 64, 3), what the network predicts for the end, decoded.
        latents: float32 (n, 16, 16, 4), the latents after the step.
        maps: float32 (n, words, 8, 8), where each word of the caption acts: its share of the
            attention.
        seconds: of this step.
    """

    i: int
    n: int
    t: float
    noisy: np.ndarray
    images: np.ndarray
    latents: np.ndarray
    maps: np.ndarray
    seconds: float


class Conditioning(NamedTuple):
    """Captions as the U-Net gets them, one for each image."""

    states: Tensor  # (n, words, states)
    canvas: Tensor  # (n, words, canvas, 64)
    absent: Tensor  # bool (n, words)
    weight: Tensor  # (n, words), factor of each word's attention


class Given(NamedTuple):
    """An image to start from.

    Attributes:
        image: uint8 (64, 64, 3).
        strength: 0 (the image stays) to 1 (all is new).
        mask: bool (64, 64), where to paint anew; None: everywhere.
    """

    image: np.ndarray
    strength: float = 1.0
    mask: np.ndarray | None = None


class TextToImage:
    """Generates 64 x 64 px drawings from captions in twelve languages."""

    def __init__(self, unet: WordUNet, reader: TextReader, card: weights.Card):
        on = device.best()
        self.unet, self.reader, self.card = unet.eval().to(on), reader.eval().to(on), card
        packed = reader.names.cpu().numpy().tobytes()
        self.vocabulary = Vocabulary(json.loads(zlib.decompress(packed)))
        self.guidance = float(card.preprocess.get("guidance", 3.0))  # the best one measured
        self.reload: functools.partial[TextToImage] | None = None

    @classmethod
    def load(
        cls, source: str | None = None, folder: Path = weights.FOLDER
    ) -> "TextToImage | HubPipeline":
        """The bundled model.

        Args:
            source: a pipeline of diffusers instead: a folder, or owner/name on the Hugging Face
                Hub of what `hub.download` has downloaded.
        Raises:
            WeightsError: missing or damaged file; a pipeline that is not here or does not fit.
        """
        if source is not None:
            from tasks.text_to_image.pipeline import HubPipeline

            return HubPipeline.load(source)
        return cls.bundled(folder)

    @classmethod
    def bundled(cls, folder: Path = weights.FOLDER) -> "TextToImage":
        """As `load()`. Raises WeightsError."""
        unet, card = weights.load(NAME, WordUNet, folder)
        reader, _ = weights.load(READER, TextReader, folder)
        model = cls(unet, reader, card)
        model.reload = functools.partial(cls.bundled, folder)
        return model

    def read(self, prompt: Any, style: Any = STYLES[0], language: Any = "en") -> Caption:
        """The prompt as the model reads it, in a style that it may name itself. Raises ImageError.

        Args:
            language: in which to read what several languages have.
        """
        if not isinstance(prompt, str):
            raise ImageError(f"A prompt is a text; {str(prompt)[:20]!r} came.")
        if len(prompt) > MAX_PROMPT:
            raise ImageError(
                f"The prompt has {len(prompt):,} characters; at most {MAX_PROMPT:,} work."
            )
        if style not in STYLES:
            raise ImageError(f"Styles are {', '.join(STYLES)}; {str(style)[:20]!r} came.")
        caption = self.vocabulary.read(prompt, language if language in LANGUAGES else "en")
        return caption.with_style(style) if caption.words else caption

    def generate(self, prompt: str, n: int = 1, seed: int = 0, **settings: Any) -> np.ndarray:
        """As `steps`, the images only: uint8 (n, 64, 64, 3)."""
        *_, last = self.steps(prompt, n, seed, **settings)
        return last.images

    @on_gpu
    def steps(
        self,
        prompt: str | Sequence[str],
        n: int = 4,
        seed: int = 0,
        n_steps: int = 20,
        guidance: float | Sequence[float] | None = None,
        style: str = STYLES[0],
        negative: str = "",
        language: str = "en",
        same_noise: bool = False,
        given: Given | None = None,
    ) -> Iterator[TextStep]:
        """Generate n images, step by step; a step is computed when it is asked for.

        Args:
            prompt: of all images, or one for each.
            seed: image k depends on the seed and k only, not on n.
            guidance: classifier-free guidance (Ho and Salimans 2022) of all images, or one for
                each; 1 = off, None = the best one measured.
            style: of STYLES, where the prompt names none.
            negative: what to stay away from.
            same_noise: let all images start from that of the first.
            given: paint over this image.
        Raises:
            ImageError: a setting out of its range.
        """
        guidance = self.guidance if guidance is None else guidance
        guidances = check_settings(n, seed, n_steps, guidance)
        prompts = list(prompt) if isinstance(prompt, list | tuple) else [prompt] * n
        if len(prompts) != n:
            raise ImageError(f"{n} images need one prompt or {n}; {len(prompts)} came.")
        condition = self.conditioning([self.read(text, style, language) for text in prompts])
        against = self.conditioning([self.read(negative, style, language)] * n)
        noise = self._noise(n, seed, same_noise)
        return self._sample(condition, against, noise, n_steps, guidances, given)

    @on_gpu
    def walk(
        self, first: str, second: str, n: int = 8, seed: int = 0, n_steps: int = 20, **settings: Any
    ) -> Iterator[TextStep]:
        """n images from one prompt to another, all from the same noise; as `steps`.

        The words of both are there from the start; their attention is faded over.
        """
        guidance = settings.pop("guidance", None)
        guidance = self.guidance if guidance is None else guidance
        guidances = check_settings(n, seed, n_steps, guidance)
        ends = [self.conditioning([self.read(text, **settings)] * n) for text in (first, second)]
        share = torch.linspace(0, 1, n, device=device.best())[:, None]
        faded = [
            end._replace(weight=end.weight * by)
            for end, by in zip(ends, (1 - share, share), strict=True)
        ]
        both = Conditioning(*(torch.cat(parts, 1) for parts in zip(*faded, strict=True)))
        against = self.conditioning([self.read("")] * n)
        return self._sample(both, against, self._noise(n, seed, True), n_steps, guidances, None)

    @torch.inference_mode()
    def conditioning(self, captions: Sequence[Caption]) -> Conditioning:
        """What the dictionary makes of captions; image k gets choice k of a word with several."""
        on = device.best()
        ids, roles, weight = (part.to(on) for part in concepts(captions))
        states, canvas, absent, _ = self.reader.dictionary(ids, roles)
        return Conditioning(states, canvas, absent, weight)

    @torch.inference_mode()
    def _sample(
        self,
        condition: Conditioning,
        against: Conditioning,
        noise: Tensor,
        n_steps: int,
        guidances: list[float],
        given: Given | None,
    ) -> Iterator[TextStep]:
        start = 1.0 if given is None else given.strength
        kept = None if given is None else self.encode(given.image[None])
        times = [start * (1 - i / n_steps) for i in range(n_steps + 1)]
        x = noise if kept is None else (1 - start) * kept + start * noise
        by = torch.tensor(guidances, device=x.device)[:, None, None, None]
        for i, (t, after) in enumerate(itertools.pairwise(times)):
            with stopwatch() as ms:
                v, maps = self.velocity(x, t, condition, against, by)
                x0 = x - t * v
                x = x - (t - after) * v
                if kept is not None and given is not None and given.mask is not None:
                    new = latent_mask(given.mask).to(x.device)
                    x = torch.where(new, x, (1 - after) * kept + after * noise)
                    x0 = torch.where(new, x0, kept)
                shown = self.decode(torch.cat([x, x0]))
            noisy, images = np.split(shown, 2)
            latents = x.permute(0, 2, 3, 1).float().cpu().numpy()
            yield TextStep(
                i + 1, n_steps, t, noisy, images, latents, maps.float().cpu().numpy(), ms() / 1000
            )

    def velocity(
        self, x: Tensor, t: float, condition: Conditioning, against: Conditioning, by: Tensor
    ) -> tuple[Tensor, Tensor]:
        """v with guidance, v_against + by (v - v_against), and the maps of the caption's words."""
        time = torch.full((len(x),), t, device=x.device)
        v, maps = self.unet(x, time, *condition)
        if bool((by == 1).all()):
            return v, maps
        without, _ = self.unet(x, time, *against)
        return without + by * (v - without), maps

    def _noise(self, n: int, seed: int, same: bool) -> Tensor:
        shape = (1, self.unet.folded // 4, SIDE // 4, SIDE // 4)
        generators = seeded_noise(1 if same else n, seed)
        noise = torch.cat([torch.randn(shape, generator=g) for g in generators])
        return noise.expand(n, -1, -1, -1).to(device.best())

    @torch.inference_mode()
    def encode(self, images: np.ndarray) -> Tensor:
        """uint8 (n, 64, 64, 3) -> latents (n, 4, 16, 16). Raises ImageError."""
        if images.dtype != np.uint8 or images.shape[1:] != (SIDE, SIDE, 3):
            raise ImageError(
                f"uint8 images of (n, {SIDE}, {SIDE}, 3) are needed; {images.dtype} {images.shape} "
                "came."
            )
        x = torch.from_numpy(np.ascontiguousarray(images)).to(device.best())
        return self.reader.autoencoder.encode(x.permute(0, 3, 1, 2).float() / 127.5 - 1)

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> np.ndarray:
        """(n, 4, 16, 16) -> uint8 (n, 64, 64, 3)."""
        x = self.reader.autoencoder.decode(latents).permute(0, 2, 3, 1)
        return ((x + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).cpu().numpy()


def concepts(captions: Sequence[Caption]) -> tuple[Tensor, Tensor, Tensor]:
    """(n, words) each: concepts, NO_WORD behind a caption's last, roles, and float weights."""
    most = max(1, *(min(MAX_WORDS, len(caption.words)) for caption in captions), 1)
    ids = torch.full((len(captions), most), NO_WORD)
    roles = torch.zeros(len(captions), most, dtype=torch.int64)
    weight = torch.ones(len(captions), most)
    for k, caption in enumerate(captions):
        for j, word in enumerate(caption.words[:MAX_WORDS]):
            ids[k, j], roles[k, j] = word.meant[k % len(word.meant)], ROLES.index(word.role)
            weight[k, j] = word.weight
        if not caption.words:
            ids[k, 0] = FIXED[""]
    return ids, roles, weight


def latent_mask(mask: np.ndarray) -> Tensor:
    """bool (64, 64) -> bool (1, 1, 16, 16): the latent's positions that see a painted pixel."""
    blocks = torch.from_numpy(mask).float()[None, None]
    return torch.nn.functional.max_pool2d(blocks, SIDE // 16) > 0


def check_settings(n: Any, seed: Any, n_steps: Any, guidance: Any) -> list[float]:
    """The guidance of each image. Raises ImageError for a setting out of its range."""
    for name, value, low, high in (
        ("The number of images", n, 1, MAX_IMAGES),
        ("The seed", seed, 0, 2**31 - 1),
        ("The number of steps", n_steps, 1, MAX_STEPS),
    ):
        if type(value) is not int or not low <= value <= high:
            raise ImageError(
                f"{name} is a whole number from {low} to {high}; {str(value)[:20]} came."
            )
    guidances = list(guidance) if isinstance(guidance, list | tuple) else [guidance] * n
    for value in guidances:
        if not _is_number(value) or not 0 <= value <= MAX_GUIDANCE:  # NaN fails
            raise ImageError(
                f"Guidance lies between 0 and {MAX_GUIDANCE:g}; {str(value)[:20]} came."
            )
    if len(guidances) != n:
        raise ImageError(f"{n} images need one guidance or {n}; {len(guidances)} came.")
    return [float(value) for value in guidances]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
