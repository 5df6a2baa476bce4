"""Text to image: any text-to-image pipeline of diffusers, followed step by step.

Latent diffusion (Rombach et al. 2022, arXiv 2112.10752): the network removes noise from a latent,
a small image of four or more channels at an eighth of the size, and a decoder turns it into an
image at the end. Until then a linear map to RGB, fitted to the pipeline's own decoder, shows it.

    for step in HubPipeline.load("stabilityai/sd-turbo").steps("a red fox in the snow", seed=0): ...
"""

import dataclasses
import difflib
import functools
import inspect
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tasks.core import device, model_cache
from tasks.core.images import ImageError
from tasks.core.weights import WeightsError
from tasks.core.zero_gpu import on_gpu
from tasks.networks.diffusion_unet import import_diffusers
from tasks.text_to_image import files, hub
from tasks.text_to_image.preview import Colours, at_unit_scale, iterate, with_own_scheduler

MAX_PROMPT, MAX_STEPS, MAX_GUIDANCE = 1000, 50, 20.0
SIZES = (128, 768)  # px, smallest and largest
COMPLETE = 0.98  # share of a network's weights; buffers may be left out of a file
MIN_WORDS = 10  # besides special tokens; a tokenizer with fewer has lost its files


@dataclass(frozen=True)
class PipelineStep:
    """One step, after it was computed; one more, with the image, follows the last.

    Attributes:
        i, n: step i of n, 1-based; i = n again for the image.
        t: the time step that it started from, in the scheduler's own count (1000 or less).
        x_t: uint8 (h, w, 3), the latent after the step, as colours.
        x0: uint8 (h, w, 3), the latent that the network predicts for the end, as colours.
        predicted: whether the scheduler gives a prediction; otherwise x0 is x_t.
        seconds: of this step.
        image: uint8 (H, W, 3), decoded; None before the end.
        withheld: the pipeline's own safety checker has replaced the image by a black one.
    """

    i: int
    n: int
    t: float
    x_t: np.ndarray
    x0: np.ndarray
    predicted: bool
    seconds: float
    image: np.ndarray | None = None
    withheld: bool = False


class HubPipeline:
    """Generates an image from a sentence."""

    def __init__(self, pipe: Any, source: str = ""):
        self.pipe, self.source = pipe, source
        self.reload: functools.partial[HubPipeline] | None = None
        self.colours = Colours(pipe)

    @classmethod
    def load(cls, source: str) -> "HubPipeline":
        """A pipeline whose files are on this machine.

        Args:
            source: a folder, or owner/name of what `hub.download` has downloaded.
        Raises:
            WeightsError: not here, refused, too large for the memory that is free.
        """
        found = hub.get_local(source)
        check_memory(found)
        model = cls(_load_pipeline(found), source)
        model.reload = functools.partial(cls.load, source)
        return model

    def generate(self, prompt: str, seed: int = 0, **settings: Any) -> np.ndarray:
        """As `steps`, the image only: uint8 (H, W, 3)."""
        *_, last = self.steps(prompt, seed, **settings)
        assert last.image is not None
        return last.image

    @on_gpu
    def steps(
        self, prompt: str, seed: int = 0, n_steps: int = 1, guidance: float = 0.0, size: int = 512
    ) -> Iterator[PipelineStep]:
        """Generate an image, step by step; a step is computed when it is asked for.

        Args:
            prompt: what the image shows, at most MAX_PROMPT characters.
            seed: the same seed gives the same image.
            guidance: of the prompt (classifier-free guidance); 0 and 1 = none, as distilled
                pipelines need it.
            size: px of both sides, a multiple of 8.
        Raises:
            ImageError: a setting out of its range. WeightsError: the pipeline fails.
        """
        check_settings(prompt, seed, n_steps, guidance, size)
        settings = {
            "prompt": prompt,
            "num_inference_steps": n_steps,
            "guidance_scale": float(guidance),
            "height": size,
            "width": size,
            "generator": torch.Generator().manual_seed(seed),
        }
        accepted = inspect.signature(type(self.pipe).__call__).parameters
        settings = {name: value for name, value in settings.items() if name in accepted}
        return iterate(lambda give: self._run(settings, size, give))

    def _run(
        self, settings: dict[str, Any], size: int, give: Callable[[PipelineStep], None]
    ) -> None:
        """Calls `give` with each step and with the image."""
        pipe, watch = with_own_scheduler(self.pipe)
        began, last = time.perf_counter(), None

        def after_step(_: Any, i: int, t: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            nonlocal began, last
            n = max(i + 1, len(pipe.scheduler.timesteps))
            x_t = self.colours(at_unit_scale(pipe.scheduler, tensors["latents"], t), size)
            predicted = watch.x0 is not None
            x0 = x_t if watch.x0 is None else self.colours(watch.x0, size)
            last = PipelineStep(i + 1, n, float(t), x_t, x0, predicted, time.perf_counter() - began)
            give(last)
            began = time.perf_counter()
            return {}

        try:
            result = pipe(**settings, callback_on_step_end=after_step, output_type="np")
        except Exception as error:  # any pipeline may fail in its own way
            raise WeightsError(_describe_failure(self.source, error)) from error
        if last is None:
            raise WeightsError(
                f"{self.source} made no step; its scheduler does not fit these settings."
            )
        flags = getattr(result, "nsfw_content_detected", None) or [False]
        give(
            dataclasses.replace(
                last,
                i=last.n,
                t=0.0,
                seconds=time.perf_counter() - began,
                image=(result.images[0].clip(0, 1) * 255).round().astype(np.uint8),
                withheld=bool(flags[0]),
            )
        )

    def tokens(self, prompt: str) -> tuple[list[str], list[str]]:
        """The tokens that the text encoder reads, and those beyond its limit."""
        tokenizer = getattr(self.pipe, "tokenizer", None)
        if tokenizer is None:
            return [], []
        ids = tokenizer(prompt, add_special_tokens=False, verbose=False).input_ids
        pieces = tokenizer.convert_ids_to_tokens(ids)
        words = [p.replace("</w>", "").replace("▁", " ").replace("Ġ", " ").strip() for p in pieces]
        limit = int(tokenizer.model_max_length) - tokenizer.num_special_tokens_to_add()
        return words[:limit], words[limit:]


def check_settings(prompt: Any, seed: Any, n_steps: Any, guidance: Any, size: Any) -> None:
    """Raises ImageError for a setting out of its range."""
    if not isinstance(prompt, str) or not prompt.strip():
        raise ImageError("Describe the image: a few words or a sentence.")
    if len(prompt) > MAX_PROMPT:
        raise ImageError(f"The prompt has {len(prompt):,} characters; at most {MAX_PROMPT:,} work.")
    for name, value, low, high in (
        ("The seed", seed, 0, 2**31 - 1),
        ("The number of steps", n_steps, 1, MAX_STEPS),
        ("The size", size, *SIZES),
    ):
        if type(value) is not int or not low <= value <= high:
            raise ImageError(
                f"{name} is a whole number from {low} to {high}; {str(value)[:20]} came."
            )
    if size % 8:
        raise ImageError(
            f"The size is a multiple of 8 px; {size} came, {size // 8 * 8} would work."
        )
    number = isinstance(guidance, int | float) and not isinstance(guidance, bool)
    if not number or not 0 <= guidance <= MAX_GUIDANCE:  # NaN fails
        raise ImageError(
            f"Guidance lies between 0 and {MAX_GUIDANCE:g}; {str(guidance)[:20]} came."
        )


# -- loading ---------------------------------------------------------------------------------------


def _load_pipeline(found: files.Pipeline) -> Any:
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
    try:
        with model_cache.BUILDING:
            pipe = loader.from_pretrained(
                str(found.folder),
                torch_dtype=torch.bfloat16 if device.bf16_is_native() else torch.float32,
                variant=found.variant,
                use_safetensors=True,
                local_files_only=True,
            )
    except Exception as error:  # diffusers and transformers raise many kinds
        raise WeightsError(_describe_loading_failure(found, error)) from error
    _check_parts(found, pipe)
    accepted = inspect.signature(type(pipe).__call__).parameters
    if not {"prompt", "callback_on_step_end"} <= accepted.keys() or not getattr(pipe, "vae", None):
        raise WeightsError(
            f"{found.source} is a {found.kind}; a text-to-image pipeline with a decoder (vae) is "
            "needed that calls back after each step, such as Stable Diffusion."
        )
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(device.best())


def _describe_loading_failure(found: files.Pipeline, error: Exception) -> str:
    """What the library says, or the nearest name for a class that it does not have."""
    text = re.sub(r"<class '[\w.]*?(\w+)'>", r"\1", str(error).strip()) or type(error).__name__
    for part, pair in {**found.index, "_class_name": ["diffusers", found.kind]}.items():
        library, name = map(str, pair) if isinstance(pair, list) and len(pair) == 2 else ("", "")
        known = dir(sys.modules.get(library))
        if library in ("diffusers", "transformers") and name in text and name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"; {close[0]} is" if close else ""
            text = f"{part} is {name!r}, which is not in {library}{hint}"
    text = text.splitlines()[0].rstrip(".:")[:400]
    return f"{found.source} cannot be loaded: {text}. Get its files again, or try another one."


def _check_parts(found: files.Pipeline, pipe: Any) -> None:
    """Raises WeightsError for what diffusers loads without a word and what then fails."""
    problems = []
    for name, part in pipe.components.items():
        reads = name.startswith(("tokenizer", "text_encoder"))
        if part is None and reads and name not in found.index:  # null there if left out on purpose
            problems.append(f"{name} is missing, which a {found.kind} needs")
        if isinstance(part, torch.nn.Module):
            n = sum(count for file, count in found.counts.items() if file.startswith(f"{name}/"))
            wanted = sum(p.numel() for p in part.parameters())
            if n < COMPLETE * wanted:
                problems.append(f"the weights of {name} are incomplete, {n:,} of {wanted:,}")
        if hasattr(part, "get_vocab"):
            words = part.get_vocab().keys() - set(part.all_special_tokens)
            if len(words) < MIN_WORDS:
                problems.append(f"{name} lacks vocab.json and merges.txt, or tokenizer.json")
    if problems:
        raise WeightsError(f"{found.source}: {'; '.join(problems)}. Get its files again.")


def free_memory() -> int | None:
    """Bytes that a model may still take, on the GPU or in this container; None = unknown."""
    if device.best().type == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        kilobytes = (int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
        free = next(kilobytes) * 1024
    except (OSError, StopIteration, ValueError):
        return None
    try:  # a container may have less than its machine (Linux control groups, version 2)
        group = Path("/sys/fs/cgroup")
        limit, used = ((group / f"memory.{n}").read_text().strip() for n in ("max", "current"))
        return free if limit == "max" else min(free, int(limit) - int(used))
    except (OSError, ValueError):
        return free


def check_memory(found: files.Pipeline) -> None:
    """Raises WeightsError for a pipeline that does not fit; loading it would end the whole app."""
    free = free_memory()
    if free is not None and found.memory > free:
        raise WeightsError(
            f"{found.source} needs about {found.memory / 1e9:.1f} GB of memory and "
            f"{free / 1e9:.1f} GB are free. A smaller pipeline would work, or a machine with more "
            "memory."
        )


def _describe_failure(source: str, error: Exception) -> str:
    text = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".:")[:200]
    return f"The pipeline {source} failed: {text}. Another size, or another pipeline, may work."
