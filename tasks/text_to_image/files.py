"""The files of a text-to-image pipeline: which it needs, what is refused, how much memory it takes.

A pipeline is a folder as `save_pretrained` of diffusers writes it: `model_index.json` and one
folder per component. Weights must be safetensors and components must belong to diffusers or
transformers: pickles and custom code could run anything.
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

from tasks.core import device
from tasks.core.weights import WeightsError
from tasks.text_to_image import faults

REPOSITORY = re.compile(r"(?!.*(--|\.\.))[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
WEIGHTS = re.compile(r"\w+/(?:diffusion_pytorch_)?model(\.fp16)?(?:-\d+-of-(\d+))?\.safetensors")
SETTINGS = (".json", ".txt", ".model", ".jinja")  # of tokenizers, schedulers and networks
PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl", ".msgpack", ".h5")
IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*")
WORKING_MEMORY = 1_500_000_000  # bytes besides the weights: libraries, activations, decoding


@dataclass(frozen=True)
class Pipeline:
    """What is known of a pipeline before it is loaded.

    Attributes:
        source: owner/name on the Hugging Face Hub, or a folder.
        folder: where its files are; None if some must be downloaded.
        kind: its class in diffusers.
        variant: "fp16" if its weights are in files of that name, else None.
        files: path -> bytes, of all files that it needs.
        missing: those that are not on this machine.
        parameters: of all its networks.
        licence: as its page says; "" for a folder.
    """

    source: str
    folder: Path | None
    kind: str
    variant: str | None
    files: Mapping[str, int]
    missing: Mapping[str, int]
    parameters: int
    licence: str = ""

    @property
    def memory(self) -> int:
        """Bytes that it needs, about: weights are bf16 where that is native, else fp32."""
        return self.parameters * (2 if device.bf16_is_native() else 4) + WORKING_MEMORY


def is_hosted() -> bool:
    """Whether the app runs as a Space, whose visitors may not name folders."""
    return bool(os.environ.get("SPACE_ID"))


def is_folder(source: Any) -> bool:
    """Whether a name is a path: it starts with "/", "." or "~". Raises WeightsError."""
    if not isinstance(source, str) or not source.strip() or len(source) > 500 or "\0" in source:
        raise WeightsError(
            "Name a pipeline: owner/name on the Hugging Face Hub, or a folder on this machine."
        )
    local = source.startswith((".", "~")) or Path(source).is_absolute()
    if local and is_hosted():
        raise WeightsError(
            "Folders cannot be named here, only pipelines on the Hugging Face Hub, as owner/name."
        )
    if not local and not REPOSITORY.fullmatch(source):
        raise WeightsError(
            f"{source[:60]!r} is neither a name on the Hugging Face Hub, such as "
            "stabilityai/sd-turbo, nor a folder; the name of a folder starts with /, ./ or ~."
        )
    return local


def read_index(source: str, file: Path) -> dict[str, Any]:
    """A checked model_index.json. Raises WeightsError: not readable, or custom code."""
    try:
        data = file.read_bytes()
        if data.startswith(faults.BOM):
            raise WeightsError(
                f"{source}: model_index.json begins with a byte order mark (BOM), which the "
                "libraries do not read. Save it as UTF-8 without BOM."
            )
        index = json.loads(data.decode("utf-8"))
        kind = index.get("_class_name")
    except (OSError, ValueError, AttributeError) as error:
        raise WeightsError(
            f"{source} is not a pipeline of diffusers: it has no readable model_index.json, as "
            "save_pretrained writes it."
        ) from error
    if not isinstance(kind, str) or not kind.isalnum():
        raise WeightsError(f"{source} has code of its own, which is not run here.")
    for name in components(index):
        library = index[name][0]
        if not IDENTIFIER.fullmatch(name) or not _is_known(library):
            raise WeightsError(
                f"{source} asks for {str(library)[:40]!r}; only parts of diffusers and "
                "transformers are loaded here."
            )
    return dict(index)


def components(index: Mapping[str, Any]) -> list[str]:
    """Names of the components that are present: [library, class], where absent ones have null."""
    pairs = {name: value for name, value in index.items() if isinstance(value, list)}
    return [n for n, pair in pairs.items() if not n.startswith("_") and pair and pair[0]]


def _is_known(library: Any) -> bool:
    """diffusers, transformers, or a package of `diffusers.pipelines` ("stable_diffusion")."""
    if not isinstance(library, str) or not IDENTIFIER.fullmatch(library):
        return False
    return library in ("diffusers", "transformers") or (
        importlib.util.find_spec(f"diffusers.pipelines.{library}") is not None
    )


def choose_files(
    source: str, index: Mapping[str, Any], sizes: Mapping[str, int]
) -> tuple[str | None, dict[str, int]]:
    """What a pipeline needs of the files beside its index: fp16 if all networks have it.

    Args:
        sizes: path -> bytes.
    Returns:
        ("fp16" or None, path -> bytes).
    Raises:
        WeightsError: weights are missing, incomplete or stored as pickles.
    """
    inside = {n: [p for p in sizes if p.rpartition("/")[0] == n] for n in components(index)}
    empty = [name for name, paths in inside.items() if not paths]
    if empty or not inside:
        raise WeightsError(f"{source} has no files of {(empty or ['any component'])[0]}.")
    networks = {n: paths for n, paths in inside.items() if f"{n}/config.json" in paths}
    found = {n: list(filter(None, map(WEIGHTS.fullmatch, paths))) for n, paths in networks.items()}
    half = bool(found) and all(any(m[1] for m in matches) for matches in found.values())
    chosen = [
        "model_index.json",
        *(p for ps in inside.values() for p in ps if p.endswith(SETTINGS)),
    ]
    for name, matches in found.items():
        weights = [m for m in matches if bool(m[1]) == half]
        if not weights:
            raise WeightsError(_describe_missing(source, name, networks[name]))
        if len(weights) < int(weights[0][2] or 1):
            raise WeightsError(f"{source} has some of {int(weights[0][2])} files of {name} only.")
        if weights[0][2] and not any(p.endswith(".index.json") for p in networks[name]):
            raise WeightsError(
                f"{source} has {name} in {int(weights[0][2])} files without the index that says "
                "what lies where (*.safetensors.index.json). Get the folder again."
            )
        chosen += [m[0] for m in weights]
    return "fp16" if half else None, {path: sizes[path] for path in chosen}


def _describe_missing(source: str, component: str, paths: list[str]) -> str:
    if any(path.endswith(PICKLES) for path in paths):
        return (
            f"{source} has the weights of {component} as pickle only, a format that can run code; "
            "only safetensors are loaded, as save_pretrained(..., safe_serialization=True) writes."
        )
    if any(match and match[1] for match in map(WEIGHTS.fullmatch, paths)):
        return (
            f"{source} has {component} as fp16 only, but other parts not: either all parts need "
            "files of fp16, or none. Get the others' *.fp16.safetensors, or this one's whole file."
        )
    return f"{source} has no weights of {component}: {component}/model.safetensors is needed."


def read_folder(source: str, folder: Path) -> Pipeline:
    """The pipeline in a folder. Raises WeightsError: not complete, or refused."""
    index = read_index(source, folder / "model_index.json")
    paths = [path for path in (*folder.glob("*"), *folder.glob("*/*")) if path.is_file()]
    sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in paths}
    variant, files = choose_files(source, index, sizes)
    faults.check_files(source, folder, index, list(files))
    weights = [folder / name for name in files if name.endswith(".safetensors")]
    n = sum(map(_count_parameters, weights))
    return Pipeline(source, folder, index["_class_name"], variant, files, {}, n)


def _count_parameters(file: Path) -> int:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "numpy") as tensors:
            return sum(math.prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{file.parent.name}/{file.name} is damaged. Get it again.") from error
