"""The files of a text-to-image pipeline: which it needs, what they take of memory, and whether they are safe to load.

A pipeline is a folder as diffusers saves it, on this machine or on the Hugging Face Hub (text_to_image_hub.py):
`model_index.json` and one folder a component. Only safetensors are taken, a component may only be of diffusers or
transformers, and of weights in two precisions the smaller are.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks import compute
from tasks.weights import WeightsError

REPO = re.compile(r"(?!.*(--|\.\.))[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")  # owner/name, as the Hub has it
MODEL = re.compile(r"(?:diffusion_pytorch_model|model)(\.fp16)?(?:-\d{5}-of-\d{5})?\.safetensors")
SETTINGS = (".json", ".txt", ".model", ".jinja")  # what tokenizers, schedulers and networks are described in
PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl", ".msgpack", ".h5")
COMPONENT = re.compile(r"[a-z][a-z0-9_]*")
WORKING_MEMORY = 1_500_000_000  # B beside the weights: the libraries, activations, decoding 512 x 512 px


@dataclass(frozen=True)
class Pipeline:
    """What is known of a pipeline before it is loaded.

    Attributes:
        source: its name, as it was asked for.
        folder: where all its files lie; None: some must be fetched.
        kind: the class in diffusers.
        variant: "fp16" where its weights are in files of that name, else None.
        files: name -> bytes, of all that it needs.
        missing: of these, what is not on this machine.
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
        """Bytes that it takes to run, about: in bf16 where that is native, else in fp32."""
        return self.parameters * (2 if compute.bf16_is_native() else 4) + WORKING_MEMORY


def hosted() -> bool:
    """Whether the app runs as a Space, where visitors name no folders and see nothing of its owner's."""
    return bool(os.environ.get("SPACE_ID"))


def is_folder(source: str) -> bool:
    """Whether a name means a folder: it starts with "/", "." or "~", or a drive letter. Raises WeightsError."""
    if not isinstance(source, str) or not source.strip() or len(source) > 500 or "\0" in source:
        raise WeightsError("Name a pipeline: owner/name on the Hugging Face Hub, or a folder on this machine.")
    local = source.startswith((".", "~")) or Path(source).is_absolute()
    if local and hosted():
        raise WeightsError("Folders cannot be named here, only pipelines on the Hugging Face Hub, as owner/name.")
    if not local and not REPO.fullmatch(source):
        raise WeightsError(
            f"{source[:60]!r} is neither a name on the Hugging Face Hub, such as stabilityai/sd-turbo, nor a folder; "
            "a folder's name starts with /, ./ or ~."
        )
    return local


def wanted(index: Mapping[str, Any], files: Mapping[str, int], source: str) -> tuple[str | None, dict[str, int]]:
    """(variant, files that are needed: name -> bytes), of all the files that lie beside a model_index.json.

    Raises WeightsError: no class of diffusers, a component of another library, weights missing or as pickles only.
    """
    needed = {"model_index.json": files.get("model_index.json", 0)}
    weights: dict[str, dict[str, list[str]]] = {}  # component -> variant -> files
    for component in _components(index, source):
        inside = [name for name in files if name.startswith(component + "/") and name.count("/") == 1]
        needed |= {name: files[name] for name in inside if name.endswith(SETTINGS)}
        if f"{component}/config.json" not in inside:
            continue  # a tokenizer, a scheduler
        weights[component] = {}
        for name in inside:
            fits = MODEL.fullmatch(name.rpartition("/")[2])
            if fits:
                weights[component].setdefault(fits[1] or "", []).append(name)
        if not weights[component]:
            raise WeightsError(_without_weights(source, component, inside))
    if not weights:
        raise WeightsError(f"{source} has no networks in it: no component has a config.json.")
    half = all(".fp16" in found for found in weights.values())
    for component, found in weights.items():
        chosen = found.get(".fp16" if half else "")
        if not chosen:
            raise WeightsError(f"{source} has weights of {component} only as a variant that does not go with the rest.")
        needed |= {name: files[name] for name in chosen}
    return ("fp16" if half else None), needed


def _components(index: Mapping[str, Any], source: str) -> list[str]:
    """Names of the components; their libraries must be diffusers and transformers, so that no other code runs."""
    kind = index.get("_class_name")
    if not isinstance(kind, str) or not re.fullmatch(r"[A-Za-z0-9]{3,80}", kind):
        raise WeightsError(f"{source} is no pipeline of diffusers alone: it brings code of its own, which is not run.")
    found = []
    for name, value in index.items():
        if name.startswith("_") or not isinstance(value, list) or value[:1] == [None]:
            continue
        library = value[0] if len(value) == 2 else None
        known = isinstance(library, str) and COMPONENT.fullmatch(library) and _is_known(library)
        if not known or not COMPONENT.fullmatch(name):
            raise WeightsError(
                f"{source} asks for {str(library)[:40]!r}; only parts of diffusers and transformers are loaded here."
            )
        found.append(name)
    return found


def _is_known(library: str) -> bool:
    """diffusers, transformers, or one of diffusers' own packages of pipelines ("stable_diffusion")."""
    import importlib.util

    found = importlib.util.find_spec("diffusers")  # looks for its folder, imports nothing
    places = found.submodule_search_locations if found else None
    own = any((Path(place) / "pipelines" / library).is_dir() for place in places or ())
    return own or library in ("diffusers", "transformers")


def _without_weights(source: str, component: str, inside: list[str]) -> str:
    if any(name.endswith(PICKLES) for name in inside):
        return (
            f"{source} holds the weights of {component} as pickle only, a format that can run code; only safetensors "
            "are loaded here. save_pretrained(..., safe_serialization=True) writes them."
        )
    return f"{source} has no weights of {component}: a file such as {component}/model.safetensors is needed."


def in_folder(source: str, folder: Path) -> Pipeline:
    try:
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
        here = [*folder.glob("*"), *folder.glob("*/*")]
        files = {path.relative_to(folder).as_posix(): path.stat().st_size for path in here if path.is_file()}
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"{source} is not a folder with a pipeline in it: a readable model_index.json is needed, as diffusers' "
            "save_pretrained writes it."
        ) from error
    variant, needed = wanted(mapping(index), files, source)
    _check_shards(folder, needed, source)
    weights = [folder / name for name in needed if name.endswith(".safetensors")]
    return Pipeline(source, folder, index["_class_name"], variant, needed, {}, sum(map(_parameters, weights)))


def _check_shards(folder: Path, needed: Mapping[str, int], source: str) -> None:
    """Weights in several files name all of them: "-00001-of-00002"."""
    for name in needed:
        count = re.search(r"-\d{5}-of-(\d{5})\.", name)
        if count:
            stem = name[: count.start()]
            if sum(other.startswith(stem + "-") and other.endswith(".safetensors") for other in needed) < int(count[1]):
                raise WeightsError(f"{source}: of {stem} some of {int(count[1])} files are missing. Fetch it again.")


def mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _parameters(file: Path) -> int:
    """Of a safetensors file, by its header. Raises WeightsError."""
    import math

    try:
        with file.open("rb") as opened:
            size = int.from_bytes(opened.read(8), "little")
            if size > 100_000_000:
                raise ValueError("not a header")
            header = json.loads(opened.read(size))
        return sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise WeightsError(f"{file.parent.name}/{file.name} is damaged: it is no safetensors file.") from error
