"""Text to image: any text-to-image pipeline of diffusers, followed step by step.

Latent diffusion (Rombach et al. 2022, arXiv 2112.10752): the network takes noise away from a latent, a picture of an
eighth of the size in which a pixel is four numbers or more, and a decoder makes the picture of it at the end. What is
shown before the end is the latent by a linear map to RGB, fitted to this pipeline's own decoder.

    for step in TextToImage.load("stabilityai/sd-turbo").steps("a red fox in the snow", seed=0): ...
"""

import functools
import inspect
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tasks import compute, text_to_image_files, text_to_image_hub
from tasks.images import ImageError
from tasks.networks.diffusion_unet import import_diffusers
from tasks.text_to_image_preview import Colours, at_unit_scale, in_steps, own
from tasks.weights import WeightsError
from tasks.zero_gpu import on_gpu

MAX_PROMPT, MAX_STEPS, MAX_GUIDANCE = 1000, 50, 20.0
SIZES = (128, 768)  # px, smallest and largest


@dataclass(frozen=True)
class TextStep:
    """One step, after it was made; one more, with the picture, follows the last.

    Attributes:
        i, n: step i of n, 1-based; i = n again for the picture.
        t: the time step that it started from, in the scheduler's own count (1000 or less).
        x_t: uint8 (h, w, 3), the latent after the step, as colours.
        x0: uint8 (h, w, 3), the latent that the network expects to come out, as colours.
        predicted: whether the sampler says what it expects; otherwise x0 is x_t.
        picture: uint8 (H, W, 3), decoded; None before the end.
        withheld: the pipeline's own safety checker has replaced the picture by a black one.
        seconds: of this step.
    """

    i: int
    n: int
    t: float
    x_t: np.ndarray
    x0: np.ndarray
    predicted: bool
    seconds: float
    picture: np.ndarray | None = None
    withheld: bool = False


class TextToImage:
    """Makes a picture of a sentence."""

    def __init__(self, pipe: Any, source: str = ""):
        self.pipe, self.source = pipe, source
        self.again: functools.partial[TextToImage] | None = None
        self.colours = Colours(pipe)
        self.parameters = sum(p.numel() for part in networks(pipe) for p in part.parameters())

    @classmethod
    def load(cls, source: str) -> "TextToImage":
        """A pipeline whose files are on this machine.

        Args:
            source: a folder, or owner/name of what was downloaded from the Hub (text_to_image_hub.download).
        Raises:
            WeightsError: not here, not safe to load, too large for the memory that is free.
        """
        found = text_to_image_hub.on_this_machine(source)
        if found is None or found.folder is None:
            raise WeightsError(
                f"{source} is not on this machine yet. “Look it up” says how much there is to download, and offers it."
            )
        check_memory(found)
        maker = cls(_loaded(found, found.folder), source)
        maker.again = functools.partial(cls.load, source)
        return maker

    def generate(self, prompt: str, seed: int = 0, **settings: Any) -> np.ndarray:
        """As `steps`, the picture only: uint8 (H, W, 3)."""
        *_, last = self.steps(prompt, seed, **settings)
        assert last.picture is not None
        return last.picture

    @on_gpu
    def steps(
        self, prompt: str, seed: int = 0, n_steps: int = 1, guidance: float = 0.0, size: int = 512
    ) -> Iterator[TextStep]:
        """Make a picture, step by step; nothing is computed but while a step is asked for.

        Args:
            prompt: what the picture shows, at most MAX_PROMPT characters.
            seed: the same seed gives the same picture.
            guidance: of the prompt (classifier-free guidance); 0 and 1 = none, as distilled pipelines need.
            size: px of both sides, a multiple of 8.
        Raises:
            ImageError: a setting out of its range. WeightsError: the pipeline fails.
        """
        check(prompt, seed, n_steps, guidance, size)
        settings = {"prompt": prompt, "num_inference_steps": n_steps, "guidance_scale": float(guidance),
                    "height": size, "width": size, "generator": torch.Generator().manual_seed(seed)}  # fmt: skip
        accepted = inspect.signature(type(self.pipe).__call__).parameters
        settings = {name: value for name, value in settings.items() if name in accepted}
        return in_steps(lambda give: self._run(settings, size, give))

    def _run(self, settings: dict[str, Any], size: int, give: Callable[[TextStep], None]) -> None:
        pipe, watch = own(self.pipe)
        began, last = time.perf_counter(), None

        def after_step(_: Any, i: int, t: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            nonlocal began, last
            n = max(i + 1, len(pipe.scheduler.timesteps))
            x_t = self.colours(at_unit_scale(pipe.scheduler, tensors["latents"], t), size)
            x0 = x_t if watch.expected is None else self.colours(watch.expected, size)
            last = TextStep(i + 1, n, float(t), x_t, x0, watch.expected is not None, time.perf_counter() - began)
            give(last)
            began = time.perf_counter()
            return {}

        try:
            made = pipe(**settings, callback_on_step_end=after_step, output_type="np")
        except Exception as error:  # anybody's pipeline may fail in its own way
            raise WeightsError(_failure(self.source, error)) from error
        flags = getattr(made, "nsfw_content_detected", None) or [False]
        if last is None:
            raise WeightsError(f"{self.source} made no step; its scheduler does not fit these settings.")
        picture = (made.images[0].clip(0, 1) * 255).round().astype(np.uint8)
        seconds = time.perf_counter() - began
        give(TextStep(last.n, last.n, 0.0, last.x_t, last.x0, last.predicted, seconds, picture, bool(flags[0])))

    def tokens(self, prompt: str) -> tuple[list[str], list[str]]:
        """What the text encoder reads of a prompt, and what it does not because the prompt is too long."""
        tokenizer = getattr(self.pipe, "tokenizer", None)
        if tokenizer is None:
            return [], []
        ids = tokenizer(prompt, add_special_tokens=False, verbose=False).input_ids
        read = [token.replace("</w>", "").replace("▁", " ").replace("Ġ", " ").strip() for token in
                tokenizer.convert_ids_to_tokens(ids)]  # fmt: skip
        room = int(tokenizer.model_max_length) - tokenizer.num_special_tokens_to_add()
        return read[:room], read[room:]


def check(prompt: Any, seed: Any, n_steps: Any, guidance: Any, size: Any) -> None:
    """Raises ImageError for a setting out of its range."""
    if not isinstance(prompt, str) or not prompt.strip():
        raise ImageError("Say what the picture shall show: a few words or a sentence.")
    if len(prompt) > MAX_PROMPT:
        raise ImageError(f"The prompt has {len(prompt):,} characters; at most {MAX_PROMPT:,} are taken.")
    for name, value, low, high in (("The seed", seed, 0, 2**31 - 1),
                                   ("The number of steps", n_steps, 1, MAX_STEPS),
                                   ("The size", size, *SIZES)):  # fmt: skip
        if type(value) is not int or not low <= value <= high:
            raise ImageError(f"{name} is a whole number from {low} to {high}; {str(value)[:20]} came.")
    if size % 8:
        raise ImageError(f"The size is a multiple of 8 px; {size} came, {size // 8 * 8} would work.")
    number = isinstance(guidance, int | float) and not isinstance(guidance, bool)
    if not number or not 0 <= guidance <= MAX_GUIDANCE:  # NaN fails
        raise ImageError(f"Guidance lies between 0 and {MAX_GUIDANCE:g}; {str(guidance)[:20]} came.")


# -- loading --------------------------------------------------------------------------------------------------------


def _loaded(found: text_to_image_files.Pipeline, folder: Path) -> Any:
    """diffusers' pipeline, on the device, without its progress bar. Raises WeightsError."""
    import_diffusers()
    import diffusers as d
    import transformers
    from diffusers.pipelines.auto_pipeline import AUTO_TEXT2IMAGE_PIPELINES_MAPPING as TEXT_TO_IMAGE

    d.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    names = {pipeline.__name__ for pipeline in TEXT_TO_IMAGE.values()}
    family = found.kind.replace("Img2Img", "").replace("Inpaint", "")
    loader: Any = d.AutoPipelineForText2Image if family in names else d.DiffusionPipeline
    dtype = torch.bfloat16 if compute.bf16_is_native() else torch.float32
    try:
        with compute.BUILDING:
            pipe = loader.from_pretrained(
                str(folder), torch_dtype=dtype, variant=found.variant, use_safetensors=True, local_files_only=True
            )
    except Exception as error:  # what is wrong with files, diffusers and transformers tell in many ways
        raise WeightsError(_failure(found.source, error)) from error
    accepted = inspect.signature(type(pipe).__call__).parameters
    if "prompt" not in accepted or "callback_on_step_end" not in accepted or getattr(pipe, "vae", None) is None:
        raise WeightsError(
            f"{found.source} is a {found.kind}; a text-to-image pipeline with a decoder (vae) is needed that can be "
            "followed step by step, such as Stable Diffusion."
        )
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(compute.device())


def networks(pipe: Any) -> list[torch.nn.Module]:
    """Every network of a pipeline."""
    return [part for part in pipe.components.values() if isinstance(part, torch.nn.Module)]


def free_memory() -> int | None:
    """Bytes that a model may still take, on the device or, on a CPU, of this container; None where nothing says so."""
    if compute.device().type == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return None
    try:  # a container may have less than its machine (Linux control groups, version 2)
        group = Path("/sys/fs/cgroup")
        most, used = ((group / f"memory.{name}").read_text().strip() for name in ("max", "current"))
        return free if most == "max" else min(free, int(most) - int(used))
    except (OSError, ValueError):
        return free


def check_memory(found: text_to_image_files.Pipeline) -> None:
    """Raises WeightsError for a pipeline that does not fit; loading it would end the whole app."""
    free = free_memory()
    if free is not None and found.memory > free:
        raise WeightsError(
            f"{found.source} needs about {found.memory / 1e9:.1f} GB of memory and {free / 1e9:.1f} GB are free. A "
            "smaller pipeline would work, or a machine with more memory."
        )


def _failure(source: str, error: Exception) -> str:
    said = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".:")[:200]
    return f"The pipeline {source} failed: {said}. Another size, or another pipeline, may work."
