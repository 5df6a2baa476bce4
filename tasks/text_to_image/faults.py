"""What is wrong with the folder of a text-to-image pipeline, in a sentence, before it is loaded.

The libraries' own errors name what they stumbled over, not what is wrong.
"""

import difflib
import inspect
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.core.weights import WeightsError

BOM = b"\xef\xbb\xbf"  # which some editors put before UTF-8
LFS = b"version https://git-lfs"
# of a tokenizer: one of these sets of files
TOKENIZERS = (
    ("tokenizer.json",),
    ("vocab.json", "merges.txt"),
    ("spiece.model",),
    ("sentencepiece.model",),
    ("tokenizer.model",),
    ("vocab.txt",),
)
COMPLETE = 0.98  # share of a network's weights; buffers may be left out of a file


def check_files(source: str, folder: Path, index: Mapping[str, Any], names: list[str]) -> None:
    """Raises WeightsError for a file that is missing, a pointer, or not to be read.

    Args:
        index: model_index.json. names: of the files that are needed.
    """
    for name in names:
        with (folder / name).open("rb") as file:
            first = file.read(len(LFS))
        if first == LFS:
            raise WeightsError(
                f"{source}: {name} is a Git LFS pointer, not the file itself. Run `git lfs pull` "
                "there, or download the file."
            )
        if name.endswith(".json"):
            _check_json(source, folder / name, name)
    for part, pair in index.items():
        if not isinstance(pair, list) or len(pair) != 2 or not pair[0]:
            continue
        here = {name.rpartition("/")[2] for name in names if name.startswith(f"{part}/")}
        kind = str(pair[1])
        if "Tokenizer" in kind and not any(set(files) <= here for files in TOKENIZERS):
            raise WeightsError(
                f"{source} lacks the words of its tokenizer: {part}/vocab.json and merges.txt, or "
                f"{part}/tokenizer.json, are needed. Get the folder again."
            )
        if "Scheduler" in kind and "scheduler_config.json" not in here:
            raise WeightsError(
                f"{source} lacks {part}/scheduler_config.json, the settings of its scheduler. Get "
                "the folder again."
            )


def _check_json(source: str, file: Path, name: str) -> None:
    data = file.read_bytes()
    if data.startswith(BOM):
        raise WeightsError(
            f"{source}: {name} begins with a byte order mark (BOM), which the libraries do not "
            "read. Save it as UTF-8 without BOM."
        )
    try:
        json.loads(data)
    except ValueError as error:
        raise WeightsError(
            f"{source}: {name} is no readable JSON ({str(error)[:60]}). Get the file again."
        ) from error


def check_classes(source: str, folder: Path, index: Mapping[str, Any]) -> None:
    """Raises WeightsError for classes that are not there, parts that do not fit, weights that are
    incomplete. diffusers must be imported.
    """
    import diffusers
    import transformers

    kind = str(index["_class_name"])
    pipeline = getattr(diffusers, kind, None)
    if pipeline is None:
        raise WeightsError(_unknown(source, "model_index.json", kind, dir(diffusers), "diffusers"))
    libraries = {"diffusers": diffusers, "transformers": transformers}
    parts = {n: p for n, p in index.items() if isinstance(p, list) and len(p) == 2 and p[0]}
    for part, (library, name) in parts.items():
        module = libraries.get(str(library))
        if module is not None and not hasattr(module, str(name)):
            raise WeightsError(_unknown(source, part, str(name), dir(module), str(library)))
    needed = inspect.signature(pipeline.__init__).parameters
    optional = set(getattr(pipeline, "_optional_components", ()))
    missing = [
        name
        for name, parameter in needed.items()
        if parameter.default is parameter.empty
        and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        and name not in {"self", "safety_checker", "feature_extractor", *parts}
        # optional ones are listed as null where they are left out on purpose
        and (name not in optional or (_reads_words(name) and name not in index))
    ]
    if missing:
        raise WeightsError(
            f"{source}: a {kind} needs {', '.join(missing)}, which the folder does not have. "
            f"{_fitting(parts)}"
        )
    for part, (library, name) in parts.items():
        if library == "diffusers":
            _check_complete(source, folder, part, getattr(diffusers, str(name)))


def _reads_words(name: str) -> bool:
    return name.startswith(("tokenizer", "text_encoder"))


def _fitting(parts: Mapping[str, Any]) -> str:
    is_plain = {"unet", "vae", "text_encoder", "tokenizer", "scheduler"} <= parts.keys()
    if is_plain and "tokenizer_2" not in parts:
        return "Its parts are those of a StableDiffusionPipeline; _class_name may be wrong."
    return "Get the folder again, or check _class_name in model_index.json."


def _unknown(source: str, where: str, name: str, known: list[str], library: str) -> str:
    close = difflib.get_close_matches(name, known, 1)
    hint = f"; {close[0]} is" if close else ""
    return f"{source}: {where} names the class {name[:60]!r}, which is not in {library}{hint}."


def _check_complete(source: str, folder: Path, part: str, kind: Any) -> None:
    """Compares the numbers of weights in the files and in the network."""
    import torch
    from safetensors import safe_open

    config, files = folder / part / "config.json", sorted((folder / part).glob("*.safetensors"))
    files = [f for f in files if ".fp16" not in f.name] or files
    if not config.is_file() or not files or not hasattr(kind, "from_config"):
        return
    try:
        with torch.device("meta"):
            network = kind.from_config(json.loads(config.read_text(encoding="utf-8")))
    except Exception:  # whatever it is, loading says it
        return
    wanted, found = sum(p.numel() for p in network.parameters()), 0
    for file in files:
        with safe_open(file, "numpy") as tensors:
            shapes = (tensors.get_slice(name).get_shape() for name in tensors.keys())  # noqa: SIM118
            found += sum(math.prod(shape) for shape in shapes)
    if found < COMPLETE * wanted:
        raise WeightsError(
            f"{source}: the weights of {part} are incomplete, {found:,} of {wanted:,} are there. "
            "Get its files again."
        )
