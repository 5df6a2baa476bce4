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
from contextlib import suppress
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, constants, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)

from tasks.core.weights import WeightsError
from tasks.text_to_image import files
from tasks.text_to_image.files import Pipeline, is_hosted

RESERVE = 500_000_000  # bytes that a download leaves free on the disk
POLL_S = 0.5


def find_local(source: str) -> Pipeline | None:
    """A pipeline on this machine; None if it is not here, or not complete.

    Raises WeightsError: not a name, or a folder without a pipeline that can be used.
    """
    if files.is_folder(source):
        return files.read_folder(source, Path(os.path.expanduser(source)))
    try:
        folder = snapshot_download(source, allow_patterns=files.INDEX, local_files_only=True)
        found = files.read_folder(source, Path(folder))
        needed = files.patterns(found.index, found.variant)
        snapshot_download(source, allow_patterns=needed, local_files_only=True)
    except (WeightsError, LocalEntryNotFoundError):  # an interrupted download
        return None
    return found


def get_local(source: str) -> Pipeline:
    """A pipeline on this machine. Raises WeightsError as `find_local`, or if it is not here."""
    found = find_local(source)
    if found is None:
        raise WeightsError(
            f"{source} is not on this machine yet. Press “Look it up”: it says how much there is "
            "to download, and offers it."
        )
    return found


def look_up(source: str) -> Pipeline:
    """A pipeline on this machine, or else what the Hub says about it.

    Raises WeightsError: no such pipeline, refused, no network.
    """
    return find_local(source) or _ask_hub(source)


def _ask_hub(source: str) -> Pipeline:
    api = HfApi(token=False if is_hosted() else None)  # visitors get no access as the owner
    try:
        info = api.model_info(source, files_metadata=True, timeout=15)
        sizes = {file.rfilename: file.size or 0 for file in info.siblings or []}
        if files.INDEX not in sizes:
            raise WeightsError(f"{source} is no pipeline of diffusers: it has no {files.INDEX}.")
        folder = Path(api.hf_hub_download(source, files.INDEX)).parent
        index = files.read_index(source, folder)
        variant, needed = files.choose_files(source, index, sizes)
        counts = {
            name: sum(api.parse_safetensors_file_metadata(source, name).parameter_count.values())
            for name in needed
            if name.endswith(".safetensors")
        }
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
        folders = (
            "A folder works without: one that save_pretrained of diffusers wrote, by its path."
        )
        raise WeightsError(
            "The Hugging Face Hub does not answer: there is no network, or it is down. "
            + ("Try again later." if is_hosted() else folders)
        ) from error
    missing = {name: size for name, size in needed.items() if not (folder / name).exists()}
    card: Any = info.card_data or {}
    licence = str(card.get("license_name") or card.get("license") or "")
    return Pipeline(source, None, index, variant, needed, missing, counts, licence)


def download(pipeline: Pipeline) -> Iterator[tuple[int, int]]:
    """Get what is missing: yields (bytes received, bytes in all) every half second.

    Starts the Hub's own command in another process, so that closing the iterator stops it at once.
    What has arrived is kept, and the next download continues there.

    Raises WeightsError: the disk is full, no network, interrupted.
    """
    total = sum(pipeline.missing.values())
    cache = Path(constants.HF_HUB_CACHE)
    _check_disk(total, cache)
    blobs = cache / f"models--{pipeline.source.replace('/', '--')}" / "blobs"
    before = _folder_bytes(blobs)
    environment = {
        **os.environ,
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_CACHE": str(cache),
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
        with suppress(OSError):  # it has just been renamed
            total += path.stat().st_size
    return total


def _check_disk(size: int, cache: Path) -> None:
    free = shutil.disk_usage(next(f for f in (cache, *cache.parents) if f.exists())).free
    if size + RESERVE > free:
        raise WeightsError(
            f"{size / 1e9:.1f} GB are to be downloaded, and the disk with {cache} has "
            f"{free / 1e9:.1f} GB left. Make room, or set HF_HOME to a folder on another disk."
        )
