"""Text-to-image pipelines on the Hugging Face Hub: what is to be downloaded, and the download.

`look_up` says the bytes before anything large is downloaded. `download` gets exactly those files
into the Hub's own cache, where other programs find them, too.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tasks.core.weights import WeightsError
from tasks.text_to_image.files import (
    Pipeline,
    choose_files,
    is_folder,
    is_hosted,
    read_folder,
    read_index,
)

RESERVE = 500_000_000  # bytes that a download leaves free on the disk
POLL_S = 0.5


def find_local(source: str) -> Pipeline | None:
    """A pipeline on this machine; None if it is not here, or not complete.

    Raises WeightsError: not a name, or a folder without a pipeline that can be used.
    """
    if is_folder(source):
        return read_folder(source, Path(source).expanduser())
    index = _cached(source, "model_index.json")
    try:
        return read_folder(source, index.parent) if index else None
    except WeightsError:  # an interrupted download
        return None


def look_up(source: str) -> Pipeline:
    """A pipeline on this machine, or else what the Hub says about it.

    Raises WeightsError: no such pipeline, refused, no network.
    """
    return find_local(source) or _ask_hub(source)


def cache_folder() -> Path:
    """Where downloads are kept: HF_HUB_CACHE, or ~/.cache/huggingface/hub."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def _cached(source: str, name: str, revision: str = "main") -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(source, name, revision=revision)
    return Path(path) if isinstance(path, str) else None


def _ask_hub(source: str) -> Pipeline:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    api = HfApi(token=False if is_hosted() else None)  # visitors get no access as the owner
    try:
        info = api.model_info(source, files_metadata=True, timeout=15)
        sizes = {file.rfilename: file.size or 0 for file in info.siblings or []}
        has_index = "model_index.json" in sizes
        path = api.hf_hub_download(source, "model_index.json") if has_index else "/nowhere"
        index = read_index(source, Path(path))
        variant, files = choose_files(source, index, sizes)
        heads = [
            api.parse_safetensors_file_metadata(source, name)
            for name in files
            if name.endswith(".safetensors")
        ]
    except WeightsError:
        raise
    except GatedRepoError as error:
        raise WeightsError(
            f"{source} has conditions to accept on its page first, huggingface.co/{source}; then "
            "log in with `hf auth login` where the app runs."
        ) from error
    except RepositoryNotFoundError as error:
        raise WeightsError(
            f"There is no {source} on the Hugging Face Hub, or it is not public."
        ) from error
    except Exception as error:  # whatever the HTTP library raises
        raise WeightsError(_describe_outage()) from error
    missing = {n: size for n, size in files.items() if not _cached(source, n, info.sha or "main")}
    n = sum(sum(head.parameter_count.values()) for head in heads)
    card: Any = info.card_data or {}
    licence = str(card.get("license_name") or card.get("license") or "")
    return Pipeline(source, None, index["_class_name"], variant, files, missing, n, licence)


def _describe_outage() -> str:
    remedy = (
        "Try again later."
        if is_hosted()
        else "A folder works without: one that save_pretrained of diffusers wrote, by its path."
    )
    return f"The Hugging Face Hub does not answer: there is no network, or it is down. {remedy}"


def download(pipeline: Pipeline) -> Iterator[tuple[int, int]]:
    """Get what is missing: yields (bytes received, bytes in all) every half second.

    Starts the Hub's own command in another process, so that closing the iterator stops it at once.
    What has arrived is kept, and the next download continues there.

    Raises WeightsError: the disk is full, no network, interrupted.
    """
    total = sum(pipeline.missing.values())
    _check_disk(total)
    blobs = cache_folder() / f"models--{pipeline.source.replace('/', '--')}" / "blobs"
    before = _folder_bytes(blobs)
    environment = {
        **os.environ,
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_CACHE": str(cache_folder()),
        **({"HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"} if is_hosted() else {}),
    }
    command = [sys.executable, "-m", "huggingface_hub.cli.hf", "download", pipeline.source]
    with (
        tempfile.TemporaryFile("w+") as output,
        subprocess.Popen(
            [*command, *pipeline.files], env=environment, stdout=output, stderr=output
        ) as process,
    ):
        try:
            while process.poll() is None:
                yield min(total, max(0, _folder_bytes(blobs) - before)), total
                time.sleep(POLL_S)
        finally:
            process.kill()
        if process.returncode:
            output.seek(0)
            last = (output.read().strip().splitlines() or ["no message"])[-1]
            raise WeightsError(
                f"The download of {pipeline.source} was interrupted ({last[:120]}). Start it again."
            )
    yield total, total


def _folder_bytes(folder: Path) -> int:
    """Size of the files in a folder, unfinished ones included."""
    total = 0
    for path in folder.glob("*"):
        try:
            total += path.stat().st_size
        except OSError:  # it has just been renamed
            continue
    return total


def _check_disk(size: int) -> None:
    cache = cache_folder()
    free = shutil.disk_usage(next(f for f in (cache, *cache.parents) if f.exists())).free
    if size + RESERVE > free:
        raise WeightsError(
            f"{size / 1e9:.1f} GB are to be downloaded, and the disk with {cache} has "
            f"{free / 1e9:.1f} GB left. Make room, or set HF_HOME to a folder on another disk."
        )
