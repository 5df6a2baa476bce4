"""Text-to-image pipelines on the Hugging Face Hub: what one would fetch, said before anything is fetched; its download.

Only the files that text_to_image_files.py asks for are fetched, into the Hub's own cache.

    python -m tasks.text_to_image_hub < order.json     # what `download` runs in a process of its own
"""

import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tasks.text_to_image_files import Pipeline, hosted, in_folder, is_folder, mapping, wanted
from tasks.weights import ROOT, WeightsError

LEFT_FREE = 500_000_000  # B that a download leaves free on its disk
NO_NETWORK = "The Hugging Face Hub does not answer: there is no network here, or it is down."


def on_this_machine(source: str) -> Pipeline | None:
    """A pipeline whose files are all here, without asking a network; None: not here, or not all of it.

    Raises WeightsError for a name that is none, and for a folder that holds no pipeline that can be used.
    """
    if is_folder(source):
        return in_folder(source, Path(source).expanduser())
    snapshot = _snapshot(source)
    if snapshot is None:
        return None
    try:
        return in_folder(source, snapshot)
    except WeightsError:  # broken off; the Hub's own list says what it needs
        return None


def look_up(source: str) -> Pipeline:
    """A pipeline on this machine, or else what the Hub says of it; nothing but small files is fetched.

    Raises WeightsError: no such pipeline, pickles only, no network.
    """
    return on_this_machine(source) or _on_hub(source)


def cache_folder() -> Path:
    """Where the Hub's files are kept: HF_HUB_CACHE, or ~/.cache/huggingface/hub."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def _repo_folder(source: str) -> Path:
    return cache_folder() / f"models--{source.replace('/', '--')}"


def _snapshot(source: str) -> Path | None:
    try:
        commit = (_repo_folder(source) / "refs" / "main").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    folder = _repo_folder(source) / "snapshots" / commit
    return folder if re.fullmatch(r"[0-9a-f]{6,64}", commit) and folder.is_dir() else None


def _on_hub(source: str) -> Pipeline:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    api = HfApi(token=False if hosted() else None)  # visitors see nothing that only its owner may
    try:
        info = api.model_info(source, files_metadata=True, timeout=15)
        files = {file.rfilename: file.size or 0 for file in info.siblings or []}
        index = _index(api, source, files)
        variant, needed = wanted(index, files, source)
        heads = [api.parse_safetensors_file_metadata(source, name) for name in needed if name.endswith(".safetensors")]
    except GatedRepoError as error:
        raise WeightsError(
            f"{source} asks its users to accept conditions on its page first, huggingface.co/{source}; then log in "
            "with `hf auth login` where the app runs."
        ) from error
    except RepositoryNotFoundError as error:
        raise WeightsError(f"There is no {source} on the Hugging Face Hub, or it is not public.") from error
    except WeightsError:
        raise
    except Exception as error:  # the Hub's client lets through what its HTTP library raises
        raise WeightsError(_without_network()) from error
    snapshot = _snapshot(source)
    missing = {name: size for name, size in needed.items() if not (snapshot and (snapshot / name).is_file())}
    parameters = sum(sum(head.parameter_count.values()) for head in heads)
    page: Any = info.card_data or {}
    licence = str(page.get("license_name") or page.get("license") or "")
    return Pipeline(source, None, index["_class_name"], variant, needed, missing, parameters, licence)


def _index(api: Any, source: str, files: Mapping[str, int]) -> Mapping[str, Any]:
    """The repository's model_index.json, a kilobyte. Raises WeightsError."""
    if "model_index.json" not in files:
        raise WeightsError(f"{source} is not a pipeline of diffusers: it has no model_index.json.")
    path = api.hf_hub_download(source, "model_index.json")
    try:
        return mapping(json.loads(Path(path).read_text(encoding="utf-8")))
    except ValueError as error:
        raise WeightsError(f"The model_index.json of {source} is damaged.") from error


def _without_network() -> str:
    remedy = "Try again later." if hosted() else (
        "A folder on this machine works without: one that diffusers' save_pretrained wrote, named by its path."
    )  # fmt: skip
    return f"{NO_NETWORK} {remedy}"


def download(pipeline: Pipeline) -> Iterator[tuple[int, int]]:
    """Fetch what is missing into the Hub's cache: yields (bytes fetched, bytes in all) every half second.

    Closing the iterator ends it; what has come so far is kept, and the next download goes on from there.

    Raises WeightsError: the disk is full, no network, broken off.
    """
    total = sum(pipeline.missing.values())
    _check_disk(total)
    order = {"repo": pipeline.source, "files": list(pipeline.files), "token": not hosted()}
    blobs = _repo_folder(pipeline.source) / "blobs"
    before = _size(blobs)
    environment = {**os.environ, "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_CACHE": str(cache_folder())}
    command = [sys.executable, "-m", "tasks.text_to_image_hub"]
    with (
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=said, stderr=said, text=True
        ) as process,
    ):
        try:
            assert process.stdin
            process.stdin.write(json.dumps(order))
            process.stdin.close()
            while process.poll() is None:
                yield min(total, max(0, _size(blobs) - before)), total
                time.sleep(0.5)
        finally:
            process.kill()
        if process.returncode:
            said.seek(0)
            last = (said.read().strip().splitlines() or ["it was ended"])[-1]
            raise WeightsError(f"The download of {pipeline.source} broke off ({last[:120]}). Start it again.")
    yield total, total


def _size(folder: Path) -> int:
    """Bytes of the files in a folder, those that are still arriving included."""
    total = 0
    for path in folder.glob("*"):
        try:
            total += path.stat().st_size
        except OSError:  # it has just been renamed
            continue
    return total


def _check_disk(size: int) -> None:
    folder = cache_folder()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if size + LEFT_FREE > free:
        raise WeightsError(
            f"{size / 1e9:.1f} GB are to be fetched, and the disk with {cache_folder()} has {free / 1e9:.1f} GB left. "
            "Make room, or name another disk by HF_HOME."
        )


def main() -> None:
    from huggingface_hub import HfApi

    order = json.load(sys.stdin)
    api = HfApi(token=None if order["token"] else False)
    api.snapshot_download(order["repo"], allow_patterns=[glob.escape(name) for name in order["files"]], max_workers=4)


if __name__ == "__main__":
    main()
