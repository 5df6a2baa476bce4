"""The files of a text-to-image pipeline: which it needs, what is refused, how much memory it takes.

A pipeline is a folder as `save_pretrained` of diffusers writes it: `model_index.json` and one
folder per component. Weights must be safetensors and components must belong to diffusers or
transformers: pickles and custom code could run anything. This is read before a download or a
loading; whatever else is wrong, the libraries say while they load (pipeline.py).
"""

import importlib.util
import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub.utils import filter_repo_objects
from safetensors import SafetensorError, safe_open

from tasks.core import device
from tasks.core.weights import WeightsError

INDEX = "model_index.json"
REPOSITORY = re.compile(r"(?!.*(--|\.\.))[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
SETTINGS = ("*.json", "*.txt", "*.model", "*.jinja")  # of tokenizers, schedulers and networks
LFS = b"version https://git-lfs"
WORKING_MEMORY = 1_500_000_000  # bytes besides the weights: libraries, activations, decoding


@dataclass(frozen=True)
class Pipeline:
    """What is known of a pipeline before it is loaded.

    Attributes:
        source: owner/name on the Hugging Face Hub, or a folder.
        folder: where its files are; None if some must be downloaded.
        index: its checked model_index.json.
        variant: "fp16" if its weights are in files of that name, else None.
        files: path -> bytes, of all files that it needs.
        missing: those that are not on this machine.
        counts: path -> number of weights in it.
        licence: as its page says; "" for a folder.
    """

    source: str
    folder: Path | None
    index: Mapping[str, Any]
    variant: str | None
    files: Mapping[str, int]
    missing: Mapping[str, int]
    counts: Mapping[str, int]
    licence: str = ""

    @property
    def kind(self) -> str:
        """Its class in diffusers."""
        return str(self.index["_class_name"])

    @property
    def parameters(self) -> int:
        """Of all its networks."""
        return sum(self.counts.values())

    @property
    def memory(self) -> int:
        """Bytes that it needs, about: weights are bf16 where that is native, else fp32."""
        return self.parameters * (2 if device.bf16_is_native() else 4) + WORKING_MEMORY


def is_hosted() -> bool:
    """Whether the app runs as a Space, whose visitors may not name folders."""
    return bool(os.environ.get("SPACE_ID"))


def is_folder(source: Any) -> bool:
    """Whether a name is a path: it starts with "/", "." or "~". Raises WeightsError."""
    name = source if isinstance(source, str) and len(source) <= 500 and "\0" not in source else ""
    local = name.startswith((".", "~")) or Path(name).is_absolute()
    if local and is_hosted():
        raise WeightsError(
            "Folders cannot be named here, only pipelines on the Hugging Face Hub, as owner/name."
        )
    if not local and not REPOSITORY.fullmatch(name):
        raise WeightsError(
            f"{str(source)[:60]!r} is neither a name on the Hugging Face Hub, such as "
            "stabilityai/sd-turbo, nor a folder; the name of a folder starts with /, ./ or ~."
        )
    return local


def read_folder(source: str, folder: Path) -> Pipeline:
    """The pipeline in a folder. Raises WeightsError: not complete, or refused."""
    index = read_index(source, folder)
    paths = [path for path in (*folder.glob("*"), *folder.glob("*/*")) if path.is_file()]
    sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in paths}
    variant, files = choose_files(source, index, sizes)
    counts = {name: _check_file(source, folder, name) for name in files}
    return Pipeline(source, folder, index, variant, files, {}, counts)


def read_index(source: str, folder: Path) -> dict[str, Any]:
    """A checked model_index.json. Raises WeightsError: not readable, or custom code."""
    index = _read_json(source, folder, INDEX)
    if not isinstance(index, dict) or "_class_name" not in index:
        raise WeightsError(f"{source} is no pipeline of diffusers: its {INDEX} names no class.")
    if not str(index["_class_name"]).isalnum():
        raise WeightsError(f"{source} has code of its own, which is not run here.")
    for name in components(index):
        library = str(index[name][0])
        if not name.isidentifier() or not library.isidentifier() or not _is_known(library):
            raise WeightsError(
                f"{source} asks for {library[:40]!r}; only parts of diffusers and transformers are "
                "loaded here."
            )
    return index


def components(index: Mapping[str, Any]) -> list[str]:
    """Names of the components that are present: [library, class], where absent ones have null."""
    pairs = {name: value for name, value in index.items() if isinstance(value, list)}
    return [n for n, pair in pairs.items() if not n.startswith("_") and pair and pair[0]]


def _is_known(library: str) -> bool:
    """diffusers, transformers, or a package of `diffusers.pipelines` ("stable_diffusion")."""
    return library in ("diffusers", "transformers") or (
        importlib.util.find_spec(f"diffusers.pipelines.{library}") is not None
    )


def patterns(index: Mapping[str, Any], variant: str | None) -> list[str]:
    """Of the files that a pipeline needs, weights in one file or in several."""
    dot = f".{variant}" if variant else ""
    stems = [f"{prefix}model{dot}" for prefix in ("", "diffusion_pytorch_")]
    weights = [f"{s}{part}.safetensors" for s in stems for part in ("", "-?????-of-?????")]
    return [INDEX, *(f"{n}/{end}" for n in components(index) for end in (*weights, *SETTINGS))]


def choose_files(
    source: str, index: Mapping[str, Any], sizes: Mapping[str, int]
) -> tuple[str | None, dict[str, int]]:
    """What a pipeline needs of all files, path -> bytes: "fp16" if all networks have it, else None.

    Raises WeightsError: a component has no files, or no weights but pickles.
    """
    names = components(index)
    networks = {name for name in names if f"{name}/config.json" in sizes}
    for variant in ("fp16", None):
        files = list(filter_repo_objects(sizes, allow_patterns=patterns(index, variant)))
        lacking = networks - {f.partition("/")[0] for f in files if f.endswith(".safetensors")}
        if networks and not lacking:
            break
    for name in names:
        here = ", ".join(path for path in sizes if path.startswith(f"{name}/"))
        if name in lacking or not here:
            raise WeightsError(
                f"{source} lacks files of {name}; there is {here[:300] or 'none'}. Weights must be "
                "safetensors, as pickles can run code, and fp16 works for all networks or none."
            )
    return variant, {file: sizes[file] for file in files}


def _check_file(source: str, folder: Path, name: str) -> int:
    """The number of weights in a file. Raises WeightsError: a pointer, damaged."""
    with (folder / name).open("rb") as file:
        if file.read(len(LFS)) == LFS:
            raise WeightsError(
                f"{source}: {name} is a Git LFS pointer, not the file itself. Run `git lfs pull` "
                "there, or download the file."
            )
    if name.endswith(".json"):
        _read_json(source, folder, name)
    if not name.endswith(".safetensors"):
        return 0
    try:
        with safe_open(folder / name, "numpy") as tensors:
            return sum(math.prod(tensors.get_slice(key).get_shape()) for key in tensors.keys())  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{source}: {name} is damaged. Get it again.") from error


def _read_json(source: str, folder: Path, name: str) -> Any:
    try:
        return json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise WeightsError(
            f"{source} has no readable {name} ({reason}). JSON in UTF-8 without byte order mark "
            "(BOM) is needed, as save_pretrained of diffusers writes it."
        ) from error
